"""Slurm: `sbatch`, `squeue`, `scontrol`, `sacct` and `scancel` behind the scheduler interface.

Needs Slurm 20.02 or newer (`squeue --me`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from job_protocol.elements import ranges
from puller.errors import SchedulerUnavailable, SubmissionDeferred, SubmissionUnknown
from puller.schedulers.array_tasks import ArrayTasks, TaskNumbers
from puller.schedulers.interface import DeclaredPlaces, ListedJob, Submission
from puller.schedulers.runner import (
    DEFAULT_TIMEOUT,
    CommandMissing,
    Completed,
    Run,
    run_command,
)
from puller.schedulers.slurm_answers import (
    ACCOUNTING_FIELDS,
    LISTING_FORMAT,
    parse_accounting,
    parse_accounting_of_all,
    parse_detail,
    parse_details,
    parse_listing,
    parse_submission,
    parse_submission_error,
)
from puller.schedulers.slurm_directives import PREFIX, Directives, read_directives
from puller.wrapper import split_script

_RETRYING = "sleeping and retrying"
"""What `sbatch` says when the controller has no room: it then tries 15 times within two minutes."""

_FIRST_RETRY = 1.0
"""Seconds that `sbatch` sleeps after saying so."""

_OWN_VARIABLES = ("SQUEUE_", "SACCT_", "SCANCEL_", "SLURM_TIME_FORMAT")
"""Variables by which a user changes what the listing commands show."""

_SUBMISSION_TRAPS = frozenset({"SBATCH_WAIT", "SBATCH_TEST_ONLY", "SBATCH_ARRAY_INX"})
"""Variables that would do what `script_problem` refuses in a directive."""

_UNKNOWN_ID = "Invalid job id"
_NO_ACCOUNTING = "accounting storage is disabled"
_NOTHING_TO_CANCEL = re.compile(r"Invalid job id|already completing or completed")

_MAX_NAME_BYTES = 200


class Slurm:
    """The scheduler that answers to `sbatch`.

    Args:
        environment: for the commands: PATH, SLURM_CONF and what else the site needs.
        timeout: seconds that a command may take.
        run: runs a command.
    """

    name = "slurm"
    directive_prefixes = (PREFIX,)
    gives_estimates = True
    task_numbers = TaskNumbers(first=0, any_list=True)

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        run: Run = run_command,
    ) -> None:
        self._search_path = environment.get("PATH", os.defpath)
        self._timeout = timeout
        self._run = run
        self._slurm_variables = {
            name: value for name, value in environment.items() if name.startswith("SLURM_")
        }
        self._environment = {
            name: value
            for name, value in environment.items()
            if not name.startswith(_OWN_VARIABLES)
        } | {"SLURM_TIME_FORMAT": "%s"}

    def script_problem(self, script: str) -> str | None:
        """Why this script must not be submitted to Slurm (a sentence), or None."""
        if "\r\n" in script:
            return "the script has Windows line ends (CRLF), which Slurm refuses: use `dos2unix`"
        return _directives(script).problem

    def declared_places(self, script: str) -> DeclaredPlaces:
        """What the script's own `#SBATCH` lines say of its outputs and its directory."""
        stated = _directives(script)
        return DeclaredPlaces(stdout=stated.output, stderr=stated.error, directory=stated.directory)

    def identity_of(self, wrapper: Path) -> str:
        """The wrapper's path, which `squeue` shows as the submitted script."""
        return str(wrapper)

    def submit(self, submission: Submission) -> str:
        """Submit with `sbatch`, and return the job id.

        Raises:
            SchedulerUnavailable: nothing was sent.
            SubmissionRefused: refused for good.
            SubmissionDeferred: refused for a limit of a user, a queue or the controller.
            SubmissionUnknown: it may have been accepted.
        """
        try:
            wrapper = submission.wrapper.read_text("utf-8", "surrogateescape")
        except OSError as error:
            raise SchedulerUnavailable(f"cannot read {submission.wrapper}: {error}") from error
        done = self._run(
            submit_arguments(submission, _directives(wrapper)),
            environment=submission_environment(submission.environment, self._slurm_variables),
            search_path=self._search_path,
            timeout=self._timeout,
            directory=submission.job_dir,
            pass_fds=submission.keep_open,
            own_locale=True,
            give_up_at=_RETRYING,
        )
        return _submitted_id(done)

    def list_mine(self) -> dict[str, ListedJob]:
        """All of this user's jobs that the controller has, ended ones for some minutes."""
        return parse_listing(
            self._answer(["squeue", "--me", "-h", "-r", "-t", "all", "-o", LISTING_FORMAT])
        )

    def detail(self, scheduler_id: str) -> ListedJob | None:
        """What the controller knows of a job, else what the accounting does, else None.

        Raises:
            SchedulerUnavailable: one of them did not answer.
        """
        done = self._ask(["scontrol", "show", "job", scheduler_id])
        if done.code == 0:
            found = parse_detail(done.stdout, scheduler_id)
            if found is None:
                raise SchedulerUnavailable(
                    f"scontrol show job {scheduler_id} answered something else: "
                    f"{done.stdout[:200]!r}"
                )
            return found
        if _UNKNOWN_ID not in done.stderr:
            raise SchedulerUnavailable(f"scontrol show job {scheduler_id}: {done.says}")
        return self._accounted(scheduler_id)

    def cancel(self, scheduler_id: str) -> None:
        """Ask for the end of a job with `scancel`. One that has ended is no error."""
        done = self._ask(["scancel", scheduler_id])
        if done.code != 0 and not _NOTHING_TO_CANCEL.search(done.stderr):
            raise SchedulerUnavailable(f"scancel {scheduler_id}: {done.says}")

    def element_id(self, array_id: str, task: int) -> str:
        """As `squeue -r` shows a task."""
        return f"{array_id}_{task}"

    def details(self, array_id: str, wanted: Collection[str]) -> dict[str, ListedJob]:
        """What the controller knows of an array's elements, and of the others the accounting.

        Raises:
            SchedulerUnavailable: one of them did not answer.
        """
        done = self._ask(["scontrol", "show", "job", array_id])
        if done.code != 0 and _UNKNOWN_ID not in done.stderr:
            raise SchedulerUnavailable(f"scontrol show job {array_id}: {done.says}")
        found = parse_details(done.stdout) if done.code == 0 else {}
        if all(element in found for element in wanted):
            return found
        return parse_accounting_of_all(self._accounting(array_id)) | found

    def _accounted(self, scheduler_id: str) -> ListedJob | None:
        return parse_accounting(self._accounting(scheduler_id), scheduler_id)

    def _accounting(self, scheduler_id: str) -> str:
        """What `sacct` says. A cluster without accounting knows nothing, which is an answer."""
        arguments = ["sacct", "-j", scheduler_id, "-n", "-P", "-X", "-o", ACCOUNTING_FIELDS]
        try:
            done = self._ask(arguments)
        except CommandMissing:
            return ""
        if done.code == 0:
            return done.stdout
        if _NO_ACCOUNTING in done.stderr:
            return ""
        raise SchedulerUnavailable(f"sacct -j {scheduler_id}: {done.says}")

    def _answer(self, arguments: Sequence[str]) -> str:
        done = self._ask(arguments)
        if done.code != 0:
            raise SchedulerUnavailable(f"{arguments[0]}: {done.says}")
        return done.stdout

    def _ask(self, arguments: Sequence[str]) -> Completed:
        done = self._run(
            arguments,
            environment=self._environment,
            search_path=self._search_path,
            timeout=self._timeout,
        )
        if done.timed_out:
            raise SchedulerUnavailable(f"{done.says} ({self._timeout:.0f} s)")
        if done.cut:
            raise SchedulerUnavailable(f"{arguments[0]} answered more than can be read")
        return done


