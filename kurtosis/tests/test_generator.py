"""The real genesis generator's entrypoint with our state generator, if ETHEREUM_GENESIS_GENERATOR names a checkout of it.

What ethereum-package tells it comes from ETHEREUM_PACKAGE. The half for the execution chain is left out: it needs tools that
only the image has.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

import packages
from packages import CHECKOUT, KURTOSIS, PARAMS, load

GENERATOR = os.environ.get("ETHEREUM_GENESIS_GENERATOR")
pytestmark = pytest.mark.skipif(
    None in (CHECKOUT, GENERATOR), reason="ETHEREUM_PACKAGE or ETHEREUM_GENESIS_GENERATOR does not name a checkout"
)
EXTRA = re.compile(r"\{\{ range \$key, \$value := \.ExtraEnvVars \}\}(.*?)\{\{ end \}\}", re.DOTALL)
TIME = 1800000000


def values(log):
    """values.env with the template filled in; of Go's templates it uses the two forms that are handled here."""
    rendered = log.one("render_templates", "genesis-el-cl-env-file")["config"]["values.env"]
    data = rendered["data"]

    def extra(found):
        rows = [found[1].replace("{{ $key }}", name) for name in data["ExtraEnvVars"]]
        return "".join(row.replace("{{ $value }}", each) for row, each in zip(rows, data["ExtraEnvVars"].values()))

    text = re.sub(r"\{\{ \.(\w+) \}\}", lambda found: str(data[found[1]]), EXTRA.sub(extra, rendered["template"]))
    assert "{{" not in text
    text = text.replace("<output of read-genesis-timestamp>", str(TIME))
    return re.sub(r"<output of make-[^>]*>", "2-0xabcd", text)


def generate(directory, text):
    """Runs the consensus half of the entrypoint with its directories in `directory`; gives what the nodes get."""
    entrypoint = (Path(GENERATOR) / "entrypoint.sh").read_text()
    state_generator = "/usr/local/bin/eth-genesis-state-generator"
    assert state_generator in entrypoint
    entrypoint = entrypoint.replace(state_generator, str(KURTOSIS / "genesis/eth-genesis-state-generator"))
    entrypoint = entrypoint.replace("/config/values.env", f"{directory}/values.env")
    entrypoint = entrypoint.replace("/config/cl/", f"{GENERATOR}/config-example/cl/")
    entrypoint = entrypoint.replace("/defaults/", f"{GENERATOR}/defaults/").replace("/data/", f"{directory}/data/")
    (directory / "values.env").write_text(text)
    (directory / "entrypoint.sh").write_text(entrypoint)
    # It stands for the binary, whose own tests make states: here it keeps what it was given.
    fresnel = directory / "fresnel"
    fresnel.write_text(
        f"""#!/bin/sh
echo "$@" > {directory}/arguments
[ -z "${{FRESNEL_GROUPS:-}}" ] || cp "$FRESNEL_GROUPS" {directory}/groups
echo '{{"genesis_validators_root": "0x12", "eth1_data": {{"block_hash": "0x34"}}}}' > {directory}/data/parsed/parsedConsensusGenesis.json
"""
    )
    fresnel.chmod(0o755)
    environment = {"PATH": f"{directory}:{os.environ['PATH']}"}
    command = ["bash", "-e", directory / "entrypoint.sh", "cl"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return directory / "data/metadata"


@pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.stem)
def test_nodes_get_the_fork_and_the_generator_the_groups(path, tmp_path):
    log = packages.run(packages.with_real(CHECKOUT), load(path))
    metadata = generate(tmp_path, values(log))
    config = yaml.safe_load((metadata / "config.yaml").read_text())
    has_groups = "groups" in load(path)["dvt_params"]
    assert config["DVT_FORK_EPOCH"] == (0 if has_groups else 2**64 - 1)
    assert config["DVT_FORK_VERSION"] == 0x64767438
    assert config["PRESET_BASE"] == "minimal" and config["FULU_FORK_EPOCH"] == 0
    assert config["SLOT_DURATION_MS"] == 6000 and config["MIN_GENESIS_TIME"] == TIME

    mnemonics = yaml.safe_load((metadata / "mnemonics.yaml").read_text())
    assert [(row["start"], row["count"]) for row in mnemonics] == [(0, config["MIN_GENESIS_ACTIVE_VALIDATOR_COUNT"])]
    arguments = (tmp_path / "arguments").read_text()
    assert arguments.startswith(f"genesis beaconchain --config {metadata}/config.yaml --eth1-config ")
    assert (metadata / "genesis_validators_root.txt").read_text() == "0x12"
    if not has_groups:
        assert not (tmp_path / "groups").exists()
        return
    groups = yaml.safe_load((tmp_path / "groups").read_text())["groups"]
    for group in groups:
        for key in group["keys"]:
            assert key == "2-0xabcd" or key in range(mnemonics[0]["count"])
