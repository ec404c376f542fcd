//! Start and end of a node.

use crate::args::BeaconNodeArgs;
use crate::chain::{ChainSource, start_chain};
use crate::chain_metrics::ChainMetrics;
use crate::checkpoint::CheckpointSource;
use crate::custody::{CustodyTask, note_columns_kept, raise_custody, stored_steps};
use crate::slot_tasks::SlotTasks;
use crate::testnet::TestnetDir;
use crate::{NodeError, metrics_server};
use beacon_chain::{BeaconChain, ChainError};
use block_production::BlockProducer;
use execution_layer::{ExecutionConfig, ExecutionLayer, ExpectedChain, JwtSecret};
use futures::future::LocalBoxFuture;
use gossip_validation::GossipValidator;
use group_duties::Proposals;
use http_api::ApiContext;
use http_server::Listener;
use intake::{Custody, Intake};
use network::NetworkService;
use operation_pool::OperationPool;
use router::{Router, RouterConfig, fork_context, status_message};
use runtime::{ShutdownHandle, WorkerPool};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use types::{ChainSpec, Mainnet, Minimal, Preset, PresetName};

/// Messages that wait to be published.
const OUTGOING_QUEUE: usize = 1024;
/// How often the execution client is asked whether it is there.
const UPCHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Flags that a node shares with other commands.
#[derive(Debug, Clone)]
pub struct Common {
    /// `--datadir`.
    pub datadir: PathBuf,
    /// `--testnet-dir`.
    pub testnet_dir: PathBuf,
}

/// Runs a node until `shutdown` is triggered.
///
/// Boxed here, so that it is compiled once, in this crate: the body of an `async fn` is compiled again by each user.
pub fn run(
    args: BeaconNodeArgs,
    common: Common,
    shutdown: ShutdownHandle,
) -> LocalBoxFuture<'static, Result<(), NodeError>> {
    Box::pin(run_network(args, common, shutdown))
}

async fn run_network(args: BeaconNodeArgs, common: Common, shutdown: ShutdownHandle) -> Result<(), NodeError> {
    let testnet = TestnetDir::new(common.testnet_dir.clone());
    let spec = Arc::new(testnet.spec()?);
    match spec.preset_base {
        PresetName::Mainnet => run_preset::<Mainnet>(args, common, testnet, spec, shutdown).await,
        PresetName::Minimal => run_preset::<Minimal>(args, common, testnet, spec, shutdown).await,
    }
}

