//! What a scenario asks of the execution chain, as transactions.

use crate::accounts::{Call, Holder, WEI_PER_ETH, WEI_PER_GWEI};
use crate::error::DevnetError;
use crate::events::Action;
use crate::genesis::{DEPOSIT_CONTRACT, registry_public_key, withdrawal_credentials};
use crate::keys::Keys;
use crate::layout::{ETH, Layout};
use alloy_primitives::Bytes;
use genesis::{CONSOLIDATION_REQUESTS, WITHDRAWAL_REQUESTS};
use tree_hash::TreeHash as _;
use types::constants::DOMAIN_DEPOSIT;
use types::{
    ChainSpec, DepositData, DepositMessage, Gwei, PublicKeyBytes, Root, SignatureBytes, compute_domain,
    compute_signing_root,
};

/// Gas of a transfer.
const TRANSFER_GAS: u64 = 21_000;
/// Enough for each of the contracts.
const CONTRACT_GAS: u64 = 400_000;
/// Wei that a request may cost: the price begins at one Wei and rises with the number of requests.
const REQUEST_PRICE: u128 = WEI_PER_GWEI;
/// Amount that asks for an exit.
const FULL_EXIT: Gwei = 0;
/// `deposit(bytes,bytes,bytes,bytes32)`.
const DEPOSIT_SELECTOR: [u8; 4] = [0x22, 0x89, 0x51, 0x18];
/// Bytes of a word of the ABI.
const WORD: usize = 32;

/// The transactions of an event; none if it is not one of the execution chain.
pub(crate) fn calls_of(action: &Action, layout: &Layout, spec: &ChainSpec) -> Result<Vec<Call>, DevnetError> {
    match action {
        Action::Transfer { eth, count } => {
            let call = Call {
                from: Holder::Payer,
                to: Holder::Receiver.address()?,
                value: u128::from(*eth).saturating_mul(WEI_PER_ETH),
                input: Bytes::new(),
                gas_limit: TRANSFER_GAS,
            };
            Ok(vec![call; usize::from(*count)])
        }
        Action::Deposit { validator, eth } => Ok(vec![deposit(layout, validator, eth.saturating_mul(ETH), spec)?]),
        Action::RequestWithdrawal { validator, eth } => {
            Ok(vec![withdrawal_request(layout, validator, eth.saturating_mul(ETH))?])
        }
        Action::RequestExit { validator } => Ok(vec![withdrawal_request(layout, validator, FULL_EXIT)?]),
        Action::RequestConsolidation { validator, into } => {
            let (source, target) = (known(layout, validator)?, known(layout, into)?);
            let mut input = registry_public_key(layout, source)?.as_slice().to_vec();
            input.extend_from_slice(registry_public_key(layout, target)?.as_slice());
            Ok(vec![Call {
                from: Holder::Owner(source),
                to: CONSOLIDATION_REQUESTS,
                value: REQUEST_PRICE,
                input: input.into(),
                gas_limit: CONTRACT_GAS,
            }])
        }
        _ => Ok(Vec::new()),
    }
}

fn known(layout: &Layout, name: &str) -> Result<usize, DevnetError> {
    layout.named(name).ok_or_else(|| DevnetError::Genesis {
        reason: format!("there is no validator {name:?}"),
    })
}

fn withdrawal_request(layout: &Layout, name: &str, amount: Gwei) -> Result<Call, DevnetError> {
    let validator = known(layout, name)?;
    let mut input = registry_public_key(layout, validator)?.as_slice().to_vec();
    input.extend_from_slice(&amount.to_be_bytes());
    Ok(Call {
        from: Holder::Owner(validator),
        to: WITHDRAWAL_REQUESTS,
        value: REQUEST_PRICE,
        input: input.into(),
        gas_limit: CONTRACT_GAS,
    })
}

/// A deposit for a validator of the chain or for a new one, which has to prove that it holds its key.
fn deposit(layout: &Layout, name: &str, amount: Gwei, spec: &ChainSpec) -> Result<Call, DevnetError> {
    let validator = match layout.newcomer(name) {
        Some(newcomer) => newcomer,
        None => known(layout, name)?,
    };
    let account = layout.registry_account(validator);
    let mut keys = Keys::default();
    let message = DepositMessage {
        pubkey: keys.public(0, account)?,
        withdrawal_credentials: withdrawal_credentials(validator)?,
        amount,
    };
    // Deposits are valid on every fork.
    let domain = compute_domain(DOMAIN_DEPOSIT, spec.genesis_fork_version, Root::ZERO);
    let signature = keys
        .secret(0, account)?
        .sign(&compute_signing_root(&message, domain))
        .to_bytes();
    Ok(Call {
        from: Holder::Payer,
        to: DEPOSIT_CONTRACT,
        value: u128::from(amount).saturating_mul(WEI_PER_GWEI),
        input: deposit_input(&message, &signature),
        gas_limit: CONTRACT_GAS,
    })
}

