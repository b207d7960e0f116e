"""The commands over the API that need no job file: sites, tokens, settings, doctor, scripts."""

from __future__ import annotations

import re
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
    assert "+09:00; " in told, "the time is the user's"
    assert "site dc1" in told


def test_a_script_over_the_api_says_that_its_site_is_silent(shell: Shell) -> None:
    job_id = f"cli/{uuid.uuid4().hex[:8]}"
    script = shell.home / "job.sh"
    script.write_text("#!/bin/sh\ncat in.txt\nexit 3\n")
    (shell.home / "in.txt").write_text("input\n")
    options = ["--job", job_id, "--input", "in.txt=in.txt"]
    shell.run("submit", "job.sh", *options, "--site", "mars", expect=4)
    shell.site.put(f"shared/{job_id}", "shared\n")
    for bucket, expect in (("another", 4), (shell.site.bucket, 0)):
        named = f"s3://{bucket}/shared/{job_id}=in.txt"
        own = ["--job", f"{job_id}-named", "--input", named, "--site", "dc1"]
        shell.run("submit", "job.sh", *own, expect=expect)
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
    assert "has ended: failed with exit code 3" in shell.run("wait", job_id, expect=3)
    assert shell.run("logs", job_id) == "input\n"
    alloc = shell.json("job", "status", job_id)["Allocations"][0]["ID"]
    assert shell.run("logs", alloc[:8]) == "input\n"
    shell.run("alloc", "logs", alloc, "solve", expect=2)
    got = shell.json("alloc", "get", alloc, "-o", "results", "--only", "in.txt")
    assert got["files"] == 1
    shell.run("job", "retry", job_id)
    assert "dead" not in shell.run("job", "status", "-short", job_id)
    shell.run("job", "stop", job_id)
    shell.site.wait_for(job_id, "JOB_STOPPED")
    for via in ("api", "s3"):
        told = shell.said("job", "stop", job_id, "--via", via)
        assert f"job {job_id} has ended already (stopped)" in told
    runs = shell.run("job", "history", job_id)
    assert re.search(r"  1    Ended      \w{8}  attempt 1: failed with exit code 3$", runs, re.M)
    assert re.search(r"  2    Finished   -  ", runs)
    for via in ("api", "s3"):
        told = shell.json("job", "history", job_id, "--via", via)
        assert told[0]["Run"] == 1
        assert [row["Run"] for row in told] == sorted(row["Run"] for row in told)
        ended = [row["AllocID"] for row in told if (row["Run"], row["Type"]) == (1, "Ended")]
        assert ended == [alloc]
        assert (told[-1]["Run"], told[-1]["Type"]) == (2, "Finished")


def test_of_several_sites_the_one_that_has_taken_the_job_is_followed(
    shell: Shell, tmp_path: Path
) -> None:
    job_id = f"cli/{uuid.uuid4().hex[:8]}"
    (shell.home / "job.sh").write_text("#!/bin/sh\n")
    submit = ("submit", "job.sh", "--job", job_id, "--site", "dc1,osaka")
    osaka = Site.of(shell.stack, tmp_path / "osaka", name="osaka")
    forget_heartbeats(shell.stack, "osaka")
    shell.site.pull()
    assert "site dc1 has taken it" in shell.said(*submit)
    shell.finish(job_id)
    shell.run("site", "drain", "dc1")
    try:
        osaka.pull()
        assert shell.json(*submit)["site"] == "osaka", "dc1 has an ended job of the same id"
        said = shell.run(*submit, expect=1)
        assert "still active" in said
        shell.run("stop", job_id, "--site", "osaka")
    finally:
        shell.run("site", "resume", "dc1")
        forget_heartbeats(shell.stack, "osaka")


ARRAY = """\
#!/bin/bash
echo "element $JOBFERRY_ARRAY_INDEX"
mkdir -p "elements/$JOBFERRY_ARRAY_INDEX" && echo "$JOBFERRY_ARRAY_INDEX" > "$_/n"
[ "$JOBFERRY_ARRAY_INDEX" != 1 ] || exit 7
"""
PLATES = """\
job "%s" {
  datacenters = ["dc1"]
  type        = "batch"
  group "plate" {
    count = 2
    task "solve" {
      driver = "raw_exec"
      config {
        command = "/bin/bash"
        args    = ["-c", "echo plate ${NOMAD_ALLOC_INDEX} | tee local/out.txt"]
      }
    }
  }
}
"""


def test_the_elements_of_an_array_are_read_one_by_one(shell: Shell) -> None:
    job_id = f"cli/{uuid.uuid4().hex[:8]}"
    (shell.home / "array.sh").write_text(ARRAY)
    shell.run("submit", "array.sh", "--job", job_id, "--count", "3")
    shell.finish(job_id)
    assert "has ended: failed with exit code 7" in shell.run("wait", job_id, expect=7)
    shown = shell.run("status", job_id)
    assert "Exit Code    = 7" in shown
    assert "= 3: 2 complete, 1 failed" in shown
    whole = shell.json("status", job_id)["allocation"]["id"]
    elements = shell.json("job", "status", job_id)["Allocations"]
    assert len(elements) == 3
    for array in (whole, whole[:8], elements[2]["ID"]):
        assert shell.run("alloc", "logs", "--element", "1", array) == "element 1\n"
    assert shell.run("alloc", "logs", elements[2]["ID"]) == "element 2\n"
    assert shell.json("alloc", "status", "--element", "1", whole)["ExitCode"] == 7
    log = shell.run("alloc", "fs", "--element", "2", whole[:8], "alloc/logs/script.stdout.0")
    assert log == "element 2\n"
    assert shell.run("fs", whole[:8], "elements/1/n") == "1\n"
    for words in (("alloc", "logs", whole[:8]), ("logs", job_id)):
        assert "the elements are 0 to 2" in shell.run(*words, "--element", "3", expect=2)
    for via in ("api", "s3"):
        assert shell.run("logs", job_id, "--element", "1", "--via", via) == "element 1\n"
        assert "--element 0 to 2" in shell.run("logs", job_id, "--via", via, expect=2)
        shell.run("get", job_id, "--elements", "failed", "-o", f"failed-{via}", "--via", via)
    shell.run("alloc", "get", whole[:8], "--elements", "1", "-o", "failed")
    for name in ("failed", "failed-api", "failed-s3"):
        assert (shell.home / name / "elements/1/n").read_text() == "1\n"
        assert (shell.home / name / "aws-job-stdout.1.txt").read_text() == "element 1\n"
        assert sorted(path.name for path in (shell.home / name / "elements").iterdir()) == ["1"]
    assert "take a job" in shell.run("alloc", "logs", whole[:8], "--via", "s3", expect=2)


def test_the_logs_of_a_nomad_job_are_found_by_its_id(shell: Shell) -> None:
    job_id = f"plates-{uuid.uuid4().hex[:8]}"
    shell.run("job", "run", "-detach", shell.write(PLATES, job_id))
    shell.finish(job_id)
    for index in range(2):
        assert shell.run("logs", job_id, "--element", str(index)) == f"plate {index}\n"
    alloc = shell.json("job", "status", job_id)["Allocations"][0]["EvalID"][:8]
    out = shell.run("alloc", "fs", alloc, "--element", "1", "solve/local/out.txt")
    assert out == "plate 1\n"
    shell.run("get", job_id, "--elements", "1", "-o", "one")
    fetched = {path.name: path.read_text() for path in (shell.home / "one").rglob("*.txt")}
    assert fetched == {"out.txt": "plate 1\n"}
