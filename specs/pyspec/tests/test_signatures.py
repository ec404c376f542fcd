"""Hash-based signatures: vectors of leanSig, and keys with four leaves that are made here."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

from native_dvt.spec import load
from native_dvt.xmss_signer import XmssKey

SPEC = load("minimal")
SMALL = SPEC.XMSSParameters(log_lifetime=2, chain_count=4, target_sum=6)
ROOT = b"\x07" * 32
VECTORS = Path(os.environ.get("XMSS_VECTORS", Path(__file__).parents[4] / "shared" / "xmss-vectors"))


def to_bytes(elements: list[int]) -> bytes:
    return b"".join(element.to_bytes(4, "little") for element in elements)


class Key:
    """A key with four leaves."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.parameter = self.elements(5)
        self.starts = [[self.elements(8) for _ in range(4)] for _ in range(4)]
        self.leaves = [
            SPEC.hash_xmss_leaf(self.parameter, leaf, [self.walk(leaf, chain, 7) for chain in range(4)])
            for leaf in range(4)
        ]
        root = SPEC.get_xmss_root(self.parameter, 0, self.leaves[0], self.path(0))
        self.pubkey = to_bytes([*root, *self.parameter])

    def elements(self, count: int) -> list[int]:
        return [self.random.randrange(SPEC.KOALABEAR_PRIME) for _ in range(count)]

    def walk(self, leaf: int, chain: int, steps: int) -> list[int]:
        value: list[int] = self.starts[leaf][chain]
        for position in range(1, steps + 1):
            value = SPEC.hash_xmss_chain_step(self.parameter, leaf, chain, position, value)
        return value

    def path(self, leaf: int) -> list[list[int]]:
        other = 0 if leaf >= 2 else 2
        uncle = SPEC.get_xmss_root(self.parameter, other, self.leaves[other], [self.leaves[other + 1]])
        return [self.leaves[leaf ^ 1], uncle]

    def open(self, leaf: int) -> bytes:
        return to_bytes([*self.leaves[leaf], *(element for node in self.path(leaf) for element in node)])

    def sign(self, leaf: int, message: bytes) -> bytes:
        while True:
            randomness = self.elements(7)
            codeword = SPEC.get_xmss_codeword(SMALL, self.parameter, leaf, message, randomness)
            if codeword is not None:
                break
        chains = [self.walk(leaf, chain, digit) for chain, digit in enumerate(codeword)]
        digests = [element for digest in self.path(leaf) + chains for element in digest]
        offsets = [(value).to_bytes(4, "little") for value in (36, 40 + 32 * 2, 4)]
        return offsets[0] + to_bytes(randomness) + offsets[1] + offsets[2] + to_bytes(digests)


@cache
def key(seed: int) -> Key:
    return Key(seed)


def verify(pubkey: bytes, leaf: int, message: bytes, signature: bytes) -> bool:
    return bool(SPEC.verify_xmss_signature(SMALL, pubkey, leaf, message, signature))


@pytest.mark.parametrize("leaf", range(4))
def test_a_signature_is_one_of_its_key_leaf_and_message(leaf: int) -> None:
    signature = key(1).sign(leaf, ROOT)
    assert verify(key(1).pubkey, leaf, ROOT, signature)
    assert not verify(key(2).pubkey, leaf, ROOT, signature)
    assert not verify(key(1).pubkey, (leaf + 1) % 4, ROOT, signature)
    assert not verify(key(1).pubkey, leaf, b"\x08" * 32, signature)
    assert not verify(key(1).pubkey, leaf + 4, ROOT, signature)


def test_each_byte_of_a_signature_counts() -> None:
    signature = key(1).sign(3, ROOT)
    for position in range(0, len(signature), 7):
        changed = bytearray(signature)
        changed[position] ^= 1
        assert not verify(key(1).pubkey, 3, ROOT, bytes(changed)), position
    assert not verify(key(1).pubkey, 3, ROOT, signature[:-1])
    assert not verify(key(1).pubkey, 3, ROOT, signature + b"\x00")
    assert not verify(key(1).pubkey + b"\x00", 3, ROOT, signature)


def with_non_canonical_element(data: bytes, position: int) -> bytes:
    value = int.from_bytes(data[position : position + 4], "little") + int(SPEC.KOALABEAR_PRIME)
    return data[:position] + value.to_bytes(4, "little") + data[position + 4 :]


@pytest.mark.parametrize("position", [4, 40, -4 % 232])
def test_elements_beyond_the_field_are_refused_in_signatures(position: int) -> None:
    signature = key(1).sign(2, ROOT)
    assert len(signature) == 232
    assert not verify(key(1).pubkey, 2, ROOT, with_non_canonical_element(signature, position))


@pytest.mark.parametrize("position", [0, 48])
def test_elements_beyond_the_field_are_refused_in_keys(position: int) -> None:
    pubkey = with_non_canonical_element(key(1).pubkey, position)
    assert SPEC.read_field_elements(pubkey) is None
    assert not verify(pubkey, 2, ROOT, key(1).sign(2, ROOT))
    assert not SPEC.verify_xmss_opening(SMALL, pubkey, 2, key(1).open(2))


