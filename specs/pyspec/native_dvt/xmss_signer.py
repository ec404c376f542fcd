"""Hash-based keys that sign: for cases, not for use.

A key has only the leaves that it was made for; every other node of its tree is pseudo-random, which nobody can tell
from the root. Everything follows from a seed. The specification has only what verifies; this is written beside it, on
arrays of numbers, and gives it what to verify.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import shake_256
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

Elements = NDArray[np.uint64]

#: Randomness that is tried at once for a message; about one in nine hundred gives a codeword.
ATTEMPTS = 1024
DIGEST, PARAMETER, RANDOMNESS, TWEAK = 8, 5, 7, 2


@cache
def matrices(spec: ModuleType, width: int) -> tuple[Elements, Elements]:
    """The matrix of Poseidon in two halves, so that sums of products do not overflow."""
    matrix = np.array(spec.get_poseidon_matrix(width), dtype=np.uint64).T
    return matrix & np.uint64(0xFFFF), matrix >> np.uint64(16)


class Hashes:
    """The hash functions of the scheme on many inputs at once, one for each line."""

    def __init__(self, spec: ModuleType) -> None:
        self.spec = spec
        self.prime = np.uint64(spec.KOALABEAR_PRIME)

    def permutation(self, state: Elements) -> Elements:
        spec, prime, width = self.spec, self.prime, state.shape[1]
        low, high = matrices(spec, width)
        constants = np.array(spec.get_poseidon_round_constants(width), dtype=np.uint64).reshape(-1, width)
        rounds = len(constants)
        for number in range(rounds):
            state = (state + constants[number]) % prime
            last = width if min(number, rounds - 1 - number) < spec.POSEIDON_FULL_ROUNDS // 2 else 1
            part = state[:, :last]
            state[:, :last] = part * part % prime * part % prime
            state = ((state @ high % prime << np.uint64(16)) + state @ low) % prime
        return state

    def compress(self, parts: Sequence[Elements], width: int) -> Elements:
        """Hashes the parts of each line, put side by side."""
        given = np.concatenate(parts, axis=1)
        padded = np.zeros((len(given), width), dtype=np.uint64)
        padded[:, : given.shape[1]] = given
        hashed: Elements = (self.permutation(padded) + padded)[:, :DIGEST] % self.prime
        return hashed

    def lines(self, elements: Elements, count: int) -> Elements:
        """The same elements in each of `count` lines."""
        return np.tile(elements, (count, 1))

    def tweaks(self, numbers: Iterable[int]) -> Elements:
        prime = int(self.prime)
        return np.array([[number % prime, number // prime % prime] for number in numbers], dtype=np.uint64)

    def numbers(self, label: str, count: int, *seed: bytes) -> Elements:
        """Elements that follow from a seed."""
        stream = shake_256(label.encode() + b"".join(seed)).digest(8 * count)
        return np.frombuffer(stream, dtype="<u8").astype(np.uint64) % self.prime

    def bytes_of(self, elements: Elements) -> bytes:
        return elements.astype("<u4").tobytes()


class XmssKey:
    """
    A key of one scheme that can sign with, and open, the leaves that it is made for. To see what is refused, a
    parameter may have another length, and a leaf may lie behind the last one, alone with its neighbour.
    """

    def __init__(
        self, spec: ModuleType, scheme: int, seed: bytes, leaves: Iterable[int], parameter_length: int = PARAMETER
    ) -> None:
        self.spec, self.scheme = spec, scheme
        self.parameters = spec.XMSSParameters(log_lifetime=spec.uint64(spec.XMSS_LOG_LIFETIMES[scheme]))
        self.log_lifetime, self.chain_count = int(self.parameters.log_lifetime), int(self.parameters.chain_count)
        self.seed = bytes([scheme]) + seed
        self.hashes = Hashes(spec)
        self.parameter = self.hashes.numbers("parameter", parameter_length, self.seed)
        self.signatures: dict[tuple[int, bytes], bytes] = {}
        self.levels = self._tree(sorted(set(leaves)))
        (root,) = self.levels[-1].values()
        self.pubkey = self.hashes.bytes_of(np.concatenate([root, self.parameter]))

    def _starts(self, leaf: int) -> Elements:
        chains = self.chain_count
        return self.hashes.numbers("chains", chains * DIGEST, self.seed, leaf.to_bytes(8, "little")).reshape(
            chains, DIGEST
        )

    def _walk(self, leaves: Sequence[int], values: Elements, steps: Elements) -> Elements:
        """Walks the chains of leaves, all chains of the first one first, as many steps each as `steps` says."""
        chains, hashes = self.chain_count, self.hashes
        places = [leaf << 24 | chain << 16 for leaf in leaves for chain in range(chains)]
        values = values.copy()
        for position in range(1, int(steps.max()) + 1):
            walking = np.flatnonzero(steps >= position)
            tweaks = hashes.tweaks(places[line] | position << 8 for line in walking)
            parts = [values[walking], hashes.lines(self.parameter, len(walking)), tweaks]
            values[walking] = hashes.compress(parts, 16)
        return values

    def _tree(self, leaves: Sequence[int]) -> list[dict[int, Elements]]:
        """The nodes on the ways of the leaves, and those beside them, level by level from the leaves up."""
        spec, hashes, chains = self.spec, self.hashes, self.chain_count
        starts = np.concatenate([self._starts(leaf) for leaf in leaves])
        ends = self._walk(leaves, starts, np.full(len(starts), spec.XMSS_BASE - 1)).reshape(len(leaves), -1)

        lengths = sum(length << 32 * place for place, length in enumerate((DIGEST, chains, TWEAK, PARAMETER)))
        domain = np.array(
            [[lengths // int(hashes.prime) ** place % int(hashes.prime) for place in range(24)]], np.uint64
        )
        capacity = ((hashes.permutation(domain) + domain) % hashes.prime)[:, : spec.XMSS_CAPACITY]
        tweaks = hashes.tweaks(leaf << 8 | int(spec.XMSS_TREE_SEPARATOR) for leaf in leaves)
        message = np.concatenate([hashes.lines(self.parameter, len(leaves)), tweaks, ends], axis=1)
        rate = 24 - int(spec.XMSS_CAPACITY)
        state = np.zeros((len(leaves), 24), dtype=np.uint64)
        state[:, : spec.XMSS_CAPACITY] = capacity
        for first in range(0, message.shape[1], rate):
            chunk = message[:, first : first + rate]
            state[:, spec.XMSS_CAPACITY :] = 0
            state[:, spec.XMSS_CAPACITY : int(spec.XMSS_CAPACITY) + chunk.shape[1]] = chunk
            state = hashes.permutation(state)
        digests = state[:, spec.XMSS_CAPACITY : int(spec.XMSS_CAPACITY) + DIGEST]

        levels = [dict(zip(leaves, digests, strict=True))]
        for level in range(1, self.log_lifetime + 1):
            below = levels[-1]
            for index in list(below):
                beside = index ^ 1
                place = (level - 1).to_bytes(1, "little") + beside.to_bytes(8, "little")
                below.setdefault(beside, hashes.numbers("node", DIGEST, self.seed, place))
            parents = sorted({index >> 1 for index in below})
            tweaks = hashes.tweaks(level << 40 | index << 8 | int(spec.XMSS_TREE_SEPARATOR) for index in parents)
            children = np.array([np.concatenate([below[2 * index], below[2 * index + 1]]) for index in parents])
            parts = [hashes.lines(self.parameter, len(parents)), tweaks, children]
            levels.append(dict(zip(parents, hashes.compress(parts, 24), strict=True)))
        return levels

    def path(self, leaf: int) -> Elements:
        heights = range(self.log_lifetime)
        return np.concatenate([self.levels[height][(leaf >> height) ^ 1] for height in heights])

    def open(self, leaf: int) -> bytes:
        """The digest of a leaf with its path."""
        return self.hashes.bytes_of(np.concatenate([self.levels[0][leaf], self.path(leaf)]))

    def _codeword(self, leaf: int, message: bytes) -> tuple[Elements, Elements]:
        """The first randomness with which the message has a codeword, and the codeword."""
        spec, hashes, prime = self.spec, self.hashes, int(self.hashes.prime)
        number = int.from_bytes(message, "little")
        elements = np.array([number // prime**i % prime for i in range(spec.XMSS_MESSAGE_LENGTH)], dtype=np.uint64)
        tweak = hashes.tweaks([leaf << 8 | int(spec.XMSS_MESSAGE_SEPARATOR)])[0]
        fixed = hashes.lines(np.concatenate([elements, self.parameter, tweak]), ATTEMPTS)
        place = leaf.to_bytes(8, "little") + message
        for attempt in range(256):
            seed = place + attempt.to_bytes(2, "little")
            randomness = hashes.numbers("randomness", ATTEMPTS * RANDOMNESS, self.seed, seed).reshape(ATTEMPTS, -1)
            digests = hashes.compress([fixed, randomness], 24)
            places = np.array([spec.XMSS_BASE**i for i in range(spec.XMSS_DIGITS_PER_ELEMENT)], dtype=np.uint64)
            quotients = digests // np.uint64(spec.XMSS_QUOTIENT)
            digits = (quotients[:, :, None] // places % np.uint64(spec.XMSS_BASE)).reshape(ATTEMPTS, -1)
            digits = digits[:, : self.chain_count]
            is_small = (digests < np.uint64(prime - 1)).all(axis=1)
            found = np.flatnonzero(is_small & (digits.sum(axis=1) == self.parameters.target_sum))
            if len(found) > 0:
                return randomness[found[0]], digits[found[0]]
        raise AssertionError("no codeword")

    def sign(self, leaf: int, message: bytes) -> bytes:
        """The signature of a message, the same each time."""
        if leaf not in self.levels[0]:
            raise KeyError(f"leaf {leaf} is none of those that the key is made for")
        known = self.signatures.get((leaf, message))
        if known is None:
            randomness, digits = self._codeword(leaf, message)
            values = self._walk([leaf], self._starts(leaf), digits.astype(np.int64)).reshape(-1)
            path_end = 40 + 32 * self.log_lifetime
            known = b"".join(
                [
                    (36).to_bytes(4, "little"),
                    self.hashes.bytes_of(randomness),
                    path_end.to_bytes(4, "little"),
                    (4).to_bytes(4, "little"),
                    self.hashes.bytes_of(self.path(leaf)),
                    self.hashes.bytes_of(values),
                ]
            )
            self.signatures[leaf, message] = known
        return known
