"""Which lines of the specification's text were executed: `python -m native_dvt.covered coverage.json`.

Reads the JSON report of coverage.py about the generated modules, tells lines of the markdown, and fails if any line of
a function was not executed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .spec import BUILD, specification_documents


def main() -> None:
    report = json.loads(Path(sys.argv[1]).read_text())
    module = BUILD / "dvt_minimal.py"
    entry = next((value for name, value in report["files"].items() if name.endswith("build/dvt_minimal.py")), None)
    if entry is None:
        raise SystemExit(f"{sys.argv[1]} has nothing about {module}")
    missing, executed = set(entry["missing_lines"]), set(entry["executed_lines"])
    lines = module.read_text().splitlines()
    places = {lines[number].removeprefix("# "): number + 2 for number in range(len(lines))}
    total = covered = 0
    for document in specification_documents():
        count = 0
        for definition in document.definitions.values():
            first = places[f"{document.path.name}, {definition.name}"]
            for offset in range(definition.source.count("\n")):
                number = first + offset
                total += number in missing or number in executed
                covered += number in executed
                count += number in executed
                if number in missing:
                    where = definition.line + offset
                    print(
                        f"{document.path.name}:{where}: {definition.name}: never executed: {lines[number - 1].strip()}"
                    )
        print(f"{document.path.name}: {len(document.definitions)} definitions, {count} lines executed")
    print(f"{covered} of {total} lines executed ({100 * covered / total:.1f} %)")
    if covered < total:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
