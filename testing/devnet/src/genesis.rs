//! The files of a devnet: network, keys, secrets.

use crate::accounts::{Holder, funds};
use crate::error::DevnetError;
use crate::execution::Execution;
use crate::keys::Keys;
use crate::layout::{Duty, ETH, Layout, NodeNumber};
use alloy_primitives::address;
use bls::SecretKey;
use genesis::{BlobSchedule, ExecutionGenesis, NewExecutionChain};
use keystore::{Keystore, Password, ValidatorsDir, write_atomically};
use mock_execution::{Block, GenesisParameters, genesis_block};
use ssz::Encode as _;
use state_transition::genesis::{GenesisGroup, GenesisValidator, genesis_state};
use std::fs;
use std::path::{Path, PathBuf};
use types::constants::COMPOUNDING_WITHDRAWAL_PREFIX;
use types::{ChainSpec, Epoch, ExecutionAddress, Hash32, Minimal, PresetName, PublicKeyBytes, VirtualKey};

/// Id of the execution chain, if nobody says another.
pub const CHAIN_ID: u64 = 1337;
/// Who gets the fees of every proposer: members of a group have to agree, and ordinary flags say it.
pub(crate) const FEE_RECIPIENT: &str = "0x8943545177806ed17b9f23f0a21ee5948ecaa776";

/// Where deposits go: the address of the main network.
pub const DEPOSIT_CONTRACT: ExecutionAddress = address!("0x00000000219ab540356cBB839Cbe05303d7705Fa");
/// Genesis file of the execution chain, beside that of the consensus chain.
pub(crate) const EXECUTION_GENESIS: &str = "genesis.json";

/// Where a node keeps its things.
#[derive(Debug, Clone)]
pub(crate) struct NodeDirs {
    pub(crate) beacon: PathBuf,
    pub(crate) validators: PathBuf,
    pub(crate) secrets: PathBuf,
    pub(crate) client: PathBuf,
    pub(crate) jwt: PathBuf,
    /// Data of its execution client.
    pub(crate) execution: PathBuf,
    pub(crate) root: PathBuf,
}

impl NodeDirs {
    pub(crate) fn of(network: &Path, node: NodeNumber) -> Self {
        let root = network.join(format!("node-{node}"));
        Self {
            beacon: root.join("beacon"),
            validators: root.join("validators"),
            secrets: root.join("secrets"),
            client: root.join("client"),
            jwt: root.join("jwtsecret"),
            execution: root.join("execution"),
            root,
        }
    }
}

/// A genesis with everything that the processes need.
pub(crate) struct Genesis {
    pub(crate) spec: ChainSpec,
    pub(crate) validators_root: types::Root,
    pub(crate) execution: Block,
    pub(crate) chain_id: u64,
    /// Secret of each node with its execution client, by node number less one.
    pub(crate) jwt_secrets: Vec<[u8; 32]>,
}

/// The configuration of a devnet that begins at `genesis_time` (Unix seconds).
pub(crate) fn devnet_spec(genesis_time: u64, slot_ms: u64, dvt_fork_epoch: Epoch, validators: u64) -> ChainSpec {
    ChainSpec {
        config_name: "fresnel-devnet".to_owned(),
        min_genesis_time: genesis_time,
        min_genesis_active_validator_count: validators,
        genesis_delay: 0,
        slot_duration_ms: slot_ms,
        dvt_fork_epoch,
        deposit_chain_id: CHAIN_ID,
        deposit_network_id: CHAIN_ID,
        deposit_contract_address: DEPOSIT_CONTRACT,
        ..ChainSpec::fulu_genesis(PresetName::Minimal)
    }
}

