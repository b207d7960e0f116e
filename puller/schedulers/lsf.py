"""LSF: `bsub`, `bjobs`, `bhist` and `bkill` behind the scheduler interface.

Written from the manuals of IBM Spectrum LSF 10.1 (`bjobs -json` is from its fix pack 2); it has not
met a real LSF.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from puller.errors import (
    SchedulerUnavailable,
    SubmissionDeferred,
    SubmissionRefused,
    SubmissionUnknown,
)
from puller.schedulers.array_tasks import ArrayTasks, TaskNumbers
from puller.schedulers.interface import DeclaredPlaces, ListedJob, Submission
from puller.schedulers.job_environment import leave_environment
from puller.schedulers.lsf_answers import (
    DESCRIPTION,
    FIELDS,
    denies,
    parse_histories,
    parse_history,
    parse_jobs,
    parse_submission,
    parse_submission_error,
)
from puller.schedulers.lsf_directives import PREFIX, Directives, directives_of
from puller.schedulers.queries import Queries, failed
from puller.schedulers.runner import (
    DEFAULT_TIMEOUT,
    CommandMissing,
    Completed,
    Run,
    run_command,
)

_RETRYING = "job threshold reached"
"""What `bsub` says when a user has too many pending jobs; it then tries once a minute, for ever."""

_FIRST_RETRY = 30.0
"""Seconds after which a `bsub` that said so may have tried again (it says 60)."""

_SUBMISSION_TRAPS = frozenset({"BSUB_BLOCK", "BSUB_CHK_RESREQ", "BSUB_QUIET", "BSUB_STDERR"})
"""Variables by which `bsub` would wait, only check, or not tell the job's id."""

_OF_THE_SCHEDULER = ("LSB_*", "LSF_*", "LS_*", "BSUB_*", "TMPDIR")
"""Variables that LSF gives a job, or that are meant for its commands. Source: IBM's reference,
"Environment variables"."""

_HISTORY_LOGS = "10"
"""How many of LSF's event logs `bhist` searches; all of them may take minutes."""

_NOTHING_TO_CANCEL = ("already finished", "No matching job found", "is not found")

_MAX_NAME = 200


