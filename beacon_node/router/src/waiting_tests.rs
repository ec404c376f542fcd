use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Message {
    peer: u8,
    number: usize,
    bytes: usize,
    is_vote: bool,
}

impl Letter for Message {
    type Peer = u8;
    type Id = (u8, usize);
    fn peer(&self) -> u8 {
        self.peer
    }
    fn id(&self) -> (u8, usize) {
        (self.peer, self.number)
    }
    fn bytes(&self) -> usize {
        self.bytes
    }
    fn is_vote(&self) -> bool {
        self.is_vote
    }
}

const SLOT: Slot = Slot::new(5);
/// A column of a block with 21 blobs: a cell, a commitment and a proof of each, a header, and an inclusion proof.
const COLUMN: usize = 21 * (2048 + 48 + 48) + 600;

fn sized(peer: u8, number: usize, bytes: usize) -> Message {
    Message {
        peer,
        number,
        bytes,
        is_vote: false,
    }
}

fn column(peer: u8, number: usize) -> Message {
    sized(peer, number, 1)
}

fn vote(peer: u8, number: usize) -> Message {
    let is_vote = true;
    Message {
        is_vote,
        ..sized(peer, number, 240)
    }
}

/// How many messages there are; whatever counts them agrees.
fn places(waiting: &Waiting<Message>) -> usize {
    let messages = || waiting.entries.values().map(|entry| entry.message);
    assert_eq!(waiting.bytes, messages().map(|message| message.bytes).sum::<usize>());
    for (peer, share) in &waiting.by_peer {
        let of_peer = messages().filter(|message| message.peer == *peer);
        assert_eq!(share.bytes, of_peer.clone().map(|message| message.bytes).sum::<usize>());
        assert_eq!(share.numbers.len(), of_peer.count());
    }
    let of_peers = waiting.by_peer.values().map(|share| share.numbers.len());
    assert_eq!(of_peers.sum::<usize>(), waiting.entries.len());
    let by_root: usize = waiting.by_root.values().map(BTreeSet::len).sum();
    let waits = waiting.entries.values().filter(|entry| entry.waits_for.is_some());
    assert_eq!(waits.count(), by_root);
    assert!(waiting.by_root.values().all(|numbers| !numbers.is_empty()));
    waiting.entries.len()
}

/// All that was called, as it is taken: votes, then the others.
fn take_all(waiting: &mut Waiting<Message>) -> Vec<Message> {
    let mut taken = waiting.take_called_votes(usize::MAX);
    taken.extend(std::iter::from_fn(|| waiting.take_called()));
    assert!(!waiting.has_called() && !waiting.has_called_votes());
    taken
}

#[test]
fn messages_wait_for_their_block_and_not_for_ever() {
    let mut waiting = Waiting::default();
    let (a, b) = (Root::repeat_byte(1), Root::repeat_byte(2));
    for (root, slot, message) in [(a, 5, column(1, 1)), (a, 6, column(2, 2)), (b, 5, column(1, 3))] {
        assert_eq!(waiting.insert(root, Slot::new(slot), message), []);
    }
    waiting.call(&a);
    assert_eq!(places(&waiting), 3, "they keep their places until they are taken");
    assert_eq!(take_all(&mut waiting), [column(1, 1), column(2, 2)]);
    waiting.call(&a);
    assert_eq!(take_all(&mut waiting), []);
    assert_eq!(places(&waiting), 1);
    waiting.prune(Slot::new(6));
    waiting.call(&b);
    assert_eq!((take_all(&mut waiting), places(&waiting)), (Vec::new(), 0));
}

#[test]
fn votes_go_before_all_else_and_of_the_rest_each_peer_has_its_turn() {
    let mut waiting = Waiting::default();
    let root = Root::repeat_byte(1);
    for number in 0..MAX_WAITING_PER_PEER {
        assert_eq!(waiting.insert(root, SLOT, column(1, number)), []);
    }
    for number in 0..3 {
        assert_eq!(waiting.insert(root, SLOT, column(2, number)), []);
        assert_eq!(waiting.insert(root, SLOT, vote(3, number)), []);
    }
    assert!(!waiting.has_called() && !waiting.has_called_votes());
    waiting.call(&root);
    assert!(waiting.has_called() && waiting.has_called_votes());
    assert_eq!(waiting.take_called_votes(2), [vote(3, 0), vote(3, 1)]);
    assert_eq!(waiting.take_called_votes(2), [vote(3, 2)]);
    let first: Vec<Message> = std::iter::from_fn(|| waiting.take_called()).take(7).collect();
    let turns = [(1, 0), (2, 0), (1, 1), (2, 1), (1, 2), (2, 2), (1, 3)];
    assert_eq!(first, turns.map(|(peer, number)| column(peer, number)));
    assert_eq!(places(&waiting), MAX_WAITING_PER_PEER - 4);
    // What is called and not taken grows old as well.
    waiting.prune(Slot::new(6));
    assert_eq!((take_all(&mut waiting), places(&waiting)), (Vec::new(), 0));
}

#[test]
fn a_message_whose_block_came_meanwhile_is_called_back_once() {
    let mut waiting = Waiting::default();
    let root = Root::repeat_byte(1);
    waiting.insert(root, SLOT, vote(1, 1));
    assert_eq!(waiting.call_back(&root, SLOT), []);
    assert_eq!(take_all(&mut waiting), [vote(1, 1)]);
    assert_eq!(places(&waiting), 0);
    // It lacks something else, and another one does not.
    waiting.insert(root, SLOT, vote(1, 1));
    waiting.insert(root, SLOT, vote(1, 2));
    assert_eq!(waiting.call_back(&root, SLOT), [vote(1, 1)]);
    assert_eq!(take_all(&mut waiting), [vote(1, 2)]);
    waiting.prune(Slot::new(6));
    assert!(waiting.called_back.is_empty());
}

