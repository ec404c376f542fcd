//! The books of both layers: where the balances at the end come from, each number by what the nodes and their execution
//! clients told.

use crate::record::Record;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use types::{ExecutionAddress, Gwei, Hash32, PublicKeyBytes, Root};

/// Wei of a Gwei.
const WEI_PER_GWEI: i128 = 1_000_000_000;

/// What a block of the beacon chain does to balances.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct BlockBook {
    pub(crate) root: Root,
    pub(crate) proposer: u64,
    /// Gwei for the proposer.
    pub(crate) proposal: Gwei,
    /// Gwei for the sync committee, by registry index.
    pub(crate) sync_committee: BTreeMap<u64, i64>,
    pub(crate) withdrawals: Vec<Paid>,
    /// Deposits that the execution layer asks for.
    pub(crate) deposits: Vec<(PublicKeyBytes, Gwei)>,
    /// Other requests of the execution layer.
    pub(crate) withdrawal_requests: usize,
    /// Registry keys: from whom, into whom.
    pub(crate) consolidation_requests: Vec<(PublicKeyBytes, PublicKeyBytes)>,
    /// Number and hash of its execution block.
    pub(crate) execution_number: u64,
    pub(crate) execution_hash: Hash32,
}

/// A withdrawal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Paid {
    pub(crate) index: u64,
    pub(crate) validator: u64,
    pub(crate) address: ExecutionAddress,
    pub(crate) amount: Gwei,
}

/// A registry entry at the end.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    pub(crate) pubkey: PublicKeyBytes,
    pub(crate) balance: Gwei,
    pub(crate) exit_epoch: Option<u64>,
    pub(crate) withdrawable_epoch: Option<u64>,
}

/// What one transaction of the devnet came to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SentTransaction {
    pub(crate) what: String,
    pub(crate) hash: Hash32,
    pub(crate) from: ExecutionAddress,
    pub(crate) to: ExecutionAddress,
    #[serde(serialize_with = "as_text")]
    pub(crate) value: i128,
    /// `None` if it is in no block.
    pub(crate) outcome: Option<Outcome>,
}

/// Of a transaction in a block.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    pub(crate) block: u64,
    pub(crate) succeeded: bool,
    /// Wei that it cost.
    #[serde(serialize_with = "as_text")]
    pub(crate) fee: i128,
    /// Wei of it that were burned; the proposer got the others.
    #[serde(serialize_with = "as_text")]
    pub(crate) burned: i128,
}

/// An account of the execution chain.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct AccountBook {
    pub(crate) name: String,
    pub(crate) address: ExecutionAddress,
    #[serde(serialize_with = "as_text")]
    pub(crate) at_genesis: i128,
    #[serde(serialize_with = "as_text")]
    pub(crate) balance: i128,
}

/// All that the last look at both layers gave.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Closing {
    /// The block that everything is read at.
    pub(crate) slot: u64,
    pub(crate) root: Root,
    /// Gwei at genesis, by registry index.
    pub(crate) at_genesis: Vec<Gwei>,
    pub(crate) registry: Vec<Entry>,
    /// Deposits that wait to be applied.
    pub(crate) waiting: Vec<(PublicKeyBytes, Gwei)>,
    /// Hash of the last execution block at each node's execution client.
    pub(crate) execution_heads: BTreeMap<usize, Option<Hash32>>,
    /// Withdrawals by execution block, as the execution client tells them.
    pub(crate) paid: BTreeMap<u64, Vec<Paid>>,
    /// Hashes of all transactions in blocks.
    pub(crate) included: BTreeSet<Hash32>,
    pub(crate) fee_recipient: ExecutionAddress,
    pub(crate) accounts: Vec<AccountBook>,
    /// Transactions that the scenario sent.
    pub(crate) sent: Vec<SentTransaction>,
}

