"""What every scheduler adapter offers to a pass."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from job_protocol.job_settings import JobSettings
from puller.schedulers.array_tasks import ArrayTasks, TaskNumbers


class SchedulerState(StrEnum):
    """What a scheduler says of a job, reduced to what a pass decides on.

    `UNKNOWN` is a state that the adapter does not know: it is logged and taken for live.
    """

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"


class EndReason(StrEnum):
    """Why a scheduler ended a job, where it wins over the script's own exit code."""

    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    CANCELLED = "cancelled"
    NODE_FAILURE = "node_failure"
    REFUSED = "refused"
    """The scheduler could not start the job (bad directory, bad interpreter)."""
    KILLED = "killed"
    """The scheduler ended it for a reason of its own, which its words tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedJob:
    """One job as the scheduler lists it, or as its accounting remembers it.

    Attributes:
        id: the scheduler's id.
        state: see `SchedulerState`.
        words: the scheduler's own words for state and reason, verbatim, for people.
        identity: what the scheduler shows of the submission by which an allocation is
            recognised (see `Scheduler.identity_of`). None where this answer does not show it.
        end: why it ended, where the scheduler itself ended it.
        exit_code: the script's code as the scheduler knows it (128 + n for signal n); None while
            it runs or where the answer does not tell.
        user: the owner as the scheduler shows it, where it does.
        submitted_at: seconds since the epoch, where the answer shows it.
        array: the id of the array that it is an element of, if it is one.
        expected_start: when the scheduler expects to start it, in seconds since the epoch; None
            where it does not wait, or the scheduler gives no estimate.
    """

    id: str
    state: SchedulerState
    words: str
    identity: str | None = None
    end: EndReason | None = None
    exit_code: int | None = None
    user: str | None = None
    submitted_at: int | None = None
    array: str | None = None
    expected_start: int | None = None

    @property
    def submission(self) -> str:
        """The id that the submission was given: an element's is that of its array."""
        return self.array or self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What is handed to the scheduler.

    Attributes:
        name: the job's name there (already shortened and cleaned by the adapter's rules).
        job_dir: the job directory, the working directory of the job.
        wrapper: the file that is submitted; the allocation's identity follows from its path.
        scheduler_output: where the scheduler's own output file goes (outside `job_dir`).
        settings: what the user stated.
        environment: the environment of the user's login shell.
        site_arguments: the site's `submit_args`, before the job's own.
        keep_open: file descriptors that the submitting process inherits; a lock held on one of
            them tells a later pass that an orphaned submission has not ended yet.
        array: the elements to run, if it is an array.
    """

    name: str
    job_dir: Path
    wrapper: Path
    scheduler_output: Path
    settings: JobSettings
    environment: Mapping[str, str]
    site_arguments: tuple[str, ...] = ()
    keep_open: tuple[int, ...] = field(default=())
    array: ArrayTasks | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredPlaces:
    """What a script's own directives already say, so that the wrapper leaves it alone.

    Attributes:
        stdout: whether they say where stdout goes.
        stderr: whether they say where stderr goes.
        directory: whether they say where the script runs.
        shell: the program that they name to run a script without `#!`, or None.
        anywhere: whether they count below the leading comments too, as Grid Engine's do.
    """

    stdout: bool = False
    stderr: bool = False
    directory: bool = False
    shell: str | None = None
    anywhere: bool = False


class Scheduler(Protocol):
    """A batch scheduler. Every method may raise `SchedulerUnavailable`."""

    @property
    def name(self) -> str:
        """The name in settings and in the job table."""

    @property
    def directive_prefixes(self) -> tuple[str, ...]:
        """How a directive line of a script begins, e.g. `#SBATCH`."""

    @property
    def gives_estimates(self) -> bool:
        """Whether it may tell, later than at once, when it expects to start a waiting job."""

    def script_problem(self, script: str) -> str | None:
        """Why this script must not be submitted here (a sentence), or None."""

    def declared_places(self, script: str) -> DeclaredPlaces:
        """What the script's own directives say of its outputs and its working directory."""

    def identity_of(self, wrapper: Path) -> str:
        """What a listing shows as `identity` of the job that was submitted with this wrapper.

        It must follow from the path alone, so that a pass after a crash recognises the job.
        """

    def submit(self, submission: Submission) -> str:
        """Submit, and return the scheduler's id.

        Raises:
            SchedulerUnavailable: nothing was sent; it was surely not accepted.
            SubmissionRefused: refused for good.
            SubmissionDeferred: refused for a limit of a queue or a user.
            SubmissionUnknown: it timed out or died; it may have been accepted.
        """

    def list_mine(self) -> dict[str, ListedJob]:
        """All of this user's jobs that the scheduler shows, by id; each element of an array.

        An id that is absent from an answer is no evidence that the job has ended.
        """

    def detail(self, scheduler_id: str) -> ListedJob | None:
        """All that the scheduler and its accounting know of one job, or None if nothing."""

    def cancel(self, scheduler_id: str) -> None:
        """Ask for the end of a job, an array or an element.

        One that is unknown or has ended is no error.
        """

    # ---- arrays ----

    @property
    def task_numbers(self) -> TaskNumbers:
        """How it numbers the tasks of an array."""

    def element_id(self, array_id: str, task: int) -> str:
        """The id under which the listing shows a task of an array; never the array's own."""

    def details(self, array_id: str, wanted: Collection[str]) -> dict[str, ListedJob]:
        """What the scheduler and its accounting know of an array's elements, by their ids.

        However many are wanted, it takes a call or two. What is not in the answer is not known.
        """
