//! A devnet from its start to its end.

mod transactions;

use crate::accounts::Holder;
use crate::blobs_seen::{BlobObserver, watched};
use crate::bookkeeping::close_books;
use crate::books::SentTransaction;
use crate::error::DevnetError;
use crate::events::{Action, Event, in_order, need_faults};
use crate::execution::{Execution, ExecutionArgs};
use crate::genesis::{ExecutionChain, Genesis, devnet_spec, write_network};
use crate::guard::Guard;
use crate::invariants::Violation;
use crate::key_change::{change_key, hand_over, make_key};
use crate::keys::Keys;
use crate::layout::{Layout, NodeNumber, Start};
use crate::length::{MAX_EPOCHS, OBSERVE_BPS, RunLength};
use crate::machine::ProcessorTime;
use crate::observe::{Nodes, Observer};
use crate::processes::{Key, Processes, Role, Settings, process_name};
use crate::record::Record;
use crate::report::{self, Report, Summary};
use crate::scenario::Scenario;
use crate::supply::{SUPPLY_BPS, Supply};
use crate::table::Table;
use clap::Args;
use futures::future::LocalBoxFuture;
use runtime::{ShutdownHandle, SlotClock};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use types::{Epoch, Minimal, Preset as _, Slot};

/// Starts a network of nodes on this machine and watches it.
#[derive(Debug, Clone, Args)]
pub struct DevnetArgs {
    /// End after so many epochs [default: the scenario's, or never].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=MAX_EPOCHS))]
    pub epochs: Option<u64>,
    /// Write everything that was seen to a file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// What to break and what to expect, as YAML.
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Keep data, keys and logs in this directory, which must be new or empty [default: a temporary one].
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Duration of a slot in milliseconds.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 3000, value_parser = clap::value_parser!(u64).range(1000..=60_000))]
    pub slot_ms: u64,
    /// Seconds from now to the genesis: the nodes have to be up by then [default: 25, with --el ethereumjs 35].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(5..=600))]
    pub genesis_delay: Option<u64>,
    /// Blobs that each block carries [default: the scenario's, or none].
    #[arg(long, value_name = "COUNT")]
    pub blobs: Option<u64>,
    /// Execution clients.
    #[command(flatten)]
    pub execution: ExecutionArgs,
    /// How much the nodes log: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub node_log_level: String,
}

/// Where the network's files are.
enum Place {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Place {
    fn new(dir: Option<&Path>) -> Result<Self, DevnetError> {
        if let Some(dir) = dir {
            let absolute = std::path::absolute(dir).map_err(DevnetError::file("find", dir))?;
            create_empty(&absolute)?;
            return Ok(Self::Kept(absolute));
        }
        let temporary = tempfile::Builder::new()
            .prefix("fresnel-devnet-")
            .tempdir()
            .map_err(DevnetError::file("create a directory in", std::env::temp_dir()))?;
        Ok(Self::Temporary(temporary))
    }

    fn network(&self) -> PathBuf {
        match self {
            Self::Kept(path) => path.clone(),
            Self::Temporary(dir) => dir.path().join("network"),
        }
    }
}

/// Before keys are made for it, which takes its time.
fn create_empty(dir: &Path) -> Result<(), DevnetError> {
    fs::create_dir_all(dir).map_err(DevnetError::file("create", dir))?;
    let mut entries = fs::read_dir(dir).map_err(DevnetError::file("read", dir))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(DevnetError::DirectoryInUse { path: dir.to_owned() }),
    }
}

/// The scenario that was asked for and how long it runs, if it can be carried out.
fn plan(args: &DevnetArgs) -> Result<(Scenario, RunLength), DevnetError> {
    let mut scenario = match &args.scenario {
        Some(path) => Scenario::read(path)?,
        None => match args.blobs {
            None | Some(0) => Scenario::default(),
            Some(blobs) => Scenario::with_blobs(usize::try_from(blobs).unwrap_or(usize::MAX)),
        },
    };
    scenario.blobs = args.blobs.unwrap_or(scenario.blobs);
    let checked = || {
        let length = RunLength::new(args.epochs.or(scenario.epochs))?;
        scenario.check(length)?;
        Ok(length)
    };
    let length = checked().map_err(|reason| match &args.scenario {
        Some(path) => DevnetError::Scenario {
            path: path.clone(),
            reason,
        },
        None => DevnetError::Arguments { reason },
    })?;
    Ok((scenario, length))
}

