"""What validators look up: whether they are active, attest, propose and sign for sync committees, and since when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

from .case import Case, source
from .chain import ENTRIES, FOUR, ONE, SEVEN, SIXTEEN, SOLO, Chain, Entry
from .functions import text
from .questions import ANY, REFUSED, Question, questions_case


def all_indices(spec: ModuleType) -> Iterator[tuple[int, int, int | None]]:
    """Indices of both forms at the boundaries of each group, of a solo validator, and of one that is not there."""
    for validator, entry in enumerate((*ENTRIES[: SOLO + 1], None)):
        registry_index = validator if entry is not None else 2**30
        yield registry_index, registry_index, None
        threshold, size = (entry.threshold, entry.size) if entry is not None else (0, 0)
        for key in sorted({0, max(threshold - 1, 0), threshold, max(size - 1, 0), size} - {16}):
            yield virtual(spec, registry_index, key), registry_index, key


def virtual(spec: ModuleType, validator: int, key: int) -> int:
    return int(spec.get_virtual_index(spec.ValidatorIndex(validator), spec.uint64(key)))


def exists(validator: int, key: int | None) -> bool:
    """Whether somebody signs under an index of the usual chain."""
    size = ENTRIES[validator].size if validator < len(ENTRIES) else 0
    return key is None if size == 0 else key is not None and key < size


def rotated(spec: ModuleType, state: Any, validator: int, threshold: int, keys: list[Any], epoch: int) -> None:
    """Another key set of a validator, in force from an epoch on."""
    key_set = spec.KeySet(activation_epoch=epoch, threshold=threshold, keys=keys)
    group = spec.get_group(state, spec.ValidatorIndex(validator))
    if group is None:
        state.groups.append(spec.Group(validator_index=validator, sequence=1, key_sets=[spec.KeySet(), key_set]))
    else:
        group.key_sets.append(key_set)


def registry_key(spec: ModuleType, state: Any, validator: int) -> Any:
    return spec.VirtualKey(scheme=0, pubkey=bytes(state.validators[validator].pubkey))


def keys_of(spec: ModuleType, state: Any, validator: int) -> list[Any]:
    return list(spec.get_key_set(state, spec.ValidatorIndex(validator), spec.get_current_epoch(state)).keys)


def of_signer(name: str, spec: ModuleType, state: Any, plain: Callable[[Any], Any]) -> Callable[[Question], Any]:
    """Asks the function with that name, which the text may change."""
    return lambda asked: plain(getattr(spec, name)(state, spec.SignerIndex(asked["signer"])))


def in_epoch(name: str, spec: ModuleType, state: Any, plain: Callable[[Any], Any]) -> Callable[[Question], Any]:
    """Asks the function with that name, which the text may change."""

    def ask(asked: Question) -> Any:
        return plain(getattr(spec, name)(state, spec.Epoch(asked["epoch"]), spec.SignerIndex(asked["signer"])))

    return ask


def signers_in(epochs: Iterable[int], signers: Iterable[int]) -> list[tuple[Question, Any]]:
    chosen = list(signers)
    return [({"epoch": epoch, "signer": signer}, ANY) for epoch in epochs for signer in chosen]


@source
def active_signers(spec: ModuleType) -> Iterator[Case]:
    state = Chain(spec).state.copy()
    now = int(spec.get_current_epoch(state))
    expected = {}
    for signer, validator, key in all_indices(spec):
        unknown = validator == 2**30 and key is None
        expected[signer] = REFUSED if unknown else exists(validator, key)
    gone, going, coming, came = (SOLO + place for place in range(1, 5))
    state.validators[gone].exit_epoch = now
    state.validators[going].exit_epoch = now + 1
    state.validators[coming].activation_epoch = now + 1
    state.validators[came].activation_epoch = now
    expected.update({gone: False, going: True, coming: False, came: True})
    state.validators[ONE].exit_epoch = now
    expected[virtual(spec, ONE, 0)] = False
    # Another key set since now, and one that is not in force yet.
    rotated(spec, state, SEVEN, 2, keys_of(spec, state, SEVEN)[:3], now)
    rotated(spec, state, FOUR, 1, keys_of(spec, state, FOUR)[:1], now + 1)
    expected.update({virtual(spec, SEVEN, key): key < 3 for key in range(8)})
    ask = of_signer("check_if_validator_active", spec, state, bool)
    asked = [({"signer": signer}, answer) for signer, answer in expected.items()]
    yield questions_case("validator", "check_if_validator_active", "signers", ask, asked, {"pre": state})


@source
def committee_assignments(spec: ModuleType) -> Iterator[Case]:
    several = [Entry(2048, 9, 16) for _ in range(8)]
    for name, entries in (
        ("one_committee", None),
        ("several_committees", (*ENTRIES[: SOLO + 1], *several, *(Entry(32) for _ in range(23)))),
    ):
        state = Chain(spec, entries).state
        now = int(spec.get_current_epoch(state))

        def plain(found: Any) -> Any:
            if found is None:
                return None
            seats, index, slot = found
            return {"seats": [int(seat) for seat in seats], "index": int(index), "slot": int(slot)}

        signers = [SOLO, SEVEN, *(virtual(spec, SEVEN, key) for key in (0, 6, 7)), virtual(spec, SIXTEEN, 15)]
        epochs = [now - 1, now, now + 1]
        if entries is None:
            signers += [2**30, virtual(spec, SOLO, 0), virtual(spec, ONE, 0), virtual(spec, FOUR, 3)]
        else:
            epochs.remove(now - 1)
        ask = in_epoch("get_committee_assignment", spec, state, plain)
        asked = signers_in(epochs, signers)
        asked += [({"epoch": now + 2, "signer": signer}, REFUSED) for signer in signers[:2]]
        yield questions_case("validator", "get_committee_assignment", name, ask, asked, {"pre": state.copy()})


@source
def proposing_signers(spec: ModuleType) -> Iterator[Case]:
    for name, proposer in (("seven", SEVEN), ("one", ONE), ("sixteen", SIXTEEN), ("solo", SOLO)):
        state = Chain(spec).state.copy()
        state.slot += 3
        state.proposer_lookahead[3] = proposer
        for place, other in ((2, FOUR), (4, SOLO + 1)):
            state.proposer_lookahead[place] = other
        asked = []
        for signer, validator, key in all_indices(spec):
            asked.append(({"signer": signer}, validator == proposer and exists(validator, key)))
        ask = of_signer("is_proposer", spec, state, bool)
        yield questions_case("validator", "is_proposer", name, ask, asked, {"pre": state})


def sync_state(spec: ModuleType) -> Any:
    """A state with a hash-based key, keys that come and go, and another next committee than the current one."""
    chain = Chain(spec)
    state = chain.state.copy()
    now = int(spec.get_current_epoch(state))
    rotated(spec, state, SOLO + 1, 1, [chain.new_key(SOLO + 1, 0, 1), registry_key(spec, state, SOLO + 1)], now)
    four = keys_of(spec, state, FOUR)
    rotated(spec, state, FOUR, 2, [four[3], registry_key(spec, state, SOLO + 2), four[0]], now)
    rotated(spec, state, SEVEN, 1, keys_of(spec, state, SEVEN)[6:], now + 2)
    size = int(spec.SYNC_COMMITTEE_SIZE)
    part = size // 4
    current = [bytes(state.validators[SOLO + 3].pubkey)] * size
    # At the ends of subcommittees, and in several of them.
    for position, pubkey in (
        (0, state.validators[SOLO].pubkey),
        (part - 1, four[0].pubkey),
        (part, four[3].pubkey),
        (2 * part - 1, four[1].pubkey),
        (3 * part, state.validators[SOLO + 1].pubkey),
        (size - 1, state.validators[SOLO].pubkey),
        (size - 2, state.validators[FOUR].pubkey),
    ):
        current[position] = bytes(pubkey)
    following = [bytes(state.validators[SOLO + 2].pubkey)] * size
    for position, key in enumerate(keys_of(spec, state, SEVEN)):
        following[2 * part + position - 3] = bytes(key.pubkey)
    state.current_sync_committee.pubkeys = current
    state.next_sync_committee.pubkeys = following
    return state


def ascending(subnets: Any) -> list[int]:
    return sorted(int(subnet) for subnet in subnets)


def sync_signers(spec: ModuleType) -> list[int]:
    signers = [signer for signer, _, _ in all_indices(spec)]
    return signers + [SOLO + 1, SOLO + 2, SOLO + 3, virtual(spec, SOLO + 1, 0), virtual(spec, SOLO + 1, 1)]


@source
def sync_committee_signers(spec: ModuleType) -> Iterator[Case]:
    state = sync_state(spec)
    now, period = int(spec.get_current_epoch(state)), int(spec.EPOCHS_PER_SYNC_COMMITTEE_PERIOD)
    first = now - now % period

    def hexadecimal(pubkey: Any) -> Any:
        return None if pubkey is None else text(bytes(pubkey))

    ask = in_epoch("get_sync_committee_pubkey", spec, state, hexadecimal)
    asked = signers_in((now, now + 2), sync_signers(spec))
    yield questions_case("validator", "get_sync_committee_pubkey", "signers", ask, asked, {"pre": state})

    ask = in_epoch("is_assigned_to_sync_committee", spec, state, bool)
    epochs = (first, now, first + period - 1, first + period, first + 2 * period - 1)
    asked = signers_in(epochs, sync_signers(spec))
    asked += [({"epoch": epoch, "signer": SOLO}, REFUSED) for epoch in (first - 1, first + 2 * period)]
    yield questions_case("validator", "is_assigned_to_sync_committee", "signers", ask, asked, {"pre": state})

    # The last slot of a period signs for the committee of the next one.
    last = (first + period) * int(spec.SLOTS_PER_EPOCH) - 1
    for name, slot in (("first_slot", int(state.slot)), ("last_slot_but_one", last - 1), ("last_slot", last)):
        at_slot = state.copy()
        at_slot.slot = slot

        asked = [({"signer": signer}, ANY) for signer in sync_signers(spec)]
        ask = of_signer("compute_subnets_for_sync_committee", spec, at_slot, ascending)
        yield questions_case("validator", "compute_subnets_for_sync_committee", name, ask, asked, {"pre": at_slot})


@source
def final_keys(spec: ModuleType) -> Iterator[Case]:
    chain = Chain(spec)
    state, final = chain.state.copy(), chain.state.copy()
    now = int(spec.get_current_epoch(state))
    later = now + 5
    other = registry_key(spec, state, SEVEN)
    # A registry key becomes a virtual one beside a new key; keys move; a group is dissolved; a key has another scheme.
    rotated(spec, state, SOLO, 2, [other, registry_key(spec, state, SOLO)], later)
    four = keys_of(spec, state, FOUR)
    rotated(spec, state, FOUR, 3, [four[3], other, four[0]], later)
    rotated(spec, state, SEVEN, 0, [], later)
    rotated(spec, final, SEVEN, 1, [registry_key(spec, state, SEVEN)], now)
    rotated(spec, state, SIXTEEN, 0, [], later)
    of_scheme = spec.VirtualKey(scheme=1, pubkey=bytes(other.pubkey))
    rotated(spec, state, ONE, 1, [of_scheme, other], later)
    rotated(spec, final, ONE, 1, [other], later)
    final.validators = list(final.validators)[: SOLO + 3]
    expected = {
        (virtual(spec, SOLO, 0), later): False,
        (virtual(spec, SOLO, 1), later): True,
        (SOLO, later): REFUSED,
        (SOLO, later - 1): True,
        (virtual(spec, SOLO, 0), later - 1): REFUSED,
        (virtual(spec, FOUR, 0), later): True,
        (virtual(spec, FOUR, 1), later): False,
        (virtual(spec, FOUR, 2), later): True,
        (virtual(spec, FOUR, 3), later): REFUSED,
        (virtual(spec, FOUR, 3), later - 1): True,
        (SEVEN, later): True,
        (virtual(spec, SEVEN, 6), now): False,
        (SIXTEEN, later): False,
        (virtual(spec, SIXTEEN, 15), later - 1): True,
        (virtual(spec, ONE, 0), later): False,
        (virtual(spec, ONE, 1), later): True,
        (SOLO + 2, now): True,
        (SOLO + 3, now): REFUSED,
    }

    def whether_final(state: Any, final: Any) -> Callable[[Question], bool]:
        def ask(asked: Question) -> bool:
            return bool(spec.is_final_key(state, final, spec.SignerIndex(asked["signer"]), spec.Epoch(asked["epoch"])))

        return ask

    ask = whether_final(state, final)
    asked = [({"signer": signer, "epoch": epoch}, answer) for (signer, epoch), answer in expected.items()]
    yield questions_case("validator", "is_final_key", "changes", ask, asked, {"pre": state, "finalized": final})
    same = [({"signer": signer, "epoch": now}, ANY) for signer, _, _ in all_indices(spec)]
    both = chain.state
    inputs = {"pre": both.copy(), "finalized": both.copy()}
    yield questions_case("validator", "is_final_key", "nothing_changed", whether_final(both, both), same, inputs)
