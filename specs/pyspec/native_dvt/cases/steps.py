"""Steps of a fork choice case, in the official format, applied to a store."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from .case import INVALID


def apply_block(spec: ModuleType, store: Any, signed_block: Any) -> None:
    """A block with the votes and evidence in it, as a node takes it in."""
    spec.on_block(store, signed_block)
    for attestation in signed_block.message.body.attestations:
        spec.on_attestation(store, attestation, is_from_block=True)
    for attester_slashing in signed_block.message.body.attester_slashings:
        spec.on_attester_slashing(store, attester_slashing, spec.Root(spec.hash_tree_root(signed_block.message)))


def checkpoint_text(checkpoint: Any) -> dict[str, Any]:
    return {"epoch": int(checkpoint.epoch), "root": "0x" + bytes(checkpoint.root).hex()}


def checks_of(spec: ModuleType, store: Any) -> dict[str, Any]:
    """What a case compares after a step."""
    head = spec.get_head(store)
    return {
        "time": int(store.time),
        "head": {"slot": int(store.blocks[head].slot), "root": "0x" + bytes(head).hex()},
        "justified_checkpoint": checkpoint_text(store.justified_checkpoint),
        "finalized_checkpoint": checkpoint_text(store.finalized_checkpoint),
        "proposer_boost_root": "0x" + bytes(store.proposer_boost_root).hex(),
    }


def play(spec: ModuleType, store: Any, steps: list[dict[str, Any]], read: Callable[[str, Any], Any]) -> None:
    """Applies all steps; `read` gives the value of a name and type."""
    for step in steps:
        is_valid = step.get("valid", True)
        try:
            if "tick" in step:
                spec.on_tick(store, spec.uint64(step["tick"]))
            elif "block" in step:
                apply_block(spec, store, read(step["block"], spec.SignedBeaconBlock))
            elif "attestation" in step:
                spec.on_attestation(store, read(step["attestation"], spec.Attestation))
            elif "attester_slashing" in step:
                spec.on_attester_slashing(store, read(step["attester_slashing"], spec.AttesterSlashing))
            else:
                found = checks_of(spec, store)
                for name, expected in step["checks"].items():
                    if name in found:
                        assert found[name] == expected, f"{name} is {found[name]}, expected {expected}"
                continue
        except INVALID:
            assert not is_valid, f"{step} is refused"
            continue
        assert is_valid, f"{step} is accepted"
