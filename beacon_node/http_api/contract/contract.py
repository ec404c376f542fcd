"""Asks a running node everything that the OpenAPI description of the Beacon API has, and checks the answers and the table.

python contract.py --url http://127.0.0.1:5052; the environment variable BEACON_API_SPEC names the description.
"""

import argparse
import json
import os
import re
import sys
import time
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from cases import Case, Chain, all_cases
from description import FORKS, Description
from table import rows

JSON = "application/json"
SSZ = "application/octet-stream"
PREFER_SSZ = f"{SSZ};q=1.0,{JSON};q=0.9"
# Of these the description of a single endpoint need not speak: they are about any request.
ANYWHERE = {405, 406, 408, 413, 414, 415}
TIMEOUT_SECONDS = 30
# How the endpoints deviate that stand so in the table: each has to be seen, and nothing else.
DEVIATIONS = {
    ("GET", "/eth/v1/beacon/blob_sidecars/{block_id}"): r"\$\.version: 'fulu' is not one of \['deneb', 'electra'\]$",
    ("GET", "/eth/v1/events"): r"topic light_client_(finality|optimistic)_update is refused$",
}
# What is signed keeps the name of its fork: these deviate where that is none of the description's and there is something to
# sign, and have to.
SIGNED = [("GET", "/eth/v3/validator/blocks/{slot}"), ("GET", "/eth/v2/validator/aggregate_attestation")]
DEVIATIONS.update(dict.fromkeys(SIGNED, r"(Eth-Consensus-Version: dvt|\$\.version: 'dvt' is not one of \[.*\])$"))
# Anything larger than a request can be. The node need not read it to the end.
TOO_LARGE = 65 << 20


def new_session():
    """The node may end a connection on which it has refused something unread, just when the next request goes out."""
    session = requests.Session()
    again = Retry(total=2, read=2, connect=0, status=0, redirect=0, allowed_methods=None)
    session.mount("http://", HTTPAdapter(max_retries=again))
    return session


class Report:
    """What was asked, and what was wrong."""

    def __init__(self):
        self.requests = 0
        self.problems = {}
        self.by_endpoint = {}
        self.deviations = set()

    def asked(self, name, status):
        self.requests += 1
        statuses = self.by_endpoint.setdefault(name, {})
        statuses[status] = statuses.get(status, 0) + 1

    def problem(self, name, text):
        method, path = name.split()
        if (method, path) in DEVIATIONS and re.search(DEVIATIONS[method, path], text):
            self.deviations.add((method, path))
            return
        found = self.problems.setdefault(name, [])
        if text not in found:
            found.append(text)


