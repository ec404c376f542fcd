"""Software that nobody here wrote drives a node of a devnet: @lodestar/api, Vero, and the contract test beside them.

python run.py FRESNEL; the environment variable VERO names a checkout of Vero, LODESTAR a directory where foreign/package.json
is installed. BEACON_API_SPEC adds the contract test. What is not named is left out, and said so.
"""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
NODE = 9
# Of the devnet: another node, which runs its own client.
OTHER = 8
FORK_EPOCH = 5
SLOTS_PER_EPOCH = 8
FEE_RECIPIENT = "0x2222222222222222222222222222222222222222"
# What a validator client does in an epoch, as the signer names it.
DUTIES = ["ATTESTATION", "AGGREGATION_SLOT", "SYNC_COMMITTEE_MESSAGE", "RANDAO_REVEAL", "BLOCK_V2"]
SAMPLE = re.compile(r'^http_api_paths_total\{path="([^"]*)"\} (\d+)', re.MULTILINE)


def get(url, path):
    with urllib.request.urlopen(url + path, timeout=10) as answer:
        return json.load(answer)


def post(url, path, body):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


class Devnet:
    """A devnet whose output is read as it comes."""

    def __init__(self, fresnel, directory):
        self.directory = directory / "net"
        self.log = directory / "devnet.log"
        command = [fresnel, "devnet", "--dir", self.directory, "--scenario", HERE / "vero.yaml"]
        self.process = subprocess.Popen(command, stdout=self.log.open("w"), stderr=subprocess.STDOUT)

    def command_of(self, node, role):
        """The command line of a node's process, once it is printed."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            for line in self.log.read_text().splitlines():
                if f" {role} " in line and f"/node-{node}/" in line:
                    return shlex.split(line[line.index("fresnel") :])
            time.sleep(0.5)
        raise TimeoutError(self.log.read_text())

    def url(self, node):
        port = next(each for each in self.command_of(node, "beacon_node") if each.startswith("--http-port="))
        return f"http://127.0.0.1:{port.split('=')[1]}"


def head_slot(url):
    return int(get(url, "/eth/v1/node/syncing")["data"]["head_slot"])


def wait_for_slot(url, slot):
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            if head_slot(url) >= slot:
                return
        except OSError:
            pass
        time.sleep(0.5)
    raise TimeoutError(f"slot {slot} has not come")


def config_for_vero(url, path):
    """The network's configuration as Vero reads it."""
    spec = get(url, "/eth/v1/config/spec")["data"]
    lines = [f"{key}: {json.dumps(value)}" for key, value in spec.items() if isinstance(value, str)]
    path.write_text("\n".join(lines) + "\n")


def copy_of_vero(source, url, directory):
    """Vero with the preset of the node: its own copy of the minimal one may be of an older release, and it refuses any other."""
    spec = get(url, "/eth/v1/config/spec")["data"]
    copy = directory / "vero-source"
    shutil.copytree(source, copy)
    for file in sorted((copy / "src/spec/configs/presets/minimal").iterdir()):
        lines = file.read_text().splitlines()
        for place, line in enumerate(lines):
            key, _, value = line.partition(":")
            value = value.split("#")[0].strip()
            if key in spec and isinstance(spec[key], str) and value != spec[key]:
                print(f"Vero: {key} is {value} in its preset, {spec[key]} in the specification's")
                lines[place] = f"{key}: {spec[key]}"
        file.write_text("\n".join(lines) + "\n")
    return copy / "src"


def used(metrics_port):
    """What the node was asked, by its own count."""
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=10) as answer:
        return dict(SAMPLE.findall(answer.read().decode()))


def run_lodestar(url):
    directory = os.environ.get("LODESTAR")
    if not directory:
        print("LODESTAR is not set: @lodestar/api is left out")
        return True
    script = Path(directory) / "lodestar.mjs"
    shutil.copy(HERE / "lodestar.mjs", script)
    environment = {**os.environ, "LODESTAR_PRESET": "minimal"}
    return subprocess.run(["node", script, url], env=environment).returncode == 0


def run_contract(url):
    if not os.environ.get("BEACON_API_SPEC"):
        print("BEACON_API_SPEC is not set: the contract test is left out")
        return True
    program = HERE.parent / "contract/contract.py"
    python = os.environ.get("CONTRACT_PYTHON", sys.executable)
    return subprocess.run([python, program, "--url", url, "--events-seconds", "10"]).returncode == 0


