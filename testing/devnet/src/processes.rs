//! The processes of a devnet: a beacon node and a validator client per node, with ordinary flags, and an execution
//! client for each node: a process as well, or in this one.

mod arguments;
mod faults;

use crate::blobs::BlobMaker;
use crate::error::DevnetError;
use crate::execution::Execution;
use crate::genesis::{Genesis, NodeDirs};
use crate::guard::Guard;
use crate::layout::NodeNumber;
use crate::ports::{Ports, free_ports};
use crate::rpc::Rpc;
use beacon_api::{BeaconClient, ClientConfig, Identity, NetworkConditions};
use mock_execution::{MockConfig, MockExecution};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};
use types::Hash32;

/// How long a node may take until it answers.
const READY_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a process may take to end when asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of the end of a log that are looked at.
const TAIL_BYTES: u64 = 4096;
/// Lines of it that are shown.
const TAIL_LINES: usize = 12;

/// Which of a node's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Execution,
    Beacon,
    Client,
}

impl Role {
    fn short(self) -> &'static str {
        match self {
            Self::Execution => "el",
            Self::Beacon => "bn",
            Self::Client => "vc",
        }
    }
}

/// One process of a node.
pub(crate) type Key = (NodeNumber, Role);

struct Running {
    child: Child,
    group: u32,
}

/// Resident memory in kilobytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) resident_kb: u64,
    pub(crate) peak_kb: u64,
}

/// How processes are started.
pub(crate) struct Settings {
    pub(crate) network: PathBuf,
    pub(crate) debug_level: String,
    /// Whether nodes take orders to break their connections.
    pub(crate) faults: bool,
    pub(crate) nodes: usize,
    /// Nodes that are told to keep all columns.
    pub(crate) supernodes: Vec<NodeNumber>,
    pub(crate) execution: Execution,
}

/// All processes.
pub(crate) struct Processes {
    program: PathBuf,
    settings: Settings,
    ports: Vec<Ports>,
    first_block: Hash32,
    /// By node number less one. They serve until this is dropped.
    mocks: Vec<MockExecution>,
    running: BTreeMap<Key, Running>,
    identities: BTreeMap<NodeNumber, Identity>,
    conditions: BTreeMap<NodeNumber, NetworkConditions>,
    /// Nodes that begin with what another one has finalised, with that one.
    checkpoints: BTreeMap<NodeNumber, NodeNumber>,
    guard: Guard,
}

