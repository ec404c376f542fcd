"""Our package with ethereum-package as it is recorded, or as it is."""

import json
import os
import re
import shutil
from pathlib import Path

import yaml

from interpreter import Interpreter

HERE = Path(__file__).parent
KURTOSIS = HERE.parent
PARAMS = sorted((KURTOSIS / "params").glob("*.yaml"))
RECORDED = yaml.safe_load((HERE / "recorded.yaml").read_text())
OURS = yaml.safe_load((KURTOSIS / "kurtosis.yml").read_text())["name"]
ETHEREUM_PACKAGE = "github.com/ethpandaops/ethereum-package"
CALLED_BY_ETHEREUM_PACKAGE = [
    f"github.com/kurtosis-tech/{name}-package" for name in ("postgres", "prometheus", "redis")
]
CHECKOUT = os.environ.get("ETHEREUM_PACKAGE")


def load(path):
    return yaml.safe_load(path.read_text())


def with_recorded(directory, ours=KURTOSIS, recorded=RECORDED):
    fake = directory / "ethereum-package"
    shutil.copytree(HERE / "fake_package", fake)
    (fake / "recorded.json").write_text(json.dumps(recorded))
    packages = {OURS: ours, ETHEREUM_PACKAGE: fake, **dict.fromkeys(CALLED_BY_ETHEREUM_PACKAGE)}
    return Interpreter(packages)


def with_real(checkout, ours=KURTOSIS):
    packages = {OURS: ours, ETHEREUM_PACKAGE: Path(checkout), **dict.fromkeys(CALLED_BY_ETHEREUM_PACKAGE)}
    return Interpreter(packages)


def run(interpreter, args):
    return Log(interpreter.run(OURS, args))


class Log:
    """What a plan was told."""

    def __init__(self, entries):
        self.entries = entries

    def all(self, do):
        return [entry for entry in self.entries if entry["do"] == do]

    def one(self, do, name):
        found = [entry for entry in self.all(do) if entry["name"] == name]
        assert len(found) == 1, f"{do} {name}: {len(found)} times"
        return found[0]

    def services(self):
        return {entry["name"]: Service(entry["config"]) for entry in self.all("add_service")}

    def nodes(self):
        """What ethereum-package runs of our image."""
        names = re.compile(r"cl-\d|vc-\d")
        return {name: service for name, service in self.services().items() if names.match(name)}

    def extra_env(self):
        """What the genesis generator's shell reads: names and values in double quotes."""
        rendered = self.one("render_templates", "genesis-el-cl-env-file")
        return rendered["config"]["values.env"]["data"]["ExtraEnvVars"]

    def spammers(self):
        """What spamoor sends from its start on."""
        rendered = self.one("render_templates", "spamoor-config")
        return [json.loads(each) for each in rendered["config"]["startup-spammers.yaml"]["data"]["StartupSpammer"]]

    def outline(self):
        """What a network consists of and what happens to it, without what only ethereum-package knows."""
        return {
            "nodes": {name: vars(service) for name, service in self.nodes().items()},
            "genesis": self.one("run_sh", "run-generate-genesis"),
            "extra_env": self.extra_env(),
            "spammers": self.spammers(),
            "ours": [
                entry
                for entry in self.entries
                if entry["do"] in ("stop_service", "start_service")
                or entry["name"].startswith(
                    (
                        "outage-",
                        "assertoor-groups",
                        "fresnel-",
                        "make-hash-based-",
                        "vc-hash-based-",
                        "additional-grafana-",
                    )
                )
            ],
        }


class Service:
    def __init__(self, config):
        self.image = config.get("image")
        self.entrypoint = config.get("entrypoint")
        self.command = config.get("cmd")
        self.ports = {
            name: f"{port['number']}/{port['transport_protocol']}" for name, port in config.get("ports", {}).items()
        }
        self.files = config.get("files", {})
        self.environment = config.get("env_vars", {})
        ready = config.get("ready_conditions")
        self.ready = ready and {
            "endpoint": ready["recipe"]["endpoint"],
            "port": ready["recipe"]["port_id"],
            "status": ready["target_value"],
        }
