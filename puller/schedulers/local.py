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
from collections.abc import Iterator
from pathlib import Path

from puller.errors import SchedulerUnavailable, SubmissionUnknown
from puller.schedulers.interface import (
    DeclaredPlaces,
    EndReason,
    ListedJob,
    SchedulerState,
    Submission,
)
from puller.schedulers.local_processes import LocalProcess, own_processes
from puller.schedulers.runner import DEFAULT_TIMEOUT, Run, run_command

END_NAME = "local-end"
"""The supervisor's record, in the control directory."""

KILL_GRACE = 5
"""Seconds between TERM and KILL, as Nomad's `kill_timeout`."""

SUPERVISOR_NAME = "jobferry-local"

_SUPERVISOR = r"""
_jf_wrapper=$1 _jf_record=$2 _jf_output=$3 _jf_limit=$4 _jf_grace=$5 _jf_descriptors=$6
shift 6
_jf_why=exited _jf_job=
_jf_cancel() { _jf_why=cancelled; [ -z "$_jf_job" ] || kill -TERM "$_jf_job" 2>/dev/null; }
trap _jf_cancel TERM
trap : INT HUP QUIT

IFS= read -r _jf_stat </proc/$$/stat
_jf_stat=(${_jf_stat##*) })
IFS= read -r _jf_boot </proc/sys/kernel/random/boot_id
_jf_id=$$.${_jf_stat[19]}.${_jf_boot:0:8}

exec 3>&1 </dev/null >>"$_jf_output" 2>&1 || exit 71
printf '%s\n' "$_jf_id" >&3
exec 3>&-
for _jf_fd in $_jf_descriptors; do exec {_jf_fd}>&-; done

_jf_begun=$SECONDS
( trap : INT QUIT
  exec timeout --kill-after="$_jf_grace" "$_jf_limit" \
    env "$@" JOBFERRY_LOCAL_ID="$_jf_id" /bin/bash -- "$_jf_wrapper" ) &
_jf_job=$!
[ "$_jf_why" = exited ] || kill -TERM "$_jf_job"
_jf_code=
while kill -0 "$_jf_job" 2>/dev/null; do wait "$_jf_job"; _jf_code=$?; done
kill -KILL -- "-$_jf_job" 2>/dev/null

case $_jf_why/$_jf_code in
  exited/124 | exited/137)
    if [ "$_jf_limit" -gt 0 ] && [ $((SECONDS - _jf_begun)) -ge "$_jf_limit" ]; then
      _jf_why=timeout
    fi ;;
esac
printf '%s\n' "id=$_jf_id" "why=$_jf_why" "code=$_jf_code" end >"$_jf_record.tmp" &&
  command -p mv -f -- "$_jf_record.tmp" "$_jf_record"
"""
"""Runs `timeout`, which makes a process group of its own, so that its KILL spares this shell."""

_BASH_VARIABLES = ("BASH_ENV", "BASHOPTS", "SHELLOPTS")
"""Variables of the user's that are meant for the job's shells and would disturb the supervisor."""

_ID = re.compile(r"[0-9]+\.[0-9]+\.[0-9a-f]{8}")

_ENDS = {"timeout": EndReason.TIMEOUT, "cancelled": EndReason.CANCELLED, "exited": None}


class Local:
    """Jobs as processes of this machine. There is no queue: a job starts at once.

    Args:
        control_root: where the allocations' control directories are.
        timeout: seconds that starting a job may take.
        run: runs a command.
        proc: the mounted /proc.
    """

    name = "local"
    directive_prefixes: tuple[str, ...] = ()

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
            [
                *("setsid", "/bin/bash", "-c", _SUPERVISOR, SUPERVISOR_NAME),
                str(submission.wrapper),
                str(submission.wrapper.parent / END_NAME),
                str(submission.scheduler_output),
                str(submission.settings.time_limit or 0),
                str(KILL_GRACE),
                " ".join(str(descriptor) for descriptor in submission.keep_open),
                *for_job,
            ],
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
        """The live jobs of this user on this machine."""
        return {process.job_id: self._listed(process) for process in self._processes()}

    def detail(self, scheduler_id: str) -> ListedJob | None:
        """A live job, or the supervisor's record of one that has ended."""
        return self.list_mine().get(scheduler_id) or self._recorded(scheduler_id)

    def cancel(self, scheduler_id: str) -> None:
        """TERM now, KILL after the grace; does not wait for either."""
        mine = [process for process in self._processes() if process.job_id == scheduler_id]
        supervisors = [process.pid for process in mine if process.supervises]
        with contextlib.suppress(ProcessLookupError):
            for pid in supervisors:
                os.kill(pid, signal.SIGTERM)
            for group in {process.group for process in mine if not supervisors}:
                os.killpg(group, signal.SIGTERM)

    def _processes(self) -> Iterator[LocalProcess]:
        """The processes that stand for a job; supervisors last, so that they win."""
        try:
            found = list(own_processes(self._proc, SUPERVISOR_NAME, self._control_root))
        except OSError as error:
            raise SchedulerUnavailable(f"cannot read {self._proc}: {error}") from error
        return iter(sorted(found, key=lambda process: process.supervises))

    def _listed(self, process: LocalProcess) -> ListedJob:
        return ListedJob(
            id=process.job_id,
            state=SchedulerState.RUNNING,
            words="RUNNING",
            identity=process.wrapper,
            submitted_at=int(process.started),
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


def parse_end(record: str, scheduler_id: str) -> ListedJob | None:
    """The supervisor's record of one job's end; None if it is cut or another job's."""
    lines = record.split("\n")
    values = dict(line.partition("=")[::2] for line in lines)
    why = values.get("why")
    if lines[-2:] != ["end", ""] or values.get("id") != scheduler_id or why not in _ENDS:
        return None
    code = values.get("code", "")
    known = why == "exited" and code.isascii() and code.isdigit()
    return ListedJob(
        id=scheduler_id,
        state=SchedulerState.ENDED,
        words=why.upper(),
        end=_ENDS[why],
        exit_code=int(code) if known else None,
    )
