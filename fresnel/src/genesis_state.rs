//! `fresnel genesis`: takes the place of eth-genesis-state-generator, and adds groups.

use clap::{Args, Subcommand};
use genesis::{Inputs, Outputs};
use std::path::PathBuf;

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

/// Makes a genesis state. Prints what it is known by.
pub(crate) fn run(args: &GenesisArgs) -> Result<(), String> {
    let Command::Beaconchain(args) = &args.command;
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
