//! Reading and writing `config.yaml`.

use crate::constants::FAR_FUTURE_EPOCH;
use crate::{BlobParameters, ChainSpec, Epoch, ExecutionAddress, Hash32, PresetName, Uint256, Version};
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;

/// Most blobs that any block body has room for: `MAX_BLOB_COMMITMENTS_PER_BLOCK` of all presets.
const MAX_BLOB_COMMITMENTS_PER_BLOCK: u64 = 4096;

/// A configuration is unreadable or contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not YAML, or not a map.
    #[error("configuration is not a YAML map: {0}")]
    Yaml(String),
    /// A value of a known key does not parse.
    #[error("{key}: found {found:?}, expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value in the file.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Two keys contradict each other.
    #[error("{0}")]
    Contradiction(String),
}

/// How a configuration value is read from and written as text.
pub(crate) trait ConfigValue: Sized {
    /// What a value looks like, for error messages.
    const EXPECTED: &'static str;
    fn parse(text: &str) -> Option<Self>;
    fn text(&self) -> String;
}

/// The parsers of the types behind take more than configurations may contain: signs, prefixes, missing prefixes.
fn is_decimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_prefixed_hex(text: &str) -> bool {
    text.starts_with("0x")
}

macro_rules! config_value {
    ($type:ty, $expected:literal, $accepts:expr, $value:ident => $text:expr) => {
        impl ConfigValue for $type {
            const EXPECTED: &'static str = $expected;
            fn parse(text: &str) -> Option<Self> {
                let accepts: fn(&str) -> bool = $accepts;
                accepts(text).then(|| Self::from_str(text).ok()).flatten()
            }
            fn text(&self) -> String {
                let $value = self;
                $text
            }
        }
    };
}
config_value!(u64, "an integer below 2**64", is_decimal, value => value.to_string());
config_value!(Epoch, "an epoch number", is_decimal, value => value.to_string());
config_value!(Uint256, "an integer below 2**256", is_decimal, value => value.to_string());
config_value!(String, "a string", |_| true, value => value.clone());
config_value!(Version, "0x and 8 hex digits", is_prefixed_hex, value => format!("{value:?}"));
config_value!(Hash32, "0x and 64 hex digits", is_prefixed_hex, value => format!("{value:?}"));
config_value!(ExecutionAddress, "0x and 40 hex digits", is_prefixed_hex, value => value.to_checksum(None));

impl ChainSpec {
    /// Reads a `config.yaml`.
    ///
    /// Keys that are missing have the values of the preset's own configuration, but for two that would contradict what
    /// the file says: a missing fork before Fulu is not later than the fork after it, and blob parameters that are not
    /// given leave out what lies before Fulu. Keys that are not known are kept.
    ///
    /// Errors name the key, what was found and what was expected.
    pub fn from_yaml(yaml: &str) -> Result<Self, ConfigError> {
        let entries = read_entries(yaml)?;
        let mut given: HashSet<&str> = HashSet::new();
        for (key, _) in &entries {
            if !given.insert(key) {
                return Err(ConfigError::Contradiction(format!(
                    "{key} is given twice, expected once"
                )));
            }
        }
        let mut spec = Self::of_preset(preset_base(&entries)?);
        for (key, value) in &entries {
            match key.as_str() {
                "PRESET_BASE" | "SECONDS_PER_SLOT" => {}
                "BLOB_SCHEDULE" => spec.blob_schedule = blob_schedule(value)?,
                key => {
                    if !spec.set(key, value)? {
                        spec.unknown.push((key.to_owned(), value.clone()));
                    }
                }
            }
        }
        spec.set_seconds_per_slot(&entries, given.contains("SLOT_DURATION_MS"))?;

        let fulu_fork_epoch = spec.fulu_fork_epoch;
        let mut next_fork_epoch = fulu_fork_epoch;
        for (key, epoch) in spec.forks_before_fulu() {
            if !given.contains(key) {
                *epoch = next_fork_epoch.min(*epoch);
            }
            next_fork_epoch = *epoch;
        }
        if !given.contains("BLOB_SCHEDULE") {
            spec.blob_schedule.retain(|entry| entry.epoch >= fulu_fork_epoch);
        }
        spec.blob_schedule.sort_by_key(|entry| entry.epoch);
        spec.validate()?;
        Ok(spec)
    }

