"""Random chains through Python and Rust: `python -m native_dvt.difference DIRECTORY --runner PROGRAM`.

Writes random chains as vectors, in batches, and lets the runner of vectors judge each batch. A batch in which both
agree is removed. One with a difference stays, and next to it, in `minimised`, the one block that brings the difference
about, with as little in it as possible.

With `--journal`, what was compared is written to a file, and a run that is started again goes on where it was. A
journal is for one specification and one runner: it is begun anew if either is another.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from . import bls
from .cases.case import Case
from .cases.random_chain import fill_in_state_root, random_chains
from .spec import PACKAGE, load
from .vectors import write_case

#: Chains of a batch.
BATCH = 20
#: Lists of a block that a difference may not need.
LISTS = (
    "proposer_slashings",
    "attester_slashings",
    "attestations",
    "voluntary_exits",
    "bls_to_execution_changes",
    "key_set_changes",
    "execution_requests.deposits",
    "execution_requests.withdrawals",
    "execution_requests.consolidations",
)


class Runner:
    """The program that judges vectors, and a directory for them."""

    def __init__(self, program: Path, directory: Path) -> None:
        self.program = program
        self.directory = directory

    def path_of(self, case: Case) -> Path:
        return self.directory / "tests" / "minimal" / "dvt" / str(case)

    def judge(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.program, self.directory], capture_output=True, text=True, check=False)

    def differs(self, case: Case) -> bool:
        """Whether the program finds something else than the specification."""
        shutil.rmtree(self.directory, ignore_errors=True)
        write_case(self.path_of(case), case)
        return self.judge().returncode != 0


def one_block(spec: ModuleType, state: Any, signed_block: Any, name: str, is_root_filled_in: bool = True) -> Case:
    """A case of one block, with its state root or with the one that it would have if all checks passed."""
    block, pre = signed_block.copy(), state.copy()
    if is_root_filled_in:
        ahead = pre.copy()
        spec.process_slots(ahead, block.message.slot)
        fill_in_state_root(spec, block.message, ahead)

    def run(state: Any) -> Any:
        with bls.switched(False):
            spec.state_transition(state, block)
        return state

    case = Case("random", "random", name, {"pre": pre, "blocks_0": block}, run)
    case.data["meta"] = {"blocks_count": 1, "bls_setting": 2}
    case.is_valid = case.outcome() is not None
    return case


def smaller_blocks(signed_block: Any) -> Iterator[Any]:
    """The block without one of its operations, or without votes of the sync committee."""
    for name in LISTS:
        *outer, field = name.split(".")
        for position in range(len(_at(signed_block.message.body, [*outer, field]))):
            smaller = signed_block.copy()
            holder = _at(smaller.message.body, outer)
            values = list(getattr(holder, field))
            setattr(holder, field, values[:position] + values[position + 1 :])
            yield smaller
    if any(signed_block.message.body.sync_aggregate.sync_committee_bits):
        smaller = signed_block.copy()
        bits = smaller.message.body.sync_aggregate.sync_committee_bits
        smaller.message.body.sync_aggregate.sync_committee_bits = [False] * len(bits)
        yield smaller


def _at(value: Any, path: list[str]) -> Any:
    for name in path:
        value = getattr(value, name)
    return value


def minimised(spec: ModuleType, case: Case, runner: Runner) -> Case | None:
    """One block of a chain that makes a difference alone, with nothing in it that can be left out."""
    state = case.inputs["pre"].copy()
    for number in range(case.data["meta"]["blocks_count"]):
        block = case.inputs[f"blocks_{number}"]
        for is_root_filled_in in (True, False):
            found = one_block(spec, state, block, f"{case.name}_block_{number}", is_root_filled_in)
            if runner.differs(found):
                return _reduced(spec, found, runner) if is_root_filled_in else found
        if found.is_valid:
            with bls.switched(False):
                spec.state_transition(state, block)
    return None


def _reduced(spec: ModuleType, case: Case, runner: Runner) -> Case:
    pre = case.inputs["pre"]
    for block in smaller_blocks(case.inputs["blocks_0"]):
        smaller = one_block(spec, pre, block, case.name)
        if runner.differs(smaller):
            return _reduced(spec, smaller, runner)
    return case


class Journal:
    """What was compared: one line for each batch, after a line that says what with what."""

    def __init__(self, path: Path | None, digest: str) -> None:
        self.path = path
        self.seed = 0
        self.counts: Counter[str] = Counter()
        self.seconds = 0.0
        head = json.dumps({"specification and runner": digest}) + "\n"
        if path is None:
            return
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        if not lines or lines[0] != head:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(head)
            return
        for line in lines[1:]:
            self._take(json.loads(line))

    def _take(self, entry: dict[str, Any]) -> None:
        self.seed = entry["next seed"]
        self.seconds += entry["seconds"]
        self.counts.update(entry["counts"])

    def add(self, seed: int, counts: Counter[str], seconds: float) -> None:
        entry = {"next seed": seed, "seconds": round(seconds, 1), "counts": dict(sorted(counts.items()))}
        self._take(entry)
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps(entry) + "\n")


def digest_of(spec: ModuleType, program: Path, arguments: str) -> str:
    """What the outcome of a run depends on."""
    assert spec.__file__ is not None
    digest = hashlib.sha256(arguments.encode())
    for path in (Path(spec.__file__), program, *sorted((PACKAGE / "cases").glob("*.py"))):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description="Compares Python and Rust on random chains with groups.")
    parser.add_argument("directory", type=Path, help="where vectors are written")
    parser.add_argument("--runner", type=Path, required=True, help="the program that runs vectors")
    parser.add_argument("--blocks", type=int, default=400, help="blocks in all (default: 400)")
    parser.add_argument("--length", type=int, default=12, help="blocks of a chain (default: 12)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--journal", type=Path, help="a file to go on from")
    arguments = parser.parse_args()
    spec = load("minimal")
    what = f"{arguments.length} from {arguments.seed}"
    journal = Journal(arguments.journal, digest_of(spec, arguments.runner, what))
    runner = Runner(arguments.runner, arguments.directory)
    seed = max(arguments.seed, journal.seed)
    while journal.counts["blocks"] < arguments.blocks:
        started = time.monotonic()
        shutil.rmtree(arguments.directory, ignore_errors=True)
        counts: Counter[str] = Counter()
        cases: dict[str, Case] = {}
        for case, maker in random_chains(spec, range(seed, seed + BATCH), arguments.length):
            # What comes of it was found when it was made.
            write_case(runner.path_of(case), dataclasses.replace(case, run=maker.get_end))
            counts += maker.counts
            counts["chains"] += 1
            cases[case.name] = case
        result = runner.judge()
        if result.returncode != 0:
            print(result.stdout, result.stderr)
            report_difference(spec, result.stdout, cases, arguments)
        seed += BATCH
        journal.add(seed, counts, time.monotonic() - started)
        known = journal.counts
        refused = sum(number for name, number in known.items() if name.startswith("refused"))
        print(
            f"{known['blocks']} blocks of {known['chains']} chains, {refused} refused by both, no difference, "
            f"{journal.seconds:.0f} s",
            flush=True,
        )
    shutil.rmtree(arguments.directory, ignore_errors=True)
    print("of these:")
    for name, number in sorted(journal.counts.items()):
        print(f"{number:8} {name}")


def report_difference(spec: ModuleType, output: str, cases: dict[str, Case], arguments: argparse.Namespace) -> None:
    """Makes a difference small, and gives up."""
    target = arguments.directory / "minimised"
    scratch = Runner(arguments.runner, arguments.directory / "scratch")
    for name in sorted(cases):
        if f"/{name}:" not in output:
            continue
        case = minimised(spec, cases[name], scratch)
        if case is not None:
            write_case(target / "tests" / "minimal" / "dvt" / str(case), case)
    shutil.rmtree(scratch.directory, ignore_errors=True)
    raise SystemExit(f"a difference; its vectors are kept in {arguments.directory}, what is needed of them in {target}")


if __name__ == "__main__":
    main()