/// Where a validator's balance comes from, in Gwei.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Stake {
    pub(crate) at_genesis: i128,
    pub(crate) deposits: i128,
    pub(crate) votes: i128,
    pub(crate) proposals: i128,
    pub(crate) sync_committee: i128,
    pub(crate) consolidations: i128,
    pub(crate) withdrawals: i128,
}

impl Stake {
    pub(crate) fn balance(&self) -> i128 {
        self.at_genesis + self.deposits + self.votes + self.proposals + self.sync_committee + self.consolidations
            - self.withdrawals
    }

    /// A balance does not fall below zero: takes what is there.
    fn change(&self, amount: i64) -> i128 {
        i128::from(amount).max(-self.balance())
    }
}

/// Follows the balance of each validator of the registry from genesis to the last block.
pub(crate) fn stakes(record: &Record, closing: &Closing) -> Vec<Stake> {
    let mut stakes: Vec<Stake> = closing
        .registry
        .iter()
        .enumerate()
        .map(|(index, _)| Stake {
            at_genesis: closing.at_genesis.get(index).copied().map_or(0, i128::from),
            ..Stake::default()
        })
        .collect();
    let place = |pubkey: &PublicKeyBytes| closing.registry.iter().position(|entry| entry.pubkey == *pubkey);
    let sum = |deposits: &[(PublicKeyBytes, Gwei)], key: &PublicKeyBytes| -> i128 {
        let of_key = deposits.iter().filter(|(pubkey, _)| pubkey == key);
        of_key.map(|(_, amount)| i128::from(*amount)).sum()
    };
    for (entry, stake) in closing.registry.iter().zip(&mut stakes) {
        let asked: i128 = record
            .books
            .values()
            .map(|book| sum(&book.deposits, &entry.pubkey))
            .sum();
        stake.deposits = asked - sum(&closing.waiting, &entry.pubkey);
    }
    for slot in 1..=closing.slot {
        if slot.checked_rem(record.slots_per_epoch) == Some(0) {
            let epoch = record.epoch_of(slot);
            begin_epoch(record, closing, epoch, &mut stakes, &place);
        }
        let Some(book) = record.books.get(&slot) else {
            continue;
        };
        for paid in &book.withdrawals {
            if let Some(stake) = stakes.get_mut(paid.validator as usize) {
                stake.withdrawals += i128::from(paid.amount);
            }
        }
        if let Some(stake) = stakes.get_mut(book.proposer as usize) {
            stake.proposals += i128::from(book.proposal);
        }
        for (validator, amount) in &book.sync_committee {
            if let Some(stake) = stakes.get_mut(*validator as usize) {
                stake.sync_committee += stake.change(*amount);
            }
        }
    }
    stakes
}

/// What the transition into an epoch pays and moves.
fn begin_epoch(
    record: &Record,
    closing: &Closing,
    epoch: u64,
    stakes: &mut [Stake],
    place: &dyn Fn(&PublicKeyBytes) -> Option<usize>,
) {
    // Votes of an epoch are paid at the end of the next.
    let Some(votes) = epoch.checked_sub(2).and_then(|epoch| record.epochs.get(&epoch)) else {
        return;
    };
    for (index, validator) in &votes.validators {
        if let Some(stake) = stakes.get_mut(*index as usize) {
            for amount in [validator.source, validator.target, validator.head, validator.inactivity] {
                stake.votes += stake.change(amount);
            }
        }
    }
    let requests = record.books.values().flat_map(|book| &book.consolidation_requests);
    let moved: BTreeSet<(usize, usize)> = requests
        .filter_map(|(source, target)| Some((place(source)?, place(target)?)))
        .collect();
    for (source, target) in moved {
        let is_due = closing
            .registry
            .get(source)
            .is_some_and(|entry| entry.withdrawable_epoch == Some(epoch));
        let effective = votes
            .validators
            .get(&(source as u64))
            .map(|validator| validator.effective_balance);
        let (Some(effective), true, true) = (effective, is_due, source != target) else {
            continue;
        };
        let amount = stakes.get(source).map_or(0, Stake::balance).min(i128::from(effective));
        if let Some(stake) = stakes.get_mut(source) {
            stake.consolidations -= amount;
        }
        if let Some(stake) = stakes.get_mut(target) {
            stake.consolidations += amount;
        }
    }
}

