//! Genesis states from files, as `fresnel genesis` makes them.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use genesis::{ExecutionGenesis, GenesisError, Inputs, Keystores, Outputs, Summary, make, parse_key_numbers};
use std::path::{Path, PathBuf};
use types::{
    BeaconState, ChainSpec, Epoch, ForkName, ForkVersioned as _, Mainnet, Minimal, Preset, PresetName, VirtualKey,
};

/// The mnemonic of ethereum-package's networks, and the public key of its first validator there.
const MNEMONIC: &str = "giant issue aisle success illegal bike spike question tent bar rely arctic volcano long crawl \
                        hungry vocal artwork sniff fantasy very lucky have athlete";
const FIRST_KEY: &str =
    "0xaaf6c1251e73fb600624937760fef218aace5b253bf068ed45398aeb29d821e4d2899343ddcbbe37cb3f6cf500dff26c";
/// The public key of the first validator of networks with interoperability keys.
const OTHER_KEY: &str =
    "0xa99a76ed7796f7be22d5b7e85deeb7c5677e88e511e0b337618f8c4eb61349b4bf2d153f649f7b53359fe8b94a38e44c";

struct Files {
    dir: tempfile::TempDir,
    inputs: Inputs,
}

impl Files {
    fn new(spec: &ChainSpec) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let inputs = Inputs {
            config: dir.path().join("config.yaml"),
            execution_genesis: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/execution.json"),
            mnemonics: Some(dir.path().join("mnemonics.yaml")),
            ..Inputs::default()
        };
        let files = Self { dir, inputs };
        files.write("config.yaml", &spec.to_yaml());
        files.write(
            "mnemonics.yaml",
            &format!(
                "- mnemonic: \"{MNEMONIC}\"\n  name: main-mnemonic\n  count: 20\n  wd_prefix: \"0x01\"\n  \
                 wd_address: \"0x8943545177806ED17B9F23F0a21ee5948eCaa776\"\n  group_n: 4\n"
            ),
        );
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn groups(mut self, yaml: &str) -> Self {
        self.inputs.groups = Some(self.write("groups.yaml", yaml));
        self
    }

    fn make(&self) -> Result<Summary, GenesisError> {
        let outputs = Outputs {
            state: Some(self.path("genesis.ssz")),
            json: Some(self.path("genesis.json")),
            mapping: Some(self.path("mapping.yaml")),
        };
        make(&self.inputs, &outputs)
    }

    fn error(&self) -> String {
        let error = self.make().unwrap_err().to_string();
        let written: Vec<_> = ["genesis.ssz", "genesis.json", "mapping.yaml"]
            .into_iter()
            .filter(|name| self.path(name).exists())
            .collect();
        assert!(written.is_empty(), "{written:?} was written, but {error}");
        error
    }

    fn state<P: Preset>(&self, fork: ForkName) -> BeaconState<P> {
        let bytes = std::fs::read(self.path("genesis.ssz")).unwrap();
        BeaconState::from_ssz_bytes_by_fork(&bytes, fork).unwrap()
    }
}

fn spec(preset: PresetName, dvt_fork_epoch: u64) -> ChainSpec {
    ChainSpec {
        min_genesis_time: 0,
        genesis_delay: 60,
        dvt_fork_epoch: Epoch::new(dvt_fork_epoch),
        deposit_chain_id: 7071,
        deposit_network_id: 7071,
        deposit_contract_address: "0x00000000219ab540356cBB839Cbe05303d7705Fa".parse().unwrap(),
        ..ChainSpec::fulu_genesis(preset)
    }
}

fn minimal() -> ChainSpec {
    spec(PresetName::Minimal, 0)
}

/// What EthereumJS 0.10.5 answers to eth_getBlockByNumber for the same file.
#[test]
fn the_execution_block_is_that_of_an_execution_client() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/execution.json");
    let block = ExecutionGenesis::from_file(&path).unwrap();
    let header = block.block.to_payload_header::<Mainnet>().unwrap();
    assert_eq!(
        format!("{:?}", header.state_root),
        "0xcd09d9f3295bac995055d23ad24b6abd6c769e6e6f85d80f608c07313406ae05"
    );
    assert_eq!(
        format!("{:?}", header.block_hash),
        "0x7c31d1701045a2c40bc418aacf18d411c9f9b1c34d8546f5d61c9f7f8a0fd1c4"
    );
    assert_eq!((block.chain_id, header.timestamp), (7071, 1_767_225_600));
}

