//! Blob parameters as the genesis file of execution clients has them: by names of forks, with times instead of epochs.

use crate::error::GenesisError;
use crate::genesis_time;
use serde_json::{Map, Value, json};
use types::constants::FAR_FUTURE_EPOCH;
use types::{ChainSpec, Epoch, Mainnet, Minimal, Preset as _, PresetName};

/// Changes of blob parameters that execution clients know by name: bpo1 to bpo5.
const MAX_CHANGES: usize = 5;
/// Most blobs in a block of public networks from Electra on.
const ELECTRA: u64 = 9;
const BILLION: u64 = 1_000_000_000;
/// By how much each blob of the maximum slows the fee's changes: 2^17 / (2 * ln(1.125)), in billionths. EIP-7691 has no
/// formula, but this is where its number comes from, and those of later changes on public networks.
const FRACTION_PER_BLOB: u64 = 556_412_896_261_162;

/// How many blobs a block of a new execution chain can have, and from when on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobSchedule {
    /// Before all changes.
    first: u64,
    changes: Vec<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    /// Unix seconds, or 0 for the first block on.
    time: u64,
    max: u64,
}

impl Default for BlobSchedule {
    /// That of public networks before their first change.
    fn default() -> Self {
        Self {
            first: ELECTRA,
            changes: Vec::new(),
        }
    }
}

impl BlobSchedule {
    /// What a consensus chain asks of an execution chain with a first block of that time.
    pub fn of(spec: &ChainSpec, first_block: u64) -> Result<Self, GenesisError> {
        let wrong = |reason: String| Err(GenesisError::BlobSchedule(reason));
        let dated: Vec<_> = spec
            .blob_schedule
            .iter()
            .filter(|entry| entry.epoch != FAR_FUTURE_EPOCH)
            .collect();
        if dated.len() > MAX_CHANGES {
            return wrong(format!(
                "it has {} entries, expected at most {MAX_CHANGES}: execution clients know bpo1 to bpo{MAX_CHANGES} by name",
                dated.len()
            ));
        }
        let all = dated.iter().map(|entry| entry.max_blobs_per_block);
        if all.chain([spec.max_blobs_per_block_electra]).any(|max| max == 0) {
            // go-ethereum divides by it.
            return wrong("a block can have 0 blobs, expected at least 1".to_owned());
        }
        let genesis_time = genesis_time(spec, first_block)?;
        let mut changes = Vec::new();
        for entry in dated {
            let Some(time) = time_of(entry.epoch, genesis_time, spec) else {
                return wrong(format!("epoch {} begins after all times of 64 bits", entry.epoch));
            };
            changes.push(Change {
                time,
                max: entry.max_blobs_per_block,
            });
        }
        Ok(Self {
            first: spec.max_blobs_per_block_electra,
            changes,
        })
    }

    /// `blobSchedule` of the file (EIP-7840).
    pub(crate) fn to_json(&self, osaka: bool) -> Result<Value, GenesisError> {
        if !osaka && !self.changes.is_empty() {
            return Err(GenesisError::BlobSchedule(
                "blob parameters change from Osaka on only, and this chain stays with Prague".to_owned(),
            ));
        }
        let mut schedule = Map::new();
        schedule.insert(
            "cancun".to_owned(),
            json!({ "target": 3, "max": 6, "baseFeeUpdateFraction": 3_338_477 }),
        );
        schedule.insert("prague".to_owned(), parameters(self.first));
        if osaka {
            schedule.insert("osaka".to_owned(), parameters(self.first));
        }
        for (name, change) in self.named() {
            schedule.insert(name, parameters(change.max));
        }
        Ok(Value::Object(schedule))
    }

    /// Names and values of the times in the file (EIP-7892).
    pub(crate) fn times(&self) -> impl Iterator<Item = (String, u64)> {
        self.named().map(|(name, change)| (format!("{name}Time"), change.time))
    }

    fn named(&self) -> impl Iterator<Item = (String, &Change)> {
        (1..)
            .zip(&self.changes)
            .map(|(number, change)| (format!("bpo{number}"), change))
    }
}

/// When the first block of an epoch can be. As with other forks of a new chain, one that is there from genesis on has 0.
fn time_of(epoch: Epoch, genesis_time: u64, spec: &ChainSpec) -> Option<u64> {
    if epoch == Epoch::new(0) {
        return Some(0);
    }
    let slots_per_epoch = match spec.preset_base {
        PresetName::Mainnet => Mainnet::slots_per_epoch(),
        PresetName::Minimal => Minimal::slots_per_epoch(),
    };
    // Spec: bellatrix/beacon-chain.md#compute_timestamp_at_slot
    epoch
        .as_u64()
        .checked_mul(slots_per_epoch)?
        .checked_mul(spec.slot_duration_ms)?
        .checked_div(1000)?
        .checked_add(genesis_time)
}

