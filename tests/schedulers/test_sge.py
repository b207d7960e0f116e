"""Jobs on a real Grid Engine."""

from __future__ import annotations

import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from job_protocol.job_settings import JobSettings, Resources
from job_protocol.object_keys import STDERR, STDOUT
from puller.errors import SchedulerUnavailable, SubmissionDeferred, SubmissionRefused
from puller.login_environment import login_environment
from puller.schedulers.interface import EndReason, SchedulerState
from puller.schedulers.sge import GridEngine
from tests.schedulers.grid_engine import GridEngineCluster, missing
from tests.schedulers.prepared_job import PreparedJob, eventually, prepare
from tests.schedulers.real_watch import Watch


@pytest.fixture
def sge(sge_cluster: GridEngineCluster) -> GridEngine:
    return GridEngine(sge_cluster.environment, user="root")


@pytest.fixture
def jobs_dir() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="jobs-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def disturbed() -> Iterator[GridEngineCluster]:
    """A cluster that a test may disturb."""
    if (reason := missing()) is not None:
        pytest.skip(f"no Grid Engine: {reason}")
    directory = Path(tempfile.mkdtemp(prefix="sge-"))
    with GridEngineCluster(directory) as cluster:
        yield cluster
    shutil.rmtree(directory, ignore_errors=True)


def stdout(job: PreparedJob) -> str:
    return (job.job_dir / STDOUT).read_text()


def test_a_job_runs_in_its_directory_and_tells_its_code(sge: GridEngine, jobs_dir: Path) -> None:
    job = prepare(sge, jobs_dir, "#!/bin/bash\npwd\necho oops >&2\nexit 3\n")
    job.submit()
    assert job.exit().code == 3
    assert stdout(job) == f"{job.job_dir}\n"
    assert (job.job_dir / STDERR).read_text() == "oops\n"
    assert sorted(path.name for path in job.job_dir.iterdir()) == [
        "aws-job-run.sh",
        STDERR,
        STDOUT,
    ]


def test_directives_count_wherever_they_stand(sge: GridEngine, jobs_dir: Path) -> None:
    script = '#!/bin/bash\ntrue\n#$ -N chosen -v WHO="me" # -t 1-3\necho "$JOB_NAME $WHO"\n'
    job = prepare(sge, jobs_dir, script, environment={"PATH": "/usr/bin:/bin", "WHO": "login"})
    job.submit()
    job.exit()
    assert stdout(job) == "chosen me\n"


def test_module_of_the_login_shell_works_in_the_job(sge: GridEngine, jobs_dir: Path) -> None:
    home = jobs_dir / "home"
    home.mkdir()
    (home / ".bash_profile").write_text(
        'module() {\n  local verb=$1\n  shift\n  echo "module $verb: $*"\n}\n'
        "export SECRET='two\nlines, \"quoted\" & more='\n"
    )
    account = pwd.struct_passwd(("root", "x", 0, 0, "", str(home), "/bin/bash"))
    job = prepare(
        sge,
        jobs_dir,
        '#!/bin/bash\nmodule load gcc/13\necho "$SECRET"\n',
        environment=login_environment(account),
    )
    job.submit()
    job.exit()
    assert stdout(job) == 'module load: gcc/13\ntwo\nlines, "quoted" & more=\n'


def test_nobody_else_reads_the_environment(
    sge: GridEngine, sge_cluster: GridEngineCluster, jobs_dir: Path
) -> None:
    job = prepare(
        sge,
        jobs_dir,
        "#!/bin/bash\n#$ -h\n",
        environment={"PATH": "/usr/bin:/bin", "SECRET": "s3cr3t"},
    )
    job.submit()
    shown = sge_cluster.command("qstat", "-j", job.id)
    sge.cancel(job.id)
    assert "s3cr3t" not in shown
    assert (job.control_dir / "environment").stat().st_mode & 0o777 == 0o600


def test_the_shell_of_a_directive_runs_a_script_without_a_first_line(
    sge: GridEngine, jobs_dir: Path
) -> None:
    job = prepare(sge, jobs_dir, "#$ -S /bin/bash\n[[ a == a ]] && echo yes\n")
    job.submit()
    job.exit()
    assert stdout(job) == "yes\n"


def test_outputs_go_where_directives_say(sge: GridEngine, jobs_dir: Path) -> None:
    job = prepare(sge, jobs_dir, "#!/bin/bash\n#$ -cwd -o all.txt -j y\necho out; echo err >&2\n")
    job.submit()
    job.exit()
    eventually(lambda: "err" in (job.job_dir / "all.txt").read_text() or None)
    assert not (job.job_dir / STDOUT).exists()


def test_paths_that_need_care(sge: GridEngine, jobs_dir: Path) -> None:
    places = jobs_dir / "a b: <&>'\"日本,$HOME"
    job = prepare(sge, places, "#!/bin/bash\n#$ -h\n")
    job.submit()
    listed = sge.list_mine()[job.id]
    sge.cancel(job.id)
    assert listed.identity == sge.identity_of(job.submission.wrapper)


