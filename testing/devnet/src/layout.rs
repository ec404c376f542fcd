//! Who runs what: nodes, validators, and the keys that each node holds.

use serde::{Deserialize, Serialize};
use types::Gwei;

/// Gwei of an ETH.
pub(crate) const ETH: Gwei = 1_000_000_000;

/// A node's number, from 1.
pub(crate) type NodeNumber = usize;

/// Which network a devnet starts as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Start {
    /// `dvt` from the first slot, with a 5-of-7 and a 3-of-4 group.
    #[default]
    Groups,
    /// As with groups, and beside them a 5-of-7 group of three BLS and four hash-based keys and a 3-of-4 group of
    /// hash-based keys.
    Schemes,
    /// Fulu at first; everybody is solo. Nodes 1 to 7 hold keys that are not in the chain yet.
    Fulu,
    /// `dvt` from the first slot on four nodes, with a 3-of-4 group, and with small validators, solo and group, for
    /// requests of the execution layer.
    Interop,
    /// The same on two nodes, with 2-of-2 groups.
    InteropPair,
}

/// Who signs for a validator at genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Duty {
    /// The registry key, which this node holds.
    Solo { node: NodeNumber },
    /// So many of the keys of these nodes, in the order of the key indices. The last `hash_based` of them are.
    Group {
        threshold: u8,
        members: Vec<NodeNumber>,
        hash_based: usize,
    },
}

/// An entry of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedValidator {
    /// Short name for the table and scenarios.
    pub(crate) name: String,
    /// Balance at genesis in ETH.
    pub(crate) balance_eth: u64,
    /// Who signs.
    pub(crate) duty: Duty,
    /// Nodes that hold a key which is to sign for this validator one day, in the order of the key indices.
    pub(crate) future_members: Vec<NodeNumber>,
}

/// A whole devnet on paper. A validator's place is its registry index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) nodes: usize,
    pub(crate) validators: Vec<PlannedValidator>,
    /// The solo validator with the balance of the first entry, to compare that with.
    pub(crate) control: usize,
    /// Validators that are not in the chain at genesis, and nobody signs for them: deposits bring them.
    pub(crate) newcomers: Vec<String>,
}

/// Where a key comes from: the account number under the devnet's seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Account(pub(crate) u32);

/// ETH of the large group and of its control.
const LARGE: u64 = 2048;
/// ETH of the small group.
const SMALL: u64 = 1024;
/// ETH of each other solo validator.
///
/// Votes of an epoch's last slot come too late to be counted when it ends. So much that the stake due there stays below a
/// third even if the three large validators are among it: otherwise finality is late now and then though nobody is at fault.
const OTHERS: u64 = 768;
/// ETH of a solo validator that requests of the execution layer take out of the chain: so little that the churn limit
/// does not make the exit last for epochs.
const SMALLEST: u64 = 64;
/// The same for a group of four, which has to have 32 for each key.
const SMALLEST_GROUP: u64 = 128;
/// Number of other solo validators.
const OTHER_COUNT: usize = 16;

fn solo(name: String, balance_eth: u64, node: NodeNumber) -> PlannedValidator {
    PlannedValidator {
        name,
        balance_eth,
        duty: Duty::Solo { node },
        future_members: Vec::new(),
    }
}

impl Layout {
    pub(crate) fn new(start: Start) -> Self {
        let mut validators = Vec::new();
        let group = |name: &str, balance_eth, threshold, size, hash_based| PlannedValidator {
            name: name.to_owned(),
            balance_eth,
            duty: Duty::Group {
                threshold,
                members: (1..=size).collect(),
                hash_based,
            },
            future_members: Vec::new(),
        };
        match start {
            Start::Interop => return Self::interop(4, 3),
            Start::InteropPair => return Self::interop(2, 2),
            Start::Groups | Start::Schemes | Start::Fulu => {}
        }
        if start != Start::Fulu {
            validators.push(group("5-of-7", LARGE, 5, 7, 0));
            validators.push(group("3-of-4", SMALL, 3, 4, 0));
        }
        match start {
            Start::Groups | Start::Interop | Start::InteropPair => {}
            Start::Schemes => {
                validators.push(group("5-of-7-mixed", SMALL, 5, 7, 4));
                validators.push(group("3-of-4-xmss", SMALL, 3, 4, 4));
            }
            Start::Fulu => validators.push(PlannedValidator {
                future_members: (1..=7).collect(),
                ..solo("changing".to_owned(), LARGE, 8)
            }),
        }
        let control = validators.len();
        validators.push(solo("control".to_owned(), LARGE, 9));
        for number in 0..OTHER_COUNT {
            validators.push(solo(format!("solo-{}", number + 1), OTHERS, 8 + number % 2));
        }
        Self {
            nodes: 9,
            validators,
            control,
            newcomers: Vec::new(),
        }
    }

