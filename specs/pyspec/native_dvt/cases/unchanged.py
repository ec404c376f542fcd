"""Functions of Fulu that groups leave as they are, run on states with groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from .case import Case, source
from .chain import FOUR, ONE, SEVEN, WEALTHY, Chain, pubkey_of, registry_secret
from .operations import operation
from .sanity import proposed_by


@source
def consolidation_requests(spec: ModuleType) -> Iterator[Case]:
    def consolidation(name: str, origin: int, target: int, is_queued: bool, **fields: Any) -> Case:
        chain = Chain(spec)
        # With so little stake there is no churn for consolidations, and no request is looked at.
        for validator in chain.state.validators:
            validator.effective_balance = spec.MAX_EFFECTIVE_BALANCE_ELECTRA
        chain.state.validators[0].exit_epoch = fields.get("exit_epoch", spec.FAR_FUTURE_EPOCH)
        request = spec.ConsolidationRequest(
            source_address=fields.get("address", chain.address(origin)),
            source_pubkey=fields.get("source_pubkey", pubkey_of(registry_secret(origin))),
            target_pubkey=pubkey_of(registry_secret(target)),
        )

        def check(before: Any, after: Any) -> bool:
            return bool((len(after.pending_consolidations) == 1) == is_queued)

        return operation(chain, "consolidation_request", name, request, True, check)

    yield consolidation("group_into_group", SEVEN, FOUR, True)
    yield consolidation("solo_into_group", WEALTHY, SEVEN, True)
    yield consolidation("group_into_solo", FOUR, WEALTHY, True)
    yield consolidation("group_of_one_into_group", ONE, SEVEN, True)
    yield consolidation("incorrect_address", FOUR, SEVEN, False, address=b"\x01" * 20)
    yield consolidation("exiting_group", SEVEN, FOUR, False, exit_epoch=100)
    chain = Chain(spec)
    member = bytes(spec.get_group(chain.state, FOUR).key_sets[0].keys[0].pubkey)
    yield consolidation("key_of_a_member_is_no_registry_key", FOUR, SEVEN, False, source_pubkey=member)


@source
def block_headers(spec: ModuleType) -> Iterator[Case]:
    def header(name: str, is_valid: bool = True, change: Callable[[Any], None] = lambda block: None) -> Case:
        chain = proposed_by(spec, SEVEN)
        block = chain.block().message
        chain.advance(1)
        change(block)
        return operation(chain, "block_header", name, block, is_valid)

    def by_a_member(block: Any) -> None:
        block.proposer_index = spec.get_virtual_index(spec.ValidatorIndex(SEVEN), spec.uint64(0))

    def by_another_group(block: Any) -> None:
        block.proposer_index = FOUR

    yield header("of_a_group")
    yield header("invalid_virtual_index_as_proposer", False, by_a_member)
    yield header("invalid_another_group_as_proposer", False, by_another_group)


@source
def exits_by_age(spec: ModuleType) -> Iterator[Case]:
    for extra, is_valid in ((0, True), (1, False)):
        chain = Chain(spec)
        epoch = int(spec.get_current_epoch(chain.state))
        chain.state.validators[SEVEN].activation_epoch = epoch - int(spec.config.SHARD_COMMITTEE_PERIOD) + extra
        name = "group_exactly_old_enough" if is_valid else "invalid_group_an_epoch_too_young"
        yield operation(chain, "voluntary_exit", name, chain.exit(SEVEN, range(5)), is_valid)
