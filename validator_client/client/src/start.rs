//! Start and end of a client.

use crate::args::ValidatorClientArgs;
use crate::{ClientError, chain_info, keymanager_server, keys, metrics_server};
use beacon_api::{BeaconClient, ClientConfig};
use duties::{Context, GRAFFITI_BYTES, Nodes, Settings};
use futures::future::LocalBoxFuture;
use keymanager::Keymanager;
use runtime::{ShutdownHandle, SlotClock};
use signing::{Signer, UnknownPast};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use types::{Mainnet, Minimal, Preset, PresetName};

/// Flags that a client shares with other commands.
#[derive(Debug, Clone)]
pub struct Common {
    /// `--datadir`.
    pub datadir: PathBuf,
    /// `--testnet-dir`; without it the configuration is asked of the beacon nodes.
    pub testnet_dir: Option<PathBuf>,
}

impl Common {
    /// Where keystores and definitions are.
    pub(crate) fn validators_dir(&self, args: &ValidatorClientArgs) -> PathBuf {
        args.validators_dir
            .clone()
            .unwrap_or_else(|| self.datadir.join("validators"))
    }
}

/// Longest that a request may take.
const MAX_REQUEST: Duration = Duration::from_secs(12);
/// Shortest time that a request is given.
const MIN_REQUEST: Duration = Duration::from_secs(1);

/// Runs a client until `shutdown` is triggered.
///
/// Boxed here, so that it is compiled once, in this crate: the body of an `async fn` is compiled again by each user.
pub fn run(
    args: ValidatorClientArgs,
    common: Common,
    shutdown: ShutdownHandle,
) -> LocalBoxFuture<'static, Result<(), ClientError>> {
    Box::pin(run_until_end(args, common, shutdown))
}

async fn run_until_end(args: ValidatorClientArgs, common: Common, shutdown: ShutdownHandle) -> Result<(), ClientError> {
    for line in args.without_effect() {
        tracing::warn!("{line}");
    }
    let mut end = shutdown.subscribe();
    if args.metrics {
        if let Err(error) = runtime::register_process_metrics() {
            tracing::warn!(%error, "Metrics of the process are missing");
        }
        let address = SocketAddr::new(args.metrics_address, args.metrics_port);
        metrics_server::serve(address, args.metrics_allow_origin.clone(), shutdown.subscribe()).await?;
    }
    let keymanager = match args.http {
        true => Some(keymanager_server::start(&args, &common, &shutdown).await?),
        false => None,
    };
    tokio::select! {
        result = run_until_error(args, common, keymanager) => result,
        reason = end.wait() => {
            tracing::info!(reason, "Stopping");
            Ok(())
        }
    }
}

async fn run_until_error(
    args: ValidatorClientArgs,
    common: Common,
    keymanager: Option<keymanager_server::Publisher>,
) -> Result<(), ClientError> {
    let validators_dir = common.validators_dir(&args);
    let secrets_dir = args
        .secrets_dir
        .clone()
        .unwrap_or_else(|| common.datadir.join("secrets"));
    let mut settings = settings(&args)?;
    let clients = args
        .beacon_nodes
        .iter()
        .map(|url| {
            let config = ClientConfig {
                timeout: MAX_REQUEST,
                ..ClientConfig::default()
            };
            BeaconClient::new(url, config).map_err(|error| ClientError::Flag {
                flag: "beacon-nodes",
                reason: error.to_string(),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;

    let discover = !args.disable_auto_discover;
    let init = args.init_slashing_protection;
    let (keys, database) = tokio::task::spawn_blocking(move || {
        let keys = keys::load(&validators_dir, &secrets_dir, discover)?;
        let database = keys::open_protection(keys.dir.path(), init)?;
        Ok::<_, ClientError>((keys, database))
    })
    .await??;
    duties::set_key_counts(keys.methods.len(), keys.definitions.as_slice().len());
    keys::add_definitions(&mut settings, keys.definitions.as_slice());
    if settings.fee_recipient.is_none() && settings.fee_recipient_by_key.is_empty() {
        tracing::warn!("No --suggested-fee-recipient: the beacon node's is used, if it has one");
    }

    let own = common.testnet_dir.as_deref().map(chain_info::Own::of_dir).transpose()?;
    let chain_info::Chain { spec, network } = chain_info::of_nodes(&clients, own.as_ref()).await?;
    let (spec, genesis) = (Arc::new(spec), network.genesis);
    let clock = SlotClock::system(genesis.genesis_time, &spec);
    let distance = clock.clone();
    let registered = runtime::register_gauge(
        "vc_genesis_distance_seconds",
        "Since genesis; negative before it",
        move || Some((distance.now_ms() as f64 - distance.genesis_ms() as f64) / 1000.0),
    );
    if let Err(error) = registered {
        tracing::debug!(%error, "Distance from genesis is not told");
    }
    let preset = spec.preset_base;
    // Of a key that is not on record nobody knows which leaves are used, unless its chain has not begun.
    let past = clock.now_slot().map_or(UnknownPast::NeverUsed, |slot| {
        UnknownPast::UntilNow(match preset {
            PresetName::Mainnet => slot.epoch::<Mainnet>(),
            PresetName::Minimal => slot.epoch::<Minimal>(),
        })
    });
    let methods = keys.methods.clone();
    let signer = {
        let spec = Arc::clone(&spec);
        let root = genesis.genesis_validators_root;
        let clock = clock.clone();
        tokio::task::spawn_blocking(move || Signer::start_with(database, methods, root, spec, clock, past)).await??
    };
    // An answer that takes longer than this is of no use, and another node may be faster. A node holds a request for a
    // block up to `LEADER_CUTOFF_BPS` of a slot, and builds it then.
    let timeout = Duration::from_millis(spec.slot_duration_ms / 2).clamp(MIN_REQUEST, MAX_REQUEST);
    let clients = clients.into_iter().map(|client| client.with_timeout(timeout)).collect();
    let context = Arc::new(Context::new(
        Nodes::of_network(clients, network),
        Arc::new(signer),
        spec,
        clock,
        settings,
    ));
    // It holds the lock on the keys as long as duties run.
    let manager = Arc::new(Keymanager::new(
        Arc::clone(&context),
        preset,
        keys.dir,
        keys.definitions,
    ));
    if let Some(publisher) = keymanager {
        publisher.send_replace(Some(Arc::clone(&manager)));
    }
    match preset {
        PresetName::Mainnet => run_duties::<Mainnet>(context).await,
        PresetName::Minimal => run_duties::<Minimal>(context).await,
    }
    Ok(())
}

async fn run_duties<P: Preset>(context: Arc<Context>) {
    let until_genesis = context.clock.genesis_ms().saturating_sub(context.clock.now_ms());
    if until_genesis > 0 {
        tracing::info!(seconds = until_genesis / 1000, "Waiting for genesis");
    }
    duties::run::<P>(context).await;
}

fn settings(args: &ValidatorClientArgs) -> Result<Settings, ClientError> {
    let graffiti = args
        .graffiti
        .as_ref()
        .map(|text| {
            duties::padded_graffiti(text).ok_or_else(|| ClientError::Flag {
                flag: "graffiti",
                reason: format!("{} bytes, expected at most {GRAFFITI_BYTES}", text.len()),
            })
        })
        .transpose()?;
    Ok(Settings {
        graffiti,
        fee_recipient: args.suggested_fee_recipient,
        ..Settings::default()
    })
}
