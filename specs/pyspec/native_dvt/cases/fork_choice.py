"""Votes of groups in the fork choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from .case import INVALID, Case, source
from .chain import SEVEN, Chain, Entry
from .steps import apply_block, checks_of, play


#: A large group, so that its vote decides, and a small one. With so many others it attests after slot 2.
def entries(others: int) -> tuple[Entry, ...]:
    return (Entry(2048, 5, 7), Entry(64, 1, 2), *(Entry(32) for _ in range(others)))


#: The slots of the two blocks before the votes.
LAST_BLOCK = 2


class Play:
    """A store and the steps that brought it where it is."""

    def __init__(self, spec: ModuleType, others: int | None = None) -> None:
        """With so many solo validators that the group attests after the blocks, or with a number that is given."""
        self.spec = spec
        # The group is not alone in its committee.
        least = max(30, 3 * int(spec.SLOTS_PER_EPOCH))
        chains = (Chain(spec, entries(count), epoch=0) for count in ([others] if others else range(least, least + 30)))
        self.chain = next(chain for chain in chains if others or chain.slot_of(SEVEN) > LAST_BLOCK)
        state = self.chain.state
        # At genesis no epoch is justified or finalised.
        header = state.latest_block_header
        self.anchor_state = state.copy()
        self.anchor_block = spec.BeaconBlock(
            slot=header.slot,
            proposer_index=header.proposer_index,
            parent_root=header.parent_root,
            state_root=spec.hash_tree_root(state),
        )
        self.store = spec.get_forkchoice_store(self.anchor_state, self.anchor_block)
        self.inputs: dict[str, Any] = {"anchor_state": self.anchor_state, "anchor_block": self.anchor_block}
        self.steps: list[dict[str, Any]] = []

    def tick(self, slot: int, seconds: int = 0) -> None:
        spec = self.spec
        time = int(self.store.genesis_time) + slot * int(spec.config.SLOT_DURATION_MS) // 1000 + seconds
        spec.on_tick(self.store, spec.uint64(time))
        self.steps.append({"tick": time})

    def _send(self, kind: str, value: Any, apply: Callable[[Any, Any], Any]) -> bool:
        name = f"{kind}_0x{bytes(self.spec.hash_tree_root(value)).hex()}"
        self.inputs[name] = value
        try:
            apply(self.store, value)
            self.steps.append({kind: name})
            return True
        except INVALID:
            self.steps.append({kind: name, "valid": False})
            return False

    def block(self, parent: Any, slot: int, **body: Any) -> tuple[Any, Any]:
        """Sends a block on a state; gives the state after it and its root."""
        spec = self.spec
        self.chain.state = parent.copy()
        block = self.chain.block(slot, **body)
        is_valid = self._send("block", block, lambda store, value: apply_block(spec, store, value))
        assert is_valid
        root = spec.Root(spec.hash_tree_root(block.message))
        return self.store.block_states[root].copy(), root

    def vote(self, state: Any, slot: int, root: Any, votes: Callable[[int, int | None], bool]) -> bool:
        """Sends votes for a block by the seats of a slot, as seen from a state in the epoch of that slot."""
        spec = self.spec
        self.chain.state = state.copy()
        epoch = spec.compute_epoch_at_slot(spec.Slot(slot))
        data = spec.AttestationData(
            slot=slot,
            beacon_block_root=root,
            source=spec.Checkpoint(epoch=0, root=self.anchor_root),
            target=spec.Checkpoint(epoch=epoch, root=spec.get_checkpoint_block(self.store, root, epoch)),
        )
        attestation = self.chain.attestation(slot, votes, data=data)
        return self._send("attestation", attestation, spec.on_attestation)

    @property
    def anchor_root(self) -> Any:
        return self.spec.Root(self.spec.hash_tree_root(self.anchor_block))

    def slot_of_the_group(self) -> int:
        self.chain.state = self.anchor_state.copy()
        return self.chain.slot_of(SEVEN)

    def slashing(self, value: Any) -> bool:
        return self._send("attester_slashing", value, self.spec.on_attester_slashing)

    def check(self, head: Any) -> None:
        found = checks_of(self.spec, self.store)
        assert found["head"]["root"] == "0x" + bytes(head).hex()
        self.steps.append({"checks": found})

    def case(self, name: str) -> Case:
        steps, inputs, spec, block = list(self.steps), dict(self.inputs), self.spec, self.anchor_block.copy()

        def run(anchor_state: Any) -> Any:
            store = spec.get_forkchoice_store(anchor_state, block)
            play(spec, store, steps, lambda name, kind: inputs[name])
            return store

        return Case(
            "fork_choice", "get_head", name, inputs, run, initial="anchor_state", has_post=False, data={"steps": steps}
        )


def two_siblings(spec: ModuleType) -> tuple[Play, Any, Any, Any, int]:
    """
    Two blocks on one parent, and the time when votes of the group's slot count: the play, the state of the parent, the
    sibling that loses a tie, the one that wins it, the group's slot.
    """
    play_ = Play(spec)
    slot = play_.slot_of_the_group()
    play_.tick(slot, 4)
    parent_state, _ = play_.block(play_.anchor_state, LAST_BLOCK - 1)
    _, left = play_.block(parent_state, LAST_BLOCK)
    _, right = play_.block(parent_state, LAST_BLOCK, graffiti=b"\x01" * 32)
    low, high = sorted((left, right), key=bytes)
    play_.tick(slot + 1, 4)
    return play_, parent_state, low, high, slot


@source
def votes_of_groups(spec: ModuleType) -> Iterator[Case]:
    # The tie of two siblings goes to the greater root; votes for the other one have to outweigh that.
    def first_keys(count: int) -> Callable[[int, int | None], bool]:
        return lambda index, key: index == SEVEN and key is not None and key < count

    for count in (4, 5, 7):
        play_, state, low, high, slot = two_siblings(spec)
        play_.vote(state, slot, low, first_keys(count))
        play_.check(low if count >= 5 else high)
        yield play_.case(f"group_of_7_with_{count}_votes_for_the_lower_sibling")

    # A timely block has the boost, against which the vote of a small group does not stand.
    play_ = Play(spec)
    play_.tick(LAST_BLOCK)
    parent_state, _ = play_.block(play_.anchor_state, LAST_BLOCK - 1)
    _, boosted = play_.block(parent_state, LAST_BLOCK)
    play_.block(parent_state, LAST_BLOCK, graffiti=b"\x01" * 32)
    play_.check(boosted)
    play_.tick(LAST_BLOCK + 1)
    yield play_.case("timely_block_is_boosted")

    # Three for one, four for the other: the group votes for their parent, and the tie stays.
    play_, state, low, high, slot = two_siblings(spec)
    play_.vote(state, slot, low, lambda index, key: index == SEVEN and key in (0, 1, 2, 3))
    play_.vote(state, slot, high, lambda index, key: index == SEVEN and key in (4, 5, 6))
    play_.check(high)
    play_.vote(state, slot, low, lambda index, key: index != SEVEN and key is None)
    play_.check(low)
    yield play_.case("split_group_votes_for_the_parent")

    # A key that votes twice for one target epoch is discounted alone, until it votes in a later one.
    play_, state, low, high, slot = two_siblings(spec)
    play_.vote(state, slot, low, lambda index, key: index == SEVEN and key in (0, 1, 2, 3, 4))
    play_.check(low)
    play_.vote(state, slot, high, lambda index, key: index == SEVEN and key == 0)
    play_.check(high)
    play_.vote(state, slot, low, lambda index, key: index == SEVEN and key == 5)
    play_.check(low)
    play_.vote(state, slot, low, lambda index, key: index == SEVEN and key == 0)
    play_.check(low)
    later = state.copy()
    spec.process_slots(later, spec.SLOTS_PER_EPOCH)
    play_.chain.state = later.copy()
    slot = play_.chain.slot_of(SEVEN)
    play_.tick(slot + 1, 4)
    play_.vote(later, slot, high, lambda index, key: index == SEVEN and key in (1, 2))
    play_.vote(later, slot, low, lambda index, key: index == SEVEN and key == 6)
    play_.check(high)
    play_.vote(later, slot, low, lambda index, key: index == SEVEN and key == 0)
    play_.check(low)
    yield play_.case("equivocating_key_is_discounted_alone")

    # Evidence against the group discounts it whole; evidence below the threshold is refused.
    play_, state, low, high, slot = two_siblings(spec)
    play_.vote(state, slot, low, lambda index, key: index == SEVEN)
    play_.check(low)
    play_.chain.state = play_.anchor_state.copy()

    def side(head: int, keys: range) -> Any:
        data = spec.AttestationData(beacon_block_root=bytes([head]) * 32)
        return play_.chain.indexed(data, play_.chain.signers_of(SEVEN, keys))

    weak = spec.AttesterSlashing(attestation_1=side(1, range(7)), attestation_2=side(2, range(4)))
    assert play_.slashing(weak)
    play_.check(low)
    same = spec.AttesterSlashing(attestation_1=side(1, range(7)), attestation_2=side(1, range(7)))
    assert not play_.slashing(same)
    strong = spec.AttesterSlashing(
        attestation_1=side(1, range(5)), attestation_2=side(2, range(3)), more_2=[side(3, range(3, 5))]
    )
    assert play_.slashing(strong)
    play_.check(high)
    yield play_.case("slashable_group_is_discounted_whole")
