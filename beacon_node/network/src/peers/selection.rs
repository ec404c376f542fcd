//! Whom to dial, and whom to send away: what the subnets need comes before scores.

use super::subnets::SubnetSet;
use super::table::{ConnectionDirection, Peer, PeerTable};
use crate::enr::Enr;
use libp2p::PeerId;
use std::cmp::Reverse;
use std::time::Instant;

/// Peers wanted on a subnet that we need.
const PEERS_PER_SUBNET: usize = 3;

/// How long a peer of our fork would be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Prospect {
    /// It plans another next fork than we do.
    UntilNextFork,
    /// For as long as can be said.
    Lasting,
}

/// Which subnets are served by at least one peer, by at least two, and so on, to one more than wanted.
#[derive(Default)]
struct Coverage([SubnetSet; PEERS_PER_SUBNET + 1]);

impl Coverage {
    fn of<'a>(peers: impl IntoIterator<Item = &'a Peer>) -> Self {
        let mut coverage = Self::default();
        for peer in peers {
            let mut served = peer.subnets();
            for level in &mut coverage.0 {
                let served_before = level.intersection(served);
                *level = level.union(served);
                served = served_before;
            }
        }
        coverage
    }

    /// Subnets that `count` peers or more serve.
    fn at_least(&self, count: usize) -> SubnetSet {
        let level = count.checked_sub(1).and_then(|index| self.0.get(index));
        level.copied().unwrap_or_default()
    }
}

/// What the needed subnets lose with a peer. Ordered: the first field counts before the second.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Loss {
    /// Column subnets that nobody else serves.
    abandoned: u32,
    /// Subnets that are then served by fewer than wanted.
    short: u32,
}

/// Subnets that cannot spare a peer.
struct Scarcity {
    served_once: SubnetSet,
    served_by_no_more_than_wanted: SubnetSet,
}

impl Scarcity {
    fn among<'a>(peers: impl IntoIterator<Item = &'a Peer>, needed: SubnetSet) -> Self {
        let coverage = Coverage::of(peers);
        Self {
            served_once: needed.difference(coverage.at_least(2)),
            served_by_no_more_than_wanted: needed.difference(coverage.at_least(PEERS_PER_SUBNET + 1)),
        }
    }

    /// `None`: the peer has to stay.
    fn loss_of(&self, peer: &Peer) -> Option<Loss> {
        let abandoned = self.served_once.intersection(peer.subnets());
        if peer.trusted || abandoned.has_other_than_columns() {
            return None;
        }
        Some(Loss {
            abandoned: abandoned.len(),
            short: self.served_by_no_more_than_wanted.intersection(peer.subnets()).len(),
        })
    }
}

impl PeerTable {
    /// Which of the needed subnets have fewer peers than wanted. Who is being dialled counts, so that a subnet is not
    /// dialled for again and again until the first answers.
    pub(crate) fn lacking(&self, needed: SubnetSet) -> SubnetSet {
        let coverage = Coverage::of(self.present().map(|(_, peer)| peer));
        needed.difference(coverage.at_least(PEERS_PER_SUBNET))
    }

    fn dialable(&self, now: Instant) -> impl Iterator<Item = (PeerId, &Peer, &Enr)> {
        self.remembered()
            .filter(move |(id, _)| self.may_dial(id, now))
            .filter_map(|(id, peer)| Some((*id, peer, peer.enr()?)))
    }

    /// Up to `limit` peers with a record that may be dialled now and of which there is a `prospect`, the best first.
    pub(crate) fn dial_candidates(
        &self,
        limit: usize,
        prospect: impl Fn(&PeerId, &Enr) -> Option<Prospect>,
        now: Instant,
    ) -> Vec<(PeerId, Enr)> {
        let mut candidates: Vec<_> = self
            .dialable(now)
            .filter_map(|(id, _, enr)| Some((prospect(&id, enr)?, id, enr)))
            .collect();
        candidates.sort_by_key(|(prospect, ..)| Reverse(*prospect));
        let chosen = candidates.into_iter().take(limit);
        chosen.map(|(_, id, enr)| (id, enr.clone())).collect()
    }