/// The ratio of 2 to 3 is that of EIP-7691.
fn parameters(max: u64) -> Value {
    let target = max.saturating_mul(2).checked_div(3).unwrap_or_default().max(1);
    let fraction = max.saturating_mul(FRACTION_PER_BLOB).saturating_add(BILLION / 2) / BILLION;
    json!({ "target": target, "max": max, "baseFeeUpdateFraction": fraction })
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::BlobParameters;

    fn spec(entries: &[(u64, u64)]) -> ChainSpec {
        ChainSpec {
            min_genesis_time: 1_800_000_000,
            genesis_delay: 10,
            slot_duration_ms: 6000,
            blob_schedule: entries
                .iter()
                .map(|(epoch, max)| BlobParameters {
                    epoch: Epoch::new(*epoch),
                    max_blobs_per_block: *max,
                })
                .collect(),
            ..ChainSpec::fulu_genesis(PresetName::Minimal)
        }
    }

    /// The numbers of the main network (go-ethereum's params/config.go), and those of ethereum-genesis-generator for more.
    #[test]
    fn targets_and_fractions_are_those_of_public_networks() {
        for (max, target, fraction) in [
            (9, 6, 5_007_716),
            (15, 10, 8_346_193),
            (21, 14, 11_684_671),
            (33, 22, 18_361_626),
            (48, 32, 26_707_819),
            (72, 48, 40_061_729),
        ] {
            let expected = json!({ "target": target, "max": max, "baseFeeUpdateFraction": fraction });
            assert_eq!(parameters(max), expected);
        }
        assert_eq!(parameters(1)["target"], 1, "with 0, the fee of blobs would only rise");
    }

    #[test]
    fn changes_come_with_the_first_block_of_their_epoch() {
        let schedule = BlobSchedule::of(&spec(&[(0, 2), (1, 3), (10, 21), (u64::MAX, 50)]), 5).unwrap();
        assert_eq!(
            schedule.to_json(true).unwrap(),
            json!({
                "cancun": { "target": 3, "max": 6, "baseFeeUpdateFraction": 3_338_477 },
                "prague": { "target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716 },
                "osaka": { "target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716 },
                "bpo1": { "target": 1, "max": 2, "baseFeeUpdateFraction": 1_112_826 },
                "bpo2": { "target": 2, "max": 3, "baseFeeUpdateFraction": 1_669_239 },
                "bpo3": { "target": 14, "max": 21, "baseFeeUpdateFraction": 11_684_671 },
            })
        );
        let times: Vec<(String, u64)> = schedule.times().collect();
        let expected = [
            ("bpo1Time", 0),
            ("bpo2Time", 1_800_000_058),
            ("bpo3Time", 1_800_000_490),
        ];
        assert_eq!(times, expected.map(|(name, time)| (name.to_owned(), time)));
    }

    #[test]
    fn without_a_date_of_genesis_epochs_are_counted_from_the_first_block_and_the_delay() {
        let spec = ChainSpec {
            min_genesis_time: 0,
            preset_base: PresetName::Mainnet,
            ..spec(&[(1, 12)])
        };
        let times: Vec<(String, u64)> = BlobSchedule::of(&spec, 1000).unwrap().times().collect();
        assert_eq!(times, [("bpo1Time".to_owned(), 1000 + 10 + 32 * 6)]);
    }

    #[test]
    fn what_electra_allows_is_up_to_the_consensus_chain_too() {
        let spec = ChainSpec {
            max_blobs_per_block_electra: 12,
            ..spec(&[])
        };
        let schedule = BlobSchedule::of(&spec, 0).unwrap();
        let expected = json!({ "target": 8, "max": 12, "baseFeeUpdateFraction": 6_676_955 });
        let json = schedule.to_json(true).unwrap();
        assert_eq!((&json["prague"], &json["osaka"]), (&expected, &expected));
        assert_eq!(schedule.times().count(), 0);
    }

    #[test]
    fn what_execution_clients_cannot_have_is_refused_with_a_reason() {
        let five: Vec<(u64, u64)> = (0..5).map(|epoch| (epoch, 9)).collect();
        assert_eq!(BlobSchedule::of(&spec(&five), 0).unwrap().times().count(), 5);
        let six: Vec<(u64, u64)> = (0..6).map(|epoch| (epoch, 9)).collect();
        for (entries, expected) in [
            (
                six.as_slice(),
                "it has 6 entries, expected at most 5: execution clients know bpo1 to bpo5 by name",
            ),
            (&[(3, 0)], "a block can have 0 blobs, expected at least 1"),
            (&[(1 << 60, 9)], "begins after all times of 64 bits"),
        ] {
            let error = BlobSchedule::of(&spec(entries), 0).unwrap_err().to_string();
            assert!(error.contains("BLOB_SCHEDULE") && error.contains(expected), "{error}");
        }
        let error = BlobSchedule::of(&spec(&[(1, 3)]), 0)
            .unwrap()
            .to_json(false)
            .unwrap_err();
        assert!(error.to_string().contains("stays with Prague"), "{error}");
    }
}