def test_what_is_stated_reaches_grid_engine(
    sge: GridEngine, sge_cluster: GridEngineCluster, jobs_dir: Path
) -> None:
    job = prepare(
        sge,
        jobs_dir,
        "#!/bin/bash\n#$ -h\n",
        settings=JobSettings(
            name="1 日本/x", time_limit=90, queue="all.q", resources=Resources(memory_mb=300)
        ),
    )
    job.submit()
    shown = sge_cluster.command("qstat", "-j", job.id)
    sge.cancel(job.id)
    assert "h_rt=90" in shown
    assert "h_vmem=300M" in shown
    assert "hard_queue_list:            all.q" in shown
    assert "job_name:                   job_1_x" in shown


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (JobSettings(queue="nope"), "unknown queue"),
        (JobSettings(account="nope"), 'project "nope" does not exist'),
        (JobSettings(resources=Resources(cpus=4)), "parallel environment"),
        (JobSettings(resources=Resources(nodes=2)), "parallel environment"),
        (JobSettings(resources=Resources(gpus=1)), "GPUs"),
    ],
)
def test_what_cannot_be_had_is_refused_with_a_sentence(
    sge: GridEngine, jobs_dir: Path, settings: JobSettings, message: str
) -> None:
    with pytest.raises(SubmissionRefused, match=message):
        prepare(sge, jobs_dir, "#!/bin/bash\n", settings=settings).submit()


def test_an_error_state_is_a_refusal_and_can_be_deleted(sge: GridEngine, jobs_dir: Path) -> None:
    job = prepare(sge, jobs_dir, "#!/bin/bash\n#$ -o /nonexistent/out\n")
    job.submit()
    stuck = job.ended()
    assert stuck.end is EndReason.REFUSED
    assert "can't open output file" in stuck.words
    sge.cancel(job.id)
    eventually(lambda: job.id not in sge.list_mine() or None)
    remembered = sge.detail(job.id)
    assert remembered is not None
    assert remembered.end is EndReason.REFUSED
    assert remembered.words == "failed 26: opening input/output file"


def test_a_script_that_asks_to_be_requeued_is_not_finished(sge: GridEngine, jobs_dir: Path) -> None:
    script = "#!/bin/bash\n[ -e again ] && exit 5\n: >again\nexit 99\n"
    job = prepare(sge, jobs_dir, script)
    job.submit()
    assert Watch(job).end() == "failed 5"
    assert job.exit().restart == 1


def test_a_limit_of_the_user_is_no_failure(disturbed: GridEngineCluster, jobs_dir: Path) -> None:
    sge = GridEngine(disturbed.environment, user="root")
    disturbed.limit_jobs_per_user(1)
    prepare(sge, jobs_dir, "#!/bin/bash\n#$ -h\n", job="job0001").submit()
    with pytest.raises(SubmissionDeferred, match="only 1 jobs are allowed per user"):
        prepare(sge, jobs_dir, "#!/bin/bash\n", job="job0002").submit()


def test_a_qmaster_that_is_down_is_no_evidence(
    disturbed: GridEngineCluster, jobs_dir: Path
) -> None:
    sge = GridEngine(disturbed.environment, user="root")
    job = prepare(sge, jobs_dir, "#!/bin/bash\nsleep 300\n")
    job.submit()
    job.started()
    disturbed.stop_qmaster()
    assert Watch(job).look() == "no evidence"
    for call in (
        sge.list_mine,
        lambda: sge.detail(job.id),
        lambda: sge.cancel(job.id),
        prepare(sge, jobs_dir, "#!/bin/bash\n", job="job0002").submit,
    ):
        with pytest.raises(SchedulerUnavailable):
            call()
    disturbed.start_qmaster()
    assert Watch(job).until("running") == "running"


def test_a_qmaster_that_starts_its_ids_again_gives_nobody_anothers_job(
    disturbed: GridEngineCluster, jobs_dir: Path
) -> None:
    sge = GridEngine(disturbed.environment, user="root")
    first = prepare(sge, jobs_dir, "#!/bin/bash\n#$ -h\n", job="job0001")
    first.submit()
    sge.cancel(first.id)
    disturbed.forget_ids()
    second = prepare(sge, jobs_dir, "#!/bin/bash\nsleep 300\n", job="job0002")
    assert second.submit() == first.id
    assert Watch(first).look() == "wait"
    assert Watch(second).until("running") == "running"


def test_an_array_of_the_users_own_disturbs_nothing(
    sge: GridEngine, sge_cluster: GridEngineCluster
) -> None:
    told = sge_cluster.command("qsub", "-terse", "-h", "-t", "1-5", "-b", "y", "/bin/true")
    array = told.split(".")[0]
    assert sge.list_mine()[f"{array}.1"].state is SchedulerState.QUEUED
    sge.cancel(array)


def test_a_job_of_another_account_is_not_ours(
    sge: GridEngine, sge_cluster: GridEngineCluster, jobs_dir: Path
) -> None:
    job = prepare(sge, jobs_dir, "#!/bin/bash\nexit 0\n")
    job.submit()
    job.ended()
    other = GridEngine(sge_cluster.environment, user="daemon")
    assert other.list_mine() == {}
    assert other.detail(job.id) is None


def test_a_job_without_its_environment_does_not_run_the_script(
    sge: GridEngine, sge_cluster: GridEngineCluster, jobs_dir: Path
) -> None:
    job = prepare(sge, jobs_dir, "#!/bin/bash\n#$ -h\n: >ran\n")
    job.submit()
    (job.control_dir / "environment").unlink()
    sge_cluster.release(job.id)
    assert job.exit().code == 126
    assert not (job.job_dir / "ran").exists()
