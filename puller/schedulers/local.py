"""A job as a detached process of this machine: the scheduler where there is no scheduler.

A job is looked after by a supervisor, a small bash of its own session, which outlives the puller:
it enforces the time limit, passes a cancellation on, ends what the job leaves running, and writes
down why the job ended. What is live is read from /proc alone. The id is made of the supervisor's
pid, its start time and the machine's boot, so that neither a recycled pid nor a reboot can be
mistaken for the job.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from job_protocol.elements import ranges
from puller.errors import SchedulerUnavailable, SubmissionUnknown
from puller.schedulers.array_tasks import TaskNumbers
from puller.schedulers.interface import (
    DeclaredPlaces,
    EndReason,
    ListedJob,
    SchedulerState,
    Submission,
)
from puller.schedulers.local_arrays import (
    DRIVER,
    DRIVER_NAME,
    END_NAME,
    at_once,
    end_records,
    waiting_tasks,
)
from puller.schedulers.local_processes import TASKS_ARGUMENT, LocalProcess, own_processes
from puller.schedulers.local_supervisor import KILL_GRACE, SUPERVISOR, SUPERVISOR_NAME
from puller.schedulers.runner import DEFAULT_TIMEOUT, Run, run_command

_BASH_VARIABLES = ("BASH_ENV", "BASHOPTS", "SHELLOPTS")
"""Variables of the user's that are meant for the job's shells and would disturb the supervisor."""

_ID = re.compile(r"[0-9]+\.[0-9]+\.[0-9a-f]{8}")

_ENDS = {"timeout": EndReason.TIMEOUT, "cancelled": EndReason.CANCELLED, "exited": None}


class Local:
    """Jobs as processes of this machine. There is no queue: a job starts at once.

    Of an array, as many elements run at once as `max_running` says, else as there are CPUs.

    Args:
        control_root: where the allocations' control directories are.
        timeout: seconds that starting a job may take.
        run: runs a command.
        proc: the mounted /proc.
    """

    name = "local"
    directive_prefixes: tuple[str, ...] = ()
    gives_estimates = False
    task_numbers = TaskNumbers(first=0, any_list=True)

    def __init__(
        self,
        control_root: Path,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        run: Run = run_command,
        proc: Path = Path("/proc"),
    ) -> None:
        self._control_root = control_root
        self._timeout = timeout
        self._run = run
        self._proc = proc

    def script_problem(self, script: str) -> str | None:
        """Why this script cannot run here (a sentence), or None."""
        if script.partition("\n")[0].endswith("\r"):
            return (
                "the script has Windows line ends (CRLF), so that its interpreter is not found: "
                "use `dos2unix`"
            )
        return None

    def declared_places(self, script: str) -> DeclaredPlaces:  # noqa: ARG002 - the interface's
        """Nothing: there are no directives."""
        return DeclaredPlaces()

    def identity_of(self, wrapper: Path) -> str:
        """The wrapper's path, as the job's processes show it."""
        return str(wrapper)

    def submit(self, submission: Submission) -> str:
        """Start the job, detached from this process.

        Raises:
            SchedulerUnavailable: it cannot be started.
            SubmissionUnknown: its supervisor did not tell its id.
        """
        environment = dict(submission.environment)
        for_job = [
            f"{name}={environment.pop(name)}" for name in _BASH_VARIABLES if name in environment
        ]
        done = self._run(
            ["setsid", "/bin/bash", "-c", *_words(submission), *for_job],
            environment=environment,
            timeout=self._timeout,
            directory=submission.job_dir,
            pass_fds=submission.keep_open,
            own_locale=True,
        )
        scheduler_id = done.stdout.strip()
        if not _ID.fullmatch(scheduler_id):
            raise SubmissionUnknown(f"the job's supervisor gave no id: {done.says}")
        return scheduler_id

    def list_mine(self) -> dict[str, ListedJob]:
        """The live jobs of this user on this machine, and the elements that wait for their turn."""
        jobs: dict[str, ListedJob] = {}
        for process in self._processes():
            if process.tasks:
                jobs = self._waiting(process) | jobs
            else:
                job = self._listed(process)
                jobs[job.id] = job
        return jobs

    def detail(self, scheduler_id: str) -> ListedJob | None:
        """A live job, or the supervisor's record of one that has ended."""
        return self.list_mine().get(scheduler_id) or self._recorded(scheduler_id)

    def cancel(self, scheduler_id: str) -> None:
        """TERM now, KILL after the grace; does not wait for either."""
        mine = [p for p in self._processes() if scheduler_id in (p.job_id, _element_id(p))]
        if not mine:  # of an array whose driver was killed
            mine = [process for process in self._processes() if process.array == scheduler_id]
        supervisors = [process.pid for process in mine if process.supervises]
        with contextlib.suppress(ProcessLookupError):
            for pid in supervisors:
                os.kill(pid, signal.SIGTERM)
            for group in {process.group for process in mine if not supervisors}:
                os.killpg(group, signal.SIGTERM)

    def element_id(self, array_id: str, task: int) -> str:
        """The array's id and the task's number."""
        return f"{array_id}.{task}"

    def details(self, array_id: str, wanted: Collection[str]) -> dict[str, ListedJob]:
        """Live elements, and the records of those that have ended or will never begin."""
        listed = {id_: job for id_, job in self.list_mine().items() if job.array == array_id}
        tasks = {id_: int(id_.rpartition(".")[2]) for id_ in wanted if id_ not in listed}
        try:
            records = dict(end_records(self._control_root, array_id, sorted(tasks.values())))
        except OSError as error:
            raise SchedulerUnavailable(f"cannot read {self._control_root}: {error}") from error
        return _ended(array_id, tasks, records) | listed

    def _waiting(self, driver: LocalProcess) -> dict[str, ListedJob]:
        try:
            tasks = waiting_tasks(driver)
        except OSError as error:
            raise SchedulerUnavailable(f"cannot read the array {driver.job_id}: {error}") from error
        waiting = {self.element_id(driver.job_id, task): task for task in tasks}
        return {
            id_: ListedJob(
                id=id_,
                state=SchedulerState.QUEUED,
                words="WAITING",
                identity=driver.wrapper,
                submitted_at=int(driver.started),
                array=driver.job_id,
            )
            for id_ in waiting
        }

    def _processes(self) -> Iterator[LocalProcess]:
        """The processes that stand for a job; supervisors last, so that they win."""
        try:
            names = (SUPERVISOR_NAME, DRIVER_NAME)
            found = list(own_processes(self._proc, *names, self._control_root))
        except OSError as error:
            raise SchedulerUnavailable(f"cannot read {self._proc}: {error}") from error
        return iter(sorted(found, key=lambda process: process.supervises))

    def _listed(self, process: LocalProcess) -> ListedJob:
        return ListedJob(
            id=_element_id(process) or process.job_id,
            state=SchedulerState.RUNNING,
            words="RUNNING",
            identity=process.wrapper,
            submitted_at=int(process.started),
            array=process.array,
        )

    def _recorded(self, scheduler_id: str) -> ListedJob | None:
        try:
            control_dirs = [entry.path for entry in os.scandir(self._control_root)]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SchedulerUnavailable(f"cannot read {self._control_root}: {error}") from error
        for control_dir in control_dirs:
            with contextlib.suppress(OSError):
                record = Path(control_dir, END_NAME).read_text("utf-8", "replace")
                if (job := parse_end(record, scheduler_id)) is not None:
                    return job
        return None