def submit_arguments(submission: Submission, stated: Directives) -> list[str]:
    """The `sbatch` command: the site's arguments, then what the user stated in `aws-job.json`.

    Command line options win over directives, so nothing is passed that the script says itself
    and the user did not state beside it.
    """
    settings = submission.settings
    resources = settings.resources
    options = {
        "job-name": None
        if settings.name is None and stated.job_name
        else _job_name(settings.name or submission.name),
        "chdir": None if stated.directory else str(submission.job_dir),
        "output": None if stated.output else escape_pattern(str(submission.scheduler_output)),
        "partition": settings.queue,
        "account": settings.account,
        "time": None if settings.time_limit is None else _time_limit(settings.time_limit),
        "nodes": resources.nodes,
        "cpus-per-task": resources.cpus,
        "mem": None if resources.memory_mb is None else f"{resources.memory_mb}M",
        "gpus": resources.gpus,
        "array": None if submission.array is None else array_option(submission.array),
        "open-mode": None if submission.array is None or stated.output else "append",
    }
    own = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return ["sbatch", "--parsable", *submission.site_arguments, *own, str(submission.wrapper)]


def array_option(array: ArrayTasks) -> str:
    """The value of `--array`: the tasks, and behind `%` how many may run at once."""
    throttle = "" if array.max_running is None else f"%{array.max_running}"
    return f"{ranges(array.tasks)}{throttle}"


def submission_environment(
    login: Mapping[str, str], slurm_variables: Mapping[str, str]
) -> dict[str, str]:
    """The environment of `sbatch`, which becomes the job's.

    Args:
        login: the environment of the user's login shell.
        slurm_variables: the puller's own `SLURM_*` variables, by which it finds the cluster.
    """
    kept = {name: value for name, value in login.items() if name not in _SUBMISSION_TRAPS}
    return {**slurm_variables, **kept}


def escape_pattern(path: str) -> str:
    """A path that `sbatch --output` takes as it stands.

    Measured on Slurm 22.05: `%%` is a percent sign; but one backslash anywhere turns patterns off,
    and then backslashes alone must be doubled.
    """
    if "\\" in path:
        return path.replace("\\", "\\\\")
    return path.replace("%", "%%")


def _submitted_id(done: Completed) -> str:
    scheduler_id = parse_submission(done.stdout)
    if scheduler_id is not None:
        return scheduler_id
    if done.gave_up_after is not None and done.gave_up_after < _FIRST_RETRY:
        raise SubmissionDeferred(done.says)
    if done.code is None or done.code < 0 or done.code == 0:
        raise SubmissionUnknown(f"sbatch gave no job id: {done.says}")
    raise parse_submission_error(done.says)


def _directives(script: str) -> Directives:
    return read_directives(split_script(script, (PREFIX,)).directives)


def _job_name(name: str) -> str:
    printable = "".join(char if char.isprintable() else "_" for char in name)
    return printable.encode()[:_MAX_NAME_BYTES].decode("utf-8", "ignore")


def _time_limit(seconds: int) -> str:
    """`minutes:seconds`; Slurm rounds up to minutes, and takes 0 for no limit at all."""
    return f"{max(1, seconds) // 60}:{max(1, seconds) % 60:02d}"
