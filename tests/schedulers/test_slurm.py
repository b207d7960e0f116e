"""Jobs on a real Slurm."""

from __future__ import annotations

import pwd
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from job_protocol.job_settings import JobSettings, Resources
from job_protocol.object_keys import STDERR, STDOUT
from puller.errors import (
    SchedulerUnavailable,
    SubmissionDeferred,
    SubmissionRefused,
    SubmissionUnknown,
)
from puller.exit_file import ExitRecord
from puller.login_environment import login_environment
from puller.schedulers.interface import EndReason, SchedulerState
from puller.schedulers.slurm import Slurm
from tests.schedulers.prepared_job import PreparedJob, eventually, prepare
from tests.schedulers.slurm_cluster import SlurmCluster

pytestmark = pytest.mark.slurm

WAITS = "#!/bin/bash\n: >up\nexec sleep 300\n"


@pytest.fixture
def slurm(slurm_cluster: SlurmCluster) -> Slurm:
    return Slurm(slurm_cluster.environment)


@pytest.fixture
def new_cluster() -> Iterator[Callable[..., SlurmCluster]]:
    """Makes clusters that a test may disturb."""
    directory = Path(tempfile.mkdtemp(prefix="slurm-"))
    yield lambda **options: SlurmCluster(directory, **options)
    shutil.rmtree(directory, ignore_errors=True)


def running(slurm: Slurm, jobs_dir: Path, script: str = WAITS) -> PreparedJob:
    job = prepare(slurm, jobs_dir, script)
    job.submit()
    job.has_file("up")
    return job


@pytest.mark.parametrize("code", [0, 3])
def test_a_job_runs_and_its_code_is_known(slurm: Slurm, tmp_path: Path, code: int) -> None:
    job = prepare(slurm, tmp_path, f"#!/bin/sh\npwd\necho oops >&2\nexit {code}\n")
    before = int(time.time())
    job.submit()
    record = job.exit()
    assert (record.scheduler_id, record.restart, record.code) == (job.id, 0, code)
    assert (job.job_dir / STDOUT).read_text() == f"{job.job_dir}\n"
    assert (job.job_dir / STDERR).read_text() == "oops\n"
    ended = job.ended()
    assert (ended.end, ended.exit_code, ended.user) == (None, code, "root")
    assert ended.identity == str(job.submission.wrapper)
    assert ended.submitted_at is not None
    assert before <= ended.submitted_at <= time.time()
    assert job.submission.scheduler_output.read_text() == ""


@pytest.mark.parametrize("name", ["projA/job 7", "計算/シミュレーション", 'it\'s "$HOME" %j'])
def test_any_job_id_works(slurm: Slurm, tmp_path: Path, name: str) -> None:
    job = prepare(slurm, tmp_path / "100%j", "#!/bin/sh\npwd\n", job=name)
    job.submit()
    assert job.exit().code == 0
    assert (job.job_dir / STDOUT).read_text() == f"{job.job_dir}\n"
    assert job.ended().identity == str(job.submission.wrapper)
    assert job.submission.scheduler_output.exists()


def test_a_waiting_job_is_listed_with_its_identity(slurm: Slurm, tmp_path: Path) -> None:
    job = prepare(slurm, tmp_path, WAITS, job="計算 1", site_arguments=("--hold",))
    job.submit()
    listed = slurm.list_mine()[job.id]
    assert (listed.state, listed.words) == (SchedulerState.QUEUED, "PENDING (JobHeldUser)")
    assert listed.identity == str(job.submission.wrapper)
    assert listed.submitted_at is not None
    slurm.cancel(job.id)
    ended = job.ended()
    assert (ended.end, ended.exit_code) == (EndReason.CANCELLED, None)
    assert job.records().start is None


def test_a_running_job_that_is_cancelled(slurm: Slurm, tmp_path: Path) -> None:
    job = running(slurm, tmp_path)
    assert slurm.list_mine()[job.id].state is SchedulerState.RUNNING
    slurm.cancel(job.id)
    assert job.ended().end is EndReason.CANCELLED
    assert job.exit().code == 143
    slurm.cancel(job.id)


def test_a_time_limit_shows_as_the_reason(
    slurm: Slurm, slurm_cluster: SlurmCluster, tmp_path: Path
) -> None:
    job = running(slurm, tmp_path)
    slurm_cluster.command("scontrol", "update", f"jobid={job.id}", "endtime=now+1second")
    ended = eventually(
        lambda: found if (found := slurm.list_mine()[job.id]).end is not None else None, 60
    )
    assert ended.end is EndReason.TIMEOUT
    assert ended.words.startswith("TIMEOUT")
    assert job.exit().code == 143


