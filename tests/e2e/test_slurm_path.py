"""The bucket path on a real Slurm, with passes that start as cron starts them."""

from __future__ import annotations

import subprocess
import time
import uuid
from pathlib import Path

import pytest

from tests.conftest import DeployedStack
from tests.e2e.site import Site
from tests.emulator.api_client import ApiClient
from tests.patience import PATIENCE
from tests.schedulers.slurm_cluster import SlurmCluster

pytestmark = [pytest.mark.emulator, pytest.mark.slurm]

PROFILE = """\
echo 'Welcome to the login node!'
module() { echo "module $*"; }
"""


@pytest.fixture
def site(deployed: DeployedStack, slurm_cluster: SlurmCluster, tmp_path: Path) -> Site:
    made = Site.of(
        deployed,
        tmp_path / "home",
        scheduler="slurm",
        environment=dict(slurm_cluster.environment),
    )
    (made.home / ".bash_profile").write_text(PROFILE)
    return made


def scontrol(cluster: SlurmCluster, *arguments: str) -> str:
    done = subprocess.run(
        ["scontrol", *arguments],
        env={"PATH": "/usr/bin:/bin", **cluster.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_reference_document_on_slurm(site: Site) -> None:
    site.upload(
        "slurm job/一",
        "#!/bin/bash\n#SBATCH --job-name=mine\n#SBATCH --mem=20M\n\n"
        "mkdir -p out/empty\ntr a-z A-Z < in.txt > out/result.txt\n"
        "echo $SLURM_JOB_NAME; echo careful >&2\n",
        {"in.txt": b"hello\n"},
    )
    assert site.run_to_end("slurm job/一") == "JOB_COMPLETE"
    assert site.get("slurm job/一/out/result.txt") == b"HELLO\n"
    assert site.get("slurm job/一/aws-job-stdout.txt") == b"mine\n"
    assert site.get("slurm job/一/aws-job-stderr.txt") == b"careful\n"
    assert "out/empty/" in site.keys("slurm job/一")
    assert (site.jobs_dir / "slurm job/一/out/result.txt").read_text() == "HELLO\n"
    allocation = site.details("slurm job/一")["allocation"]
    assert allocation["scheduler"] == "slurm"
    assert allocation["exit_code"] == 0
    assert not (site.jobs_dir / ".jobferry/alloc" / allocation["id"]).exists()


def test_exit_code_3_on_slurm(site: Site) -> None:
    site.upload("s3", "#!/bin/bash\nexit 3\n")
    assert site.run_to_end("s3") == "JOB_FAILED"
    assert site.details("s3")["allocation"]["exit_code"] == 3


def test_a_time_limit_shows_its_reason(site: Site, slurm_cluster: SlurmCluster) -> None:
    site.put("limit/aws-job.json", '{"time_limit": "00:01:00"}')
    site.upload("limit", "#!/bin/bash\necho before > before.txt\nsleep 300\n")
    site.wait_for("limit", "JOB_QUEUED")
    site.wait_for("limit", "JOB_RUNNING", between=site.pull)
    scheduler_id = site.details("limit")["allocation"]["scheduler_id"]
    assert "TimeLimit=00:01:00" in scontrol(slurm_cluster, "show", "job", scheduler_id)
    # The limit of a minute, without waiting for it.
    scontrol(slurm_cluster, "update", f"jobid={scheduler_id}", "endtime=now+2seconds")
    assert site.run_to_end("limit") == "JOB_FAILED"
    assert "TIMEOUT" in site.details("limit")["message"]
    assert site.get("limit/before.txt") == b"before\n"


def test_module_of_the_login_shell_works_in_a_job_that_cron_s_pass_submitted(site: Site) -> None:
    site.upload("module", "#!/bin/bash\nmodule load gcc\nenv | grep -c ^AWS_ || true\n")
    assert site.run_to_end("module") == "JOB_COMPLETE"
    assert site.get("module/aws-job-stdout.txt") == b"module load gcc\n0\n"


def test_a_bad_partition_is_a_failure_in_slurm_s_own_words(site: Site) -> None:
    site.put("partition/aws-job.json", '{"partition": "nowhere"}')
    site.upload("partition", "#!/bin/bash\ntrue\n")
    assert site.run_to_end("partition") == "JOB_FAILED"
    assert "partition" in site.details("partition")["message"].lower()


def test_a_pending_job_is_stopped(site: Site) -> None:
    site.put("held/aws-job.json", "{}")
    site.upload("held", "#!/bin/bash\n#SBATCH --hold\ntouch ran\n")
    site.wait_for("held", "JOB_QUEUED")
    site.pull()
    site.wait_for("held", "JOB_SUBMITTED")
    site.mark("held", "JOB_STOP")
    assert site.wait_for("held", "JOB_STOPPED", between=site.pull)
    assert "ran" not in site.keys("held")


def test_the_scheduler_s_estimate_of_the_start_reaches_the_user(
    site: Site, deployed: DeployedStack
) -> None:
    first, second = (f"{name}-{uuid.uuid4().hex[:8]}" for name in ("fills", "waits"))
    head = "#!/bin/bash\n#SBATCH --exclusive --time=20\n"
    try:
        site.upload(first, f"{head}sleep 1000\n")
        site.wait_for(first, "JOB_RUNNING", seconds=120, between=site.pull)
        site.upload(second, f"{head}true\n")
        site.wait_for(second, "JOB_SUBMITTED", seconds=120, between=site.pull)
        api = ApiClient(deployed.deployment.api_urls[""], deployed.emulator.region)
        told: list[str] = []
        deadline = time.monotonic() + 240
        while not any("slurm expects to start it at 20" in sentence for sentence in told):
            assert time.monotonic() < deadline, f"{told}\n{site.log}"
            site.pull()
            told = api.get(f"/v1/job/{second}", site="dc1")["Waiting"]
        assert any("PENDING (" in sentence for sentence in told)
    finally:
        for job in (second, first):
            site.mark(job, "JOB_STOP")
        for job in (second, first):
            site.wait_for(job, "JOB_STOPPED", seconds=120, between=site.pull)


def test_outputs_that_the_script_s_own_directives_name_are_results(site: Site) -> None:
    site.upload("own", "#!/bin/bash\n#SBATCH -o own-%j.log\necho here\n")
    assert site.run_to_end("own") == "JOB_COMPLETE"
    scheduler_id = site.details("own")["allocation"]["scheduler_id"]
    assert site.get(f"own/own-{scheduler_id}.log") == b"here\n"
    assert "aws-job-stdout.txt" not in site.keys("own")


def test_lingering_starts_a_job_that_comes_meanwhile(site: Site) -> None:
    lingering = subprocess.Popen(
        [*site.puller, "pass", "--linger", "600"], env=site.cron_environment(), cwd=site.home
    )
    try:
        site.upload("meanwhile", "#!/bin/bash\ntrue\n")
        assert site.wait_for("meanwhile", "JOB_COMPLETE")
    finally:
        lingering.terminate()
        assert lingering.wait(PATIENCE) == 0
