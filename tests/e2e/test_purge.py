"""A purge on the real stack: the objects, then the directories on the site, then the items."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from job_protocol import table_keys
from lambdas.ports.job_queue import JobQueue
from lambdas.ports.job_table import JobTable
from lambdas.purge_requests import NoSuchJob, PurgeRequests
from tests.conftest import DeployedStack
from tests.e2e.shell import Shell
from tests.e2e.site import Site
from tests.patience import PATIENCE

pytestmark = pytest.mark.emulator

SCRIPT = "#!/bin/bash\nmkdir -p out && echo done > out/result.txt\n"


@pytest.fixture
def purging(deployed: DeployedStack) -> PurgeRequests:
    functions = deployed.client("lambda")
    (purger,) = [
        function
        for function in functions.list_functions(MaxItems=50)["Functions"]
        if function["Handler"] == "lambdas.purger.handler"
    ]
    return PurgeRequests(
        table=JobTable(deployed.client("dynamodb"), deployed.table),
        queue=JobQueue(
            deployed.client("sqs"), purger["Environment"]["Variables"]["PURGE_QUEUE_URL"]
        ),
        clock=time.time,
    )


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


def versions(site: Site, prefix: str) -> list[str]:
    answer = site.s3.list_object_versions(Bucket=site.bucket, Prefix=prefix)
    rows = answer.get("Versions", []) + answer.get("DeleteMarkers", [])
    return sorted(row["Key"] for row in rows)


def test_a_purged_job_leaves_nothing_anywhere(site: Site, purging: PurgeRequests) -> None:
    job = "purged/once more"
    for _ in range(2):  # the second run puts the directory of the first aside
        site.upload(job, SCRIPT)
        assert site.run_to_end(job) == "JOB_COMPLETE"
    site.upload("purged/neighbour", SCRIPT)
    assert site.run_to_end("purged/neighbour") == "JOB_COMPLETE"
    current = purging.table.job("dc1", job)
    assert current is not None
    assert current.current is not None
    earlier = site.jobs_dir / ".jobferry/earlier"
    assert (earlier / job).exists()

    purging.ask("dc1", job)
    eventually(lambda: versions(site, f"{job}/") == [])
    assert (site.jobs_dir / job).exists(), "the objects go first"
    allocation_is_asked_for(purging, current.current)
    site.pull()
    assert not (site.jobs_dir / job).exists()
    assert list((site.jobs_dir / ".jobferry/removing").iterdir()) == []
    assert not (earlier / job).exists() or list((earlier / job).iterdir()) == []
    eventually(lambda: purging.table.job("dc1", job) is None)
    assert purging.table.allocation("dc1", current.current) is None
    assert versions(site, f"{job}/") == []
    assert (site.jobs_dir / "purged/neighbour/out/result.txt").read_text() == "done\n"
    assert "out/result.txt" in site.keys("purged/neighbour")

    site.upload(job, SCRIPT)
    assert site.run_to_end(job) == "JOB_COMPLETE"
    assert site.details(job)["run"] == 1


def allocation_is_asked_for(purging: PurgeRequests, allocation_id: str) -> None:
    def asked() -> bool:
        allocation = purging.table.allocation("dc1", allocation_id)
        return allocation is not None and allocation.purge_wanted

    eventually(asked)


def test_a_job_that_runs_is_purged_when_it_has_ended(site: Site, purging: PurgeRequests) -> None:
    job = "purge-while-running"
    site.upload(job, "#!/bin/bash\ntouch up; while [ ! -e go ]; do sleep 0.1; done\n")
    site.wait_for(job, "JOB_RUNNING", between=site.pull)
    purging.ask("dc1", job)
    site.pull()
    assert (site.jobs_dir / job / "up").exists()
    (site.jobs_dir / job / "go").touch()
    eventually(lambda: site.pull() is not None and purging.table.job("dc1", job) is None)
    assert not (site.jobs_dir / job).exists()
    assert versions(site, f"{job}/") == []


def test_a_purge_is_typed_into_a_shell(
    deployed: DeployedStack, site: Site, purging: PurgeRequests, tmp_path: Path
) -> None:
    job, shell = "purge-typed", Shell(deployed, site, tmp_path)
    site.upload(job, SCRIPT)
    assert site.run_to_end(job) == "JOB_COMPLETE"
    assert "say --yes" in shell.run("job", "stop", "-purge", job, expect=2)
    assert site.keys(job)
    shell.run("job", "stop", "-purge", "-yes", job)
    eventually(lambda: site.pull() is not None and purging.table.job("dc1", job) is None)
    assert versions(site, f"{job}/") == []


def test_what_is_uploaded_during_a_purge_stays_and_is_told_why(
    site: Site, purging: PurgeRequests
) -> None:
    job = "purge-and-upload"
    site.upload(job, SCRIPT)
    assert site.run_to_end(job) == "JOB_COMPLETE"
    purging.ask("dc1", job)
    eventually(lambda: versions(site, f"{job}/") == [])
    time.sleep(1.1)  # S3 keeps whole seconds
    site.upload(job, SCRIPT, {"new.txt": b"new"})
    eventually(lambda: "aws-job-stat.json" in site.keys(job))
    assert "being purged" in site.details(job)["note"]
    eventually(lambda: site.pull() is not None and purging.table.job("dc1", job) is None)
    assert {"aws-job-run.sh", "new.txt"} == site.keys(job)
    site.mark(job, "FILE_UPLOAD")
    assert site.run_to_end(job) == "JOB_COMPLETE"


def test_only_jobs_are_purged(site: Site, purging: PurgeRequests) -> None:
    site.upload("purge-folder/job", SCRIPT)
    site.wait_for("purge-folder/job", "JOB_QUEUED")
    for nothing in ("purge-folder", "purge-nothing"):
        with pytest.raises(NoSuchJob, match="has no job"):
            purging.ask("dc1", nothing)
    assert table_keys.is_job(table_keys.job("dc1", "purge-folder").pk)
    assert site.run_to_end("purge-folder/job") == "JOB_COMPLETE"
