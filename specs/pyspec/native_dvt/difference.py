"""Random chains through Python and Rust: `python -m native_dvt.difference DIRECTORY --runner PROGRAM`.

Writes random chains as vectors, in batches, and lets the runner of vectors judge each batch. A batch in which both
agree is removed; one with a difference stays, with the case named by the runner.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import time
from pathlib import Path

from .cases.random_chain import random_cases
from .spec import load
from .vectors import write_case


def main() -> None:
    parser = argparse.ArgumentParser(description="Compares Python and Rust on random chains with groups.")
    parser.add_argument("directory", type=Path, help="where vectors are written")
    parser.add_argument("--runner", type=Path, required=True, help="the program that runs vectors")
    parser.add_argument("--blocks", type=int, default=400, help="blocks in all (default: 400)")
    parser.add_argument("--length", type=int, default=12, help="blocks of a chain (default: 12)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    arguments = parser.parse_args()
    spec = load("minimal")
    seed, blocks, refused, batch = arguments.seed, 0, 0, 20
    started = time.monotonic()
    while blocks < arguments.blocks:
        shutil.rmtree(arguments.directory, ignore_errors=True)
        for case in random_cases(spec, range(seed, seed + batch), arguments.length):
            write_case(arguments.directory / "tests" / "minimal" / "dvt" / str(case), case)
            blocks += int(case.data["meta"]["blocks_count"])
            refused += not case.is_valid
        seed += batch
        result = subprocess.run([arguments.runner, arguments.directory], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            print(result.stdout, result.stderr)
            raise SystemExit(f"a difference; its vectors are kept in {arguments.directory}")
        elapsed = time.monotonic() - started
        chains = seed - arguments.seed
        print(f"{blocks} blocks of {chains} chains, {refused} refused by both, no difference, {elapsed:.0f} s")
    shutil.rmtree(arguments.directory, ignore_errors=True)


if __name__ == "__main__":
    main()
