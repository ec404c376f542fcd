//! `fresnel`: a beacon node, a validator client, and a devnet in one binary, with Lighthouse's command line.

use clap::{Args, Parser, Subcommand};
use runtime::{LogLevel, ShutdownHandle};
use std::path::PathBuf;
use std::process::ExitCode;

mod genesis_state;
mod mock_el;
mod open_files;
mod xmss_key;

/// States are trees of many small nodes that come and go by the hundred thousand: this one halves an epoch's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads that run async work; heavy work has threads of its own.
const ASYNC_THREADS: usize = 2;
/// Threads for calls that block: files, replay.
const BLOCKING_THREADS: usize = 8;

/// An Ethereum consensus client in which distributed validators are part of the protocol.
#[derive(Debug, Parser)]
#[command(name = "fresnel", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// Directory of all data [default: ~/.fresnel].
    #[arg(long, short, value_name = "DIR", global = true)]
    datadir: Option<PathBuf>,
    /// Directory with config.yaml and genesis.ssz of the network.
    #[arg(long, short, value_name = "DIR", global = true, conflicts_with = "network")]
    testnet_dir: Option<PathBuf>,
    /// A public network. None is built in: use --testnet-dir.
    #[arg(long, value_name = "NAME", global = true)]
    network: Option<String>,
    /// How much is logged: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", global = true, default_value = "info")]
    debug_level: LogLevel,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a beacon node.
    #[command(name = "beacon_node", visible_aliases = ["bn", "b", "beacon"])]
    BeaconNode(Box<node::BeaconNodeArgs>),
    /// Runs a validator client.
    #[command(name = "validator_client", visible_aliases = ["vc", "v", "validator"])]
    ValidatorClient(Box<client::ValidatorClientArgs>),
    /// Changes the keys of a validator.
    #[command(name = "validator_manager", visible_aliases = ["vm", "validator-manager"])]
    ValidatorManager(Box<client::ManagerArgs>),
    /// Starts a network of nodes on this machine and watches it.
    Devnet(Box<devnet::DevnetArgs>),
    /// Runs an execution client that has the real Engine API and a toy chain.
    MockEl(mock_el::MockElArgs),
    /// Makes the genesis state of a test network.
    Genesis(genesis_state::GenesisArgs),
    /// Makes an XMSS key for a place in a group's key set and prints its public key.
    MakeXmssKey(xmss_key::MakeXmssKeyArgs),
}

impl Common {
    fn datadir(&self) -> PathBuf {
        absolute(
            self.datadir
                .clone()
                .unwrap_or_else(|| std::env::home_dir().unwrap_or_default().join(".fresnel")),
        )
    }

    /// `--network` is refused here and not by the parser, so that the message can say what to do.
    fn check_network(&self) -> Result<(), String> {
        match &self.network {
            Some(name) => Err(format!(
                "--network {name}: no public network is built in; pass --testnet-dir with its config.yaml and genesis.ssz"
            )),
            None => Ok(()),
        }
    }

    fn testnet_dir(&self) -> Option<PathBuf> {
        self.testnet_dir.clone().map(absolute)
    }

    fn required_testnet_dir(&self) -> Result<PathBuf, String> {
        self.testnet_dir()
            .ok_or_else(|| "--testnet-dir is missing: the directory with config.yaml and genesis.ssz".to_owned())
    }
}

/// Errors and logs name files so that they are found from anywhere. A path that cannot be made absolute is told as it is.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

async fn run(cli: Cli, shutdown: ShutdownHandle) -> Result<(), String> {
    cli.common.check_network()?;
    let datadir = cli.common.datadir();
    match cli.command {
        Command::BeaconNode(args) => {
            let common = node::Common {
                datadir,
                testnet_dir: cli.common.required_testnet_dir()?,
            };
            node::run(*args, common, shutdown)
                .await
                .map_err(|error| error.to_string())
        }
        Command::ValidatorClient(args) => {
            let common = client::Common {
                datadir,
                testnet_dir: cli.common.testnet_dir(),
            };
            client::run(*args, common, shutdown)
                .await
                .map_err(|error| error.to_string())
        }
        Command::ValidatorManager(args) => {
            let common = client::Common {
                datadir,
                testnet_dir: cli.common.testnet_dir(),
            };
            let text = client::manage(*args, common).await.map_err(|error| error.to_string())?;
            println!("{text}");
            Ok(())
        }
        Command::Devnet(args) => devnet::run(*args, shutdown).await.map_err(|error| error.to_string()),
        Command::MockEl(args) => mock_el::run(args, shutdown).await,
        Command::Genesis(args) => tokio::task::spawn_blocking(move || genesis_state::run(&args))
            .await
            .map_err(|error| error.to_string())?,
        Command::MakeXmssKey(args) => tokio::task::spawn_blocking(move || xmss_key::run(&args, &datadir))
            .await
            .map_err(|error| error.to_string())?,
    }
}

/// Arguments without a repeated program name: some scripts say `lighthouse lighthouse vc`.
fn arguments() -> impl Iterator<Item = std::ffi::OsString> {
    let mut arguments = std::env::args_os().peekable();
    let program = arguments.next();
    while arguments
        .next_if(|argument| argument == "lighthouse" || argument == "fresnel")
        .is_some()
    {}
    program.into_iter().chain(arguments)
}

fn main() -> ExitCode {
    let cli = Cli::parse_from(arguments());
    // A devnet draws on the terminal; its nodes log to files.
    let level = match cli.command {
        Command::Devnet(_) => LogLevel::Warn,
        _ => cli.common.debug_level,
    };
    runtime::init_logging(level);
    open_files::raise_limit();
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(ASYNC_THREADS)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build();
    let threads = match threads {
        Ok(threads) => threads,
        Err(error) => {
            eprintln!("fresnel: the system gives no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = threads.block_on(async {
        let (handle, _shutdown) = ShutdownHandle::new();
        let listener = handle.clone();
        tokio::spawn(async move {
            if let Err(error) = runtime::listen_for_signals(listener).await {
                tracing::error!(%error, "Signals are not listened to");
            }
        });
        run(cli, handle).await
    });
    threads.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fresnel: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_before_or_after_the_command() {
        for line in [
            "lighthouse beacon_node --debug-level=warn --datadir=/data --testnet-dir=/network-configs --http",
            "lighthouse --debug-level warn --datadir /data --testnet-dir /network-configs bn --http",
        ] {
            let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
            assert_eq!(cli.common.datadir(), PathBuf::from("/data"));
            assert_eq!(cli.common.debug_level, LogLevel::Warn);
            assert_eq!(
                cli.common.required_testnet_dir().unwrap(),
                PathBuf::from("/network-configs")
            );
        }
    }

    /// What is logged, and what is written into files, holds from any directory.
    #[test]
    fn relative_directories_become_absolute() {
        let line = ["fresnel", "vc", "--datadir", "data", "--testnet-dir", "net/files"];
        let common = Cli::try_parse_from(line).unwrap().common;
        let here = std::env::current_dir().unwrap();
        assert_eq!(common.datadir(), here.join("data"));
        assert_eq!(common.testnet_dir(), Some(here.join("net/files")));
    }

    #[test]
    fn a_public_network_is_refused_with_what_to_do_instead() {
        let cli = Cli::try_parse_from(["fresnel", "bn", "--network", "mainnet"]).unwrap();
        let error = cli.common.check_network().unwrap_err();
        assert!(error.contains("--testnet-dir"), "{error}");
    }
}
