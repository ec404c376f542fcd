//! Reading the books of both layers: blocks of the beacon chain while it runs, balances at the end.

use crate::accounts::{Holder, price};
use crate::books::{AccountBook, BlockBook, Closing, Entry, Outcome, Paid, SentTransaction};
use crate::error::DevnetError;
use crate::genesis::{DEPOSIT_CONTRACT, FEE_RECIPIENT};
use crate::layout::{ETH, Layout, NodeNumber};
use crate::record::{Record, as_slot, registry_index};
use crate::rpc::{Rpc, RpcBlock};
use alloy_primitives::U256;
use beacon_api::{ApiError, BeaconClient, BlockId, StateId};
use genesis::{CONSOLIDATION_REQUESTS, WITHDRAWAL_REQUESTS};
use std::collections::{BTreeMap, BTreeSet};
use types::constants::FAR_FUTURE_EPOCH;
use types::{Epoch, Hash32, Minimal};

/// Reads the blocks from the head back to the last that is known. What a re-org has left behind is forgotten.
pub(crate) async fn keep_books(record: &mut Record, api: &BeaconClient) -> Result<(), ApiError> {
    let mut id = BlockId::Head;
    let mut fresh = Vec::new();
    let kept = loop {
        let Some(found) = api.block::<Minimal>(id).await? else {
            return Ok(());
        };
        let (slot, root) = (found.data.slot().as_u64(), found.data.block_root());
        if slot == 0 || record.books.get(&slot).is_some_and(|book| book.root == root) {
            break slot;
        }
        let message = found.data.message();
        let mut book = BlockBook {
            root,
            ..book_of(&message)
        };
        id = BlockId::Root(root);
        let rewards = api.block_rewards(id).await?.data;
        book.proposer = registry_index(rewards.proposer_index.as_u64());
        book.proposal = rewards.total;
        for member in api.sync_committee_rewards(id, &[]).await?.data {
            let validator = registry_index(member.validator_index.as_u64());
            let amount: &mut i64 = book.sync_committee.entry(validator).or_default();
            *amount = amount.saturating_add(member.reward);
        }
        id = BlockId::Root(message.parent_root());
        fresh.push((slot, book));
    };
    record.books.retain(|slot, _| *slot <= kept);
    record.books.extend(fresh);
    Ok(())
}

fn book_of(message: &types::BeaconBlockRef<'_, Minimal>) -> BlockBook {
    let body = message.body();
    let (payload, requests) = (body.execution_payload(), body.execution_requests());
    let withdrawals = payload.withdrawals.iter().map(|withdrawal| Paid {
        index: withdrawal.index,
        validator: withdrawal.validator_index.as_u64(),
        address: withdrawal.address,
        amount: withdrawal.amount,
    });
    BlockBook {
        withdrawals: withdrawals.collect(),
        deposits: requests
            .deposits
            .iter()
            .map(|deposit| (deposit.pubkey, deposit.amount))
            .collect(),
        withdrawal_requests: requests.withdrawals.len(),
        consolidation_requests: requests
            .consolidations
            .iter()
            .map(|request| (request.source_pubkey, request.target_pubkey))
            .collect(),
        execution_number: payload.block_number,
        execution_hash: payload.block_hash,
        ..BlockBook::default()
    }
}

