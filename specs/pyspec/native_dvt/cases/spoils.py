"""Ways to make a block invalid by one part of it: the header, the payload, or an operation of each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from native_dvt import bls

if TYPE_CHECKING:
    from .random_chain import RandomChain

#: Changes a block's message; the chain's state is at the slot of the block.
Spoil = Callable[["RandomChain", Any], None]
SPOILS: dict[str, Spoil] = {}


class Unsuitable(Exception):
    """This block cannot be made invalid in this way."""


def spoil(name: str) -> Callable[[Spoil], Spoil]:
    """Registers a way to make a block invalid."""

    def register(function: Spoil) -> Spoil:
        assert name not in SPOILS
        SPOILS[name] = function
        return function

    return register


@spoil("header: proposer")
def proposer(maker: RandomChain, block: Any) -> None:
    block.proposer_index = (int(block.proposer_index) + 1) % len(maker.chain.entries)


@spoil("header: virtual index as proposer")
def virtual_proposer(maker: RandomChain, block: Any) -> None:
    block.proposer_index = maker.spec.get_virtual_index(block.proposer_index, maker.spec.uint64(0))


@spoil("header: parent")
def parent(maker: RandomChain, block: Any) -> None:
    block.parent_root = maker.spec.hash(b"no parent")


@spoil("payload: parent")
def payload_parent(maker: RandomChain, block: Any) -> None:
    block.body.execution_payload.parent_hash = maker.spec.hash(b"no parent")


@spoil("payload: mix")
def payload_mix(maker: RandomChain, block: Any) -> None:
    block.body.execution_payload.prev_randao = maker.spec.hash(b"another mix")


@spoil("payload: time")
def payload_time(maker: RandomChain, block: Any) -> None:
    block.body.execution_payload.timestamp += 1


@spoil("payload: withdrawals")
def payload_withdrawals(maker: RandomChain, block: Any) -> None:
    payload = block.body.execution_payload
    expected = list(payload.withdrawals)
    if len(expected) == 0:
        payload.withdrawals = [maker.spec.Withdrawal(amount=1)]
    elif maker.rng.random() < 0.5:
        payload.withdrawals = expected[:-1]
    else:
        expected[0].amount += 1
        payload.withdrawals = expected


@spoil("payload: blobs")
def payload_blobs(maker: RandomChain, block: Any) -> None:
    spec = maker.spec
    limit = spec.get_blob_parameters(spec.get_current_epoch(maker.chain.state)).max_blobs_per_block
    block.body.blob_kzg_commitments = [b"\xc0" + b"\x00" * 47] * (int(limit) + 1)


@spoil("reveal: left out by a group that may not")
def reveal(maker: RandomChain, block: Any) -> None:
    spec, state = maker.spec, maker.chain.state
    key_set = spec.get_key_set(state, block.proposer_index, spec.get_current_epoch(state))
    size, threshold = len(key_set.keys), int(key_set.threshold)
    if size == 0 or size < 2 * threshold < 2 * size:
        raise Unsuitable
    block.body.randao_reveal = spec.G2_POINT_AT_INFINITY


@spoil("deposit of the old bridge")
def deposit(maker: RandomChain, block: Any) -> None:
    block.body.deposits = [maker.spec.Deposit()]


@spoil("bls_to_execution_change")
def credentials_change(maker: RandomChain, block: Any) -> None:
    spec, rng = maker.spec, maker.rng
    changes = [maker.credentials_change(index) for index in maker.with_bls_credentials()]
    if not changes or rng.random() < 0.3:
        # Of a validator that has another kind of credentials.
        changes = [maker.credentials_change(rng.choice(maker.groups()))]
    else:
        changes = [rng.choice(changes)]
        if rng.random() < 0.5:
            changes[0].message.from_bls_pubkey = bytes(maker.fresh_key().pubkey)
        else:
            changes[0].message.validator_index = len(maker.chain.entries)
    block.body.bls_to_execution_changes = [spec.SignedBLSToExecutionChange(message=c.message) for c in changes]


def attestation(name: str) -> Callable[[Callable[[RandomChain, Any], None]], Spoil]:
    """Registers a change of one of a block's attestations."""

    def register(change: Callable[[RandomChain, Any], None]) -> Spoil:
        @spoil(f"attestation: {name}")
        def spoil_one(maker: RandomChain, block: Any) -> None:
            votes = list(block.body.attestations) or [maker.attestation()]
            change(maker, votes[maker.rng.randrange(len(votes))])
            block.body.attestations = votes

        return spoil_one

    return register


