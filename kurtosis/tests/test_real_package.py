"""Our package with the real ethereum-package, if ETHEREUM_PACKAGE names a checkout of it: is it as recorded?"""

import subprocess

import pytest

import packages
import record
from packages import CHECKOUT, KURTOSIS, PARAMS, load

pytestmark = pytest.mark.skipif(
    CHECKOUT is None, reason="ETHEREUM_PACKAGE does not name a checkout of ethereum-package"
)


def test_the_checkout_is_the_commit_that_we_import():
    commit = subprocess.run(
        ["git", "-C", CHECKOUT, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert f"{packages.ETHEREUM_PACKAGE}/main.star@{commit}" in (KURTOSIS / "main.star").read_text()


@pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.stem)
def test_the_real_package_does_what_is_recorded(path, tmp_path):
    recorded = packages.run(packages.with_recorded(tmp_path), load(path))
    real = packages.run(packages.with_real(CHECKOUT), load(path))
    assert recorded.outline() == real.outline()
    for name, service in recorded.services().items():
        assert real.services()[name].ports == service.ports, name
    assert [entry["name"] for entry in real.all("run_package")] == [
        entry["name"] for entry in recorded.all("run_package")
    ]


@pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.stem)
def test_the_real_package_deals_out_the_recorded_keys(path, tmp_path):
    recorded = packages.run(packages.with_recorded(tmp_path), load(path))
    real = packages.run(packages.with_real(CHECKOUT), load(path))
    commands = " ".join(" ".join(entry["recipe"]["command"]) for entry in real.all("exec"))
    ranges = [entry["recipe"]["command"][2] for entry in recorded.all("exec")]
    assert ranges
    for each in ranges:
        assert each in commands


def test_command_lines_are_as_recorded():
    assert (
        record.record(CHECKOUT) == record.FILE.read_text()
    ), "run record.py, and see whether our parser takes the new ones"


def test_the_genesis_image_is_built_from_the_packages_generator():
    constants = (packages.Path(CHECKOUT) / "src/package_io/constants.star").read_text()
    base = (KURTOSIS / "genesis/Dockerfile").read_text().split("ARG BASE=")[1].split()[0]
    assert f'DEFAULT_ETHEREUM_GENESIS_GENERATOR_IMAGE = (\n    "{base}"\n)' in constants
