//! `fresnel mock-el`: the mock execution client on its own.

use clap::Args;
use execution_layer::JwtSecret;
use genesis::ExecutionGenesis;
use mock_execution::{GenesisParameters, MockConfig, MockExecution, genesis_block};
use runtime::ShutdownHandle;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Flags of `fresnel mock-el`.
#[derive(Debug, Args)]
pub(crate) struct MockElArgs {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8551")]
    listen: SocketAddr,
    /// File with the secret that is shared with the beacon node; made if there is none.
    #[arg(long, value_name = "FILE")]
    jwt_secret: PathBuf,
    /// Genesis time of the network, in seconds since the Unix epoch: the same for all its nodes.
    #[arg(long, value_name = "SECONDS", required_unless_present = "eth1_config")]
    genesis_time: Option<u64>,
    /// Genesis file of the execution chain, in go-ethereum's form, to begin with its first block. Accounts and contracts
    /// are not there: this client executes nothing.
    #[arg(long, value_name = "FILE", conflicts_with = "genesis_time")]
    eth1_config: Option<PathBuf>,
    /// Directory in which the chain is kept [default: in memory].
    #[arg(long, value_name = "DIR")]
    chain_dir: Option<PathBuf>,
}

pub(crate) async fn run(args: MockElArgs, shutdown: ShutdownHandle) -> Result<(), String> {
    let secret = JwtSecret::from_file_or_new(&args.jwt_secret).map_err(|error| error.to_string())?;
    let config = match &args.eth1_config {
        Some(path) => {
            let genesis = ExecutionGenesis::from_file(path).map_err(|error| error.to_string())?;
            MockConfig {
                chain_id: genesis.chain_id,
                ..MockConfig::new(*secret.as_bytes(), genesis.block)
            }
        }
        None => {
            let parameters = GenesisParameters::at(args.genesis_time.unwrap_or_default());
            MockConfig::new(*secret.as_bytes(), genesis_block(&parameters))
        }
    };
    let config = MockConfig {
        listen: args.listen,
        data_dir: args.chain_dir,
        ..config
    };
    let running = MockExecution::start(config).await.map_err(|error| error.to_string())?;
    let reason = shutdown.subscribe().wait().await;
    tracing::info!(reason, "Stopping");
    drop(running);
    Ok(())
}