def _words(submission: Submission) -> list[str]:
    """The words that follow `bash -c`: a supervisor, or the driver of an array."""
    control = submission.wrapper.parent
    common = [
        str(submission.scheduler_output),
        str(submission.settings.time_limit or 0),
        str(KILL_GRACE),
        " ".join(str(descriptor) for descriptor in submission.keep_open),
    ]
    wrapper, array = str(submission.wrapper), submission.array
    if array is None:
        return [SUPERVISOR, SUPERVISOR_NAME, wrapper, str(control / END_NAME), *common]
    tasks = f"{TASKS_ARGUMENT}{ranges(array.tasks)}"
    own = [SUPERVISOR, SUPERVISOR_NAME, str(at_once(array)), tasks]
    return [DRIVER, DRIVER_NAME, wrapper, str(control), *common, *own]


def _element_id(process: LocalProcess) -> str | None:
    return None if process.array is None else f"{process.array}.{process.task}"


def _ended(
    array_id: str, wanted: Mapping[str, int], records: Mapping[int | None, str]
) -> dict[str, ListedJob]:
    """The elements that have ended; of a cancelled array also those that never began."""
    found: dict[str, ListedJob] = {}
    driver = parse_end(records.get(None, ""), array_id)
    for element, task in wanted.items():
        record = records.get(task, "")
        job = parse_end(record, None) if record else driver
        if job is not None and (record or job.end is EndReason.CANCELLED):
            found[element] = replace(job, id=element, array=array_id)
    return found


def parse_end(record: str, scheduler_id: str | None) -> ListedJob | None:
    """The supervisor's record of one job's end; None if it is cut or another job's.

    Args:
        record: its content.
        scheduler_id: whose it must be; None where the file's place has told that.
    """
    lines = record.split("\n")
    values = dict(line.partition("=")[::2] for line in lines)
    why = values.get("why")
    others = scheduler_id not in (None, values.get("id"))
    if lines[-2:] != ["end", ""] or others or why not in _ENDS:
        return None
    code = values.get("code", "")
    known = why == "exited" and code.isascii() and code.isdigit()
    return ListedJob(
        id=values.get("id", ""),
        state=SchedulerState.ENDED,
        words=why.upper(),
        end=_ENDS[why],
        exit_code=int(code) if known else None,
    )
