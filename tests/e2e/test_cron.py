"""A real cron drives the installed single file through a job on a real Slurm, as another user."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DeployedStack
from tests.e2e.cron_host import CronHost, directory_for_all, missing
from tests.e2e.puller_file import site_python
from tests.e2e.site import DEAD
from tests.schedulers.slurm_cluster import SlurmCluster

pytestmark = [pytest.mark.emulator, pytest.mark.slurm]

OTHER_LINES = "# somebody else's\n17 5 * * * true # 100\\% mine\n"
JOB = "from-cron"


@pytest.fixture
def cron_host() -> Iterator[CronHost]:
    if (reason := missing()) is not None:
        pytest.skip(f"no cron: {reason}")
    directory = directory_for_all()
    try:
        with CronHost(directory) as host:
            yield host
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def settings(deployed: DeployedStack) -> str:
    """What the deployment prints, and the emulator's address."""
    return (
        'site = "dc1"\n'
        f"bucket = {json.dumps(deployed.buckets['dc1'])}\n"
        f"table = {json.dumps(deployed.table)}\n"
        f"region = {json.dumps(deployed.emulator.region)}\n"
        f"endpoint_url = {json.dumps(deployed.emulator.endpoint_url)}\n"
    )


def test_cron_runs_the_installed_file_through_a_job_on_slurm(
    cron_host: CronHost,
    settings: str,
    puller_file: Path,
    slurm_cluster: SlurmCluster,
    deployed: DeployedStack,
) -> None:
    def puller(*arguments: str) -> str:
        return cron_host.run(
            site_python(), str(puller_file), *arguments, environment=slurm_cluster.environment
        )

    bucket, s3 = deployed.buckets["dc1"], deployed.client("s3")
    script = "#!/bin/bash\n#SBATCH --time=5\necho $SLURM_JOB_ID > id.txt; id -un > user.txt\n"
    s3.put_object(Bucket=bucket, Key=f"{JOB}/aws-job-run.sh", Body=script)
    s3.put_object(Bucket=bucket, Key=f"{JOB}/aws-job-stat.txt", Body="FILE_UPLOAD\n")

    cron_host.write(
        ".aws/credentials",
        "[puller]\naws_access_key_id = test\naws_secret_access_key = test\n",
    )
    cron_host.write("dc1.toml", settings)
    cron_host.write("crontab-before", OTHER_LINES)
    cron_host.run("crontab", str(cron_host.home / "crontab-before"))
    source = str(cron_host.home / "dc1.toml")
    locks = ("--lock-dir", str(cron_host.home / "locks"))
    puller("install", "--from", source, "--scheduler", "slurm", "--profile", "puller", *locks)
    installed = cron_host.run("crontab", "-l")
    assert installed.startswith(OTHER_LINES)
    assert f"* * * * * {site_python()} {puller_file} " in installed

    assert wait_for_the_end(s3, bucket, seconds=240) == "JOB_COMPLETE"
    user = s3.get_object(Bucket=bucket, Key=f"{JOB}/user.txt")["Body"].read().decode().strip()
    assert user == "games"
    slurm_id = s3.get_object(Bucket=bucket, Key=f"{JOB}/id.txt")["Body"].read().decode().strip()
    details = json.loads(
        s3.get_object(Bucket=bucket, Key=f"{JOB}/aws-job-stat.json")["Body"].read()
    )
    assert details["allocation"]["scheduler_id"] == slurm_id

    status = json.loads(puller("status", "--json"))
    assert status["allocations"] == []
    assert status["last_pass"]["problem"] is None
    assert status["job_directories"]["count"] == 1
    found = json.loads(puller("doctor", "--json", "--probe"))["findings"]
    assert {f["check"]: f["level"] for f in found if f["level"] == "fail"} == {}
    assert levels(found, "credentials", "start", "last pass", "cron's PATH") == {"ok"}

    puller("uninstall")
    assert cron_host.run("crontab", "-l") == OTHER_LINES
    assert (cron_host.home / ".config/jobferry/puller.toml").exists()


def levels(findings: list[dict[str, Any]], *checks: str) -> set[str]:
    return {f["level"] for f in findings if f["check"] in checks}


def wait_for_the_end(s3: Any, bucket: str, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while True:
        body = s3.get_object(Bucket=bucket, Key=f"{JOB}/aws-job-stat.txt")["Body"].read()
        word = str(body.decode().strip())
        if word in DEAD:
            return word
        assert time.monotonic() < deadline, f"still {word}"
        time.sleep(0.5)
