"""What ethereum-package expects of images, and the state generator in ours. No image is built."""

import json
import os
import re
import shutil
import subprocess

import pytest
import yaml

from packages import KURTOSIS

GENERATOR = KURTOSIS / "genesis/eth-genesis-state-generator"
BINARY = KURTOSIS.parent / "target/release/fresnel"


def instructions(dockerfile):
    text = "\n".join(line for line in dockerfile.read_text().splitlines() if not line.startswith("#"))
    return [line.split(maxsplit=1) for line in text.replace("\\\n", " ").splitlines() if line]


def test_our_image_leaves_the_command_to_who_starts_it():
    found = instructions(KURTOSIS / "image/Dockerfile")
    names = [name for name, _ in found]
    assert not {"ENTRYPOINT", "CMD", "USER", "WORKDIR"} & set(names)
    # With a shell; `scratch` and distroless images have none.
    assert ["ARG", "BASE=debian:bookworm-slim"] in found
    assert ["COPY", "fresnel /usr/local/bin/fresnel"] in found
    assert ["RUN", "ln -s fresnel /usr/local/bin/lighthouse"] in found


def test_our_genesis_image_replaces_the_state_generator_only():
    found = instructions(KURTOSIS / "genesis/Dockerfile")
    assert found[-3:] == [
        ["FROM", "${BASE}"],
        ["COPY", "--from=fresnel /usr/local/bin/fresnel /usr/local/bin/fresnel"],
        ["COPY", "eth-genesis-state-generator /usr/local/bin/eth-genesis-state-generator"],
    ]
    assert os.access(GENERATOR, os.X_OK)


class Generation:
    """Runs the state generator with a `fresnel` that writes down how it was called."""

    ARGUMENTS = ["--eth1-config", "/data/metadata/genesis.json", "--state-output", "/data/metadata/genesis.ssz"]

    def __init__(self, directory):
        self.config = directory / "config.yaml"
        self.config.write_text("PRESET_BASE: 'minimal'\nFULU_FORK_EPOCH: 0")
        self.called = directory / "called"
        fresnel = directory / "fresnel"
        fresnel.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$@" > {self.called}\n[ -z "${{FRESNEL_GROUPS:-}}" ] || cp "$FRESNEL_GROUPS" {directory}/groups\n'
        )
        fresnel.chmod(0o755)
        self.directory = directory

    def run(self, extra_env, arguments=None):
        # As ethereum-package writes values.env and the entrypoint of the generator reads it.
        values = self.directory / "values.env"
        values.write_text("".join(f"export {name}={json.dumps(value)}\n" for name, value in extra_env.items()))
        arguments = ["beaconchain", "--config", str(self.config), *self.ARGUMENTS] if arguments is None else arguments
        return subprocess.run(
            ["bash", "-e", "-c", f'source {values}; "$0" "$@"', str(GENERATOR), *arguments],
            env={"PATH": f"{self.directory}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )

    def arguments(self):
        return self.called.read_text().splitlines()


@pytest.fixture
def generation(tmp_path):
    return Generation(tmp_path)


def test_the_generator_calls_fresnel_genesis_with_the_same_arguments(generation):
    assert generation.run({}).returncode == 0
    assert generation.arguments() == [
        "genesis",
        "beaconchain",
        "--config",
        str(generation.config),
        *Generation.ARGUMENTS,
    ]
    assert generation.config.read_text() == "PRESET_BASE: 'minimal'\nFULU_FORK_EPOCH: 0"
    assert not (generation.directory / "groups").exists()


@pytest.mark.parametrize("form", ["--config {}", "--config={}"])
def test_the_generator_adds_the_fork_to_the_configuration_that_nodes_get(generation, form):
    arguments = ["beaconchain", *form.format(generation.config).split()]
    for _ in range(2):
        done = generation.run({"DVT_FORK_EPOCH": "0", "DVT_FORK_VERSION": "0x64767438"}, arguments)
        assert done.returncode == 0, done.stderr
    text = generation.config.read_text()
    assert text.count("DVT_FORK_EPOCH") == 1
    # Quoted in our reading only: as a number it would not be four bytes.
    assert yaml.safe_load(text)["DVT_FORK_EPOCH"] == 0
    assert re.search("^DVT_FORK_VERSION: 0x64767438$", text, re.MULTILINE)
    assert yaml.safe_load(text)["FULU_FORK_EPOCH"] == 0


def test_groups_reach_fresnel_as_a_file(generation):
    rows = "groups: [{threshold: 3, keys: [0, 16, 32, 48], balance: 128000000000}]"
    done = generation.run({"FRESNEL_GROUPS_YAML": rows})
    assert done.returncode == 0, done.stderr
    groups = yaml.safe_load((generation.directory / "groups").read_text())
    assert groups == {"groups": [{"threshold": 3, "keys": [0, 16, 32, 48], "balance": 128000000000}]}


def test_a_fork_without_a_configuration_is_an_error(generation):
    done = generation.run({"DVT_FORK_EPOCH": "0", "DVT_FORK_VERSION": "0x64767438"}, ["beaconchain"])
    assert done.returncode != 0 and "--config is missing" in done.stderr
    assert not generation.called.exists()


@pytest.mark.skipif(not BINARY.exists(), reason="target/release/fresnel is not built")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the root directory")
def test_the_binary_runs_on_a_root_filesystem_of_its_libraries_and_a_shell(tmp_path):
    """The layers of our image as far as a machine without a registry has them."""
    root = tmp_path / "root"
    for program in [BINARY, shutil.which("dash") or shutil.which("sh")]:
        needed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
        for library in re.findall(r"(/\S+) \(0x", needed):
            target = root / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
    for directory in ("usr/local/bin", "bin"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    shutil.copy(shutil.which("dash") or shutil.which("sh"), root / "bin/sh")
    shutil.copy(BINARY, root / "usr/local/bin/fresnel")
    (root / "usr/local/bin/lighthouse").symlink_to("fresnel")

    def run(*command):
        return subprocess.run(
            [shutil.which("chroot"), root, *command],
            env={"PATH": "/usr/local/bin:/bin", "HOME": "/"},
            capture_output=True,
            text=True,
        )

    assert run("sh", "-c", "exec lighthouse --version").stdout.startswith("fresnel ")
    # As ethereum-package starts them; what is missing is the network's files, not a library.
    files = "--testnet-dir=/network-configs"
    for command in (
        ["sh", "-c", f"exec lighthouse beacon_node {files}"],
        ["lighthouse", "vc", files, "--init-slashing-protection"],
    ):
        done = run(*command)
        assert done.returncode == 1 and "/network-configs/config.yaml" in done.stderr, done.stderr
