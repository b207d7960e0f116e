"""TCS (Fujitsu Technical Computing Suite): `pjsub`, `pjstat` and `pjdel` behind the interface.

Written from manuals and from users' scripts (Fugaku, Wisteria and others); it has not met a real
TCS. A job gets the environment of its compute node, as after a plain `pjsub`: that node may have
another architecture than the login node, whose PATH and libraries would break it. A site that
wants the login environment adds `-X` to `submit_args`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from puller.errors import SchedulerUnavailable, SubmissionRefused
from puller.schedulers.array_tasks import TaskNumbers
from puller.schedulers.interface import DeclaredPlaces, ListedJob, Submission
from puller.schedulers.queries import Queries, failed
from puller.schedulers.runner import DEFAULT_TIMEOUT, Run, run_command
from puller.schedulers.tcs_answers import (
    ITEMS,
    denies,
    nothing_to_cancel,
    parse_listing,
    parse_submission,
    parse_submission_error,
)
from puller.schedulers.tcs_directives import PREFIX, Directives, directives_of

_QUERY = ("pjstat", "-s", "--data", f"--choose={ITEMS}")

_SUB_JOBS = "-E"
"""Shows the sub jobs of bulk jobs; a bulk job's own line is their summary."""

_LISTED_DAYS = "day=1"
"""How far back a listing goes: a job that ended just now must not look as if it never was."""

_REMEMBERED_DAYS = "day=30"
"""How far back a single job is looked for; sites keep 90 days or more."""

_MAX_NAME_BYTES = 63


class Tcs:
    """The scheduler that answers to `pjsub`.

    Args:
        environment: for the commands: PATH and what else the site needs.
        timeout: seconds that a command may take.
        run: runs a command.
        clock: the time in seconds since the epoch.
    """

    name = "tcs"
    directive_prefixes = (PREFIX,)
    gives_estimates = True
    task_numbers = TaskNumbers(first=0, any_list=False)

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        run: Run = run_command,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queries = Queries(environment, timeout, run)
        self._clock = clock

    def script_problem(self, script: str) -> str | None:
        """Why this script must not be submitted to TCS (a sentence), or None."""
        if "\r\n" in script:
            return "the script has Windows line ends (CRLF): use `dos2unix`"
        return directives_of(script).problem

    def declared_places(self, script: str) -> DeclaredPlaces:
        """What the script's own `#PJM` lines say of its outputs; they cannot name a directory."""
        stated = directives_of(script)
        return DeclaredPlaces(stdout=stated.output, stderr=stated.error)

    def identity_of(self, wrapper: Path) -> str:
        """The job's name at TCS: it shows neither a script's path nor a description."""
        return f"jf-{wrapper.parent.name}"[:_MAX_NAME_BYTES]

    def submit(self, submission: Submission) -> str:
        """Submit with `pjsub`, and return the job id.

        Raises:
            SchedulerUnavailable: nothing was sent.
            SubmissionRefused: refused for good, by TCS or because TCS has no words for it.
            SubmissionDeferred: refused for a limit on the number of jobs.
            SubmissionUnknown: it may have been accepted.
        """
        try:
            wrapper = submission.wrapper.read_text("utf-8", "surrogateescape")
        except OSError as error:
            raise SchedulerUnavailable(f"cannot read {submission.wrapper}: {error}") from error
        done = self._queries.run(
            submit_arguments(
                submission, directives_of(wrapper), self.identity_of(submission.wrapper)
            ),
            environment=submission.environment,
            search_path=self._queries.search_path,
            timeout=self._queries.timeout,
            directory=submission.job_dir,
            pass_fds=submission.keep_open,
            own_locale=True,
        )
        scheduler_id = parse_submission(f"{done.stdout}\n{done.stderr}")
        if scheduler_id is None:
            raise parse_submission_error(done.says, done.code)
        return scheduler_id

    def list_mine(self) -> dict[str, ListedJob]:
        """This user's jobs: the live ones, and those that ended since yesterday.

        The live ones are asked for first, so that a job that ends in between is in one of both.
        """
        return self._listed() | self._listed("-H", _LISTED_DAYS)

    def detail(self, scheduler_id: str) -> ListedJob | None:
        """What TCS knows of a live job, else what its history does, else None."""
        live = self._listed(scheduler_id).get(scheduler_id)
        if live is not None:
            return live
        return self._listed("-H", _REMEMBERED_DAYS, scheduler_id).get(scheduler_id)

    def cancel(self, scheduler_id: str) -> None:
        """Ask for the end of a job with `pjdel`. One that has ended is no error."""
        done = self._queries.ask(["pjdel", scheduler_id])
        if done.code != 0 and not nothing_to_cancel(done.stdout + done.stderr):
            raise failed(done)

    def element_id(self, array_id: str, task: int) -> str:
        """As TCS shows a sub job."""
        return f"{array_id}[{task}]"

    def details(self, array_id: str, wanted: Collection[str]) -> dict[str, ListedJob]:
        """What TCS knows of an array's live elements, and of the others its history."""
        live = self._listed(array_id)
        if all(element in live for element in wanted):
            return live
        return self._listed("-H", _REMEMBERED_DAYS, array_id) | live

    def _listed(self, *arguments: str) -> dict[str, ListedJob]:
        done = self._queries.ask([*_QUERY, *arguments, _SUB_JOBS])
        if denies(done.stdout + done.stderr):
            return {}
        if done.code != 0:
            raise failed(done)
        return parse_listing(done.stdout, self._clock())


