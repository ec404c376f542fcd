"""Our package with ethereum-package as recorded.yaml says it is."""

import os
import re
import subprocess

import pytest
import starlark
import yaml

import packages
from packages import KURTOSIS, PARAMS, RECORDED, load

TWO_NODES = [{"el_type": "geth", "supernode": True, "validator_count": 4, "count": 2}]


@pytest.fixture
def run(tmp_path):
    interpreter = packages.with_recorded(tmp_path)
    return lambda args: packages.run(interpreter, args)


@pytest.fixture
def network(run):
    """By the name of a file with parameters."""
    return lambda name: run(load(KURTOSIS / "params" / f"{name}.yaml"))


def genesis_groups(log):
    return yaml.safe_load(yaml.safe_load(log.extra_env()["FRESNEL_GROUPS_YAML"]))["groups"]


@pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.stem)
def test_nodes_run_our_image_as_ethereum_package_runs_lighthouse(path, run):
    log = run(load(path))
    participants = load(path)["participants"]
    count = sum(participant["count"] for participant in participants)
    nodes = log.nodes()
    assert len(nodes) == 2 * count
    for number in range(1, count + 1):
        beacon_node = nodes[f"cl-{number}-lighthouse-geth"]
        assert beacon_node.image == "fresnel:local"
        assert beacon_node.entrypoint == ["sh", "-c"]
        flags = beacon_node.command[0].split()
        assert flags[:3] == ["exec", "lighthouse", "beacon_node"]
        # With Fulu at genesis, ethereum-package wants one; with all columns everywhere no node can withhold one.
        assert "--supernode" in flags
        assert "--testnet-dir=/network-configs" in flags
        assert f"--execution-endpoints=http://el-{number}-geth-lighthouse:8551" in flags
        assert beacon_node.command[0].endswith(" --boot-nodes=<enr of cl-1-lighthouse-geth>") == (number > 1)
        assert beacon_node.files == {"/network-configs": "el_cl_genesis_data", "/jwt": "jwt_file"}
        assert beacon_node.ports["http"] == "4000/TCP" and beacon_node.ports["metrics"] == "5054/TCP"

        client = nodes[f"vc-{number}-geth-lighthouse"]
        assert client.image == "fresnel:local"
        assert client.entrypoint is None
        assert client.command[:2] == ["lighthouse", "vc"]
        assert f"--beacon-nodes=http://cl-{number}-lighthouse-geth:4000" in client.command
        assert client.ports == {"metrics": "8080/TCP"}
        # Nothing in a command line speaks of groups.
        assert not re.search("group|dvt", " ".join(flags + client.command))


@pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.stem)
def test_each_node_has_one_key_of_each_of_its_groups(path, run):
    log = run(load(path))
    keys_of = {}
    for name, service in log.nodes().items():
        if name.startswith("vc-"):
            first, last = re.fullmatch(r"\d+-lighthouse-geth-(\d+)-(\d+)", service.files["/validator-keys"]).groups()
            keys_of[name] = set(range(int(first), int(last) + 1))
    wanted = load(path)["dvt_params"].get("groups", [])
    if not wanted:
        assert "FRESNEL_GROUPS_YAML" not in log.extra_env()
        return
    groups = genesis_groups(log)
    assert len(groups) == sum(row.get("count", 1) for row in wanted)
    # A hash-based key is a name here; its node has it, and in this group no other.
    made = [key for group in groups for key in group["keys"] if isinstance(key, str)]
    for key in made:
        keys_of[f"vc-{re.search(r'hash-based-(.)', key)[1]}-geth-lighthouse"].add(key)
    seen = set()
    for group in groups:
        assert [len(keys & set(group["keys"])) for keys in keys_of.values()] == [1] * len(keys_of)
        assert not seen & set(group["keys"])
        seen.update(group["keys"])