/// Where an account's balance comes from, in Wei.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wallet {
    received: i128,
    sent: i128,
    fees: i128,
    tips: i128,
    withdrawals: i128,
}

impl Wallet {
    pub(crate) fn of(record: &Record, closing: &Closing, address: ExecutionAddress) -> Self {
        let mut wallet = Self::default();
        for (transaction, outcome) in closing
            .sent
            .iter()
            .filter_map(|sent| Some((sent, sent.outcome.as_ref()?)))
        {
            if transaction.from == address {
                wallet.fees += outcome.fee;
            }
            if closing.fee_recipient == address {
                wallet.tips += outcome.fee - outcome.burned;
            }
            if outcome.succeeded && transaction.from == address {
                wallet.sent += transaction.value;
            }
            if outcome.succeeded && transaction.to == address {
                wallet.received += transaction.value;
            }
        }
        let paid = record.books.values().flat_map(|book| &book.withdrawals);
        let amounts = paid
            .filter(|paid| paid.address == address)
            .map(|paid| i128::from(paid.amount));
        wallet.withdrawals = amounts.sum::<i128>() * WEI_PER_GWEI;
        wallet
    }

    pub(crate) fn change(&self) -> i128 {
        self.received - self.sent - self.fees + self.tips + self.withdrawals
    }
}

/// What does not add up.
pub(crate) fn balances_add_up(record: &Record) -> Vec<String> {
    let Some(closing) = &record.closing else {
        return vec!["the balances were not read at the end".to_owned()];
    };
    let mut reasons = Vec::new();
    let expected = record.books.get(&closing.slot).map(|book| book.execution_hash);
    for (node, found) in &closing.execution_heads {
        if *found != expected {
            reasons.push(format!(
                "the block of slot {} has the execution block {expected:?}, the execution client of node {node} has {found:?} at its place",
                closing.slot
            ));
        }
    }
    for (slot, book) in &record.books {
        let told = closing.paid.get(&book.execution_number).map_or(&[][..], Vec::as_slice);
        if told != book.withdrawals {
            reasons.push(format!(
                "in slot {slot} the beacon chain pays {:?}, the execution chain {told:?}",
                book.withdrawals
            ));
        }
    }
    for (index, (stake, entry)) in stakes(record, closing).iter().zip(&closing.registry).enumerate() {
        if stake.balance() != i128::from(entry.balance) {
            reasons.push(format!(
                "{} has {} Gwei, but {stake:?} add up to {}",
                record.name(index as u64),
                entry.balance,
                stake.balance()
            ));
        }
    }
    let sent: BTreeSet<Hash32> = closing.sent.iter().map(|sent| sent.hash).collect();
    for hash in closing.included.difference(&sent) {
        reasons.push(format!(
            "a block has the transaction {hash}, which nobody here has sent"
        ));
    }
    for account in &closing.accounts {
        let wallet = Wallet::of(record, closing, account.address);
        if account.at_genesis + wallet.change() != account.balance {
            reasons.push(format!(
                "{} ({}) has {} Wei, but {} at genesis and {wallet:?} add up to {}",
                account.name,
                account.address,
                account.balance,
                account.at_genesis,
                account.at_genesis + wallet.change()
            ));
        }
    }
    reasons
}

/// Transactions that are in no block or failed there.
pub(crate) fn transactions_succeed(record: &Record, at_least: usize) -> Vec<String> {
    let Some(closing) = &record.closing else {
        return vec!["the transactions were not looked for at the end".to_owned()];
    };
    let mut reasons: Vec<String> = closing
        .sent
        .iter()
        .filter_map(|sent| match &sent.outcome {
            None => Some(format!("{} ({}) is in no block", sent.what, sent.hash)),
            Some(outcome) if !outcome.succeeded => Some(format!(
                "{} ({}) failed in block {}",
                sent.what, sent.hash, outcome.block
            )),
            Some(_) => None,
        })
        .collect();
    if closing.sent.len() < at_least {
        reasons.push(format!(
            "{} transactions were sent, at least {at_least} expected",
            closing.sent.len()
        ));
    }
    reasons
}

