"""Rare inputs that single changes of the text need in order to show: exact ties, remainders, checks behind checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from types import ModuleType
from typing import Any

from native_dvt import bls

from .case import Case, source
from .chain import ETH, SEVEN, WEALTHY, Chain, Entry, pubkey_of, registry_secret
from .fork_choice import LAST_BLOCK, Play, two_siblings
from .operations import operation
from .sanity import blocks_case


def without_signatures(case: Case) -> Case:
    """The same case with signatures that nobody verifies, so that another check has to refuse it."""
    run = case.run

    def switched(state: Any) -> Any:
        with bls.switched(False):
            return run(state)

    case.run = switched
    case.data["meta"] = {"bls_setting": 2}
    return case


@source
def keys_that_are_none(spec: ModuleType) -> Iterator[Case]:
    chain = Chain(spec)
    good = chain.new_key(WEALTHY, 0)
    for name, pubkey in {
        "no_point": b"\x01" * 48,
        "infinity": b"\xc0" + b"\x00" * 47,
        "one_byte_too_long": bytes(good.pubkey) + b"\x00",
    }.items():
        value = chain.change(WEALTHY, 1, [good])
        value.message.keys[0].pubkey = pubkey
        case = operation(chain, "key_set_change", f"invalid_key_{name}_without_signatures", value, False)
        yield without_signatures(case)


@source
def votes_of_the_present_slot(spec: ModuleType) -> Iterator[Case]:
    # With another target nobody asks for the block of the slot, which there is not yet.
    chain = Chain(spec)
    chain.advance(2)
    slot = int(chain.state.slot)
    data = chain.attestation_data(slot - 1)
    data.slot, data.target.root = slot, b"\x66" * 32
    name = "invalid_vote_of_the_present_slot_for_another_target"
    yield operation(chain, "attestation", name, chain.attestation(slot, data=data), False)


def deposit_tree(leaves: list[bytes]) -> tuple[bytes, Callable[[int], list[bytes]]]:
    """Root of the deposit contract's tree, and the branch of each leaf."""
    layers, empty = [leaves], bytes(32)
    for _ in range(32):
        below = layers[-1] + [empty] * (len(layers[-1]) % 2)
        layers.append([sha256(below[i] + below[i + 1]).digest() for i in range(0, len(below), 2)])
        empty = sha256(empty + empty).digest()
    count = len(leaves).to_bytes(32, "little")

    def branch(index: int) -> list[bytes]:
        siblings, empty = [], bytes(32)
        for layer in layers[:-1]:
            place = index ^ 1
            siblings.append(layer[place] if place < len(layer) else empty)
            index, empty = index // 2, sha256(empty + empty).digest()
        return [*siblings, count]

    return sha256(layers[-1][0] + count).digest(), branch


@source
def deposits_of_the_old_bridge(spec: ModuleType) -> Iterator[Case]:
    limit = int(spec.MAX_DEPOSITS)

    def all_given(state: Any, body: Any) -> None:
        for deposit in body.deposits:
            spec.process_deposit(state, deposit)

    # How many are in the tree, how many the state counts, how many are processed already, how many a block has.
    for name, count, counted, known, given in (
        ("last_deposit", 7, 7, 6, 1),
        ("as_many_deposits_as_fit", limit + 4, limit + 4, 2, limit),
        ("invalid_one_deposit_of_two", 7, 7, 5, 1),
        ("invalid_deposit_that_is_not_counted", 8, 7, 7, 1),
    ):
        chain = Chain(spec, [Entry(2048, 5, 7), Entry(1024, 3, 4), *(Entry(64) for _ in range(30))])
        data = [
            spec.DepositData(
                pubkey=pubkey_of(registry_secret(number % 8)),
                withdrawal_credentials=chain.state.validators[number % 8].withdrawal_credentials,
                amount=ETH + number,
            )
            for number in range(count)
        ]
        root, branch = deposit_tree([bytes(entry.hash_tree_root()) for entry in data])
        chain.state.eth1_data.deposit_root = root
        chain.state.eth1_data.deposit_count = counted
        chain.state.eth1_deposit_index = known
        deposits = [spec.Deposit(proof=branch(i), data=data[i]) for i in range(known, known + given)]
        is_valid = not name.startswith("invalid")
        block = chain.block(deposits=deposits, as_if={} if is_valid else {"process_operations": all_given})
        yield blocks_case(chain, name, [block], is_valid)


@source
def draws_at_the_edge(spec: ModuleType) -> Iterator[Case]:
    """
    A candidate with the greatest balance and the greatest random value is drawn, but only just; one with half of that
    balance and half of the values below his, but only just not.
    """
    period = int(spec.EPOCHS_PER_SYNC_COMMITTEE_PERIOD)
    for name, balance, value in (("tie", 2048, 2**16 - 1), ("just_not_drawn", 1024, 2**15)):
        entries = (Entry(balance), Entry(balance, 1, 1), *(Entry(balance) for _ in range(30)))
        chain = Chain(spec, entries, epoch=10 * period - 1)
        state = chain.state
        epoch = spec.Epoch(10 * period)
        place = int(epoch + spec.EPOCHS_PER_HISTORICAL_VECTOR - spec.MIN_SEED_LOOKAHEAD - 1) % len(state.randao_mixes)
        prefix = bytes(spec.DOMAIN_SYNC_COMMITTEE) + bytes(spec.uint_to_bytes(epoch))

        def values_of(mix: bytes, prefix: bytes = prefix) -> list[int]:
            values = sha256(sha256(prefix + mix).digest() + bytes(8)).digest()
            return [int.from_bytes(values[place : place + 2], "little") for place in range(0, 32, 2)]

        mixes = (sha256(number.to_bytes(8, "little")).digest() for number in range(10**6))
        state.randao_mixes[place] = next(mix for mix in mixes if value in values_of(mix))

        def run(state: Any) -> Any:
            spec.process_sync_committee_updates(state)
            return state

        def check(before: Any, after: Any, balance: int = balance) -> bool:
            # With the greatest balance everybody is drawn when it is his turn.
            drawn = set(after.next_sync_committee_indices)
            return (len(drawn) == len(before.validators)) == (balance == 2048)

        yield Case("epoch_processing", "sync_committee_updates", name, {"pre": state.copy()}, run, check=check)


