"""Writes cases as official-format vectors: `python -m native_dvt.vectors DIRECTORY`.

A case is written aside and moved when it is complete. The same specification gives the same bytes.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import hashlib
import io
import shutil
import sys
import tarfile
import time
from collections import OrderedDict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import snappy
from remerkleable.complex import Container
from ruamel.yaml import YAML

from .cases.case import Case, sources_of
from .spec import PRESETS, load


def yaml_text(value: Any) -> str:
    stream = io.StringIO()
    YAML(typ="safe").dump(value, stream)
    return stream.getvalue()


#: Bytes of long parts of states, by type and root: most states of a preset's cases have the same history.
LONG_PARTS: OrderedDict[tuple[type, bytes], bytes] = OrderedDict()
LONG = 4096


def encoded(value: Any) -> bytes:
    """What `encode_bytes` gives, with fields of a container that are known already."""
    if not isinstance(value, Container):
        return bytes(value.encode_bytes())
    parts = []
    for name, kind in value.fields().items():
        field = getattr(value, name)
        place = kind, bytes(field.hash_tree_root())
        part = LONG_PARTS.get(place)
        if part is None:
            part = bytes(field.encode_bytes())
            if len(part) >= LONG:
                LONG_PARTS[place] = part
                if len(LONG_PARTS) > 64:
                    LONG_PARTS.popitem(last=False)
        parts.append((part, kind.is_fixed_byte_length()))
    # A field of no fixed length has its offset in the first part.
    offset = sum(len(part) if is_fixed else 4 for part, is_fixed in parts)
    first, second = [], []
    for part, is_fixed in parts:
        if is_fixed:
            first.append(part)
        else:
            first.append(offset.to_bytes(4, "little"))
            second.append(part)
            offset += len(part)
    return b"".join(first + second)


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
        (aside / f"{name}.ssz_snappy").write_bytes(snappy.compress(encoded(value)))
    for name, content in case.data.items():
        (aside / f"{name}.yaml").write_text(yaml_text(content))
    shutil.rmtree(directory, ignore_errors=True)
    aside.replace(directory)


def write_source(target: Path, preset: str, source: str) -> list[str]:
    """Writes the cases of one source; gives their names."""
    written = []
    started = time.process_time()
    for case in sources_of(preset)[source](load(preset)):
        directory = target / "tests" / preset / "dvt" / str(case)
        if directory.exists():
            raise SystemExit(f"{case} exists twice")
        write_case(directory, case)
        written.append(str(directory))
    print(f"{preset}: {len(written)} cases of {source}, {time.process_time() - started:.0f} s", file=sys.stderr)
    return written


def write_all(target: Path, presets: list[str]) -> int:
    """Writes all cases into an empty directory, and a manifest with the hash of every file."""
    sources = [(preset, source) for preset in sorted(presets) for source in sources_of(preset)]
    for preset in presets:
        # Composed once: those who work beside each other find it.
        load(preset)
    with ProcessPoolExecutor() as pool:
        written = pool.map(functools.partial(write_source, target), *zip(*sources, strict=True))
        count = sum(len(cases) for cases in written)
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