class Contract:
    """A node and what it has promised."""

    def __init__(self, url, table):
        self.url = url.rstrip("/")
        self.table = table
        self.session = new_session()
        self.report = Report()
        self.description = None
        self.fork = None

    def read(self, path, headers=None):
        answer = self.session.get(self.url + path, headers=headers, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        return answer.json()

    def send(self, method, path, case, accept=None):
        for name, value in case.path.items():
            path = path.replace(f"{{{name}}}", value if value.startswith("%") else quote(value, safe=""))
        headers = {"Accept": accept or "*/*", **case.headers}
        body = case.body
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            headers.setdefault("Content-Type", JSON)
        return self.session.request(
            method, self.url + path, params=case.query, data=body, headers=headers, timeout=TIMEOUT_SECONDS
        )

    def check_served(self):
        """Every row against the server, and every operation against the rows."""
        described = {(method, path) for method, path, _ in self.description.operations()}
        for method, path in sorted(described - self.table.keys()):
            self.report.problem(f"{method} {path}", "is described and has no row in the table")
        for (method, path), (state, _) in self.table.items():
            name = f"{method} {path}"
            # A path with its names in it reaches its route and is refused there.
            answer = self.send(
                method, path.replace("{", "").replace("}", ""), Case(body=b"x" if method == "POST" else None)
            )
            unknown = answer.status_code == 405 or (answer.status_code == 404 and "unknown endpoint" in answer.text)
            if unknown != (state == "not served"):
                self.report.problem(
                    name, f"stands as {state!r} in the table, and the server answers {answer.status_code}"
                )

    def check_deviations(self):
        """Those of the table are those that were seen."""
        for key, (state, _) in self.table.items():
            is_signed = key in SIGNED and 200 in self.report.by_endpoint.get(" ".join(key), {})
            may_conform = key in SIGNED and (self.fork in FORKS or not is_signed)
            if (state == "deviates") != (key in self.report.deviations) and not may_conform:
                self.report.problem(
                    " ".join(key), f"stands as {state!r} in the table; deviations: {self.report.deviations}"
                )

    def check(self, cases):
        for method, path, operation in self.description.operations():
            state = self.table.get((method, path), ("not served", ""))[0]
            if state == "not served":
                continue
            name = f"{method} {path}"
            asked = cases.get((method, path))
            if not asked:
                self.report.problem(name, "is served and is not asked anything")
                continue
            for case in asked:
                self.exchange(method, path, operation, case)
            self.check_negotiation(method, path, operation, asked[0])

    def exchange(self, method, path, operation, case, accept=None):
        """Asks, and checks the answer against the description."""
        name = f"{method} {path}"
        answer = self.send(method, path, case, accept)
        status = answer.status_code
        self.report.asked(name, status)
        label = f"{case.path or ''}{case.query or ''}{'' if case.body is None else str(case.body)[:60]}"
        if case.expected and status not in case.expected:
            self.report.problem(name, f"{label}: status {status}, expected {case.expected}: {answer.text[:200]}")
            return answer
        response = self.description.response(operation, status)
        if response is None and status not in ANYWHERE and status != 299:
            # Refusals that the description forgets are still refusals: a shape is required of them.
            if not 400 <= status < 500 and status != 503:
                self.report.problem(name, f"{label}: status {status} is not described")
        self.check_body(name, label, operation, status, answer)
        return answer

    def check_body(self, name, label, operation, status, answer):
        content_type = answer.headers.get("Content-Type", "").split(";")[0]
        response = self.description.response(operation, status) or {}
        content = response.get("content", {})
        if status >= 400:
            self.check_error(name, label, content.get(JSON), content_type, answer)
            return
        for header, described in response.get("headers", {}).items():
            value = answer.headers.get(header)
            if value is None:
                self.report.problem(name, f"{label}: header {header} is missing")
            elif header == "Eth-Consensus-Version" and value not in FORKS:
                self.report.problem(name, f"{label}: header {header}: {value}")
        if not content:
            if answer.content:
                self.report.problem(name, f"{label}: a body where none is described")
            return
        if content_type not in content:
            self.report.problem(name, f"{label}: content type {content_type!r}, expected one of {list(content)}")
            return
        if content_type != JSON:
            return
        value = answer.json()
        version = value.get("version") if isinstance(value, dict) else None
        header = answer.headers.get("Eth-Consensus-Version")
        if header is not None and version is not None and header != version:
            self.report.problem(name, f"{label}: the header says {header}, the body {version}")
        known = version if version in FORKS else "fulu"
        for error in self.description.errors(content[JSON]["schema"], value, known)[:3]:
            self.report.problem(name, f"{label}: {error}")

    def check_error(self, name, label, described, content_type, answer):
        if content_type != JSON:
            self.report.problem(name, f"{label}: an error of content type {content_type!r}: {answer.text[:100]}")
            return
        value = answer.json()
        if value.get("code") != answer.status_code or not value.get("message"):
            self.report.problem(name, f"{label}: an error without code and message: {answer.text[:200]}")
        if described is not None:
            for error in self.description.errors(described["schema"], value)[:2]:
                self.report.problem(name, f"{label}: {error}: {answer.text[:200]}")

    def check_negotiation(self, method, path, operation, case):
        """Media types: SSZ where there is SSZ, JSON everywhere, and nothing that is neither."""
        if method != "GET" or case.expected != (200,):
            return
        name = f"{method} {path}"
        content = (self.description.response(operation, 200) or {}).get("content", {})
        if JSON not in content:
            return
        is_versioned = "Eth-Consensus-Version" in (self.description.response(operation, 200) or {}).get("headers", {})
        hides_fork = is_versioned and self.fork not in FORKS
        if hides_fork:
            self.check_own_fork(method, path, case, SSZ in content)
        for accept, expected in [
            (JSON, JSON),
            ("*/*", JSON),
            (PREFER_SSZ, SSZ if SSZ in content and not hides_fork else JSON),
            (f"{JSON};q=1.0,{SSZ};q=0.9", JSON),
        ]:
            answer = self.exchange(method, path, operation, case, accept)
            got = answer.headers.get("Content-Type")
            if answer.status_code == 200 and got != expected:
                self.report.problem(name, f"Accept: {accept} is answered with {got}")
        refused = ["text/html"] + ([] if SSZ in content else [SSZ])
        for accept in refused:
            answer = self.send(method, path, case, accept)
            self.report.asked(name, answer.status_code)
            if answer.status_code != 406:
                self.report.problem(name, f"Accept: {accept} is answered with {answer.status_code}, expected 406")

    def check_own_fork(self, method, path, case, has_ssz):
        """Who knows the fork is told, and so is who takes nothing but SSZ."""
        name = f"{method} {path}"
        aware = {"Eth-Consensus-Version": self.fork}
        asked = [(aware, JSON, JSON)] + ([(aware, PREFER_SSZ, SSZ), ({}, SSZ, SSZ)] if has_ssz else [])
        for headers, accept, expected in asked:
            answer = self.send(method, path, Case(case.path, case.query, case.body, headers), accept)
            self.report.asked(name, answer.status_code)
            got = (answer.headers.get("Content-Type"), answer.headers.get("Eth-Consensus-Version"))
            if got != (expected, self.fork):
                self.report.problem(name, f"{headers}, Accept: {accept} is answered with {got}")
            if expected == JSON and answer.json().get("version") != self.fork:
                self.report.problem(name, f"{headers} is told the version {answer.json().get('version')}")

    def check_limits(self):
        """A body of any size is refused, and the node goes on."""
        path = "/eth/v1/beacon/states/head/validators"
        try:
            answer = self.session.post(
                self.url + path, data=b" " * TOO_LARGE, headers={"Content-Type": JSON}, timeout=TIMEOUT_SECONDS
            )
            self.report.asked(f"POST {path}", answer.status_code)
            if answer.status_code != 413:
                self.report.problem(f"POST {path}", f"a body that is too large is answered with {answer.status_code}")
        except requests.ConnectionError:
            # It may hang up before all is sent.
            pass
        self.session.close()
        self.session = new_session()
        self.read("/eth/v1/node/version")

    def check_events(self, seconds):
        """Each topic of the description alone, as tools ask for them; what comes within the time has the described fields."""
        operation = next(each for _, path, each in self.description.operations() if path == "/eth/v1/events")
        topics = next(self.description.parameters(operation))["schema"]["items"]["enum"]
        examples = operation["responses"]["200"]["content"]["text/event-stream"]["examples"]
        described = {}
        for example in examples.values():
            lines = self.description.resolved(example)["value"].splitlines()
            event = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("event:"))
            described.setdefault(
                event, json.loads(next(line.split(":", 1)[1] for line in lines if line.startswith("data:")))
            )
        name = "GET /eth/v1/events"
        served = []
        for topic in topics:
            answer = self.session.get(f"{self.url}/eth/v1/events?topics={topic}", stream=True, timeout=TIMEOUT_SECONDS)
            self.report.asked(name, answer.status_code)
            if answer.status_code == 200:
                served.append(topic)
                if answer.headers["Content-Type"].split(";")[0] != "text/event-stream":
                    self.report.problem(name, f"topic {topic}: content type {answer.headers['Content-Type']}")
            elif answer.status_code == 400:
                self.report.problem(name, f"topic {topic} is refused")
            else:
                self.report.problem(name, f"topic {topic}: status {answer.status_code}")
            answer.close()
        seen = self.listen(served, described, seconds) if seconds else {}
        return served, [topic for topic in topics if topic not in served], seen

    def listen(self, topics, described, seconds):
        name = "GET /eth/v1/events"
        seen = {}
        end = time.monotonic() + seconds
        answer = self.session.get(
            f"{self.url}/eth/v1/events?topics={','.join(topics)}", stream=True, timeout=TIMEOUT_SECONDS
        )
        event = None
        for line in answer.iter_lines(decode_unicode=True):
            if time.monotonic() > end:
                break
            if line.startswith("event:"):
                event = line.split(":", 1)[1].strip()
            elif line.startswith("data:"):
                seen[event] = seen.get(event, 0) + 1
                for missing in missing_fields(described[event], json.loads(line.split(":", 1)[1]), event):
                    self.report.problem(name, f"topic {event}: {missing}")
        answer.close()
        return seen