class Lsf:
    """The scheduler that answers to `bsub`.

    Args:
        environment: for the commands: PATH, LSF_ENVDIR and what else the site needs.
        timeout: seconds that a command may take.
        run: runs a command.
        clock: the time in seconds since the epoch.
    """

    name = "lsf"
    directive_prefixes = (PREFIX,)
    gives_estimates = False
    task_numbers = TaskNumbers(first=1, any_list=False)

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
        """Why this script must not be submitted to LSF (a sentence), or None."""
        if "\r\n" in script:
            return "the script has Windows line ends (CRLF): use `dos2unix`"
        return directives_of(script).problem

    def declared_places(self, script: str) -> DeclaredPlaces:
        """What the script's own `#BSUB` lines say of its outputs and its directory."""
        stated = directives_of(script)
        return DeclaredPlaces(
            stdout=stated.output,
            stderr=stated.error,
            directory=stated.directory,
            anywhere=True,
        )

    def identity_of(self, wrapper: Path) -> str:
        """The job's description: LSF shows no script's path, and the name is the user's."""
        return f"{DESCRIPTION}{wrapper.parent.name}"

    def submit(self, submission: Submission) -> str:
        """Submit with `bsub`, and return the job id.

        Raises:
            SchedulerUnavailable: nothing was sent.
            SubmissionRefused: refused for good, by LSF or because LSF has no words for it.
            SubmissionDeferred: refused for a limit of a user or a queue.
            SubmissionUnknown: it may have been accepted.
        """
        with contextlib.ExitStack() as opened:
            try:
                wrapper = submission.wrapper.read_text("utf-8", "surrogateescape")
                script = opened.enter_context(submission.wrapper.open("rb"))
            except OSError as error:
                raise SchedulerUnavailable(f"cannot read {submission.wrapper}: {error}") from error
            stated = directives_of(wrapper)
            arguments = submit_arguments(submission, stated, self.identity_of(submission.wrapper))
            leave_environment(
                submission.wrapper,
                submission.environment,
                without=(*_OF_THE_SCHEDULER, *stated.variables),
            )
            done = self._queries.run(
                arguments,
                environment=submission_environment(
                    submission.environment, self._queries.environment
                ),
                search_path=self._queries.search_path,
                timeout=self._queries.timeout,
                directory=submission.job_dir,
                pass_fds=submission.keep_open,
                own_locale=True,
                give_up_at=_RETRYING,
                stdin=script.fileno(),
            )
        return _submitted_id(done)

    def list_mine(self) -> dict[str, ListedJob]:
        """All of this user's jobs that LSF has, ended ones for its CLEAN_PERIOD."""
        done = self._queries.ask(["bjobs", "-a", "-json", "-o", FIELDS])
        if "{" not in done.stdout and denies(done.stdout + done.stderr):
            return {}
        if "{" not in done.stdout:
            raise failed(done)
        return parse_jobs(done.stdout, self._clock())

    def detail(self, scheduler_id: str) -> ListedJob | None:
        """What `bjobs` knows of a job, else what LSF's history does, else None.

        Raises:
            SchedulerUnavailable: one of them did not answer.
        """
        done = self._queries.ask(["bjobs", "-a", "-json", "-o", FIELDS, scheduler_id])
        if "{" in done.stdout:
            found = parse_jobs(done.stdout, self._clock()).get(scheduler_id)
            if found is not None:
                return found
        if not denies(done.stdout + done.stderr):
            raise failed(done)
        return self._remembered(scheduler_id)

    def cancel(self, scheduler_id: str) -> None:
        """Ask for the end of a job with `bkill`. One that has ended is no error."""
        done = self._queries.ask(["bkill", scheduler_id])
        says = done.stdout + done.stderr
        if done.code != 0 and not any(words in says for words in _NOTHING_TO_CANCEL):
            raise failed(done)

    def element_id(self, array_id: str, task: int) -> str:
        """As LSF's commands take an element."""
        return f"{array_id}[{task}]"

    def details(self, array_id: str, wanted: Collection[str]) -> dict[str, ListedJob]:
        """What `bjobs` knows of an array's elements, and of the others LSF's history.

        Raises:
            SchedulerUnavailable: one of them did not answer.
        """
        done = self._queries.ask(["bjobs", "-a", "-json", "-o", FIELDS, array_id])
        found: dict[str, ListedJob] = {}
        if "{" in done.stdout:
            jobs = parse_jobs(done.stdout, self._clock())
            found = {job.id: job for job in jobs.values() if job.array == array_id}
        if not found and not denies(done.stdout + done.stderr):
            raise failed(done)
        if all(element in found for element in wanted):
            return found
        return parse_histories(self._history(array_id), self._clock()) | found

    def _remembered(self, scheduler_id: str) -> ListedJob | None:
        return parse_history(self._history(scheduler_id), scheduler_id, self._clock())

    def _history(self, scheduler_id: str) -> str:
        arguments = ["bhist", "-l", "-UF", "-n", _HISTORY_LOGS, scheduler_id]
        try:
            done = self._queries.ask(arguments)
        except CommandMissing:
            return ""
        known = parse_histories(done.stdout, self._clock())
        if not known and not denies(done.stdout + done.stderr):
            raise failed(done)
        return done.stdout


