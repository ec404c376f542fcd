"""Mutants of the specification's text: `python -m native_dvt.mutants --runner PROGRAM`.

Changes one place of the text at a time. A mutant is caught if a vector that the changed text gives makes the Rust
runner fail: each vector is an input of the cases with what comes of it by the changed text, or with no state if the
changed text refuses it. Of a mutant whose text does not end, or that breaks off while a vector is made, there is no
such vector; it is counted apart. What survives has to be explained in `mutants.yaml`.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, wraps
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from ruamel.yaml import YAML

from .cases.case import Case, Source, sources_of
from .cases.steps import apply_block, checks_of
from .mutations import Mutant, all_mutants
from .patching import forget, plain
from .spec import PACKAGE, load, specification_documents
from .vectors import write_case

EXPLAINED = Path(__file__).with_suffix(".yaml")
#: A case may take this much longer than with the text itself, and this many seconds more, before it counts as endless.
PATIENCE, GRACE = 20, 3

CAUGHT, NO_VECTOR, SURVIVED = "caught", "no vector", "survived"


class Endless(BaseException):
    """A case does not come to an end. Not caught by those who expect invalid input."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    def give_up(*_: Any) -> None:
        raise Endless

    # Time of this process: others may be running.
    signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


class Broken(Exception):
    """The text gives no vector for an input."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a vector says of an input."""

    is_valid: bool
    root: bytes | None
    data: str
    #: The state after a valid change, to be written.
    after: Any = dataclasses.field(default=None, compare=False, repr=False)
    written: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    @property
    def brief(self) -> Finding:
        """What has to be remembered."""
        return dataclasses.replace(self, after=None, written={})


def finding_of(case: Case, spec: ModuleType) -> Finding:
    """What the text says of a case's input now."""
    if case.runner == "fork_choice":
        steps = steps_found(case, spec)
        return Finding(True, None, json.dumps(steps), None, {"steps": steps})
    if case.call is not None:
        try:
            output = case.call()
        except Exception as error:
            raise Broken from error
        return Finding(True, None, json.dumps(output), None, {"data": {**case.data["data"], "output": output}})
    try:
        after = case.run(case.inputs[case.initial].copy())
        root = bytes(after.hash_tree_root())
    except Exception:
        # Also of other kinds than those that mean invalid input: changed text may not be executable any more.
        return Finding(False, None, "")
    return Finding(True, root, "", after)


def steps_found(case: Case, spec: ModuleType) -> list[dict[str, Any]]:
    """The steps of a fork choice case as the text would write them now."""
    try:
        store = spec.get_forkchoice_store(case.inputs["anchor_state"].copy(), case.inputs["anchor_block"].copy())
    except Exception as error:
        raise Broken from error
    steps: list[dict[str, Any]] = []
    for step in case.data["steps"]:
        if "checks" in step:
            try:
                found = checks_of(spec, store)
            except Exception as error:
                raise Broken from error
            steps.append({"checks": {name: found[name] for name in step["checks"]}})
            continue
        said = {name: value for name, value in step.items() if name != "valid"}
        try:
            take_step(case, spec, store, step)
        except Exception:
            said["valid"] = False
        steps.append(said)
    return steps


def take_step(case: Case, spec: ModuleType, store: Any, step: dict[str, Any]) -> None:
    if "tick" in step:
        spec.on_tick(store, spec.uint64(step["tick"]))
    elif "block" in step:
        apply_block(spec, store, case.inputs[step["block"]])
    elif "attestation" in step:
        spec.on_attestation(store, case.inputs[step["attestation"]])
    else:
        spec.on_attester_slashing(store, case.inputs[step["attester_slashing"]])


class Rust:
    """The program that runs vectors."""

    def __init__(self, program: Path, directory: Path) -> None:
        self.program, self.directory = program, directory
        shutil.rmtree(directory, ignore_errors=True)

    def write(self, case: Case, finding: Finding | None = None) -> None:
        """Writes a case, with another finding than it has itself."""
        if finding is not None:
            after = finding.after if case.has_post else "nothing"
            case = dataclasses.replace(
                case,
                run=lambda _: after if finding.is_valid else refuse(),
                is_valid=finding.is_valid,
                data={**case.data, **finding.written},
            )
        write_case(self.directory / "tests" / "minimal" / "dvt" / str(case), case)

    def passes(self) -> bool:
        """Whether the program passes what was written; it is gone then."""
        result = subprocess.run([self.program, self.directory], capture_output=True, text=True, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)
        return result.returncode == 0