fn registry(layout: &Layout, keys: &mut Keys) -> Result<Vec<GenesisValidator>, DevnetError> {
    let mut validators = Vec::new();
    for (index, planned) in layout.validators.iter().enumerate() {
        let withdrawal_credentials = withdrawal_credentials(index)?;
        let group = match &planned.duty {
            Duty::Solo { .. } => None,
            Duty::Group { threshold, .. } => Some(GenesisGroup {
                threshold: *threshold,
                keys: member_keys(layout, index, keys)?,
            }),
        };
        validators.push(GenesisValidator {
            pubkey: keys.public(0, layout.registry_account(index))?,
            withdrawal_credentials,
            balance: planned.balance_eth * ETH,
            group,
        });
    }
    Ok(validators)
}

/// Compounding ones, with the address of the validator's owner.
pub(crate) fn withdrawal_credentials(validator: usize) -> Result<Hash32, DevnetError> {
    let mut credentials = Holder::Owner(validator).address()?.into_word();
    if let Some(prefix) = credentials.first_mut() {
        *prefix = COMPOUNDING_WITHDRAWAL_PREFIX;
    }
    Ok(credentials)
}

/// The execution chain at its beginning.
#[derive(Debug, Clone)]
pub(crate) struct ExecutionChain {
    pub(crate) id: u64,
    pub(crate) first: Block,
    /// For execution clients that read it, in go-ethereum's form.
    file: Option<Vec<u8>>,
    /// What clients that run already share with the nodes.
    secret: Option<[u8; 32]>,
}

impl ExecutionChain {
    /// The chain that execution clients are to start with, or have been started with.
    pub(crate) fn of(execution: &Execution, layout: &Layout, spec: &ChainSpec) -> Result<Self, DevnetError> {
        let time = spec.min_genesis_time;
        let extra_data = rand::random::<[u8; 8]>().to_vec().into();
        match execution {
            Execution::Mock => Ok(Self {
                id: CHAIN_ID,
                first: genesis_block(&GenesisParameters {
                    extra_data,
                    ..GenesisParameters::at(time)
                }),
                file: None,
                secret: None,
            }),
            Execution::EthereumJs { .. } => {
                let chain = NewExecutionChain {
                    chain_id: CHAIN_ID,
                    timestamp: time,
                    extra_data,
                    deposit_contract: DEPOSIT_CONTRACT,
                    balances: funds(layout.validators.len())?,
                    osaka: false,
                    blobs: BlobSchedule::of(spec, time)?,
                };
                Ok(Self {
                    id: CHAIN_ID,
                    first: chain.first_block()?.block,
                    file: Some(chain.to_json()?.to_string().into_bytes()),
                    secret: None,
                })
            }
            Execution::Running(running) => {
                if let Some(entry) = spec.blob_schedule.iter().find(|entry| entry.epoch > Epoch::new(0)) {
                    return Err(DevnetError::Arguments {
                        reason: format!(
                            "BLOB_SCHEDULE changes blob parameters in epoch {}, whose time the clients of --el-genesis {} \
                             could not know: expected none after epoch 0",
                            entry.epoch,
                            running.genesis.display()
                        ),
                    });
                }
                let genesis = ExecutionGenesis::from_file(&running.genesis)?;
                if genesis.block.header.timestamp >= time {
                    return Err(DevnetError::Arguments {
                        reason: format!(
                            "--el-genesis {}: timestamp is {}, expected one before the genesis of the nodes, which is {time}",
                            running.genesis.display(),
                            genesis.block.header.timestamp
                        ),
                    });
                }
                let file = fs::read(&running.genesis).map_err(DevnetError::file("read", &running.genesis))?;
                Ok(Self {
                    id: genesis.chain_id,
                    first: genesis.block,
                    file: Some(file),
                    secret: Some(running.secret),
                })
            }
        }
    }
}

fn member_keys(layout: &Layout, validator: usize, keys: &mut Keys) -> Result<Vec<VirtualKey>, DevnetError> {
    layout
        .member_accounts(validator)
        .into_iter()
        .map(|(node, account)| Ok(keys.signer_key(node, account)?.to_virtual_key()))
        .collect()
}