    /// Nodes that hold a key of each group and solo validators each.
    fn interop(nodes: usize, threshold: u8) -> Self {
        let group = |kind: &str, balance_eth| PlannedValidator {
            name: format!("{threshold}-of-{nodes}{kind}"),
            balance_eth,
            duty: Duty::Group {
                threshold,
                members: (1..=nodes).collect(),
                hash_based: 0,
            },
            future_members: Vec::new(),
        };
        let mut validators = vec![
            group("", SMALL),
            solo("control".to_owned(), SMALL, 1),
            group("-leaving", SMALLEST_GROUP),
            solo("leaving".to_owned(), SMALLEST, 2),
            solo("merging".to_owned(), SMALLEST, 1),
        ];
        for number in 0..OTHER_COUNT {
            validators.push(solo(format!("solo-{}", number + 1), OTHERS, 1 + number % nodes));
        }
        Self {
            nodes,
            validators,
            control: 1,
            newcomers: vec!["newcomer".to_owned()],
        }
    }

    /// Number of a validator that deposits bring: behind those of the chain.
    pub(crate) fn newcomer(&self, name: &str) -> Option<usize> {
        let place = self.newcomers.iter().position(|newcomer| newcomer == name)?;
        self.validators.len().checked_add(place)
    }

    /// The registry key of a validator.
    pub(crate) fn registry_account(&self, validator: usize) -> Account {
        account(validator, 0)
    }

    /// Keys of a group's members, or of those who are to become members: node and account by key index.
    pub(crate) fn member_accounts(&self, validator: usize) -> Vec<(NodeNumber, Account)> {
        let Some(planned) = self.validators.get(validator) else {
            return Vec::new();
        };
        let members = match &planned.duty {
            Duty::Group { members, .. } => members,
            Duty::Solo { .. } => &planned.future_members,
        };
        members
            .iter()
            .enumerate()
            .map(|(key, node)| (*node, account(validator, key + 1)))
            .collect()
    }

    /// All keys that a node holds.
    pub(crate) fn accounts_of(&self, node: NodeNumber) -> Vec<Account> {
        let mut accounts = Vec::new();
        for (index, validator) in self.validators.iter().enumerate() {
            if validator.duty == (Duty::Solo { node }) {
                accounts.push(self.registry_account(index));
            }
            let members = self.member_accounts(index);
            accounts.extend(
                members
                    .iter()
                    .filter(|(member, _)| *member == node)
                    .map(|(_, key)| *key),
            );
        }
        accounts
    }

    /// Keys that have leaves, with the nodes that hold them.
    pub(crate) fn hash_based_accounts(&self) -> Vec<(NodeNumber, Account)> {
        let of_group = |(index, validator): (usize, &PlannedValidator)| {
            let count = match validator.duty {
                Duty::Group { hash_based, .. } => hash_based,
                Duty::Solo { .. } => 0,
            };
            let accounts = self.member_accounts(index);
            let bls = accounts.len().saturating_sub(count);
            accounts.into_iter().skip(bls)
        };
        self.validators.iter().enumerate().flat_map(of_group).collect()
    }

