"""Writes cases as official-format vectors: `python -m native_dvt.vectors DIRECTORY`.

A case is written aside and moved when it is complete. The same specification gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import shutil
import sys
import tarfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import snappy
from ruamel.yaml import YAML

from .cases.case import Case, all_cases
from .spec import PRESETS, load


def yaml_text(value: Any) -> str:
    stream = io.StringIO()
    YAML(typ="safe").dump(value, stream)
    return stream.getvalue()


def write_case(directory: Path, case: Case) -> None:
    """Writes one case into its directory. An input that has to be refused has no state after it."""
    aside = directory.with_name(directory.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    after = case.outcome()
    if (after is not None) != case.is_valid:
        raise SystemExit(f"{case}: meant to be {'valid' if case.is_valid else 'invalid'}, but is not")
    values = dict(case.inputs)
    if after is not None and case.has_post:
        values["post"] = after
    for name, value in values.items():
        (aside / f"{name}.ssz_snappy").write_bytes(snappy.compress(value.encode_bytes()))
    for name, content in case.data.items():
        (aside / f"{name}.yaml").write_text(yaml_text(content))
    shutil.rmtree(directory, ignore_errors=True)
    aside.replace(directory)


def write_preset(target: Path, preset: str) -> int:
    """Writes the cases of a preset."""
    count = 0
    for case in all_cases(load(preset), of_every_preset=preset != "minimal"):
        write_case(target / "tests" / preset / "dvt" / str(case), case)
        count += 1
        if count % 50 == 0:
            print(f"{preset}: {count} cases", file=sys.stderr)
    return count


def write_all(target: Path, presets: list[str]) -> int:
    """Writes all cases, and a manifest with the hash of every file."""
    with ProcessPoolExecutor() as pool:
        count = sum(pool.map(partial(write_preset, target), presets))
    lines = []
    for path in sorted((target / "tests").rglob("*")):
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(f"{digest}  {path.relative_to(target)}\n")
    (target / "manifest.sha256").write_text("".join(lines))
    return count


def pack(source: Path, archive: Path) -> None:
    """Packs a directory of vectors. The same files give the same bytes."""
    aside = archive.with_name(archive.name + ".part")
    with aside.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for path in sorted(source.rglob("*")):
                if path.is_file():
                    entry = tarfile.TarInfo(str(path.relative_to(source)))
                    entry.size = path.stat().st_size
                    entry.mode = 0o644
                    with path.open("rb") as content:
                        tar.addfile(entry, content)
    aside.replace(archive)


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the cases of native DVT as official-format vectors.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--preset", choices=PRESETS, action="append", help="default: all")
    parser.add_argument("--pack", type=Path, metavar="FILE", help="also pack the directory into a .tar.gz")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.directory / "tests", ignore_errors=True)
    count = write_all(arguments.directory, arguments.preset or list(PRESETS))
    print(f"{count} cases in {arguments.directory}")
    if arguments.pack is not None:
        pack(arguments.directory, arguments.pack)
        print(f"packed into {arguments.pack}: {arguments.pack.stat().st_size} bytes")


if __name__ == "__main__":
    main()
