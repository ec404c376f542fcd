"""Random chains with groups: valid blocks, and sometimes an invalid one at the end. For comparing implementations."""

from __future__ import annotations

import random
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from native_dvt import bls

from .case import INVALID, Case
from .chain import ETH, Chain, Entry, pubkey_of, registry_secret


def random_entries(rng: random.Random) -> list[Entry]:
    """Some groups among solo validators, in any order."""
    entries = []
    for _ in range(rng.randint(1, 5)):
        size = rng.choice((1, 2, 3, 4, 5, 7, 7, 12, 16))
        entries.append(Entry(rng.choice((32 * size, 64 * size, 2048)), rng.randint(1, size), size))
    for _ in range(rng.randint(20, 50)):
        entries.append(Entry(rng.choice((32, 32, 33, 64, 256, 2048)), compounding=rng.random() < 0.7))
    rng.shuffle(entries)
    return entries


class RandomChain:
    """Makes one block after the other."""

    def __init__(self, spec: ModuleType, seed: int) -> None:
        self.spec = spec
        self.rng = random.Random(seed)
        self.chain = Chain(spec, random_entries(self.rng))
        self.fresh_keys = 0

    def blocks(self, count: int) -> list[Any]:
        """Valid blocks, one after the other; the last may be invalid. The chain's state stays where it began."""
        spec, start = self.spec, self.chain.state.copy()
        made: list[Any] = []
        while len(made) < count:
            block = self.block()
            if len(made) == count - 1 and self.rng.random() < 0.5:
                self.spoil(block)
            try:
                after = self.chain.state.copy()
                spec.state_transition(after, block)
            except INVALID:
                # Most chains should live on.
                if self.rng.random() < 0.1 or len(made) == count - 1:
                    made.append(block)
                    break
                continue
            made.append(block)
            self.chain.state = after
        self.chain.state = start
        return made

    def block(self) -> Any:
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
            body["voluntary_exits"] = [self.exit()]
        if rng.random() < 0.25:
            body["key_set_changes"] = [self.change()]
        if rng.random() < 0.1:
            body["attester_slashings"] = [self.attester_slashing()]
        if rng.random() < 0.1:
            body["proposer_slashings"] = [self.proposer_slashing()]
        if rng.random() < 0.5:
            body["execution_requests"] = self.requests()
        if rng.random() < 0.2:
            body["randao_reveal"] = bytes(spec.G2_POINT_AT_INFINITY)
        proposer = int(spec.get_beacon_proposer_index(ahead))
        size = self.chain.key_count(proposer)
        threshold = int(spec.get_threshold(ahead, proposer, spec.get_current_epoch(ahead)))
        keys = []
        if size:
            # Who signed a block is asked only where signatures are verified.
            keys = sorted(rng.sample(range(size), rng.randint(threshold, size)))
        chain.state = before
        block = chain.block(slot, keys=keys, **body)
        block.signers = chain.bits(keys)
        return block

    def spoil(self, block: Any) -> None:
        """Makes a block invalid, most of the time."""
        spec, rng = self.spec, self.rng
        kind = rng.randrange(5)
        if kind == 0:
            block.message.state_root = b"\x01" * 32
        elif kind == 1:
            block.message.proposer_index = (int(block.message.proposer_index) + 1) % len(self.chain.entries)
        elif kind == 2 and len(block.message.body.attestations) > 0:
            block.message.body.attestations[0].data.target.epoch += 1
        elif kind == 3 and len(block.message.body.attestations) > 0:
            block.message.body.attestations[0].aggregation_bits.append(True)
        else:
            block.message.body.execution_payload.prev_randao = spec.hash(b"wrong")

    def some_keys(self, validator: int) -> list[int]:
        """Enough keys, or sometimes one too few."""
        spec, state, rng = self.spec, self.chain.state, self.rng
        size = self.chain.key_count(validator)
        if size == 0:
            return []
        threshold = int(spec.get_threshold(state, validator, spec.get_current_epoch(state)))
        count = rng.randint(threshold, size) if rng.random() < 0.9 else threshold - 1
        return sorted(rng.sample(range(size), count))

    def validator(self) -> int:
        groups = [int(group.validator_index) for group in self.chain.state.groups]
        if self.rng.random() < 0.6:
            return self.rng.choice(groups)
        return self.rng.randrange(len(self.chain.entries))

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

    def exit(self) -> Any:
        spec, validator = self.spec, self.validator()
        keys = self.some_keys(validator)
        message = spec.VoluntaryExit(epoch=spec.get_current_epoch(self.chain.state), validator_index=validator)
        return spec.SignedVoluntaryExit(message=message, signature=bls.STUB_SIGNATURE, signers=self.chain.bits(keys))

    def change(self) -> Any:
        spec, state, rng = self.spec, self.chain.state, self.rng
        validator = self.validator()
        group = spec.get_group(state, validator)
        epoch = spec.get_current_epoch(state)
        old = list(spec.get_key_set(state, spec.ValidatorIndex(validator), epoch).keys)
        kept = [key for key in old if rng.random() < 0.8]
        added = []
        for _ in range(rng.choice((0, 0, 1, 1, 2, 5))):
            self.fresh_keys += 1
            secret = 50_000_000 + self.fresh_keys
            added.append(spec.VirtualKey(scheme=spec.BLS_SCHEME, pubkey=pubkey_of(secret)))
        keys = (kept + added)[: int(spec.MAX_GROUP_SIZE)]
        threshold = rng.randint(1, len(keys)) if keys and rng.random() < 0.95 else 0
        proof = spec.SchemeProof(scheme=spec.BLS_SCHEME, data=bls.STUB_SIGNATURE)
        return spec.SignedKeySetChange(
            message=spec.KeySetChange(
                validator_index=validator,
                sequence=0 if group is None else group.sequence,
                slot=int(state.slot) - rng.choice((0, 1, 8)),
                threshold=threshold,
                keys=keys,
            ),
            key_proofs=[spec.KeyProof(slot=state.slot, proof=proof) for key in keys if key not in old],
            signers=self.chain.bits(self.some_keys(validator)),
            signature=bls.STUB_SIGNATURE,
        )

    def attester_slashing(self) -> Any:
        spec, rng, chain = self.spec, self.rng, self.chain
        epoch = int(spec.get_current_epoch(chain.state))

        def side(head: int) -> list[Any]:
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
                        for signer in spec.get_signers(chain.state, validator, spec.Epoch(epoch))
                        if rng.random() < 0.8
                    )
                votes.append(
                    spec.IndexedAttestation(
                        attesting_indices=sorted(signers) or [0], data=data, signature=bls.STUB_SIGNATURE
                    )
                )
            return votes

        accused = {self.validator() for _ in range(2)}
        first, second = side(1), side(3)
        return spec.AttesterSlashing(
            attestation_1=first[0], attestation_2=second[0], more_1=first[1:], more_2=second[1:]
        )

    def proposer_slashing(self) -> Any:
        spec, chain = self.spec, self.chain
        validator = self.validator()
        headers = [
            spec.BeaconBlockHeader(slot=chain.state.slot, proposer_index=validator, body_root=bytes([body]) * 32)
            for body in (1, 2)
        ]
        signed = [
            spec.SignedBeaconBlockHeader(
                message=header, signature=bls.STUB_SIGNATURE, signers=chain.bits(self.some_keys(validator))
            )
            for header in headers
        ]
        return spec.ProposerSlashing(signed_header_1=signed[0], signed_header_2=signed[1])

    def requests(self) -> Any:
        spec, rng, chain = self.spec, self.rng, self.chain
        withdrawals, consolidations = [], []
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
        return spec.ExecutionRequests(withdrawals=withdrawals[:2], consolidations=consolidations)


def random_cases(spec: ModuleType, seeds: range, blocks: int) -> Iterator[Case]:
    """One case for each seed. Signatures are no part of it: every one is valid."""
    for seed in seeds:
        with bls.switched(False):
            chain = RandomChain(spec, seed)
            made = chain.blocks(blocks)

            def run(state: Any, made: list[Any] = made) -> Any:
                with bls.switched(False):
                    for block in made:
                        spec.state_transition(state, block)
                return state

            inputs = {"pre": chain.chain.state.copy()}
            inputs.update({f"blocks_{number}": block for number, block in enumerate(made)})
            case = Case("random", "random", f"random_{seed}", inputs, run)
            case.data["meta"] = {"blocks_count": len(made), "bls_setting": 2}
            case.is_valid = case.outcome() is not None
            yield case