def test_a_script_that_is_killed_is_137(slurm: Slurm, tmp_path: Path) -> None:
    job = prepare(slurm, tmp_path, "#!/bin/sh\nkill -KILL $$\n")
    job.submit()
    assert job.exit().code == 137
    assert (job.ended().end, job.ended().exit_code) == (None, 137)


def test_a_requeued_job_leaves_no_valid_exit_file_of_its_first_start(
    slurm: Slurm, slurm_cluster: SlurmCluster, tmp_path: Path
) -> None:
    job = running(slurm, tmp_path, "#!/bin/bash\necho ran\n[ -e up ] && exit 5\n: >up\nsleep 300\n")
    slurm_cluster.command("scontrol", "requeue", job.id)
    first = job.exit()
    assert (first.restart, first.code) == (0, 143)
    assert slurm.list_mine()[job.id].state is not SchedulerState.ENDED
    eventually(lambda: slurm.list_mine()[job.id].state is SchedulerState.QUEUED or None)

    def ended_again() -> ExitRecord | None:
        found = job.records().exit
        return found if found is not None and found.restart == 1 else None

    second = eventually(ended_again)
    assert (second.scheduler_id, second.code) == (job.id, 5)
    assert (job.job_dir / STDOUT).read_text() == "ran\nran\n"


def test_a_signal_to_the_batch_shell_alone_reaches_the_script(
    slurm: Slurm, slurm_cluster: SlurmCluster, tmp_path: Path
) -> None:
    job = running(
        slurm,
        tmp_path,
        "#!/bin/bash\ntrap ': >checkpoint' USR1\n: >up\n"
        "until [ -e checkpoint ]; do sleep 0.1; done\nexit 4\n",
    )
    slurm_cluster.command("scancel", "--batch", "--signal=USR1", job.id)
    assert job.exit().code == 4
    assert job.ended().exit_code == 4


def test_directives_are_honoured_as_they_stand(
    slurm: Slurm, slurm_cluster: SlurmCluster, tmp_path: Path
) -> None:
    script = (
        "#!/usr/bin/env -S bash -u\n\n# my job\n#SBATCH --job-name=mine -n 1\n"
        "#SBATCH -o 'out-%x-%j.txt'  # both\n#SBATCH --comment=\"a b\"\n"
        "echo out; echo err >&2\n#SBATCH --too-late\n"
    )
    job = prepare(slurm, tmp_path, script)
    job.submit()
    assert job.exit().code == 0
    log = job.job_dir / f"out-mine-{job.id}.txt"
    assert log.read_text() == "out\nerr\n"
    start = job.records().start
    assert start is not None
    assert (start.stdout, start.stderr) == (log, log)
    assert not (job.job_dir / STDOUT).exists()
    assert "Comment=a b" in slurm_cluster.command("scontrol", "show", "job", job.id)


def test_what_the_user_stated_reaches_the_scheduler(
    slurm: Slurm, slurm_cluster: SlurmCluster, tmp_path: Path
) -> None:
    stated = JobSettings(
        name="stated",
        time_limit=90,
        queue="debug",
        account="proj",
        resources=Resources(nodes=1, cpus=2, memory_mb=64),
    )
    job = prepare(
        slurm, tmp_path, "#!/bin/sh\n#SBATCH -J mine -t 5\n", settings=stated,
        site_arguments=("--hold",),
    )  # fmt: skip
    job.submit()
    shown = slurm_cluster.command("scontrol", "show", "job", job.id)
    for expected in ("JobName=stated", "TimeLimit=00:02:00", "NumCPUs=2", "MinMemoryNode=64M",
                     "Account=proj", "Partition=debug"):  # fmt: skip
        assert expected in shown
    slurm.cancel(job.id)


def test_module_of_the_login_shell_works_in_a_job(slurm: Slurm, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".bash_profile").write_text("echo noise\nmodule() { export LOADED=$2; }\n")
    account = pwd.struct_passwd(("hanako", "x", 0, 0, "", str(home), "/bin/bash"))
    job = prepare(
        slurm,
        tmp_path / "jobs",
        "#!/bin/bash\nmodule load gcc\necho $LOADED $LANG ${LC_ALL-unset} $HOME\n",
        environment=login_environment(account, language="ja_JP.UTF-8"),
    )
    job.submit()
    assert job.exit().code == 0
    assert (job.job_dir / STDOUT).read_text() == f"gcc ja_JP.UTF-8 unset {home}\n"