def refuse() -> None:
    raise AssertionError


@dataclasses.dataclass
class Known:
    """A case, and what is known of it."""

    case: Case
    finding: Finding
    seconds: float
    functions: set[str]


@dataclasses.dataclass
class Batch:
    """Cases that say what the text computed when they were made: to see a change, they are made again."""

    make: Source
    cases: dict[str, Case]
    seconds: float
    functions: set[str]


@contextmanager
def noting_functions(spec: ModuleType, into: set[str]) -> Iterator[None]:
    """Which functions of a specification are called."""
    functions = {name: value for name, value in vars(spec).items() if is_function(value)}

    def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            into.add(name)
            return function(*arguments, **named)

        return call

    vars(spec).update({name: noted(name, function) for name, function in functions.items()})
    try:
        yield
    finally:
        vars(spec).update(functions)


def is_function(value: Any) -> bool:
    """Whether a value of a module is a function of the text, cached or not."""
    is_callable = callable(value) and not isinstance(value, type)
    return is_callable and str(value.__module__).startswith("native_dvt_")


class Suite:
    """All cases of the minimal preset, and who of them runs which function."""

    def __init__(self, spec: ModuleType, rust: Rust, sources: list[Source]) -> None:
        self.spec = spec
        self.known: list[Known] = []
        self.batches: list[Batch] = []
        for make in sources:
            cases = list(make(spec))
            if all(is_made_when_written(case) for case in cases):
                self._add_batch(make, rust)
            else:
                for case in cases:
                    self._add(case, rust)
        if not rust.passes():
            raise SystemExit("the program does not pass the vectors of the text as it is; nothing can be said then")
        # The quick ones first: most mutants need no other.
        self.known.sort(key=lambda known: known.seconds)
        self.batches.sort(key=lambda batch: batch.seconds)

    def _add(self, case: Case, rust: Rust) -> None:
        functions: set[str] = set()
        started = time.process_time()
        with noting_functions(self.spec, functions):
            finding = finding_of(case, self.spec)
        self.known.append(Known(case, finding.brief, time.process_time() - started, functions))
        rust.write(case, finding)

    def _add_batch(self, make: Source, rust: Rust) -> None:
        forget(self.spec)
        functions: set[str] = set()
        started = time.process_time()
        with noting_functions(self.spec, functions):
            cases = list(make(self.spec))
        self.batches.append(Batch(make, {str(c): c for c in cases}, time.process_time() - started, functions))
        for case in cases:
            rust.write(case)

    @cached_property
    def functions(self) -> set[str]:
        """What a vector runs."""
        of_cases = (known.functions for known in self.known)
        return set().union(*of_cases, *(batch.functions for batch in self.batches))

    def users(self, mutant: Mutant, first: str | None) -> list[Known]:
        """Cases that run what was changed."""
        names = {mutant.name} if mutant.code is not None else self.functions_with(mutant.name)
        users = [known for known in self.known if not names.isdisjoint(known.functions)]
        # What caught it last time will catch it again.
        users.sort(key=lambda known: str(known.case) != first)
        return users

    def functions_with(self, constant: str) -> set[str]:
        functions = {name: getattr(self.spec, name) for name in self.functions}
        return {name for name, function in functions.items() if constant in names_in(plain(function).__code__)}