async fn run_preset<P: Preset>(
    args: BeaconNodeArgs,
    common: Common,
    testnet: TestnetDir,
    spec: Arc<ChainSpec>,
    shutdown: ShutdownHandle,
) -> Result<(), NodeError> {
    for line in args.without_effect() {
        tracing::warn!("{line}");
    }
    // Meanwhile: the first column is not to keep workers waiting.
    std::thread::Builder::new()
        .name("trusted-setup".to_owned())
        .spawn(data_columns::load_trusted_setup)
        .map_err(NodeError::Threads)?;
    let end = shutdown.subscribe();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let workers = WorkerPool::start(threads).map_err(NodeError::Threads)?;
    let genesis = testnet.genesis::<P>(&spec)?;
    let expected = ExpectedChain {
        chain_id: spec.deposit_chain_id,
        genesis_hash: genesis
            .as_ref()
            .map(|state| state.latest_execution_payload_header().block_hash),
    };
    let execution_layer = execution_layer(&args, expected)?;
    let checkpoint = match &args.checkpoint_sync_url {
        Some(url) => Some(CheckpointSource::new(
            url,
            Duration::from_secs(args.checkpoint_sync_url_timeout),
        )?),
        None => None,
    };
    let source = ChainSource {
        datadir: &common.datadir,
        genesis,
        checkpoint,
        purge_db: args.purge_db,
    };
    let mut asked_to_end = end.clone();
    let chain = tokio::select! {
        chain = start_chain::<P>(source, Arc::clone(&spec), execution_layer.clone(), workers) => chain?,
        reason = asked_to_end.wait() => {
            tracing::info!(reason, "Stopped before the chain was there");
            return Ok(());
        }
    };
    if let Some(layer) = &execution_layer {
        let (layer, mut end) = (Arc::clone(layer), shutdown.subscribe());
        tokio::spawn(async move {
            let ended = async move {
                end.wait().await;
            };
            layer.run_upchecks(UPCHECK_INTERVAL, ended).await;
        });
    }

    let mut config = args.network_config::<P>(&common.datadir, testnet.boot_nodes()?, &spec)?;
    let first_group_count = config.custody_group_count;
    let custody_steps = stored_steps(chain.storage(), first_group_count).map_err(ChainError::from)?;
    if let Some(step) = custody_steps.last() {
        if step.group_count > first_group_count {
            tracing::info!(
                group_count = step.group_count,
                "Keeping as many custody groups as before: only --purge-db makes them fewer"
            );
        }
        config.custody_group_count = step.group_count;
    }
    let group_count = config.custody_group_count;
    note_columns_kept(&chain, group_count)?;
    let forks = fork_context(&spec, chain.genesis_validators_root(), chain.current_epoch());
    let status = status_message(&chain);
    let (network, events) = NetworkService::start(config, forks, status, prometheus::default_registry()).await?;

    let pool = Arc::new(load_pool(&chain));
    let gossip = Arc::new(GossipValidator::new(Arc::clone(&chain)));
    let (outgoing_sender, outgoing) = runtime::channel("outgoing", OUTGOING_QUEUE);
    let custody = Custody::of_node::<P>(network.node_id(), first_group_count, &spec)?;
    let intake = Intake::new(gossip, Arc::clone(&pool), outgoing_sender, custody);
    for step in custody_steps {
        raise_custody(&intake, network.node_id(), step, &spec);
    }
    let producer = BlockProducer::new(Arc::clone(&chain), Arc::clone(&pool));
    let proposals = Proposals::new(Arc::clone(&intake), producer.clone());
    let router_config = RouterConfig {
        network: network.clone(),
        events,
        intake: Arc::clone(&intake),
        proposals: Arc::clone(&proposals),
        outgoing,
        subscribe_all_subnets: args.subscribe_all_subnets,
        sync_policy: args.sync_policy::<P>(),
        backfill_to_genesis: args.genesis_backfill,
    };
    let router = Router::start(router_config, end.clone()).await;

    if args.metrics {
        if let Err(error) = runtime::register_process_metrics() {
            tracing::warn!(%error, "Metrics of the process are missing");
        }
        let address = SocketAddr::new(args.metrics_address, args.metrics_port);
        metrics_server::serve(address, args.metrics_allow_origin.clone(), network.clone(), end.clone()).await?;
    }
    let api = if args.http {
        let address = SocketAddr::new(args.http_address, args.http_port);
        let listener = Listener::bind("HTTP API", address).await?;
        let context = ApiContext {
            chain: Arc::clone(&chain),
            intake: Arc::clone(&intake),
            producer: Arc::new(producer.clone()),
            proposals: Arc::clone(&proposals),
            network: network.clone(),
            router: router.clone(),
            settings: args.api_settings(),
        };
        Some(tokio::spawn(http_api::serve(context, listener, end.clone())))
    } else {
        None
    };
    let custody_task = CustodyTask {
        intake: Arc::clone(&intake),
        network: network.clone(),
        router: router.clone(),
        group_count,
    };
    let mut custody_end = end.clone();
    tokio::spawn(async move {
        tokio::select! { () = custody_task.run() => {}, _ = custody_end.wait() => {} }
    });
    if args.metrics {
        let database = storage::database_dir(&common.datadir);
        let version = args.api_settings().version;
        match ChainMetrics::register(Arc::clone(&intake), database, &version) {
            Ok(metrics) => {
                let mut end = end.clone();
                tokio::spawn(async move {
                    tokio::select! { () = metrics.run() => {}, _ = end.wait() => {} }
                });
            }
            Err(error) => tracing::warn!(%error, "Metrics of the chain are missing"),
        }
    }
    SlotTasks {
        chain: Arc::clone(&chain),
        intake,
        proposals,
        producer,
        network: network.clone(),
        router,
        prepare_payload_lookahead_ms: args.prepare_payload_lookahead,
        blob_prune_margin_epochs: args.prune_blobs.then_some(args.blob_prune_margin_epochs),
    }
    .start(&end);

    let genesis_ms = chain.clock().genesis_ms();
    let until_genesis = genesis_ms.saturating_sub(chain.clock().now_ms());
    if until_genesis > 0 && chain.clock().now_slot().is_none() {
        tracing::info!(seconds = until_genesis / 1000, "Waiting for genesis");
    }

    let reason = end.clone().wait().await;
    tracing::info!(reason, "Stopping");
    if let Some(api) = api
        && let Err(error) = api.await
    {
        tracing::error!(%error, "HTTP API has failed");
    }
    network.shutdown().await;
    if let Err(error) = chain.storage().put_operation_pool(pool.to_bytes()) {
        tracing::error!(%error, "Pool is not stored");
    }
    tracing::info!("Stopped");
    Ok(())
}