#[test]
fn groups_take_their_keys_from_the_mnemonics() {
    let files = Files::new(&minimal()).groups(
        "groups:\n- { threshold: 3, keys: [0, 5, 10, 15] }\n- { threshold: 1, keys: [7], balance: 64000000000, \
         registry_key: 1000 }\n",
    );
    let summary = files.make().unwrap();
    assert_eq!((summary.validators, summary.groups), (17, 2));
    assert_eq!(summary.genesis_time, 1_767_225_660);
    let state = files.state::<Minimal>(ForkName::Dvt);
    assert_eq!(state.genesis_validators_root(), summary.genesis_validators_root);
    assert_eq!(
        state.latest_execution_payload_header().block_hash,
        summary.execution_block
    );
    let groups = state.groups().unwrap();
    let (first, second) = (groups.get(0).unwrap(), groups.get(1).unwrap());
    assert_eq!(
        (first.validator_index.as_usize(), second.validator_index.as_usize()),
        (15, 16)
    );
    let keys: Vec<&VirtualKey> = first.key_sets[0].keys.iter().collect();
    assert_eq!((first.key_sets[0].threshold, keys.len()), (3, 4));
    assert_eq!(keys[0].as_bls().unwrap().to_string(), FIRST_KEY);
    let validator = state.validators().get(15).unwrap();
    assert_eq!(validator.effective_balance, 128_000_000_000);
    assert_eq!(
        format!("{:?}", validator.withdrawal_credentials),
        "0x0200000000000000000000008943545177806ed17b9f23f0a21ee5948ecaa776"
    );
    assert_eq!(state.validators().get(16).unwrap().effective_balance, 64_000_000_000);
    assert_eq!(
        std::fs::read_to_string(files.path("mapping.yaml")).unwrap(),
        "- 0-3: { src: \"main-mnemonic\", from: 1, to: 4 }\n- 4-4: { src: \"main-mnemonic\", from: 6, to: 6 }\n\
         - 5-6: { src: \"main-mnemonic\", from: 8, to: 9 }\n- 7-10: { src: \"main-mnemonic\", from: 11, to: 14 }\n\
         - 11-14: { src: \"main-mnemonic\", from: 16, to: 19 }\n- 15-16: { src: \"groups\", from: 0, to: 1 }\n"
    );
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(files.path("genesis.json")).unwrap()).unwrap();
    assert_eq!(
        json["genesis_validators_root"],
        format!("{:?}", summary.genesis_validators_root)
    );
    assert_eq!(
        json["eth1_data"]["block_hash"],
        format!("{:?}", summary.execution_block)
    );
}

#[test]
fn a_genesis_of_fulu_has_all_keys_as_validators_in_either_preset() {
    for preset in [PresetName::Minimal, PresetName::Mainnet] {
        let mut files = Files::new(&spec(preset, 5));
        let pubkey = &OTHER_KEY[2..];
        let list = format!("# a comment\n\n{pubkey}:{:064x}\n", 0xaa);
        files.inputs.additional_validators = Some(files.write("list", &list));
        assert_eq!(files.make().unwrap().validators, 21);
        let validators: Vec<String> = match preset {
            PresetName::Minimal => pubkeys(&files.state::<Minimal>(ForkName::Fulu)),
            PresetName::Mainnet => pubkeys(&files.state::<Mainnet>(ForkName::Fulu)),
        };
        assert_eq!(validators[0], FIRST_KEY);
        assert_eq!(validators[20], format!("0x{pubkey}"));
        let mapping = std::fs::read_to_string(files.path("mapping.yaml")).unwrap();
        assert!(
            mapping.ends_with("- 20-20: { src: \"additional-validators\", from: 0, to: 0 }\n"),
            "{mapping}"
        );
    }
}

fn pubkeys<P: Preset>(state: &BeaconState<P>) -> Vec<String> {
    state
        .validators()
        .iter()
        .map(|validator| validator.pubkey.to_string())
        .collect()
}

