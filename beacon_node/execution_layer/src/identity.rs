//! Whether who answers is an execution client of this network.
//!
//! An address says nothing of that, and neither does a client that was looked at once: another one may have taken its
//! place. Each connection that is made anew is a reason to look again, and so is an answer that a proxy could have given.

use crate::engine::Engine;
use crate::engine_types::BlockTag;
use crate::error::EngineError;
use alloy_primitives::B256;
use parking_lot::Mutex;

/// What an execution chain is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedChain {
    /// `DEPOSIT_CHAIN_ID` of the configuration.
    pub chain_id: u64,
    /// Hash of its first block, where the genesis state is at hand.
    pub genesis_hash: Option<B256>,
}

/// What was seen of the client.
#[derive(Debug)]
pub(crate) struct Identity {
    expected: Option<ExpectedChain>,
    /// How many connections had been made when it was last seen to be the right one.
    seen: Mutex<Option<u64>>,
    /// Held over a look: calls that come meanwhile wait for it.
    look: tokio::sync::Mutex<()>,
}

impl Identity {
    pub(crate) fn new(expected: Option<ExpectedChain>) -> Self {
        Self {
            expected,
            seen: Mutex::default(),
            look: tokio::sync::Mutex::default(),
        }
    }

    /// The client was away, or something else answers in its place.
    pub(crate) fn forget(&self) {
        *self.seen.lock() = None;
    }

    fn is_known(&self, engine: &Engine) -> bool {
        *self.seen.lock() == Some(engine.connections())
    }

    /// Looks at the client, unless all connections to it are older than the last look. A client that does not show its
    /// first block is believed to have the right one.
    pub(crate) async fn check(&self, engine: &Engine) -> Result<(), EngineError> {
        let Some(chain) = self.expected else { return Ok(()) };
        if self.is_known(engine) {
            return Ok(());
        }
        let _one_at_a_time = self.look.lock().await;
        if self.is_known(engine) {
            return Ok(());
        }
        engine.forget_capabilities();
        let (expected, found) = (chain.chain_id, engine.chain_id().await?);
        if found != expected {
            return Err(EngineError::WrongChain { expected, found });
        }
        // If more are made from here on, there is another look.
        let connections = engine.connections();
        if let Some(expected) = chain.genesis_hash
            && let Some(first) = engine.block_by_number(BlockTag::Number(0)).await?
            && first.hash != expected
        {
            let found = first.hash;
            return Err(EngineError::WrongGenesis { expected, found });
        }
        engine.check_engine_api().await?;
        *self.seen.lock() = Some(connections);
        Ok(())
    }
}
