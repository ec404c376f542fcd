"""Functions of the network: times, versions, custody, headers of single signers; and all constants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from native_dvt.spec import specification_documents

from .assignments import registry_key, rotated, virtual
from .case import Case, source
from .chain import Chain, Entry
from .functions import text
from .questions import ANY, REFUSED, Question, questions_case

FORKS = ("ALTAIR", "BELLATRIX", "CAPELLA", "DENEB", "ELECTRA", "FULU", "DVT")
#: Numbers within the hash functions of schemes. What they make is in the cases of the runner `signatures`.
PARTS_OF_SCHEMES = ("KOALABEAR_", "POSEIDON_", "XMSS_")


@contextmanager
def configured(spec: ModuleType, values: dict[str, Any]) -> Iterator[None]:
    """The specification with another configuration."""
    before = {name: getattr(spec.config, name) for name in values}
    vars(spec.config).update(values)
    try:
        yield
    finally:
        vars(spec.config).update(before)


@source
def times_and_versions(spec: ModuleType) -> Iterator[Case]:
    def due(asked: Question) -> int:
        return int(spec.get_leader_due_ms(spec.uint64(asked["rank"])))

    ranks: list[tuple[Question, Any]] = [({"rank": rank}, ANY) for rank in (0, 1, 2, 3, 15, 255)]
    yield questions_case("networking", "get_leader_due_ms", "ranks", due, ranks)
    values = {"SLOT_DURATION_MS": 12_000, "LEADER_TIMEOUT_BPS": 500}
    typed = {name: spec.uint64(value) for name, value in values.items()}

    def due_then(asked: Question) -> int:
        with configured(spec, typed):
            return due(asked)

    file = {"PRESET_BASE": preset_of(spec), **values}
    yield questions_case("networking", "get_leader_due_ms", "other_times", due_then, ranks, config=file)

    def version(asked: Question) -> str:
        return text(bytes(spec.compute_fork_version(spec.Epoch(asked["epoch"]))))

    forks = sorted({int(getattr(spec.config, f"{fork}_FORK_EPOCH")) for fork in FORKS} - {2**64 - 1})
    epochs = sorted({0, 2**64 - 2, 2**64 - 1, *forks, *(epoch - 1 for epoch in forks)})
    asked: list[tuple[Question, Any]] = [({"epoch": epoch}, ANY) for epoch in epochs]
    yield questions_case("networking", "compute_fork_version", "usual_epochs", version, asked)

    for name, distance in (("one_after_the_other", 10), ("all_at_genesis", 0)):
        of_forks = {f"{fork}_FORK_EPOCH": distance * number for number, fork in enumerate(FORKS, start=1)}

        def version_then(asked: Question, of_forks: dict[str, int] = of_forks) -> str:
            with configured(spec, {key: spec.uint64(epoch) for key, epoch in of_forks.items()}):
                return version(asked)

        epochs = sorted({0, *(max(epoch + near, 0) for epoch in of_forks.values() for near in (-1, 0, 1))})
        file = {"PRESET_BASE": preset_of(spec), **of_forks}
        asked = [({"epoch": epoch}, ANY) for epoch in epochs]
        yield questions_case("networking", "compute_fork_version", name, version_then, asked, config=file)


def preset_of(spec: ModuleType) -> str:
    return "minimal" if int(spec.SLOTS_PER_EPOCH) == 8 else "mainnet"


@source
def constants(spec: ModuleType) -> Iterator[Case]:
    """Every constant, also those that only words use."""
    values = {}
    for document in specification_documents():
        for name in document.constants:
            if name.startswith(PARTS_OF_SCHEMES) and name != "XMSS_SCHEME":
                continue
            value = getattr(spec, name) if hasattr(spec, name) else getattr(spec.config, name)
            values[name] = text(bytes(value)) if isinstance(value, bytes) else int(value)
    yield Case("config", "constants", "constants", {}, lambda _: "nothing", data={"data": values}, has_post=False)


@source
def custody_requirements(spec: ModuleType) -> Iterator[Case]:
    seven, three, sixteen, solo = range(4)
    groups = [Entry(2048, 5, 7), Entry(1024, 2, 3), Entry(2048, 9, 16)]
    solos = [Entry(balance) for balance in (32, 255, 256, 288, 2048)]
    count = 4 * int(spec.SLOTS_PER_EPOCH)
    state = Chain(spec, [*groups, *solos, *(Entry(32) for _ in range(count - 8))]).state.copy()
    now = int(spec.get_current_epoch(state))
    keys = list(spec.get_group(state, seven).key_sets[0].keys)
    rotated(spec, state, seven, 2, keys[:2], now + 5)
    rotated(spec, state, solo + 3, 1, [registry_key(spec, state, solo)], now + 5)

    def all_keys(validator: int, size: int) -> list[int]:
        return [virtual(spec, validator, key) for key in range(size)]

    def ask(asked: Question) -> int:
        signers = [spec.SignerIndex(signer) for signer in asked["signer_indices"]]
        return int(spec.get_validators_custody_requirement(state, spec.Epoch(asked["epoch"]), signers))

    asked: list[tuple[Question, Any]] = []
    for signers in (
        [],
        [solo],
        [solo + 1],
        [solo + 2],
        [solo + 1, solo],
        [solo + 3],
        [virtual(spec, solo + 3, 0)],
        [solo + 3, virtual(spec, solo + 3, 0)],
        [solo + 4],
        [solo + 4, solo + 4, solo + 3],
        all_keys(seven, 1),
        all_keys(seven, 7),
        all_keys(seven, 8),
        all_keys(seven, 7)[2:],
        all_keys(three, 3),
        all_keys(sixteen, 16),
        [*all_keys(sixteen, 16), *all_keys(three, 3), *all_keys(seven, 7), solo + 4],
        [seven],
        [seven, solo + 2],
        [len(state.validators)],
        [len(state.validators) + 1, solo + 3],
        [virtual(spec, len(state.validators), 0), solo + 3],
    ):
        asked += [({"epoch": epoch, "signer_indices": signers}, ANY) for epoch in (now, now + 4, now + 5)]
    least = int(spec.config.VALIDATOR_CUSTODY_REQUIREMENT)
    asked.append(({"epoch": now, "signer_indices": [seven]}, least))
    # A balance that is divided leaves a rest: 1024 ETH in three parts are a little less than 1024 ETH.
    asked.append(({"epoch": now, "signer_indices": all_keys(three, 3)}, 1024 // 32 - 1))
    yield questions_case("networking", "get_validators_custody_requirement", "balances", ask, asked, {"pre": state})


@source
def headers_of_single_signers(spec: ModuleType) -> Iterator[Case]:
    scheme = int(spec.HIGHEST_SCHEME)
    seven, sixteen, one, young, solo = range(5)
    groups = [Entry(2048, 4, 7, schemes=(scheme, scheme)), Entry(2048, 16, 16), Entry(64, 1, 1), Entry(1024, 3, 4)]
    count = 4 * int(spec.SLOTS_PER_EPOCH)
    chain = Chain(spec, [*groups, *(Entry(32) for _ in range(count - len(groups)))])
    state = chain.state
    now = int(spec.get_current_epoch(state))
    # Nothing is known of its keys before this epoch.
    state.groups[young].key_sets[0].activation_epoch = now
    slot, before = int(state.slot) + 3, int(state.slot) - int(spec.SLOTS_PER_EPOCH) + 5
    headers: dict[str, tuple[Any, Any]] = {}

    def header(proposer: int, at: int = slot) -> Any:
        return spec.BeaconBlockHeader(slot=at, proposer_index=proposer, body_root=b"\x07" * 32)

    def named(signed: Any, *keys: int) -> Any:
        signed.signers = chain.bits(keys)
        return signed

    def signed(proposer: int, *keys: int, at: int = slot) -> Any:
        return chain.signed_header(header(proposer, at), keys)

    for validator, size in ((sixteen, 16), (young, 4), (one, 1), (seven, 7)):
        for key in sorted({0, size // 2, size - 1}):
            headers[f"group_of_{size}_key_{key}"] = (signed(validator, key), True)
            named_else = named(signed(validator, key), (key + 1) % 16)
            headers[f"group_of_{size}_key_{key}_under_another_name"] = (named_else, False)
        headers[f"group_of_{size}_nobody"] = (named(signed(validator, 0)), False)
        if size > 1:
            headers[f"group_of_{size}_two_keys"] = (signed(validator, 0, size - 1), False)
            headers[f"group_of_{size}_two_names"] = (named(signed(validator, 0), 0, 1), False)
        if size < 16:
            headers[f"group_of_{size}_a_key_beyond"] = (named(signed(validator, 0), size), False)
    headers["threshold"] = (signed(seven, 0, 1, 2, 3), False)
    headers["all_keys"] = (signed(sixteen, *range(16)), False)
    headers["epoch_before"] = (signed(seven, 1, at=before), True)
    headers["epoch_before_hash_based"] = (signed(seven, 6, at=before), True)
    known_later = signed(young, 1)
    known_later.message.slot = before
    headers["no_key_set_is_known"] = (known_later, REFUSED)
    for key in (1, 6):
        other = signed(seven, key)
        other.message.slot = slot + 1
        headers[f"another_slot_key_{key}"] = (other, False)
        other = signed(seven, key)
        other.message.body_root = b"\x08" * 32
        headers[f"another_block_key_{key}"] = (other, False)
    epoch = spec.compute_epoch_at_slot(spec.Slot(slot))
    root = spec.compute_signing_root(header(seven), spec.get_domain(state, spec.DOMAIN_BEACON_PROPOSER, epoch))
    beside = spec.get_leaf_index(epoch, spec.uint64((slot + 1) % int(spec.SLOTS_PER_EPOCH)))
    fields = chain.signed([virtual(spec, seven, 6)], root, beside)
    headers["leaf_of_another_slot"] = (
        spec.SignedBeaconBlockHeader(message=header(seven), signers=chain.bits([6]), **fields),
        False,
    )
    headers["solo"] = (signed(solo), False)
    headers["solo_with_a_name"] = (named(signed(solo), 0), False)
    unknown = named(signed(seven, 0), 0)
    unknown.message.proposer_index = count
    headers["unknown_proposer"] = (unknown, False)

    values = {name: value for name, (value, _) in headers.items()}

    def ask(asked: Question) -> bool:
        return bool(spec.verify_single_signer(state, values[asked["file"]]))

    asked = [({"file": name}, expected) for name, (_, expected) in headers.items()]
    inputs = {"pre": state.copy(), **values}
    yield questions_case("networking", "verify_single_signer", "headers", ask, asked, inputs)