    /// A group, and who holds a seat of it, if the seat's key at genesis is BLS.
    pub(crate) fn bls_seat(&self, name: &str, seat: u8) -> Option<(usize, NodeNumber)> {
        let validator = self.named(name)?;
        let Duty::Group {
            hash_based, members, ..
        } = &self.validators.get(validator)?.duty
        else {
            return None;
        };
        let seat = usize::from(seat);
        let node = members.get(seat)?;
        (seat < members.len().saturating_sub(*hash_based)).then_some((validator, *node))
    }

    /// Registry index of the validator with a name.
    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        self.validators.iter().position(|validator| validator.name == name)
    }

    /// Whether signatures count for this validator at threshold only, now or later.
    pub(crate) fn is_or_becomes_group(&self, validator: usize) -> bool {
        !self.member_accounts(validator).is_empty()
    }
}

/// Key 0 of a validator is the registry key; 1 to 16 are those of members.
fn account(validator: usize, key: usize) -> Account {
    // Layouts are a handful of validators.
    Account(u32::try_from(validator * 17 + key).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use types::{Minimal, Preset};

    const STARTS: [Start; 5] = [
        Start::Groups,
        Start::Schemes,
        Start::Fulu,
        Start::Interop,
        Start::InteropPair,
    ];

    #[test]
    fn solo_validators_have_more_than_two_thirds_of_the_stake() {
        for start in STARTS {
            let layout = Layout::new(start);
            let total: u64 = layout.validators.iter().map(|validator| validator.balance_eth).sum();
            let solo: u64 = layout
                .validators
                .iter()
                .filter(|validator| matches!(validator.duty, Duty::Solo { .. }))
                .map(|validator| validator.balance_eth)
                .sum();
            assert!(3 * solo > 2 * total, "{start:?}: {solo} of {total}");
            assert!(layout.validators.len() as u64 >= Minimal::slots_per_epoch());
        }
    }

    #[test]
    fn the_votes_of_a_last_slot_cannot_delay_finality() {
        for start in STARTS {
            let layout = Layout::new(start);
            let mut balances: Vec<u64> = layout
                .validators
                .iter()
                .map(|validator| validator.balance_eth)
                .collect();
            balances.sort_unstable();
            let in_a_slot = balances.len().div_ceil(Minimal::slots_per_epoch() as usize);
            let worst: u64 = balances.iter().rev().take(in_a_slot).sum();
            assert!(3 * worst < balances.iter().sum(), "{start:?}: {worst}");
        }
    }

    #[test]
    fn the_control_has_the_balance_of_what_it_controls() {
        for start in STARTS {
            let layout = Layout::new(start);
            let control = layout.validators.get(layout.control).unwrap();
            assert_eq!(control.balance_eth, layout.validators.first().unwrap().balance_eth);
            assert!(matches!(control.duty, Duty::Solo { .. }));
        }
    }

    #[test]
    fn each_key_is_held_once() {
        for start in STARTS {
            let layout = Layout::new(start);
            let all: Vec<Account> = (1..=layout.nodes).flat_map(|node| layout.accounts_of(node)).collect();
            let distinct: HashSet<Account> = all.iter().copied().collect();
            assert_eq!(all.len(), distinct.len());
            // Seven keys of the large group everywhere; four of the small one only with groups at genesis.
            let (keys, solo) = match start {
                Start::Groups => (7 + 4, 17),
                Start::Schemes => (7 + 4 + 7 + 4, 17),
                Start::Fulu => (7, 18),
                Start::Interop => (4 + 4, 19),
                Start::InteropPair => (2 + 2, 19),
            };
            assert_eq!(all.len(), keys + solo);
        }
    }

    #[test]
    fn a_member_of_both_groups_holds_two_keys_and_nothing_else() {
        let layout = Layout::new(Start::Groups);
        assert_eq!(layout.accounts_of(1).len(), 2);
        assert_eq!(layout.accounts_of(5).len(), 1);
        assert_eq!(layout.named("3-of-4"), Some(1));
        assert_eq!(layout.hash_based_accounts(), []);
        assert_eq!(Layout::new(Start::Schemes).hash_based_accounts().len(), 8);
        assert!(layout.is_or_becomes_group(0) && !layout.is_or_becomes_group(2));
    }
}
