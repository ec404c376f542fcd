"""Random chains, and what is done with a difference."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from native_dvt import bls
from native_dvt.cases.case import INVALID, Case
from native_dvt.cases.random_chain import RandomChain, fill_in_state_root, random_chains
from native_dvt.cases.spoils import SPOILS, Unsuitable
from native_dvt.difference import Journal, Runner, minimised
from native_dvt.patching import plain, replaced
from native_dvt.spec import load

SPEC = load("minimal")


class NoExits(Runner):
    """Differs from the specification whenever a block has exits."""

    def __init__(self) -> None:
        pass

    def differs(self, case: Case) -> bool:
        return any(len(block.message.body.voluntary_exits) for name, block in case.inputs.items() if name != "pre")


def test_a_difference_is_made_small() -> None:
    runner = NoExits()
    case = next(case for case, _ in random_chains(SPEC, range(50), 4) if runner.differs(case))
    small = minimised(SPEC, case, runner)
    assert small is not None
    assert small.data["meta"]["blocks_count"] == 1
    body = small.inputs["blocks_0"].message.body
    assert len(body.voluntary_exits) == 1
    assert len(body.attestations) == len(body.execution_requests.withdrawals) == 0
    assert not any(body.sync_aggregate.sync_committee_bits)
    assert (small.outcome() is not None) == small.is_valid


def test_a_chain_without_a_difference_stays_whole() -> None:
    runner = NoExits()
    case = next(case for case, _ in random_chains(SPEC, range(50), 2) if not runner.differs(case))
    assert minimised(SPEC, case, runner) is None


def test_what_was_found_when_a_chain_was_made_is_what_comes_of_it() -> None:
    for case, maker in random_chains(SPEC, range(4), 4):
        after = case.outcome()
        assert (after is None) == (maker.end is None) == (not case.is_valid)
        assert after is None or after.hash_tree_root() == maker.end.hash_tree_root()


def test_a_journal_goes_on_only_with_the_same_code(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal(path, "one").add(20, Counter(blocks=7), 1.5)
    Journal(path, "one").add(40, Counter(blocks=5), 1.0)
    again = Journal(path, "one")
    assert (again.seed, again.counts["blocks"], again.seconds) == (40, 12, 2.5)
    assert Journal(path, "another").counts == Counter()


@pytest.mark.parametrize("name", sorted(SPOILS))
def test_every_way_to_spoil_a_block_makes_it_invalid(name: str) -> None:
    with bls.switched(False):
        for seed in range(100):
            maker = RandomChain(SPEC, seed)
            block, ahead = maker.block()
            try:
                SPEC.process_block(ahead.copy(), block.message)
            except INVALID:
                continue
            maker.chain.state = ahead
            try:
                SPOILS[name](maker, block.message)
            except Unsuitable:
                continue
            with pytest.raises(INVALID):
                SPEC.process_block(ahead.copy(), block.message)
            return
    raise AssertionError("no chain suits")


def test_who_forgets_a_check_accepts_a_spoiled_block() -> None:
    with bls.switched(False):
        maker = RandomChain(SPEC, 1)
        before = maker.chain.state
        block, ahead = maker.block()
        SPEC.process_block(ahead.copy(), block.message)
        maker.chain.state = ahead
        SPOILS["attestation: data index"](maker, block.message)
        fill_in_state_root(SPEC, block.message, ahead)
        with pytest.raises(INVALID):
            SPEC.state_transition(before.copy(), block)
        with replaced(SPEC, {"process_attestation": _without("process_attestation", "data.index == 0")}):
            SPEC.state_transition(before.copy(), block)


def _without(name: str, check: str):  # noqa: ANN202
    """Code of a function without one of its assertions."""
    tree = ast.parse(Path(str(SPEC.__file__)).read_text())
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    count = len(function.body)
    function.body = [n for n in function.body if not (isinstance(n, ast.Assert) and ast.unparse(n.test) == check)]
    assert len(function.body) == count - 1
    namespace = dict(vars(SPEC))
    exec(compile(ast.Module([function], []), "without a check", "exec"), namespace)  # noqa: S102
    return plain(namespace[name]).__code__