def test_hash_based_keys_are_made_before_genesis_and_sign_in_clients_of_their_own(network):
    log = network("group-mixed-schemes")
    assert genesis_groups(log) == [
        {"threshold": 3, "keys": [0, 16, *(f"<output of make-hash-based-{node}-1>" for node in (3, 4))]},
        {"threshold": 3, "keys": [1, 17, 32, 48]},
    ]
    order = [entry["name"] for entry in log.all("run_sh")]
    for node in (3, 4):
        name = f"hash-based-{node}-1"
        making = log.one("run_sh", f"make-{name}")
        assert order.index(making["name"]) < order.index("run-generate-genesis")
        assert making["image"] == "fresnel:local"
        assert making["store"] == [{"kind": "StoreSpec", "src": "/hash-based-key/", "name": name}]
        assert making["run"].startswith(
            "fresnel make-xmss-key --scheme 2 --first-epoch 0 --epochs 256 --validators-dir /hash-based-key/keys "
            "--secrets-dir /hash-based-key/secrets --init-slashing-protection > /tmp/pubkey "
        )
        client = log.services()[f"vc-{name}"]
        assert client.image == "fresnel:local" and client.entrypoint is None
        assert client.command == [
            "lighthouse",
            "vc",
            "--testnet-dir=/network-configs",
            "--validators-dir=/hash-based-key/keys",
            "--secrets-dir=/hash-based-key/secrets",
            f"--beacon-nodes=http://cl-{node}-lighthouse-geth:4000",
            "--suggested-fee-recipient=0x8943545177806ED17B9F23F0a21ee5948eCaa776",
            "--metrics",
            "--metrics-address=0.0.0.0",
            "--metrics-port=8080",
        ]
        assert client.files == {"/network-configs": "el_cl_genesis_data", "/hash-based-key": name}
        assert client.ports == {"metrics": "8080/TCP"}


def test_the_mainnet_preset_has_keys_with_long_lives(run):
    rows = [{"threshold": 2, "hash_based": [2]}]
    log = run({"participants": TWO_NODES, "dvt_params": {"groups": rows, "hash_based_epochs": 1024}})
    assert "--scheme 1 --first-epoch 0 --epochs 1024 " in log.one("run_sh", "make-hash-based-2-1")["run"]


def test_the_command_that_makes_a_key_prints_the_key_only(network, tmp_path):
    run = network("group-mixed-schemes").one("run_sh", "make-hash-based-3-1")["run"].replace("/tmp/", f"{tmp_path}/")
    fresnel = tmp_path / "fresnel"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for status, output in ((0, "2-0xab"), (1, "it is so\n")):
        fresnel.write_text(f"#!/bin/sh\necho it is so >&2\necho 2-0xab\nexit {status}\n")
        fresnel.chmod(0o755)
        done = subprocess.run(["sh", "-c", run], env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (status, output)


def test_the_index_arithmetic_of_the_3_of_4_network(network):
    groups = genesis_groups(network("group-3-of-4"))
    assert groups == [{"threshold": 3, "keys": [group + 16 * node for node in range(4)]} for group in range(4)]


def test_the_index_arithmetic_of_the_5_of_7_network(network):
    groups = genesis_groups(network("group-5-of-7-churn"))
    assert groups == [{"threshold": 5, "keys": [group + 8 * node for node in range(7)]} for group in range(6)]


def test_groups_of_some_nodes_take_the_next_key_of_each(run):
    participants = [
        {"el_type": "geth", "validator_count": 3},
        {"el_type": "geth", "validator_count": 0},
        {"el_type": "geth", "validator_count": 2, "count": 2},
    ]
    rows = [{"threshold": 2, "nodes": [1, 3]}, {"threshold": 2, "balance": 2048000000000}]
    groups = genesis_groups(run({"participants": participants, "dvt_params": {"groups": rows, "playbook": False}}))
    assert groups == [
        {"threshold": 2, "keys": [0, 3]},
        {"threshold": 2, "keys": [1, 4, 5], "balance": 2048000000000},
    ]


def test_the_genesis_is_made_by_our_generator(network):
    log = network("group-3-of-4")
    genesis = log.one("run_sh", "run-generate-genesis")
    assert genesis["image"] == "fresnel-genesis:local"
    assert log.extra_env()["DVT_FORK_EPOCH"] == '"0"'
    assert log.extra_env()["DVT_FORK_VERSION"] == '"0x64767438"'


def test_before_and_after_differ_in_groups_only(network):
    before, after = load(KURTOSIS / "params/compare-solo.yaml"), load(KURTOSIS / "params/compare-groups.yaml")
    assert before["additional_services"].pop() == "dora"
    assert after["dvt_params"].pop("groups") == [{"threshold": 3, "count": 16}]
    assert before == after
    solo, groups = network("compare-solo"), network("compare-groups")
    assert solo.extra_env() == {"DVT_FORK_EPOCH": f'"{2**64 - 1}"', "DVT_FORK_VERSION": '"0x64767438"'}
    # Every key is in a group: a stake is the sum of its keys' in both.
    assert sorted(key for group in genesis_groups(groups) for key in group["keys"]) == list(range(64))
    assert "dora" in solo.services() and "assertoor-groups" not in solo.services()


def test_a_network_with_groups_has_the_playbook(network):
    log = network("group-3-of-4")
    service = log.services()["assertoor-groups"]
    assert service.image == "ethpandaops/assertoor:latest"
    assert service.command == ["--config", "/config/assertoor.yaml"]
    assert service.files == {"/config": "assertoor-groups-config", "/playbooks": "fresnel-playbooks"}
    assert service.ports == {"http": "8080/TCP"}
    assert log.one("upload_files", "fresnel-playbooks")["src"] == f"{packages.OURS}/playbooks"

    rendered = log.one("render_templates", "assertoor-groups-config")["config"]["assertoor.yaml"]
    assert rendered["template"] == "{{ .Config }}"
    config = yaml.safe_load(rendered["data"]["Config"])
    urls = [f"http://cl-{number}-lighthouse-geth:4000" for number in range(1, 5)]
    assert [endpoint["consensusUrl"] for endpoint in config["endpoints"]] == urls
    assert config["endpoints"][3]["executionUrl"] == "http://el-4-geth-lighthouse:8545"
    assert config["web"]["server"] == {"host": "0.0.0.0", "port": 8080}
    assert config["externalTests"] == [
        {
            "file": "/playbooks/groups.yaml",
            "config": {"beaconUrls": urls, "groups": [{"threshold": 3, "size": 4}] * 4},
        }
    ]
    assert (KURTOSIS / "playbooks/groups.yaml").exists()


@pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.stem)
def test_tools_are_started(path, run):
    log = run(load(path))
    assert log.one("upload_files", "additional-grafana-dashboard-0")["src"] == f"{packages.OURS}/dashboards"
    assert log.services()["grafana"].ports == {"http": "3000/TCP"}
    assert log.one("run_package", RECORDED["packages"]["prometheus"])
    assert "spamoor" in log.services()


@pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.stem)
def test_blocks_get_transfers_and_fewer_blobs_than_the_lowest_target(path, run):
    transfers, blobs = run(load(path)).spammers()
    assert (transfers["scenario"], blobs["scenario"]) == ("eoatx", "blobs")
    config = blobs["config"]
    # That of Electra is 6; above the target the fee of blobs rises until nobody pays it.
    assert 1 <= config["throughput"] * config["sidecars"] < 6
    assert config["throughput"] <= config["max_pending"]
    # ethereum-package writes into it; without this spamoor sends the proofs that blobs had before Fulu.
    assert config["fulu_activation"] == "<output of read-osaka-time>"


def test_what_spamoor_sends_can_be_chosen(run):
    services = {"participants": TWO_NODES, "additional_services": ["spamoor"]}
    heavy = {"scenario": "blob-combined", "config": {"throughput": 6, "sidecars": 2}}
    log = run({**services, "spamoor_params": {"spammers": [heavy], "start_chainload": True}})
    (spammer,) = log.spammers()
    assert spammer["scenario"] == "blob-combined" and spammer["config"]["throughput"] == 6
    assert log.services()["spamoor"].command == ["--startup-defaults=regular-chain-load"]
    # The mix of everything is more than the nodes of one machine take.
    assert run(services).services()["spamoor"].command == []


