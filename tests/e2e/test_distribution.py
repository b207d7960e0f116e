"""The puller's file in the sites' buckets after a deployment, fetched and run as a site would."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DeployedStack
from tests.e2e.puller_file import site_python

pytestmark = pytest.mark.emulator


def distribute(deployed: DeployedStack) -> dict[str, Any]:
    answer = deployed.client("lambda").invoke(
        FunctionName=deployed.deployment.outputs["DistributorFunction"], Payload=b"{}"
    )
    assert "FunctionError" not in answer
    result: dict[str, Any] = json.loads(answer["Payload"].read())
    return result


def test_every_site_finds_the_file_that_the_deployment_named(
    deployed: DeployedStack, tmp_path: Path
) -> None:
    outputs, s3 = deployed.deployment.outputs, deployed.client("s3")
    for bucket in deployed.buckets.values():
        body = s3.get_object(Bucket=bucket, Key=outputs["PullerFileKey"])["Body"].read()
        assert hashlib.sha256(body).hexdigest() == outputs["PullerFileSha256"]
    program = tmp_path / "jobferry-puller"
    program.write_bytes(body)
    done = subprocess.run(
        [site_python(), str(program), "--version"],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip()


def test_only_a_bucket_that_has_another_file_gets_it_again(deployed: DeployedStack) -> None:
    assert distribute(deployed) == {"copied": []}
    bucket, key = deployed.buckets["osaka"], deployed.deployment.outputs["PullerFileKey"]
    deployed.client("s3").put_object(Bucket=bucket, Key=key, Body=b"another")
    assert distribute(deployed) == {"copied": [bucket]}
    assert distribute(deployed) == {"copied": []}
