//! What can go wrong with a devnet.

use crate::invariants::Violation;
use crate::rpc::RpcError;
use std::io;
use std::path::PathBuf;

/// A devnet did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum DevnetError {
    /// A file or directory.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `--dir` names something that is there already.
    #[error("{path} is not empty: --dir names a new directory, or an empty one")]
    DirectoryInUse {
        /// The directory.
        path: PathBuf,
    },
    /// The genesis could not be made.
    #[error("the genesis could not be made: {reason}")]
    Genesis {
        /// What is wrong.
        reason: String,
    },
    /// Blobs could not be made.
    #[error("blobs could not be made: {reason}")]
    Blobs {
        /// What is wrong.
        reason: String,
    },
    /// A key could not be made or read.
    #[error("key of node {node}: {reason}")]
    Key {
        /// Which node.
        node: usize,
        /// What is wrong.
        reason: String,
    },
    /// The report could not be written at the end.
    #[error("--report {path}: {reason}")]
    Report {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// What is looked at without a scenario does not go with the other arguments.
    #[error("{reason}")]
    Arguments {
        /// What is wrong, and what was expected.
        reason: String,
    },
    /// A scenario's file cannot be read.
    #[error("scenario {0}")]
    ScenarioFile(#[from] keystore::FileError),
    /// A scenario makes no sense.
    #[error("scenario {path}: {reason}")]
    Scenario {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what was expected.
        reason: String,
    },
    /// The mock execution client.
    #[error(transparent)]
    Execution(#[from] mock_execution::MockError),
    /// The genesis of the execution chain.
    #[error(transparent)]
    ExecutionGenesis(#[from] genesis::GenesisError),
    /// An execution client was asked.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// An execution client has another chain.
    #[error("{name} begins with block {found}, expected {expected}: it was started with another genesis file")]
    OtherChain {
        /// Which.
        name: String,
        /// Hash of its first block.
        found: types::Hash32,
        /// Hash of the first block that the network was made with.
        expected: types::Hash32,
    },
    /// A process could not be started.
    #[error("cannot start {name}: {source}")]
    Spawn {
        /// Which.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A command did not do what it should.
    #[error("fresnel {name}: {reason}")]
    Command {
        /// Which.
        name: String,
        /// What it said.
        reason: String,
    },
    /// A process ended when it should not.
    #[error("{name} ended by itself ({status}); end of its log {log}:\n{tail}")]
    Ended {
        /// Which.
        name: String,
        /// Exit status.
        status: String,
        /// Log file.
        log: PathBuf,
        /// Last lines of the log.
        tail: String,
    },
    /// A node did not come up.
    #[error("{name} did not answer within {seconds} s; see {log}")]
    NotReady {
        /// Which.
        name: String,
        /// How long was waited.
        seconds: u64,
        /// Log file.
        log: PathBuf,
    },
    /// No free ports.
    #[error("no free ports on loopback between {from} and {to}")]
    NoPorts {
        /// First tried.
        from: u16,
        /// Last tried.
        to: u16,
    },
    /// A call of a node.
    #[error("{what}: {source}")]
    Api {
        /// What for.
        what: String,
        /// What is wrong.
        source: Box<beacon_api::ApiError>,
    },
    /// What has to hold did not hold.
    #[error("{}", list(.0))]
    Broken(Vec<Violation>),
}

fn list(violations: &[Violation]) -> String {
    let lines: Vec<String> = violations.iter().map(|violation| format!("  - {violation}")).collect();
    format!("{} broken:\n{}", count(violations.len()), lines.join("\n"))
}

fn count(violations: usize) -> String {
    match violations {
        1 => "1 invariant is".to_owned(),
        many => format!("{many} invariants are"),
    }
}

impl DevnetError {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    pub(crate) fn api(what: impl Into<String>) -> impl FnOnce(beacon_api::ApiError) -> Self {
        let what = what.into();
        move |source| Self::Api {
            what,
            source: Box::new(source),
        }
    }
}