/// The registry entry of a validator at the end, by its name, with its place.
fn entry<'a>(record: &Record, closing: &'a Closing, name: &str) -> Result<(u64, &'a Entry), Vec<String>> {
    let index = record
        .index_of(name)
        .ok_or_else(|| vec![format!("there is no validator {name:?}")])?;
    match closing.registry.get(index as usize) {
        Some(entry) => Ok((index, entry)),
        None => Err(vec![format!("{name} is not in the registry at slot {}", closing.slot)]),
    }
}

/// Whether a validator has got so much by withdrawals that were asked for, and no other way could have paid it.
pub(crate) fn withdrawn(record: &Record, name: &str, eth: u64) -> Vec<String> {
    let look = || -> Result<Vec<String>, Vec<String>> {
        let closing = closing(record)?;
        let (index, _) = entry(record, closing, name)?;
        let wanted = eth.saturating_mul(crate::layout::ETH);
        let paid: Vec<&Paid> = all_paid(record).filter(|paid| paid.validator == index).collect();
        if paid.iter().any(|paid| paid.amount == wanted) {
            return Ok(Vec::new());
        }
        Ok(vec![format!("no withdrawal of {eth} ETH was paid to {name}: {paid:?}")])
    };
    look().unwrap_or_else(|reasons| reasons)
}

/// Whether a validator has exited and got all that it had.
pub(crate) fn left(record: &Record, name: &str) -> Vec<String> {
    let look = || -> Result<Vec<String>, Vec<String>> {
        let closing = closing(record)?;
        let (index, entry) = entry(record, closing, name)?;
        let epoch = record.epoch_of(closing.slot);
        if entry.exit_epoch.is_none_or(|exit| exit > epoch) {
            return Ok(vec![format!(
                "{name} has not exited: its exit epoch is {:?}",
                entry.exit_epoch
            )]);
        }
        let at_genesis = closing.at_genesis.get(index as usize).copied().unwrap_or_default();
        let paid: Gwei = all_paid(record)
            .filter(|paid| paid.validator == index)
            .map(|paid| paid.amount)
            .sum();
        // Rewards and penalties of a few epochs change less than a thousandth.
        if paid < at_genesis - at_genesis / 1000 {
            return Ok(vec![format!(
                "{name} had {at_genesis} Gwei, exited in epoch {:?} and was paid {paid} Gwei",
                entry.exit_epoch
            )]);
        }
        Ok(Vec::new())
    };
    look().unwrap_or_else(|reasons| reasons)
}

/// Whether a validator's stake is now another's.
pub(crate) fn merged(record: &Record, name: &str, into: &str) -> Vec<String> {
    let look = || -> Result<Vec<String>, Vec<String>> {
        let closing = closing(record)?;
        let stakes = stakes(record, closing);
        let moved = |name: &str| -> Result<i128, Vec<String>> {
            let (index, _) = entry(record, closing, name)?;
            Ok(stakes.get(index as usize).map_or(0, |stake| stake.consolidations))
        };
        let (from, to) = (moved(name)?, moved(into)?);
        if from < 0 && to == -from {
            return Ok(Vec::new());
        }
        Ok(vec![format!(
            "consolidations changed {name} by {from} Gwei and {into} by {to} Gwei"
        )])
    };
    look().unwrap_or_else(|reasons| reasons)
}