def drive(devnet, directory, fresnel):
    results = {}
    other = devnet.url(OTHER)
    wait_for_slot(other, 3)
    vero = os.environ.get("VERO")
    client = None
    if vero:
        from signer import Signer, keys_of

        command = [fresnel] + devnet.command_of(NODE, "beacon_node")[1:]
        metrics_port = free_port()
        command += ["--metrics", f"--metrics-port={metrics_port}"]
        node = subprocess.Popen(command, stdout=(directory / "bn.log").open("w"), stderr=subprocess.STDOUT)
        url = devnet.url(NODE)
        root = devnet.directory / f"node-{NODE}"
        signer = Signer(keys_of(root / "validators", root / "secrets"))
        wait_for_slot(url, 3)
        config_for_vero(url, directory / "config.yaml")
        arguments = ["--network", "custom", "--network-custom-config-path", directory / "config.yaml"]
        arguments += ["--remote-signer-url", signer.url, "--beacon-node-urls", url, "--fee-recipient", FEE_RECIPIENT]
        arguments += ["--data-dir", directory / "vero", "--metrics-address", "127.0.0.1"]
        arguments += ["--metrics-port", str(free_port())]
        (directory / "vero").mkdir()
        client = subprocess.Popen(
            [sys.executable, "main.py", *map(str, arguments)],
            cwd=copy_of_vero(vero, url, directory),
            stdout=(directory / "vero.log").open("w"),
            stderr=subprocess.STDOUT,
        )
    else:
        print("VERO is not set: Vero is left out")
    try:
        wait_for_slot(other, (FORK_EPOCH - 2) * SLOTS_PER_EPOCH + 2)
        results["@lodestar/api before the fork"] = run_lodestar(other)
        results["contract before the fork"] = run_contract(other)
        wait_for_slot(other, FORK_EPOCH * SLOTS_PER_EPOCH - 1)
        if client:
            results["Vero before the fork"] = check_vero(url, other, signer, metrics_port, client)
        wait_for_slot(other, FORK_EPOCH * SLOTS_PER_EPOCH + 2)
        results["@lodestar/api after the fork"] = run_lodestar(other)
        results["contract after the fork"] = run_contract(other)
        if client:
            report_after(url, signer, client)
    finally:
        if client:
            for process in (client, node):
                stop(process)
    return results


def check_vero(url, other, signer, metrics_port, client):
    """Its validators have voted and proposed in the epoch before, as a node that never met it sees the chain."""
    is_good = client.poll() is None
    epoch = FORK_EPOCH - 2
    identities = post(other, "/eth/v1/beacon/states/head/validators", {"ids": list(signer.keys)})["data"]
    indices = [each["index"] for each in identities]
    rewards = post(other, f"/eth/v1/beacon/rewards/attestations/{epoch - 1}", indices)["data"]["total_rewards"]
    voted = [each["validator_index"] for each in rewards if int(each["target"]) > 0]
    proposed = 0
    for slot in range(2, FORK_EPOCH * SLOTS_PER_EPOCH):
        headers = get(other, f"/eth/v1/beacon/headers?slot={slot}")["data"]
        proposed += sum(each["header"]["message"]["proposer_index"] in indices for each in headers if slot > 8)
    print(
        f"Vero: {len(indices)} validators, {len(voted)} with the right target in epoch {epoch - 1}, {proposed} blocks"
    )
    print("Vero: signed " + ", ".join(f"{kind} x {count}" for kind, count in sorted(signer.signed.items())))
    for path, count in sorted(used(metrics_port).items()):
        print(f"  {path} x {count}")
    is_good &= len(voted) == len(indices) > 0 and proposed > 0
    return is_good and all(signer.signed[duty] for duty in DUTIES)


def report_after(url, signer, client):
    """It goes on reading, and what it signs carries the version of the fork that it knows: nothing of it counts."""
    before = dict(signer.signed)
    wait_for_slot(url, (FORK_EPOCH + 1) * SLOTS_PER_EPOCH)
    signed = {kind: count - before.get(kind, 0) for kind, count in signer.signed.items() if count > before.get(kind, 0)}
    print(f"Vero after the fork: {'runs' if client.poll() is None else 'has ended'}, signed {signed}")


def stop(process):
    """Asks a process to end. Vero waits for duties, which after the fork never succeed."""
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main():
    fresnel = str(Path(sys.argv[1]).resolve())
    directory = Path(tempfile.mkdtemp(prefix="foreign-clients-"))
    devnet = Devnet(fresnel, directory)
    try:
        results = drive(devnet, directory, fresnel)
    finally:
        devnet.process.terminate()
        devnet.process.wait(timeout=60)
    for name, is_good in results.items():
        print(f"{name}: {'works' if is_good else 'WRONG'}")
    if all(results.values()):
        shutil.rmtree(directory)
        return
    sys.exit(f"logs are in {directory}")


if __name__ == "__main__":
    main()