/// Reads both layers at the last block in the books.
pub(crate) async fn close_books(
    record: &Record,
    layout: &Layout,
    api: &BeaconClient,
    executions: &BTreeMap<NodeNumber, Rpc>,
    mut sent: Vec<SentTransaction>,
) -> Result<Option<Closing>, DevnetError> {
    let Some((slot, book)) = record.books.last_key_value() else {
        return Ok(None);
    };
    let Some(rpc) = executions.values().next() else {
        return Ok(None);
    };
    let failed = DevnetError::api("the state of the last block");
    let state = api
        .state::<Minimal>(StateId::Slot(as_slot(*slot)))
        .await
        .map_err(failed)?;
    let Some(state) = state.map(|found| found.data) else {
        return Ok(None);
    };
    let number = book.execution_number;
    let mut execution_heads = BTreeMap::new();
    for (node, rpc) in executions {
        execution_heads.insert(*node, rpc.block(number).await?.map(|block| block.hash));
    }
    let (mut paid, mut included) = (BTreeMap::new(), BTreeSet::new());
    let mut base_fees = BTreeMap::new();
    for number in 1..=number {
        let Some(block) = rpc.block(number).await? else {
            continue;
        };
        base_fees.insert(number, block.base_fee_per_gas);
        included.extend(block.transactions.iter().copied());
        paid.insert(number, paid_by(block));
    }
    for transaction in &mut sent {
        transaction.outcome = outcome(rpc, transaction.hash, number, &base_fees).await?;
    }
    let known = |epoch: Epoch| (epoch != FAR_FUTURE_EPOCH).then(|| epoch.as_u64());
    let registry = state.validators().iter().zip(state.balances().iter());
    Ok(Some(Closing {
        slot: *slot,
        root: book.root,
        at_genesis: layout
            .validators
            .iter()
            .map(|planned| planned.balance_eth * ETH)
            .collect(),
        registry: registry
            .map(|(validator, balance)| Entry {
                pubkey: validator.pubkey,
                balance: *balance,
                exit_epoch: known(validator.exit_epoch),
                withdrawable_epoch: known(validator.withdrawable_epoch),
            })
            .collect(),
        waiting: state
            .pending_deposits()
            .iter()
            .map(|deposit| (deposit.pubkey, deposit.amount))
            .collect(),
        execution_heads,
        paid,
        included,
        fee_recipient: fee_recipient()?,
        accounts: accounts(layout, rpc, number).await?,
        sent,
    }))
}

fn fee_recipient() -> Result<types::ExecutionAddress, DevnetError> {
    FEE_RECIPIENT.parse().map_err(|_| DevnetError::Genesis {
        reason: format!("{FEE_RECIPIENT} is not an address"),
    })
}

fn paid_by(block: RpcBlock) -> Vec<Paid> {
    let withdrawals = block.withdrawals.into_iter();
    withdrawals
        .map(|withdrawal| Paid {
            index: withdrawal.index.to(),
            validator: withdrawal.validator_index.to(),
            address: withdrawal.address,
            amount: withdrawal.amount.to(),
        })
        .collect()
}

/// What a transaction came to in the blocks up to a number.
async fn outcome(
    rpc: &Rpc,
    hash: Hash32,
    last: u64,
    base_fees: &BTreeMap<u64, U256>,
) -> Result<Option<Outcome>, DevnetError> {
    let Some(receipt) = rpc.receipt(hash).await? else {
        return Ok(None);
    };
    let block: u64 = receipt.block_number.to();
    let Some(base_fee) = base_fees.get(&block).filter(|_| block <= last) else {
        return Ok(None);
    };
    let gas = U256::from(receipt.gas_used);
    Ok(Some(Outcome {
        block,
        succeeded: receipt.status.to::<u64>() == 1,
        fee: wei(gas.saturating_mul(price(*base_fee))),
        burned: wei(gas.saturating_mul(*base_fee)),
    }))
}

/// All accounts whose balance can change.
async fn accounts(layout: &Layout, rpc: &Rpc, number: u64) -> Result<Vec<AccountBook>, DevnetError> {
    let mut wanted = vec![
        ("payer".to_owned(), Holder::Payer.address()?),
        ("receiver".to_owned(), Holder::Receiver.address()?),
        ("fee recipient".to_owned(), fee_recipient()?),
        ("deposit contract".to_owned(), DEPOSIT_CONTRACT),
        ("withdrawal requests".to_owned(), WITHDRAWAL_REQUESTS),
        ("consolidation requests".to_owned(), CONSOLIDATION_REQUESTS),
    ];
    let names = layout
        .validators
        .iter()
        .map(|planned| &planned.name)
        .chain(&layout.newcomers);
    for (validator, name) in names.enumerate() {
        wanted.push((format!("owner {name}"), Holder::Owner(validator).address()?));
    }
    let mut accounts = Vec::new();
    for (name, address) in wanted {
        accounts.push(AccountBook {
            name,
            address,
            at_genesis: wei(rpc.balance(address, 0).await?),
            balance: wei(rpc.balance(address, number).await?),
        });
    }
    Ok(accounts)
}

/// There are 2^87 Wei.
fn wei(amount: U256) -> i128 {
    i128::try_from(amount).unwrap_or(i128::MAX)
}

/// The name of a transaction, for people.
pub(crate) fn sent(what: String, call: &crate::accounts::Call, hash: Hash32) -> Result<SentTransaction, DevnetError> {
    Ok(SentTransaction {
        what,
        hash,
        from: call.from.address()?,
        to: call.to,
        value: i128::try_from(call.value).unwrap_or(i128::MAX),
        outcome: None,
    })
}
