use super::*;
use bls::SecretKey;
use clap::{CommandFactory as _, Parser};
use keystore::{Kdf, XmssSeed, account};
use slashing_protection::{DATABASE_FILE, SlashingDatabase};
use state_transition::dvt::key_set_change::{check_key_set_change, process_key_set_change};
use state_transition::dvt::signers::Quorum;
use state_transition::genesis::{GenesisGroup, GenesisValidator, genesis_state};
use state_transition::signatures::ImmediateVerifier;
use types::{BeaconState, Hash32};

const SHORT_LIVED: u8 = types::constants::SHORT_LIVED_XMSS_SCHEME;
/// The group of the tests.
const GROUP: u64 = 0;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    args: ManagerArgs,
}

fn secret(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).unwrap()
}

fn key(number: u8) -> SignerKey {
    secret(number).public_key().to_bytes().into()
}

/// A 2-of-3 group of keys 1 to 3, and a solo validator with key 9.
fn state(spec: &ChainSpec) -> BeaconState<Minimal> {
    let mut withdrawal_credentials = Hash32::ZERO;
    withdrawal_credentials[0] = 2;
    let validator = |pubkey: SignerKey, group| GenesisValidator {
        pubkey: pubkey.as_bls().unwrap(),
        withdrawal_credentials,
        balance: 2_048_000_000_000,
        group,
    };
    let group = GenesisGroup {
        threshold: 2,
        keys: (1..=3).map(|number| key(number).to_virtual_key()).collect(),
    };
    let validators = [validator(key(8), Some(group)), validator(key(9), None)];
    genesis_state(0, &validators, Default::default(), spec).unwrap()
}

fn spec() -> ChainSpec {
    ChainSpec {
        dvt_fork_epoch: Epoch::new(0),
        ..ChainSpec::fulu_genesis(PresetName::Minimal)
    }
}

/// As a beacon node tells it.
fn standing(state: &BeaconState<Minimal>, index: u64) -> Standing {
    let index = ValidatorIndex::new(index);
    let groups = state.groups().unwrap();
    let group = groups.iter().find(|group| group.validator_index == index);
    let entry = group.map(|group| beacon_api::GroupEntry::new(group, 0, 0).unwrap());
    let pubkey = state.validators().get(index.as_u64() as usize).unwrap().pubkey;
    Standing::of(
        index,
        pubkey.into(),
        entry.as_ref().map(|entry| (entry.sequence, entry.key_sets.as_slice())),
        state.current_epoch(),
    )
    .unwrap()
}

/// A machine with some keys.
fn holder(root: &Path, name: &str, state: &BeaconState<Minimal>, keys: &[u8]) -> Holder {
    let holder = Holder {
        validators: root.join(name).join("validators"),
        secrets: root.join(name).join("secrets"),
        spec: Arc::new(spec()),
        genesis_validators_root: state.genesis_validators_root(),
        clock: SlotClock::manual(0, &spec()),
    };
    let dir = ValidatorsDir::open(&holder.validators, &holder.secrets).unwrap();
    for number in keys {
        account::add_key(&dir, &secret(*number), Kdf::insecure(), "m/0").unwrap();
    }
    holder
}

fn add_xmss_key(holder: &Holder, first_epoch: u64) -> SignerKey {
    let dir = ValidatorsDir::open(&holder.validators, &holder.secrets).unwrap();
    let first = first_epoch * LEAVES_PER_EPOCH;
    let seed = XmssSeed::new([7; 32]);
    let made = account::add_xmss_key(&dir, SHORT_LIVED, &seed, first..first + 1, Kdf::insecure()).unwrap();
    let database = SlashingDatabase::open_or_create(&holder.validators.join(DATABASE_FILE)).unwrap();
    database.register_one_time_key(&made.voting_public_key, first).unwrap();
    made.voting_public_key
}

#[test]
fn flags_are_well_formed_and_a_change_is_named_in_one_of_two_ways() {
    Command::command().debug_assert();
    let (old, new) = (key(1), key(2));
    let parse = |line: &str| Command::try_parse_from(line.split_whitespace());
    let change = "vm change-keys --validator-index 3";
    parse(&format!("{change} --replace {old}={new}")).unwrap();
    parse(&format!("{change} --keys {old},{new} --threshold 2 --proofs a,b")).unwrap();
    assert!(parse(change).is_err());
    assert!(parse(&format!("{change} --keys {old} --replace {old}={new}")).is_err());
    let error = parse(&format!("{change} --replace {old}")).unwrap_err().to_string();
    assert!(error.contains("OLD=NEW"), "{error}");
}

