"""OpenPBS and PBS Pro: `qsub`, `qselect`, `qstat` and `qdel` behind the scheduler interface.

It has met recorded answers only, no running PBS; docs/schedulers.md says so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from puller.errors import SchedulerUnavailable, SubmissionUnknown
from puller.schedulers.array_tasks import ArrayTasks, TaskNumbers
from puller.schedulers.interface import DeclaredPlaces, ListedJob, Submission
from puller.schedulers.job_environment import leave_environment
from puller.schedulers.pbs_answers import (
    denies,
    has_no_history,
    identity_in,
    parse_ids,
    parse_jobs,
    parse_submission,
    parse_submission_error,
)
from puller.schedulers.pbs_directives import PREFIX, Directives, read_directives
from puller.schedulers.queries import Queries, failed
from puller.schedulers.runner import DEFAULT_TIMEOUT, Completed, Run, run_command
from puller.wrapper import split_script

_OF_THE_SCHEDULER = ("PBS_*", "ENVIRONMENT", "NCPUS", "OMP_NUM_THREADS", "TMPDIR")
"""Variables that PBS gives a job. Source: qsub(1B), "ENVIRONMENT VARIABLES"."""

_NOTHING_TO_CANCEL = re.compile(r"Unknown Job Id|Job has finished|already been deleted")
_IDS_AT_ONCE = 500
_MAX_NAME = 15
"""Characters of a job's name; PBS Pro before 13 takes no more."""


class Pbs:
    """The scheduler that answers to the `qsub` of OpenPBS or PBS Pro.

    Args:
        environment: for the commands: PATH, PBS_CONF_FILE and what else the site needs.
        user: the account whose jobs these are.
        timeout: seconds that a command may take.
        run: runs a command.
    """

    name = "pbs"
    directive_prefixes = (PREFIX,)
    gives_estimates = True
    task_numbers = TaskNumbers(first=0, any_list=False)

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        user: str,
        timeout: float = DEFAULT_TIMEOUT,
        run: Run = run_command,
    ) -> None:
        self._user = user
        self._queries = Queries({**environment, "TZ": "UTC"}, timeout, run)
        self._pbs_variables = {
            name: value for name, value in environment.items() if name.startswith("PBS_")
        }

    def script_problem(self, script: str) -> str | None:
        """Why this script must not be submitted to PBS (a sentence), or None."""
        if "\r\n" in script:
            return "the script has Windows line ends (CRLF), which PBS refuses: use `dos2unix`"
        return _directives(script).problem

    def declared_places(self, script: str) -> DeclaredPlaces:
        """What the script's own `#PBS` lines say of its outputs and its shell."""
        stated = _directives(script)
        return DeclaredPlaces(stdout=stated.output, stderr=stated.error, shell=stated.shell)

    def identity_of(self, wrapper: Path) -> str:
        """The wrapper's last folder and name, as `qstat -f` shows them behind the arguments."""
        return identity_in(str(wrapper))

    def submit(self, submission: Submission) -> str:
        """Submit with `qsub`, and return the job id with its server's name.

        Raises:
            SchedulerUnavailable: nothing was sent.
            SubmissionRefused: refused for good.
            SubmissionDeferred: refused for a limit of a user, a group, a queue or the server.
            SubmissionUnknown: it may have been accepted.
        """
        try:
            wrapper = submission.wrapper.read_text("utf-8", "surrogateescape")
        except OSError as error:
            raise SchedulerUnavailable(f"cannot read {submission.wrapper}: {error}") from error
        stated = _directives(wrapper)
        leave_environment(
            submission.wrapper,
            submission.environment,
            without=(*_OF_THE_SCHEDULER, *stated.variables),
        )
        done = self._queries.run(
            submit_arguments(submission, stated),
            environment={**submission.environment, **self._pbs_variables},
            search_path=self._queries.search_path,
            timeout=self._queries.timeout,
            directory=submission.job_dir,
            pass_fds=submission.keep_open,
            own_locale=True,
        )
        return _submitted_id(done)

    def list_mine(self) -> dict[str, ListedJob]:
        """All of this user's jobs that have not ended, and all elements of arrays that have not.

        An array's own record is its summary, and has no element's id.
        """
        done = self._queries.ask(["qselect", "-u", self._user])
        if done.code != 0:
            raise failed(done)
        ids = parse_ids(done.stdout)
        plain = [job_id for job_id in ids if "[" not in job_id]
        jobs: dict[str, ListedJob] = {}
        for start in range(0, len(plain), _IDS_AT_ONCE):
            jobs |= self._shown(["qstat", "-f"], plain[start : start + _IDS_AT_ONCE])
        for array in (job_id for job_id in ids if "[" in job_id):
            jobs |= self._elements(["qstat", "-t", "-f"], array)
        return jobs

    def detail(self, scheduler_id: str) -> ListedJob | None:
        """What the server knows of a job, its history included, or None.

        Raises:
            SchedulerUnavailable: it did not answer.
        """
        return self._shown(["qstat", "-x", "-f"], [scheduler_id]).get(scheduler_id)

    def cancel(self, scheduler_id: str) -> None:
        """Ask for the end of a job with `qdel`. One that has ended is no error.

        Raises:
            SchedulerUnavailable: the server did not answer.
        """
        done = self._queries.ask(["qdel", scheduler_id])
        if done.code != 0 and not _NOTHING_TO_CANCEL.search(done.stderr):
            raise failed(done)

    def element_id(self, array_id: str, task: int) -> str:
        """The array's id, with the task's number in its brackets."""
        return array_id.replace("[]", f"[{task}]", 1)

    def details(self, array_id: str, wanted: Collection[str]) -> dict[str, ListedJob]:
        """What the server knows of an array's elements, its history included.

        Raises:
            SchedulerUnavailable: it did not answer.
        """
        known = self._elements(["qstat", "-x", "-t", "-f"], array_id)
        return {element: known[element] for element in wanted if element in known}

    def _elements(self, command: Sequence[str], array_id: str) -> dict[str, ListedJob]:
        """An array and its elements, or nothing if the server denies to know it."""
        done = self._queries.ask([*command, array_id])
        if "-x" in command and has_no_history(done.stderr):
            return self._elements(["qstat", "-t", "-f"], array_id)
        if done.code != 0 and not denies(done.stderr):
            raise failed(done)
        jobs = parse_jobs(done.stdout)
        if any(job.submission != array_id for job in jobs.values()):
            raise SchedulerUnavailable(
                f"{' '.join(command)} was asked for {array_id} and answered {', '.join(jobs)}"[:500]
            )
        return jobs

    def _shown(self, command: Sequence[str], ids: Sequence[str]) -> dict[str, ListedJob]:
        """These jobs, less those that the server denies to know."""
        done = self._queries.ask([*command, *ids])
        if "-x" in command and has_no_history(done.stderr):
            return self._shown(["qstat", "-f"], ids)
        if done.code != 0 and not denies(done.stderr):
            raise failed(done)
        jobs = parse_jobs(done.stdout)
        if not set(jobs) <= set(ids) or (done.code == 0 and len(jobs) != len(ids)):
            raise SchedulerUnavailable(
                f"{' '.join(command)} was asked for {len(ids)} jobs and answered "
                f"{', '.join(jobs) or 'nothing'}"[:500]
            )
        return jobs


