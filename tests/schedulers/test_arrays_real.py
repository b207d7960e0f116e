"""Arrays on real schedulers: each element has its own end, whatever becomes of the others."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from job_protocol.job_settings import JobSettings
from job_protocol.states import ClientStatus
from puller.schedulers.interface import Scheduler
from puller.schedulers.local import Local
from puller.schedulers.sge import GridEngine
from puller.schedulers.slurm import Slurm
from tests.schedulers.prepared_job import prepare
from tests.schedulers.real_array import ArrayWatch
from tests.schedulers.slurm_cluster import SlurmCluster

COUNT = 20
SCRIPT = """\
#!/bin/bash
echo "$JOBFERRY_ARRAY_INDEX of $JOBFERRY_ARRAY_COUNT"
echo run >> ran.$JOBFERRY_ARRAY_INDEX
case $JOBFERRY_ARRAY_INDEX in
  3) exit 7 ;;
  5) kill -KILL $$ ;;
  9) : > up; exec sleep 300 ;;
esac
"""


@pytest.fixture
def jobs_dir() -> Iterator[Path]:
    """Outside pytest's own directories, which other accounts may not enter."""
    path = Path(tempfile.mkdtemp(prefix="jobs-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(params=["local", "slurm", "sge"])
def scheduler(request: pytest.FixtureRequest, jobs_dir: Path) -> Scheduler:
    """Each real scheduler in turn."""
    if request.param == "local":
        return Local(jobs_dir / ".jobferry/alloc")
    if request.param == "slurm":
        return Slurm(request.getfixturevalue("slurm_cluster").environment)
    return GridEngine(request.getfixturevalue("sge_cluster").environment, user="root")


def test_each_element_has_its_own_end(scheduler: Scheduler, jobs_dir: Path, tmp_path: Path) -> None:
    job = prepare(scheduler, jobs_dir, SCRIPT, settings=JobSettings(count=COUNT, max_running=6))
    job.submit()
    watch = ArrayWatch(job, tmp_path)
    job.has_file("up")
    watch.running(9)
    task = 9 + scheduler.task_numbers.first
    scheduler.cancel(scheduler.element_id(job.id, task))
    end = watch.end()
    states = watch.states()
    # Grid Engine cannot tell who killed a job.
    cancelled = "failed" if scheduler.name == "sge" else "stopped"
    others = [states[index] for index in range(COUNT) if index not in (3, 5, 9)]
    assert set(others) == {("complete", 0)}
    assert (states[3], states[5], states[9][0]) == (("failed", 7), ("failed", 137), cancelled)
    assert end.status is ClientStatus.FAILED
    assert end.exit_code is not None
    assert end.exit_code >= 137
    for index in range(COUNT):
        log = job.job_dir / f"aws-job-stdout.{index}.txt"
        assert log.read_text() == f"{index} of {COUNT}\n"
        assert (job.job_dir / f"ran.{index}").read_text() == "run\n"


def test_a_subset_runs_with_the_numbers_of_its_elements(
    scheduler: Scheduler, jobs_dir: Path
) -> None:
    variable = {
        "slurm": "SLURM_ARRAY_TASK_ID",
        "sge": "SGE_TASK_ID",
        "local": "JOBFERRY_LOCAL_TASK",
    }
    script = f"#!/bin/bash\necho $JOBFERRY_ARRAY_INDEX ${variable[scheduler.name]} > n.$$\n"
    job = prepare(
        scheduler, jobs_dir, script, settings=JobSettings(count=12), indexes=(2, 3, 7, 11)
    )
    job.submit()
    first = scheduler.task_numbers.first
    for index in (2, 3, 7, 11):
        job.has_file(f"../.jobferry/alloc/{job.control_dir.name}/elements/{index}/exit")
    numbers = sorted(path.read_text() for path in job.job_dir.glob("n.*"))
    assert numbers == sorted(f"{index} {index + first}\n" for index in (2, 3, 7, 11))


def test_an_array_is_cancelled_as_a_whole(
    scheduler: Scheduler, jobs_dir: Path, tmp_path: Path
) -> None:
    script = "#!/bin/bash\n[ $JOBFERRY_ARRAY_INDEX -ne 0 ] || exit 0\n: > up\nexec sleep 300\n"
    job = prepare(scheduler, jobs_dir, script, settings=JobSettings(count=6, max_running=2))
    job.submit()
    watch = ArrayWatch(job, tmp_path, stop_asked=True)
    job.has_file("up")
    watch.until(lambda: watch.states()[0] == ("complete", 0))
    scheduler.cancel(job.id)
    end = watch.end()
    assert end.status is ClientStatus.STOPPED
    assert [state for state, _ in watch.states()] == ["complete", *["stopped"] * 5]


def test_of_two_submissions_of_an_array_one_runs(scheduler: Scheduler, jobs_dir: Path) -> None:
    script = "#!/bin/bash\necho run >> ran.$JOBFERRY_ARRAY_INDEX\n"
    job = prepare(scheduler, jobs_dir, script, settings=JobSettings(count=6))
    job.submit()
    job.submit()
    for index in range(6):
        job.has_file(f"../.jobferry/alloc/{job.control_dir.name}/elements/{index}/exit")
    assert job.records().owner in job.ids
    ran = [(job.job_dir / f"ran.{index}").read_text() for index in range(6)]
    assert ran == ["run\n"] * 6


def test_elements_that_cannot_be_started_fail_and_do_not_stay(
    scheduler: Scheduler, jobs_dir: Path, tmp_path: Path
) -> None:
    bad = {"slurm": "#SBATCH --output=/nonexistent/out", "sge": "#$ -wd /nonexistent"}
    if scheduler.name not in bad:
        pytest.skip("there are no directives there")
    script = f"#!/bin/bash\n{bad[scheduler.name]}\n"
    job = prepare(scheduler, jobs_dir, script, settings=JobSettings(count=3))
    job.submit()
    watch = ArrayWatch(job, tmp_path)
    end = watch.end()
    assert end.status is ClientStatus.FAILED
    assert (end.reason or "").startswith("3 of 3 elements failed: 0, 1, 2; ")
    if scheduler.name == "sge":
        assert not [listed for listed in scheduler.list_mine().values() if listed.array == job.id]


def test_a_local_element_obeys_the_time_limit(jobs_dir: Path, tmp_path: Path) -> None:
    script = "#!/bin/bash\n[ $JOBFERRY_ARRAY_INDEX -ne 1 ] || exec sleep 300\n"
    settings = JobSettings(count=3, max_running=1, time_limit=1)
    job = prepare(Local(jobs_dir / ".jobferry/alloc"), jobs_dir, script, settings=settings)
    job.submit()
    watch = ArrayWatch(job, tmp_path)
    end = watch.end()
    assert [state for state, _ in watch.states()] == ["complete", "failed", "complete"]
    assert "TIMEOUT: 1" in (end.reason or "")


@pytest.mark.slurm
def test_a_requeued_element_with_a_stale_exit_file_goes_on(
    slurm_cluster: SlurmCluster, jobs_dir: Path, tmp_path: Path
) -> None:
    script = (
        "#!/bin/bash\necho run >> ran.$JOBFERRY_ARRAY_INDEX\n"
        "[ $JOBFERRY_ARRAY_INDEX -ne 1 ] || [ $(wc -l < ran.1) -ge 2 ] || { : > up; sleep 300; }\n"
    )
    scheduler = Slurm(slurm_cluster.environment)
    job = prepare(scheduler, jobs_dir, script, settings=JobSettings(count=3))
    job.submit()
    watch = ArrayWatch(job, tmp_path)
    job.has_file("up")
    watch.until(lambda: watch.states() == [("complete", 0), ("running", None), ("complete", 0)])

    slurm_cluster.command("scontrol", "requeue", f"{job.id}_1")
    watch.until(lambda: watch.states()[1] == ("queued", None))
    job.has_file(f"../.jobferry/alloc/{job.control_dir.name}/elements/1/exit")  # the stale one
    watch.look()
    assert watch.states()[1] == ("queued", None)
    watch.until(lambda: watch.states()[1] != ("queued", None))
    end = watch.end()
    assert end.status is ClientStatus.COMPLETE
    ran = [(job.job_dir / f"ran.{index}").read_text() for index in range(3)]
    assert ran == ["run\n", "run\nrun\n", "run\n"]