    /// The older key for the length of a slot, which many networks still write.
    fn set_seconds_per_slot(&mut self, entries: &[(String, Value)], has_duration: bool) -> Result<(), ConfigError> {
        let Some((_, value)) = entries.iter().find(|(key, _)| key == "SECONDS_PER_SLOT") else {
            return Ok(());
        };
        let milliseconds = value
            .as_str()
            .and_then(u64::parse)
            .and_then(|seconds| seconds.checked_mul(1000))
            .ok_or_else(|| ConfigError::Value {
                key: "SECONDS_PER_SLOT",
                found: found(value),
                expected: "a number of seconds",
            })?;
        if has_duration && milliseconds != self.slot_duration_ms {
            return Err(ConfigError::Contradiction(format!(
                "SECONDS_PER_SLOT says {milliseconds} ms and SLOT_DURATION_MS says {} ms, expected the same",
                self.slot_duration_ms
            )));
        }
        self.slot_duration_ms = milliseconds;
        Ok(())
    }

    /// Whether the values fit each other. Everything that is read from YAML does.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let contradiction = |text: String| Err(ConfigError::Contradiction(text));
        for (key, value, range) in self.ranges() {
            if !range.contains(&value) {
                let (least, most) = (range.start(), range.end());
                return contradiction(match *most {
                    u64::MAX => format!("{key} is {value}, expected at least {least}"),
                    _ => format!("{key} is {value}, expected {least} to {most}"),
                });
            }
        }
        self.validate_preset_values()?;
        let forks = self.fork_epochs();
        for ((key, epoch), (next_key, next_epoch)) in forks.iter().zip(forks.iter().skip(1)) {
            if next_epoch < epoch {
                return contradiction(format!(
                    "{next_key} {next_epoch} is before {key} {epoch}: forks come in this order"
                ));
            }
        }
        let versions = [
            ("GENESIS_FORK_VERSION", self.genesis_fork_version),
            ("FULU_FORK_VERSION", self.fulu_fork_version),
            ("DVT_FORK_VERSION", self.dvt_fork_version),
        ];
        for ((key, version), (next_key, next_version)) in versions.iter().zip(versions.iter().cycle().skip(1)) {
            if version == next_version {
                return contradiction(format!(
                    "{key} and {next_key} are both {version}: forks need versions of their own"
                ));
            }
        }
        self.validate_blob_schedule()
    }

    /// Spec: fulu/beacon-chain.md#blob-schedule
    fn validate_blob_schedule(&self) -> Result<(), ConfigError> {
        let contradiction = |text: String| Err(ConfigError::Contradiction(text));
        for entry in &self.blob_schedule {
            if entry.epoch < self.fulu_fork_epoch {
                return contradiction(format!(
                    "BLOB_SCHEDULE has an entry for epoch {}, before FULU_FORK_EPOCH {}",
                    entry.epoch, self.fulu_fork_epoch
                ));
            }
            if entry.max_blobs_per_block > MAX_BLOB_COMMITMENTS_PER_BLOCK {
                return contradiction(format!(
                    "BLOB_SCHEDULE has MAX_BLOBS_PER_BLOCK {} for epoch {}, expected at most {MAX_BLOB_COMMITMENTS_PER_BLOCK}",
                    entry.max_blobs_per_block, entry.epoch
                ));
            }
        }
        for (entry, next) in self.blob_schedule.iter().zip(self.blob_schedule.iter().skip(1)) {
            // Any number of changes may be without a date.
            if entry.epoch == next.epoch && entry.epoch != FAR_FUTURE_EPOCH {
                return contradiction(format!(
                    "BLOB_SCHEDULE has two entries for epoch {}, expected one",
                    entry.epoch
                ));
            }
        }
        Ok(())
    }

    /// The older key for the length of a slot, if the length can be said in seconds.
    fn seconds_per_slot(&self) -> Option<u64> {
        (self.slot_duration_ms.checked_rem(1000) == Some(0))
            .then(|| self.slot_duration_ms.checked_div(1000))
            .flatten()
    }

    /// All keys and values, unknown ones included, in the form of `/eth/v1/config/spec`: scalars as strings.
    pub fn to_json(&self) -> BTreeMap<String, Value> {
        let scalar = Value::String;
        let mut values: BTreeMap<_, _> = self.unknown.iter().cloned().collect();
        values.insert("PRESET_BASE".to_owned(), scalar(self.preset_base.to_string()));
        for (key, text) in self.scalars() {
            values.insert(key.to_owned(), scalar(text));
        }
        if let Some(seconds) = self.seconds_per_slot() {
            values.insert("SECONDS_PER_SLOT".to_owned(), scalar(seconds.to_string()));
        }
        values.insert("BLOB_SCHEDULE".to_owned(), self.blob_schedule_json());
        values
    }

    fn blob_schedule_json(&self) -> Value {
        self.blob_schedule
            .iter()
            .map(|entry| {
                serde_json::json!({
                    "EPOCH": entry.epoch.to_string(),
                    "MAX_BLOBS_PER_BLOCK": entry.max_blobs_per_block.to_string(),
                })
            })
            .collect()
    }

    /// The configuration as `config.yaml`. Reading it gives the same configuration.
    pub fn to_yaml(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let mut yaml = format!("PRESET_BASE: '{}'\n", self.preset_base);
        for (key, text) in self.scalars() {
            yaml.push_str(&format!("{key}: {}\n", quoted(&text)));
        }
        if let Some(seconds) = self.seconds_per_slot() {
            yaml.push_str(&format!("SECONDS_PER_SLOT: '{seconds}'\n"));
        }
        // JSON is YAML.
        for (key, value) in &self.unknown {
            yaml.push_str(&format!("{}: {value}\n", quoted(key)));
        }
        yaml.push_str(&format!("BLOB_SCHEDULE: {}\n", self.blob_schedule_json()));
        yaml
    }
}

