"""Arrays on the real stack: one submission, each element with its own end, and a retry."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DeployedStack
from tests.e2e.site import DEAD, Site
from tests.patience import PATIENCE
from tests.schedulers.slurm_cluster import SlurmCluster

pytestmark = pytest.mark.emulator

SCRIPT = """\
#!/bin/bash
echo "element $JOBFERRY_ARRAY_INDEX of $JOBFERRY_ARRAY_COUNT"
echo "$JOBFERRY_ARRAY_INDEX" >> ran.$JOBFERRY_ARRAY_INDEX.txt
if [ -e fixed ]; then exit 0; fi
case $JOBFERRY_ARRAY_INDEX in 3) exit 7 ;; 5) exit 9 ;; esac
"""


def upload(site: Site, job_id: str, script: str, **settings: object) -> None:
    site.put(f"{job_id}/aws-job.json", json.dumps(settings))
    site.upload(job_id, script, {"in.txt": b"input\n"})


def until_told(site: Site, job: str, told: Callable[[dict[str, Any]], bool]) -> None:
    """Pass until the details in the bucket say it."""
    deadline = time.monotonic() + PATIENCE
    while not told(site.details(job)):
        assert time.monotonic() < deadline, site.details(job)
        site.pull()


def check_retry(site: Site, job: str) -> None:
    """An array of which two elements fail, and its retry, which runs these two alone."""
    upload(site, job, SCRIPT, count=8, max_running=4)
    assert site.run_to_end(job) == "JOB_FAILED"
    allocation = site.details(job)["allocation"]
    assert allocation["exit_code"] == 9
    assert allocation["reason"].startswith("2 of 8 elements failed: 3, 5")
    assert allocation["array"] == {
        "count": 8,
        "complete": 6,
        "failed": 2,
        "not_complete": "3,5",
        "failed_first": [
            {"index": 3, "state": "failed", "exit_code": 7},
            {"index": 5, "state": "failed", "exit_code": 9},
        ],
    }
    assert site.get(f"{job}/aws-job-stdout.4.txt") == b"element 4 of 8\n"

    # The site's own hand makes it work: the directory is the same, so what lies there counts.
    (site.jobs_dir / job / "fixed").touch()
    site.mark(job, "JOB_RETRY")
    site.wait_for(job, "JOB_QUEUED")
    assert site.run_to_end(job) == "JOB_COMPLETE"
    details = site.details(job)
    assert details["run"] == 2
    assert details["allocation"]["array"] == {"count": 8, "complete": 8, "complete_before": 6}
    ran = {n: (site.jobs_dir / job / f"ran.{n}.txt").read_text().count("\n") for n in range(8)}
    assert ran == {n: 2 if n in (3, 5) else 1 for n in range(8)}
    assert site.get(f"{job}/ran.3.txt") == b"3\n3\n"
    assert site.get(f"{job}/ran.4.txt") == b"4\n"
    versions = site.s3.list_object_versions(Bucket=site.bucket, Prefix=f"{job}/ran.4.txt")
    assert len(versions["Versions"]) == 1, "a result that was there was pushed again"
    assert not (site.jobs_dir / ".jobferry/earlier" / job).exists()


def test_a_local_array_and_its_retry(site: Site) -> None:
    check_retry(site, "sweep-array")


def test_retries_run_only_the_elements_that_failed(site: Site) -> None:
    upload(
        site,
        "sweep-attempts",
        "#!/bin/bash\necho x >> ran.$JOBFERRY_ARRAY_INDEX\n"
        "[ $JOBFERRY_ARRAY_INDEX != 2 ] || [ $(wc -l < ran.2) -ge 2 ]\n",
        count=4,
        retries={"attempts": 1, "delay": 1},
    )
    assert site.run_to_end("sweep-attempts") == "JOB_COMPLETE"
    ran = [(site.jobs_dir / "sweep-attempts" / f"ran.{n}").read_text() for n in range(4)]
    assert ran == ["x\n", "x\n", "x\nx\n", "x\n"]
    assert site.details("sweep-attempts")["allocation"]["attempt"] == 2


def test_a_job_that_is_no_array_is_retried_with_its_recorded_inputs(site: Site) -> None:
    site.upload("sweep-again", "#!/bin/sh\ncat in.txt >> out.txt\nexit 3\n", {"in.txt": b"first\n"})
    assert site.run_to_end("sweep-again") == "JOB_FAILED"
    site.put("sweep-again/in.txt", b"changed since\n")
    site.mark("sweep-again", "JOB_RETRY")
    site.wait_for("sweep-again", "JOB_QUEUED")
    assert site.run_to_end("sweep-again") == "JOB_FAILED"
    assert site.details("sweep-again")["run"] == 2
    assert site.get("sweep-again/out.txt") == b"first\n"


def test_what_is_complete_is_not_retried(site: Site) -> None:
    site.upload("sweep-well", "#!/bin/sh\ntrue\n")
    assert site.run_to_end("sweep-well") == "JOB_COMPLETE"
    site.mark("sweep-well", "JOB_RETRY")
    site.wait_for("sweep-well", "JOB_COMPLETE")
    assert "complete" in site.details("sweep-well")["note"]
    assert site.details("sweep-well")["run"] == 1


def test_an_array_that_is_stopped_keeps_what_was_complete(site: Site) -> None:
    upload(
        site,
        "sweep-stopped",
        "#!/bin/bash\n[ $JOBFERRY_ARRAY_INDEX = 0 ] || exec sleep 600\n",
        count=5,
        max_running=2,
    )
    site.wait_for("sweep-stopped", "JOB_RUNNING", between=site.pull)
    until_told(site, "sweep-stopped", lambda details: "complete" in details["allocation"]["array"])
    site.mark("sweep-stopped", "JOB_STOP")
    site.wait_for("sweep-stopped", *DEAD, between=site.pull)
    assert site.word("sweep-stopped") == "JOB_STOPPED"
    array = site.details("sweep-stopped")["allocation"]["array"]
    assert (array["complete"], array["stopped"]) == (1, 4)


def test_progress_is_shown_while_an_array_runs(site: Site) -> None:
    upload(
        site,
        "sweep-progress",
        "#!/bin/bash\nwhile [ ! -e go.$JOBFERRY_ARRAY_INDEX ]; do sleep 0.05; done\n",
        count=3,
        max_running=3,
    )
    site.wait_for("sweep-progress", "JOB_QUEUED")
    site.wait_for("sweep-progress", "JOB_RUNNING", between=site.pull)
    (site.jobs_dir / "sweep-progress/go.1").touch()
    until_told(
        site,
        "sweep-progress",
        lambda details: details["message"].endswith("of 3 elements 1 have ended, 2 run"),
    )
    assert site.details("sweep-progress")["allocation"]["array"]["complete"] == 1
    assert site.word("sweep-progress") == "JOB_RUNNING"
    for index in (0, 2):
        (site.jobs_dir / f"sweep-progress/go.{index}").touch()
    assert site.run_to_end("sweep-progress") == "JOB_COMPLETE"


def jobferry(site: Site, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "jobferry", *arguments, "--bucket", site.bucket],
        env={
            **site.cron_environment(),
            "AWS_ENDPOINT_URL": site.endpoint_url,
            "AWS_DEFAULT_REGION": site.region,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_array_from_the_command_line(site: Site, tmp_path: Path) -> None:
    script = tmp_path / "sweep.sh"
    script.write_text(
        "#!/bin/bash\necho attempt\n[ $JOBFERRY_ARRAY_INDEX != 1 ] || "
        "[ $(grep -c attempt aws-job-stdout.1.txt) -ge 2 ]\n"
    )
    jobferry(
        site, "submit", str(script), "--job", "sweep-cli", "--count", "3", "--max-running", "2"
    )
    assert site.run_to_end("sweep-cli") == "JOB_FAILED"
    shown = jobferry(site, "status", "sweep-cli")
    assert "= 3: 2 complete, 1 failed" in shown
    assert "= 1 (1)" in shown
    jobferry(site, "retry", "sweep-cli", "--failed")
    site.wait_for("sweep-cli", "JOB_QUEUED")
    assert site.run_to_end("sweep-cli") == "JOB_COMPLETE"
    assert jobferry(site, "logs", "sweep-cli", "--element", "1") == "attempt\nattempt\n"
    assert jobferry(site, "logs", "sweep-cli", "--element", "0") == "attempt\n"


def test_an_array_beyond_the_site_s_limit_is_rejected(site: Site) -> None:
    upload(site, "sweep-large", "#!/bin/sh\n", count=10_001)
    assert site.wait_for("sweep-large", *DEAD) == "FILE_REJECTED"
    assert "at most 10000" in site.details("sweep-large")["reasons"][0]["problem"]


@pytest.mark.slurm
def test_a_slurm_array_and_its_retry(
    deployed: DeployedStack, slurm_cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site = Site.of(
        deployed,
        tmp_path_factory.mktemp("slurm"),
        scheduler="slurm",
        environment=dict(slurm_cluster.environment),
    )
    check_retry(site, "slurm-array")