@pytest.mark.parametrize("leaf", range(4))
def test_an_opening_is_one_of_its_key_and_leaf(leaf: int) -> None:
    opening = key(1).open(leaf)
    assert SPEC.verify_xmss_opening(SMALL, key(1).pubkey, leaf, opening)
    assert SPEC.get_xmss_unique_value(opening) == opening[:32]
    assert not SPEC.verify_xmss_opening(SMALL, key(2).pubkey, leaf, opening)
    assert not SPEC.verify_xmss_opening(SMALL, key(1).pubkey, leaf ^ 1, opening)
    assert not SPEC.verify_xmss_opening(SMALL, key(1).pubkey, leaf + 4, opening)
    assert not SPEC.verify_xmss_opening(SMALL, key(1).pubkey, leaf, opening[:-1])
    assert not SPEC.verify_xmss_opening(SMALL, key(1).pubkey, leaf, with_non_canonical_element(opening, 32))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_merged_proofs_verify_in_ascending_order_of_signers(count: int) -> None:
    signers = [SPEC.get_virtual_index(SPEC.ValidatorIndex(3), SPEC.uint64(k)) for k in range(count)]
    parts = [([signers[k]], key(k).sign(1, ROOT)) for k in range(count)]
    merged = SPEC.merge_xmss_proofs(SMALL, parts[::-1])
    pubkeys = [key(k).pubkey for k in range(count)]
    assert SPEC.verify_xmss_proof(SMALL, pubkeys, 1, ROOT, merged)
    assert not SPEC.verify_xmss_proof(SMALL, pubkeys, 1, ROOT, merged[:-1])
    assert not SPEC.verify_xmss_proof(SMALL, pubkeys + [pubkeys[0]], 1, ROOT, merged)
    if count > 1:
        assert not SPEC.verify_xmss_proof(SMALL, pubkeys[::-1], 1, ROOT, merged)


def test_nobody_signs_nothing() -> None:
    assert not SPEC.verify_xmss_proof(SMALL, [], 1, ROOT, b"")


def test_a_signer_is_merged_once() -> None:
    part = ([SPEC.SignerIndex(2**48)], key(1).sign(1, ROOT))
    with pytest.raises(AssertionError):
        SPEC.merge_xmss_proofs(SMALL, [part, part])
    with pytest.raises(AssertionError):
        SPEC.merge_xmss_proofs(SMALL, [(part[0], part[1][:-1])])


def test_the_largest_element_has_no_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    last = [SPEC.KOALABEAR_PRIME - 1] * 8
    monkeypatch.setattr(SPEC, "poseidon_compress", lambda elements, width: last)
    assert SPEC.get_xmss_codeword(SMALL, [0] * 5, 0, ROOT, [0] * 7) is None


def test_lengths_of_scheme_1() -> None:
    assert SPEC.get_xmss_signature_length(SPEC.XMSSParameters()) == 2536
    assert SPEC.XMSS_QUOTIENT * SPEC.XMSS_BASE**SPEC.XMSS_DIGITS_PER_ELEMENT == SPEC.KOALABEAR_PRIME - 1


def test_a_scheme_without_a_document_verifies_nothing() -> None:
    pubkey, one = b"\x01" * 52, SPEC.uint8(3)
    assert not SPEC.is_valid_scheme_pubkey(one, pubkey)
    assert not SPEC.verify_scheme_proof(one, [pubkey], SPEC.uint64(0), ROOT, b"")
    assert not SPEC.verify_scheme_opening(one, pubkey, SPEC.uint64(0), b"")


@pytest.mark.parametrize("scheme", [1, 2])
def test_schemes_by_number(scheme: int) -> None:
    number, leaf = SPEC.uint8(scheme), SPEC.uint64(70)
    signer = XmssKey(SPEC, scheme, b"scheme", [70, 71])
    assert SPEC.is_valid_scheme_pubkey(number, signer.pubkey)
    signature = signer.sign(70, ROOT)
    assert signature == XmssKey(SPEC, scheme, b"scheme", [70, 71]).sign(70, ROOT)
    assert SPEC.verify_scheme_proof(number, [signer.pubkey], leaf, ROOT, signature)
    assert not SPEC.verify_scheme_proof(SPEC.uint8(3 - scheme), [signer.pubkey], leaf, ROOT, signature)
    assert not SPEC.verify_scheme_proof(number, [signer.pubkey], leaf + 1, ROOT, signature)
    assert SPEC.verify_scheme_opening(number, signer.pubkey, leaf, signer.open(70))
    assert not SPEC.verify_scheme_opening(number, signer.pubkey, leaf, signer.open(71))
    for beyond in (2**18, 2**32, 2**63):
        assert not SPEC.verify_scheme_proof(number, [signer.pubkey], leaf + beyond, ROOT, signature)
        assert not SPEC.verify_scheme_opening(number, signer.pubkey, leaf + beyond, signer.open(70))
    with pytest.raises(KeyError):
        signer.sign(69, ROOT)


@pytest.mark.skipif(not VECTORS.exists(), reason=f"no vectors of leanSig in {VECTORS}")
@pytest.mark.parametrize(
    ("name", "parameters"),
    [("lifetime_2_8", SPEC.XMSSParameters(8, 4, 6)), ("lifetime_2_32", SPEC.XMSSParameters())],
)
def test_vectors_of_leansig(name: str, parameters: Any) -> None:
    lines = (VECTORS / f"{name}.jsonl").read_text().splitlines()
    assert lines
    for number, line in enumerate(lines, start=1):
        vector = json.loads(line)
        found = SPEC.verify_xmss_signature(
            parameters,
            bytes.fromhex(vector["public_key"]),
            vector["epoch"],
            bytes.fromhex(vector["message"]),
            bytes.fromhex(vector["signature"]),
        )
        assert found == vector["valid"], f"line {number}: {vector.get('tampered')}"