#[tokio::test]
async fn a_place_of_a_group_goes_from_bls_to_xmss_and_the_new_key_signs_the_next_change() {
    let root = tempfile::tempdir().unwrap();
    let spec = spec();
    let mut state = state(&spec);
    let group = standing(&state, GROUP);
    assert_eq!((group.keys.len(), group.threshold, group.sequence), (3, 2, 0));
    let [first, second] = ["a", "b"].map(|name| holder(root.path(), name, &state, &[if name == "a" { 1 } else { 2 }]));
    let new = add_xmss_key(&second, 0);

    let proven = prove::<Minimal>(&second, new, GROUP, None, Slot::new(0)).await.unwrap();
    // Through the file, as an operator passes it on.
    let file = root.path().join("proof.json");
    std::fs::write(&file, to_json(&proven).unwrap()).unwrap();
    let proven: ProvenKey = read_json(&file).unwrap();
    let keys = group.replaced(&[(key(2), new)]).unwrap();
    assert_eq!(keys, [key(1), new, key(3)]);
    let error = group.change(&keys, 2, Slot::new(0), &[]).unwrap_err().to_string();
    assert!(
        error.contains(&new.to_string()) && error.contains("prove-key"),
        "{error}"
    );
    let change = group.change(&keys, 2, Slot::new(0), &[proven]).unwrap();
    let described = group.describe(&change.message);
    assert!(described.contains(&format!("that go:\n  {}", key(2))), "{described}");
    assert!(described.contains(&format!("that come:\n  {new}")), "{described}");

    let mut parts = Vec::new();
    for holder in [&first, &second] {
        for (_, part) in sign::<Minimal>(holder, &group, &change).await.unwrap() {
            check_key_set_change(&state, &part, Quorum::Member, &spec).unwrap();
            parts.push(part);
        }
    }
    assert_eq!(parts.len(), 2);
    let signatures: Vec<_> = parts
        .iter()
        .map(|part| bls::Signature::from_bytes(&part.signature).unwrap())
        .collect();
    let complete = SignedKeySetChange {
        signers: parts[0].signers.union(&parts[1].signers),
        signature: bls::aggregate_signatures(&signatures).unwrap().to_bytes(),
        ..change
    };
    process_key_set_change(&mut state, &complete, &mut ImmediateVerifier, &spec).unwrap();
    let entry = beacon_api::GroupEntry::new(state.groups().unwrap().get(0).unwrap(), 0, 0).unwrap();
    let changed = Some((entry.sequence, entry.key_sets.as_slice()));
    let error = Standing::of(ValidatorIndex::new(GROUP), key(8), changed, Epoch::new(0));
    assert!(error.unwrap_err().to_string().contains("waiting for epoch"));

    // The next change is authorised by the new key, behind its record: another one in the same epoch is not.
    let group = Standing {
        keys,
        sequence: 1,
        ..group
    };
    let back = group.replaced(&[(key(3), key(1))]).unwrap();
    let dissolve = |threshold| group.change(&[key(1)], threshold, Slot::new(8), &[]).unwrap();
    assert_eq!(back[2], key(1));
    let parts = sign::<Minimal>(&second, &group, &dissolve(1)).await.unwrap();
    assert_eq!((parts.len(), parts[0].0), (1, new));
    assert!(parts[0].1.signers.get(1).unwrap());
    let other = group.change(&[key(3)], 1, Slot::new(8), &[]).unwrap();
    let error = sign::<Minimal>(&second, &group, &other).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Signer(signing::SigningError::Refused(_))),
        "{error}"
    );
}

#[tokio::test]
async fn a_solo_validator_becomes_a_group() {
    let root = tempfile::tempdir().unwrap();
    let spec = spec();
    let mut state = state(&spec);
    let solo = standing(&state, 1);
    assert_eq!(solo.authorities(), [(key(9), None)]);
    let holder = holder(root.path(), "solo", &state, &[4, 5, 9]);
    let mut proven = Vec::new();
    for number in [4, 5] {
        proven.push(
            prove::<Minimal>(&holder, key(number), 1, None, Slot::new(0))
                .await
                .unwrap(),
        );
    }
    let change = solo.change(&[key(4), key(5)], 2, Slot::new(0), &proven).unwrap();
    // Beside a client that runs: a BLS key needs no lock.
    let _locked = ValidatorsDir::open(&holder.validators, &holder.secrets).unwrap();
    let parts = sign::<Minimal>(&holder, &solo, &change).await.unwrap();
    process_key_set_change(&mut state, &parts[0].1, &mut ImmediateVerifier, &spec).unwrap();
    for threshold in [0, 3] {
        let error = solo
            .change(&[key(4), key(5)], threshold, Slot::new(0), &proven)
            .unwrap_err();
        assert!(error.to_string().contains("expected 1 to 2"), "{error}");
    }
    let elsewhere = Standing {
        keys: vec![key(1)],
        ..solo
    };
    let error = sign::<Minimal>(&holder, &elsewhere, &change)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("none of the keys in force"), "{error}");
}

#[tokio::test]
async fn an_xmss_key_proves_itself_with_a_leaf_that_it_has_and_not_beside_its_client() {
    let root = tempfile::tempdir().unwrap();
    let state = state(&spec());
    let holder = holder(root.path(), "a", &state, &[]);
    let new = add_xmss_key(&holder, 16);
    let early = prove::<Minimal>(&holder, new, GROUP, Some(Slot::new(3)), Slot::new(3)).await;
    assert!(early.unwrap_err().to_string().contains("yet"));
    let early = prove::<Minimal>(&holder, new, GROUP, None, Slot::new(3)).await;
    assert!(early.unwrap_err().to_string().contains("the present epoch is 0"));
    holder.clock.set_slot(Slot::new(120));
    let proven = prove::<Minimal>(&holder, new, GROUP, None, Slot::new(3)).await.unwrap();
    assert_eq!(proven.proof.slot, Slot::new(128), "the first of its first epoch");
    let again = prove::<Minimal>(&holder, new, GROUP, None, Slot::new(3)).await.unwrap();
    assert_eq!(proven, again);
    let other = prove::<Minimal>(&holder, new, 1, None, Slot::new(3)).await;
    assert!(other.is_err(), "the leaf is used");
    let _client = ValidatorsDir::open(&holder.validators, &holder.secrets).unwrap();
    let locked = prove::<Minimal>(&holder, new, GROUP, None, Slot::new(3)).await;
    assert!(matches!(locked, Err(ClientError::Lock(_))));
}
