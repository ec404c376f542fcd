//! Genesis states of test networks: registry keys from mnemonics and lists, groups from a file, the first block of the
//! execution chain from the genesis file of its clients. The files and flags are those of the ecosystem's generators;
//! groups are what is added.

mod blob_schedule;
mod error;
mod execution;
mod groups;
mod keys;
mod keystores;
mod new_chain;
mod registry;

pub use blob_schedule::BlobSchedule;
pub use error::GenesisError;
pub use execution::ExecutionGenesis;
pub use keystores::{Keystores, parse_key_numbers};
pub use new_chain::{CONSOLIDATION_REQUESTS, NewExecutionChain, WITHDRAWAL_REQUESTS};

use error::read;
use groups::Groups;
use keys::{Mnemonics, validators_from_list};
use keystore::write_atomically;
use registry::{Files, Registry};
use ssz::Encode as _;
use state_transition::genesis::genesis_state;
use std::path::{Path, PathBuf};
use types::{BeaconState, ChainSpec, Epoch, Mainnet, Minimal, Preset, PresetName, Root};

/// Largest configuration that is read.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The files that a genesis is made of.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// `config.yaml` of the consensus chain.
    pub config: PathBuf,
    /// Genesis file of the execution chain, in go-ethereum's form.
    pub execution_genesis: PathBuf,
    /// `mnemonics.yaml`.
    pub mnemonics: Option<PathBuf>,
    /// A list of validators.
    pub additional_validators: Option<PathBuf>,
    /// `groups.yaml`.
    pub groups: Option<PathBuf>,
    /// Shuffles blocks of solo validators.
    pub shuffle_seed: Option<u64>,
}

/// Where a genesis is written.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    /// The state as SSZ.
    pub state: Option<PathBuf>,
    /// The state as JSON.
    pub json: Option<PathBuf>,
    /// Which validators come from which keys, as YAML.
    pub mapping: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Entries of the registry.
    pub validators: usize,
    /// How many of them are groups.
    pub groups: usize,
    /// Unix seconds of slot 0.
    pub genesis_time: u64,
    /// Hash of the first block of the execution chain.
    pub execution_block: Root,
    /// What the network is known by.
    pub genesis_validators_root: Root,
}

/// Makes a genesis state and writes it. Files are written whole or not at all.
pub fn make(inputs: &Inputs, outputs: &Outputs) -> Result<Summary, GenesisError> {
    let wrong_config = |reason: String| GenesisError::content(&inputs.config, reason);
    let spec = read_config(&inputs.config)?;
    let execution = ExecutionGenesis::from_file(&inputs.execution_genesis)?;
    check_chain(&spec, &execution).map_err(wrong_config)?;

    let mnemonics = match &inputs.mnemonics {
        Some(path) => Mnemonics::from_file(path)?,
        None => Mnemonics::default(),
    };
    let groups = match &inputs.groups {
        Some(path) => {
            if spec.dvt_fork_epoch != Epoch::new(0) {
                return Err(wrong_config(format!(
                    "DVT_FORK_EPOCH is {}, expected 0 for a genesis with groups",
                    spec.dvt_fork_epoch
                )));
            }
            Groups::from_file(path, &mnemonics)?
        }
        None => Groups::default(),
    };
    let mut keys = mnemonics.keys;
    if let Some(path) = &inputs.additional_validators {
        keys.extend(validators_from_list(path)?);
    }
    let files = Files {
        mnemonics: inputs.mnemonics.clone(),
        list: inputs.additional_validators.clone(),
        groups: inputs.groups.clone(),
    };
    let registry = Registry::new(keys, groups, inputs.shuffle_seed, files).map_err(GenesisError::State)?;
    let summary = match spec.preset_base {
        PresetName::Mainnet => write_state::<Mainnet>(&spec, &execution, &registry, outputs),
        PresetName::Minimal => write_state::<Minimal>(&spec, &execution, &registry, outputs),
    }?;
    if let Some(path) = &outputs.mapping {
        write(path, registry.mapping().as_bytes())?;
    }
    Ok(summary)
}

/// Reads `config.yaml`.
pub fn read_config(path: &Path) -> Result<ChainSpec, GenesisError> {
    let wrong = |reason: String| GenesisError::content(path, reason);
    let yaml = String::from_utf8(read(path, MAX_CONFIG_BYTES)?).map_err(|error| wrong(error.to_string()))?;
    let spec = ChainSpec::from_yaml(&yaml).map_err(|error| wrong(error.to_string()))?;
    spec.validate().map_err(|error| wrong(error.to_string()))?;
    Ok(spec)
}

/// Unix seconds of slot 0.
fn genesis_time(spec: &ChainSpec, first_block: u64) -> Result<u64, GenesisError> {
    let start = match spec.min_genesis_time {
        0 => first_block,
        time => time,
    };
    start
        .checked_add(spec.genesis_delay)
        .ok_or_else(|| GenesisError::State("MIN_GENESIS_TIME and GENESIS_DELAY add up to more than 64 bits".to_owned()))
}

/// The two chains have to mean each other.
fn check_chain(spec: &ChainSpec, execution: &ExecutionGenesis) -> Result<(), String> {
    if spec.deposit_chain_id != execution.chain_id {
        return Err(format!(
            "DEPOSIT_CHAIN_ID is {}, but the execution chain has the id {}",
            spec.deposit_chain_id, execution.chain_id
        ));
    }
    match execution.deposit_contract {
        Some(contract) if contract != spec.deposit_contract_address => Err(format!(
            "DEPOSIT_CONTRACT_ADDRESS is {}, but the execution chain watches {contract}: deposits would be lost",
            spec.deposit_contract_address
        )),
        _ => Ok(()),
    }
}

fn write_state<P: Preset>(
    spec: &ChainSpec,
    execution: &ExecutionGenesis,
    registry: &Registry,
    outputs: &Outputs,
) -> Result<Summary, GenesisError> {
    let genesis_time = genesis_time(spec, execution.block.header.timestamp)?;
    let wrong = |error: &dyn std::fmt::Display| GenesisError::State(error.to_string());
    let header = execution
        .block
        .to_payload_header::<P>()
        .map_err(|error| wrong(&error))?;
    let validators = &registry.validators;
    let made = genesis_state(genesis_time, validators, header, spec).map_err(|error| match error {
        state_transition::GenesisError::Group { index, reason } => {
            GenesisError::State(format!("{}: {reason}", registry.place(index.as_usize())))
        }
        other => wrong(&other),
    });
    let state: BeaconState<P> = made?;
    if let Some(path) = &outputs.state {
        write(path, &state.as_ssz_bytes())?;
    }
    if let Some(path) = &outputs.json {
        write(path, &serde_json::to_vec(&state).map_err(|error| wrong(&error))?)?;
    }
    Ok(Summary {
        validators: validators.len(),
        groups: validators.iter().filter(|validator| validator.group.is_some()).count(),
        genesis_time,
        execution_block: execution.block.hash,
        genesis_validators_root: state.genesis_validators_root(),
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), GenesisError> {
    write_atomically(path, bytes).map_err(|error| GenesisError::content(path, error.to_string()))
}