@attestation("target epoch")
def target_epoch(maker: RandomChain, value: Any) -> None:
    value.data.target.epoch += maker.rng.choice((-1, 1))


@attestation("slot")
def vote_slot(maker: RandomChain, value: Any) -> None:
    value.data.slot = maker.chain.state.slot


@attestation("source")
def source_checkpoint(maker: RandomChain, value: Any) -> None:
    value.data.source.root = maker.spec.hash(b"another source")


@attestation("data index")
def data_index(maker: RandomChain, value: Any) -> None:
    value.data.index = maker.rng.randint(1, 3)


@attestation("a seat too many")
def long_bits(maker: RandomChain, value: Any) -> None:
    value.aggregation_bits.append(True)


@attestation("a seat too few")
def short_bits(maker: RandomChain, value: Any) -> None:
    value.aggregation_bits = list(value.aggregation_bits)[:-1]


@attestation("empty committee")
def empty_committee(maker: RandomChain, value: Any) -> None:
    spec, state = maker.spec, maker.chain.state
    committees = [spec.CommitteeIndex(index) for index, bit in enumerate(value.committee_bits) if bit]
    empty = maker.rng.choice(committees)
    offset = 0
    for committee in committees:
        size = len(spec.get_committee_seats(state, value.data.slot, committee))
        if committee == empty:
            for position in range(offset, offset + size):
                value.aggregation_bits[position] = False
        offset += size


@attestation("committee that does not exist")
def unknown_committee(maker: RandomChain, value: Any) -> None:
    spec, state = maker.spec, maker.chain.state
    count = int(spec.get_committee_count_per_slot(state, value.data.target.epoch))
    if count == int(spec.MAX_COMMITTEES_PER_SLOT):
        value.aggregation_bits.append(True)
        return
    # Who would sit there can be computed, so the bits are right but for the committee.
    seats = spec.get_committee_seats(state, value.data.slot, spec.CommitteeIndex(count))
    value.committee_bits = [index == count for index in range(int(spec.MAX_COMMITTEES_PER_SLOT))]
    value.aggregation_bits = [True] * len(seats)


@spoil("attester_slashing")
def attester_slashing(maker: RandomChain, block: Any) -> None:
    spec, rng, chain = maker.spec, maker.rng, maker.chain
    validator = rng.choice(maker.groups())
    epoch = int(spec.get_current_epoch(chain.state))
    signers = [int(signer) for signer in spec.get_signers(chain.state, validator, spec.Epoch(epoch))]
    threshold = int(spec.get_threshold(chain.state, validator, spec.Epoch(epoch)))

    def vote(head: int, who: list[int], target: int = epoch) -> Any:
        return spec.IndexedAttestation(
            attesting_indices=who,
            data=spec.AttestationData(
                slot=target * int(spec.SLOTS_PER_EPOCH),
                beacon_block_root=bytes([head]) * 32,
                source=spec.Checkpoint(epoch=epoch - 2),
                target=spec.Checkpoint(epoch=target),
            ),
            signature=bls.STUB_SIGNATURE,
        )

    everybody, first, second = signers, vote(1, signers), vote(2, signers)
    more_1: list[Any] = []
    more_2: list[Any] = []
    age = 0
    kind = rng.randrange(8)
    if kind == 0:
        second = first
    elif kind == 1:
        second = vote(2, everybody[: threshold - 1])
    elif kind == 2:
        first = vote(1, [validator])
    elif kind == 3:
        first = vote(1, everybody + [int(spec.get_virtual_index(validator, len(signers)))])
    elif kind == 4:
        first, more_1 = vote(1, everybody[:1]), [vote(3, everybody[1:], epoch - 1)]
    elif kind == 5:
        first = vote(1, everybody + everybody[-1:])
    elif kind == 6:
        # One pair of many that does not contradict.
        more_2 = [vote(1, everybody)]
    else:
        # Before there was any epoch.
        age = epoch + 1
    block.body.attester_slashings = [
        spec.AttesterSlashing(
            attestation_1=first, attestation_2=second, more_1=more_1, more_2=more_2, key_set_age_1=age
        )
    ]


