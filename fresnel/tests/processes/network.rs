//! A network of processes, on files that the genesis command would make.

use beacon_api::{BeaconClient, BlockId, ClientConfig, StateId};
use bls::SecretKey;
use genesis::{ExecutionGenesis, Inputs, Outputs};
use keystore::{Kdf, Keystore, Password};
use mock_execution::{Block, MockConfig, MockExecution};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use types::{ChainSpec, Epoch, PresetName, Root};

pub(crate) const FRESNEL: &str = env!("CARGO_BIN_EXE_fresnel");
pub(crate) const FEE_RECIPIENT: &str = "0x8943545177806ED17B9F23F0a21ee5948eCaa776";
pub(crate) const SECRET: [u8; 32] = [0x42; 32];
/// Words of ethereum-package's networks.
const MNEMONIC: &str = "giant issue aisle success illegal bike spike question tent bar rely arctic volcano long crawl \
                        hungry vocal artwork sniff fantasy very lucky have athlete";
const CHAIN_ID: u64 = 3_151_908;

/// A process that does not outlive its test.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts this binary, or the link to it that `program` is.
    pub(crate) fn start(program: &Path, arguments: &[String], log: PathBuf) -> Self {
        let output = File::create(&log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .env("NO_COLOR", "1")
            .env("HOME", log.parent().unwrap())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Fails the test, with the end of the log, if the process has ended.
    pub(crate) fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("{}: {status}\n{}", self.log.display(), self.log());
        }
    }

    /// Largest resident memory so far, in kilobytes.
    pub(crate) fn peak_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Asks the process to end, as an operator does.
    pub(crate) fn stop(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        assert!(self.child.wait().unwrap().success(), "{}", self.log());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port below what the system gives to outgoing connections, free for TCP and UDP, and given once.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 9_000).unwrap();
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        let address = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
}

pub(crate) fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

pub(crate) fn api(port: u16) -> BeaconClient {
    let config = ClientConfig {
        timeout: Duration::from_secs(5),
        ..ClientConfig::default()
    };
    BeaconClient::new(&format!("http://127.0.0.1:{port}"), config).unwrap()
}

/// What a network consists of.
pub(crate) struct Plan {
    /// Unix milliseconds.
    pub(crate) genesis_ms: u64,
    pub(crate) slot_ms: u64,
    /// Solo validators of each node.
    pub(crate) solo: Vec<u32>,
    /// Whether the first four nodes hold one key each of a 3-of-4 group.
    pub(crate) with_group: bool,
}

/// Files of a network.
pub(crate) struct Network {
    pub(crate) dir: TempDir,
    pub(crate) testnet: PathBuf,
    pub(crate) jwt: PathBuf,
    pub(crate) execution_genesis: Block,
    pub(crate) genesis_validators_root: Root,
    pub(crate) slot_ms: u64,
    pub(crate) genesis_ms: u64,
    /// Keys of each node, by number.
    keys: Vec<Vec<SecretKey>>,
}