def test_nodes_stop_and_come_back_by_the_clock(network):
    log = network("group-5-of-7-churn")
    steps = []
    for entry in log.entries:
        if entry["name"].startswith("outage-step-"):
            seconds = re.search(r"\$\(\(<output of read-genesis-timestamp> \+ (\d+)\)\)", entry["run"])[1]
            # Eight slots of six seconds.
            assert int(seconds) % 48 == 0 and entry["wait"] is None
            steps.append(int(seconds) // 48)
        elif entry["do"] in ("stop_service", "start_service"):
            steps.append((entry["do"].split("_")[0], entry["name"]))
    both = lambda do, number: [(do, f"cl-{number}-lighthouse-geth"), (do, f"vc-{number}-geth-lighthouse")]
    assert steps == [
        *[4, *both("stop", 7)],
        *[6, *both("stop", 6)],
        *[7, *both("start", 7)],
        *[9, *both("start", 6)],
        *[10, *both("stop", 5), *both("stop", 4)],
        *[13, *both("start", 5), *both("start", 4)],
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dvt_params": {"grups": []}}, "Invalid parameter grups"),
        ({"dvt_params": {"groups": [{"threshold": 2, "size": 2}]}}, "Invalid parameter size"),
        ({"dvt_params": {"groups": [{"threshold": 3}]}}, "threshold 3 of a group of 2 keys"),
        ({"dvt_params": {"groups": [{"threshold": 0}]}}, "threshold 0 of a group of 2 keys"),
        ({"dvt_params": {"groups": [{"threshold": 2, "count": 5}]}}, "node 1 has 4 keys, and the groups need more"),
        ({"dvt_params": {"groups": [{"threshold": 1, "nodes": [3]}]}}, "names node 3, which is not there"),
        ({"dvt_params": {"groups": [{"threshold": 1, "nodes": [0]}]}}, "names node 0, which is not there"),
        ({"dvt_params": {"groups": [{"threshold": 1, "nodes": [2, 2]}]}}, "names node 2 twice"),
        ({"dvt_params": {"groups": [{"threshold": 1}], "fork_epoch": 3}}, "need fork_epoch 0"),
        ({"dvt_params": {"groups": [{"threshold": 1}]}, "additional_services": ["dora"]}, "dora cannot read blocks"),
        ({"dvt_params": {"fork_epoch": 5}, "additional_services": ["assertoor"]}, "assertoor cannot read blocks"),
        ({"dvt_params": {"fork_epoch": 5}, "xatu_sentry_enabled": True}, "xatu_sentry_enabled cannot read blocks"),
        ({"dvt_params": {"outages": [{"nodes": [1], "from_epoch": 1, "to_epoch": 2}]}}, "one of 2 to 2"),
        ({"dvt_params": {"outages": [{"nodes": [2], "from_epoch": 2, "to_epoch": 2}]}}, "ends after it begins"),
        ({"dvt_params": {"outages": [{"node": [2], "from_epoch": 2, "to_epoch": 3}]}}, "Invalid parameter node "),
        ({"dvt_params": {"groups": [{"threshold": 1, "nodes": [1], "hash_based": [2]}]}}, "which is not in the group"),
        (
            {
                "dvt_params": {
                    "groups": [{"threshold": 1, "hash_based": [2]}],
                    "outages": [{"nodes": [2], "from_epoch": 2, "to_epoch": 3}],
                }
            },
            "node 2 has a hash-based key and must not stop",
        ),
        ({"participants": [{"el_type": "geth"}]}, "validator_count is missing"),
        ({"participants": []}, "participants is missing"),
        ({"participants_matrix": {}}, "participants_matrix is not supported"),
        (
            {
                "participants": [{"el_type": "geth", "cl_type": "teku", "validator_count": 1}],
                "dvt_params": {"fork_epoch": 0},
            },
            "cl_type teku does not know the fork dvt",
        ),
        ({"fresnel": True}, "Invalid parameter fresnel"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_parameters_are_refused_with_a_reason(change, message, run):
    with pytest.raises(starlark.StarlarkError, match=re.escape(message)):
        run({"participants": TWO_NODES, **change})


def test_more_than_sixteen_keys_are_no_group(run):
    participants = [{"el_type": "geth", "validator_count": 1, "count": 17}]
    with pytest.raises(starlark.StarlarkError, match="at most 16 keys"):
        run({"participants": participants, "dvt_params": {"groups": [{"threshold": 9}]}})


def test_what_parameters_say_goes_before_what_the_package_chooses(run):
    log = run(
        {
            "participants": [{**TWO_NODES[0], "cl_image": "mine:1", "vc_image": "mine:2"}],
            "ethereum_genesis_generator_params": {"image": "mine:3", "extra_env": {"FULU_FORK_VERSION": "0x1"}},
            "dvt_params": {"image": "not:used", "groups": [{"threshold": 2}], "playbook": False},
        }
    )
    assert {service.image for service in log.nodes().values()} == {"mine:1", "mine:2"}
    assert log.one("run_sh", "run-generate-genesis")["image"] == "mine:3"
    assert set(log.extra_env()) == {"FULU_FORK_VERSION", "DVT_FORK_EPOCH", "DVT_FORK_VERSION", "FRESNEL_GROUPS_YAML"}
    assert "assertoor-groups" not in log.services()
