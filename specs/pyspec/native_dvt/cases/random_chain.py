"""Random chains with groups: valid blocks, and sometimes an invalid one at the end. For comparing implementations."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from native_dvt import bls
from native_dvt.patching import doing_nothing, without_assertions

from .case import INVALID, Case
from .chain import ETH, Chain, Entry, default_epoch, pubkey_of, registry_secret
from .spoils import SPOILS, Unsuitable


def random_entries(rng: random.Random) -> list[Entry]:
    """Some groups among solo validators, in any order. Half of the chains have so many seats that a slot has several
    committees, a few have 64 seats in each slot."""
    form = rng.choices(("few groups", "many groups", "only groups"), (48, 50, 2))[0]
    groups, sizes, solo = {
        "few groups": (rng.randint(1, 5), (1, 2, 3, 4, 5, 7, 7, 12, 16), rng.randint(20, 50)),
        "many groups": (rng.randint(5, 12), (4, 7, 12, 16, 16), rng.randint(4, 45)),
        "only groups": (33, (16,), rng.randint(0, 4)),
    }[form]
    entries = []
    for _ in range(groups):
        size = rng.choice(sizes)
        entries.append(Entry(rng.choice((32 * size, 64 * size, 2048)), rng.randint(1, size), size))
    for _ in range(solo):
        entries.append(Entry(rng.choice((32, 32, 33, 64, 256, 2048)), compounding=rng.random() < 0.7))
    rng.shuffle(entries)
    return entries


def random_state(chain: Chain, rng: random.Random) -> None:
    """Puts a past into a state: votes, scores, a slot within the epoch, changes of groups, other credentials."""
    spec, state = chain.spec, chain.state
    epoch = int(spec.get_current_epoch(state))
    for index, entry in enumerate(chain.entries):
        state.previous_epoch_participation[index] = rng.randrange(8)
        state.inactivity_scores[index] = rng.choice((0, 0, rng.randrange(200)))
        state.balances[index] += rng.choice((0, rng.randrange(-ETH, 3 * ETH)))
        if not entry.compounding and rng.random() < 0.3:
            credentials = spec.BLS_WITHDRAWAL_PREFIX + spec.hash(pubkey_of(registry_secret(index)))[1:]
            state.validators[index].withdrawal_credentials = credentials
    size = int(spec.MAX_GROUP_SIZE)
    for position, group in enumerate(state.groups):
        keys = list(group.key_sets[0].keys)
        members = 2 ** len(keys) - 1
        votes = sum(rng.getrandbits(size) % (members + 1) << flag * size for flag in range(3))
        state.previous_group_participation[position] = votes
        if rng.random() < 0.3:
            # Another key set: for long, since now, or soon.
            kept = keys[rng.randrange(2) :] or keys
            group.sequence += 1
            group.key_sets.append(
                spec.KeySet(
                    activation_epoch=rng.choice((epoch - 3, epoch - 1, epoch, epoch + 1, epoch + 2)),
                    threshold=rng.randint(1, len(kept)),
                    keys=kept,
                )
            )
    slots = rng.randrange(int(spec.SLOTS_PER_EPOCH))
    if slots > 0:
        chain.advance(slots)


def fill_in_state_root(spec: ModuleType, block: Any, state: Any) -> None:
    """
    The root that a block would have if all checks passed: an implementation without the one that fails accepts it then.
    The state is that in the block's slot.
    """
    after = state.copy()
    try:
        with bls.switched(False), without_assertions(spec):
            spec.process_block(after, block)
    except Exception:
        # Nobody could go on, as with a list that is longer than its limit: any root will do.
        return
    block.state_root = spec.hash_tree_root(after)


class RandomChain:
    """Makes one block after the other."""

    def __init__(self, spec: ModuleType, seed: int) -> None:
        self.spec = spec
        self.rng = random.Random(seed)
        # Some cross the end of a sync committee's period.
        entries = random_entries(self.rng)
        # No committee is empty.
        entries += [Entry(64) for _ in range(int(spec.SLOTS_PER_EPOCH) - len(entries))]
        first, period = default_epoch(spec), int(spec.EPOCHS_PER_SYNC_COMMITTEE_PERIOD)
        epochs = (first, first + 1, (first // period + 2) * period - 1)
        self.chain = Chain(spec, entries, epoch=self.rng.choice(epochs))
        random_state(self.chain, self.rng)
        self.fresh_keys = 0
        #: What occurred in the blocks that were made.
        self.counts: Counter[str] = Counter()
        #: The state after them, if all are valid.
        self.end: Any | None = None

    def blocks(self, count: int) -> tuple[list[Any], bool]:
        """
        Blocks, one after the other, and whether all are valid; only the last one may be invalid. The chain's state
        stays where it began.
        """
        spec, start = self.spec, self.chain.state
        made: list[Any] = []
        is_valid = True
        while is_valid and len(made) < count:
            is_last = len(made) == count - 1
            block, ahead = self.block()
            spoiled = None
            if is_last and self.rng.random() < 0.6:
                spoiled = self.spoil(block.message, ahead)
            # Most chains should live on.
            is_end = is_last or self.rng.random() < 0.03
            after = self.after(block.message, ahead)
            if after is None and not is_end:
                self.leave_out_operations(block.message.body)
                after = self.after(block.message, ahead)
                if after is None:
                    continue
            if spoiled == "header: state root":
                after = None
            elif after is None:
                fill_in_state_root(spec, block.message, ahead)
            else:
                block.message.state_root = spec.hash_tree_root(after)
            if after is None:
                is_valid = False
                self.counts[f"refused, {spoiled or 'by chance'}"] += 1
            else:
                self.chain.state = after
            made.append(block)
            self.count(block.message.body, ahead)
        self.end = self.chain.state if is_valid else None
        self.chain.state = start
        return made, is_valid

    def get_end(self, start: Any) -> Any | None:
        """What comes of the blocks that were made."""
        return self.end

    def after(self, block: Any, state: Any) -> Any | None:
        """The state after a block, `None` if the block is invalid. The state is that in the block's slot."""
        after = state.copy()
        try:
            self.spec.process_block(after, block)
        except INVALID:
            return None
        return after

    def leave_out_operations(self, body: Any) -> None:
        """What most invalid blocks are invalid by."""
        body.voluntary_exits = body.key_set_changes = body.bls_to_execution_changes = []
        body.attester_slashings = body.proposer_slashings = []
        body.randao_reveal = bls.STUB_SIGNATURE

    def count(self, body: Any, state: Any) -> None:
        spec, counts = self.spec, self.counts
        counts["blocks"] += 1
        committees = int(spec.get_committee_count_per_slot(state, spec.get_current_epoch(state)))
        counts[f"blocks of chains with {committees} committees in a slot"] += 1
        for name in (
            "attestations",
            "attester_slashings",
            "proposer_slashings",
            "voluntary_exits",
            "bls_to_execution_changes",
            "key_set_changes",
        ):
            counts[name] += len(getattr(body, name))
        for name in ("deposits", "withdrawals", "consolidations"):
            counts[f"requests of {name}"] += len(getattr(body.execution_requests, name))
        counts["withdrawals"] += len(body.execution_payload.withdrawals)

    def block(self) -> tuple[Any, Any]:
        """A block, and the state in its slot before it. It may turn out to be invalid."""
        spec, rng, chain = self.spec, self.rng, self.chain
        slot = int(chain.state.slot) + rng.choice((1, 1, 1, 1, 1, 2, 3, int(spec.SLOTS_PER_EPOCH)))
        before = chain.state
        ahead = before.copy()
        spec.process_slots(ahead, spec.Slot(slot))
        chain.state = ahead
        body: dict[str, Any] = {
            "attestations": [self.attestation() for _ in range(rng.randint(0, 6))],
            "sync_aggregate": self.sync_aggregate(),
        }
        if rng.random() < 0.15:
            validator = self.validator()
            body["voluntary_exits"] = [self.exit(validator, self.some_keys(validator))]
        if rng.random() < 0.25:
            body["key_set_changes"] = [self.change() for _ in range(rng.choice((1, 1, 1, 2)))]
        if rng.random() < 0.1:
            body["attester_slashings"] = [self.attester_slashing()]
        if rng.random() < 0.1:
            validator = self.validator()
            body["proposer_slashings"] = [self.proposer_slashing(validator, self.some_keys(validator))]
        if rng.random() < 0.5:
            body["execution_requests"] = self.requests()
        if rng.random() < 0.2:
            body["randao_reveal"] = bytes(spec.G2_POINT_AT_INFINITY)
        unchanged = self.with_bls_credentials()
        if unchanged and rng.random() < 0.15:
            body["bls_to_execution_changes"] = [self.credentials_change(rng.choice(unchanged))]
        proposer = int(spec.get_beacon_proposer_index(ahead))
        size = self.chain.key_count(proposer)
        threshold = int(spec.get_threshold(ahead, proposer, spec.get_current_epoch(ahead)))
        keys = []
        if size:
            # Who signed a block is asked only where signatures are verified.
            keys = sorted(rng.sample(range(size), rng.randint(threshold, size)))
        # It is processed when it is complete, and may be spoiled before.
        with doing_nothing(spec, "process_block"):
            block = chain.block(slot, keys=keys, **body)
        block.signers = chain.bits(keys)
        chain.state = before
        return block, ahead

    def spoil(self, block: Any, state: Any) -> str:
        """Makes a block invalid, almost always; says how."""
        before, self.chain.state = self.chain.state, state
        try:
            if self.rng.random() < 0.05:
                block.state_root = self.spec.hash(b"another state")
                return "header: state root"
            for name in self.rng.sample(sorted(SPOILS), len(SPOILS)):
                try:
                    SPOILS[name](self, block)
                    return name
                except Unsuitable:
                    continue
            raise AssertionError("there are ways for every block")
        finally:
            self.chain.state = before

    def threshold(self, validator: int) -> int:
        spec, state = self.spec, self.chain.state
        return int(spec.get_threshold(state, validator, spec.get_current_epoch(state)))

    def enough_keys(self, validator: int) -> list[int]:
        """None for a solo validator."""
        size = self.chain.key_count(validator)
        count = self.rng.randint(self.threshold(validator), size) if size else 0
        return sorted(self.rng.sample(range(size), count))

    def too_few_keys(self, validator: int) -> list[int]:
        """One too few; a solo validator has no key that may be named."""
        size = self.chain.key_count(validator)
        return sorted(self.rng.sample(range(size), self.threshold(validator) - 1)) if size else [0]

    def some_keys(self, validator: int) -> list[int]:
        """Enough keys, or sometimes one too few."""
        is_enough = self.rng.random() < 0.9
        return self.enough_keys(validator) if is_enough else self.too_few_keys(validator)

    def groups(self) -> list[int]:
        """Who is run with several keys now."""
        found = [int(group.validator_index) for group in self.chain.state.groups]
        found = [index for index in found if self.chain.key_count(index)]
        if not found:
            raise Unsuitable
        return found

    def keys_of(self, validator: int) -> list[Any]:
        spec, state = self.spec, self.chain.state
        return list(spec.get_key_set(state, spec.ValidatorIndex(validator), spec.get_current_epoch(state)).keys)

    def fresh_key(self) -> Any:
        self.fresh_keys += 1
        return self.spec.VirtualKey(scheme=self.spec.BLS_SCHEME, pubkey=pubkey_of(50_000_000 + self.fresh_keys))

    def validator(self) -> int:
        groups = [int(group.validator_index) for group in self.chain.state.groups]
        if self.rng.random() < 0.6:
            return self.rng.choice(groups)
        return self.rng.randrange(len(self.chain.entries))

    def with_bls_credentials(self) -> list[int]:
        prefix = bytes(self.spec.BLS_WITHDRAWAL_PREFIX)
        validators = enumerate(self.chain.state.validators)
        return [index for index, validator in validators if bytes(validator.withdrawal_credentials)[:1] == prefix]

    def credentials_change(self, validator: int) -> Any:
        message = self.spec.BLSToExecutionChange(
            validator_index=validator,
            from_bls_pubkey=pubkey_of(registry_secret(validator)),
            to_execution_address=self.chain.address(validator),
        )
        return self.spec.SignedBLSToExecutionChange(message=message, signature=bls.STUB_SIGNATURE)

    def attestation(self) -> Any:
        spec, state, rng = self.spec, self.chain.state, self.rng
        current = int(state.slot)
        previous_start = int(spec.compute_start_slot_at_epoch(spec.get_previous_epoch(state)))
        slot = spec.Slot(rng.randint(max(previous_start, current - 10, 1), current - 1))
        head = rng.choice((None, None, None, b"\x77" * 32))
        data = self.chain.attestation_data(int(slot), head)
        if rng.random() < 0.1:
            data.target.root = b"\x78" * 32
        epoch = spec.compute_epoch_at_slot(slot)
        committees = int(spec.get_committee_count_per_slot(state, epoch))
        chosen = sorted(rng.sample(range(committees), rng.randint(1, committees)))
        likelihood = rng.choice((0.2, 0.5, 0.8, 1.0))
        bits: list[bool] = []
        for index in chosen:
            seats = spec.get_committee_seats(state, slot, spec.CommitteeIndex(index))
            votes = [rng.random() < likelihood for _ in seats]
            votes[rng.randrange(len(votes))] = True
            bits.extend(votes)
        return spec.Attestation(
            aggregation_bits=bits,
            data=data,
            signature=bls.STUB_SIGNATURE,
            committee_bits=[index in chosen for index in range(int(spec.MAX_COMMITTEES_PER_SLOT))],
        )

    def sync_aggregate(self) -> Any:
        spec, rng = self.spec, self.rng
        likelihood = rng.choice((0.0, 0.5, 0.8, 1.0))
        bits = [rng.random() < likelihood for _ in range(int(spec.SYNC_COMMITTEE_SIZE))]
        return spec.SyncAggregate(sync_committee_bits=bits, sync_committee_signature=bls.STUB_SIGNATURE)

    def exit(self, validator: int, keys: list[int]) -> Any:
        spec = self.spec
        message = spec.VoluntaryExit(epoch=spec.get_current_epoch(self.chain.state), validator_index=validator)
        return spec.SignedVoluntaryExit(message=message, signature=bls.STUB_SIGNATURE, signers=self.chain.bits(keys))

    def change(self) -> Any:
        spec, state, rng = self.spec, self.chain.state, self.rng
        validator = self.validator()
        group = spec.get_group(state, validator)
        kept = [key for key in self.keys_of(validator) if rng.random() < 0.8]
        added = [self.fresh_key() for _ in range(rng.choice((0, 0, 1, 1, 2, 5)))]
        keys = (kept + added)[: int(spec.MAX_GROUP_SIZE)]
        threshold = rng.randint(1, len(keys)) if keys and rng.random() < 0.95 else 0
        sequence = 0 if group is None else int(group.sequence)
        slot = int(state.slot) - rng.choice((0, 1, 8))
        return self.signed_change(validator, sequence, slot, threshold, keys, self.some_keys(validator))

    def signed_change(
        self, validator: int, sequence: int, slot: int, threshold: int, keys: list[Any], signing: list[int]
    ) -> Any:
        spec = self.spec
        old = self.keys_of(validator)
        proof = spec.SchemeProof(scheme=spec.BLS_SCHEME, data=bls.STUB_SIGNATURE)
        return spec.SignedKeySetChange(
            message=spec.KeySetChange(
                validator_index=validator, sequence=sequence, slot=slot, threshold=threshold, keys=keys
            ),
            key_proofs=[spec.KeyProof(slot=self.chain.state.slot, proof=proof) for key in keys if key not in old],
            signers=self.chain.bits(signing),
            signature=bls.STUB_SIGNATURE,
        )

    def attester_slashing(self) -> Any:
        spec, rng, chain = self.spec, self.rng, self.chain
        epoch = int(spec.get_current_epoch(chain.state))

        def side(head: int, key_epoch: int) -> list[Any]:
            votes = []
            for _ in range(rng.randint(1, 2)):
                data = spec.AttestationData(
                    slot=epoch * int(spec.SLOTS_PER_EPOCH),
                    beacon_block_root=bytes([head + rng.randrange(2)]) * 32,
                    source=spec.Checkpoint(epoch=epoch - 2),
                    target=spec.Checkpoint(epoch=epoch),
                )
                signers: set[int] = set()
                for validator in accused:
                    signers.update(
                        int(signer)
                        for signer in spec.get_signers(chain.state, validator, spec.Epoch(key_epoch))
                        if rng.random() < 0.8
                    )
                votes.append(
                    spec.IndexedAttestation(
                        attesting_indices=sorted(signers) or [0], data=data, signature=bls.STUB_SIGNATURE
                    )
                )
            return votes

        accused = {self.validator() for _ in range(2)}
        # Keys that were replaced since sign as well.
        ages = [rng.choice((0, 0, 0, 1, 3, 6)) for _ in range(2)]
        first, second = side(1, epoch - ages[0]), side(3, epoch - ages[1])
        return spec.AttesterSlashing(
            attestation_1=first[0],
            attestation_2=second[0],
            more_1=first[1:],
            more_2=second[1:],
            key_set_age_1=ages[0],
            key_set_age_2=ages[1],
        )

    def proposer_slashing(self, validator: int, keys: list[int]) -> Any:
        spec, chain = self.spec, self.chain
        headers = [
            spec.BeaconBlockHeader(slot=chain.state.slot, proposer_index=validator, body_root=bytes([body]) * 32)
            for body in (1, 2)
        ]
        signed = [
            spec.SignedBeaconBlockHeader(message=header, signature=bls.STUB_SIGNATURE, signers=chain.bits(keys))
            for header in headers
        ]
        return spec.ProposerSlashing(signed_header_1=signed[0], signed_header_2=signed[1])

    def requests(self) -> Any:
        spec, rng, chain = self.spec, self.rng, self.chain
        deposits, withdrawals, consolidations = [], [], []
        if rng.random() < 0.3:
            # For somebody who is known: the signature of a new one would have to be right.
            validator = self.validator()
            deposits.append(
                spec.DepositRequest(
                    pubkey=pubkey_of(registry_secret(validator)),
                    withdrawal_credentials=chain.state.validators[validator].withdrawal_credentials,
                    amount=rng.choice((1, ETH, 32 * ETH)),
                )
            )
        for _ in range(rng.randint(0, 2)):
            validator = self.validator()
            withdrawals.append(
                spec.WithdrawalRequest(
                    source_address=chain.address(validator),
                    validator_pubkey=pubkey_of(registry_secret(validator)),
                    amount=rng.choice((0, ETH, 100 * ETH, 3000 * ETH)),
                )
            )
        if rng.random() < 0.5:
            source, target = self.validator(), self.validator()
            consolidations.append(
                spec.ConsolidationRequest(
                    source_address=chain.address(source),
                    source_pubkey=pubkey_of(registry_secret(source)),
                    target_pubkey=pubkey_of(registry_secret(target)),
                )
            )
        return spec.ExecutionRequests(deposits=deposits, withdrawals=withdrawals, consolidations=consolidations)


def random_chains(spec: ModuleType, seeds: range, blocks: int) -> Iterator[tuple[Case, RandomChain]]:
    """One case for each seed, and its maker. Signatures are no part of it: every one is valid."""
    for seed in seeds:
        with bls.switched(False):
            maker = RandomChain(spec, seed)
            made, is_valid = maker.blocks(blocks)

        def run(state: Any, made: list[Any] = made) -> Any:
            with bls.switched(False):
                for block in made:
                    spec.state_transition(state, block)
            return state

        inputs = {"pre": maker.chain.state.copy()}
        inputs.update({f"blocks_{number}": block for number, block in enumerate(made)})
        case = Case("random", "random", f"random_{seed}", inputs, run, is_valid)
        case.data["meta"] = {"blocks_count": len(made), "bls_setting": 2}
        yield case, maker


def random_cases(spec: ModuleType, seeds: range, blocks: int) -> Iterator[Case]:
    for case, _ in random_chains(spec, seeds, blocks):
        yield case