/// Public keys of those who sign for a validator as members, or will: node and key by key index.
pub(crate) fn member_public_keys(
    layout: &Layout,
    validator: usize,
) -> Result<Vec<(NodeNumber, PublicKeyBytes)>, DevnetError> {
    let mut keys = Keys::default();
    layout
        .member_accounts(validator)
        .into_iter()
        .map(|(node, account)| Ok((node, keys.public(node, account)?)))
        .collect()
}

/// Public registry key of a validator.
pub(crate) fn registry_public_key(layout: &Layout, validator: usize) -> Result<PublicKeyBytes, DevnetError> {
    Keys::default().public(0, layout.registry_account(validator))
}

/// Makes a directory with all that the processes need: complete, or not at all.
pub(crate) fn write_network(
    network: &Path,
    layout: &Layout,
    spec: ChainSpec,
    keys: Keys,
    execution: ExecutionChain,
) -> Result<Genesis, DevnetError> {
    // Under a name of its own until it is complete; what was written is removed if that fails.
    let parent = network.parent().unwrap_or(network);
    let partial = tempfile::Builder::new()
        .prefix(".fresnel-devnet-")
        .tempdir_in(parent)
        .map_err(DevnetError::file("create a directory in", parent))?;
    let genesis = write_files(partial.path(), layout, spec, keys, execution)?;
    if network.exists() {
        // Only an empty one can be removed.
        fs::remove_dir(network).map_err(|_| DevnetError::DirectoryInUse {
            path: network.to_owned(),
        })?;
    }
    fs::rename(partial.path(), network).map_err(DevnetError::file("create", network))?;
    let _ = partial.keep();
    Ok(genesis)
}

fn write_files(
    network: &Path,
    layout: &Layout,
    spec: ChainSpec,
    mut keys: Keys,
    execution: ExecutionChain,
) -> Result<Genesis, DevnetError> {
    let invalid = |error: &dyn std::fmt::Display| DevnetError::Genesis {
        reason: error.to_string(),
    };
    spec.validate().map_err(|error| invalid(&error))?;
    let time = spec.min_genesis_time;
    let validators = registry(layout, &mut keys)?;
    let header = execution
        .first
        .to_payload_header::<Minimal>()
        .map_err(|error| invalid(&error))?;
    let mut state = genesis_state::<Minimal>(time, &validators, header, &spec).map_err(|error| invalid(&error))?;
    state.canonical_root().map_err(|error| invalid(&error))?;

    let testnet = network.join("testnet");
    create_dir(&testnet)?;
    write(&testnet.join("config.yaml"), spec.to_yaml().as_bytes())?;
    write(&testnet.join("genesis.ssz"), &state.as_ssz_bytes())?;
    if let Some(file) = &execution.file {
        write(&testnet.join(EXECUTION_GENESIS), file)?;
    }
    write(&testnet.join("deposit_contract_block.txt"), b"0")?;
    write(&testnet.join("deploy_block.txt"), b"0")?;
    let contract = format!("{}", spec.deposit_contract_address);
    write(&testnet.join("deposit_contract.txt"), contract.as_bytes())?;
    let validators_root = state.genesis_validators_root();
    write(
        &testnet.join("genesis_validators_root.txt"),
        format!("{validators_root:?}").as_bytes(),
    )?;

    let mut jwt_secrets = Vec::new();
    for node in 1..=layout.nodes {
        let dirs = NodeDirs::of(network, node);
        create_dir(&dirs.root)?;
        let secret: [u8; 32] = execution.secret.unwrap_or_else(rand::random);
        write(&dirs.jwt, format!("0x{}", hex::encode(secret)).as_bytes())?;
        jwt_secrets.push(secret);
        write_keys(&dirs, layout, node, &mut keys)?;
    }
    Ok(Genesis {
        spec,
        validators_root,
        execution: execution.first,
        chain_id: execution.id,
        jwt_secrets,
    })
}