/// Runs a devnet until its epochs are over, it is asked to end, or something breaks.
///
/// Boxed here, so that it is compiled once, in this crate: the body of an `async fn` is compiled again by each user.
pub fn run(args: DevnetArgs, shutdown: ShutdownHandle) -> LocalBoxFuture<'static, Result<(), DevnetError>> {
    Box::pin(run_until_end(args, shutdown))
}

async fn run_until_end(args: DevnetArgs, shutdown: ShutdownHandle) -> Result<(), DevnetError> {
    let (scenario, length) = plan(&args)?;
    let execution = Execution::find(&args.execution, Layout::new(scenario.start).nodes)?;
    let is_mock = execution == Execution::Mock;
    if scenario.blobs > 0 && !is_mock && !execution.executes_transactions() {
        return Err(DevnetError::Arguments {
            reason: "blobs come by transactions: expected --el-rpc URL,... beside --el URL,...".to_owned(),
        });
    }
    if scenario.needs_execution() && !execution.executes_transactions() {
        return Err(DevnetError::Arguments {
            reason: format!(
                "{} sends transactions or looks at balances of the execution chain, which the mock has not: expected \
                 --el ethereumjs, or --el URL,... with --el-rpc URL,...",
                scenario.name
            ),
        });
    }
    let place = Place::new(args.dir.as_deref())?;
    let report = args.report.as_deref().map(report::prepare).transpose()?;
    let failed_guard = |source| DevnetError::Spawn {
        name: "/bin/sh".to_owned(),
        source,
    };
    let mut guard = Guard::start().map_err(failed_guard)?;
    if let Place::Temporary(dir) = &place {
        guard.remove(dir.path());
    }
    let mut devnet = Devnet::prepare(&args, (scenario, length), execution, &place.network(), guard).await?;
    let mut end = shutdown.subscribe();
    let outcome = tokio::select! {
        outcome = devnet.drive() => outcome,
        reason = end.wait() => {
            devnet.table.say(&format!("stopped by {reason}"));
            Ok(Ending::Asked(reason))
        }
    };
    devnet.processes.stop_all().await;
    let outcome = devnet.finish(report.as_deref(), outcome);
    if outcome.is_err() {
        devnet.processes.keep_directory();
        if let Place::Temporary(dir) = place {
            let path = dir.keep();
            devnet
                .table
                .say(&format!("data and logs are kept in {}", path.display()));
        }
    }
    outcome
}

/// Why a devnet ended without an error.
enum Ending {
    Over,
    Asked(String),
}

/// Seconds until the processes of the default network run.
const GENESIS_DELAY: u64 = 25;
/// The same if execution clients are processes, too.
const GENESIS_DELAY_WITH_PROCESSES: u64 = 35;
/// Where a Beacon API tells of the groups of the head.
const GROUPS_PATH: &str = "/eth/v1/beacon/states/head/groups";
/// Epochs that hash-based keys are made for if the devnet has no end: hours.
const ENDLESS_EPOCHS: u64 = 512;
/// Epochs beyond the end, so that no key is short of leaves in a run.
const SPARE_EPOCHS: u64 = 16;

struct Devnet {
    layout: Layout,
    scenario: Scenario,
    length: RunLength,
    network: PathBuf,
    genesis: Genesis,
    clock: SlotClock,
    processes: Processes,
    observer: Observer,
    table: Table,
    command_lines: BTreeMap<String, String>,
    /// Transactions that were sent, and how many of each account.
    sent: Vec<SentTransaction>,
    nonces: BTreeMap<Holder, u64>,
    /// If blocks have blobs.
    supply: Option<Supply>,
    /// When each running node was started.
    up_since: BTreeMap<NodeNumber, u64>,
}

