"""Grid Engine: `qsub`, `qstat`, `qacct` and `qdel` behind the scheduler interface.

What has no meaning that all sites share is refused with a sentence rather than dropped: CPUs and
nodes need a parallel environment and GPUs a resource, whose names are the site's own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from puller.errors import SchedulerUnavailable, SubmissionRefused, SubmissionUnknown
from puller.schedulers.array_tasks import TaskNumbers
from puller.schedulers.interface import DeclaredPlaces, ListedJob, Submission
from puller.schedulers.job_environment import leave_environment
from puller.schedulers.queries import Queries
from puller.schedulers.runner import (
    DEFAULT_TIMEOUT,
    CommandMissing,
    Completed,
    Run,
    run_command,
)
from puller.schedulers.sge_answers import (
    listed_job,
    parse_accounting,
    parse_accounting_of_all,
    parse_states,
    parse_submission,
    parse_submission_error,
    parse_submitted,
    shown_path,
)
from puller.schedulers.sge_directives import PREFIX, Directives, read_directives
from puller.wrapper import split_script

_OF_THE_SCHEDULER = (
    *("SGE_*", "ARC", "ENVIRONMENT", "JOB_*", "NHOSTS", "NQUEUES", "NSLOTS", "PE", "PE_*"),
    *("QUEUE", "REQUEST", "REQNAME", "RESTARTED", "TASK_ID", "TMP", "TMPDIR"),
)
"""Variables that Grid Engine gives a job. Source: qsub(1), "ENVIRONMENT VARIABLES"."""

_DENIED = re.compile(r"job id \d+ not found")
_NO_ACCOUNTING = re.compile(r"no jobs running since startup")
_NOTHING_TO_CANCEL = re.compile(r"denied: job \"?\d+\"? does not exist")
_IDS_AT_ONCE = 500
"""`qstat -j` answers with about 4 kB for each."""
_NULL_DEVICE = Path("/dev/null")


class GridEngine:
    """The scheduler that answers to Grid Engine's `qsub`.

    Args:
        environment: for the commands: PATH, SGE_ROOT and what else the site needs.
        user: the account whose jobs these are.
        timeout: seconds that a command may take.
        run: runs a command.
    """

    name = "sge"
    directive_prefixes = (PREFIX,)
    gives_estimates = False
    task_numbers = TaskNumbers(first=1, any_list=False)

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
        self._sge_variables = {
            name: value for name, value in environment.items() if name.startswith("SGE_")
        }

    def script_problem(self, script: str) -> str | None:
        """Why this script must not be submitted to Grid Engine (a sentence), or None."""
        if "\r\n" in script:
            return (
                "the script has Windows line ends (CRLF), with which Grid Engine would take the "
                "job and never start it: use `dos2unix`"
            )
        return _directives(script).problem

    def declared_places(self, script: str) -> DeclaredPlaces:
        """What the script's own `#$` lines say of its outputs, its directory and its shell."""
        stated = _directives(script)
        return DeclaredPlaces(
            stdout=stated.output,
            stderr=stated.error,
            directory=stated.directory,
            shell=stated.shell,
            anywhere=True,
        )

    def identity_of(self, wrapper: Path) -> str:
        """The wrapper's path, as `qstat -j` shows the submitted script."""
        return shown_path(str(wrapper))

    def submit(self, submission: Submission) -> str:
        """Submit with `qsub`, and return the job id.

        Raises:
            SchedulerUnavailable: nothing was sent.
            SubmissionRefused: refused for good, here or by Grid Engine.
            SubmissionDeferred: refused for the number of jobs of the user or the cluster.
            SubmissionUnknown: it may have been accepted.
        """
        try:
            wrapper = submission.wrapper.read_text("utf-8", "surrogateescape")
        except OSError as error:
            raise SchedulerUnavailable(f"cannot read {submission.wrapper}: {error}") from error
        stated = _directives(wrapper)
        problem = unmapped(submission, stated)
        if problem is not None:
            raise SubmissionRefused(problem)
        leave_environment(
            submission.wrapper,
            submission.environment,
            without=(*_OF_THE_SCHEDULER, *stated.variables),
        )
        done = self._queries.run(
            submit_arguments(submission, stated),
            environment={**submission.environment, **self._sge_variables},
            search_path=self._queries.search_path,
            timeout=self._queries.timeout,
            directory=submission.job_dir,
            pass_fds=submission.keep_open,
            own_locale=True,
        )
        return _submitted_id(done)

    def list_mine(self) -> dict[str, ListedJob]:
        """All of this user's jobs that the qmaster has; it forgets ended ones at once."""
        states = parse_states(self._answer(["qstat", "-u", self._user, "-xml"]))
        ids = list(dict.fromkeys(element.partition(".")[0] for element in states))
        jobs: dict[str, ListedJob] = {}
        for start in range(0, len(ids), _IDS_AT_ONCE):
            some = ",".join(ids[start : start + _IDS_AT_ONCE])
            submitted = parse_submitted(self._answer(["qstat", "-j", some, "-xml"]))
            for element, letters in states.items():
                told = submitted.get(element.partition(".")[0])
                if told is not None:
                    jobs[element] = listed_job(element, letters, told)
        return jobs

    def detail(self, scheduler_id: str) -> ListedJob | None:
        """What the qmaster knows of a job, else what the accounting does, else None.

        Raises:
            SchedulerUnavailable: one of them did not answer.
        """
        return self.list_mine().get(scheduler_id) or self._accounted(scheduler_id)

    def cancel(self, scheduler_id: str) -> None:
        """Ask for the end of a job with `qdel`, also of one in an error state.

        Raises:
            SchedulerUnavailable: the qmaster did not answer.
        """
        done = self._queries.ask(["qdel", scheduler_id])
        if done.code != 0 and not _NOTHING_TO_CANCEL.search(done.stdout + done.stderr):
            raise SchedulerUnavailable(f"qdel {scheduler_id}: {_both(done)}")

    def element_id(self, array_id: str, task: int) -> str:
        """As `qdel` takes a task."""
        return f"{array_id}.{task}"

    def details(self, array_id: str, wanted: Collection[str]) -> dict[str, ListedJob]:
        """What the qmaster knows of an array's elements, and of the others the accounting.

        Raises:
            SchedulerUnavailable: one of them did not answer.
        """
        listed = {id_: job for id_, job in self.list_mine().items() if job.array == array_id}
        if all(element in listed for element in wanted):
            return listed
        return parse_accounting_of_all(self._accounting(array_id), self._user) | listed

    def _accounted(self, scheduler_id: str) -> ListedJob | None:
        return parse_accounting(self._accounting(scheduler_id), scheduler_id, self._user)

    def _accounting(self, scheduler_id: str) -> str:
        """What `qacct` says. A host without the accounting file knows nothing, as an answer."""
        try:
            done = self._queries.ask(["qacct", "-j", scheduler_id])
        except CommandMissing:
            return ""
        said = done.stdout + done.stderr
        if done.code == 0:
            return done.stdout
        if _DENIED.search(said) or _NO_ACCOUNTING.search(said):
            return ""
        raise SchedulerUnavailable(f"qacct -j {scheduler_id}: {_both(done)}")

    def _answer(self, arguments: Sequence[str]) -> str:
        """A listing command's output; `qstat -j` exits with 1 where it knows none of the jobs."""
        done = self._queries.ask(arguments)
        if done.code not in (0, 1) or not done.stdout.strip():
            raise SchedulerUnavailable(f"{' '.join(arguments[:2])}: {_both(done)}")
        return done.stdout