fn preset_base(entries: &[(String, Value)]) -> Result<PresetName, ConfigError> {
    let Some((_, value)) = entries.iter().find(|(key, _)| key == "PRESET_BASE") else {
        return Ok(PresetName::Mainnet);
    };
    [PresetName::Mainnet, PresetName::Minimal]
        .into_iter()
        .find(|preset| value.as_str() == Some(preset.as_str()))
        .ok_or_else(|| ConfigError::Value {
            key: "PRESET_BASE",
            found: found(value),
            expected: "mainnet or minimal",
        })
}

fn blob_schedule(value: &Value) -> Result<Vec<BlobParameters>, ConfigError> {
    // A template whose entries were all left out.
    if value.is_null() {
        return Ok(Vec::new());
    }
    serde_json::from_value(value.clone()).map_err(|_| ConfigError::Value {
        key: "BLOB_SCHEDULE",
        found: found(value),
        expected: "a list of entries with EPOCH and MAX_BLOBS_PER_BLOCK",
    })
}

/// How a value of the file is described in an error.
pub(crate) fn found(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// Reads the map twice: the first time to see which values are scalars, the second time to get these as they are
/// written. YAML takes 0x00000000 for the integer 0, which would lose the length of a fork version, and integers of more
/// than 64 bits for numbers with an exponent.
fn read_entries(yaml: &str) -> Result<Vec<(String, Value)>, ConfigError> {
    let yaml_error = |error: serde_yaml_ng::Error| ConfigError::Yaml(error.to_string());
    let Shape::Map(shapes) = serde_yaml_ng::from_str(yaml).map_err(yaml_error)? else {
        return Err(ConfigError::Yaml("expected lines of the form KEY: value".to_owned()));
    };
    serde_yaml_ng::Deserializer::from_str(yaml)
        .deserialize_map(Entries(&shapes))
        .map_err(yaml_error)
}

/// What kind of value stands at a place.
enum Shape {
    Scalar,
    Null,
    List(Vec<Shape>),
    Map(Vec<Shape>),
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

macro_rules! scalars {
    ($($visit:ident: $type:ty,)*) => {
        $(fn $visit<E>(self, _: $type) -> Result<Shape, E> {
            Ok(Shape::Scalar)
        })*
    };
}

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar, a list or a map")
    }

    scalars! {
        visit_bool: bool,
        visit_i64: i64,
        visit_i128: i128,
        visit_u64: u64,
        visit_u128: u128,
        visit_f64: f64,
        visit_str: &str,
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        let mut shapes = Vec::new();
        while let Some(shape) = list.next_element()? {
            shapes.push(shape);
        }
        Ok(Shape::List(shapes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut shapes = Vec::new();
        while let Some((_, shape)) = map.next_entry::<String, _>()? {
            shapes.push(shape);
        }
        Ok(Shape::Map(shapes))
    }
}

/// Scalars become strings, at any depth.
impl<'de> DeserializeSeed<'de> for &Shape {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self {
            Shape::Scalar => String::deserialize(deserializer).map(Value::String),
            Shape::Null => IgnoredAny::deserialize(deserializer).map(|_| Value::Null),
            Shape::List(shapes) => deserializer.deserialize_seq(Elements(shapes)).map(Value::Array),
            Shape::Map(shapes) => deserializer
                .deserialize_map(Entries(shapes))
                .map(|entries| Value::Object(entries.into_iter().collect())),
        }
    }
}

struct Elements<'a>(&'a [Shape]);

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut shapes = self.0.iter();
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(shapes.next().unwrap_or(&Shape::Null))? {
            values.push(value);
        }
        Ok(values)
    }
}

