"""Whole epochs: what is finalised when groups vote at, below and above their threshold, rewards, and random blocks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from remerkleable.complex import Container, List

from native_dvt import bls

from .case import Case, source
from .chain import SEVEN, Chain, Entry
from .random_chain import random_cases

#: The group holds more than a third of the stake: nothing is finalised without it.
ENTRIES = (Entry(2048, 5, 7), *(Entry(32) for _ in range(31)))


def voted_blocks(chain: Chain, slots: int, votes: Callable[[int, int | None], bool]) -> list[Any]:
    """A block in every slot, each with the votes of the slot before by some of its seats."""
    spec, made = chain.spec, []
    for _ in range(slots):
        slot = int(chain.state.slot)
        before, ahead = chain.state, chain.state.copy()
        spec.process_slots(ahead, spec.Slot(slot + 1))
        chain.state = ahead
        data = chain.attestation_data(slot)
        bits: list[bool] = []
        count = int(spec.get_committee_count_per_slot(ahead, spec.compute_epoch_at_slot(spec.Slot(slot))))
        for index in range(count):
            for seat in spec.get_committee_seats(ahead, spec.Slot(slot), spec.CommitteeIndex(index)):
                validator, key = spec.split_signer_index(seat)
                bits.append(votes(int(validator), None if key is None else int(key)))
        vote = spec.Attestation(
            aggregation_bits=bits,
            data=data,
            signature=bls.STUB_SIGNATURE,
            committee_bits=[index < count for index in range(int(spec.MAX_COMMITTEES_PER_SLOT))],
        )
        chain.state = before
        block = chain.block(attestations=[vote])
        spec.state_transition(chain.state, block)
        made.append(block)
    return made


def first_keys(count: int) -> Callable[[int, int | None], bool]:
    """Every solo validator votes, and the first keys of each group."""
    return lambda validator, key: key is None or key < count


@source
def finality(spec: ModuleType) -> Iterator[Case]:
    is_small = spec.SLOTS_PER_EPOCH < 32
    # The first block of the fourth epoch is what it takes.
    slots = int(spec.SLOTS_PER_EPOCH) * 4 if is_small else int(spec.SLOTS_PER_EPOCH) * 3 + 1
    for count, is_finalised in ((4, False), (5, True), (7, True)) if is_small else ((4, False), (5, True)):
        with bls.switched(False):
            chain = Chain(spec, ENTRIES)
            start = chain.state.copy()
            blocks = voted_blocks(chain, slots, first_keys(count))

        def run(state: Any, blocks: list[Any] = blocks) -> Any:
            with bls.switched(False):
                for block in blocks:
                    spec.state_transition(state, block)
            return state

        def check(before: Any, after: Any, is_finalised: bool = is_finalised) -> bool:
            return bool((after.finalized_checkpoint.epoch > before.slot // spec.SLOTS_PER_EPOCH) == is_finalised)

        inputs = {"pre": start, **{f"blocks_{number}": block for number, block in enumerate(blocks)}}
        yield Case(
            "finality",
            "finality",
            f"group_of_a_third_with_{count}_of_7_votes",
            inputs,
            run,
            data={"meta": {"blocks_count": len(blocks), "bls_setting": 2}},
            check=check,
        )


@source
def rewards(spec: ModuleType) -> Iterator[Case]:
    deltas: Any = List[spec.Gwei, spec.VALIDATOR_REGISTRY_LIMIT]
    # Written out: annotations of a class are text here.
    form: Any = type("Deltas", (Container,), {"__annotations__": {"rewards": deltas, "penalties": deltas}})
    for handler, is_leaking in (("basic", False), ("leak", True)):
        chain = Chain(spec)
        state = chain.state
        rng = random.Random(f"rewards {handler}")
        state.previous_epoch_participation = [rng.randrange(8) for _ in state.validators]
        state.previous_epoch_participation[SEVEN] = 0b011
        state.previous_group_participation = [0x0F_007F_007F, 0, 0, 0]
        state.inactivity_scores = [rng.randrange(100) for _ in state.validators]
        if is_leaking:
            state.finalized_checkpoint.epoch -= 10
        inputs = {"pre": state.copy()}
        for name, flag in (("source", 0), ("target", 1), ("head", 2)):
            gained, lost = spec.get_flag_index_deltas(state, flag)
            inputs[f"{name}_deltas"] = form(rewards=gained, penalties=lost)
        gained, lost = spec.get_inactivity_penalty_deltas(state)
        inputs["inactivity_penalty_deltas"] = form(rewards=gained, penalties=lost)
        yield Case("rewards", handler, "groups_below_and_at_threshold", inputs, lambda state: state, has_post=False)


@source
def random_blocks(spec: ModuleType) -> Iterator[Case]:
    yield from random_cases(spec, range(12 if spec.SLOTS_PER_EPOCH < 32 else 4), 8)