def submit_arguments(submission: Submission, stated: Directives, identity: str) -> list[str]:
    """The `bsub` command: the site's arguments, then what the user stated in `aws-job.json`.

    Command line options win over directives, so nothing is passed that the script says itself
    and the user did not state beside it; the description is always the puller's.

    Raises:
        SubmissionRefused: the user stated what LSF has no words for.
    """
    settings = submission.settings
    arguments = ["bsub", *submission.site_arguments, "-Jd", identity]
    array = submission.array
    if array is not None:
        name = settings.name or next(iter(stated.names), submission.name)
        arguments += ["-J", f"{_job_name(name)}{array_option(array)}"]
    elif settings.name is not None or not stated.job_name:
        arguments += ["-J", _job_name(settings.name or submission.name)]
    if not stated.output:
        arguments += ["-o", f"{submission.scheduler_output}{'' if array is None else '.%I'}"]
    if settings.queue is not None:
        arguments += ["-q", settings.queue]
    if settings.account is not None:
        arguments += ["-P", settings.account]
    if settings.time_limit is not None:
        arguments += ["-W", _time_limit(settings.time_limit)]
    return [*arguments, *_resources(submission)]


def array_option(array: ArrayTasks) -> str:
    """What follows the name: the tasks, and behind `%` how many may run at once."""
    throttle = "" if array.max_running is None else f"%{array.max_running}"
    return f"[{array.tasks[0]}-{array.tasks[-1]}]{throttle}"


def submission_environment(login: Mapping[str, str], site: Mapping[str, str]) -> dict[str, str]:
    """The environment of `bsub`, which LSF hands on to the job.

    Args:
        login: the environment of the user's login shell.
        site: the puller's own environment, whose `LSF_*` variables lead to the cluster.
    """
    cluster = {name: value for name, value in site.items() if name.startswith("LSF_")}
    kept = {name: value for name, value in login.items() if name not in _SUBMISSION_TRAPS}
    return {**cluster, **kept}


def _resources(submission: Submission) -> list[str]:
    """LSF counts slots, not nodes: `-n` is their number, `span` spreads them."""
    wanted = submission.settings.resources
    nodes = wanted.nodes or 1
    arguments: list[str] = []
    if wanted.nodes is not None and nodes > 1 and wanted.cpus is None:
        raise SubmissionRefused(
            f"LSF counts slots and not nodes: state `cpus` (per node) beside nodes = {nodes} in "
            f"aws-job.json, or neither and say it in the script ({PREFIX} -n, -R)"
        )
    if wanted.cpus is not None:
        arguments += ["-n", str(nodes * wanted.cpus)]
    if nodes > 1:
        arguments += ["-R", f"span[ptile={wanted.cpus}]"]
    elif wanted.nodes is not None or wanted.cpus is not None:
        arguments += ["-R", "span[hosts=1]"]
    if wanted.memory_mb is not None:
        arguments += ["-R", f"rusage[mem={wanted.memory_mb}MB]", "-M", f"{wanted.memory_mb}MB"]
    if wanted.gpus is not None:
        if wanted.gpus % nodes:
            raise SubmissionRefused(
                f"LSF counts GPUs per host: gpus = {wanted.gpus} in aws-job.json cannot be spread "
                f"evenly over nodes = {nodes}"
            )
        arguments += ["-gpu", f"num={wanted.gpus // nodes}"]
    return arguments


def _submitted_id(done: Completed) -> str:
    scheduler_id = parse_submission(f"{done.stdout}\n{done.stderr}")
    if scheduler_id is not None:
        return scheduler_id
    if done.gave_up_after is not None and done.gave_up_after < _FIRST_RETRY:
        raise SubmissionDeferred(done.says)
    if done.code is None or done.code <= 0:
        raise SubmissionUnknown(f"bsub gave no job id: {done.says}")
    raise parse_submission_error(done.says)


def _job_name(name: str) -> str:
    """Without brackets, which would make it an array, and without its separators."""
    plain = "".join(c if c.isprintable() and c not in '[]{}<>,%"' else "_" for c in name)
    return plain.encode()[:_MAX_NAME].decode("utf-8", "ignore") or "job"


def _time_limit(seconds: int) -> str:
    """Minutes, rounded up."""
    return str(max(1, -(-seconds // 60)))
