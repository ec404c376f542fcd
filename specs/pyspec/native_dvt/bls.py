"""BLS signatures, with a switch for tests that are about something else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import milagro_bls_binding as milagro

#: Whether signatures are made and verified. Otherwise each is valid.
is_active = True

STUB_SIGNATURE = b"\x11" * 96


@contextmanager
def switched(active: bool) -> Iterator[None]:
    """Signatures on or off within a block."""
    global is_active
    before, is_active = is_active, active
    try:
        yield
    finally:
        is_active = before


def _verified(verify: object, *arguments: object) -> bool:
    if not is_active:
        return True
    try:
        return bool(verify(*arguments))  # type: ignore[operator]
    except Exception:
        # Bytes that are no point of the curve.
        return False


def Verify(pubkey: bytes, message: bytes, signature: bytes) -> bool:
    return _verified(milagro.Verify, bytes(pubkey), bytes(message), bytes(signature))


def FastAggregateVerify(pubkeys: Sequence[bytes], message: bytes, signature: bytes) -> bool:
    return _verified(
        milagro.FastAggregateVerify, [bytes(pubkey) for pubkey in pubkeys], bytes(message), bytes(signature)
    )


def KeyValidate(pubkey: bytes) -> bool:
    """Whether the bytes are a key. Not switched: it is about the key, not about a signature."""
    try:
        # Adding a key to itself decompresses it and checks its subgroup.
        milagro._AggregatePKs([bytes(pubkey)])
    except Exception:
        return False
    return True


def Sign(secret: int, message: bytes) -> bytes:
    if not is_active:
        return STUB_SIGNATURE
    return bytes(milagro.Sign(secret.to_bytes(32, "big"), bytes(message)))


def Aggregate(signatures: Sequence[bytes]) -> bytes:
    if not is_active:
        return STUB_SIGNATURE
    return bytes(milagro.Aggregate([bytes(signature) for signature in signatures]))


def AggregatePKs(pubkeys: Sequence[bytes]) -> bytes:
    """The sum of keys. Not switched: it is part of the state."""
    return bytes(milagro._AggregatePKs([bytes(pubkey) for pubkey in pubkeys]))


def SkToPk(secret: int) -> bytes:
    return bytes(milagro.SkToPk(secret.to_bytes(32, "big")))