def test_nothing_of_the_pullers_environment_reaches_a_job(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("JOBFERRY_PULLER_SITE", "dc1")
    job = prepare(slurm, tmp_path, "#!/bin/sh\nenv\n")
    job.submit()
    assert job.exit().code == 0
    seen = (job.job_dir / STDOUT).read_text()
    assert "SLURM_JOB_ID" in seen
    assert "AWS_" not in seen
    assert "JOBFERRY" not in seen.replace(str(tmp_path), "")


def test_a_double_submission_runs_once(slurm: Slurm, tmp_path: Path) -> None:
    job = prepare(slurm, tmp_path, "#!/bin/sh\necho ran\nsleep 0.3\nexit 3\n")
    both = {job.submit(), job.submit()}
    for scheduler_id in both:
        job.ids.append(scheduler_id)
        job.ended()
    assert (job.job_dir / STDOUT).read_text() == "ran\n"
    assert job.exit().scheduler_id in both
    assert job.exit().code == 3


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--partition=none",), "Invalid partition"),
        (("--mem=1T",), "Requested node configuration is not available"),
        (("--time=soon",), "Invalid --time"),
        (("--no-such-option",), "unrecognized option"),
    ],
)
def test_what_slurm_refuses_is_told_in_its_words(
    slurm: Slurm, tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    job = prepare(slurm, tmp_path, WAITS, site_arguments=arguments)
    with pytest.raises(SubmissionRefused, match=text):
        job.submit()


def test_a_job_that_slurm_could_not_start_is_told_apart(slurm: Slurm, tmp_path: Path) -> None:
    job = prepare(slurm, tmp_path, "#!/bin/sh\n#SBATCH -o none/out.txt\nexit 0\n")
    job.submit()
    ended = job.ended()
    assert (ended.end, ended.exit_code) == (EndReason.REFUSED, None)
    assert job.records().start is None


def test_a_partition_that_is_closed_for_now_defers(
    slurm: Slurm, slurm_cluster: SlurmCluster, tmp_path: Path
) -> None:
    slurm_cluster.command("scontrol", "update", "partitionname=debug", "state=drain")
    try:
        with pytest.raises(SubmissionDeferred, match="inactive or drain"):
            prepare(slurm, tmp_path, WAITS).submit()
    finally:
        slurm_cluster.command("scontrol", "update", "partitionname=debug", "state=up")


def test_an_id_that_slurm_does_not_know_is_unknown_to_all(slurm: Slurm) -> None:
    assert slurm.detail("4000000") is None
    slurm.cancel("4000000")


def test_a_full_controller_defers_at_once(
    slurm_cluster: SlurmCluster, new_cluster: Callable[..., SlurmCluster], tmp_path: Path
) -> None:
    with new_cluster(max_jobs=2) as full:  # Slurm itself keeps one of them free
        slurm = Slurm(full.environment)
        first = prepare(slurm, tmp_path / "first", WAITS, site_arguments=("--hold",))
        first.submit()
        began = time.monotonic()
        with pytest.raises(SubmissionDeferred, match="temporarily unable to accept"):
            prepare(slurm, tmp_path / "one more", WAITS).submit()
        assert time.monotonic() - began < 60
        assert set(slurm.list_mine()) == {first.id}


def test_a_controller_that_is_down_is_no_evidence(
    slurm_cluster: SlurmCluster, new_cluster: Callable[..., SlurmCluster], tmp_path: Path
) -> None:
    with new_cluster() as cluster:
        slurm = Slurm(cluster.environment)
        impatient = Slurm(cluster.environment, timeout=1)
        job = prepare(slurm, tmp_path, WAITS, site_arguments=("--hold",))
        job.submit()
        cluster.stop_controller()
        for ask in (impatient.list_mine, lambda: impatient.detail(job.id)):
            with pytest.raises(SchedulerUnavailable, match="did not answer in time"):
                ask()
        with pytest.raises(SchedulerUnavailable):
            impatient.cancel(job.id)
        with pytest.raises(SubmissionUnknown, match="did not answer in time"):
            impatient.submit(job.submission)
        with pytest.raises(SchedulerUnavailable, match="connect failure"):
            slurm.submit(job.submission)
        cluster.start_controller()
        assert set(slurm.list_mine()) == {job.id}
