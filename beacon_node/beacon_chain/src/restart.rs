//! Starting: from a genesis or checkpoint state, or from the database.

use crate::chain::ChainConfig;
use crate::states::StateCache;
use crate::{BeaconChain, ChainError, HeadSnapshot, metrics};
use fork_choice::{BlockSummary, ExecutionStatus, Store};
use state_transition::block::{BlockSignatures, state_transition};
use state_transition::genesis::genesis_block;
use state_transition::helpers::accessors::{get_balance_churn_limit, get_total_active_balance};
use state_transition::{GenesisError, compute_unrealized_checkpoints};
use std::sync::Arc;
use tree_hash::TreeHash as _;
use types::{BeaconState, ChainSpec, Checkpoint, Preset, SignedBeaconBlock};

/// Loss of safety that is accepted at the end of the weak subjectivity period, in percent.
const SAFETY_DECAY: u128 = 10;

/// Where a new chain starts: a trusted state, and its block if there is one.
#[derive(Debug, Clone)]
pub struct Anchor<P: Preset> {
    /// State after the block.
    pub state: BeaconState<P>,
    /// The block; a genesis block is made from the genesis state.
    pub block: SignedBeaconBlock<P>,
}

impl<P: Preset> Anchor<P> {
    /// The genesis, with the block that is made from its state.
    pub fn genesis(mut state: BeaconState<P>) -> Result<Self, GenesisError> {
        let block = genesis_block(&mut state)?;
        Ok(Self { state, block })
    }
}

impl<P: Preset> BeaconChain<P> {
    /// Starts a new chain in an empty database.
    pub fn from_anchor(config: ChainConfig<P>, anchor: Anchor<P>) -> Result<Arc<Self>, ChainError> {
        let root = anchor.block.block_root();
        config.storage.put_block(root, &anchor.block)?;
        config.storage.finalize(
            &[(anchor.block.slot(), root)],
            &[],
            (anchor.block.slot(), root),
            &anchor.state,
        )?;
        Self::start(config, anchor)
    }

    /// Continues the chain of a database: its anchor, and all blocks after it, are replayed. `None` if the database
    /// is new.
    pub fn from_storage(config: ChainConfig<P>) -> Result<Option<Arc<Self>>, ChainError> {
        let Some((anchor_slot, root)) = config.storage.anchor()? else {
            return Ok(None);
        };
        let storage = Arc::clone(&config.storage);
        let state = storage.get_state(&root)?.ok_or(ChainError::MissingState(root))?;
        let block = storage.get_block(&root)?.ok_or(ChainError::MissingBlock(root))?;
        let chain = Self::start(config, Anchor { state, block })?;
        let blocks = storage.blocks_after(anchor_slot)?;
        let total = blocks.len();
        tracing::info!(blocks = total, from_slot = %anchor_slot, "Replaying stored blocks");
        for (replayed, (slot, root)) in blocks.into_iter().enumerate() {
            if replayed > 0 && replayed % 256 == 0 {
                tracing::info!(replayed, total, %slot, "Replaying stored blocks");
            }
            let block = storage.get_block(&root)?.ok_or(ChainError::MissingBlock(root))?;
            chain.replay(root, &block)?;
        }
        Ok(Some(chain))
    }

    fn start(config: ChainConfig<P>, anchor: Anchor<P>) -> Result<Arc<Self>, ChainError> {
        let mut state = anchor.state;
        let block = Arc::new(anchor.block);
        let root = block.block_root();
        let state_root = state.canonical_root().map_err(state_transition::StateError::from)?;
        if state_root != block.message().state_root() {
            return Err(ChainError::Configuration(format!(
                "anchor block names the state root {}, its state has {state_root}",
                block.message().state_root()
            )));
        }
        let checkpoint = Checkpoint {
            epoch: state.current_epoch(),
            root,
        };
        let mut summary = BlockSummary::new(root, block.message(), &state, (checkpoint, checkpoint));
        // The genesis block has no payload; the genesis state names the block that the execution chain begins with.
        summary.execution_block_hash = state.latest_execution_payload_header().block_hash;
        let fork_choice = Store::get_forkchoice_store(&state, summary, &config.spec)?;
        let state = Arc::new(state);
        let states = StateCache::new();
        states.set_anchor(root, Arc::clone(&state));
        let head = HeadSnapshot {
            root,
            block: Some(block),
            state,
            state_root,
            execution_optimistic: false,
            justified_checkpoint: checkpoint,
            finalized_checkpoint: checkpoint,
        };
        // On dashboards before the first block, too.
        let epoch = checkpoint.epoch.as_u64();
        metrics::set_head(head.slot().as_u64(), epoch, epoch);
        Ok(Arc::new(Self::new(config, fork_choice, head, states)))
    }

    /// Puts a stored block back into the fork choice. It was verified when it was first imported; whether its payload
    /// is valid, the execution client will say again.
    fn replay(&self, root: types::Root, block: &SignedBeaconBlock<P>) -> Result<(), ChainError> {
        let now = self.clock.now_ms();
        {
            let mut fork_choice = self.fork_choice.write();
            let now = now.max(fork_choice.time_ms());
            fork_choice.on_tick::<P>(now, &self.spec)?;
            // A side branch whose parent is not stored any more.
            if fork_choice
                .validate_on_block::<P>(block.slot(), &block.parent_root(), &self.spec)
                .is_err()
            {
                return Ok(());
            }
        }
        let Some(parent_state) = self.state_after_block(&block.parent_root())? else {
            return Ok(());
        };
        let mut state = BeaconState::clone(&parent_state);
        state_transition(&mut state, block, BlockSignatures::None, &self.spec).map_err(|reason| {
            ChainError::Replay {
                root,
                reason: Box::new(reason),
            }
        })?;
        let unrealized = compute_unrealized_checkpoints(&state).map_err(ChainError::from)?;
        let summary = BlockSummary::new(root, block.message(), &state, unrealized);
        let state = Arc::new(state);
        self.states.insert(root, Arc::clone(&state));
        self.fork_choice
            .write()
            .on_block::<P>(summary, ExecutionStatus::Optimistic, &self.spec)?;
        self.apply_operations(block, &state)
    }
}

impl<P: Preset> Anchor<P> {
    /// Root of the anchor block.
    pub fn block_root(&self) -> types::Root {
        self.block.message().tree_hash_root()
    }

    /// Root of the block that the state was made by, as the state itself has it.
    pub fn block_root_of_state(&mut self) -> Result<types::Root, ChainError> {
        let mut header = self.state.latest_block_header();
        if header.state_root.is_zero() {
            header.state_root = self
                .state
                .canonical_root()
                .map_err(state_transition::StateError::from)?;
        }
        Ok(header.tree_hash_root())
    }

    /// For how many epochs the state can be trusted to have no rival.
    ///
    /// Spec: electra/weak-subjectivity.md#modified-compute_weak_subjectivity_period
    pub fn weak_subjectivity_period(&self, spec: &ChainSpec) -> Result<u64, ChainError> {
        let total = u128::from(get_total_active_balance(&self.state, spec)?);
        let churn = u128::from(get_balance_churn_limit(&self.state, spec)?);
        let epochs = SAFETY_DECAY
            .saturating_mul(total)
            .checked_div(churn.saturating_mul(2 * 100))
            .and_then(|epochs| u64::try_from(epochs).ok())
            .unwrap_or(u64::MAX);
        Ok(spec.min_validator_withdrawability_delay.saturating_add(epochs))
    }
}