def names_in(code: CodeType) -> set[str]:
    """Global names and attributes that code refers to."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= names_in(constant)
    return found


def is_made_when_written(case: Case) -> bool:
    """Whether a case holds only values that were computed when it was made."""
    return not case.has_post and case.call is None and case.runner != "fork_choice"


def differing(batch: Batch, cases: list[Case]) -> Iterator[Case]:
    """Cases that say something else than those of a batch."""
    for case in cases:
        before = batch.cases.get(str(case))
        if before is None or case.data != before.data or encoded(case) != encoded(before):
            yield case


def encoded(case: Case) -> dict[str, bytes]:
    return {name: value.encode_bytes() for name, value in case.inputs.items()}


class Trial:
    """Tries mutants."""

    def __init__(self, suite: Suite, rust: Rust) -> None:
        self.suite, self.rust = suite, rust

    def outcome(self, mutant: Mutant, first: str | None = None) -> tuple[str, str]:
        """Whether a mutant is caught, and by which case."""
        spec = self.suite.spec
        forget(spec)
        try:
            with mutant.in_force(spec):
                return self._outcome(mutant, first)
        finally:
            forget(spec)

    def _outcome(self, mutant: Mutant, first: str | None) -> tuple[str, str]:
        spec, missing = self.suite.spec, ""
        for known in self.suite.users(mutant, first):
            try:
                with time_limit(GRACE + PATIENCE * known.seconds):
                    finding = finding_of(known.case, spec)
            except Endless:
                return NO_VECTOR, str(known.case)
            except Broken:
                missing = missing or str(known.case)
                continue
            if finding != known.finding:
                self.rust.write(known.case, finding)
                if not self.rust.passes():
                    return CAUGHT, str(known.case)
        for batch in self.suite.batches:
            if mutant.code is not None and mutant.name not in batch.functions:
                continue
            try:
                with time_limit(GRACE + PATIENCE * batch.seconds):
                    cases = list(batch.make(spec if mutant.code is not None else with_constant(spec, mutant)))
            except Endless:
                return NO_VECTOR, batch.make.__name__
            except Exception:
                # The generator stops before it writes anything.
                missing = missing or batch.make.__name__
                continue
            for case in differing(batch, cases):
                self.rust.write(case)
                if not self.rust.passes():
                    return CAUGHT, str(case)
        return (NO_VECTOR, missing) if missing else (SURVIVED, "")


def with_constant(spec: ModuleType, mutant: Mutant) -> ModuleType:
    """The specification executed anew with another constant: types depend on constants."""
    assert spec.__file__ is not None
    value = mutant.value
    kind = type(value).__name__
    bare = repr(bytes(value) if isinstance(value, bytes) else value if isinstance(value, list) else int(value))
    text = bare if kind in ("int", "list") else f"{kind}({bare})"
    lines = Path(spec.__file__).read_text().splitlines(keepends=True)
    start = f"{mutant.name} = "
    lines = [f"{start}{text}\n" if line.startswith(start) else line for line in lines]
    module = ModuleType("native_dvt_mutant")
    module.__file__ = spec.__file__
    # Annotations are looked up in the module of a class.
    sys.modules[module.__name__] = module
    exec(compile("".join(lines), "text with another constant", "exec", dont_inherit=True), vars(module))  # noqa: S102
    if hasattr(module.config, mutant.name):
        setattr(module.config, mutant.name, value)
    return module


class Explanations:
    """Survivors with the reason why no vector can catch them."""

    def __init__(self, path: Path) -> None:
        content = YAML(typ="safe").load(path)
        self.survivors: dict[str, str] = {}
        for entry in content["survivors"]:
            for change in entry["changes"]:
                key = f"{entry['name']}: {change}"
                if key in self.survivors:
                    raise SystemExit(f"{path}: {key} is explained twice")
                self.survivors[key] = entry["reason"]

    def mistakes(self, mutants: list[Mutant], results: dict[str, tuple[str, str]]) -> list[str]:
        """Explanations of what is not so."""
        keys = {mutant.key for mutant in mutants}
        found = [f"explained, but there is no such mutant: {key}" for key in self.survivors if key not in keys]
        for key, (outcome, case) in results.items():
            if key in self.survivors and outcome != SURVIVED:
                found.append(f"explained, but {outcome} ({case}): {key}")
        return found


class Results:
    """What was found out, in a file from which a run goes on. For other text or cases it says what to try first."""

    def __init__(self, path: Path | None, digest: str) -> None:
        self.path = path
        self.found: dict[str, tuple[str, str]] = {}
        self.hints: dict[str, str] = {}
        if path is None:
            return
        head = json.dumps({"digest": digest}) + "\n"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        entries = [json.loads(line) for line in lines[1:]]
        self.hints = {entry["key"]: entry["case"] for entry in entries if entry["case"]}
        if lines and lines[0] == head:
            self.found = {entry["key"]: (entry["outcome"], entry["case"]) for entry in entries if entry["outcome"]}
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        hints = (json.dumps({"key": key, "outcome": "", "case": case}) + "\n" for key, case in self.hints.items())
        path.write_text(head + "".join(hints))

    def add(self, key: str, outcome: str, case: str) -> None:
        self.found[key] = (outcome, case)
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps({"key": key, "outcome": outcome, "case": case}) + "\n")


def digest_of(program: Path, spec: ModuleType) -> str:
    """What outcomes depend on."""
    assert spec.__file__ is not None
    digest = hashlib.sha256()
    for path in (
        Path(spec.__file__),
        program,
        *sorted(PACKAGE.glob("*.py")),
        *sorted((PACKAGE / "cases").glob("*.py")),
    ):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def chosen(mutants: list[Mutant], names: list[str] | None, part: str) -> list[Mutant]:
    number, parts = (int(text) for text in part.split("/"))
    if names:
        mutants = [mutant for mutant in mutants if mutant.name in names]
    return [mutant for position, mutant in enumerate(mutants) if position % parts == number - 1]


def print_counts(mutants: list[Mutant], results: dict[str, tuple[str, str]], survivors: dict[str, str]) -> None:
    """How many of each function or constant are caught."""
    tables: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    constants = {mutant.name for mutant in mutants if mutant.code is None}
    for mutant in mutants:
        row = "constants" if mutant.name in constants else mutant.name
        outcome = results[mutant.key][0]
        if outcome == SURVIVED and mutant.key in survivors:
            outcome = "explained"
        tables[mutant.document][row][outcome] += 1
    for document, rows in tables.items():
        total: Counter[str] = sum(rows.values(), Counter())
        print(f"{document}: {counts_text(total)}")
        for name, counts in rows.items():
            print(f"    {name}: {counts_text(counts)}")


def counts_text(counts: Counter[str]) -> str:
    text = f"{counts[CAUGHT]} of {counts.total()}"
    others = {NO_VECTOR: "without a vector", "explained": "explained", SURVIVED: "NOT EXPLAINED"}
    return text + "".join(f", {counts[outcome]} {name}" for outcome, name in others.items() if counts[outcome])


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Changes one place of the text at a time and runs the vectors it gives."
    )
    parser.add_argument("--runner", type=Path, required=True, help="the program that runs vectors")
    parser.add_argument("--directory", type=Path, default=Path("build/mutants"), help="where vectors are written")
    parser.add_argument("--function", action="append", help="only mutants of this function or constant")
    parser.add_argument("--part", default="1/1", help="only one part of the mutants, as in 2/3")
    parser.add_argument("--results", type=Path, help="a file of results to go on from")
    parser.add_argument("--share", type=float, default=0.95, help="fail if a smaller share is caught (default: 0.95)")
    arguments = parser.parse_args()
    spec = load("minimal")
    explanations = Explanations(EXPLAINED)
    rust = Rust(arguments.runner, arguments.directory)
    results = Results(arguments.results, digest_of(arguments.runner, spec))
    everything = list(all_mutants(specification_documents(), spec))
    suite = Suite(spec, rust, list(sources_of("minimal").values()))
    trial = Trial(suite, rust)
    tried = chosen(everything, arguments.function, arguments.part)
    print(
        f"{len(suite.known) + sum(len(batch.cases) for batch in suite.batches)} cases, {len(tried)} mutants", flush=True
    )
    for number, mutant in enumerate(tried, start=1):
        if mutant.key not in results.found:
            outcome, case = trial.outcome(mutant, results.hints.get(mutant.key))
            results.add(mutant.key, outcome, case)
        outcome, case = results.found[mutant.key]
        if outcome != CAUGHT and mutant.key not in explanations.survivors:
            print(f"{mutant}: {outcome} {case}", flush=True)
        if number % 50 == 0:
            print(f"{number} of {len(tried)}", flush=True)
    report(everything, tried, results, explanations, arguments.share)


def report(
    everything: list[Mutant],
    tried: list[Mutant],
    results: Results,
    explanations: Explanations,
    share: float,
) -> None:
    """Prints all counts, and fails if too little is caught or an explanation is missing or wrong."""
    found = {mutant.key: results.found[mutant.key] for mutant in tried}
    print_counts(tried, found, explanations.survivors)
    outcomes = Counter(outcome for outcome, _ in found.values())
    survivors = [key for key, (outcome, _) in found.items() if outcome == SURVIVED]
    missing = [key for key in survivors if key not in explanations.survivors]
    caught = outcomes[CAUGHT] + outcomes[NO_VECTOR]
    print(
        f"{caught} of {len(tried)} mutants caught ({100 * caught / max(len(tried), 1):.1f} %): "
        f"{outcomes[CAUGHT]} by a Rust run that fails, {outcomes[NO_VECTOR]} because the text gives no vector; "
        f"{len(survivors) - len(missing)} survivors explained, {len(missing)} not"
    )
    mistakes = explanations.mistakes(everything, found)
    for mistake in mistakes:
        print(mistake)
    if mistakes or missing or caught < share * len(tried):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
