"""
BLS signatures, with a switch for tests that are about something else. What the library says of the same bytes is
remembered: it knows nothing of a specification, so that a change of the text cannot be hidden by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

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


@lru_cache(maxsize=4096)
def _verified(pubkeys: bytes | tuple[bytes, ...], message: bytes, signature: bytes) -> bool:
    try:
        if isinstance(pubkeys, bytes):
            return bool(milagro.Verify(pubkeys, message, signature))
        return bool(milagro.FastAggregateVerify(list(pubkeys), message, signature))
    except Exception:
        # Bytes that are no point of the curve.
        return False


def Verify(pubkey: bytes, message: bytes, signature: bytes) -> bool:
    return not is_active or _verified(bytes(pubkey), bytes(message), bytes(signature))


def FastAggregateVerify(pubkeys: Sequence[bytes], message: bytes, signature: bytes) -> bool:
    return not is_active or _verified(tuple(bytes(pubkey) for pubkey in pubkeys), bytes(message), bytes(signature))


@lru_cache(maxsize=4096)
def _is_key(pubkey: bytes) -> bool:
    try:
        # Adding a key to itself decompresses it and checks its subgroup.
        milagro._AggregatePKs([pubkey])
    except Exception:
        return False
    return True


def KeyValidate(pubkey: bytes) -> bool:
    """Whether the bytes are a key. Not switched: it is about the key, not about a signature."""
    return _is_key(bytes(pubkey))


@lru_cache(maxsize=4096)
def _signed(secret: int, message: bytes) -> bytes:
    return bytes(milagro.Sign(secret.to_bytes(32, "big"), message))


def Sign(secret: int, message: bytes) -> bytes:
    return _signed(secret, bytes(message)) if is_active else STUB_SIGNATURE


@lru_cache(maxsize=1024)
def _sum_of_signatures(signatures: tuple[bytes, ...]) -> bytes:
    return bytes(milagro.Aggregate(list(signatures)))


def Aggregate(signatures: Sequence[bytes]) -> bytes:
    if not is_active:
        return STUB_SIGNATURE
    return _sum_of_signatures(tuple(bytes(signature) for signature in signatures))


@lru_cache(maxsize=1024)
def _sum_of_keys(pubkeys: tuple[bytes, ...]) -> bytes:
    return bytes(milagro._AggregatePKs(list(pubkeys)))


def AggregatePKs(pubkeys: Sequence[bytes]) -> bytes:
    """The sum of keys. Not switched: it is part of the state."""
    return _sum_of_keys(tuple(bytes(pubkey) for pubkey in pubkeys))


def SkToPk(secret: int) -> bytes:
    return bytes(milagro.SkToPk(secret.to_bytes(32, "big")))