@spoil("proposer_slashing")
def proposer_slashing(maker: RandomChain, block: Any) -> None:
    rng = maker.rng
    validator = maker.validator()
    value = maker.proposer_slashing(validator, maker.enough_keys(validator))
    kind = rng.randrange(5)
    if kind == 0:
        value.signed_header_2.message = value.signed_header_1.message
    elif kind == 1:
        value.signed_header_2.message.slot += 1
    elif kind == 2:
        value.signed_header_2.message.proposer_index = (validator + 1) % len(maker.chain.entries)
    elif kind == 3:
        value.signed_header_2.signers = maker.chain.bits(maker.too_few_keys(validator))
    else:
        value.signed_header_1.signers[len(maker.chain.bits(())) - 1] = True
        if maker.chain.key_count(validator) == len(maker.chain.bits(())):
            value.signed_header_1.signers = maker.chain.bits(())
    block.body.proposer_slashings = [value]


@spoil("voluntary_exit")
def voluntary_exit(maker: RandomChain, block: Any) -> None:
    rng, state = maker.rng, maker.chain.state
    validator = maker.validator()
    value = maker.exit(validator, maker.enough_keys(validator))
    exits = [value]
    kind = rng.randrange(5)
    if kind == 0:
        value.message.epoch += 1
    elif kind == 1:
        value.signers = maker.chain.bits(maker.too_few_keys(validator))
    elif kind == 2:
        exits = [value, value]
    elif kind == 3:
        value.message.validator_index = len(state.validators)
    else:
        value.message.validator_index = maker.spec.get_virtual_index(validator, maker.spec.uint64(0))
    block.body.voluntary_exits = exits


@spoil("key_set_change")
def key_set_change(maker: RandomChain, block: Any) -> None:
    spec, rng, chain = maker.spec, maker.rng, maker.chain
    state = chain.state
    validator = rng.choice(maker.groups())
    old = maker.keys_of(validator)
    other = rng.choice(maker.groups())
    solo = rng.choice([index for index in range(len(chain.entries)) if index != validator])
    registry_key = spec.VirtualKey(scheme=spec.BLS_SCHEME, pubkey=bytes(state.validators[solo].pubkey))
    keys, threshold = list(old), max(1, len(old) // 2)
    proofs: int | None = None
    signing = maker.enough_keys(validator)
    kind = rng.randrange(12)
    sequence = int(spec.get_group(state, validator).sequence)
    slot = int(state.slot)
    if kind == 0:
        sequence += rng.choice((-1, 1)) if sequence > 0 else 1
    elif kind == 1:
        slot += 1
    elif kind == 2:
        threshold = len(keys) + 1
    elif kind == 3:
        threshold = 0
    elif kind == 4:
        keys.append(keys[0])
    elif kind == 5:
        keys = keys[:-1] + [maker.keys_of(other)[0] if other != validator else keys[0]]
    elif kind == 6:
        keys = keys[:-1] + [registry_key]
    elif kind == 7:
        proofs = 1
    elif kind == 8:
        signing = maker.too_few_keys(validator)
    elif kind == 9:
        keys = keys[:-1] + [spec.VirtualKey(scheme=spec.BLS_SCHEME, pubkey=b"\x01" * 48)]
    elif kind == 10:
        keys, threshold = [], 1
    else:
        # More keys than the balance allows, or else than one at once: the second change of two.
        keys = (keys + [maker.fresh_key() for _ in range(16)])[:16]
    value = maker.signed_change(validator, sequence, slot, threshold, keys[:16], signing)
    if proofs is not None:
        value.key_proofs = list(value.key_proofs) + [spec.KeyProof()]
    changes = [value, value] if kind == 11 else [value]
    block.body.key_set_changes = changes
