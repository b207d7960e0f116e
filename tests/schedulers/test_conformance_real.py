"""The scenarios of the conformance suite that can be played on a real scheduler."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from job_protocol.job_settings import JobSettings
from puller.schedulers.interface import Scheduler
from puller.schedulers.local import Local
from puller.schedulers.sge import GridEngine
from puller.schedulers.slurm import Slurm
from tests.schedulers.conformance_matrix import PROPERTY
from tests.schedulers.prepared_job import PreparedJob, prepare
from tests.schedulers.real_watch import Watch

Tell = Callable[[str, str], None]
NAMES = ("local", "slurm", "sge")


@dataclass(frozen=True)
class Real:
    """One real scheduler.

    Attributes:
        held: a directive by which a job waits; empty where nothing waits.
        bad_directory: a directive by which a job cannot be started; empty where there is none.
    """

    scheduler: Scheduler
    held: str = ""
    bad_directory: str = ""


@pytest.fixture
def jobs_dir() -> Iterator[Path]:
    """Outside pytest's own directories, which other accounts may not enter."""
    path = Path(tempfile.mkdtemp(prefix="jobs-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(params=NAMES)
def real(request: pytest.FixtureRequest, jobs_dir: Path) -> Real:
    """Each real scheduler in turn, started once."""
    if request.param == "local":
        return Real(Local(jobs_dir / ".jobferry/alloc"))
    if request.param == "slurm":
        cluster = request.getfixturevalue("slurm_cluster")
        slurm = Slurm(cluster.environment)
        return Real(slurm, "#SBATCH --hold", "#SBATCH --output=/nonexistent/out")
    cluster = request.getfixturevalue("sge_cluster")
    return Real(
        GridEngine(cluster.environment, user="root"),
        "#$ -h",
        "#$ -wd /nonexistent",
    )


@pytest.fixture
def tell(real: Real, record_property: Callable[[str, object], None]) -> Callable[[str, str], None]:
    """Puts a conclusion into the printed matrix."""

    def record(scenario: str, concluded: str) -> None:
        record_property(PROPERTY, [scenario, f"{real.scheduler.name} (real)", concluded])

    return record


def submitted(
    real: Real, jobs_dir: Path, script: str, settings: JobSettings | None = None
) -> PreparedJob:
    job = prepare(real.scheduler, jobs_dir, f"#!/bin/bash\n{script}\n", settings=settings)
    job.submit()
    return job


@pytest.mark.parametrize(
    ("scenario", "script", "expected"),
    [
        ("ends well", "exit 0", "complete 0"),
        ("ends with 3", "exit 3", "failed 3"),
        ("kills itself", "kill -KILL $$", "failed 137"),
    ],
)
def test_ends_of_its_own(
    real: Real, jobs_dir: Path, tell: Tell, scenario: str, script: str, expected: str
) -> None:
    concluded = Watch(submitted(real, jobs_dir, script)).end()
    tell(scenario, concluded)
    assert concluded == expected


def test_runs(real: Real, jobs_dir: Path, tell: Tell) -> None:
    job = submitted(real, jobs_dir, "sleep 300")
    concluded = Watch(job).until("running")
    real.scheduler.cancel(job.id)
    tell("runs", concluded)
    assert concluded == "running"


def test_exceeds_its_time(real: Real, jobs_dir: Path, tell: Tell) -> None:
    if real.scheduler.name == "slurm":
        pytest.skip("Slurm counts in minutes; its own tests shorten the limit of a running job")
    job = submitted(real, jobs_dir, "sleep 300", JobSettings(time_limit=2))
    concluded = Watch(job).end()
    tell("exceeds its time", concluded)
    assert concluded == "failed (reason)"


def test_is_cancelled_while_it_runs(real: Real, jobs_dir: Path, tell: Tell) -> None:
    job = submitted(real, jobs_dir, ": >up; sleep 300")
    job.has_file("up")
    real.scheduler.cancel(job.id)
    concluded = Watch(job, stop_asked=True).end()
    tell("is cancelled while it runs", concluded)
    assert concluded == "stopped"


def test_is_cancelled_while_it_waits(real: Real, jobs_dir: Path, tell: Tell) -> None:
    if not real.held:
        pytest.skip("nothing waits there")
    job = submitted(real, jobs_dir, f"{real.held}\nexit 0")
    waited = Watch(job).until("queued")
    real.scheduler.cancel(job.id)
    concluded = Watch(job, stop_asked=True).end()
    tell("is cancelled while it waits", concluded)
    assert (waited, concluded) == ("queued", "stopped")


def test_cannot_be_started(real: Real, jobs_dir: Path, tell: Tell) -> None:
    if not real.bad_directory:
        pytest.skip("there are no directives there")
    job = submitted(real, jobs_dir, f"{real.bad_directory}\nexit 0")
    concluded = Watch(job).end()
    real.scheduler.cancel(job.id)
    tell("cannot be started", concluded)
    assert concluded == "failed (reason)"


def test_an_id_of_another_job_is_not_taken_for_ours(real: Real, jobs_dir: Path, tell: Tell) -> None:
    other = submitted(real, jobs_dir, "sleep 300")
    ours = prepare(real.scheduler, jobs_dir, "#!/bin/bash\n", job="job0002")
    ours.ids.append(other.id)
    concluded = Watch(ours).look()
    real.scheduler.cancel(other.id)
    tell("id recycled, in the listing", concluded)
    assert concluded == "wait"


def test_cancelling_what_has_ended_or_never_was_is_no_error(real: Real, jobs_dir: Path) -> None:
    job = submitted(real, jobs_dir, "exit 0")
    Watch(job).end()
    real.scheduler.cancel(job.id)
    real.scheduler.cancel("999999")
    assert real.scheduler.detail("999999") is None
