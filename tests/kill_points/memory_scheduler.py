"""A scheduler in memory, whose jobs leave the records that the wrapper would leave."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from puller.schedulers.array_tasks import TaskNumbers
from puller.schedulers.interface import (
    DeclaredPlaces,
    EndReason,
    ListedJob,
    SchedulerState,
    Submission,
)

RESULT = "out.txt"


@dataclass
class SchedulerJob:
    """A job of the scheduler.

    Attributes:
        wrapper: what was submitted; None for somebody else's job.
        restart: how often it was requeued.
        forgotten: whether the scheduler has dropped it from all its answers.
    """

    id: str
    wrapper: Path | None
    job_dir: Path | None = None
    state: SchedulerState = SchedulerState.QUEUED
    restart: int = 0
    end: EndReason | None = None
    code: int | None = None
    submitted_at: float = 0.0
    forgotten: bool = False

    @property
    def control(self) -> Path:
        assert self.wrapper is not None
        return self.wrapper.parent

    @property
    def allocation(self) -> str:
        return self.control.name if self.wrapper is not None else ""

    def listed(self) -> ListedJob:
        return ListedJob(
            id=self.id,
            state=self.state,
            words=self.end or self.state,
            identity=str(self.wrapper) if self.wrapper else "/somebody/else.sh",
            end=self.end,
            exit_code=self.code if self.state is SchedulerState.ENDED else None,
            submitted_at=int(self.submitted_at),
        )


@dataclass
class MemoryCluster:
    """The scheduler itself, and what really happens to its jobs.

    Attributes:
        clock: the true time.
        jobs: all jobs; of a recycled id, the newest.
        executions: for each allocation, the submissions that ran its script.
        late: records that a file server does not show yet: when it will, and how.
    """

    clock: Callable[[], float]
    jobs: dict[str, SchedulerJob] = field(default_factory=dict)
    executions: dict[str, list[str]] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    late: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    _ids: int = 100

    def submit(self, wrapper: Path, job_dir: Path) -> str:
        self._ids += 1
        job = SchedulerJob(str(self._ids), wrapper, job_dir, submitted_at=self.clock())
        self.jobs[job.id] = job
        return job.id

    def of(self, state: SchedulerState) -> list[SchedulerJob]:
        return [job for job in self.jobs.values() if job.state is state and job.wrapper]

    def start(self, job: SchedulerJob) -> None:
        """What the wrapper does up to the script."""
        once = job.control / "once"
        if not job.control.is_dir():
            return self._over(job, 71)
        if not once.exists():
            once.write_text(f"{job.id}\n")
        if once.read_text().strip() != job.id:
            return self._over(job, 0)
        (job.control / "exit").unlink(missing_ok=True)
        self._record(job, "start", f"time={int(self.clock())}")
        job.state = SchedulerState.RUNNING
        ran = self.executions.setdefault(job.allocation, [])
        if job.id not in ran:
            ran.append(job.id)
        return None

    def finish(self, job: SchedulerJob, code: int, *, late: float = 0.0) -> None:
        """The script ends; its exit file may show up late."""
        if job.job_dir is not None and job.job_dir.is_dir():
            (job.job_dir / RESULT).write_text(f"{job.allocation}\n")
        self._exit_record(job, code, late)
        self.codes[job.allocation] = code
        self._over(job, code)

    def requeue(self, job: SchedulerJob) -> None:
        """As `scontrol requeue`: the killed script's exit file stays."""
        self._exit_record(job, 143, 0.0)
        job.state = SchedulerState.QUEUED
        job.restart += 1

    def die(self, job: SchedulerJob) -> None:
        """Its node dies."""
        self._over(job, None, EndReason.NODE_FAILURE)

    def cancel(self, job: SchedulerJob) -> None:
        if job.state is SchedulerState.RUNNING:
            self._exit_record(job, 143, 0.0)
            self.codes[job.allocation] = 143
        if job.state is not SchedulerState.ENDED:
            self._over(job, None, EndReason.CANCELLED)

    def recycle(self, job: SchedulerJob, state: SchedulerState) -> None:
        """Somebody else's job under the id of a forgotten one."""
        code = 0 if state is SchedulerState.ENDED else None
        self.jobs[job.id] = SchedulerJob(
            job.id, None, state=state, code=code, submitted_at=self.clock()
        )

    def show_late(self) -> None:
        """Records that have become visible by now."""
        due = [show for at, show in self.late if at <= self.clock()]
        self.late = [(at, show) for at, show in self.late if at > self.clock()]
        for show in due:
            show()

    def _over(self, job: SchedulerJob, code: int | None, end: EndReason | None = None) -> None:
        job.state, job.code, job.end = SchedulerState.ENDED, code, end

    def _exit_record(self, job: SchedulerJob, code: int, late: float) -> None:
        now = int(self.clock())
        facts = (f"started={now}", f"ended={now}", f"code={code}")
        if late:
            self.late.append((self.clock() + late, lambda: self._record(job, "exit", *facts)))
        else:
            self._record(job, "exit", *facts)

    def _record(self, job: SchedulerJob, name: str, *facts: str) -> None:
        if job.control.is_dir():
            lines = [f"id={job.id}", f"restart={job.restart}", "host=node", *facts, "end", ""]
            (job.control / name).write_text("\n".join(lines))


@dataclass
class MemoryScheduler:
    """The adapter of one puller to the cluster.

    Attributes:
        cluster: the scheduler.
        port: through which every call goes: it may fail, crash or answer half.
        on_cancel: told of every cancellation.
    """

    cluster: MemoryCluster
    port: Callable[[str, Callable[[], object]], object]
    on_cancel: Callable[[SchedulerJob], None]
    name: str = "slurm"
    directive_prefixes: tuple[str, ...] = ("#SBATCH",)
    gives_estimates = False

    task_numbers = TaskNumbers(first=0, any_list=True)

    def script_problem(self, script: str) -> str | None:
        return None

    def declared_places(self, script: str) -> DeclaredPlaces:
        return DeclaredPlaces()

    def identity_of(self, wrapper: Path) -> str:
        return str(wrapper)

    def submit(self, submission: Submission) -> str:
        wrapper, job_dir = submission.wrapper, submission.job_dir
        return str(self.port("submit", lambda: self.cluster.submit(wrapper, job_dir)))

    def list_mine(self) -> dict[str, ListedJob]:
        shown = self.port("list", self._listing)
        assert isinstance(shown, dict)
        return shown

    def _listing(self) -> dict[str, ListedJob]:
        return {job.id: job.listed() for job in self.cluster.jobs.values() if not job.forgotten}

    def detail(self, scheduler_id: str) -> ListedJob | None:
        shown = self.port("detail", lambda: self._listing().get(scheduler_id))
        assert shown is None or isinstance(shown, ListedJob)
        return shown

    def element_id(self, array_id: str, task: int) -> str:
        return f"{array_id}_{task}"

    def details(self, array_id: str, wanted: Collection[str]) -> dict[str, ListedJob]:
        found = {element: self.detail(element) for element in wanted}
        return {element: job for element, job in found.items() if job is not None}

    def cancel(self, scheduler_id: str) -> None:
        def effect() -> None:
            job = self.cluster.jobs.get(scheduler_id)
            if job is not None and job.wrapper is not None:
                self.on_cancel(job)
                self.cluster.cancel(job)

        self.port("cancel", effect)
