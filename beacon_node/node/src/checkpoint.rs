//! Beginning with the finalised state of another node.

use crate::NodeError;
use beacon_api::{
    ApiError, BeaconClient, BlockId, ClientConfig, OtherNetwork, StateId, same_configuration, same_network as same,
};
use beacon_chain::Anchor;
use runtime::SlotClock;
use std::fmt::Display;
use std::time::Duration;
use storage::Identity;
use tokio::time::{Instant, sleep};
use types::{BeaconState, ChainSpec, Preset, SignedBeaconBlock, Slot};

/// How long until a node is asked again that has not answered, or has finalised nothing yet.
const RETRY: Duration = Duration::from_secs(3);
/// The node of `--checkpoint-sync-url`.
#[derive(Debug, Clone)]
pub(crate) struct CheckpointSource {
    client: BeaconClient,
    /// How long it is asked again.
    patience: Duration,
}

/// Block and state after it, as they were downloaded.
struct Downloaded<P: Preset> {
    block: SignedBeaconBlock<P>,
    state: BeaconState<P>,
}

/// Whether an attempt may be repeated.
enum Attempt {
    Again(String),
    Final(String),
}

impl From<ApiError> for Attempt {
    fn from(error: ApiError) -> Self {
        let text = error.to_string();
        match error {
            ApiError::Unreachable { .. } | ApiError::TimedOut { .. } | ApiError::Transport { .. } => Self::Again(text),
            // It has just started, is syncing, or a proxy before it waits for it.
            ApiError::Status { status, .. } if status >= 500 => Self::Again(text),
            _ => Self::Final(text),
        }
    }
}

impl From<OtherNetwork> for Attempt {
    fn from(error: OtherNetwork) -> Self {
        Self::Final(error.to_string())
    }
}

impl CheckpointSource {
    pub(crate) fn new(url: &str, patience: Duration) -> Result<Self, NodeError> {
        let config = ClientConfig {
            download_timeout: patience.max(Duration::from_secs(1)),
            ..ClientConfig::default()
        };
        let client = BeaconClient::new(url, config).map_err(|error| NodeError::Flag {
            flag: "checkpoint-sync-url",
            reason: error.to_string(),
        })?;
        Ok(Self { client, patience })
    }

    fn error(&self, reason: impl Display) -> NodeError {
        NodeError::Checkpoint {
            url: self.client.name(),
            reason: reason.to_string(),
        }
    }