impl Processes {
    /// Finds ports and starts the execution clients of this process. Nothing else runs yet.
    pub(crate) async fn prepare(settings: Settings, genesis: &Genesis, guard: Guard) -> Result<Self, DevnetError> {
        let program = std::env::current_exe().map_err(|source| DevnetError::Spawn {
            name: "this program".to_owned(),
            source,
        })?;
        let ports = free_ports(settings.nodes)?;
        let mut mocks = Vec::new();
        let secrets = if settings.execution == Execution::Mock {
            genesis.jwt_secrets.as_slice()
        } else {
            &[]
        };
        for (ports, secret) in ports.iter().zip(secrets) {
            let config = MockConfig {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, ports.engine)),
                chain_id: genesis.chain_id,
                ..MockConfig::new(*secret, genesis.execution.clone())
            };
            mocks.push(MockExecution::start(config).await?);
        }
        Ok(Self {
            program,
            settings,
            ports,
            first_block: genesis.execution.hash,
            mocks,
            running: BTreeMap::new(),
            identities: BTreeMap::new(),
            conditions: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            guard,
        })
    }

    fn dirs(&self, node: NodeNumber) -> NodeDirs {
        NodeDirs::of(&self.settings.network, node)
    }

    fn ports(&self, node: NodeNumber) -> Ports {
        let place = node.checked_sub(1);
        place
            .and_then(|place| self.ports.get(place))
            .copied()
            .unwrap_or_default()
    }

    /// Where a process writes its log.
    pub(crate) fn log_path(&self, (node, role): Key) -> PathBuf {
        self.dirs(node).root.join(format!("{}.log", role.short()))
    }

    /// A client of a node's Beacon API.
    pub(crate) fn api(&self, node: NodeNumber) -> Result<BeaconClient, DevnetError> {
        let config = ClientConfig {
            timeout: Duration::from_secs(5),
            ..ClientConfig::default()
        };
        BeaconClient::new(&self.url(node), config).map_err(DevnetError::api(format!("node {node}")))
    }

    /// Where a node's Beacon API is.
    pub(crate) fn url(&self, node: NodeNumber) -> String {
        format!("http://127.0.0.1:{}", self.ports(node).http)
    }

    /// Where a node's metrics are.
    pub(crate) fn metrics_url(&self, node: NodeNumber) -> String {
        format!("http://127.0.0.1:{}/metrics", self.ports(node).metrics)
    }

    /// Gives each mock execution client so many blobs of its own for the payloads that it builds from now on, in a slot.
    pub(crate) fn set_blobs(&self, maker: &BlobMaker, slot: u64, count: u64) -> Result<(), DevnetError> {
        for (node, mock) in (1..).zip(&self.mocks) {
            mock.set_blobs(maker.pooled(node, slot, count)?);
        }
        Ok(())
    }

    /// Runs a command of this program to its end. Gives what it prints.
    pub(crate) async fn run(&self, arguments: &[String]) -> Result<String, DevnetError> {
        let name = arguments.iter().take(2).cloned().collect::<Vec<_>>().join(" ");
        let output = Command::new(&self.program)
            .args(arguments)
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| DevnetError::Spawn {
                name: name.clone(),
                source,
            })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(DevnetError::Command {
            name,
            reason: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// A client of a node's execution client, if it answers more than the Engine API.
    pub(crate) fn execution_rpc(&self, node: NodeNumber) -> Option<Rpc> {
        match &self.settings.execution {
            Execution::Mock => None,
            Execution::EthereumJs { .. } => Some(Rpc::new(&format!(
                "http://127.0.0.1:{}",
                self.ports(node).execution_rpc
            ))),
            Execution::Running(running) => of_node(&running.rpcs, node).map(|url| Rpc::new(&url)),
        }
    }

    /// Whether each node has a process for its execution client.
    pub(crate) fn has_execution_processes(&self) -> bool {
        matches!(self.settings.execution, Execution::EthereumJs { .. })
    }

    /// Starts a process, in a group of its own: Ctrl-C is for this program only.
    pub(crate) fn start(&mut self, key: Key) -> Result<(), DevnetError> {
        let log_path = self.log_path(key);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)
            .map_err(DevnetError::file("open", &log_path))?;
        let errors = log.try_clone().map_err(DevnetError::file("open", &log_path))?;
        let failed = |source| DevnetError::Spawn {
            name: process_name(key),
            source,
        };
        let child = Command::new(self.program(key))
            .args(self.arguments(key))
            // Some programs leave files where they are started.
            .current_dir(self.dirs(key.0).root)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .env("NO_COLOR", "1")
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let Some(group) = child.id() else {
            return Err(failed(std::io::Error::other("it has no process id")));
        };
        self.guard.started(group);
        self.running.insert(key, Running { child, group });
        Ok(())
    }

    /// Waits until the execution clients answer, and looks whether their chain is the network's.
    pub(crate) async fn wait_executions(&mut self) -> Result<(), DevnetError> {
        let deadline = Instant::now() + READY_TIMEOUT;
        for node in 1..=self.settings.nodes {
            let Some(rpc) = self.execution_rpc(node) else {
                continue;
            };
            let key = (node, Role::Execution);
            let first = loop {
                self.check_running()?;
                if let Ok(Some(block)) = rpc.block(0).await {
                    break block.hash;
                }
                if Instant::now() >= deadline {
                    return Err(DevnetError::NotReady {
                        name: process_name(key),
                        seconds: READY_TIMEOUT.as_secs(),
                        log: self.log_path(key),
                    });
                }
                sleep(Duration::from_millis(200)).await;
            };
            if first != self.first_block {
                return Err(DevnetError::OtherChain {
                    name: process_name(key),
                    found: first,
                    expected: self.first_block,
                });
            }
        }
        Ok(())
    }

    /// Waits until a beacon node answers, and remembers who it is.
    pub(crate) async fn wait_ready(&mut self, node: NodeNumber) -> Result<(), DevnetError> {
        let api = self.api(node)?.with_timeout(Duration::from_secs(2));
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            self.check_running()?;
            if let Ok(identity) = api.identity().await {
                self.identities.insert(node, identity);
                break;
            }
            if Instant::now() >= deadline {
                let key = (node, Role::Beacon);
                return Err(DevnetError::NotReady {
                    name: process_name(key),
                    seconds: READY_TIMEOUT.as_secs(),
                    log: self.log_path(key),
                });
            }
            sleep(Duration::from_millis(200)).await;
        }
        // A node that comes back is still cut off.
        self.apply_conditions(node).await
    }

    /// Nodes whose beacon node runs.
    pub(crate) fn running_nodes(&self) -> Vec<NodeNumber> {
        let beacons = self.running.keys().filter(|(_, role)| *role == Role::Beacon);
        beacons.map(|(node, _)| *node).collect()
    }

    /// An error if a process has ended that nobody has stopped.
    pub(crate) fn check_running(&mut self) -> Result<(), DevnetError> {
        let mut ended = None;
        for (key, running) in &mut self.running {
            let status = running.child.try_wait().map_err(|source| DevnetError::Spawn {
                name: process_name(*key),
                source,
            })?;
            if let Some(status) = status {
                ended = Some((*key, running.group, status));
                break;
            }
        }
        let Some((key, group, status)) = ended else {
            return Ok(());
        };
        self.running.remove(&key);
        self.guard.ended(group);
        let log = self.log_path(key);
        Err(DevnetError::Ended {
            name: process_name(key),
            status: status.to_string(),
            tail: tail(&log),
            log,
        })
    }

    /// Asks processes to end and waits until they have.
    pub(crate) async fn stop(&mut self, which: &[Key]) {
        for key in which {
            if let Some(running) = self.running.get(key) {
                signal(running.group, Signal::TERM);
            }
        }
        let deadline = Instant::now() + STOP_TIMEOUT;
        for key in which {
            let Some(mut running) = self.running.remove(key) else {
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if timeout(left, running.child.wait()).await.is_err() {
                tracing::warn!(process = process_name(*key), "Did not end when asked to, killed");
                signal(running.group, Signal::KILL);
                let _ = running.child.wait().await;
            }
            self.guard.ended(running.group);
        }
    }

    /// Kills processes without a word.
    pub(crate) async fn kill(&mut self, which: &[Key]) {
        for key in which {
            if let Some(running) = self.running.get(key) {
                signal(running.group, Signal::KILL);
            }
        }
        for key in which {
            if let Some(mut running) = self.running.remove(key) {
                let _ = running.child.wait().await;
                self.guard.ended(running.group);
            }
        }
    }

    /// Ends everything: clients first, so that they do not complain about their nodes.
    pub(crate) async fn stop_all(&mut self) {
        for role in [Role::Client, Role::Beacon, Role::Execution] {
            let which: Vec<Key> = self.running.keys().filter(|key| key.1 == role).copied().collect();
            self.stop(&which).await;
        }
    }

    /// The directory is not removed at the end.
    pub(crate) fn keep_directory(&mut self) {
        self.guard.keep();
    }

    /// Resident memory of each running process.
    pub(crate) fn memory(&self) -> Vec<(String, Memory)> {
        self.running
            .iter()
            .filter_map(|(key, running)| {
                let status = fs::read_to_string(format!("/proc/{}/status", running.group)).ok()?;
                Some((process_name(*key), parse_memory(&status)?))
            })
            .collect()
    }
}

