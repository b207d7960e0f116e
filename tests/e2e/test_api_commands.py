"""The commands over the API that need no job file: sites, tokens, settings, doctor, scripts."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.conftest import DeployedStack
from tests.e2e.shell import Shell
from tests.e2e.site import Site, forget_heartbeats

pytestmark = pytest.mark.emulator


@pytest.fixture
def shell(deployed: DeployedStack, site: Site, tmp_path: Path) -> Shell:
    return Shell(deployed, site, tmp_path)


def test_sites_tokens_settings_and_the_doctor(shell: Shell) -> None:
    shell.site.pull()
    shell.run("site", "drain", "osaka")
    assert shell.json("site", "status", "osaka")["Drain"] is True
    assert "osaka" in shell.run("site", "list")
    shell.run("site", "resume", "osaka")
    made = shell.json("token", "create", "ci", "-scope", "read", "-ttl", "1h")
    assert made["AccessorID"] in shell.run("token", "list")
    assert made["SecretID"] not in shell.run("token", "list")
    shell.run("token", "revoke", made["AccessorID"])
    assert made["AccessorID"] not in shell.run("token", "list")

    shell.run("config", "set", "site", "dc1")
    assert shell.json("config", "show")["settings"]["site"] == {"value": "dc1", "from": "file"}
    shell.run("config", "set", "-unset", "site")
    told = shell.run("doctor")
    assert "may manage, read, submit" in told
    assert "site dc1" in told


def test_a_script_over_the_api_says_that_its_site_is_silent(shell: Shell) -> None:
    job_id = f"cli/{uuid.uuid4().hex[:8]}"
    script = shell.home / "job.sh"
    script.write_text("#!/bin/sh\ncat in.txt\nexit 3\n")
    (shell.home / "in.txt").write_text("input\n")
    options = ["--job", job_id, "--input", "in.txt=in.txt"]
    shell.run("submit", "job.sh", *options, "--site", "mars", expect=4)
    forget_heartbeats(shell.stack, "osaka")
    silent = shell.said("submit", "job.sh", "--job", f"{job_id}-silent", "--site", "osaka")
    assert "note: site osaka has never been seen" in silent
    shell.run("stop", f"{job_id}-silent", "--site", "osaka")
    shell.site.pull()
    assert "note:" not in shell.said("submit", "job.sh", *options, "--site", "osaka,dc1")
    status = shell.run("job", "status", job_id)
    assert "\n\nWaiting\n" in status
    shell.finish(job_id)
    assert "dead (failed)" in shell.run("job", "status", job_id)
    assert "failed, exit code 3" in shell.run("wait", job_id, expect=1)
    assert shell.run("logs", job_id) == "input\n"
    alloc = shell.json("job", "status", job_id)["Allocations"][0]["ID"]
    assert shell.run("logs", alloc[:8]) == "input\n"
    got = shell.json("alloc", "get", alloc, "-o", "results", "--only", "in.txt")
    assert got["files"] == 1
    shell.run("job", "retry", job_id)
    assert "dead" not in shell.run("job", "status", "-short", job_id)
    shell.run("job", "stop", job_id)
