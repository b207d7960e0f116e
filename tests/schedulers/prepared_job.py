"""A job that is ready to be submitted, with directories, script and wrapper as on a site."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from job_protocol.job_settings import JobSettings
from job_protocol.object_keys import SCRIPT
from puller.exit_file import ExitRecord, Records, read_records
from puller.schedulers.array_tasks import ArrayTasks
from puller.schedulers.interface import ListedJob, Scheduler, SchedulerState, Submission
from puller.wrapper import render_wrapper, split_script
from tests.patience import PATIENCE

T = TypeVar("T")

PATH = "/usr/local/bin:/usr/bin:/bin"


def eventually(look: Callable[[], T | None], seconds: float = PATIENCE) -> T:
    """The first thing that `look` finds."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"nothing came within {seconds} s"
        time.sleep(0.05)
    return found


@dataclass(frozen=True)
class PreparedJob:
    """One allocation of a test, and the way to follow it."""

    scheduler: Scheduler
    submission: Submission
    ids: list[str] = field(default_factory=list)

    @property
    def job_dir(self) -> Path:
        return self.submission.job_dir

    @property
    def control_dir(self) -> Path:
        return self.submission.wrapper.parent

    @property
    def id(self) -> str:
        return self.ids[-1]

    def submit(self) -> str:
        self.ids.append(self.scheduler.submit(self.submission))
        return self.id

    def records(self) -> Records:
        return read_records(self.control_dir)

    def exit(self) -> ExitRecord:
        return eventually(lambda: self.records().exit)

    def started(self) -> None:
        eventually(lambda: self.records().start)

    def has_file(self, name: str) -> None:
        eventually(lambda: (self.job_dir / name).exists() or None)

    def ended(self) -> ListedJob:
        return eventually(lambda: self._if(SchedulerState.ENDED))

    def _if(self, state: SchedulerState) -> ListedJob | None:
        job = self.scheduler.detail(self.id)
        return job if job is not None and job.state is state else None


def prepare(
    scheduler: Scheduler,
    jobs_dir: Path,
    script: str,
    *,
    job: str = "job0001",
    settings: JobSettings | None = None,
    environment: Mapping[str, str] | None = None,
    site_arguments: tuple[str, ...] = (),
    indexes: tuple[int, ...] | None = None,
) -> PreparedJob:
    """Lay out a job as the puller does; of an array, `indexes` of its elements."""
    stated = settings or JobSettings()
    array = None
    if stated.array is not None:
        array = ArrayTasks(
            count=stated.array,
            indexes=indexes or tuple(range(stated.array)),
            max_running=stated.max_running,
            numbers=scheduler.task_numbers,
        )
    job_dir = jobs_dir / job
    control_dir = jobs_dir / ".jobferry/alloc" / str(uuid.uuid4())
    job_dir.mkdir(parents=True)
    control_dir.mkdir(parents=True)
    (job_dir / SCRIPT).write_text(script)
    places = scheduler.declared_places(script)
    wrapper = control_dir / "wrapper.sh"
    wrapper.write_text(
        render_wrapper(
            split_script(
                script, scheduler.directive_prefixes, anywhere=places.anywhere, shell=places.shell
            ),
            scheduler=scheduler.name,
            job_dir=job_dir,
            control_dir=control_dir,
            redirect_stdout=not places.stdout,
            redirect_stderr=not places.stderr,
            enter_job_dir=not places.directory,
            array=array,
        )
    )
    wrapper.chmod(0o700)
    return PreparedJob(
        scheduler,
        Submission(
            name=job.rsplit("/", 1)[-1],
            job_dir=job_dir,
            wrapper=wrapper,
            scheduler_output=control_dir / "scheduler.out",
            settings=stated,
            array=array,
            environment=environment or {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"},
            site_arguments=site_arguments,
        ),
    )