fn write_keys(dirs: &NodeDirs, layout: &Layout, node: NodeNumber, keys: &mut Keys) -> Result<(), DevnetError> {
    let failed = |reason: String| DevnetError::Key { node, reason };
    create_dir(&dirs.validators)?;
    create_dir(&dirs.secrets)?;
    let dir = ValidatorsDir::open(&dirs.validators, &dirs.secrets).map_err(|error| failed(error.to_string()))?;
    for account in layout.accounts_of(node) {
        keys.store(&dir, node, account)?;
    }
    Ok(())
}

/// Reads a node's key from its files, whoever else has them open.
pub(crate) fn read_key(dirs: &NodeDirs, node: NodeNumber, pubkey: &PublicKeyBytes) -> Result<SecretKey, DevnetError> {
    let failed = |reason: String| DevnetError::Key { node, reason };
    let path = dirs.validators.join(pubkey.to_string()).join(keystore::KEYSTORE_FILE);
    let keystore = Keystore::from_file(&path).map_err(|error| failed(error.to_string()))?;
    let path = dirs.secrets.join(pubkey.to_string());
    let password = Password::from_file(&path).map_err(|error| failed(error.to_string()))?;
    keystore
        .decrypt(&password)
        .map_err(|error| failed(format!("{pubkey}: {error}")))
}