struct Entries<'a>(&'a [Shape]);

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut shapes = self.0.iter();
        let mut entries = Vec::new();
        while let Some(key) = map.next_key()? {
            entries.push((key, map.next_value_seed(shapes.next().unwrap_or(&Shape::Null))?));
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_configuration_reads_back_the_same() {
        let mut odd = ChainSpec::fulu_genesis(PresetName::Minimal);
        odd.slot_duration_ms = 1_500;
        odd.config_name = "it's a: #test".to_owned();
        odd.unknown = vec![
            ("Z: 1".to_owned(), serde_json::json!({"A": ["1", null]})),
            ("B".to_owned(), serde_json::json!("0x00")),
        ];
        for spec in [ChainSpec::mainnet(), ChainSpec::minimal(), odd] {
            assert_eq!(ChainSpec::from_yaml(&spec.to_yaml()), Ok(spec));
        }
    }

    #[test]
    fn values_of_this_fork_are_those_of_its_configuration_files() {
        for (preset, file, spec) in [
            (
                "mainnet",
                include_str!("../../../specs/native-dvt/configs/mainnet.yaml"),
                ChainSpec::mainnet(),
            ),
            (
                "minimal",
                include_str!("../../../specs/native-dvt/configs/minimal.yaml"),
                ChainSpec::minimal(),
            ),
        ] {
            let read = ChainSpec::from_yaml(&format!("PRESET_BASE: {preset}\n{file}")).unwrap();
            assert_eq!(read.unknown, [], "keys that are not known");
            assert_eq!(read, spec);
        }
    }

    #[test]
    fn unknown_keys_are_kept_as_written() {
        let spec = ChainSpec::from_yaml("PRESET_BASE: minimal\nHEZE_FORK_VERSION: 0x90000038\nLIST: [{A: 0x00}, 2]\n")
            .unwrap();
        let served = spec.to_json();
        assert_eq!(served["HEZE_FORK_VERSION"], "0x90000038");
        assert_eq!(served["LIST"], serde_json::json!([{"A": "0x00"}, "2"]));
    }

    #[test]
    fn missing_keys_have_the_presets_values() {
        let spec = ChainSpec::from_yaml("PRESET_BASE: 'minimal'\nFULU_FORK_EPOCH: 0\n").unwrap();
        assert_eq!(spec.fulu_fork_epoch, Epoch::new(0));
        assert_eq!(spec.electra_fork_epoch, Epoch::new(0), "not after Fulu");
        assert_eq!(spec.churn_limit_quotient, 32);
        let spec = ChainSpec::from_yaml("PRESET_BASE: minimal\nSLOTS_PER_EPOCH: 8\n").unwrap();
        assert_eq!(
            spec.preset_base,
            PresetName::Minimal,
            "a value of the preset may be repeated"
        );
        let spec = ChainSpec::from_yaml("FULU_FORK_EPOCH: 415000\n").unwrap();
        assert_eq!(spec.electra_fork_epoch, Epoch::new(364_032));
        assert_eq!(spec.blob_schedule.len(), 1, "the entry before Fulu is left out");
    }

    #[test]
    fn errors_name_key_found_and_expected() {
        let error = ChainSpec::from_yaml("DVT_FORK_EPOCH: soon").unwrap_err();
        assert_eq!(
            error.to_string(),
            "DVT_FORK_EPOCH: found \"soon\", expected an epoch number"
        );
        let error = ChainSpec::from_yaml("FULU_FORK_EPOCH: 4\nDVT_FORK_EPOCH: 3").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("DVT_FORK_EPOCH 3 is before FULU_FORK_EPOCH 4")
        );
        let error = ChainSpec::from_yaml("SECONDS_PER_SLOT: 6\nSLOT_DURATION_MS: 12000").unwrap_err();
        assert!(error.to_string().contains("6000 ms"));
        for (yaml, said) in [
            ("GENESIS_FORK_VERSION: 10000000", "0x and 8 hex digits"),
            (
                "GENESIS_FORK_VERSION: 0x1000",
                "\"0x1000\", expected 0x and 8 hex digits",
            ),
            ("MIN_GENESIS_TIME: -1", "MIN_GENESIS_TIME: found \"-1\""),
            ("MIN_GENESIS_TIME: [1]", "MIN_GENESIS_TIME: found"),
            ("BLOB_SCHEDULE: 4", "BLOB_SCHEDULE: found \"4\", expected a list"),
            ("BLOB_SCHEDULE: [{EPOCH: 500000}]", "EPOCH and MAX_BLOBS_PER_BLOCK"),
            ("PRESET_BASE: [minimal]", "expected mainnet or minimal"),
            ("PRESET_BASE: gnosis", "found \"gnosis\", expected mainnet or minimal"),
            (
                "MIN_GENESIS_TIME: 1\nMIN_GENESIS_TIME: 2",
                "MIN_GENESIS_TIME is given twice",
            ),
            ("SECONDS_PER_SLOT: twelve", "SECONDS_PER_SLOT: found \"twelve\""),
            ("SLOT_DURATION_MS: 0", "SLOT_DURATION_MS is 0, expected 100 to 3600000"),
            (
                "SLOT_DURATION_MS: 18446744073709551615",
                "SLOT_DURATION_MS is 18446744073709551615, expected 100 to 3600000",
            ),
            ("SECONDS_PER_SLOT: 18446744073709551615", "SECONDS_PER_SLOT: found"),
            (
                "SECONDS_PER_SLOT: 18446744073709551",
                "SLOT_DURATION_MS is 18446744073709551000",
            ),
            (
                "CHURN_LIMIT_QUOTIENT: 0",
                "CHURN_LIMIT_QUOTIENT is 0, expected at least 1",
            ),
            (
                "ATTESTATION_DUE_BPS: 10001",
                "ATTESTATION_DUE_BPS is 10001, expected 0 to 10000",
            ),
            ("EPOCHS_PER_SUBNET_SUBSCRIPTION: 0", "expected at least 1"),
            ("SUBNETS_PER_NODE: 65", "SUBNETS_PER_NODE is 65, expected 0 to 64"),
            ("ATTESTATION_SUBNET_PREFIX_BITS: 64", "expected 0 to 6"),
            ("NUMBER_OF_CUSTODY_GROUPS: 129", "expected 1 to 128"),
            (
                "CUSTODY_REQUIREMENT: 129",
                "CUSTODY_REQUIREMENT is 129, expected 0 to 128",
            ),
            (
                "PRESET_BASE: minimal\nSLOTS_PER_EPOCH: 32",
                "SLOTS_PER_EPOCH is 32, expected 8 of the preset minimal",
            ),
            (
                "SLOTS_PER_EPOCH: 0",
                "SLOTS_PER_EPOCH is 0, expected 32 of the preset mainnet",
            ),
            ("SLOTS_PER_EPOCH: [32]", "expected 32 of the preset mainnet"),
            (
                "ELECTRA_FORK_EPOCH: 9\nFULU_FORK_EPOCH: 8",
                "FULU_FORK_EPOCH 8 is before ELECTRA_FORK_EPOCH 9",
            ),
            (
                "DVT_FORK_VERSION: 0x06000000",
                "FULU_FORK_VERSION and DVT_FORK_VERSION are both 0x06000000",
            ),
            ("- a list", "not a YAML map"),
        ] {
            let error = ChainSpec::from_yaml(yaml).expect_err(yaml).to_string();
            assert!(error.contains(said), "{yaml}: {error}");
        }
    }

    #[test]
    fn blob_schedule_follows_the_rules_of_the_spec() {
        let read = |schedule: &str| ChainSpec::from_yaml(&format!("FULU_FORK_EPOCH: 4\nBLOB_SCHEDULE: {schedule}"));
        let spec = read("[{EPOCH: 9, MAX_BLOBS_PER_BLOCK: '21'}, {EPOCH: '6', MAX_BLOBS_PER_BLOCK: 15}]").unwrap();
        let blobs = |epoch| spec.get_blob_parameters(Epoch::new(epoch)).max_blobs_per_block;
        assert_eq!([5, 6, 8, 9].map(blobs), [9, 15, 15, 21]);
        assert!(read("").unwrap().blob_schedule.is_empty());
        let undated = "{EPOCH: 18446744073709551615, MAX_BLOBS_PER_BLOCK: 9}";
        assert_eq!(read(&format!("[{undated}, {undated}]")).unwrap().blob_schedule.len(), 2);
        for (schedule, said) in [
            ("[{EPOCH: 3, MAX_BLOBS_PER_BLOCK: 9}]", "before FULU_FORK_EPOCH 4"),
            ("[{EPOCH: 5, MAX_BLOBS_PER_BLOCK: 4097}]", "at most 4096"),
            (
                "[{EPOCH: 5, MAX_BLOBS_PER_BLOCK: 9}, {EPOCH: 5, MAX_BLOBS_PER_BLOCK: 10}]",
                "two entries for epoch 5",
            ),
        ] {
            let error = read(schedule).expect_err(schedule).to_string();
            assert!(error.contains(said), "{schedule}: {error}");
        }
    }

    #[test]
    fn values_are_read_with_and_without_quotes() {
        let large = ChainSpec::from_yaml("TERMINAL_TOTAL_DIFFICULTY: 58750000000000000000000").unwrap();
        assert_eq!(large, ChainSpec::mainnet());
        let largest = "115792089237316195423570985008687907853269984665640564039457584007913129638912";
        let spec = ChainSpec::from_yaml(&format!("TERMINAL_TOTAL_DIFFICULTY: {largest}")).unwrap();
        assert_eq!(spec.to_json()["TERMINAL_TOTAL_DIFFICULTY"], largest);
        assert_eq!(
            spec.terminal_total_difficulty,
            ChainSpec::minimal().terminal_total_difficulty
        );
        let plain = ChainSpec::from_yaml("MIN_GENESIS_TIME: 7\nGENESIS_FORK_VERSION: 0x00000938").unwrap();
        let quoted = ChainSpec::from_yaml("MIN_GENESIS_TIME: '7'\nGENESIS_FORK_VERSION: \"0x00000938\"").unwrap();
        assert_eq!(plain, quoted);
        assert_eq!(plain.genesis_fork_version, Version::new([0, 0, 9, 0x38]));
    }

    #[test]
    fn seconds_per_slot_alone_gives_the_duration() {
        let spec = ChainSpec::from_yaml("SECONDS_PER_SLOT: 3").unwrap();
        assert_eq!(spec.slot_duration_ms, 3000);
        assert_eq!(spec.to_json()["SECONDS_PER_SLOT"], "3");
        let spec = ChainSpec::from_yaml("SLOT_DURATION_MS: 1500").unwrap();
        assert!(
            !spec.to_json().contains_key("SECONDS_PER_SLOT"),
            "no whole number of seconds"
        );
    }

    #[test]
    fn unknown_keys_keep_their_order() {
        let spec = ChainSpec::from_yaml("ZZ: 1\nMIN_GENESIS_TIME: 7\nAA: 2\nMM: 3").unwrap();
        let keys: Vec<&str> = spec.unknown.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["ZZ", "AA", "MM"]);
    }
}
