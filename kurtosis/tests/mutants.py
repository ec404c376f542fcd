"""Changes one thing at a time in our package, in what is recorded and in the real package: the tests have to fail.

python mutants.py; mutants of the real package are tried if ETHEREUM_PACKAGE names a checkout of it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

KURTOSIS = Path(__file__).parent.parent
OURS = [
    ("main.star", 'IMAGE = "fresnel:local"', 'IMAGE = "fresnel:latest"'),
    ("main.star", 'GENESIS_IMAGE = "fresnel-genesis:local"', 'GENESIS_IMAGE = "fresnel:local"'),
    ("main.star", "kurtosis/dashboards", "kurtosis/dashboard"),
    ("main.star", '"FRESNEL_GROUPS_YAML"', '"FRESNEL_GROUPS"'),
    ("main.star", '"scenario": "eoatx"', '"scenario": "erctx"'),
    ("main.star", '"sidecars": 2', '"sidecars": 3'),
    ("main.star", 'dict(spammer, config=dict(spammer["config"]))', "dict(spammer)"),
    ("main.star", '"start_chainload": False', '"start_chainload": True'),
    ("main.star", "0 if has_groups else FAR_FUTURE_EPOCH", "0"),
    ("groups.star", "nodes[node].first_key + used[node]", "nodes[node].first_key + used[node] + 1"),
    ("groups.star", 'first_key += participant["validator_count"]', "first_key += 16"),
    ("outages.star", "8 if output.network_params.preset", "32 if output.network_params.preset"),
    ("outages.star", "names.append(participant.vc_context.service_name)", "pass"),
    ("hash_based.star", 'DIR = "/hash-based-key"', 'DIR = "/keys"'),
    ("hash_based.star", "{2}/secrets --init", "{2}/secret --init"),
    ("hash_based.star", "MINIMAL_SCHEME = 2", "MINIMAL_SCHEME = 1"),
    ("hash_based.star", "METRICS_PORT = 8080", "METRICS_PORT = 8081"),
    ("playbook.star", "PORT = 8080", "PORT = 8081"),
    ("playbook.star", 'CONFIG_DIR = "/config"', 'CONFIG_DIR = "/assertoor"'),
    ("playbook.star", 'PLAYBOOKS_DIR = "/playbooks"', 'PLAYBOOKS_DIR = "/tests"'),
    ("playbook.star", '"--config"', '"--configuration"'),
    ("playbooks/check-groups", ">= (in_force.threshold", ">= 1 or (in_force.threshold"),
    ("playbooks/groups.yaml", "BEACON_URLS: beaconUrls", "BEACON_URL: beaconUrls"),
    ("params/group-3-of-4.yaml", "supernode: true, ", ""),
    ("params/compare-solo.yaml", "validator_count: 16", "validator_count: 32"),
    ("image/Dockerfile", "ln -s fresnel", "ln -s lighthouse"),
    ("image/Dockerfile", "COPY fresnel", 'ENTRYPOINT ["fresnel"]\nCOPY fresnel'),
    ("genesis/eth-genesis-state-generator", "exec fresnel genesis", "exec fresnel"),
    ("genesis/eth-genesis-state-generator", "export FRESNEL_GROUPS\n", ""),
    ("dashboards/fresnel-groups.json", "dvt_group_blocks_total", "dvt_group_block_total"),
]
RECORDED = [
    ("tests/recorded.yaml", "- exec lighthouse beacon_node", "- lighthouse beacon_node"),
    ("tests/recorded.yaml", "- --execution-endpoints=", "- --execution-endpoint="),
    ("tests/recorded.yaml", "http: 4000/TCP", "http: 5052/TCP"),
    ("tests/recorded.yaml", "{metrics: 8080/TCP}", "{metrics: 5064/TCP}"),
    ("tests/recorded.yaml", "/jwt: jwt_file", "/jwtsecret: jwt_file"),
    ("tests/recorded.yaml", '/validator-keys: "{n}-', '/keys: "{n}-'),
    ("tests/recorded.yaml", "{http: 3000/TCP}", "{http: 3001/TCP}"),
]
# What only the comparison with the real package can see.
REAL = [
    ("src/cl/lighthouse/lighthouse_launcher.star", '"--enable-private-discovery"', '"--private-discovery"'),
    ("src/cl/lighthouse/lighthouse_launcher.star", "BEACON_HTTP_PORT_NUM = 4000", "BEACON_HTTP_PORT_NUM = 5052"),
    ("src/cl/lighthouse/lighthouse_launcher.star", "BEACON_QUIC_PORT_NUM = 9001", "BEACON_QUIC_PORT_NUM = 9002"),
    ("src/cl/lighthouse/lighthouse_launcher.star", '"entrypoint": ["sh", "-c"]', '"entrypoint": ["bash", "-c"]'),
    ("src/vc/lighthouse.star", '"--init-slashing-protection"', '"--init-slashing-protections"'),
    ("src/vc/lighthouse.star", "keymanager_api_cmd = [", 'keymanager_api_cmd = ["--enabled",'),
    ("src/vc/vc_shared.star", "VALIDATOR_CLIENT_METRICS_PORT_NUM = 8080", "VALIDATOR_CLIENT_METRICS_PORT_NUM = 8008"),
    ("src/package_io/constants.star", 'JWT_MOUNTPOINT_ON_CLIENTS = "/jwt"', 'JWT_MOUNTPOINT_ON_CLIENTS = "/secret"'),
    ("src/package_io/constants.star", "ethereum-genesis-generator:6.2.0", "ethereum-genesis-generator:7.0.0"),
    ("src/spamoor/spamoor.star", '["fulu_activation"] = osaka_time', '["activation"] = osaka_time'),
    ("src/grafana/grafana_launcher.star", "HTTP_PORT_NUMBER_UINT16 = 3000", "HTTP_PORT_NUMBER_UINT16 = 3001"),
]


def is_noticed(kurtosis, checkout, tests):
    environment = {name: value for name, value in os.environ.items() if name != "ETHEREUM_PACKAGE"}
    if checkout is not None:
        environment["ETHEREUM_PACKAGE"] = str(checkout)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    # A copy has no binary and no history.
    command += ["-k", "not root_filesystem and not the_commit_that_we_import", str(kurtosis / tests)]
    return subprocess.run(command, env=environment, capture_output=True).returncode == 1


def try_one(directory, mutant, checkout, of_ours):
    """In a copy of the repository as far as the tests look at it."""
    file, old, new = mutant
    root = Path(directory)
    shutil.copytree(KURTOSIS, root / "kurtosis", ignore=shutil.ignore_patterns("__pycache__"))
    for top in ("beacon_node", "validator_client", "platform"):
        (root / top).symlink_to(KURTOSIS.parent / top)
    if not of_ours:
        shutil.copytree(checkout, root / "ethereum-package", ignore=shutil.ignore_patterns(".git"))
        checkout = root / "ethereum-package"
    path = root / ("kurtosis" if of_ours else "ethereum-package") / file
    text = path.read_text()
    assert old in text, f"{file} does not contain {old!r}"
    path.write_text(text.replace(old, new))
    return is_noticed(root / "kurtosis", checkout, "tests" if of_ours else "tests/test_real_package.py")


def main():
    checkout = os.environ.get("ETHEREUM_PACKAGE")
    cases = [(mutant, None, True) for mutant in OURS + RECORDED]
    if checkout is not None:
        cases += [(mutant, checkout, False) for mutant in REAL]
    unnoticed = 0
    for mutant, with_checkout, of_ours in cases:
        with tempfile.TemporaryDirectory() as directory:
            noticed = try_one(directory, mutant, with_checkout, of_ours)
        unnoticed += not noticed
        print(
            f"{'noticed' if noticed else 'NOT NOTICED'}: {mutant[0]}: {mutant[1]} -> {mutant[2]}".replace("\n", " "),
            flush=True,
        )
    print(f"{len(cases)} mutants, {unnoticed} not noticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
