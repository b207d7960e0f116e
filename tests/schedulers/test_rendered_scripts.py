"""Scripts rendered from Nomad jobs, on the real schedulers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nomad_jobs.run_script.render import render_run
from puller.schedulers.interface import Scheduler
from puller.schedulers.local import Local
from puller.schedulers.sge import GridEngine
from puller.schedulers.slurm import Slurm
from tests.schedulers.grid_engine import GridEngineCluster
from tests.schedulers.prepared_job import PreparedJob, eventually, prepare
from tests.schedulers.slurm_cluster import SlurmCluster
from tests.unit.nomad_jobs.run_script.rendered import facts, hooked, job, shell


def placed(scheduler: Scheduler, jobs_dir: Path, specification: dict[str, Any]) -> PreparedJob:
    """A job directory as the puller stages it."""
    rendered = render_run(specification, facts())
    prepared = prepare(
        scheduler, jobs_dir, rendered.script.decode(), job="計算 1", settings=rendered.settings
    )
    for path, content in rendered.files.items():
        target = prepared.job_dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    prepared.submit()
    return prepared


@pytest.fixture
def slurm(slurm_cluster: SlurmCluster) -> Slurm:
    return Slurm(slurm_cluster.environment)


@pytest.fixture
def sge(sge_cluster: GridEngineCluster) -> GridEngine:
    return GridEngine(sge_cluster.environment, user="root")


@pytest.fixture
def jobs_dir() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="jobs-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def states(prepared: PreparedJob) -> str:
    return (prepared.job_dir / "alloc/task-states").read_text()


@pytest.mark.slurm
def test_tasks_run_and_the_first_failure_is_the_jobs(slurm: Slurm, tmp_path: Path) -> None:
    prepared = placed(
        slurm,
        tmp_path,
        job(
            shell("echo $SLURM_JOB_ID $NOMAD_JOB_ID; exit 4"),
            hooked("exec sleep 1000", "beside", "prestart", sidecar=True),
        ),
    )
    assert prepared.exit().code == 4
    log = (prepared.job_dir / "alloc/logs/main.stdout.0").read_text()
    assert log == f"{prepared.id} job0001\n"
    assert prepared.ended().exit_code == 4


@pytest.mark.slurm
def test_a_cancelled_job_lets_its_tasks_end_and_sweeps(slurm: Slurm, tmp_path: Path) -> None:
    saving = "trap 'echo saved; exit 0' INT TERM; : >up; while :; do sleep 0.05; done"
    prepared = placed(slurm, tmp_path, job(shell(saving), hooked("echo swept", "last", "poststop")))
    prepared.has_file("main/up")
    slurm.cancel(prepared.id)
    assert prepared.exit().code == 143
    logs = prepared.job_dir / "alloc/logs"
    assert (logs / "main.stdout.0").read_text() == "saved\n"
    assert (logs / "last.stdout.0").read_text() == "swept\n"
    assert "Stopped by the scheduler\tmain" in states(prepared)


def test_a_task_that_ignores_a_stop_is_killed_by_the_run_before_the_scheduler_kills_it(
    tmp_path: Path,
) -> None:
    local = Local(tmp_path / ".jobferry/alloc")
    stubborn = shell("trap '' INT TERM; : >up; while :; do sleep 0.05; done")
    prepared = placed(local, tmp_path, job(stubborn, hooked("echo swept", "last", "poststop")))
    prepared.has_file("main/up")
    local.cancel(prepared.id)
    assert prepared.exit().code == 143
    assert (prepared.job_dir / "alloc/logs/last.stdout.0").read_text() == "swept\n"
    assert "\tKilled\tmain" in states(prepared)


@pytest.mark.slurm
def test_a_time_limit_of_the_group_comes_before_the_schedulers(
    slurm: Slurm, tmp_path: Path
) -> None:
    specification = job(shell("exec sleep 1000"), MaxRunDuration="1s")
    prepared = placed(slurm, tmp_path, specification)
    assert prepared.submission.settings.time_limit == 1
    assert prepared.exit().code == 124
    assert eventually(lambda: "max_run_duration" in states(prepared) or None)


def test_grid_engine_reads_no_directive_out_of_a_text(sge: GridEngine, jobs_dir: Path) -> None:
    text = 'echo "$JOB_ID"\n#$ -l no_such_resource=1\n'
    prepared = placed(sge, jobs_dir, job(shell(text), Meta={"m": text}))
    assert prepared.exit().code == 0
    assert (prepared.job_dir / "alloc/logs/main.stdout.0").read_text() == f"{prepared.id}\n"


def test_no_task_outlives_a_kill_by_grid_engine(sge: GridEngine, jobs_dir: Path) -> None:
    task = "trap '' INT TERM; sleep 1000 & echo $! >child; echo $$ >pid; : >up; wait"
    prepared = placed(sge, jobs_dir, job(shell(task)))
    prepared.has_file("main/up")
    sge.cancel(prepared.id)
    for name in ("pid", "child"):
        process = (prepared.job_dir / "main" / name).read_text().strip()
        eventually(lambda process=process: not _runs(process) or None)


def _runs(process: str) -> bool:
    try:
        status = Path("/proc", process, "stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