fn create_dir(path: &Path) -> Result<(), DevnetError> {
    fs::create_dir_all(path).map_err(DevnetError::file("create", path))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), DevnetError> {
    write_atomically(path, bytes).map_err(|error| DevnetError::Genesis {
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Start;
    use types::{BeaconState, ForkName, ForkVersioned as _};

    fn toy(layout: &Layout) -> ExecutionChain {
        ExecutionChain::of(&Execution::Mock, layout, &spec(layout)).unwrap()
    }

    fn spec(layout: &Layout) -> ChainSpec {
        devnet_spec(1_800_000_000, 3000, Epoch::new(0), layout.validators.len() as u64)
    }

    fn written(start: Start, dvt_fork_epoch: u64) -> (tempfile::TempDir, Layout, Genesis, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let network = dir.path().join("net");
        let layout = Layout::new(start);
        let validators = layout.validators.len() as u64;
        let spec = devnet_spec(1_800_000_000, 3000, Epoch::new(dvt_fork_epoch), validators);
        let genesis = write_network(&network, &layout, spec, Keys::of(&layout, 8).unwrap(), toy(&layout)).unwrap();
        (dir, layout, genesis, network)
    }

    #[test]
    fn a_genesis_with_groups_is_read_back_as_it_was_made() {
        let (_dir, layout, genesis, network) = written(Start::Groups, 0);
        let yaml = fs::read_to_string(network.join("testnet/config.yaml")).unwrap();
        let spec = ChainSpec::from_yaml(&yaml).unwrap();
        assert_eq!(spec, genesis.spec);
        let bytes = fs::read(network.join("testnet/genesis.ssz")).unwrap();
        let state = BeaconState::<Minimal>::from_ssz_bytes_by_fork(&bytes, ForkName::Dvt).unwrap();
        assert_eq!(state.genesis_validators_root(), genesis.validators_root);
        assert_eq!(state.validators().len(), layout.validators.len());
        let shapes: Vec<(u8, usize)> = state
            .groups()
            .unwrap()
            .iter()
            .map(|group| (group.key_sets[0].threshold, group.key_sets[0].keys.len()))
            .collect();
        assert_eq!(shapes, [(5, 7), (3, 4)]);
        assert_eq!(
            state.latest_execution_payload_header().block_hash,
            genesis.execution.hash
        );
    }

    #[test]
    fn a_genesis_with_schemes_has_hash_based_keys_where_the_layout_says() {
        let (_dir, _layout, _genesis, network) = written(Start::Schemes, 0);
        let bytes = fs::read(network.join("testnet/genesis.ssz")).unwrap();
        let state = BeaconState::<Minimal>::from_ssz_bytes_by_fork(&bytes, ForkName::Dvt).unwrap();
        let schemes: Vec<Vec<u8>> = state
            .groups()
            .unwrap()
            .iter()
            .map(|group| group.key_sets[0].keys.iter().map(|key| key.scheme).collect())
            .collect();
        assert_eq!(schemes[0], [0; 7]);
        assert_eq!(schemes[2], [0, 0, 0, 2, 2, 2, 2]);
        assert_eq!(schemes[3], [2; 4]);
    }

    #[test]
    fn each_node_holds_its_keys_and_no_others() {
        let (_dir, layout, _genesis, network) = written(Start::Groups, 0);
        for (node, pubkey) in member_public_keys(&layout, 0).unwrap() {
            let key = read_key(&NodeDirs::of(&network, node), node, &pubkey).unwrap();
            assert_eq!(key.public_key().to_bytes(), pubkey);
        }
        let control = registry_public_key(&layout, layout.control).unwrap();
        assert!(read_key(&NodeDirs::of(&network, 9), 9, &control).is_ok());
        assert!(read_key(&NodeDirs::of(&network, 1), 1, &control).is_err());
    }

    #[test]
    fn execution_clients_are_told_blob_parameters_or_the_run_is_refused() {
        let layout = Layout::new(Start::Groups);
        let ethereum_js = Execution::EthereumJs {
            node_js: PathBuf::new(),
            program: PathBuf::new(),
        };
        let mut spec = spec(&layout);
        spec.max_blobs_per_block_electra = 3;
        let chain = ExecutionChain::of(&ethereum_js, &layout, &spec).unwrap();
        let file: serde_json::Value = serde_json::from_slice(&chain.file.unwrap()).unwrap();
        let expected = serde_json::json!({ "target": 2, "max": 3, "baseFeeUpdateFraction": 1_669_239 });
        assert_eq!(file["config"]["blobSchedule"]["prague"], expected);

        spec.blob_schedule = vec![types::BlobParameters {
            epoch: Epoch::new(1),
            max_blobs_per_block: 5,
        }];
        let running = Execution::Running(crate::execution::Running {
            engines: Vec::new(),
            rpcs: Vec::new(),
            secret: [0; 32],
            genesis: PathBuf::from("genesis.json"),
        });
        for (execution, expected) in [
            (ethereum_js, "stays with Prague"),
            (running, "expected none after epoch 0"),
        ] {
            let error = ExecutionChain::of(&execution, &layout, &spec).unwrap_err().to_string();
            assert!(error.contains("BLOB_SCHEDULE") && error.contains(expected), "{error}");
        }
        assert!(ExecutionChain::of(&Execution::Mock, &layout, &spec).is_ok());
    }

    #[test]
    fn a_genesis_of_fulu_knows_no_groups() {
        let (_dir, layout, _genesis, network) = written(Start::Fulu, 2);
        let bytes = fs::read(network.join("testnet/genesis.ssz")).unwrap();
        let state = BeaconState::<Minimal>::from_ssz_bytes_by_fork(&bytes, ForkName::Fulu).unwrap();
        assert!(state.groups().is_none());
        assert_eq!(state.validators().len(), layout.validators.len());
    }

    #[test]
    fn a_directory_with_something_in_it_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let network = dir.path().join("net");
        fs::create_dir(&network).unwrap();
        fs::write(network.join("mine"), "mine").unwrap();
        let layout = Layout::new(Start::Groups);
        let spec = devnet_spec(1_800_000_000, 3000, Epoch::new(0), 19);
        let Err(error) = write_network(&network, &layout, spec, Keys::default(), toy(&layout)) else {
            panic!("the directory was taken")
        };
        assert!(matches!(error, DevnetError::DirectoryInUse { .. }), "{error}");
        assert_eq!(fs::read_to_string(network.join("mine")).unwrap(), "mine");
    }
}