def submit_arguments(submission: Submission, stated: Directives) -> list[str]:
    """The `qsub` command: the site's arguments, then what the user stated in `aws-job.json`.

    Options of the command line win over directives. `-S` is always stated, since the queue's own
    shell (often csh) would otherwise run the wrapper.
    """
    settings = submission.settings
    time_limit, memory = settings.time_limit, settings.resources.memory_mb
    output = _output(submission.scheduler_output)
    array = submission.array
    options: list[tuple[str, str | None]] = [
        ("-N", None if settings.name is None and "-N" in stated.options else _name(submission)),
        ("-wd", None if stated.directory else str(submission.job_dir)),
        ("-o", None if stated.output else output),
        ("-e", None if stated.error else output),
        ("-q", settings.queue),
        ("-P", settings.account),
        ("-l", None if time_limit is None else f"h_rt={max(1, time_limit)}"),
        ("-l", None if memory is None else f"h_vmem={memory}M"),
        ("-t", None if array is None else f"{array.tasks[0]}-{array.tasks[-1]}"),
        ("-tc", None if array is None or array.max_running is None else str(array.max_running)),
    ]
    own = [word for name, value in options if value is not None for word in (name, value)]
    shell = ("-S", "/bin/bash")
    return ["qsub", "-terse", *submission.site_arguments, *own, *shell, str(submission.wrapper)]


def unmapped(submission: Submission, stated: Directives) -> str | None:
    """Why what the user stated cannot be asked of Grid Engine (a sentence), or None."""
    resources = submission.settings.resources
    parallel = "-pe" in stated.options or "-pe" in submission.site_arguments
    for what, number in (("CPUs", resources.cpus), ("nodes", resources.nodes)):
        if number is not None and number > 1 and not parallel:
            return (
                f"{number} {what} were asked for, and Grid Engine needs to know in which parallel "
                "environment of the site: write `#$ -pe NAME SLOTS` into the script"
            )
    if resources.memory_mb is not None and parallel:
        return (
            "memory was asked for beside a parallel environment, and Grid Engine counts memory by "
            "slot: write `#$ -l h_vmem=...` into the script"
        )
    if resources.gpus:
        return (
            f"{resources.gpus} GPUs were asked for, and each site of Grid Engine has its own name "
            "for them: write `#$ -l NAME=...` into the script in place of `gpus`"
        )
    return None


def _submitted_id(done: Completed) -> str:
    scheduler_id = parse_submission(done.stdout)
    if scheduler_id is not None:
        return scheduler_id
    if done.code is None or done.code <= 0:
        raise SubmissionUnknown(f"qsub gave no job id: {_both(done)}")
    raise parse_submission_error(_both(done))


def _both(done: Completed) -> str:
    """What a command said: Grid Engine spreads its messages over both outputs."""
    lines = [line.strip() for line in f"{done.stderr}\n{done.stdout}".splitlines()]
    return done.says if done.timed_out or not any(lines) else " / ".join(filter(None, lines))


def _directives(script: str) -> Directives:
    return read_directives(split_script(script, (PREFIX,), anywhere=True).directives)


def _name(submission: Submission) -> str:
    name = re.sub(r"[^A-Za-z0-9_.+=-]+", "_", submission.settings.name or submission.name)[:200]
    return name if name[:1].isalpha() else f"job_{name}"


def _output(path: Path) -> str:
    """`[HOST]:PATH`, in which a comma would begin another and `$` a variable of Grid Engine's."""
    return f":{path}" if not re.search(r"[,$]", str(path)) else str(_NULL_DEVICE)