#[test]
fn wrong_groups_say_which_and_what_was_expected() {
    for (yaml, expected) in [
        (
            "groups:\n- { threshold: 3, keys: [1, 2] }",
            "group 0: its threshold is 3, expected 1 to 2",
        ),
        (
            "groups:\n- { threshold: 0, keys: [1, 2] }",
            "group 0: its threshold is 0, expected 1 to 2",
        ),
        (
            "groups:\n- { threshold: 1, keys: [] }",
            "group 0: it has 0 keys, expected 1 to 16",
        ),
        (
            "groups:\n- { threshold: 1, keys: [1] }\n- { threshold: 1, keys: [1] }",
            "group 1: key 1 is a member already",
        ),
        (
            "groups:\n- { threshold: 1, keys: [20] }",
            "group 0: key 20 does not exist: the mnemonics have 20 keys",
        ),
        (
            "groups:\n- { threshold: 2, keys: [1, 2], balance: 1 }",
            "its balance is 1 Gwei, expected 64000000000 at least",
        ),
        (
            "groups:\n- { threshold: 2, keys: [1, 2], registry_key: 4 }",
            "groups.yaml: group 0) have the same key",
        ),
        (
            "groups:\n- { threshold: 2, keys: [1, 2], registry_key: 1 }\n- { threshold: 1, keys: [3], registry_key: 2 }",
            "whose key is that of validator 18",
        ),
        ("groups:\n- { threshold: 2, keys: [1, 2], colour: red }", "colour"),
        (
            "groups:\n- { threshold: 2, keys: [1, '9-0x00'] }",
            "groups.yaml: group 0: ",
        ),
        (
            "groups:\n- { threshold: 2, keys: [1, '0x1234'] }",
            "groups.yaml: group 0: place 1: \"0x1234\": expected a public key",
        ),
        (
            "groups:\n- { threshold: 2, keys: [1, '0xaaf6c1251e73fb600624937760fef218aace5b253bf068ed45398aeb29d821e4d2899343ddcbbe37cb3f6cf500dff26c'] }",
            "groups.yaml: group 0 has a member whose key is that of validator 0",
        ),
        (
            "groups:\n- { threshold: 9, keys: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16] }",
            "groups.yaml: group 0: it has 17 keys, expected 1 to 16",
        ),
        ("group: []", "group"),
    ] {
        let error = Files::new(&minimal()).groups(yaml).error();
        assert!(error.contains(expected), "{yaml}: {error}");
    }
    let error = Files::new(&spec(PresetName::Minimal, 3)).groups("groups: []").error();
    assert!(error.contains("DVT_FORK_EPOCH is 3, expected 0"), "{error}");
}

#[test]
fn files_that_do_not_mean_each_other_are_refused() {
    let mut other = minimal();
    other.deposit_chain_id = 1;
    let error = Files::new(&other).error();
    assert!(
        error.contains("DEPOSIT_CHAIN_ID is 1, but the execution chain has the id 7071"),
        "{error}"
    );
    let mut other = minimal();
    other.deposit_contract_address = "0x0000000000000000000000000000000000000001".parse().unwrap();
    let error = Files::new(&other).error();
    assert!(
        error.contains("the execution chain watches 0x00000000219ab540356cBB839Cbe05303d7705Fa"),
        "{error}"
    );
}

#[test]
fn wrong_mnemonics_say_where() {
    for (from, to, expected) in [
        ("giant", "giants", "entry 0: the mnemonic is wrong"),
        ("giant issue", "issue giant", "entry 0: the mnemonic is wrong"),
        ("count: 20", "count: 99999999999", "expected at most"),
        (
            "count: 20",
            "count: 1\n  start: 4294967296",
            "key 4294967296 does not exist",
        ),
        ("0x8943", "0x", "wd_address has 18 bytes, expected 20"),
        (
            "wd_prefix: \"0x01\"",
            "wd_prefix: \"0xzz\"",
            "wd_prefix is \"0xzz\", expected hexadecimal",
        ),
        ("name: main-mnemonic", "status: 1", "status 1 is not supported"),
        ("count: 20", "count: 0", "at least one active validator"),
    ] {
        let files = Files::new(&minimal());
        let text = std::fs::read_to_string(files.path("mnemonics.yaml")).unwrap();
        assert!(text.contains(from));
        files.write("mnemonics.yaml", &text.replace(from, to));
        let error = files.error();
        assert!(error.contains(expected), "{to}: {error}");
        assert!(!error.contains("athlete"), "words are not repeated: {error}");
    }
}

/// Who has a key twice finds both places.
#[test]
fn a_key_that_is_there_twice_is_told_with_both_files() {
    let mut files = Files::new(&minimal());
    files.inputs.additional_validators = Some(files.write("list", &format!("#\n{FIRST_KEY}:{:064x}\n", 1)));
    let error = files.error();
    for part in ["mnemonics.yaml: entry 0, key 0", "list: line 2", "have the same key"] {
        assert!(error.contains(part), "{error}: {part}");
    }
}