fn load_pool<P: Preset>(chain: &BeaconChain<P>) -> OperationPool<P> {
    match chain.storage().get_operation_pool() {
        Ok(Some(bytes)) => OperationPool::from_bytes(&bytes).unwrap_or_else(|error| {
            tracing::warn!(%error, "Stored pool is unreadable, beginning with an empty one");
            OperationPool::new()
        }),
        Ok(None) => OperationPool::new(),
        Err(error) => {
            tracing::warn!(%error, "Stored pool cannot be read, beginning with an empty one");
            OperationPool::new()
        }
    }
}

fn execution_layer(args: &BeaconNodeArgs, chain: ExpectedChain) -> Result<Option<Arc<ExecutionLayer>>, NodeError> {
    let Some(endpoint) = &args.execution_endpoint else {
        tracing::warn!(
            "No --execution-endpoint: this node follows the chain without verifying its payloads, builds no blocks, and \
             refuses duties"
        );
        return Ok(None);
    };
    let jwt_secret = match (&args.execution_jwt, &args.execution_jwt_secret_key) {
        (Some(path), _) => JwtSecret::from_file(path)?,
        (None, Some(hex)) => JwtSecret::from_hex(hex)?,
        (None, None) => {
            return Err(NodeError::Flag {
                flag: "execution-endpoint",
                reason: "needs --execution-jwt with the file of the secret that is shared with the execution client"
                    .into(),
            });
        }
    };
    let layer = ExecutionLayer::new(ExecutionConfig {
        jwt_id: args.execution_jwt_id.clone(),
        jwt_version: args.execution_jwt_version.clone(),
        suggested_fee_recipient: args.suggested_fee_recipient,
        timeout_multiplier: args.execution_timeout_multiplier,
        chain: Some(chain),
        ..ExecutionConfig::new(endpoint.clone(), jwt_secret)
    })?;
    Ok(Some(Arc::new(layer)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::tests::parse;

    fn layer(flags: &str) -> Result<bool, String> {
        let chain = ExpectedChain {
            chain_id: 1,
            genesis_hash: None,
        };
        execution_layer(&parse(flags).unwrap(), chain)
            .map(|layer| layer.is_some())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_node_does_without_an_execution_client_or_has_its_secret() {
        assert_eq!(layer(""), Ok(false));
        let error = layer("--execution-endpoint=http://127.0.0.1:8551").unwrap_err();
        assert!(error.contains("--execution-jwt"), "{error}");
        let secret = "0x".to_owned() + &"07".repeat(32);
        let flags = format!("--execution-endpoint=http://127.0.0.1:8551 --execution-jwt-secret-key={secret}");
        assert_eq!(layer(&flags), Ok(true));
        assert!(parse("--jwt-secrets=/jwt/jwtsecret").is_err(), "a secret for nobody");
    }
}