/// By the contract's ABI: three byte strings, by where they begin, and a word.
fn deposit_input(message: &DepositMessage, signature: &SignatureBytes) -> Bytes {
    let data = DepositData {
        pubkey: message.pubkey,
        withdrawal_credentials: message.withdrawal_credentials,
        amount: message.amount,
        signature: *signature,
    };
    let pubkey: &PublicKeyBytes = &message.pubkey;
    let strings: [&[u8]; 3] = [
        pubkey.as_slice(),
        message.withdrawal_credentials.as_slice(),
        signature.as_slice(),
    ];
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    for string in strings {
        let offset = WORD * (strings.len() + 1) + tail.len();
        head.extend_from_slice(&word(offset));
        tail.extend_from_slice(&word(string.len()));
        tail.extend_from_slice(string);
        tail.resize(tail.len().next_multiple_of(WORD), 0);
    }
    head.extend_from_slice(data.tree_hash_root().as_slice());
    [DEPOSIT_SELECTOR.to_vec(), head, tail].concat().into()
}

fn word(number: usize) -> [u8; WORD] {
    alloy_primitives::U256::from(number).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genesis::devnet_spec;
    use crate::layout::Start;
    use state_transition::epoch::deposits::is_valid_deposit_signature;
    use types::Epoch;

    #[test]
    fn a_deposit_says_all_that_the_contract_hashes_and_proves_its_key() {
        let layout = Layout::new(Start::Interop);
        let spec = devnet_spec(1, 3000, Epoch::new(0), 1);
        let action = Action::Deposit {
            validator: "newcomer".to_owned(),
            eth: 32,
        };
        let calls = calls_of(&action, &layout, &spec).unwrap();
        let [call] = calls.as_slice() else {
            panic!("one transaction")
        };
        assert_eq!(call.value, 32 * WEI_PER_ETH);
        let input = call.input.as_ref();
        assert_eq!(input.len(), 4 + 4 * 32 + (32 + 64) + (32 + 32) + (32 + 96));
        let word = |place: usize| &input[4 + 32 * place..][..32];
        assert_eq!(word(0)[31], 0x80);
        assert_eq!(word(1)[31], 0xe0);
        assert_eq!(word(2)[30..], [0x01, 0x20]);
        let (pubkey, credentials, signature) = (&word(5)[..32], word(8), &input[4 + 32 * 10..]);
        let validator = layout.newcomer("newcomer").unwrap();
        let expected = registry_public_key(&layout, validator).unwrap();
        assert_eq!(pubkey, &expected.as_slice()[..32]);
        let signature = SignatureBytes::try_from(&signature[..96]).unwrap();
        let credentials = types::Hash32::from_slice(credentials);
        let is_valid = |amount| is_valid_deposit_signature(expected, credentials, amount, signature, &spec);
        assert!(is_valid(32 * ETH) && !is_valid(33 * ETH));
    }

    #[test]
    fn requests_come_from_the_owner_of_the_stake() {
        let layout = Layout::new(Start::Interop);
        let spec = devnet_spec(1, 3000, Epoch::new(0), 1);
        let one = |action| calls_of(&action, &layout, &spec).unwrap().remove(0);
        let validator = "3-of-4".to_owned();
        let exit = one(Action::RequestExit {
            validator: validator.clone(),
        });
        assert_eq!(exit.from, Holder::Owner(0));
        assert_eq!((exit.input.len(), &exit.input[48..]), (56, &[0; 8][..]));
        let partial = one(Action::RequestWithdrawal {
            validator: validator.clone(),
            eth: 2,
        });
        assert_eq!(partial.input[48..], (2 * ETH).to_be_bytes());
        let into = "control".to_owned();
        let merge = one(Action::RequestConsolidation { validator, into });
        assert_eq!((merge.input.len(), merge.to), (96, CONSOLIDATION_REQUESTS));
    }
}