def submit_arguments(submission: Submission, stated: Directives) -> list[str]:
    """The `qsub` command: the site's arguments, then what the user stated in `aws-job.json`.

    Options of the command line win over directives. `-S` is always stated, since the user's login
    shell (often csh) would otherwise read the wrapper.
    """
    settings = submission.settings
    array = submission.array
    output = f"{submission.scheduler_output}{'' if array is None else '.^array_index^'}"
    neither = not stated.output and not stated.error
    options: list[tuple[str, str | None]] = [
        ("-N", None if settings.name is None and stated.has("N") else _name(submission)),
        ("-j", "oe" if neither else None),
        ("-o", None if stated.output else output),
        ("-e", None if stated.error or neither else output),
        ("-q", settings.queue),
        ("-A", settings.account),
        ("-l", None if (limit := settings.time_limit) is None else f"walltime={max(1, limit)}"),
        ("-l", _select(submission)),
        ("-J", None if array is None else array_option(array)),
    ]
    own = [word for name, value in options if value is not None for word in (name, value)]
    return ["qsub", *submission.site_arguments, *own, "-S", "/bin/bash", str(submission.wrapper)]


def array_option(array: ArrayTasks) -> str:
    """The value of `-J`. A range must have two ends, so that a single task needs a step.

    Source: qsub(1B); `%` with the number that may run at once is OpenPBS 20's and later.
    """
    first, last = array.tasks[0], array.tasks[-1]
    span = f"{first}-{last}" if first < last else f"{first}-{first + 1}:2"
    return span if array.max_running is None else f"{span}%{array.max_running}"


def _select(submission: Submission) -> str | None:
    """`select=N:ncpus=...`: what is stated, of each of the nodes."""
    resources = submission.settings.resources
    chunk = {
        "ncpus": resources.cpus,
        "mem": None if resources.memory_mb is None else f"{resources.memory_mb}mb",
        "ngpus": resources.gpus,
    }
    parts = [f"{name}={value}" for name, value in chunk.items() if value is not None]
    if not parts and resources.nodes is None:
        return None
    return "select=" + ":".join([str(resources.nodes or 1), *parts])


def _submitted_id(done: Completed) -> str:
    scheduler_id = parse_submission(done.stdout)
    if scheduler_id is not None:
        return scheduler_id
    if done.code is None or done.code <= 0:
        raise SubmissionUnknown(f"qsub gave no job id: {done.says}")
    raise parse_submission_error(done.says)


def _directives(script: str) -> Directives:
    return read_directives(split_script(script, (PREFIX,)).directives)


def _name(submission: Submission) -> str:
    name = re.sub(r"[^A-Za-z0-9_.+-]+", "_", submission.settings.name or submission.name)
    return (name if name[:1].isalpha() else f"j_{name}")[:_MAX_NAME]
