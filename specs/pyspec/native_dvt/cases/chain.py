"""States with groups, and whatever their validators sign."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Any

from native_dvt import bls
from native_dvt.xmss_signer import XmssKey

ETH = 10**9


@dataclass(frozen=True)
class Entry:
    """
    A registry entry: its balance in ETH, and threshold and number of keys if it is a group. The last keys have the
    schemes that are named, the others are BLS keys.
    """

    balance: int = 32
    threshold: int = 0
    size: int = 0
    compounding: bool = True
    schemes: tuple[int, ...] = ()

    def scheme(self, key: int) -> int:
        return ((0,) * (self.size - len(self.schemes)) + self.schemes)[key]


#: A 5-of-7, a 3-of-4, a 1-of-1 and a 16-of-16 group among solo validators.
ENTRIES = (
    Entry(2048, 5, 7),
    Entry(1024, 3, 4),
    Entry(64, 1, 1),
    Entry(2048, 16, 16),
    *(Entry(32, compounding=False) for _ in range(4)),
    *(Entry(256) for _ in range(24)),
)
SEVEN, FOUR, ONE, SIXTEEN, SOLO = range(5)


def default_entries(spec: ModuleType) -> Sequence[Entry]:
    """Enough validators that nobody is alone in his committee."""
    return (*ENTRIES, *(Entry(256) for _ in range(3 * int(spec.SLOTS_PER_EPOCH) - len(ENTRIES))))


def default_epoch(spec: ModuleType) -> int:
    """Everybody who was active from the beginning may exit."""
    return int(spec.config.SHARD_COMMITTEE_PERIOD) + 6


#: A solo validator with compounding credentials and room for eight keys.
WEALTHY = 8


@cache
def pubkey_of(secret: int) -> bytes:
    return bls.SkToPk(secret)


def registry_secret(validator: int) -> int:
    return 1_000 + validator


def member_secret(validator: int, key: int) -> int:
    return 1_000_000 + 16 * validator + key


@cache
def xmss_key_of(spec: ModuleType, scheme: int, secret: int, epoch: int) -> XmssKey:
    """A hash-based key with the leaves of an epoch, those before and behind it, and the first of all epochs."""
    uses = (*range(8), *range(32, 40))
    leaves = [64 * max(epoch + near, 0) + use for near in (-1, 0, 1) for use in uses]
    return XmssKey(spec, scheme, secret.to_bytes(8, "big"), leaves)


@cache
def beginning_mixes(spec: ModuleType) -> Any:
    """Mixes that repeat, so that a state with many of them fits into a vector."""
    kind = spec.BeaconState.fields()["randao_mixes"]
    count = int(spec.EPOCHS_PER_HISTORICAL_VECTOR)
    mixes = [bytes(spec.hash(b"mix" + bytes([number]))) for number in range(256)]
    return kind.decode_bytes(b"".join(mixes[number % 256] for number in range(count)))


#: States in which chains began already, with the keys.
BEGINNINGS: dict[Any, tuple[Any, dict[int, int], dict[int, XmssKey]]] = {}


class Chain:
    """A state and the keys of everybody in it."""

    def __init__(self, spec: ModuleType, entries: Sequence[Entry] | None = None, epoch: int | None = None) -> None:
        self.spec = spec
        self.entries = entries = default_entries(spec) if entries is None else entries
        self.epoch = epoch = default_epoch(spec) if epoch is None else epoch
        self.secrets: dict[int, int] = {}
        #: Hash-based keys, by signer index.
        self.xmss_keys: dict[int, XmssKey] = {}
        place = (spec, tuple(entries), epoch)
        if place not in BEGINNINGS:
            state = self._genesis(epoch)
            BEGINNINGS[place] = (state, dict(self.secrets), dict(self.xmss_keys))
        beginning, secrets, xmss_keys = BEGINNINGS[place]
        self.state = beginning.copy()
        self.secrets.update(secrets)
        self.xmss_keys.update(xmss_keys)

    def _genesis(self, epoch: int) -> Any:
        spec = self.spec
        version = spec.config.DVT_FORK_VERSION
        slot = epoch * int(spec.SLOTS_PER_EPOCH)
        state = spec.BeaconState(
            genesis_time=1_700_000_000,
            slot=slot,
            fork=spec.Fork(previous_version=version, current_version=version, epoch=0),
            latest_block_header=spec.BeaconBlockHeader(
                slot=max(slot, 1) - 1, body_root=spec.hash_tree_root(spec.BeaconBlockBody())
            ),
            randao_mixes=beginning_mixes(spec),
            deposit_requests_start_index=spec.UNSET_DEPOSIT_REQUESTS_START_INDEX,
        )
        state.latest_execution_payload_header.block_hash = b"\x42" * 32
        for index, entry in enumerate(self.entries):
            prefix = b"\x02" if entry.compounding else b"\x01"
            self.secrets[index] = registry_secret(index)
            spec.add_validator_to_registry(
                state,
                pubkey_of(registry_secret(index)),
                prefix + b"\x00" * 11 + self.address(index),
                entry.balance * ETH,
            )
            state.validators[index].activation_eligibility_epoch = 0
            state.validators[index].activation_epoch = 0
            if entry.size > 0:
                keys = [self.new_key(index, key, entry.scheme(key)) for key in range(entry.size)]
                key_set = spec.KeySet(activation_epoch=0, threshold=entry.threshold, keys=keys)
                state.groups.append(spec.Group(validator_index=index, sequence=0, key_sets=[key_set]))
                state.previous_group_participation.append(0)
                state.current_group_participation.append(0)
        state.genesis_validators_root = spec.hash_tree_root(state.validators)
        for checkpoint, age in (("previous_justified", 2), ("current_justified", 1), ("finalized", 2)):
            value = spec.Checkpoint(epoch=max(epoch - age, 0), root=spec.Root())
            setattr(state, f"{checkpoint}_checkpoint", value)
        signer_indices = spec.get_next_sync_committee_indices(state)
        committee = spec.get_next_sync_committee(state, signer_indices)
        state.current_sync_committee = state.next_sync_committee = committee
        state.current_sync_committee_indices = state.next_sync_committee_indices = signer_indices
        lookahead: list[Any] = []
        for ahead in range(int(spec.MIN_SEED_LOOKAHEAD) + 1):
            lookahead.extend(spec.get_beacon_proposer_indices(state, spec.Epoch(epoch + ahead)))
        state.proposer_lookahead = lookahead
        churn = spec.get_activation_exit_churn_limit(state)
        state.exit_balance_to_consume = churn
        state.consolidation_balance_to_consume = spec.get_consolidation_churn_limit(state)
        state.earliest_exit_epoch = state.earliest_consolidation_epoch = spec.compute_activation_exit_epoch(
            spec.Epoch(epoch)
        )
        return state

    def address(self, validator: int) -> bytes:
        return b"\xaa" * 19 + bytes([validator])

    def new_key(self, validator: int, key: int, scheme: int = 0) -> Any:
        """A virtual key whose secret is known from now on."""
        secret = member_secret(validator, key)
        signer = int(self.spec.get_virtual_index(validator, key))
        if scheme == 0:
            self.secrets[signer] = secret
            return self.spec.VirtualKey(scheme=self.spec.BLS_SCHEME, pubkey=pubkey_of(secret))
        self.xmss_keys[signer] = xmss_key_of(self.spec, scheme, secret, self.epoch)
        return self.spec.VirtualKey(scheme=scheme, pubkey=self.xmss_keys[signer].pubkey)

    def advance(self, slots: int) -> None:
        self.spec.process_slots(self.state, self.state.slot + slots)

    def sign(self, signers: Iterable[int], root: Any) -> bytes:
        """The aggregate of the signers' signatures; infinity if there are none."""
        if not bls.is_active:
            return bls.STUB_SIGNATURE
        signatures = [bls.Sign(self.secrets[int(signer)], bytes(root)) for signer in signers]
        return bls.Aggregate(signatures) if signatures else bytes(self.spec.G2_POINT_AT_INFINITY)

    def proofs(self, signers: Iterable[int], root: Any, leaf: Any) -> list[Any]:
        """What the hash-based keys among the signers sign, scheme by scheme."""
        keys = [self.xmss_keys[signer] for signer in sorted(int(s) for s in signers) if signer in self.xmss_keys]
        return [
            self.spec.SchemeProof(
                scheme=scheme,
                data=b"".join(key.sign(int(leaf), bytes(root)) for key in keys if key.scheme == scheme),
            )
            for scheme in sorted({key.scheme for key in keys})
        ]

    def signed(self, signers: Iterable[int], root: Any, leaf: Any) -> dict[str, Any]:
        """The fields of a container that these signers sign."""
        indices = [int(signer) for signer in signers]
        with_bls = [signer for signer in indices if signer not in self.xmss_keys]
        return {"signature": self.sign(with_bls, root), "proofs": self.proofs(indices, root, leaf)}

    def bits(self, keys: Iterable[int]) -> list[bool]:
        chosen = set(keys)
        return [key in chosen for key in range(int(self.spec.MAX_GROUP_SIZE))]

    def key_count(self, validator: int) -> int:
        """Keys in force now; 0 for a solo validator."""
        spec, state = self.spec, self.state
        return len(spec.get_key_set(state, spec.ValidatorIndex(validator), spec.get_current_epoch(state)).keys)

    def signers_of(self, validator: int, keys: Iterable[int]) -> list[int]:
        if not self.key_count(validator):
            return [validator]
        return [int(self.spec.get_virtual_index(validator, key)) for key in keys]

    # Attestations

    def attestation_data(self, slot: int, head: bytes | None = None) -> Any:
        spec, state = self.spec, self.state
        epoch = spec.compute_epoch_at_slot(spec.Slot(slot))
        is_current = epoch == spec.get_current_epoch(state)
        return spec.AttestationData(
            slot=slot,
            beacon_block_root=head or spec.get_block_root_at_slot(state, spec.Slot(slot)),
            source=state.current_justified_checkpoint if is_current else state.previous_justified_checkpoint,
            target=spec.Checkpoint(epoch=epoch, root=spec.get_block_root(state, epoch)),
        )

    def attestation(
        self,
        slot: int,
        votes: Callable[[int, int | None], bool] = lambda validator, key: True,
        head: bytes | None = None,
        data: Any | None = None,
    ) -> Any:
        """An attestation of committee 0 by the seats for which `votes(validator, key)` holds."""
        spec = self.spec
        data = data or self.attestation_data(slot, head)
        seats = spec.get_committee_seats(self.state, spec.Slot(slot), spec.CommitteeIndex(0))
        bits = []
        for seat in seats:
            validator, key = spec.split_signer_index(seat)
            bits.append(bool(votes(int(validator), None if key is None else int(key))))
        domain = spec.get_domain(self.state, spec.DOMAIN_BEACON_ATTESTER, data.target.epoch)
        voters = [seat for seat, bit in zip(seats, bits, strict=True) if bit]
        return spec.Attestation(
            aggregation_bits=bits,
            data=data,
            **self.signed(voters, spec.compute_signing_root(data, domain), self.vote_leaf(data)),
            committee_bits=[index == 0 for index in range(int(spec.MAX_COMMITTEES_PER_SLOT))],
        )

    def vote_leaf(self, data: Any) -> Any:
        return self.spec.get_leaf_index(data.target.epoch, self.spec.ATTESTATION_LEAF_USE)

    def slot_of(self, validator: int) -> int:
        """The slot of the state's epoch in which a validator attests, in a chain with one committee for each slot."""
        spec = self.spec
        start = int(spec.compute_start_slot_at_epoch(spec.get_current_epoch(self.state)))
        for slot in range(start, start + int(spec.SLOTS_PER_EPOCH)):
            if validator in spec.get_beacon_committee(self.state, spec.Slot(slot), spec.CommitteeIndex(0)):
                return slot
        raise AssertionError(f"validator {validator} is in no first committee of the epoch")

    def indexed(self, data: Any, signers: Sequence[int]) -> Any:
        spec = self.spec
        domain = spec.get_domain(self.state, spec.DOMAIN_BEACON_ATTESTER, data.target.epoch)
        return spec.IndexedAttestation(
            attesting_indices=sorted(signers),
            data=data,
            **self.signed(sorted(signers), spec.compute_signing_root(data, domain), self.vote_leaf(data)),
        )

    # Blocks, exits, changes

    def signed_header(self, header: Any, keys: Sequence[int]) -> Any:
        spec = self.spec
        epoch = spec.compute_epoch_at_slot(header.slot)
        domain = spec.get_domain(self.state, spec.DOMAIN_BEACON_PROPOSER, epoch)
        root = spec.compute_signing_root(header, domain)
        is_group = self.key_count(int(header.proposer_index)) > 0
        leaf = spec.get_leaf_index(epoch, spec.uint64(header.slot % spec.SLOTS_PER_EPOCH))
        return spec.SignedBeaconBlockHeader(
            message=header,
            **self.signed(self.signers_of(int(header.proposer_index), keys), root, leaf),
            signers=self.bits(keys if is_group else ()),
        )

    def exit(self, validator: int, keys: Sequence[int] = (), epoch: int | None = None) -> Any:
        spec = self.spec
        message = spec.VoluntaryExit(
            epoch=spec.get_current_epoch(self.state) if epoch is None else epoch, validator_index=validator
        )
        domain = spec.compute_domain(
            spec.DOMAIN_VOLUNTARY_EXIT, spec.config.CAPELLA_FORK_VERSION, self.state.genesis_validators_root
        )
        root = spec.compute_signing_root(message, domain)
        return spec.SignedVoluntaryExit(
            message=message,
            **self.signed(self.signers_of(validator, keys), root, self.operation_leaf(message.epoch)),
            signers=self.bits(keys),
        )

    def operation_leaf(self, epoch: Any) -> Any:
        return self.spec.get_leaf_index(self.spec.Epoch(epoch), self.spec.OPERATION_LEAF_USE)

    def _domain(self, domain_type: Any) -> Any:
        spec = self.spec
        return spec.compute_domain(domain_type, spec.config.GENESIS_FORK_VERSION, self.state.genesis_validators_root)

    def key_proof(self, validator: int, key: Any, slot: int | None = None, secret: int | None = None) -> Any:
        """A proof of possession by the key itself, or by another secret."""
        spec = self.spec
        slot = int(self.state.slot) if slot is None else slot
        possession = spec.KeyPossession(validator_index=validator, key=key, slot=slot)
        root = spec.compute_signing_root(possession, self._domain(spec.DOMAIN_KEY_POSSESSION))
        hash_based = {xmss_key.pubkey: xmss_key for xmss_key in self.xmss_keys.values()}
        if bytes(key.pubkey) in hash_based:
            leaf = self.operation_leaf(spec.compute_epoch_at_slot(spec.Slot(slot)))
            data = hash_based[bytes(key.pubkey)].sign(int(leaf), bytes(root))
        else:
            known = {pubkey_of(value): value for value in self.secrets.values()}
            data = bls.Sign(known[bytes(key.pubkey)] if secret is None else secret, bytes(root))
        return spec.KeyProof(slot=slot, proof=spec.SchemeProof(scheme=key.scheme, data=data))

    def change(
        self,
        validator: int,
        threshold: int,
        keys: Sequence[Any],
        signed_by: Sequence[int] = (),
        **fields: Any,
    ) -> Any:
        """A change with the proofs and signatures that it needs."""
        spec, state = self.spec, self.state
        group = spec.get_group(state, validator)
        old = [] if group is None else list(group.key_sets[len(group.key_sets) - 1].keys)
        message = spec.KeySetChange(
            validator_index=validator,
            sequence=fields.get("sequence", 0 if group is None else group.sequence),
            slot=fields.get("slot", state.slot),
            threshold=threshold,
            keys=keys,
        )
        root = spec.compute_signing_root(message, self._domain(spec.DOMAIN_KEY_SET_CHANGE))
        key_proofs = fields.get("key_proofs")
        if key_proofs is None:
            key_proofs = [self.key_proof(validator, key) for key in keys if key not in old]
        is_group = len(old) > 0
        signers = [int(spec.get_virtual_index(validator, key)) for key in signed_by] if is_group else [validator]
        return spec.SignedKeySetChange(
            message=message,
            key_proofs=key_proofs,
            signers=self.bits(signed_by),
            **self.signed(signers, root, self.operation_leaf(spec.compute_epoch_at_slot(message.slot))),
        )

    def sync_aggregate(self, votes: Callable[[int], bool] = lambda position: True) -> Any:
        spec, state = self.spec, self.state
        previous_slot = spec.Slot(state.slot - 1)
        domain = spec.get_domain(state, spec.DOMAIN_SYNC_COMMITTEE, spec.compute_epoch_at_slot(previous_slot))
        root = spec.compute_signing_root(spec.get_block_root_at_slot(state, previous_slot), domain)
        bits = [bool(votes(position)) for position in range(int(spec.SYNC_COMMITTEE_SIZE))]
        signers = [signer for signer, bit in zip(state.current_sync_committee_indices, bits, strict=True) if bit]
        return spec.SyncAggregate(sync_committee_bits=bits, sync_committee_signature=self.sign(signers, root))

    def leader(self, proposer: int, slot: int, rank: int = 0) -> int:
        """The signer index of a leader."""
        spec = self.spec
        index = spec.ValidatorIndex(proposer)
        key = spec.get_leader_key_index(self.state, spec.Slot(slot), index, spec.uint64(rank))
        return int(spec.get_virtual_index(proposer, key))

    def reveal(self, proposer: int, slot: int) -> bytes:
        """The reveal that may enter the mix; infinity if it is an opening."""
        spec, state = self.spec, self.state
        epoch = spec.compute_epoch_at_slot(spec.Slot(slot))
        root = spec.compute_signing_root(epoch, spec.get_domain(state, spec.DOMAIN_RANDAO, epoch))
        signer = self.leader(proposer, slot) if self.key_count(proposer) else proposer
        return bytes(spec.G2_POINT_AT_INFINITY) if signer in self.xmss_keys else self.sign([signer], root)

    def randao_proof(self, proposer: int, slot: int) -> list[Any]:
        """The opening that may enter the mix, if the leader has a hash-based key."""
        spec = self.spec
        signer = self.leader(proposer, slot) if self.key_count(proposer) else proposer
        if signer not in self.xmss_keys:
            return []
        key = self.xmss_keys[signer]
        leaf = spec.get_leaf_index(spec.compute_epoch_at_slot(spec.Slot(slot)), spec.RANDAO_LEAF_USE)
        return [spec.SchemeProof(scheme=key.scheme, data=key.open(int(leaf)))]

    def block(
        self,
        slot: int | None = None,
        keys: Sequence[int] | None = None,
        as_if: Mapping[str, Callable[[Any, Any], None]] = MappingProxyType({}),
        **body: Any,
    ) -> Any:
        """
        A valid signed block on the state, which stays; `body` overrides fields, `keys` says which members sign. What an
        invalid block leads to is found with `as_if` in the place of functions that refuse it, so that nothing else is
        wrong with it.
        """
        spec = self.spec
        slot = int(self.state.slot) + 1 if slot is None else slot
        before = self.state
        self.state = before.copy()
        try:
            if self.state.slot < slot:
                spec.process_slots(self.state, spec.Slot(slot))
            state = self.state
            proposer = int(spec.get_beacon_proposer_index(state))
            withdrawals, _ = spec.get_expected_withdrawals(state)
            payload = spec.ExecutionPayload(
                parent_hash=state.latest_execution_payload_header.block_hash,
                prev_randao=spec.get_randao_mix(state, spec.get_current_epoch(state)),
                timestamp=spec.compute_time_at_slot(state, state.slot),
                block_hash=spec.hash(b"block" + slot.to_bytes(8, "little")),
                withdrawals=withdrawals,
            )
            values: dict[str, Any] = {
                "randao_reveal": self.reveal(proposer, slot),
                "randao_proof": self.randao_proof(proposer, slot),
                "eth1_data": state.eth1_data,
                "sync_aggregate": self.sync_aggregate(),
                "execution_payload": payload,
            }
            values.update(body)
            block = spec.BeaconBlock(
                slot=slot,
                proposer_index=proposer,
                parent_root=spec.hash_tree_root(state.latest_block_header),
                body=spec.BeaconBlockBody(**values),
            )
            after = state.copy()
            functions = {name: getattr(spec, name) for name in as_if}
            try:
                vars(spec).update(as_if)
                with bls.switched(False):
                    spec.process_block(after, block)
                block.state_root = spec.hash_tree_root(after)
            except (AssertionError, IndexError, ValueError):
                # Meant to be invalid: any state root will do.
                pass
            finally:
                vars(spec).update(functions)
            if keys is None:
                threshold = spec.get_threshold(state, proposer, spec.get_current_epoch(state))
                keys = range(int(threshold) if self.key_count(proposer) else 0)
            header = spec.BeaconBlockHeader(
                slot=block.slot,
                proposer_index=block.proposer_index,
                parent_root=block.parent_root,
                state_root=block.state_root,
                body_root=spec.hash_tree_root(block.body),
            )
            signed = self.signed_header(header, list(keys))
            return spec.SignedBeaconBlock(
                message=block, signature=signed.signature, signers=signed.signers, proofs=signed.proofs
            )
        finally:
            self.state = before
