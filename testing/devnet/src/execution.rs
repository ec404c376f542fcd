//! Which execution clients the nodes have, as the arguments say it.

use crate::error::DevnetError;
use crate::layout::NodeNumber;
use clap::Args;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where the make target installs EthereumJS.
const ETHEREUMJS_DIR: &str = "target/ethereumjs";
/// What runs EthereumJS, below a directory of npm.
const ETHEREUMJS_PROGRAM: &str = "node_modules/@ethereumjs/client/dist/esm/bin/cli.js";
/// Oldest major version of Node.js that runs it.
const OLDEST_NODE_JS: u32 = 18;
/// Largest file of a secret.
const MAX_SECRET_BYTES: u64 = 1 << 10;

/// Arguments about execution clients.
#[derive(Debug, Clone, Args)]
pub struct ExecutionArgs {
    /// Execution clients of the nodes: mock (a toy chain in this process), ethereumjs (a process for each node), or one
    /// URL of an Engine API for each node, separated by commas.
    #[arg(long = "el", value_name = "mock|ethereumjs|URL,...", default_value = "mock")]
    choice: Choice,
    /// Only these nodes get the client that --el names.
    #[arg(long = "el-nodes", value_name = "NODE,...", value_delimiter = ',')]
    nodes: Vec<NodeNumber>,
    /// File with the secret that the clients of --el URL,... share with their nodes.
    #[arg(long = "el-jwt", value_name = "FILE")]
    jwt: Option<PathBuf>,
    /// Genesis file that the clients of --el URL,... were started with, in go-ethereum's form.
    #[arg(long = "el-genesis", value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// One URL for each node where its client of --el URL,... answers eth_ calls: for scenarios that send transactions.
    #[arg(long = "el-rpc", value_name = "URL,...", value_delimiter = ',')]
    rpc: Vec<String>,
    /// Directory in which npm has installed EthereumJS.
    #[arg(long, value_name = "DIR", default_value = ETHEREUMJS_DIR)]
    ethereumjs_dir: PathBuf,
    /// Program that runs EthereumJS.
    #[arg(long, value_name = "PROGRAM", default_value = "node")]
    node_js: PathBuf,
}

/// The kind of execution client.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    Mock,
    EthereumJs,
    Urls(Vec<String>),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "mock" => Ok(Self::Mock),
            "ethereumjs" => Ok(Self::EthereumJs),
            text if text.starts_with("http://") || text.starts_with("https://") => {
                Ok(Self::Urls(text.split(',').map(str::to_owned).collect()))
            }
            _ => {
                Err("expected mock, ethereumjs, or URLs such as http://127.0.0.1:8551,http://127.0.0.1:8552".to_owned())
            }
        }
    }
}

/// Execution clients that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Execution {
    /// In this process.
    Mock,
    /// A process of its own for each node.
    EthereumJs { node_js: PathBuf, program: PathBuf },
    /// Somebody else has started them.
    Running(Running),
}

/// Clients that run already, by node number less one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) engines: Vec<String>,
    /// Empty, or one for each node.
    pub(crate) rpcs: Vec<String>,
    pub(crate) secret: [u8; 32],
    pub(crate) genesis: PathBuf,
}

impl Execution {
    /// Looks whether all is there. `nodes` is how many there are.
    pub(crate) fn find(args: &ExecutionArgs, nodes: usize) -> Result<Self, DevnetError> {
        let refused = |reason: String| DevnetError::Arguments { reason };
        check_nodes(args, nodes).map_err(refused)?;
        match &args.choice {
            Choice::Mock => Ok(Self::Mock),
            Choice::EthereumJs => Ok(Self::EthereumJs {
                program: installed(&args.ethereumjs_dir).map_err(refused)?,
                node_js: usable_node_js(&args.node_js).map_err(refused)?,
            }),
            Choice::Urls(engines) => running(args, engines, nodes).map(Self::Running),
        }
    }

    /// Whether the clients execute transactions, and can be asked about them.
    pub(crate) fn executes_transactions(&self) -> bool {
        match self {
            Self::Mock => false,
            Self::EthereumJs { .. } => true,
            Self::Running(running) => !running.rpcs.is_empty(),
        }
    }
}

fn check_nodes(args: &ExecutionArgs, nodes: usize) -> Result<(), String> {
    if let Some(node) = args.nodes.iter().find(|node| !(1..=nodes).contains(*node)) {
        return Err(format!("--el-nodes: there is no node {node}, expected 1 to {nodes}"));
    }
    let left: Vec<String> = (1..=nodes)
        .filter(|node| !args.nodes.contains(node))
        .map(|node| node.to_string())
        .collect();
    if !args.nodes.is_empty() && !left.is_empty() && args.choice != Choice::Mock {
        return Err(format!(
            "--el-nodes leaves {} to the mock execution client, which has a toy state: it can neither verify the blocks of \
             a real one nor build any that it takes; leave --el-nodes out, or name all of 1 to {nodes}",
            left.join(", ")
        ));
    }
    let is_running = matches!(args.choice, Choice::Urls(_));
    let of_running = args.jwt.is_some() || args.genesis.is_some() || !args.rpc.is_empty();
    if of_running && !is_running {
        return Err("--el-jwt, --el-genesis and --el-rpc are for --el URL,...".to_owned());
    }
    Ok(())
}

