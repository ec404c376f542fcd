"""Boundaries that changes of the text showed to be missing from the other cases."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from .case import Case, source
from .chain import ETH, ONE, SEVEN, SIXTEEN, WEALTHY, Chain, Entry, pubkey_of, registry_secret
from .operations import operation


def seats_in(chain: Chain, slot: int, committees: list[int], voting: list[int]) -> Any:
    """An attestation that names committees, with all votes of some of them."""
    spec, state = chain.spec, chain.state
    data = chain.attestation_data(slot)
    bits: list[bool] = []
    voters: list[int] = []
    for index in committees:
        # Who sits there does not depend on whether the committee exists.
        seats = [int(seat) for seat in spec.get_committee_seats(state, spec.Slot(slot), spec.CommitteeIndex(index))]
        bits.extend(index in voting for _ in seats)
        voters.extend(seats if index in voting else [])
    domain = spec.get_domain(state, spec.DOMAIN_BEACON_ATTESTER, data.target.epoch)
    return spec.Attestation(
        aggregation_bits=bits,
        data=data,
        signature=chain.sign(voters, spec.compute_signing_root(data, domain)),
        committee_bits=[index in committees for index in range(int(spec.MAX_COMMITTEES_PER_SLOT))],
    )


@source
def committees(spec: ModuleType) -> Iterator[Case]:
    for size in (2, 3):
        groups = (Entry(2048, 9, 16), Entry(2048, 16, 16), Entry(1024, 2, size))
        chain = Chain(spec, [*groups, *(Entry(32) for _ in range(29))])
        seats = 16 + 16 + size + 29
        chain.advance(2)
        slot = int(chain.state.slot) - 1
        enough = seats == 2 * int(spec.SLOTS_PER_EPOCH) * int(spec.TARGET_COMMITTEE_SIZE)
        if enough:
            yield operation(chain, "attestation", "second_committee_of_64_seats", seats_in(chain, slot, [0, 1], [0, 1]))
            empty = seats_in(chain, slot, [0, 1], [0])
            yield operation(chain, "attestation", "invalid_empty_second_committee", empty, False)
        else:
            value = seats_in(chain, slot, [1], [1])
            yield operation(chain, "attestation", "invalid_second_committee_of_63_seats", value, False)


@source
def committees_of_few_validators(spec: ModuleType) -> Iterator[Case]:
    # 136 seats would be four committees, 16 validators fill two.
    chain = Chain(spec, [*(Entry(2048, 9, 16) for _ in range(8)), *(Entry(32) for _ in range(8))])
    chain.advance(2)
    slot = int(chain.state.slot) - 1
    name = "second_committee_of_16_validators"
    yield operation(chain, "attestation", name, seats_in(chain, slot, [1], [1]))
    name = "invalid_third_committee_of_16_validators"
    yield operation(chain, "attestation", name, seats_in(chain, slot, [2], [2]), False)


@source
def withdrawal_requests_at_boundaries(spec: ModuleType) -> Iterator[Case]:
    def case(chain: Chain, name: str, validator: int, amount: int, queued: list[int]) -> Case:
        request = spec.WithdrawalRequest(
            source_address=chain.address(validator),
            validator_pubkey=pubkey_of(registry_secret(validator)),
            amount=amount,
        )

        def check(before: Any, after: Any) -> bool:
            return [int(entry.amount) for entry in after.pending_partial_withdrawals] == queued

        return operation(chain, "withdrawal_request", name, request, True, check)

    yield case(Chain(spec), "group_of_one_keeps_32", ONE, 64 * ETH, [32 * ETH])
    dissolved = Chain(spec)
    no_keys = spec.KeySet(activation_epoch=dissolved.epoch - 10, threshold=0)
    spec.get_group(dissolved.state, ONE).key_sets.append(no_keys)
    yield case(dissolved, "dissolved_group_keeps_32", ONE, 64 * ETH, [32 * ETH])
    old = Chain(spec)
    old.state.validators[SEVEN].activation_epoch = old.epoch - int(spec.config.SHARD_COMMITTEE_PERIOD)
    yield case(old, "exactly_old_enough", SEVEN, ETH, [ETH])
    pending = Chain(spec)
    pending.state.pending_partial_withdrawals.append(
        spec.PendingPartialWithdrawal(validator_index=SEVEN, amount=100 * ETH, withdrawable_epoch=pending.epoch + 130)
    )
    exact = Chain(spec)
    exact.state.pending_partial_withdrawals = pending.state.pending_partial_withdrawals
    exact.state.balances[SEVEN] = (224 + 100) * ETH
    yield case(exact, "nothing_above_what_is_pending", SEVEN, ETH, [100 * ETH])
    left = (2048 - 224 - 100) * ETH
    yield case(pending, "what_is_pending_is_not_withdrawn_again", SEVEN, 2000 * ETH, [100 * ETH, left])


@source
def withdrawals_at_boundaries(spec: ModuleType) -> Iterator[Case]:
    def case(name: str, chain: Chain, amounts: list[int]) -> Case:
        expected, _ = spec.get_expected_withdrawals(chain.state)
        payload = spec.ExecutionPayload(withdrawals=expected)

        def run(state: Any) -> Any:
            spec.process_withdrawals(state, payload)
            return state

        inputs = {"pre": chain.state.copy(), "execution_payload": payload}
        return Case(
            "operations",
            "withdrawals",
            name,
            inputs,
            run,
            check=lambda before, after: [int(entry.amount) for entry in payload.withdrawals] == amounts,
        )

    def due(chain: Chain, amount: int, balance: int) -> Chain:
        chain.state.pending_partial_withdrawals.append(
            spec.PendingPartialWithdrawal(validator_index=SEVEN, amount=amount, withdrawable_epoch=chain.epoch)
        )
        chain.state.balances[SEVEN] = balance
        return chain

    exact = due(Chain(spec), 5 * ETH, 230 * ETH)
    exact.state.validators[SEVEN].effective_balance = 224 * ETH
    exact.state.next_withdrawal_validator_index = WEALTHY
    yield case("effective_balance_of_exactly_32_for_each_key", exact, [5 * ETH])
    mixed = due(due(Chain(spec), 5 * ETH, 2048 * ETH), 6 * ETH, 2048 * ETH)
    mixed.state.pending_partial_withdrawals[1].withdrawable_epoch = mixed.epoch + 1
    mixed.state.next_withdrawal_validator_index = WEALTHY
    yield case("one_partial_that_is_due_and_one_that_is_not", mixed, [5 * ETH])
    both = due(Chain(spec), 2 * ETH, 2053 * ETH)
    yield case("sweep_after_a_partial_of_the_same_group", both, [2 * ETH, 3 * ETH])
    two = Chain(spec)
    for validator in (SEVEN, SIXTEEN):
        two.state.validators[validator].exit_epoch = two.state.validators[validator].withdrawable_epoch = two.epoch - 10
    yield case("two_groups_that_left", two, [2048 * ETH, 2048 * ETH])


@source
def changes_at_boundaries(spec: ModuleType) -> Iterator[Case]:
    for balance, is_valid in ((64, True), (63, False)):
        chain = Chain(spec)
        chain.state.validators[WEALTHY].effective_balance = balance * ETH
        keys = [chain.new_key(WEALTHY, key) for key in range(2)]
        name = "solo_to_2_keys_with_64_eth" if is_valid else "invalid_solo_to_2_keys_with_63_eth"
        yield operation(chain, "key_set_change", name, chain.change(WEALTHY, 2, keys), is_valid)

    chain = Chain(spec)
    plain = next(index for index, entry in enumerate(chain.entries) if not entry.compounding)
    chain.state.validators[plain].effective_balance = 64 * ETH
    keys = [chain.new_key(plain, key) for key in range(2)]
    name = "invalid_2_keys_without_compounding_credentials"
    yield operation(chain, "key_set_change", name, chain.change(plain, 2, keys), False)
    chain = Chain(spec)
    yield operation(chain, "key_set_change", "group_of_one_dissolves", chain.change(ONE, 0, [], [0]))


@source
def sync_committees_of_the_first_periods(spec: ModuleType) -> Iterator[Case]:
    period = int(spec.EPOCHS_PER_SYNC_COMMITTEE_PERIOD)
    entries = (Entry(2048, 5, 7), *(Entry(32) for _ in range(31)))
    for epoch in (period - 1, period, 2 * period):
        chain = Chain(spec, entries, epoch=epoch)
        # Another threshold after the committee was drawn does not hold for it.
        group = spec.get_group(chain.state, SEVEN)
        later = spec.KeySet(activation_epoch=epoch // period * period, threshold=7, keys=group.key_sets[0].keys)
        if epoch > period:
            group.key_sets.append(later)
        elif epoch == period - 1:
            later.activation_epoch = 1
            group.key_sets.append(later)
        chain.advance(1)
        holders = [int(signer) for signer in chain.state.current_sync_committee_indices]
        run = next(
            run for run in spec.get_sync_committee_runs(chain.state.current_sync_committee_indices) if len(run) == 7
        )
        signing = set(range(len(holders))) - {int(position) for position in run[5:]}
        assert holders[int(run[0])] >= int(spec.VIRTUAL_INDEX_OFFSET)
        value = chain.sync_aggregate(signing.__contains__)
        yield operation(chain, "sync_aggregate", f"key_set_of_sampling_in_epoch_{epoch}", value)


@source
def draws_of_sync_committees(spec: ModuleType) -> Iterator[Case]:
    period = int(spec.EPOCHS_PER_SYNC_COMMITTEE_PERIOD)

    def draw(name: str, chain: Chain) -> Case:
        def run(state: Any) -> Any:
            spec.process_sync_committee_updates(state)
            return state

        return Case("epoch_processing", "sync_committee_updates", name, {"pre": chain.state.copy()}, run)

    for number in range(3):
        chain = Chain(spec, epoch=10 * period - 1)
        chain.state.randao_mixes = [spec.hash(bytes([number, i % 256])) for i in range(len(chain.state.randao_mixes))]
        yield draw(f"draw_{number}", chain)
    rich = (Entry(2048, 1, 1), *(Entry(2048) for _ in range(31)))
    yield draw("the_first_is_drawn", Chain(spec, rich, epoch=10 * period - 1))
    # A key set in force from the next epoch on is the one that is drawn with.
    turning = Chain(spec, (Entry(2048, 5, 7), *(Entry(32) for _ in range(31))), epoch=10 * period - 1)
    keys = [turning.new_key(SEVEN, key) for key in range(7, 15)]
    spec.get_group(turning.state, SEVEN).key_sets.append(
        spec.KeySet(activation_epoch=10 * period, threshold=5, keys=keys)
    )
    yield draw("keys_of_the_next_epoch", turning)
    alone = Chain(spec, epoch=10 * period - 1)
    for index, validator in enumerate(alone.state.validators):
        if index != SEVEN:
            validator.exit_epoch = validator.withdrawable_epoch = 1
    yield draw("a_group_is_the_only_candidate", alone)