pub(crate) fn process_name((node, role): Key) -> String {
    format!("{}-{node}", role.short())
}

fn signal(group: u32, signal: Signal) {
    let pid = i32::try_from(group).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid
        && let Err(error) = kill_process_group(pid, signal)
    {
        tracing::debug!(group, %error, "Process group is gone");
    }
}

fn of_node(urls: &[String], node: NodeNumber) -> Option<String> {
    urls.get(node.checked_sub(1)?).cloned()
}

/// `VmRSS` and `VmHWM` of `/proc/PID/status`.
fn parse_memory(status: &str) -> Option<Memory> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.trim().parse().ok()
    };
    Some(Memory {
        resident_kb: field("VmRSS:")?,
        peak_kb: field("VmHWM:")?,
    })
}

/// The last lines of a log.
fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().collect();
            let from = lines.len().saturating_sub(TAIL_LINES);
            lines.get(from..).unwrap_or_default().join("\n")
        }
        Err(error) => format!("({error})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_status_of_a_process() {
        let status = "Name:\tfresnel\nVmPeak:\t  900000 kB\nVmHWM:\t  123456 kB\nVmRSS:\t   98765 kB\n";
        let expected = Memory {
            resident_kb: 98_765,
            peak_kb: 123_456,
        };
        assert_eq!(parse_memory(status), Some(expected));
        // A zombie has no memory.
        assert_eq!(parse_memory("Name:\tfresnel\nState:\tZ (zombie)\n"), None);
        let own = fs::read_to_string("/proc/self/status").unwrap();
        assert!(parse_memory(&own).unwrap().resident_kb > 0);
    }

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let lines: Vec<String> = (0..2000).map(|line| format!("line {line}")).collect();
        fs::write(&path, lines.join("\n")).unwrap();
        let tail = tail(&path);
        assert!(tail.starts_with("line 1988\n") && tail.ends_with("line 1999"), "{tail}");
    }
}