fn running(args: &ExecutionArgs, engines: &[String], nodes: usize) -> Result<Running, DevnetError> {
    let refused = |reason: String| DevnetError::Arguments { reason };
    for (flag, given) in [("--el", engines), ("--el-rpc", &args.rpc)] {
        if given.len() != nodes && !(flag == "--el-rpc" && given.is_empty()) {
            return Err(refused(format!(
                "{flag} has {} URLs, expected {nodes}: each node needs an execution client of its own",
                given.len()
            )));
        }
    }
    let (Some(jwt), Some(genesis)) = (&args.jwt, &args.genesis) else {
        return Err(refused(
            "--el URL,... needs --el-jwt, the file with the secret of the clients, and --el-genesis, the file that they \
             were started with (fresnel genesis execution makes one)"
                .to_owned(),
        ));
    };
    let text = keystore::read_limited(jwt, MAX_SECRET_BYTES)?;
    let text = String::from_utf8_lossy(&text);
    let digits = text.trim();
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    let mut secret = [0; 32];
    hex::decode_to_slice(digits, &mut secret)
        .map_err(|_| refused(format!("--el-jwt {}: expected 64 hexadecimal digits", jwt.display())))?;
    Ok(Running {
        engines: engines.to_vec(),
        rpcs: args.rpc.clone(),
        secret,
        genesis: std::path::absolute(genesis).map_err(DevnetError::file("find", genesis))?,
    })
}

fn installed(dir: &Path) -> Result<PathBuf, String> {
    let program = dir.join(ETHEREUMJS_PROGRAM);
    let program = std::path::absolute(&program).unwrap_or(program);
    if program.is_file() {
        return Ok(program);
    }
    Err(format!(
        "EthereumJS is not installed in {}: `make ethereumjs` installs it in {ETHEREUMJS_DIR}; --ethereumjs-dir names \
         another directory of npm",
        dir.display()
    ))
}

fn usable_node_js(program: &Path) -> Result<PathBuf, String> {
    let output = std::process::Command::new(program)
        .arg("--version")
        .output()
        .map_err(|error| {
            format!(
                "cannot start {} ({error}): EthereumJS needs Node.js {OLDEST_NODE_JS} or newer; --node-js names it",
                program.display()
            )
        })?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match major(&version) {
        Some(major) if major >= OLDEST_NODE_JS => Ok(program.to_owned()),
        _ => Err(format!(
            "{} --version says {version:?}: EthereumJS needs Node.js {OLDEST_NODE_JS} or newer; --node-js names it",
            program.display()
        )),
    }
}

/// Of `v20.1.2`.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        execution: ExecutionArgs,
    }

    fn found(arguments: &[&str]) -> Result<Execution, String> {
        let arguments = std::iter::once("devnet").chain(arguments.iter().copied());
        let cli = Cli::try_parse_from(arguments).map_err(|error| error.to_string())?;
        Execution::find(&cli.execution, 4).map_err(|error| error.to_string())
    }

    #[test]
    fn without_arguments_all_nodes_have_the_mock() {
        assert_eq!(found(&[]), Ok(Execution::Mock));
        assert!(!Execution::Mock.executes_transactions());
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_to_do() {
        for (arguments, expected) in [
            (&["--el=geth"][..], "expected mock, ethereumjs, or URLs"),
            (
                &["--el=ethereumjs", "--el-nodes=1,5"],
                "there is no node 5, expected 1 to 4",
            ),
            (
                &["--el=ethereumjs", "--el-nodes=1,4"],
                "--el-nodes leaves 2, 3 to the mock execution client, which has a toy state",
            ),
            (&["--el-jwt=secret"], "are for --el URL,..."),
            (&["--el=http://a:1,http://a:2"], "--el has 2 URLs, expected 4"),
            (
                &["--el=http://a:1,http://a:2,http://a:3,http://a:4"],
                "needs --el-jwt, the file with the secret",
            ),
            (
                &["--el=ethereumjs", "--ethereumjs-dir=/nowhere"],
                "EthereumJS is not installed in /nowhere: `make ethereumjs`",
            ),
        ] {
            let error = found(arguments).unwrap_err();
            assert!(error.contains(expected), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn running_clients_are_taken_with_their_secret() {
        let dir = tempfile::tempdir().unwrap();
        let jwt = dir.path().join("jwt");
        std::fs::write(&jwt, format!("0x{}\n", "ab".repeat(32))).unwrap();
        let jwt = format!("--el-jwt={}", jwt.display());
        let urls = "--el=http://a:1,http://a:2,http://a:3,http://a:4";
        let Ok(Execution::Running(running)) = found(&[urls, &jwt, "--el-genesis=/genesis.json"]) else {
            panic!("the arguments are complete")
        };
        assert_eq!(running.secret, [0xab; 32]);
        assert_eq!(running.engines[3], "http://a:4");
        assert!(running.rpcs.is_empty());
        let error = found(&[urls, &jwt, "--el-genesis=/genesis.json", "--el-rpc=http://a:5"]).unwrap_err();
        assert!(error.contains("--el-rpc has 1 URLs, expected 4"), "{error}");
    }

    #[test]
    fn versions_of_node_js_are_read() {
        assert_eq!(major("v20.11.1"), Some(20));
        assert_eq!(major("20.11.1"), None);
        let error = usable_node_js(Path::new("/nowhere/node")).unwrap_err();
        assert!(error.contains("needs Node.js 18 or newer"), "{error}");
        // A program that says something else.
        assert!(usable_node_js(Path::new("/bin/true")).is_err());
    }
}
