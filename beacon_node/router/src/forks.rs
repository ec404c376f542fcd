//! Fork digests, and where this node is.

use beacon_chain::BeaconChain;
use network::{EnrForkId, ForkContext, KnownFork, StatusMessage};
use types::constants::FAR_FUTURE_EPOCH;
use types::{ChainSpec, Epoch, ForkDigest, ForkName, Preset, Root};

/// One stretch of epochs with one digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DigestEpochs {
    /// First epoch.
    pub(crate) from: Epoch,
    pub(crate) digest: ForkDigest,
    pub(crate) fork: ForkName,
}

/// All digests of the schedule from Fulu on, ascending by epoch.
pub(crate) fn schedule(spec: &ChainSpec, genesis_validators_root: Root) -> Vec<DigestEpochs> {
    let mut epochs = vec![spec.fulu_fork_epoch];
    while let Some(next) = epochs.last().and_then(|last| spec.next_digest_epoch(*last)) {
        epochs.push(next);
    }
    epochs
        .into_iter()
        .map(|from| DigestEpochs {
            from,
            digest: spec.compute_fork_digest(genesis_validators_root, from),
            fork: spec.fork_name_at_epoch(from),
        })
        .collect()
}

/// The fork whose objects a digest announces; `None` if it is none of this network's.
pub(crate) fn fork_of_digest(schedule: &[DigestEpochs], digest: ForkDigest) -> Option<ForkName> {
    let entry = schedule.iter().find(|entry| entry.digest == digest);
    entry.map(|entry| entry.fork)
}

/// What the network has to know of the forks in `epoch`.
pub fn fork_context(spec: &ChainSpec, genesis_validators_root: Root, epoch: Epoch) -> ForkContext {
    // A change of blob parameters is a fork as well, if one that keeps the version.
    let next_fork_epoch = spec.next_digest_epoch(epoch);
    ForkContext {
        enr_fork_id: EnrForkId {
            fork_digest: spec.compute_fork_digest(genesis_validators_root, epoch),
            next_fork_version: spec.compute_fork_version(next_fork_epoch.unwrap_or(epoch)),
            next_fork_epoch: next_fork_epoch.unwrap_or(FAR_FUTURE_EPOCH),
        },
        next_fork_digest: next_fork_epoch.map_or(ForkDigest::ZERO, |next| {
            spec.compute_fork_digest(genesis_validators_root, next)
        }),
        known_forks: schedule(spec, genesis_validators_root)
            .into_iter()
            .map(|entry| KnownFork {
                digest: entry.digest,
                has_groups: entry.fork == ForkName::Dvt,
            })
            .collect(),
    }
}

/// What this node tells others about its chain.
pub fn status_message<P: Preset>(chain: &BeaconChain<P>) -> StatusMessage {
    let head = chain.head();
    let finalized = head.finalized_checkpoint;
    let (earliest, next) = (chain.earliest_available_slot(), head.slot().saturating_add(1u64));
    StatusMessage {
        fork_digest: chain.fork_digest(chain.current_epoch()),
        finalized_root: if finalized.epoch == types::constants::GENESIS_EPOCH {
            Root::ZERO
        } else {
            finalized.root
        },
        finalized_epoch: finalized.epoch,
        head_root: head.root,
        head_slot: head.slot(),
        // A database that cannot be read says nothing. What lies further ahead than the next block is of no interest to
        // whoever asks for blocks that there are.
        earliest_available_slot: Some(earliest.unwrap_or(next).min(next)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::BlobParameters;

    fn spec() -> ChainSpec {
        ChainSpec {
            dvt_fork_epoch: Epoch::new(2),
            ..ChainSpec::fulu_genesis(types::PresetName::Minimal)
        }
    }

    #[test]
    fn the_schedule_names_every_digest_once_with_its_fork() {
        let spec = spec();
        let entries = schedule(&spec, Root::repeat_byte(1));
        assert_eq!(
            entries.last().map(|entry| (entry.from, entry.fork)),
            Some((Epoch::new(2), ForkName::Dvt))
        );
        assert!(
            entries
                .windows(2)
                .all(|pair| pair[0].from < pair[1].from && pair[0].digest != pair[1].digest)
        );
    }

    #[test]
    fn a_network_older_than_fulu_has_the_digests_of_fulu() {
        let spec = ChainSpec::mainnet();
        let entries = schedule(&spec, Root::ZERO);
        let from: Vec<Epoch> = entries.iter().map(|entry| entry.from).collect();
        assert_eq!(from, [411_392, 412_672, 419_072].map(Epoch::new));
        assert_eq!(
            entries[0].digest,
            spec.compute_fork_digest(Root::ZERO, Epoch::new(412_671))
        );
    }

    #[test]
    fn the_next_fork_is_announced_until_it_is_there() {
        let blobs = |epoch, max_blobs_per_block| BlobParameters {
            epoch: Epoch::new(epoch),
            max_blobs_per_block,
        };
        let spec = ChainSpec {
            dvt_fork_epoch: Epoch::new(4),
            blob_schedule: vec![blobs(2, 12), blobs(4, 15), blobs(6, 21)],
            ..spec()
        };
        let at = |epoch| fork_context(&spec, Root::ZERO, Epoch::new(epoch));
        let (fulu, dvt) = (spec.fulu_fork_version, spec.dvt_fork_version);
        for (epoch, next, version) in [
            (0, 2, fulu),
            (1, 2, fulu),
            // New parameters with a fork are the fork.
            (2, 4, dvt),
            (3, 4, dvt),
            (4, 6, dvt),
            (5, 6, dvt),
        ] {
            let (context, then) = (at(epoch), at(next));
            assert_eq!(context.enr_fork_id.next_fork_epoch, Epoch::new(next), "epoch {epoch}");
            assert_eq!(context.enr_fork_id.next_fork_version, version, "epoch {epoch}");
            assert_eq!(context.next_fork_digest, then.current_digest(), "epoch {epoch}");
            assert_ne!(context.current_digest(), then.current_digest(), "epoch {epoch}");
        }
        let last = at(6);
        assert_eq!(last.enr_fork_id.next_fork_epoch, FAR_FUTURE_EPOCH);
        assert_eq!(last.enr_fork_id.next_fork_version, dvt);
        assert_eq!(last.next_fork_digest, ForkDigest::ZERO);
    }
}
