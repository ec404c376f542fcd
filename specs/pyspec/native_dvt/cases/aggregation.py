"""Who aggregates, what an aggregator signs, and what becomes of votes on their way into a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from .assignments import virtual
from .case import Case, source
from .chain import SEVEN, SOLO, Chain, Entry
from .functions import text
from .questions import ANY, REFUSED, Question, questions_case


def written(proofs: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"scheme": int(proof.scheme), "data": text(bytes(proof.data))} for proof in proofs]


def read(spec: ModuleType, proofs: list[dict[str, Any]]) -> list[Any]:
    return [spec.SchemeProof(scheme=proof["scheme"], data=bytes.fromhex(proof["data"][2:])) for proof in proofs]


def schemes_of(spec: ModuleType) -> range:
    return range(int(spec.HIGHEST_SCHEME) + 1)


def one_of_each(spec: ModuleType) -> Chain:
    """A group of one key for each scheme, and solo validators."""
    groups = [Entry(64, 1, 1, schemes=(scheme,)) for scheme in schemes_of(spec)]
    return Chain(spec, [*groups, *(Entry(32) for _ in range(int(spec.SLOTS_PER_EPOCH) * 4 - len(groups)))])


def selection_of(chain: Chain, signer: int, slot: int, use: int | None = None) -> tuple[bytes, list[Any]]:
    """The selection proof of a signer for a slot; of a hash-based key, with a leaf of another use perhaps."""
    spec = chain.spec
    epoch = spec.compute_epoch_at_slot(spec.Slot(slot))
    if signer not in chain.xmss_keys:
        domain = spec.get_domain(chain.state, spec.DOMAIN_SELECTION_PROOF, epoch)
        return chain.sign([signer], spec.compute_signing_root(spec.Slot(slot), domain)), []
    key = chain.xmss_keys[signer]
    leaf = spec.get_leaf_index(epoch, spec.SELECTION_LEAF_USE if use is None else spec.uint64(use))
    proof = spec.SchemeProof(scheme=key.scheme, data=key.open(int(leaf)))
    return bytes(spec.G2_POINT_AT_INFINITY), [proof]


def selection(chain: Chain, signer: int, slot: int, signature: bytes | None = None) -> Question:
    """A question about a selection proof, or about some signature in its place."""
    made, proofs = (signature, []) if signature is not None else selection_of(chain, signer, slot)
    return {"slot": slot, "signer": signer, "signature": text(made), "proofs": written(proofs)}


@source
def selection_hashes(spec: ModuleType) -> Iterator[Case]:
    chain = one_of_each(spec)
    state, start, length = chain.state, int(chain.state.slot), int(spec.SLOTS_PER_EPOCH)
    signers = [virtual(spec, scheme, 0) for scheme in schemes_of(spec)] + [len(schemes_of(spec))]
    slots = (start - 1, start, start + 1, start + length)
    asked = [(selection(chain, signer, slot), ANY) for signer in signers for slot in slots]

    def ask(asked: Question) -> str:
        slot, signature = spec.Slot(asked["slot"]), bytes.fromhex(asked["signature"][2:])
        return text(bytes(spec.get_selection_hash(state, slot, signature, read(spec, asked["proofs"]))))

    yield questions_case("validator", "get_selection_hash", "schemes", ask, asked, {"pre": state.copy()})


def whether_aggregators(chain: Chain, name: str, asked: list[tuple[Question, Any]]) -> Case:
    """Questions of who aggregates, which is not everybody."""
    spec, state = chain.spec, chain.state.copy()

    def ask(asked: Question) -> bool:
        slot, index = spec.Slot(asked["slot"]), spec.CommitteeIndex(asked["index"])
        signature = bytes.fromhex(asked["signature"][2:])
        return bool(spec.is_aggregator(state, slot, index, signature, read(spec, asked["proofs"])))

    case = questions_case("validator", "is_aggregator", name, ask, asked, {"pre": state})
    assert {True, False} == set(case.data["data"]["output"])
    return case


def slots_by_seats(spec: ModuleType, state: Any) -> dict[int, int]:
    """For each number of seats that a first committee of the epoch has, a slot with such a committee."""
    slots = range(int(state.slot), int(state.slot) + int(spec.SLOTS_PER_EPOCH))
    return {len(spec.get_committee_seats(state, spec.Slot(slot), spec.CommitteeIndex(0))): slot for slot in slots}


@source
def aggregators(spec: ModuleType) -> Iterator[Case]:
    """Committees of one and of two validators, some with a seat less than two aggregators need; and of three."""
    schemes = tuple(schemes_of(spec))[1:]
    groups = [Entry(2048, 9, 16, schemes=schemes), Entry(2048, 9, 16), Entry(2048, 8, 15), Entry(32), Entry(32)]
    count = 2 * int(spec.SLOTS_PER_EPOCH) - 1
    chain = Chain(spec, [*groups, *(Entry(512, 9, 16) for _ in range(count - len(groups)))])
    by_seats = slots_by_seats(spec, chain.state)
    assert {16, 32} <= by_seats.keys() and by_seats.keys() & {31, 17}
    values = [bytes(spec.hash(bytes([number]))) * 3 for number in range(16)]
    hash_based = [virtual(spec, 0, 16 - len(schemes) + place) for place in range(len(schemes))]
    asked: list[tuple[Question, Any]] = []
    for slot in by_seats.values():
        made = [selection(chain, virtual(spec, 1, 0), slot, value) for value in values]
        made += [selection(chain, signer, slot) for signer in hash_based]
        asked += [({"index": 0, **question}, ANY) for question in made]
    yield whether_aggregators(chain, "one_or_two_aggregators", asked)

    # A number of aggregators that is no power of two: all eight bytes of the hash count. The groups have the same keys.
    chain = Chain(spec, [Entry(512) for _ in range(96)])
    keys = [chain.new_key(0, key) for key in range(16)]
    key_set = spec.KeySet(activation_epoch=0, threshold=9, keys=keys)
    state = chain.state
    state.groups = [spec.Group(validator_index=validator, sequence=1, key_sets=[key_set]) for validator in range(96)]
    state.previous_group_participation = state.current_group_participation = [0] * 96
    slot = int(state.slot)
    assert len(spec.get_committee_seats(state, spec.Slot(slot), spec.CommitteeIndex(0))) == 48
    asked = [({"index": 0, **selection(chain, virtual(spec, 0, 0), slot, value)}, ANY) for value in values]
    yield whether_aggregators(chain, "three_aggregators", asked)

    signatures: list[tuple[Question, Any]] = [({"signature": text(bytes([n]) * 96)}, ANY) for n in range(64)]

    def in_sync_committee(asked: Question) -> bool:
        return bool(spec.is_sync_committee_aggregator(bytes.fromhex(asked["signature"][2:])))

    yield questions_case("validator", "is_sync_committee_aggregator", "signatures", in_sync_committee, signatures)


def aggregate_and_proof(chain: Chain, signer: int, slot: int, use: int | None = None) -> Any:
    spec = chain.spec
    signature, proofs = selection_of(chain, signer, slot, use)
    aggregate = spec.Attestation(data=spec.AttestationData(slot=slot), aggregation_bits=[True, False])
    return spec.get_aggregate_and_proof(spec.SignerIndex(signer), aggregate, signature, proofs)


def signed_aggregate(chain: Chain, message: Any, signer: int, beside: int = 0) -> Any:
    """An aggregate with the signature of its aggregator or of somebody else, perhaps with the leaf beside."""
    spec = chain.spec
    epoch = spec.compute_epoch_at_slot(message.aggregate.data.slot)
    root = spec.compute_signing_root(message, spec.get_domain(chain.state, spec.DOMAIN_AGGREGATE_AND_PROOF, epoch))
    leaf = spec.get_leaf_index(epoch, spec.AGGREGATE_LEAF_USE)
    return spec.SignedAggregateAndProof(message=message, **chain.signed([signer], root, leaf + beside))


@source
def aggregates_and_proofs(spec: ModuleType) -> Iterator[Case]:
    chain = one_of_each(spec)
    slot, solo = int(chain.state.slot) + 3, len(schemes_of(spec))
    virtual_signers = [virtual(spec, scheme, 0) for scheme in schemes_of(spec)]
    infinity = bytes(spec.G2_POINT_AT_INFINITY)

    selections: dict[str, tuple[Any, Any]] = {}

    def proof(name: str, signer: int, expected: Any, use: int | None = None, **changed: Any) -> Any:
        message = aggregate_and_proof(chain, signer, slot, use)
        for field, value in changed.items():
            setattr(message, field, value)
        selections[name] = (spec.SignedAggregateAndProof(message=message, signature=infinity), expected)
        return message

    for scheme, signer in enumerate(virtual_signers):
        made = proof(f"of_scheme_{scheme}", signer, True)
        proof(f"of_another_aggregator_{scheme}", signer, False, aggregator_index=solo)
        proof(f"of_a_registry_index_{scheme}", signer, REFUSED, aggregator_index=scheme)
        proof(f"of_another_key_{scheme}", signer, REFUSED, aggregator_index=signer + 1)
        late = made.copy()
        late.aggregate.data.slot = slot + int(spec.SLOTS_PER_EPOCH)
        proof(f"of_another_epoch_{scheme}", signer, False, aggregate=late.aggregate)
        if scheme == 0:
            beside = made.copy()
            beside.aggregate.data.slot = slot + 1
            proof("of_another_slot", signer, False, aggregate=beside.aggregate)
            opening = aggregate_and_proof(chain, virtual_signers[1], slot).proofs
            proof("with_an_opening_besides", signer, False, proofs=opening)
            continue
        proof(f"of_another_leaf_{scheme}", signer, False, use=int(spec.RANDAO_LEAF_USE))
        proof(f"without_an_opening_{scheme}", signer, False, proofs=[])
        proof(f"with_a_signature_besides_{scheme}", signer, False, selection_proof=b"\x11" * 96)
        other = made.copy()
        other.proofs[0].scheme = scheme + 1
        proof(f"with_another_scheme_{scheme}", signer, False, proofs=other.proofs)
    proof("of_a_solo_validator", solo, True)
    proof("of_a_solo_validator_by_another", solo, False, aggregator_index=solo + 1)
    yield of_messages(chain, "is_valid_selection_proof", selections, lambda state, signed: signed.message)

    signatures: dict[str, tuple[Any, Any]] = {}
    for scheme, signer in enumerate(virtual_signers):
        message = aggregate_and_proof(chain, signer, slot)
        signatures[f"of_scheme_{scheme}"] = (signed_aggregate(chain, message, signer), True)
        signatures[f"of_somebody_else_{scheme}"] = (signed_aggregate(chain, message, solo), False)
        right = signed_aggregate(chain, message, signer)
        for name, index in (("registry_index", scheme), ("another_key", signer + 1)):
            wrong = right.copy()
            wrong.message.aggregator_index = index
            signatures[f"of_{name}_{scheme}"] = (wrong, REFUSED)
        wrong = right.copy()
        wrong.message.aggregate.data.slot = slot + 1
        signatures[f"over_something_else_{scheme}"] = (wrong, False)
        if scheme > 0:
            signatures[f"with_the_leaf_beside_{scheme}"] = (signed_aggregate(chain, message, signer, 1), False)
            wrong = right.copy()
            wrong.proofs = []
            signatures[f"without_a_proof_{scheme}"] = (wrong, False)
    signatures["of_a_solo_validator"] = (
        signed_aggregate(chain, aggregate_and_proof(chain, solo, slot), solo),
        True,
    )
    yield of_messages(chain, "is_valid_aggregator_signature", signatures, lambda state, signed: signed)


def of_messages(
    chain: Chain, handler: str, messages: dict[str, tuple[Any, Any]], argument: Callable[[Any, Any], Any]
) -> Case:
    """Questions about messages, each a file of its own."""
    state, function = chain.state.copy(), handler
    values = {name: message for name, (message, _) in messages.items()}

    def ask(asked: Question) -> bool:
        check = getattr(chain.spec, function)
        return bool(check(state, argument(state, values[asked["file"]])))

    asked = [({"file": name}, expected) for name, (_, expected) in messages.items()]
    return questions_case("validator", handler, "messages", ask, asked, {"pre": state, **values})


class Votes:
    """A slot of a chain with groups of BLS keys and of both kinds, and the votes of its committees."""

    def __init__(self, spec: ModuleType) -> None:
        self.spec, scheme = spec, int(spec.HIGHEST_SCHEME)
        mixed = [Entry(1024, 3, 4, schemes=(scheme, scheme)) for _ in range(5)]
        mixed += [Entry(1024, 2, 3, schemes=tuple(schemes_of(spec))[1:]) for _ in range(2)]
        pure = [Entry(1024, 2, 2, schemes=(scheme, scheme))]
        groups = [*mixed, *pure, *(Entry(2048, 5, 9) for _ in range(7))]
        solos = max(6 * int(spec.SLOTS_PER_EPOCH) - len(groups), 0)
        self.chain = Chain(spec, [*groups, *(Entry(32) for _ in range(solos))])
        start = int(self.chain.state.slot)
        slots = range(start, start + int(spec.SLOTS_PER_EPOCH) - 1)
        self.slot = max(slots, key=self._variety)
        self.chain.advance(self.slot + 1 - start)
        self.data = self.chain.attestation_data(self.slot)
        self.inputs: dict[str, Any] = {"pre": self.chain.state.copy()}

    def committees(self, slot: int) -> list[list[int]]:
        spec, state = self.spec, self.chain.state
        count = int(spec.get_committee_count_per_slot(state, spec.compute_epoch_at_slot(spec.Slot(slot))))
        return [
            [int(seat) for seat in spec.get_committee_seats(state, spec.Slot(slot), spec.CommitteeIndex(index))]
            for index in range(count)
        ]

    def _variety(self, slot: int) -> tuple[int, int]:
        """In how many committees hash-based keys sit, and how many they are."""
        hash_based = [sum(seat in self.chain.xmss_keys for seat in seats) for seats in self.committees(slot)]
        return sum(count > 0 for count in hash_based), sum(hash_based)

    def add(self, name: str, index: int, voters: Sequence[int]) -> str:
        """Writes the votes of a committee down, under a name."""
        spec, chain = self.spec, self.chain
        seats = self.committees(self.slot)[index]
        domain = spec.get_domain(chain.state, spec.DOMAIN_BEACON_ATTESTER, self.data.target.epoch)
        root = spec.compute_signing_root(self.data, domain)
        self.inputs[name] = spec.Attestation(
            aggregation_bits=[seat in voters for seat in seats],
            data=self.data,
            committee_bits=[place == index for place in range(int(spec.MAX_COMMITTEES_PER_SLOT))],
            **chain.signed([seat for seat in seats if seat in voters], root, chain.vote_leaf(self.data)),
        )
        return name


@source
def merged_votes(spec: ModuleType) -> Iterator[Case]:
    votes = Votes(spec)
    committees = votes.committees(votes.slot)
    keys = votes.chain.xmss_keys
    state = votes.inputs["pre"]
    most = max(range(len(committees)), key=lambda index: sum(seat in keys for seat in committees[index]))
    seats = committees[most]
    hash_based = [seat for seat in seats if seat in keys]
    assert len(hash_based) >= 2 and len(hash_based) < len(seats)
    single = [votes.add(f"single_{place}", most, [seat]) for place, seat in enumerate(hash_based)]
    everybody = [votes.add(f"committee_{index}", index, members) for index, members in enumerate(committees)]
    with_bls = votes.add("bls_keys", most, [seat for seat in seats if seat not in keys])
    some = votes.add("some", most, [*hash_based[:1], *(seat for seat in seats if seat not in keys)])
    rest = votes.add("rest", most, hash_based[1:])

    def given(asked: Question) -> list[Any]:
        return [votes.inputs[name] for name in asked["files"]]

    def proofs(asked: Question) -> str:
        kind = spec.Attestation.fields()["proofs"]
        return text(kind(*spec.get_merged_proofs(state, given(asked))).encode_bytes())

    asked = [
        (single, ANY),
        (single[::-1], ANY),
        ([*single[1:], *single[:1]], ANY),
        (single[-1:], ANY),
        ([with_bls], ANY),
        ([rest, some], ANY),
        ([some, rest], ANY),
        ([single[0], some], REFUSED),
        ([single[0], single[0]], REFUSED),
        (everybody, ANY),
        (everybody[::-1], ANY),
    ]
    questions = [({"files": names}, expected) for names, expected in asked]
    yield questions_case("validator", "get_merged_proofs", "votes", proofs, questions, dict(votes.inputs))

    def whole(asked: Question) -> str:
        return text(spec.compute_on_chain_aggregate(state, given(asked)).encode_bytes())

    asked = [
        (everybody, ANY),
        (everybody[::-1], ANY),
        ([*everybody[1:], *everybody[:1]], ANY),
        (everybody[-1:], ANY),
        ([rest], ANY),
        ([with_bls], ANY),
        ([name for place, name in enumerate(everybody) if place != most] + [rest], ANY),
    ]
    questions = [({"files": names}, expected) for names, expected in asked]
    used = {name: value for name, value in votes.inputs.items() if not name.startswith(("single", "some"))}
    yield questions_case("validator", "compute_on_chain_aggregate", "committees", whole, questions, used)


@source
def signed_headers(spec: ModuleType) -> Iterator[Case]:
    chain = Chain(spec)
    group, solo = chain.block(), spec.SignedBeaconBlock(signature=b"\x05" * 96)
    proofs = [spec.SchemeProof(scheme=scheme, data=bytes([scheme]) * 9) for scheme in schemes_of(spec)[1:]]
    group.signers[SEVEN], group.proofs = True, proofs
    solo.message.proposer_index, solo.message.slot = SOLO, 9
    blocks = {"group": group, "solo": solo}

    def ask(asked: Question) -> str:
        return text(spec.compute_signed_block_header(blocks[asked["file"]]).encode_bytes())

    asked = [({"file": name}, ANY) for name in blocks]
    yield questions_case("validator", "compute_signed_block_header", "blocks", ask, asked, dict(blocks))