impl Devnet {
    async fn prepare(
        args: &DevnetArgs,
        (scenario, length): (Scenario, RunLength),
        execution: Execution,
        network: &Path,
        guard: Guard,
    ) -> Result<Self, DevnetError> {
        let layout = Layout::new(scenario.start);
        // Before the clock starts to run: it takes some seconds.
        let keys = Keys::of(
            &layout,
            length
                .epochs()
                .map_or(ENDLESS_EPOCHS, |epochs| epochs.saturating_add(SPARE_EPOCHS)),
        )?;
        let supply = match scenario.blobs {
            0 => None,
            count => Some(Supply::new(count)?),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let delay = args.genesis_delay.unwrap_or(match execution {
            Execution::EthereumJs { .. } => GENESIS_DELAY_WITH_PROCESSES,
            Execution::Mock | Execution::Running(_) => GENESIS_DELAY,
        });
        let genesis_time = now.as_secs() + delay;
        let spec = devnet_spec(
            genesis_time,
            args.slot_ms,
            Epoch::new(scenario.dvt_fork_epoch),
            layout.validators.len() as u64,
        );
        let mut spec = scenario
            .configured(&spec)
            .map_err(|reason| DevnetError::Genesis { reason })?;
        let chain = ExecutionChain::of(&execution, &layout, &spec)?;
        spec.deposit_chain_id = chain.id;
        spec.deposit_network_id = chain.id;
        let genesis = write_network(network, &layout, spec, keys, chain)?;
        let settings = Settings {
            network: network.to_owned(),
            debug_level: args.node_log_level.clone(),
            faults: need_faults(&scenario.events),
            nodes: layout.nodes,
            supernodes: scenario.supernodes.clone(),
            execution,
        };
        let processes = Processes::prepare(settings, &genesis, guard).await?;
        let mut apis = BTreeMap::new();
        for node in 1..=layout.nodes {
            apis.insert(node, processes.api(node)?);
        }
        let makes_keys = |event: &Event| event.action.makes_hash_based_keys();
        let reads_signatures = !layout.hash_based_accounts().is_empty() || scenario.events.iter().any(makes_keys);
        let mut record = Record::new(&layout, genesis_time, args.slot_ms, Minimal::slots_per_epoch());
        record.scenario = Some(scenario.name.clone());
        let mut observer = Observer::new(record, apis.clone(), reads_signatures);
        if scenario.blobs > 0 {
            let watched = watched(&scenario.checks);
            let metrics = watched.iter().map(|node| (*node, processes.metrics_url(*node)));
            let logs = watched
                .iter()
                .map(|node| (*node, processes.log_path((*node, Role::Beacon))));
            observer.look_at_blobs(BlobObserver::new(apis, metrics.collect(), logs.collect()));
        }
        if scenario.keeps_books() {
            observer.keep_books();
        }
        Ok(Self {
            length,
            clock: SlotClock::system(genesis_time, &genesis.spec),
            observer,
            table: Table::new(),
            command_lines: BTreeMap::new(),
            sent: Vec::new(),
            nonces: BTreeMap::new(),
            supply,
            up_since: BTreeMap::new(),
            network: network.to_owned(),
            layout,
            scenario,
            genesis,
            processes,
        })
    }

    /// Starts everything and follows it to the end.
    async fn drive(&mut self) -> Result<Ending, DevnetError> {
        self.introduce();
        self.start_all().await?;
        let mut events = in_order(&self.scenario.events).into_iter().peekable();
        let mut slot = 1;
        let mut processor_time = ProcessorTime::read();
        loop {
            let observe_ms = self.clock.due_ms(Slot::new(slot), OBSERVE_BPS);
            let supply_ms = self.clock.due_ms(Slot::new(slot), SUPPLY_BPS);
            let mut is_supplied = false;
            while let Some(event) = events.next_if(|event| self.event_ms(event) <= observe_ms) {
                if !is_supplied && self.event_ms(&event) > supply_ms {
                    self.supply_blobs(slot).await?;
                    is_supplied = true;
                }
                self.clock.sleep_until_ms(self.event_ms(&event)).await;
                self.carry_out(&event).await?;
            }
            if !is_supplied {
                self.supply_blobs(slot).await?;
            }
            self.clock.sleep_until_ms(observe_ms).await;
            self.processes.check_running()?;
            // A slow event or a busy machine may have taken longer than a slot.
            let now = self.clock.now_slot().map_or(slot, Slot::as_u64).max(slot);
            let time = ProcessorTime::read();
            if let (Some(time), Some(earlier)) = (time, processor_time) {
                let stolen = time.stolen_percent_since(earlier);
                self.observer.record.stolen_percent.insert(now, stolen);
            }
            processor_time = time;
            self.look(now).await?;
            if self.length.is_reached(now) {
                let nodes = self.nodes(now);
                self.observer.look_back(&nodes).await;
                self.close_books().await?;
                return Ok(Ending::Over);
            }
            slot = now + 1;
        }
    }

    fn introduce(&mut self) {
        let about = self.scenario.about.trim();
        let mut text = format!(
            "Devnet {}: {} nodes in {}",
            self.scenario.name,
            self.layout.nodes,
            self.network.display()
        );
        if !about.is_empty() {
            text.push_str(&format!("\n{about}"));
        }
        self.table.say(&text);
    }

    async fn start_all(&mut self) -> Result<(), DevnetError> {
        if self.processes.has_execution_processes() {
            for node in 1..=self.layout.nodes {
                self.start_process((node, Role::Execution))?;
            }
        }
        self.processes.wait_executions().await?;
        let others: Vec<NodeNumber> = (2..=self.layout.nodes).collect();
        self.start_process((1, Role::Beacon))?;
        self.processes.wait_ready(1).await?;
        for node in &others {
            self.start_process((*node, Role::Beacon))?;
        }
        for node in &others {
            self.processes.wait_ready(*node).await?;
        }
        for node in 1..=self.layout.nodes {
            self.start_process((node, Role::Client))?;
            self.up_since.insert(node, 0);
        }
        let late = self.clock.now_slot().is_some_and(|slot| slot > Slot::new(0));
        let text = if late {
            "The nodes were not up at genesis: the first slots are missing; give a larger --genesis-delay".to_owned()
        } else {
            let wait = self.clock.duration_until_slot(Slot::new(0));
            format!("All processes run; genesis in {} s", wait.as_secs())
        };
        self.table.say(&text);
        let since = match self.scenario.start {
            Start::Fulu => format!(" (from epoch {} on)", self.scenario.dvt_fork_epoch),
            _ => String::new(),
        };
        self.table.say(&format!(
            "Groups as node 1 sees them{since}:\ncurl -s {}{GROUPS_PATH}",
            self.processes.url(1)
        ));
        Ok(())
    }

    fn start_process(&mut self, key: Key) -> Result<(), DevnetError> {
        let (name, line) = (process_name(key), self.processes.command_line(key));
        self.processes.start(key)?;
        self.table.say(&format!("{name}: {line}"));
        self.command_lines.insert(name.clone(), line);
        let process = self.observer.record.processes.entry(name).or_default();
        process.starts += 1;
        Ok(())
    }

    fn event_ms(&self, event: &Event) -> u64 {
        self.clock.due_ms(Slot::new(event.slot), event.percent * 100)
    }

    async fn carry_out(&mut self, event: &Event) -> Result<(), DevnetError> {
        let text = format!("slot {} +{} %: {:?}", event.slot, event.percent, event.action);
        self.table.say(&text);
        self.observer.record.events.push(text);
        match &event.action {
            Action::Stop { nodes } => {
                self.processes.stop(&processes_of(nodes)).await;
                self.forget(nodes);
            }
            Action::Kill { nodes } => {
                self.processes.kill(&processes_of(nodes)).await;
                self.forget(nodes);
            }
            Action::Start { nodes } => self.start_again(nodes, event.slot).await?,
            Action::StartAfresh { nodes, from } => {
                for node in nodes {
                    self.processes.lose_beacon_data(*node, *from)?;
                    self.observer.forget_custody(*node);
                }
                self.start_again(nodes, event.slot).await?;
            }
            Action::BlockColumns { nodes, columns } => self.processes.block_columns(nodes, *columns).await?,
            Action::WithholdColumns { nodes, columns } => self.processes.withhold_columns(nodes, *columns).await?,
            Action::Cut { between, and } => self.processes.cut(between, and).await?,
            Action::Heal {} => self.processes.heal().await?,
            Action::Transfer { .. }
            | Action::Deposit { .. }
            | Action::RequestWithdrawal { .. }
            | Action::RequestExit { .. }
            | Action::RequestConsolidation { .. } => self.send(&event.action).await?,
            Action::Delay { nodes, ms } => self.processes.delay(nodes, *ms).await?,
            Action::ReplaceKey { validator, seat } => {
                // Scenarios are checked when they are read.
                let Some((validator, node)) = self.layout.bls_seat(validator, *seat) else {
                    return Ok(());
                };
                let first = event.slot.checked_div(Minimal::slots_per_epoch()).unwrap_or_default();
                let last = self
                    .length
                    .epochs()
                    .map_or(first + ENDLESS_EPOCHS, |epochs| epochs + SPARE_EPOCHS);
                self.processes.stop(&[(node, Role::Client)]).await;
                let place = (validator, *seat);
                let key = make_key(&self.processes, &self.network, &self.layout, place, first..last).await?;
                self.start_process((node, Role::Client))?;
                change_key(&self.processes, &self.network, &self.layout, &key).await?;
            }
            Action::ChangeKeySet {
                validator,
                threshold,
                node,
            } => {
                // Scenarios are checked when they are read.
                let validator = self.layout.named(validator).unwrap_or_default();
                let change = hand_over(
                    &self.network,
                    &self.layout,
                    (&self.genesis.spec, self.genesis.validators_root),
                    validator,
                    *threshold,
                    Slot::new(event.slot.saturating_sub(1)),
                )?;
                self.processes
                    .api(*node)?
                    .submit_key_set_change(&change)
                    .await
                    .map_err(DevnetError::api("key-set change"))?;
            }
        }
        Ok(())
    }

    async fn start_again(&mut self, nodes: &[NodeNumber], slot: u64) -> Result<(), DevnetError> {
        for node in nodes {
            self.start_process((*node, Role::Beacon))?;
        }
        for node in nodes {
            self.processes.wait_ready(*node).await?;
            self.start_process((*node, Role::Client))?;
            self.up_since.insert(*node, slot);
        }
        Ok(())
    }

    async fn close_books(&mut self) -> Result<(), DevnetError> {
        if self.scenario.keeps_books()
            && let Some(api) = self.observer.followed_api()
        {
            let executions = self.executions();
            let sent = std::mem::take(&mut self.sent);
            self.observer.record.closing =
                close_books(&self.observer.record, &self.layout, api, &executions, sent).await?;
        }
        Ok(())
    }

    fn forget(&mut self, nodes: &[NodeNumber]) {
        for node in nodes {
            self.up_since.remove(node);
        }
    }

    fn nodes(&self, slot: u64) -> Nodes {
        let settled: BTreeSet<NodeNumber> = self
            .up_since
            .iter()
            .filter(|(_, since)| **since == 0 || slot > **since + Minimal::slots_per_epoch())
            .map(|(node, _)| *node)
            .collect();
        Nodes {
            running: self.processes.running_nodes(),
            settled,
        }
    }

    /// Looks at everything, shows it, and checks what has to hold whenever an epoch is complete.
    async fn look(&mut self, slot: u64) -> Result<(), DevnetError> {
        for (name, memory) in self.processes.memory() {
            let process = self.observer.record.processes.entry(name).or_default();
            process.resident_kb = memory.resident_kb;
            process.peak_resident_kb = process.peak_resident_kb.max(memory.peak_kb);
        }
        let nodes = self.nodes(slot);
        let completed = self.observer.observe(slot, &nodes).await;
        self.table.show(&self.observer.record, &self.observer.live);
        if completed {
            let violations = self.violations(false);
            if !violations.is_empty() {
                return Err(DevnetError::Broken(violations));
            }
        }
        Ok(())
    }

    fn violations(&self, finished: bool) -> Vec<Violation> {
        let checks = self.scenario.checks.iter();
        checks
            .flat_map(|check| check.violations(&self.observer.record, finished))
            .collect()
    }

    /// The last checks, the summary and the report.
    fn finish(&mut self, report: Option<&Path>, outcome: Result<Ending, DevnetError>) -> Result<(), DevnetError> {
        let outcome = match outcome {
            Ok(Ending::Over) => {
                let violations = self.violations(true);
                if violations.is_empty() {
                    Ok("everything held".to_owned())
                } else {
                    Err(DevnetError::Broken(violations))
                }
            }
            Ok(Ending::Asked(reason)) => Ok(format!("stopped by {reason}, nothing had broken")),
            Err(error) => Err(error),
        };
        let record = &self.observer.record;
        let words = outcome.as_ref().map_or_else(ToString::to_string, Clone::clone);
        let summary = Summary::new(record, words);
        self.table.say(&summary.text());
        let violations = match &outcome {
            Err(DevnetError::Broken(violations)) => violations.as_slice(),
            _ => &[],
        };
        if let Some(path) = report {
            let report = Report {
                summary,
                checks: &self.scenario.checks,
                violations,
                command_lines: &self.command_lines,
                record,
            };
            report::write(path, &report)?;
        }
        outcome.map(drop)
    }
}

fn processes_of(nodes: &[NodeNumber]) -> Vec<Key> {
    [Role::Client, Role::Beacon]
        .into_iter()
        .flat_map(|role| nodes.iter().map(move |node| (*node, role)))
        .collect()
}