    /// The same for subnets: each peer serves something of `missing` that those before it do not, the most first, and the
    /// best prospect of those who serve as much.
    pub(crate) fn subnet_candidates(
        &self,
        missing: SubnetSet,
        limit: usize,
        prospect: impl Fn(&PeerId, &Enr) -> Option<Prospect>,
        now: Instant,
    ) -> Vec<(PeerId, Enr)> {
        let mut missing = missing;
        let serves = |peer: &Peer, missing| peer.subnets().intersection(missing).len();
        let mut candidates: Vec<_> = self
            .dialable(now)
            .filter(|(_, peer, _)| serves(peer, missing) > 0)
            .filter_map(|(id, peer, enr)| Some((prospect(&id, enr)?, id, peer, enr)))
            .collect();
        let mut chosen = Vec::new();
        while chosen.len() < limit {
            candidates.retain(|(_, _, peer, _)| serves(peer, missing) > 0);
            let best = candidates
                .iter()
                .enumerate()
                .max_by_key(|(_, (prospect, _, peer, _))| (serves(peer, missing), *prospect));
            let Some((index, _)) = best else { break };
            let (_, id, peer, enr) = candidates.swap_remove(index);
            missing = missing.difference(peer.subnets());
            chosen.push((id, enr.clone()));
        }
        chosen
    }

    fn worst_first(&self) -> Vec<(PeerId, &Peer)> {
        let key = |peer: &Peer| {
            (
                peer.direction == Some(ConnectionDirection::Outbound),
                Reverse(peer.since),
            )
        };
        let mut peers: Vec<_> = self.connected().map(|(id, peer)| (*id, peer)).collect();
        peers.sort_by(|(_, a), (_, b)| {
            a.score
                .value()
                .total_cmp(&b.score.value())
                .then_with(|| key(a).cmp(&key(b)))
        });
        peers
    }

