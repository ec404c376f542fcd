//! `fresnel genesis`: takes the place of eth-genesis-state-generator, and adds groups.

use clap::{Args, Subcommand};
use genesis::{BlobSchedule, Inputs, Keystores, NewExecutionChain, Outputs, parse_key_numbers, read_config};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use types::{ExecutionAddress, Uint256};

/// Wei of an ETH.
const WEI_PER_ETH: u64 = 1_000_000_000_000_000_000;

/// Flags of `fresnel genesis`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct GenesisArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes the genesis state of a beacon chain that starts with Fulu, or with groups.
    #[command(visible_aliases = ["bc", "beacon", "devnet"])]
    Beaconchain(Box<BeaconchainArgs>),
    /// Makes a genesis file for execution clients, in go-ethereum's form: with the contracts of the protocol, the deposit
    /// contract, and funded accounts.
    #[command(visible_alias = "el")]
    Execution(ExecutionArgs),
    /// Writes the keystores of one participant, and their passwords, in the layout of Lighthouse's directories.
    Keystores(KeystoresArgs),
}

/// A list of numbers as one value: clap takes a `Vec` for a flag that is given more than once.
#[derive(Debug, Clone)]
struct KeyNumbers(Vec<u64>);

impl std::str::FromStr for KeyNumbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_key_numbers(text).map(Self)
    }
}

#[derive(Debug, Args)]
struct KeystoresArgs {
    /// Mnemonics of the validators' keys.
    #[arg(long, value_name = "FILE")]
    mnemonics: PathBuf,
    /// Which keys, as the groups file counts them: over all entries of the mnemonics, from 0. For example 0-15,32.
    #[arg(long, value_name = "NUMBERS")]
    keys: KeyNumbers,
    /// Directory of keystores.
    #[arg(long, value_name = "DIR")]
    validators_dir: PathBuf,
    /// Directory of the keystores' passwords.
    #[arg(long, value_name = "DIR")]
    secrets_dir: PathBuf,
    /// Encrypt with a key derivation of no strength: for test networks, where starting must not take long.
    #[arg(long)]
    insecure: bool,
}