    /// Repeats what fails for want of an answer.
    async fn patiently<T>(&self, mut attempt: impl AsyncFnMut() -> Result<T, Attempt>) -> Result<T, NodeError> {
        let deadline = Instant::now() + self.patience;
        loop {
            match attempt().await {
                Ok(value) => return Ok(value),
                Err(Attempt::Final(reason)) => return Err(self.error(reason)),
                Err(Attempt::Again(reason)) if Instant::now() + RETRY >= deadline => {
                    let seconds = self.patience.as_secs();
                    return Err(self.error(format!(
                        "{reason} (asked for {seconds} s: --checkpoint-sync-url-timeout)"
                    )));
                }
                Err(Attempt::Again(reason)) => {
                    tracing::warn!(reason, "Checkpoint cannot be had yet, trying again");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// The network of the other node, where there is no genesis state to tell.
    pub(crate) async fn identity(&self, spec: &ChainSpec) -> Result<Identity, NodeError> {
        let genesis = self.patiently(async || Ok(self.client.genesis().await?)).await?;
        same(
            "genesis fork version",
            genesis.genesis_fork_version,
            spec.genesis_fork_version,
        )
        .map_err(|reason| self.error(reason))?;
        Ok(Identity {
            genesis_validators_root: genesis.genesis_validators_root,
            genesis_time: genesis.genesis_time,
        })
    }

    /// The finalised block of the other node with the state after it, of this network.
    pub(crate) async fn anchor<P: Preset>(
        &self,
        identity: Identity,
        spec: &ChainSpec,
        clock: &SlotClock,
    ) -> Result<Anchor<P>, NodeError> {
        tracing::info!(url = self.client.name(), "Checkpoint is downloaded");
        let downloaded = self
            .patiently(async || self.download::<P>(identity, spec).await)
            .await?;
        let now = clock.now_slot().unwrap_or_default();
        let anchor = verified(downloaded, identity, spec, now).map_err(|reason| self.error(reason))?;
        let period = anchor.weak_subjectivity_period(spec)?;
        let epoch = anchor.state.current_epoch();
        let age = now.epoch::<P>().saturating_sub(epoch.as_u64()).as_u64();
        // The one thing that this node cannot find out by itself.
        tracing::info!(
            url = self.client.name(),
            %epoch,
            slot = %anchor.state.slot(),
            block_root = %anchor.block_root(),
            state_root = %anchor.block.message().state_root(),
            "The checkpoint is trusted: compare its block root with another source"
        );
        if age > period {
            tracing::warn!(
                age,
                period,
                "The checkpoint is older than the weak subjectivity period, in epochs: validators that have left since \
                 could have made another chain from it"
            );
        }
        Ok(anchor)
    }

    async fn download<P: Preset>(&self, identity: Identity, spec: &ChainSpec) -> Result<Downloaded<P>, Attempt> {
        let genesis = self.client.genesis().await?;
        same(
            "genesis validators root",
            genesis.genesis_validators_root,
            identity.genesis_validators_root,
        )?;
        same("genesis time", genesis.genesis_time, identity.genesis_time)?;
        let theirs = self.client.config_spec().await?;
        same_configuration(&theirs, &spec.config_and_preset::<P>())?;
        let block = self.client.block::<P>(BlockId::Finalized).await?;
        let block = block
            .ok_or_else(|| Attempt::Again("it has no finalised block".to_owned()))?
            .data;
        let state_root = block.message().state_root();
        let state = self.client.state::<P>(StateId::Root(state_root)).await?;
        let state = state
            .ok_or_else(|| Attempt::Again(format!("it has no state {state_root}")))?
            .data;
        Ok(Downloaded { block, state })
    }
}

fn is_of<P: Preset>(state: &BeaconState<P>, identity: Identity, spec: &ChainSpec) -> Result<(), OtherNetwork> {
    let fork = spec.fork_name_at_epoch(state.current_epoch());
    same(
        "genesis validators root of its state",
        state.genesis_validators_root(),
        identity.genesis_validators_root,
    )?;
    same("genesis time of its state", state.genesis_time(), identity.genesis_time)?;
    same(
        "fork version of its state",
        state.fork().current_version,
        spec.fork_version(fork),
    )
}

/// Whether block and state belong together, to this network, and to its past.
fn verified<P: Preset>(
    downloaded: Downloaded<P>,
    identity: Identity,
    spec: &ChainSpec,
    now: Slot,
) -> Result<Anchor<P>, String> {
    let Downloaded { block, mut state } = downloaded;
    is_of(&state, identity, spec).map_err(|error| error.to_string())?;
    if state.slot() > now {
        return Err(format!(
            "the state is of slot {}, and it is slot {now} by this machine's clock",
            state.slot()
        ));
    }
    let expected = block.message().state_root();
    let found = state.canonical_root().map_err(|error| format!("{error:?}"))?;
    if found != expected {
        return Err(format!(
            "the state's root is {found}, expected {expected} of the finalised block"
        ));
    }
    if state.slot() != block.slot() {
        return Err(format!(
            "the state is of slot {}, expected {} of the finalised block",
            state.slot(),
            block.slot()
        ));
    }
    // The state says which block it was made by. Blocks with other contents could name the same state.
    let mut anchor = Anchor { state, block };
    let (expected, found) = (
        anchor.block_root_of_state().map_err(|error| error.to_string())?,
        anchor.block_root(),
    );
    if found != expected {
        return Err(format!(
            "the finalised block's root is {found}, expected {expected} of the state"
        ));
    }
    Ok(anchor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chain_harness::{BlockPlan, Chain, Keys, solo};
    use types::{Hash32, Minimal, PresetName, Root, Version};

    /// What a node may send instead of a block and the state after it.
    #[test]
    fn a_checkpoint_that_cannot_be_is_refused_with_both_values() {
        let validators: Vec<_> = (0..8).map(|validator| solo(validator, 32)).collect();
        let spec = ChainSpec::fulu_genesis(PresetName::Minimal);
        let mut chain = Chain::<Minimal>::new(&validators, Keys::new(8, &[], 1), spec);
        let identity = Identity::of(&chain.state);
        let before = chain.state.clone();
        let block = chain.step(&|_, _| true, BlockPlan::default()).unwrap();
        let now = block.slot();
        let check =
            |block: &SignedBeaconBlock<Minimal>, state: &BeaconState<Minimal>, identity, spec: &ChainSpec, now| {
                let (block, state) = (block.clone(), state.clone());
                verified(Downloaded { block, state }, identity, spec, now).map(|anchor| anchor.block_root())
            };
        let right = |block, state| check(block, state, identity, &chain.spec, now);
        assert_eq!(right(&block, &chain.state), Ok(block.block_root()));

        let mut other_block = block.clone();
        match &mut other_block {
            SignedBeaconBlock::Fulu(block) => block.message.body.graffiti = Hash32::repeat_byte(9),
            SignedBeaconBlock::Dvt(block) => block.message.body.graffiti = Hash32::repeat_byte(9),
        }
        let other_network = Identity {
            genesis_validators_root: Root::repeat_byte(9),
            ..identity
        };
        let other_time = Identity {
            genesis_time: 9,
            ..identity
        };
        let mut other_fork = chain.spec.clone();
        other_fork.fulu_fork_version = Version::repeat_byte(9);
        let root_of = |state: &BeaconState<Minimal>| state.clone().canonical_root().unwrap().to_string();
        let cases: Vec<(Result<Root, String>, [String; 2])> = vec![
            (
                right(&other_block, &chain.state),
                [other_block.block_root().to_string(), block.block_root().to_string()],
            ),
            (right(&block, &before), [root_of(&before), root_of(&chain.state)]),
            (
                check(&block, &chain.state, identity, &chain.spec, Slot::new(0)),
                ["slot 1,".to_owned(), "slot 0 by this machine's clock".to_owned()],
            ),
            (
                check(&block, &chain.state, other_network, &chain.spec, now),
                [
                    Root::repeat_byte(9).to_string(),
                    identity.genesis_validators_root.to_string(),
                ],
            ),
            (
                check(&block, &chain.state, other_time, &chain.spec, now),
                ["expected 9".to_owned(), identity.genesis_time.to_string()],
            ),
            (
                check(&block, &chain.state, identity, &other_fork, now),
                [
                    other_fork.fulu_fork_version.to_string(),
                    chain.spec.fulu_fork_version.to_string(),
                ],
            ),
        ];
        for (result, values) in cases {
            let error = result.unwrap_err();
            for value in values {
                assert!(error.contains(&value), "{error}: {value}");
            }
        }
    }

    #[tokio::test]
    async fn a_node_that_does_not_answer_is_asked_again_for_a_while() {
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", unused.local_addr().unwrap());
        drop(unused);
        let source = CheckpointSource::new(&url, RETRY + Duration::from_millis(500)).unwrap();
        let started = Instant::now();
        let spec = ChainSpec::fulu_genesis(PresetName::Minimal);
        let error = source.identity(&spec).await.map(|_| ()).unwrap_err().to_string();
        assert!(started.elapsed() >= RETRY, "{error}");
        for part in [url.as_str(), "cannot connect", "--checkpoint-sync-url-timeout"] {
            assert!(error.contains(part), "{error}: {part}");
        }
        let error = CheckpointSource::new("checkpointz:5555", RETRY)
            .unwrap_err()
            .to_string();
        assert!(error.contains("--checkpoint-sync-url"), "{error}");
    }
}