@source
def draw_before_a_change(spec: ModuleType) -> Iterator[Case]:
    """Keys that come an epoch after the draw's are not those of the committee."""
    period = int(spec.EPOCHS_PER_SYNC_COMMITTEE_PERIOD)
    chain = Chain(spec, (Entry(2048, 5, 7), *(Entry(32) for _ in range(31))), epoch=10 * period - 1)
    keys = [chain.new_key(SEVEN, key) for key in range(7, 14)]
    group = spec.get_group(chain.state, SEVEN)
    group.key_sets.append(spec.KeySet(activation_epoch=10 * period + 1, threshold=5, keys=keys))

    def run(state: Any) -> Any:
        spec.process_sync_committee_updates(state)
        return state

    def check(before: Any, after: Any) -> bool:
        drawn = {bytes(pubkey) for pubkey in after.next_sync_committee.pubkeys}
        later, present = ({bytes(key.pubkey) for key in key_set.keys} for key_set in reversed(list(group.key_sets)))
        return not drawn & later and present <= drawn

    name = "keys_of_the_epoch_after_the_next"
    yield Case("epoch_processing", "sync_committee_updates", name, {"pre": chain.state.copy()}, run, check=check)


@source
def boost_and_votes_weigh_the_same(spec: ModuleType) -> Iterator[Case]:
    """Five votes of 32 ETH are a twentieth of the stake, as is the boost of a timely block: the greater root wins."""
    for graffiti in range(100):
        play = Play(spec, others=34)
        play.tick(LAST_BLOCK + 1)
        play.chain.state = play.anchor_state.copy()
        _, voted = play.block(play.anchor_state, 1)
        voters: list[int] = []

        def votes(index: int, key: int | None, voters: list[int] = voters) -> bool:
            if key is None and len(voters) < 5:
                voters.append(index)
            return index in voters

        for slot in (1, 2):
            ahead = play.anchor_state.copy()
            spec.process_slots(ahead, spec.Slot(slot))
            play.vote(ahead, slot, voted, votes)
        _, boosted = play.block(play.anchor_state, LAST_BLOCK + 1, graffiti=bytes([graffiti]) * 32)
        if bytes(boosted) < bytes(voted):
            continue
        weights = [spec.get_weight(play.store, root) for root in (voted, boosted)]
        assert len(voters) == 5 and weights[0] == weights[1] == 5 * 32 * ETH
        play.check(boosted)
        yield play.case("boost_and_votes_weigh_the_same")
        return


@source
def votes_again_in_the_same_epoch(spec: ModuleType) -> Iterator[Case]:
    # The same vote of a key once more is no equivocation.
    play, state, low, high, slot = two_siblings(spec)
    play.vote(state, slot, low, lambda index, key: index == SEVEN and key in range(5))
    play.check(low)
    play.vote(state, slot, low, lambda index, key: index == SEVEN and key in range(6))
    play.check(low)
    yield play.case("the_same_vote_of_keys_twice")

    # The first vote of a solo validator in an epoch counts.
    play, state, low, high, slot = two_siblings(spec)
    play.vote(state, slot, low, lambda index, key: key is None)
    play.check(low)
    play.vote(state, slot, high, lambda index, key: key is None)
    play.check(low)
    yield play.case("second_vote_of_solo_validators")


@source
def reward_with_the_greatest_remainder(spec: ModuleType) -> Iterator[Case]:
    """One unit more in the sum of a block's shares would earn the proposer a Gwei more."""
    weights, denominator = (14, 26, 14), 448
    for balance in range(7 * 32, 2048):
        entries = [Entry(balance, 5, 7), Entry(1024, 3, 4), *(Entry(32) for _ in range(30))]
        root = int(spec.integer_squareroot(spec.uint64(sum(entry.balance for entry in entries) * ETH)))
        reward = ETH * int(spec.BASE_REWARD_FACTOR) // root * balance
        for count in range(1, 5):
            if sum(reward * weight * count // 5 for weight in weights) % denominator != denominator - 1:
                continue
            chain = Chain(spec, entries)
            slot = chain.slot_of(SEVEN)
            chain.advance(slot + 1 - int(chain.state.slot))

            def votes(index: int, key: int | None, count: int = count) -> bool:
                return index == SEVEN and key is not None and key < count

            name = "reward_with_the_greatest_remainder"
            yield operation(chain, "attestation", name, chain.attestation(slot, votes))
            return
    raise AssertionError("no balance gives that remainder")