def submit_arguments(submission: Submission, stated: Directives, identity: str) -> list[str]:
    """The `pjsub` command: the site's arguments, then what the user stated in `aws-job.json`.

    Command line options win over directives. The name is always the puller's, since by it a job
    is recognised after a crash.

    Raises:
        SubmissionRefused: the user stated what TCS has no words for.
    """
    settings = submission.settings
    array = submission.array
    arguments = ["pjsub", *submission.site_arguments, "--name", identity]
    if array is not None:
        if array.max_running is not None:
            raise SubmissionRefused(
                "TCS has no limit on how many elements of an array run at once: take max_running = "
                f"{array.max_running} out of aws-job.json"
            )
        arguments += ["--bulk", "--sparam", f"{array.tasks[0]}-{array.tasks[-1]}"]
    if not stated.output:
        arguments += ["-o", f"{submission.scheduler_output}{'' if array is None else '.%b'}"]
        if not stated.error:
            arguments.append("-j")
    resources = _resources(submission)
    if resources:
        arguments += ["-L", ",".join(resources)]
    if settings.account is not None:
        arguments += ["-g", settings.account]
    return [*arguments, str(submission.wrapper)]


def _resources(submission: Submission) -> list[str]:
    settings = submission.settings
    wanted = settings.resources
    for field, value in (("cpus", wanted.cpus), ("gpus", wanted.gpus)):
        if value is not None:
            raise SubmissionRefused(
                f"each TCS site has its own words for {field}: take {field} = {value} out of "
                f"aws-job.json and say it in the script ({PREFIX} -L ...) as the site's guide does"
            )
    if settings.queue is not None and "," in settings.queue:
        raise SubmissionRefused(f"{settings.queue!r} in aws-job.json is no resource group's name")
    stated = {
        "node": wanted.nodes,
        "node-mem": None if wanted.memory_mb is None else f"{wanted.memory_mb}Mi",
        "rscgrp": settings.queue,
        "elapse": None if settings.time_limit is None else _elapse(settings.time_limit),
    }
    return [f"{name}={value}" for name, value in stated.items() if value is not None]


def _elapse(seconds: int) -> str:
    """`hours:minutes:seconds`."""
    minutes, rest = divmod(max(1, seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