/// Whether a deposit has reached the registry.
pub(crate) fn deposited(record: &Record, name: &str, eth: u64) -> Vec<String> {
    let look = || -> Result<Vec<String>, Vec<String>> {
        let closing = closing(record)?;
        let (index, _) = entry(record, closing, name)?;
        let stakes = stakes(record, closing);
        let found = stakes.get(index as usize).map_or(0, |stake| stake.deposits);
        if found == i128::from(eth.saturating_mul(crate::layout::ETH)) {
            return Ok(Vec::new());
        }
        Ok(vec![format!(
            "deposits brought {name} {found} Gwei, {eth} ETH expected"
        )])
    };
    look().unwrap_or_else(|reasons| reasons)
}

fn closing(record: &Record) -> Result<&Closing, Vec<String>> {
    record
        .closing
        .as_ref()
        .ok_or_else(|| vec!["the balances were not read at the end".to_owned()])
}

fn all_paid(record: &Record) -> impl Iterator<Item = &Paid> {
    record.books.values().flat_map(|book| &book.withdrawals)
}

/// Every number, for people.
pub(crate) fn text(record: &Record) -> Option<String> {
    let closing = record.closing.as_ref()?;
    let mut text = format!(
        "balances after slot {} (block {}), in Gwei: genesis + deposits + votes + proposals + sync committee + consolidations - withdrawals\n",
        closing.slot, closing.root
    );
    let mut total = Stake::default();
    for (index, (stake, entry)) in stakes(record, closing).iter().zip(&closing.registry).enumerate() {
        let _ = writeln!(
            text,
            "  {:14} {} = {}{}",
            record.name(index as u64),
            terms(stake),
            entry.balance,
            exit_of(entry)
        );
        total.at_genesis += stake.at_genesis;
        total.deposits += stake.deposits;
        total.votes += stake.votes;
        total.proposals += stake.proposals;
        total.sync_committee += stake.sync_committee;
        total.consolidations += stake.consolidations;
        total.withdrawals += stake.withdrawals;
    }
    let _ = writeln!(text, "  {:14} {} = {}", "all", terms(&total), total.balance());
    let (number, burned) = (
        record.books.get(&closing.slot).map_or(0, |book| book.execution_number),
        closing
            .sent
            .iter()
            .filter_map(|sent| sent.outcome.as_ref())
            .map(|outcome| outcome.burned),
    );
    let _ = writeln!(
        text,
        "accounts after execution block {number}, in Wei: genesis + received - sent - fees + tips + withdrawals"
    );
    let (mut before, mut after) = (0, 0);
    for account in &closing.accounts {
        let wallet = Wallet::of(record, closing, account.address);
        before += account.at_genesis;
        after += account.balance;
        if wallet != Wallet::default() {
            let _ = writeln!(
                text,
                "  {:20} {} + {} - {} - {} + {} + {} = {}",
                account.name,
                account.at_genesis,
                wallet.received,
                wallet.sent,
                wallet.fees,
                wallet.tips,
                wallet.withdrawals,
                account.balance
            );
        }
    }
    let paid: i128 = all_paid(record).map(|paid| i128::from(paid.amount)).sum();
    let burned: i128 = burned.sum();
    let _ = write!(
        text,
        "  all: {before} + {} withdrawn - {burned} burned = {after}; transactions: {} of {} in blocks",
        paid * WEI_PER_GWEI,
        closing.sent.iter().filter(|sent| sent.outcome.is_some()).count(),
        closing.sent.len()
    );
    Some(text)
}

fn terms(stake: &Stake) -> String {
    format!(
        "{} + {} + {} + {} + {} + {} - {}",
        stake.at_genesis,
        stake.deposits,
        stake.votes,
        stake.proposals,
        stake.sync_committee,
        stake.consolidations,
        stake.withdrawals
    )
}

fn exit_of(entry: &Entry) -> String {
    entry
        .exit_epoch
        .map_or_else(String::new, |epoch| format!(" (exit epoch {epoch})"))
}

/// JSON numbers of this size are not read by everybody.
fn as_text<S: Serializer>(number: &i128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

#[cfg(test)]
#[path = "books_tests.rs"]
mod tests;