#[test]
fn one_peer_cannot_take_all_places() {
    let mut waiting = Waiting::default();
    for number in 0..MAX_WAITING {
        let gone = waiting.insert(Root::ZERO, SLOT, column(1, number));
        let refused = (number >= MAX_WAITING_PER_PEER).then_some(column(1, number));
        assert_eq!(gone, Vec::from_iter(refused));
    }
    assert_eq!(waiting.insert(Root::ZERO, SLOT, column(2, 0)), []);
    assert_eq!(places(&waiting), MAX_WAITING_PER_PEER + 1);
    waiting.prune(Slot::new(6));
    assert_eq!(waiting.insert(Root::ZERO, Slot::new(6), column(1, 0)), []);
}

#[test]
fn one_peer_cannot_take_all_bytes_and_what_is_too_large_does_not_wait() {
    let mut waiting = Waiting::default();
    let large = |peer, number| sized(peer, number, MAX_MESSAGE_BYTES);
    let too_large = sized(1, 0, MAX_MESSAGE_BYTES + 1);
    assert_eq!(waiting.insert(Root::ZERO, SLOT, too_large), [too_large]);
    let share = MAX_BYTES_PER_PEER / MAX_MESSAGE_BYTES;
    for number in 0..2 * share {
        let gone = waiting.insert(Root::ZERO, SLOT, large(1, number));
        assert_eq!(gone, Vec::from_iter((number >= share).then_some(large(1, number))));
    }
    assert!(waiting.bytes <= MAX_BYTES / 2, "there is room for others");
    assert_eq!(waiting.insert(Root::ZERO, SLOT, large(2, 0)), []);
    assert_eq!(places(&waiting), share + 1);
}

#[test]
fn all_columns_of_a_full_block_and_its_votes_find_room_from_a_single_peer() {
    let mut waiting = Waiting::default();
    for number in 0..128 {
        assert_eq!(waiting.insert(Root::ZERO, SLOT, sized(1, number, COLUMN)), []);
    }
    for number in 128..MAX_WAITING_PER_PEER {
        assert_eq!(waiting.insert(Root::ZERO, SLOT, vote(1, number)), []);
    }
    assert_eq!(places(&waiting), MAX_WAITING_PER_PEER);
}

#[test]
fn when_all_places_are_taken_who_has_most_gives_up_its_newest() {
    let mut waiting = Waiting::default();
    let root = |number: usize| Root::left_padding_from(&number.to_be_bytes());
    let peers = (MAX_WAITING / MAX_WAITING_PER_PEER) as u8;
    for number in 0..MAX_WAITING_PER_PEER {
        for peer in 0..peers {
            assert_eq!(waiting.insert(root(number), SLOT, column(peer, number)), []);
        }
    }
    assert_eq!(places(&waiting), MAX_WAITING);
    // A newcomer gets as many places as the others keep, and not more.
    let newcomer = peers;
    let mut refused = 0;
    for number in 0..MAX_WAITING_PER_PEER {
        match waiting.insert(root(number), SLOT, column(newcomer, number))[..] {
            [gone] if gone.peer == newcomer => refused += 1,
            [newest] => assert!(newest.number >= MAX_WAITING / usize::from(peers + 1)),
            _ => panic!("all places are taken"),
        }
        assert_eq!(places(&waiting), MAX_WAITING);
    }
    let share = MAX_WAITING / usize::from(peers + 1);
    let of_peer = |peer| waiting.by_peer[&peer].numbers.len();
    assert_eq!(of_peer(newcomer), share);
    assert_eq!(refused, MAX_WAITING_PER_PEER - share);
    assert!((0..peers).all(|peer| of_peer(peer) >= share));
}

#[test]
fn when_all_bytes_are_taken_who_has_most_of_them_makes_room() {
    let mut waiting = Waiting::default();
    let peers = (MAX_BYTES / MAX_BYTES_PER_PEER) as u8;
    for number in 0..MAX_BYTES_PER_PEER / MAX_MESSAGE_BYTES {
        for peer in 0..peers {
            let large = sized(peer, number, MAX_MESSAGE_BYTES);
            assert_eq!(waiting.insert(Root::ZERO, SLOT, large), []);
        }
    }
    assert_eq!(waiting.bytes, MAX_BYTES);
    // The columns of a block, and votes, of somebody who has nothing here: nobody has to give up more than he keeps.
    let newcomer = peers;
    for number in 0..128 {
        let gone = waiting.insert(Root::ZERO, SLOT, sized(newcomer, number, COLUMN));
        assert!(gone.iter().all(|gone| gone.peer != newcomer), "column {number}");
        assert!(waiting.bytes <= MAX_BYTES);
    }
    assert_eq!(waiting.by_peer[&newcomer].numbers.len(), 128);
    places(&waiting);
    // Who would have more than anybody else keeps gets nothing, and nobody loses anything for it.
    let before = places(&waiting);
    let refused = sized(newcomer, 128, MAX_MESSAGE_BYTES);
    assert_eq!(waiting.insert(Root::ZERO, SLOT, refused), [refused]);
    assert_eq!(places(&waiting), before);
}