def missing_fields(described, value, place):
    """Fields of the example that are not there or of another kind; forks have added some to those of votes."""
    if isinstance(described, dict):
        if not isinstance(value, dict):
            return [f"{place} is no object"]
        found = []
        for key, each in described.items():
            if key not in value:
                found.append(f"{place}.{key} is missing")
            else:
                found.extend(missing_fields(each, value[key], f"{place}.{key}"))
        return found
    if isinstance(described, list):
        if not isinstance(value, list):
            return [f"{place} is no list"]
        return missing_fields(described[0], value[0], f"{place}[0]") if described and value else []
    return [] if type(described) is type(value) else [f"{place} is {value!r}, expected something like {described!r}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--events-seconds", type=int, default=0, help="how long to listen to the stream of events")
    parser.add_argument("--verbose", action="store_true", help="print the statuses of each endpoint")
    arguments = parser.parse_args()
    location = os.environ.get("BEACON_API_SPEC")
    if not location:
        sys.exit("BEACON_API_SPEC does not name the description: a checkout of ethereum/beacon-APIs, or its bundle")
    contract = Contract(arguments.url, rows())
    chain = Chain(contract.read)
    contract.description = Description(location, {512: int(chain.spec["SYNC_COMMITTEE_SIZE"])})
    contract.fork = chain.fork
    print(
        f"{contract.url}: slot {chain.slot}, {chain.fork}, finalised epoch {chain.finalized['epoch']}; "
        f"description: {contract.description.version}"
    )
    contract.check_served()
    contract.check(all_cases(chain))
    contract.check_limits()
    served, refused, seen = contract.check_events(arguments.events_seconds)
    contract.check_deviations()
    report = contract.report
    if arguments.verbose:
        for name, statuses in sorted(report.by_endpoint.items()):
            print(f"  {name}: " + ", ".join(f"{status} x {count}" for status, count in sorted(statuses.items())))
    print(f"topics served: {', '.join(served)}; refused: {', '.join(refused) or 'none'}")
    if seen:
        print("events seen: " + ", ".join(f"{event} x {count}" for event, count in sorted(seen.items())))
    print(f"{report.requests} requests, {len(report.by_endpoint)} endpoints")
    for name, problems in sorted(report.problems.items()):
        for problem in problems:
            print(f"WRONG {name}: {problem}")
    sys.exit(1 if report.problems else 0)


if __name__ == "__main__":
    main()