/// What a participant starts its client with are the keys that the genesis has, members' keys included.
#[test]
fn keystores_are_those_of_the_genesis_in_the_layout_of_clients() {
    let files = Files::new(&minimal()).groups("groups:\n- { threshold: 1, keys: [0, 2] }\n");
    let text = std::fs::read_to_string(files.path("mnemonics.yaml")).unwrap();
    let text = text.replace("count: 20", "start: 3\n  count: 2");
    let second = "- mnemonic: \"test test test test test test test test test test test junk\"\n  count: 3\n";
    files.write("mnemonics.yaml", &(text + second));
    files.make().unwrap();
    let state = files.state::<Minimal>(ForkName::Dvt);
    let request = Keystores {
        mnemonics: files.path("mnemonics.yaml"),
        keys: parse_key_numbers("0,2-3").unwrap(),
        validators_dir: files.path("validators"),
        secrets_dir: files.path("secrets"),
        is_insecure: true,
    };
    let written = request.write().unwrap();
    assert_eq!(request.write().unwrap(), written, "again");
    let group = state.groups().unwrap().get(0).unwrap().key_sets[0].clone();
    assert_eq!(written[0], group.keys[0].as_bls().unwrap());
    assert_eq!(written[1], group.keys[1].as_bls().unwrap());
    // Of the keys, 1 and 3 are validators of their own.
    assert_eq!(written[2].to_string(), pubkeys(&state)[1]);

    let dir = keystore::ValidatorsDir::open(&request.validators_dir, &request.secrets_dir).unwrap();
    let mut definitions = dir.definitions().unwrap();
    assert_eq!(definitions.as_slice().len(), 0, "no paths that hold only here");
    dir.discover(&mut definitions).unwrap();
    assert_eq!(dir.unlock_enabled(&definitions).filter(Result::is_ok).count(), 3);
    for (key, path) in written
        .iter()
        .zip(["m/12381/3600/3/0/0", "m/12381/3600/0/0/0", "m/12381/3600/1/0/0"])
    {
        let keystore = keystore::Keystore::from_file(&dir.keystore_path(*key)).unwrap();
        assert_eq!(keystore.path(), path);
    }
    drop(dir);

    let beyond = Keystores {
        keys: vec![5],
        ..request
    };
    let error = beyond.write().unwrap_err().to_string();
    assert!(
        error.contains("mnemonics.yaml: key 5 does not exist: the mnemonics have 5 keys"),
        "{error}"
    );
    for (text, expected) in [
        ("", "expected"),
        ("3-1", "3-1"),
        ("a", "\"a\""),
        ("1-9999999999", "at most"),
    ] {
        let error = parse_key_numbers(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn wrong_lists_say_the_line() {
    let key = OTHER_KEY;
    for (line, expected) in [
        (
            format!("{key}aa:{:064x}", 1),
            "line 2: the public key has 49 bytes, expected 48",
        ),
        (
            format!("{}:{:064x}", "aa".repeat(48), 1),
            "line 2: the public key is none",
        ),
        (key.to_owned(), "line 2: no withdrawal credentials"),
        (
            format!("{key}:00"),
            "line 2: the withdrawal credentials have 1 bytes, expected 32",
        ),
        (
            format!("{key}:03{:062x}", 1),
            "line 2: the withdrawal credentials begin with 0x03",
        ),
        (format!("{key}:01{}", "11".repeat(31)), "no eleven zero bytes"),
        (
            format!("{key}:{:064x}:much", 1),
            "line 2: the balance is \"much\", expected Gwei",
        ),
    ] {
        let mut files = Files::new(&minimal());
        files.inputs.additional_validators = Some(files.write("list", &format!("#\n{line}\n")));
        let error = files.error();
        assert!(error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn an_execution_chain_before_prague_is_refused() {
    let mut files = Files::new(&minimal());
    let text = std::fs::read_to_string(&files.inputs.execution_genesis).unwrap();
    for (from, to, expected) in [
        (
            "\"cancunTime\": 0",
            "\"cancunTime\": 1767225601",
            "cancunTime is later than the first block",
        ),
        ("\"shanghaiTime\": 0,", "", "shanghaiTime is later than the first block"),
        (
            "\"pragueTime\": 0",
            "\"pragueTime\": 1767225601",
            "pragueTime is later than the first block",
        ),
        (
            "\"pragueTime\": 0",
            "\"pragueTime\": 0, \"amsterdamTime\": 0",
            "amsterdamTime",
        ),
        (
            "\"gasLimit\": \"0x3938700\"",
            "\"gasLimit\": \"lots\"",
            "\"lots\" is not a number",
        ),
        (
            "\"nonce\": \"0x7\"",
            "\"nonce\": \"0x10000000000000000\"",
            "alloc: 0x0000000000000000000000000000000000001234: nonce",
        ),
        (
            "0x667265736e656c",
            &format!("0x{}", "66".repeat(33)),
            "the extra data of the block has 33 bytes, the preset allows 32",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        files.inputs.execution_genesis = files.write("el.json", &text.replace(from, to));
        let error = files.error();
        assert!(error.contains(expected), "{to}: {error}");
    }
}