    /// Whom to send away to come down to `target`: whoever the subnets that we need miss least, and of these the worst
    /// score first, then inbound before outbound, then the newest.
    ///
    /// Trusted peers stay, and whoever alone serves an attestation or sync committee subnet. Of those who serve another
    /// subnet that has no peer to spare, only as many go as there are above `limit`: a node that keeps all columns has
    /// hardly another peer, and could else part with nobody.
    pub(crate) fn excess(&self, target: usize, limit: usize, needed: SubnetSet) -> Vec<PeerId> {
        let mut staying = self.worst_first();
        let mut leaving = Vec::new();
        while staying.len() > target {
            let scarcity = Scarcity::among(staying.iter().map(|(_, peer)| *peer), needed);
            let losses = staying
                .iter()
                .enumerate()
                .filter_map(|(index, (_, peer))| Some((scarcity.loss_of(peer)?, index)));
            let Some((loss, index)) = losses.min() else { break };
            if loss != Loss::default() && staying.len() <= limit {
                break;
            }
            leaving.push(staying.remove(index).0);
        }
        leaving
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enr::CGC_KEY;
    use crate::identity::NodeKey;
    use crate::peers::{CustodyRules, Penalty, Subnet};
    use crate::rpc::MetaData;
    use std::sync::Arc;
    use types::ChainSpec;

    fn table(trusted: &[PeerId]) -> PeerTable {
        PeerTable::new(
            trusted.iter().copied(),
            CustodyRules::new(Arc::new(ChainSpec::mainnet())),
        )
    }

    fn set(subnets: impl IntoIterator<Item = Subnet>) -> SubnetSet {
        subnets.into_iter().collect()
    }

    fn every_column() -> SubnetSet {
        set((0..128).map(Subnet::DataColumn))
    }

    /// A connected peer that keeps so many custody groups.
    fn connect(
        table: &mut PeerTable,
        custody_group_count: u64,
        direction: ConnectionDirection,
        now: Instant,
    ) -> PeerId {
        let peer = NodeKey::generate().libp2p().unwrap().public().to_peer_id();
        table.on_connected(peer, direction, "/ip4/127.0.0.1/tcp/9000".parse().unwrap(), now);
        let metadata = MetaData {
            custody_group_count: Some(custody_group_count),
            ..MetaData::default()
        };
        table.on_metadata(&peer, metadata);
        peer
    }

    /// A peer whose record says that it keeps so many custody groups.
    fn discover(table: &mut PeerTable, custody_group_count: u64, now: Instant) -> PeerId {
        let key = NodeKey::generate();
        let peer = key.libp2p().unwrap().public().to_peer_id();
        let record = Enr::builder()
            .add_value(CGC_KEY, &custody_group_count)
            .build(&key.discv5().unwrap());
        table.on_enr(peer, record.unwrap(), now);
        peer
    }

    fn ids(chosen: Vec<(PeerId, Enr)>) -> Vec<PeerId> {
        chosen.into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn pruning_takes_the_worst_and_spares_the_trusted_and_the_only_provider() {
        let now = Instant::now();
        let trusted = PeerId::random();
        let mut table = table(&[trusted]);
        let address = "/ip4/127.0.0.1/tcp/9000".parse().unwrap();
        table.on_connected(trusted, ConnectionDirection::Inbound, address, now);
        table.penalise(trusted, Penalty::Fatal, now);
        let outbound = connect(&mut table, 0, ConnectionDirection::Outbound, now);
        let inbound = connect(&mut table, 0, ConnectionDirection::Inbound, now);
        let provider = connect(&mut table, 0, ConnectionDirection::Inbound, now);
        let bad = connect(&mut table, 0, ConnectionDirection::Outbound, now);
        table.penalise(bad, Penalty::Moderate, now);
        let mut metadata = MetaData::default();
        metadata.attnets.set(3, true).unwrap();
        table.on_metadata(&provider, metadata);
        let needed = set([Subnet::Attestation(3)]);
        let excess = |target| table.excess(target, target, needed);
        assert_eq!(excess(5), vec![]);
        assert_eq!(excess(4), vec![bad]);
        assert_eq!(excess(3), vec![bad, inbound]);
        assert_eq!(excess(0), vec![bad, inbound, outbound]);
    }

    #[test]
    fn the_only_peer_of_a_column_subnet_is_kept() {
        let now = Instant::now();
        let mut table = table(&[]);
        let useless = connect(&mut table, 0, ConnectionDirection::Outbound, now);
        let provider = connect(&mut table, 128, ConnectionDirection::Inbound, now);
        table.penalise(provider, Penalty::Moderate, now);
        let needed = set([Subnet::DataColumn(7)]);
        assert_eq!(table.excess(1, 1, SubnetSet::default()), vec![provider], "the worst");
        assert_eq!(table.excess(1, 1, needed), vec![useless]);
        assert_eq!(table.excess(0, 1, needed), vec![useless], "not above the limit");
    }

    #[test]
    fn the_only_peer_of_one_subnet_counts_more_than_one_of_two_peers_of_many() {
        let now = Instant::now();
        let mut table = table(&[]);
        let only = connect(&mut table, 128, ConnectionDirection::Inbound, now);
        let mut metadata = MetaData {
            custody_group_count: Some(0),
            ..MetaData::default()
        };
        (0..4).for_each(|id| metadata.attnets.set(id, true).unwrap());
        for _ in 0..2 {
            let of_two = connect(&mut table, 0, ConnectionDirection::Outbound, now);
            table.on_metadata(&of_two, metadata.clone());
        }
        let needed = set([Subnet::DataColumn(7)]).union(set((0..4).map(Subnet::Attestation)));
        let leaving = table.excess(2, 2, needed);
        assert!(leaving.len() == 1 && leaving != [only]);
    }

    #[test]
    fn a_node_that_needs_every_column_can_part_with_whoever_serves_the_fewest() {
        let now = Instant::now();
        let mut table = table(&[]);
        let all = connect(&mut table, 128, ConnectionDirection::Inbound, now);
        let small = connect(&mut table, 4, ConnectionDirection::Outbound, now);
        let large = connect(&mut table, 64, ConnectionDirection::Outbound, now);
        assert_eq!(table.excess(2, 2, every_column()), vec![small]);
        assert_eq!(table.excess(1, 1, every_column()), vec![small, large]);
        assert_eq!(table.excess(0, 0, every_column()), vec![small, large, all]);
        assert_eq!(
            table.excess(0, 3, every_column()),
            vec![],
            "no more than the limit allows"
        );
    }

    #[test]
    fn no_place_is_made_at_the_cost_of_a_subnet_with_few_peers() {
        let now = Instant::now();
        let mut table = table(&[]);
        let needed = set([Subnet::DataColumn(7)]);
        let newest = now + std::time::Duration::from_secs(1);
        for _ in 0..PEERS_PER_SUBNET {
            connect(&mut table, 128, ConnectionDirection::Outbound, now);
        }
        let useless = connect(&mut table, 0, ConnectionDirection::Outbound, now);
        assert_eq!(table.excess(0, 10, needed), vec![useless]);
        let to_spare = connect(&mut table, 128, ConnectionDirection::Outbound, newest);
        assert_eq!(table.excess(0, 10, needed), vec![to_spare, useless], "the newest first");
    }

    #[test]
    fn a_column_subnet_lacks_peers_until_three_are_there_or_dialled() {
        let now = Instant::now();
        let mut table = table(&[]);
        let needed = set([Subnet::DataColumn(7), Subnet::DataColumn(127)]);
        connect(&mut table, 0, ConnectionDirection::Inbound, now);
        connect(&mut table, 128, ConnectionDirection::Inbound, now);
        connect(&mut table, 128, ConnectionDirection::Outbound, now);
        let known = discover(&mut table, 128, now);
        assert_eq!(table.lacking(needed), needed);
        table.on_dialling(known, now);
        assert!(table.lacking(needed).is_empty());
        table.on_dial_failed(known, now);
        assert_eq!(table.lacking(needed), needed);
    }

    #[test]
    fn whoever_serves_most_of_the_missing_subnets_is_dialled_and_nobody_for_what_it_serves() {
        let now = Instant::now();
        let mut table = table(&[]);
        discover(&mut table, 0, now);
        for _ in 0..20 {
            discover(&mut table, 4, now);
        }
        let all = discover(&mut table, 128, now);
        let any = |_: &PeerId, _: &Enr| Some(Prospect::Lasting);
        assert_eq!(ids(table.subnet_candidates(every_column(), 8, any, now)), vec![all]);
        table.on_dial_failed(all, now);
        let chosen = table.subnet_candidates(every_column(), 8, any, now);
        assert_eq!(
            chosen.len(),
            8,
            "128 missing subnets start no more dials than may be started"
        );
        let unsuited = table.subnet_candidates(every_column(), 8, |_, _| None, now);
        assert_eq!(ids(unsuited), vec![]);
    }

    #[test]
    fn whoever_does_not_suit_takes_no_place_of_others() {
        let now = Instant::now();
        let mut table = table(&[]);
        let known: Vec<PeerId> = (0..4).map(|_| discover(&mut table, 128, now)).collect();
        let last = known[3];
        let suits = |id: &PeerId, _: &Enr| (*id == last).then_some(Prospect::Lasting);
        assert_eq!(ids(table.dial_candidates(1, suits, now)), vec![last]);
        let missing = set([Subnet::DataColumn(7)]);
        assert_eq!(ids(table.subnet_candidates(missing, 1, suits, now)), vec![last]);
    }

    #[test]
    fn who_parts_with_us_at_the_next_fork_is_dialled_after_those_who_stay() {
        let now = Instant::now();
        let mut table = table(&[]);
        let known: Vec<PeerId> = (0..8).map(|_| discover(&mut table, 64, now)).collect();
        let columns = set([Subnet::DataColumn(7)]);
        let most = discover(&mut table, 128, now);
        // Whichever it is: the table has no order.
        for staying in &known {
            let prospect = |id: &PeerId, _: &Enr| match id == staying {
                true => Some(Prospect::Lasting),
                false => Some(Prospect::UntilNextFork),
            };
            let chosen = ids(table.dial_candidates(9, prospect, now));
            assert_eq!(
                (chosen.len(), chosen[0]),
                (9, *staying),
                "the others are dialled as well"
            );
            let serves = |id: &PeerId| !table.get(id).unwrap().subnets().intersection(columns).is_empty();
            if serves(staying) {
                assert_eq!(ids(table.subnet_candidates(columns, 1, prospect, now)), vec![*staying]);
            }
            let chosen = ids(table.subnet_candidates(every_column(), 1, prospect, now));
            assert_eq!(chosen, vec![most], "subnets come first");
        }
    }
}
