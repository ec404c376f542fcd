"""Sends what schemathesis makes up of the OpenAPI description to a running node: no answer may be outside of it.

python fuzz.py --url http://127.0.0.1:5052; the environment variable BEACON_API_SPEC names the description.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import requests

from contract import DEVIATIONS, SIGNED
from description import METHODS, Description
from table import rows

LEFT_OUT = {
    # A stream has no end.
    ("GET", "/eth/v1/events"),
    # It answers with the status that it is asked for.
    ("GET", "/eth/v1/node/health"),
    # A blob is larger than anything that is made up.
    ("POST", "/eth/v2/beacon/blocks"),
}
CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance"
# What has to be signed is refused with 503 by a node without execution client, and selections with 501: no faults.
REFUSED = {501, 503}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--examples", type=int, default=10, help="requests of each kind for each endpoint")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    spec = requests.get(f"{arguments.url}/eth/v1/config/spec", timeout=30).json()["data"]
    description = Description(os.environ["BEACON_API_SPEC"], {512: int(spec["SYNC_COMMITTEE_SIZE"])})
    table = rows()
    # Without execution client nothing is signed.
    left_out = LEFT_OUT | (DEVIATIONS.keys() - set(SIGNED))
    served = {key for key, (state, _) in table.items() if state != "not served"} - left_out
    count = 0
    for path, item in list(description.document["paths"].items()):
        for method in METHODS:
            operation = item.get(method)
            if operation is None:
                continue
            if (method.upper(), path) not in served:
                del item[method]
                continue
            count += 1
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "description.json"
        file.write_text(json.dumps(description.document))
        configuration = Path(directory) / "schemathesis.toml"
        expected = json.dumps(["2xx", "3xx", "4xx", *(str(status) for status in sorted(REFUSED))])
        configuration.write_text(f"[checks]\nnot_a_server_error.expected-statuses = {expected}\n")
        command = [str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(configuration)]
        command += ["run", str(file), "--url", arguments.url, "--checks", CHECKS, "--phases", "coverage,fuzzing"]
        command += ["--max-examples", str(arguments.examples), "--seed", str(arguments.seed), "--no-shrink"]
        command += ["--suppress-health-check", "all", "--warnings", "off", "--continue-on-failure"]
        print(f"schemathesis: {count} endpoints", flush=True)
        status = subprocess.run(command, cwd=directory).returncode
    requests.get(f"{arguments.url}/eth/v1/node/version", timeout=30).raise_for_status()
    sys.exit(status)


if __name__ == "__main__":
    main()
