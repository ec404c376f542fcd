"""The table of endpoints in docs/beacon-api.md."""

import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[3] / "docs/beacon-api.md"
STATES = ["conforms", "deviates", "own", "not served"]
ROW = re.compile(r"^\| (GET|POST) +\| `(/[^`]*)` +\| ([a-z ]+?) +\| (.*?) *\|$")


def rows():
    """State and reason of each method and path."""
    found = {}
    for line in DOCUMENT.read_text().splitlines():
        row = ROW.match(line)
        if row is None:
            continue
        method, path, state, reason = row.groups()
        if (method, path) in found:
            raise ValueError(f"{method} {path} stands in the table twice")
        if state not in STATES:
            raise ValueError(f"{method} {path}: {state!r}, expected one of {', '.join(STATES)}")
        if state != "conforms" and not reason:
            raise ValueError(f"{method} {path}: a reason is missing")
        found[method, path] = (state, reason)
    return found
