"""Functions by themselves: signatures of schemes, and who leads a group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from types import ModuleType
from typing import Any

from native_dvt.xmss_signer import PARAMETER as XMSS_PARAMETER
from native_dvt.xmss_signer import XmssKey

from .case import Case, source
from .chain import SOLO, Chain, Entry

MESSAGE = bytes(range(32))
LEAF = 70 * 64 + 32


@cache
def keys_of(spec: ModuleType, scheme: int) -> Sequence[XmssKey]:
    """Three keys with a few leaves, the last of all among them."""
    last = 2 ** int(spec.XMSS_LOG_LIFETIMES[scheme]) - 1
    return [XmssKey(spec, scheme, bytes([number]), [0, LEAF, LEAF + 1, LEAF + 2, last]) for number in range(3)]


@cache
def key_behind_the_last_leaf(spec: ModuleType, scheme: int) -> XmssKey:
    """A key whose tree does not begin at leaf 0 but where the lifetime ends, so that nothing else is wrong with it."""
    return XmssKey(spec, scheme, b"behind", [2 ** int(spec.XMSS_LOG_LIFETIMES[scheme])])


@cache
def keys_with_another_parameter(spec: ModuleType, scheme: int) -> dict[str, XmssKey]:
    """Keys whose parameter is too short or too long by an element. All hashes have room for it."""
    lengths = {"short": XMSS_PARAMETER - 1, "long": XMSS_PARAMETER + 1}
    return {name: XmssKey(spec, scheme, b"length", [LEAF], length) for name, length in lengths.items()}


def element_changed(data: bytes, position: int, by: int) -> bytes:
    """Bytes in which one field element is another number, which may be beyond the field."""
    value = int.from_bytes(data[position : position + 4], "little") + by
    return data[:position] + (value % 2**32).to_bytes(4, "little") + data[position + 4 :]


def spoiled(spec: ModuleType, data: bytes, places: dict[str, int]) -> dict[str, bytes]:
    """What may be wrong with bytes that consist of field elements, with one of each part."""
    wrong = {"empty": b"", "short": data[:-1], "long": data + b"\x00", "without_an_element": data[:-4]}
    for part, position in places.items():
        # Some number other than the right one, in the field or beyond it.
        value = int.from_bytes(data[position : position + 4], "little")
        other = element_changed(data, position, -1 if value > 0 else 1)
        wrong[f"{part}_changed"] = other
        wrong[f"{part}_beyond_the_field"] = element_changed(data, position, int(spec.KOALABEAR_PRIME))
    return wrong


def text(data: bytes) -> str:
    return "0x" + data.hex()


def function_case(
    runner: str, handler: str, name: str, call: Callable[[], Any], data: dict[str, Any], output: Any
) -> Case:
    """A call with the output that it has to have."""

    def run(_: Any) -> Any:
        assert call() == output
        return output if output is not None else "nothing"

    written = {"data": {"input": data, "output": output}}
    return Case(runner, handler, name, {}, run, data=written, has_post=False, call=call)


@source
def schemes(spec: ModuleType) -> Iterator[Case]:
    for scheme in range(1, int(spec.HIGHEST_SCHEME) + 1):
        yield from signatures_of_one_key(spec, scheme)
        yield from openings(spec, scheme)
        yield from signatures_of_several_keys(spec, scheme)
        yield from merged(spec, scheme)
    yield from schemes_that_there_are_not(spec)


def signatures_of_one_key(spec: ModuleType, scheme: int) -> Iterator[Case]:
    number, key, other = spec.uint8(scheme), keys_of(spec, scheme)[0], keys_of(spec, scheme)[1]
    lifetime = 2 ** int(spec.XMSS_LOG_LIFETIMES[scheme])

    def case(name: str, pubkey: bytes, leaf: int, message: bytes, signature: bytes, is_valid: bool = False) -> Case:
        def call() -> Any:
            return spec.verify_scheme_proof(number, [pubkey], spec.uint64(leaf), spec.Root(message), signature)

        data = {
            "scheme": scheme,
            "pubkey": text(pubkey),
            "leaf": leaf,
            "message": text(message),
            "signature": text(signature),
        }
        return function_case("signatures", "xmss_verify", f"scheme_{scheme}_{name}", call, data, is_valid)

    signature = key.sign(LEAF, MESSAGE)
    yield case("valid", key.pubkey, LEAF, MESSAGE, signature, True)
    for leaf in (0, lifetime - 1):
        yield case(f"valid_leaf_{leaf}", key.pubkey, leaf, MESSAGE, key.sign(leaf, MESSAGE), True)
    for name, message in {"zeros": bytes(32), "ones": b"\xff" * 32}.items():
        yield case(f"valid_message_of_{name}", key.pubkey, LEAF, message, key.sign(LEAF, message), True)
        yield case(f"other_message_of_{name}", key.pubkey, LEAF, message, signature)
    yield case("other_key", other.pubkey, LEAF, MESSAGE, signature)
    yield case("signature_by_another_key", key.pubkey, LEAF, MESSAGE, other.sign(LEAF, MESSAGE))
    yield case("signature_with_another_leaf", key.pubkey, LEAF, MESSAGE, key.sign(LEAF + 1, MESSAGE))
    for leaf in sorted({LEAF + 1, LEAF + 2, LEAF + lifetime, 2**32 + LEAF, 2**64 - 1}):
        yield case(f"leaf_{leaf}", key.pubkey, leaf, MESSAGE, signature)
    behind = key_behind_the_last_leaf(spec, scheme)
    yield case("leaf_behind_the_last", behind.pubkey, lifetime, MESSAGE, behind.sign(lifetime, MESSAGE))
    for length, odd in keys_with_another_parameter(spec, scheme).items():
        yield case(f"parameter_too_{length}", odd.pubkey, LEAF, MESSAGE, odd.sign(LEAF, MESSAGE))
    yield case("opening_in_its_place", key.pubkey, LEAF, MESSAGE, key.open(LEAF))
    path_end = 40 + 32 * int(spec.XMSS_LOG_LIFETIMES[scheme])
    for offset in (0, 32, 36):
        yield case(f"offset_at_{offset}_changed", key.pubkey, LEAF, MESSAGE, element_changed(signature, offset, 1))
    places = {
        "randomness": 4,
        "end_of_randomness": 28,
        "path": 40,
        "end_of_path": path_end - 4,
        "chains": path_end,
        "end_of_chains": len(signature) - 4,
    }
    for name, wrong in spoiled(spec, signature, places).items():
        yield case(f"signature_{name}", key.pubkey, LEAF, MESSAGE, wrong)
    root_and_parameter = {"root": 0, "end_of_root": 28, "parameter": 32, "end_of_parameter": 48}
    for name, wrong in spoiled(spec, key.pubkey, root_and_parameter).items():
        yield case(f"key_{name}", wrong, LEAF, MESSAGE, signature)
    # One chain is walked further than the codeword says, with a digest that is on it.
    chain = signature[path_end:]
    codeword = spec.get_xmss_codeword(
        key.parameters,
        [int(element) for element in key.parameter],
        LEAF,
        spec.Root(MESSAGE),
        spec.read_field_elements(signature[4:32]),
    )
    walked = next(i for i, digit in enumerate(codeword) if digit < spec.XMSS_BASE - 1)
    value = spec.read_field_elements(chain[32 * walked : 32 * walked + 32])
    following = spec.hash_xmss_chain_step(
        [int(element) for element in key.parameter], LEAF, walked, codeword[walked] + 1, value
    )
    further = b"".join(element.to_bytes(4, "little") for element in following)
    forged = signature[:path_end] + chain[: 32 * walked] + further + chain[32 * walked + 32 :]
    yield case("chain_walked_further", key.pubkey, LEAF, MESSAGE, forged)


def openings(spec: ModuleType, scheme: int) -> Iterator[Case]:
    number, key, other = spec.uint8(scheme), keys_of(spec, scheme)[0], keys_of(spec, scheme)[1]
    lifetime = 2 ** int(spec.XMSS_LOG_LIFETIMES[scheme])

    def case(name: str, pubkey: bytes, leaf: int, opening: bytes, is_valid: bool = False) -> Case:
        def call() -> Any:
            if not spec.verify_scheme_opening(number, pubkey, spec.uint64(leaf), opening):
                return None
            return text(spec.get_xmss_unique_value(opening))

        data = {"scheme": scheme, "pubkey": text(pubkey), "leaf": leaf, "opening": text(opening)}
        output = text(opening[:32]) if is_valid else None
        return function_case("signatures", "xmss_opening", f"scheme_{scheme}_{name}", call, data, output)

    opening = key.open(LEAF)
    for leaf in (LEAF, LEAF + 1, 0, lifetime - 1):
        yield case(f"valid_leaf_{leaf}", key.pubkey, leaf, key.open(leaf), True)
    yield case("other_key", other.pubkey, LEAF, opening)
    yield case("opening_by_another_key", key.pubkey, LEAF, other.open(LEAF))
    yield case("opening_of_another_leaf", key.pubkey, LEAF, key.open(LEAF + 1))
    for leaf in sorted({LEAF + 1, LEAF + 2, LEAF + lifetime, 2**32 + LEAF, 2**64 - 1}):
        yield case(f"leaf_{leaf}", key.pubkey, leaf, opening)
    behind = key_behind_the_last_leaf(spec, scheme)
    yield case("leaf_behind_the_last", behind.pubkey, lifetime, behind.open(lifetime))
    for length, odd in keys_with_another_parameter(spec, scheme).items():
        yield case(f"parameter_too_{length}", odd.pubkey, LEAF, odd.open(LEAF))
    yield case("sibling_in_its_place", key.pubkey, LEAF, opening[32:64] + opening[:32] + opening[64:])
    yield case("signature_in_its_place", key.pubkey, LEAF, key.sign(LEAF, MESSAGE))
    places = {"digest": 0, "end_of_digest": 28, "path": 32, "end_of_path": len(opening) - 4}
    for name, wrong in spoiled(spec, opening, places).items():
        yield case(f"opening_{name}", key.pubkey, LEAF, wrong)
    for name, wrong in spoiled(spec, key.pubkey, {"root": 0, "parameter": 32}).items():
        yield case(f"key_{name}", wrong, LEAF, opening)


def signatures_of_several_keys(spec: ModuleType, scheme: int) -> Iterator[Case]:
    number, keys = spec.uint8(scheme), keys_of(spec, scheme)
    pubkeys = [key.pubkey for key in keys]
    parts = [key.sign(LEAF, MESSAGE) for key in keys]

    def case(name: str, signers: list[bytes], proof: bytes, is_valid: bool = False, leaf: int = LEAF) -> Case:
        def call() -> Any:
            return spec.verify_scheme_proof(number, signers, spec.uint64(leaf), spec.Root(MESSAGE), proof)

        data = {
            "scheme": scheme,
            "pubkeys": [text(pubkey) for pubkey in signers],
            "leaf": leaf,
            "message": text(MESSAGE),
            "data": text(proof),
        }
        return function_case("signatures", "verify_proof", f"scheme_{scheme}_{name}", call, data, is_valid)

    proof = b"".join(parts)
    yield case("one_key", pubkeys[:1], parts[0], True)
    yield case("three_keys", pubkeys, proof, True)
    yield case("the_same_key_twice", [pubkeys[0]] * 2, parts[0] * 2, True)
    yield case("nobody", [], b"")
    yield case("nobody_with_a_signature", [], parts[0])
    yield case("another_order", pubkeys, parts[1] + parts[0] + parts[2])
    yield case("keys_in_another_order", pubkeys[::-1], proof)
    yield case("one_missing", pubkeys, proof[: -len(parts[2])])
    yield case("one_too_many", pubkeys[:2], proof)
    yield case("one_byte_missing", pubkeys, proof[:-1])
    yield case("another_leaf", pubkeys, proof, leaf=LEAF + 1)
    yield case("one_with_another_leaf", pubkeys, parts[0] + keys[1].sign(LEAF + 1, MESSAGE) + parts[2])
    yield case("one_over_another_message", pubkeys, parts[0] + keys[1].sign(LEAF, bytes(32)) + parts[2])
    opening = keys[0].open(LEAF)
    yield case("opening_in_place_of_a_signature", pubkeys[:1], opening)
    yield case("key_too_short", [pubkeys[0][:-1]], parts[0])


def schemes_that_there_are_not(spec: ModuleType) -> Iterator[Case]:
    """Numbers behind the last scheme: nothing is a signature or an opening there."""
    key = keys_of(spec, 1)[0]
    signature, opening = key.sign(LEAF, MESSAGE), key.open(LEAF)
    for scheme in (3, 255):
        number = spec.uint8(scheme)

        def verify(number: Any = number) -> Any:
            return spec.verify_scheme_proof(number, [key.pubkey], spec.uint64(LEAF), spec.Root(MESSAGE), signature)

        def open_leaf(number: Any = number) -> Any:
            if not spec.verify_scheme_opening(number, key.pubkey, spec.uint64(LEAF), opening):
                return None
            return text(spec.get_xmss_unique_value(opening))

        data = {"scheme": scheme, "leaf": LEAF}
        signed = {"message": text(MESSAGE), "data": text(signature), "pubkeys": [text(key.pubkey)]}
        opened = {"opening": text(opening), "pubkey": text(key.pubkey)}
        name = f"scheme_{scheme}"
        yield function_case("signatures", "verify_proof", name, verify, {**data, **signed}, False)
        yield function_case("signatures", "xmss_opening", name, open_leaf, {**data, **opened}, None)


def merged(spec: ModuleType, scheme: int) -> Iterator[Case]:
    keys = keys_of(spec, scheme)
    parts = [key.sign(LEAF, MESSAGE) for key in keys]
    indices = [spec.get_virtual_index(spec.ValidatorIndex(3), spec.uint64(key)) for key in range(3)]

    def case(name: str, given: list[tuple[list[Any], bytes]], output: bytes | None) -> Case:
        def call() -> Any:
            try:
                return text(spec.merge_xmss_proofs(keys[0].parameters, given))
            except AssertionError:
                return None

        data = {
            "scheme": scheme,
            "parts": [{"signers": [int(signer) for signer in signers], "data": text(part)} for signers, part in given],
        }
        expected = None if output is None else text(output)
        return function_case("signatures", "merge", f"scheme_{scheme}_{name}", call, data, expected)

    single = [([indices[place]], part) for place, part in enumerate(parts)]
    everybody = b"".join(parts)
    yield case("in_order", single, everybody)
    yield case("in_another_order", [single[2], single[0], single[1]], everybody)
    outer = ([indices[0], indices[2]], parts[0] + parts[2])
    yield case("between_two_others", [outer, single[1]], everybody)
    solo = ([spec.SignerIndex(7)], parts[1])
    yield case("a_lower_index_comes_first", [single[0], solo], parts[1] + parts[0])
    yield case("one_part", [outer], parts[0] + parts[2])
    yield case("signer_in_two_parts", [outer, single[0]], None)
    yield case("signature_too_short", [single[0], ([indices[1]], parts[1][:-1])], None)
    yield case("signatures_without_signers", [single[0], ([indices[1]], parts[1] + parts[2])], None)


@source
def leader_ranks(spec: ModuleType) -> Iterator[Case]:
    """Who leads, for each group and some slots: the keys of the ranks that there are."""
    sizes = [(9, 16), (8, 16), (2, 2), (1, 2), (2, 3), (1, 3), (3, 6), (4, 6)]
    more = [Entry(2048, threshold, size) for threshold, size in sizes]
    for name, entries in (("groups", None), ("more_groups", [*more, *(Entry(32) for _ in range(24))])):
        chain = Chain(spec, entries)
        state = chain.state
        # A state fits into a vector for the mainnet preset only because its history repeats.
        leading: list[dict[str, Any]] = []
        for validator in range(SOLO if name == "groups" else len(more)):
            for slot in (int(state.slot), int(state.slot) + 1, int(state.slot) + int(spec.SLOTS_PER_EPOCH)):
                leading.append(
                    {"slot": slot, "proposer_index": validator, "keys": leaders_of(spec, state, slot, validator)}
                )

        def run(state: Any, leading: list[dict[str, Any]] = leading) -> Any:
            for entry in leading:
                assert leaders_of(spec, state, entry["slot"], entry["proposer_index"]) == entry["keys"]
            return state

        yield Case(
            "shuffling", "leader_ranks", name, {"pre": state.copy()}, run, data={"leaders": leading}, has_post=False
        )


def leaders_of(spec: ModuleType, state: Any, slot: int, validator: int) -> list[int]:
    """The keys that lead a group in a slot, rank by rank."""
    index = spec.ValidatorIndex(validator)
    ranks: dict[int, int] = {}
    for key in range(len(spec.get_key_set(state, index, spec.compute_epoch_at_slot(spec.Slot(slot))).keys)):
        rank = spec.get_leader_rank(state, spec.Slot(slot), index, spec.uint64(key))
        if rank is not None:
            ranks[int(rank)] = key
    return [ranks[rank] for rank in sorted(ranks)]
