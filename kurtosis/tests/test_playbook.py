"""The commands of the assertoor playbook, asked of a node that answers what the test says."""

import http.server
import json
import os
import subprocess
import threading

import pytest
import yaml

from packages import KURTOSIS

PLAYBOOKS = KURTOSIS / "playbooks"


class Node(http.server.BaseHTTPRequestHandler):
    answers = {}

    def do_GET(self):
        answer = self.answers.get(self.path)
        self.send_response(404 if answer is None else 200)
        self.end_headers()
        if answer is not None:
            self.wfile.write(answer.encode())

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def node():
    class Handler(Node):
        answers = {}

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Handler.answers, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def holds(check, url, expected):
    """Whether the check ends by itself. assertoor hands variables over in JSON."""
    command = ["bash", PLAYBOOKS / "check-groups", check]
    variables = {
        "BEACON_URLS": json.dumps([url]),
        "GROUPS_WANTED": json.dumps([{"threshold": 3, "size": 4}]),
        "PAUSE": "0.1",
    }
    try:
        subprocess.run(
            command, env={**os.environ, **variables}, check=True, timeout=20 if expected else 1, capture_output=True
        )
    except subprocess.TimeoutExpired:
        return False
    return True


def groups_answer(threshold="3", keys=4, target="0x0700"):
    key = {"scheme": "0", "pubkey": "0x..", "signer_index": "281474976710704"}
    solo = {"activation_epoch": "0", "threshold": "0", "keys": []}
    in_force = {"activation_epoch": "0", "threshold": threshold, "keys": [key] * keys}
    votes = {"source": "0xff00", "target": target, "head": "0x0000"}
    entry = {
        "validator_index": "3",
        "sequence": "0",
        "key_sets": [solo, in_force],
        "previous_epoch_participation": votes,
    }
    return json.dumps({"version": "dvt", "data": [entry]})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (groups_answer(), True),
        (groups_answer(threshold="2"), False),
        (groups_answer(keys=5), False),
        (json.dumps({"data": []}), False),
        ("", False),
        (None, False),
    ],
)
def test_registered(node, answer, expected):
    answers, url = node
    answers["/eth/v1/beacon/states/head/groups"] = answer
    assert holds("registered", url, expected) == expected


@pytest.mark.parametrize(
    ("target", "expected"), [("0x0700", True), ("0x0f00", True), ("0x0b00", True), ("0x0300", False), ("0x0000", False)]
)
def test_votes(node, target, expected):
    answers, url = node
    answers["/eth/v1/beacon/states/head/groups"] = groups_answer(target=target)
    assert holds("votes", url, expected) == expected


@pytest.mark.parametrize(("signers", "expected"), [(["0", "1", "3"], True), (["0", "1"], False), (None, False)])
def test_block(node, signers, expected):
    answers, url = node
    data = json.dumps({"slot": "561", "rank": "0", "signers": signers, "threshold": "3", "size": "4"})
    event = f"event: group_block\ndata: {data}\n\n" if signers else ": keep-alive\n\n"
    answers["/eth/v1/events?topics=group_block"] = event
    assert holds("block", url, expected) == expected


@pytest.mark.parametrize(("epoch", "expected"), [("2", True), ("1", False)])
def test_finality(node, epoch, expected):
    answers, url = node
    answers["/eth/v1/beacon/states/head/finality_checkpoints"] = json.dumps({"data": {"finalized": {"epoch": epoch}}})
    assert holds("finality", url, expected) == expected


def test_the_playbook_calls_what_there_is():
    playbook = yaml.safe_load((PLAYBOOKS / "groups.yaml").read_text())
    checks = []
    for task in playbook["tasks"]:
        assert task["name"] == "run_shell"
        # The variables of `config` are the ones that the package sets.
        assert task["config"]["envVars"] == {"BEACON_URLS": "beaconUrls", "GROUPS_WANTED": "groups"}
        assert set(task["config"]["envVars"].values()) == set(playbook["config"])
        interpreter, script, check = task["config"]["command"].split()
        assert (interpreter, script) == ("bash", "/playbooks/check-groups")
        checks.append(check)
    assert checks == ["registered", "block", "votes", "finality"]
    unknown = subprocess.run(["bash", PLAYBOOKS / "check-groups", "everything"], capture_output=True, text=True)
    assert unknown.returncode == 2 and "usage" in unknown.stderr