#[derive(Debug, Args)]
struct ExecutionArgs {
    /// Where to write it.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Chain id.
    #[arg(long, value_name = "NUMBER", default_value_t = devnet::CHAIN_ID)]
    chain_id: u64,
    /// Unix seconds of the first block, before the genesis of the consensus chain [default: now].
    #[arg(long, value_name = "SECONDS")]
    timestamp: Option<u64>,
    /// Where deposits go.
    #[arg(long, value_name = "ADDRESS", default_value_t = devnet::DEPOSIT_CONTRACT)]
    deposit_contract: ExecutionAddress,
    /// An account and its ETH; may be given more than once.
    #[arg(long, value_name = "ADDRESS=ETH", value_parser = funded)]
    fund: Vec<(ExecutionAddress, Uint256)>,
    /// Fund the accounts that scenarios of `fresnel devnet` send from.
    #[arg(long)]
    fund_devnet: bool,
    /// Begin with Osaka instead of Prague.
    #[arg(long)]
    osaka: bool,
    /// Configuration of the consensus chain, if its blob parameters are not those of Electra on public networks.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// `ADDRESS=ETH`, as Wei.
fn funded(text: &str) -> Result<(ExecutionAddress, Uint256), String> {
    let (address, eth) = text.split_once('=').ok_or("expected ADDRESS=ETH")?;
    let address = address
        .parse()
        .map_err(|_| format!("{address:?} is not an address: expected 0x and 40 hexadecimal digits"))?;
    let eth: u64 = eth
        .parse()
        .map_err(|_| format!("{eth:?} is not a whole number of ETH"))?;
    Ok((address, Uint256::from(eth).saturating_mul(Uint256::from(WEI_PER_ETH))))
}

#[derive(Debug, Args)]
struct BeaconchainArgs {
    /// Genesis file of the execution chain, in go-ethereum's form.
    #[arg(long, value_name = "FILE")]
    eth1_config: PathBuf,
    /// Configuration of the consensus chain.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Mnemonics of the validators' keys.
    #[arg(long, value_name = "FILE", required_unless_present = "additional_validators")]
    mnemonics: Option<PathBuf>,
    /// A list of more validators: lines of pubkey:withdrawal credentials[:balance in Gwei].
    #[arg(long, value_name = "FILE")]
    additional_validators: Option<PathBuf>,
    /// Groups. Keys of the mnemonics that are members are no validators of their own.
    #[arg(long, value_name = "FILE", env = "FRESNEL_GROUPS")]
    groups: Option<PathBuf>,
    /// Where to write the state as SSZ.
    #[arg(long, value_name = "FILE", required_unless_present = "json_output")]
    state_output: Option<PathBuf>,
    /// Where to write the state as JSON.
    #[arg(long, value_name = "FILE")]
    json_output: Option<PathBuf>,
    /// Where to write which validators come from which keys, as YAML.
    #[arg(long, value_name = "FILE")]
    validators_mapping_output: Option<PathBuf>,
    /// Shuffle blocks of solo validators.
    #[arg(long)]
    shuffle_validators: bool,
    /// What the shuffled order depends on.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, requires = "shuffle_validators")]
    shuffle_seed: u64,
    /// Print nothing.
    #[arg(long, short)]
    quiet: bool,
}

/// Makes what is asked for. Prints what it is known by.
pub(crate) fn run(args: &GenesisArgs) -> Result<(), String> {
    match &args.command {
        Command::Beaconchain(args) => make_state(args),
        Command::Execution(args) => make_execution(args),
        Command::Keystores(args) => write_keystores(args),
    }
}

fn write_keystores(args: &KeystoresArgs) -> Result<(), String> {
    let keystores = Keystores {
        mnemonics: args.mnemonics.clone(),
        keys: args.keys.0.clone(),
        validators_dir: args.validators_dir.clone(),
        secrets_dir: args.secrets_dir.clone(),
        is_insecure: args.insecure,
    };
    for key in keystores.write().map_err(|error| error.to_string())? {
        println!("{key}");
    }
    Ok(())
}

fn make_execution(args: &ExecutionArgs) -> Result<(), String> {
    let mut balances: BTreeMap<ExecutionAddress, Uint256> = BTreeMap::new();
    if args.fund_devnet {
        balances = devnet::funded_accounts().map_err(|error| error.to_string())?;
    }
    balances.extend(args.fund.iter().copied());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let timestamp = args.timestamp.unwrap_or(now);
    let blobs = match &args.config {
        Some(path) => {
            let spec = read_config(path).map_err(|error| error.to_string())?;
            BlobSchedule::of(&spec, timestamp).map_err(|error| format!("{}: {error}", path.display()))?
        }
        None => BlobSchedule::default(),
    };
    let chain = NewExecutionChain {
        chain_id: args.chain_id,
        timestamp,
        extra_data: b"fresnel".to_vec().into(),
        deposit_contract: args.deposit_contract,
        balances,
        osaka: args.osaka,
        blobs,
    };
    let first = chain.write(&args.output).map_err(|error| error.to_string())?;
    println!("chain id: {}", first.chain_id);
    println!("first block: {:?}", first.block.hash);
    Ok(())
}

fn make_state(args: &BeaconchainArgs) -> Result<(), String> {
    let inputs = Inputs {
        config: args.config.clone(),
        execution_genesis: args.eth1_config.clone(),
        mnemonics: args.mnemonics.clone(),
        additional_validators: args.additional_validators.clone(),
        groups: args.groups.clone(),
        shuffle_seed: args.shuffle_validators.then_some(args.shuffle_seed),
    };
    let outputs = Outputs {
        state: args.state_output.clone(),
        json: args.json_output.clone(),
        mapping: args.validators_mapping_output.clone(),
    };
    let summary = genesis::make(&inputs, &outputs).map_err(|error| error.to_string())?;
    if !args.quiet {
        println!(
            "validators: {}, of which groups: {}",
            summary.validators, summary.groups
        );
        println!("genesis time: {}", summary.genesis_time);
        println!("genesis validators root: {:?}", summary.genesis_validators_root);
        println!("execution block: {:?}", summary.execution_block);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn funds_are_given_in_whole_eth() {
        let (address, wei) = funded("0x8943545177806ED17B9F23F0a21ee5948eCaa776=3").unwrap();
        assert_eq!(address.as_slice()[0], 0x89);
        assert_eq!(wei.to_string(), "3000000000000000000");
        for (text, expected) in [
            ("0x8943545177806ED17B9F23F0a21ee5948eCaa776", "expected ADDRESS=ETH"),
            ("0x89=1", "is not an address"),
            (
                "0x8943545177806ED17B9F23F0a21ee5948eCaa776=1.5",
                "is not a whole number",
            ),
        ] {
            assert!(funded(text).unwrap_err().contains(expected), "{text}");
        }
    }

    #[test]
    fn a_file_for_execution_clients_is_written_with_the_accounts_of_the_devnet() {
        let dir = tempfile::tempdir().unwrap();
        let args = ExecutionArgs {
            output: dir.path().join("genesis.json"),
            chain_id: 7,
            timestamp: Some(1_800_000_000),
            deposit_contract: devnet::DEPOSIT_CONTRACT,
            fund: Vec::new(),
            fund_devnet: true,
            osaka: false,
            config: None,
        };
        make_execution(&args).unwrap();
        let file: serde_json::Value = serde_json::from_slice(&std::fs::read(&args.output).unwrap()).unwrap();
        assert_eq!(file["config"]["chainId"], 7);
        let accounts = file["alloc"].as_object().unwrap().len();
        assert_eq!(accounts, devnet::funded_accounts().unwrap().len() + 5);
    }

    #[test]
    fn a_file_for_execution_clients_follows_the_blob_parameters_of_the_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.yaml");
        let yaml = "PRESET_BASE: minimal\nFULU_FORK_EPOCH: 0\nMIN_GENESIS_TIME: 1800000100\nGENESIS_DELAY: 0\n\
                    SLOT_DURATION_MS: 6000\nBLOB_SCHEDULE: [{EPOCH: 3, MAX_BLOBS_PER_BLOCK: 21}]\n";
        std::fs::write(&config, yaml).unwrap();
        let mut args = ExecutionArgs {
            output: dir.path().join("genesis.json"),
            chain_id: 7,
            timestamp: Some(1_800_000_000),
            deposit_contract: devnet::DEPOSIT_CONTRACT,
            fund: Vec::new(),
            fund_devnet: false,
            osaka: true,
            config: Some(config),
        };
        make_execution(&args).unwrap();
        let file: serde_json::Value = serde_json::from_slice(&std::fs::read(&args.output).unwrap()).unwrap();
        assert_eq!(file["config"]["bpo1Time"], 1_800_000_244);
        assert_eq!(file["config"]["blobSchedule"]["bpo1"]["max"], 21);
        args.osaka = false;
        assert!(make_execution(&args).unwrap_err().contains("stays with Prague"));
    }
}
