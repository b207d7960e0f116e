"""The whole life of a job, told by the cloud and confirmed by the site's log."""

from __future__ import annotations

import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from job_protocol import dynamodb_json, table_keys
from tests.conftest import DeployedStack
from tests.e2e.shell import Shell
from tests.e2e.site import Site

pytestmark = pytest.mark.emulator


def _verified(shell: Shell, job: str, log: Path, via: str, expect: int = 0) -> dict[str, Any]:
    arguments = ("audit", "verify", job, "--site-log", str(log), "--json", "--via", via)
    printed = shell.run(*arguments, expect=expect)
    return dict(json.loads(printed))


def test_a_life_is_told_and_a_forged_one_is_found(
    deployed: DeployedStack, site: Site, tmp_path: Path
) -> None:
    job = f"audited-{uuid.uuid4().hex[:8]}"
    shell, log = Shell(deployed, site, tmp_path), tmp_path / "site.log"
    for code in (0, 3):
        site.upload(job, f"#!/bin/sh\nexit {code}\n")
        site.wait_for(job, "JOB_QUEUED", seconds=120)
        assert site.run_to_end(job, seconds=180) in ("JOB_COMPLETE", "JOB_FAILED")
    shown = subprocess.run(
        [*site.puller, "audit", "show", job],
        env=site.cron_environment(),
        check=True,
        capture_output=True,
    )
    log.write_bytes(shown.stdout)

    for via in ("s3", "api"):
        life = _verified(shell, job, log, via)
        assert (life["ok"], life["anchored"], life["problems"]) == (True, 4, [])
        told = [event for event in life["events"] if event.get("log") != "site"]
        names = [event["event"] for event in told]
        run = ["created", "claimed", "submitted", "started", "ended"]
        assert [name for name in names if name != "started"] == [
            name for name in (*run, *run) if name != "started"
        ]
        ends = [event for event in told if event["event"] == "ended"]
        assert [end["exit_code"] for end in ends] == [0, 3]
        assert all(event["by"] and event["at"] for event in told)
    assert "the chain is sound" in shell.said("audit", "verify", job, "--site-log", str(log))

    # Whoever holds the table says that somebody else had submitted it.
    current = site.details(job)["allocation"]["id"]
    key = table_keys.allocation(site.name, current)
    deployed.client("dynamodb").update_item(
        TableName=site.table,
        Key=dynamodb_json.encode({"pk": key.pk, "sk": key.sk}),
        UpdateExpression="SET principal = :p",
        ExpressionAttributeValues={":p": {"S": "AWS:SOMEBODY"}},
    )
    forged = _verified(shell, job, log, "api", expect=1)
    assert f"allocation {current}: 'created' is not what the site saw" in forged["problems"]
