"""Containers, their bytes and their roots: all containers of the text, and those of Fulu that hold one of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from remerkleable.basic import boolean, uint
from remerkleable.bitfields import Bitlist, Bitvector
from remerkleable.byte_arrays import ByteList, ByteVector
from remerkleable.complex import Container, List, Vector

from .case import Case, source

#: Longest list of a value.
LONGEST = 6
TYPES = (
    "VirtualKey",
    "KeySet",
    "Group",
    "SchemeProof",
    "KeyPossession",
    "KeyProof",
    "KeySetChange",
    "SignedKeySetChange",
    "Attestation",
    "IndexedAttestation",
    "SingleAttestation",
    "AttesterSlashing",
    "ProposerSlashing",
    "SignedBeaconBlockHeader",
    "SignedVoluntaryExit",
    "BeaconBlockBody",
    "BeaconBlock",
    "SignedBeaconBlock",
    "BeaconState",
)


def random_value(kind: Any, rng: random.Random, extreme: str) -> Any:
    """A value of an SSZ type: `zero`, `max`, `nil` (empty lists), `one` (lists of one), `lengthy`, or `random`."""
    if issubclass(kind, boolean):
        return kind({"zero": 0, "max": 1}.get(extreme, rng.randint(0, 1)))
    if issubclass(kind, uint):
        bits = 8 * kind.type_byte_length()
        return kind({"zero": 0, "max": 2**bits - 1}.get(extreme, rng.getrandbits(bits)))
    if issubclass(kind, Container):
        return kind(**{name: random_value(field, rng, extreme) for name, field in kind.fields().items()})
    if issubclass(kind, ByteVector):
        return kind(bytes_of(kind.vector_length(), rng, extreme))
    if issubclass(kind, ByteList):
        return kind(bytes_of(length_of(kind, rng, extreme), rng, extreme))
    if issubclass(kind, Vector | Bitvector):
        length = kind.vector_length()
    else:
        assert issubclass(kind, List | Bitlist), kind
        length = length_of(kind, rng, extreme)
    element = boolean if issubclass(kind, Bitvector | Bitlist) else kind.element_cls()
    return kind([random_value(element, rng, extreme) for _ in range(length)])


def length_of(kind: Any, rng: random.Random, extreme: str) -> int:
    longest = min(int(kind.limit()), LONGEST)
    return {"nil": 0, "zero": 0, "one": 1, "lengthy": longest}.get(extreme, rng.randint(0, longest))


def bytes_of(length: int, rng: random.Random, extreme: str) -> bytes:
    fixed = {"zero": b"\x00", "max": b"\xff"}.get(extreme)
    return rng.randbytes(length) if fixed is None else fixed * length


def plain(value: Any) -> Any:
    """A value as the official vectors write it in YAML."""
    if isinstance(value, boolean):
        return bool(value)
    if isinstance(value, uint):
        return str(int(value)) if value.type_byte_length() > 8 else int(value)
    if isinstance(value, Container):
        return {name: plain(getattr(value, name)) for name in value.fields()}
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Bitlist | Bitvector):
        return "0x" + value.encode_bytes().hex()
    if isinstance(value, ByteList | ByteVector):
        return "0x" + bytes(value).hex()
    return [plain(element) for element in value]


@source
def encodings(spec: ModuleType) -> Iterator[Case]:
    for name in TYPES:
        kind = getattr(spec, name)
        # A state is large; its form does not depend on the values.
        extremes = ("random",) if name == "BeaconState" else ("random", "zero", "max", "nil", "one", "lengthy")
        for extreme in extremes:
            value = random_value(kind, random.Random(f"{name} {extreme}"), extreme)
            assert kind.decode_bytes(value.encode_bytes()) == value
            root = "0x" + bytes(spec.hash_tree_root(value)).hex()
            yield Case(
                "ssz_static",
                name,
                "case_0",
                {"serialized": value},
                lambda value: value,
                suite=f"ssz_{extreme}",
                data={"roots": {"root": root}, "value": plain(value)},
                initial="serialized",
                has_post=False,
            )