impl Network {
    pub(crate) fn new(plan: &Plan) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let testnet = dir.path().join("network-configs");
        fs::create_dir(&testnet).unwrap();
        // Whole seconds, as in all configurations.
        let genesis_time = plan.genesis_ms.div_ceil(1000);
        let spec = ChainSpec {
            config_name: "processes".to_owned(),
            min_genesis_time: genesis_time,
            min_genesis_active_validator_count: 1,
            genesis_delay: 0,
            slot_duration_ms: plan.slot_ms,
            dvt_fork_epoch: Epoch::new(0),
            deposit_chain_id: CHAIN_ID,
            deposit_network_id: CHAIN_ID,
            ..ChainSpec::fulu_genesis(PresetName::Minimal)
        };
        let execution = serde_json::json!({
            "config": {
                "chainId": CHAIN_ID, "londonBlock": 0, "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0,
                "depositContractAddress": spec.deposit_contract_address,
            },
            "alloc": {},
            "difficulty": "0x0", "gasLimit": "0x3938700", "nonce": "0x1234", "extraData": "0x",
            "timestamp": (genesis_time - 1).to_string(), "baseFeePerGas": "0x3b9aca00",
            "excessBlobGas": "0x0", "blobGasUsed": "0x0",
        });
        let write = |name: &str, text: &str| {
            let path = testnet.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let total: u32 = plan.solo.iter().sum();
        let members = if plan.with_group { 4 } else { 0 };
        let balance = 32_000_000_000u64;
        let mnemonics = format!(
            "- {{mnemonic: \"{MNEMONIC}\", count: {}, balance: {balance}, wd_prefix: \"0x01\", wd_address: \"{FEE_RECIPIENT}\"}}\n",
            total + members
        );
        let groups = format!(
            "groups: [{{threshold: 3, keys: [{total}, {}, {}, {}]}}]\n",
            total + 1,
            total + 2,
            total + 3
        );
        let inputs = Inputs {
            config: write("config.yaml", &spec.to_yaml()),
            execution_genesis: write("genesis.json", &execution.to_string()),
            mnemonics: Some(write("mnemonics.yaml", &mnemonics)),
            groups: plan.with_group.then(|| write("groups.yaml", &groups)),
            ..Inputs::default()
        };
        let outputs = Outputs {
            state: Some(testnet.join("genesis.ssz")),
            ..Outputs::default()
        };
        let made = genesis::make(&inputs, &outputs).unwrap();
        let jwt = dir.path().join("jwtsecret");
        fs::write(&jwt, format!("0x{}", "42".repeat(32))).unwrap();
        let seed = bip39::Mnemonic::parse_normalized(MNEMONIC)
            .unwrap()
            .to_seed_normalized("");
        let secret = |index: u32| {
            let path = format!("m/12381/3600/{index}/0/0").parse().unwrap();
            SecretKey::derive_path(&seed, &path).unwrap()
        };
        let mut next = 0;
        let mut keys: Vec<Vec<SecretKey>> = Vec::new();
        for count in &plan.solo {
            keys.push((next..next + count).map(secret).collect());
            next += count;
        }
        for (member, keys) in (0..members).zip(&mut keys) {
            keys.push(secret(total + member));
        }
        Self {
            jwt,
            execution_genesis: ExecutionGenesis::from_file(&inputs.execution_genesis).unwrap().block,
            genesis_validators_root: made.genesis_validators_root,
            testnet,
            dir,
            slot_ms: plan.slot_ms,
            genesis_ms: genesis_time * 1000,
            keys,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn slot_now(&self) -> u64 {
        now_ms().saturating_sub(self.genesis_ms) / self.slot_ms
    }

    /// An execution client of this network. `listen` 0 takes a free port.
    pub(crate) async fn execution_client(&self, change: impl FnOnce(MockConfig) -> MockConfig) -> MockExecution {
        let config = MockConfig {
            chain_id: CHAIN_ID,
            ..MockConfig::new(SECRET, self.execution_genesis.clone())
        };
        let config = change(config);
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            // The one before gives its address free when its task ends.
            match MockExecution::start(config.clone()).await {
                Ok(execution) => return execution,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Keystores as `eth2-val-tools` writes them: few rounds, passwords without a newline, everything for its owner only.
    pub(crate) fn write_keys(&self, node: usize) -> PathBuf {
        let root = self.path(&format!("validator-keys-{node}"));
        let (keystores, secrets) = (root.join("keys"), root.join("secrets"));
        fs::create_dir_all(&keystores).unwrap();
        fs::create_dir_all(&secrets).unwrap();
        for (number, key) in self.keys[node].iter().enumerate() {
            let name = format!("{:?}", key.public_key().to_bytes());
            let text = format!("{number:0>43}=");
            let dir = keystores.join(&name);
            fs::create_dir(&dir).unwrap();
            let password = Password::new(&text);
            let keystore = Keystore::encrypt(key, &password, Kdf::insecure(), "", Some(&name)).unwrap();
            fs::write(dir.join("voting-keystore.json"), keystore.to_json().to_string()).unwrap();
            fs::write(secrets.join(&name), text).unwrap();
        }
        // `chmod -R 0600`: only root can enter such directories, and the image runs as root.
        if rustix::process::geteuid().is_root() {
            restrict(&root);
        }
        root
    }
}

fn restrict(path: &Path) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            restrict(&entry.unwrap().path());
        }
    }
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// A beacon node with its ports.
pub(crate) struct Beacon {
    pub(crate) process: Process,
    pub(crate) api: BeaconClient,
    pub(crate) http: u16,
}

/// Flags of a beacon node on loopback.
pub(crate) struct BeaconFlags {
    pub(crate) name: String,
    pub(crate) http: u16,
    pub(crate) arguments: Vec<String>,
}

impl BeaconFlags {
    pub(crate) fn new(network: &Network, name: &str) -> Self {
        let (port, quic, http) = (free_port(), free_port(), free_port());
        let arguments = vec![
            "bn".to_owned(),
            format!("--datadir={}", network.path(name).display()),
            format!("--testnet-dir={}", network.testnet.display()),
            "--listen-address=127.0.0.1".to_owned(),
            format!("--port={port}"),
            format!("--quic-port={quic}"),
            "--enr-address=127.0.0.1".to_owned(),
            format!("--enr-tcp-port={port}"),
            format!("--enr-udp-port={port}"),
            format!("--enr-quic-port={quic}"),
            "--enable-private-discovery".to_owned(),
            "--disable-packet-filter".to_owned(),
            "--http".to_owned(),
            format!("--http-port={http}"),
            format!("--suggested-fee-recipient={FEE_RECIPIENT}"),
        ];
        Self {
            name: name.to_owned(),
            http,
            arguments,
        }
    }

    pub(crate) fn with(mut self, argument: String) -> Self {
        self.arguments.push(argument);
        self
    }

    pub(crate) fn execution(self, network: &Network, address: SocketAddr) -> Self {
        self.with(format!("--execution-endpoint=http://{address}"))
            .with(format!("--execution-jwt={}", network.jwt.display()))
    }

    pub(crate) fn start(&self, network: &Network) -> Beacon {
        let log = network.path(&format!("{}-{}.log", self.name, now_ms()));
        Beacon {
            process: Process::start(Path::new(FRESNEL), &self.arguments, log),
            api: api(self.http),
            http: self.http,
        }
    }
}

impl Beacon {
    /// Waits for the first answer.
    pub(crate) async fn answering(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.api.health().await.is_err() {
            self.process.assert_running();
            assert!(Instant::now() < deadline, "no answer\n{}", self.process.log());
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn enr(&self) -> String {
        self.api.identity().await.unwrap().enr
    }

    pub(crate) async fn head(&self) -> (u64, Root) {
        let head = self.api.header(BlockId::Head).await.unwrap().unwrap().data;
        (head.header.message().slot.as_u64(), head.root)
    }

    pub(crate) async fn finalized(&self) -> (u64, Root) {
        let checkpoints = self.api.finality_checkpoints(StateId::Head).await.unwrap().data;
        (checkpoints.finalized.epoch.as_u64(), checkpoints.finalized.root)
    }

    /// Waits until something holds, which is asked four times a second.
    pub(crate) async fn wait_until(&mut self, what: &str, within: Duration, holds: impl AsyncFn(&Self) -> bool) {
        let deadline = Instant::now() + within;
        while !holds(self).await {
            self.process.assert_running();
            assert!(
                Instant::now() < deadline,
                "{what}: not within {within:?}\n{}",
                self.process.log()
            );
            sleep(Duration::from_millis(250)).await;
        }
    }
}

/// A validator client with the keys of a node.
pub(crate) fn start_client(network: &Network, node: usize, http: u16) -> Process {
    let keys = network.write_keys(node);
    let arguments = [
        "vc".to_owned(),
        format!("--datadir={}", network.path(&format!("client-{node}")).display()),
        format!("--testnet-dir={}", network.testnet.display()),
        format!("--validators-dir={}", keys.join("keys").display()),
        format!("--secrets-dir={}", keys.join("secrets").display()),
        "--init-slashing-protection".to_owned(),
        format!("--beacon-nodes=http://127.0.0.1:{http}"),
        format!("--suggested-fee-recipient={FEE_RECIPIENT}"),
    ];
    let log = network.path(&format!("client-{node}.log"));
    Process::start(Path::new(FRESNEL), &arguments, log)
}

/// Values of flags of a command line, by their names.
pub(crate) fn values(arguments: &[String]) -> BTreeMap<&str, &str> {
    arguments
        .iter()
        .filter_map(|argument| argument.split_once('='))
        .collect()
}
