"""Submits a one-minute job to the scheduler, outside the cloud, and looks at what comes back."""

from __future__ import annotations

import os
import pwd
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress

from job_protocol.job_settings import JobSettings
from job_protocol.object_keys import SCRIPT, SITE_CONTROL_DIR
from puller.administration.finding import Finding, fail, ok, warn
from puller.confined_tree import ConfinedTree
from puller.errors import PullerError, SchedulerError
from puller.exit_file import ExitRecord, read_records
from puller.job_directory import control_directory
from puller.login_environment import login_environment
from puller.schedulers.choose import choose_scheduler
from puller.schedulers.interface import ListedJob, Scheduler, SchedulerState, Submission
from puller.settings import Settings
from puller.start import scheduler_environment
from puller.submitting import SCHEDULER_OUTPUT, WRAPPER
from puller.wrapper import render_wrapper, split_script

_SCRIPT_TEXT = """\
#!/bin/bash
cat token.txt > answer.txt
if type module > /dev/null 2>&1; then echo module >> answer.txt; fi
"""
_LOOK_SECONDS = 1.0
_FIRST_ASK_SECONDS = 2.0
_ASK_SECONDS = 10.0
_END_GRACE = 130.0
"""Seconds for which a file server may hide a file that a compute node has written."""


def probe(settings: Settings, environment: Mapping[str, str], seconds: float) -> Iterator[Finding]:
    """Run the job, tell what came back, and remove every trace of it.

    Args:
        settings: the site's settings.
        environment: the process's environment.
        seconds: how long to wait for the job's end.
    """
    one = _Probe(settings, environment)
    try:
        yield from one.run(seconds)
    finally:
        one.clean_up()


class _Probe:
    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._id = str(uuid.uuid4())
        self._token = uuid.uuid4().hex
        control_root = settings.jobs_dir / SITE_CONTROL_DIR / "alloc"
        self._control = control_root / self._id
        self._job_dir = settings.jobs_dir / SITE_CONTROL_DIR / "probe" / self._id
        self._scheduler: Scheduler = choose_scheduler(
            settings.scheduler,
            environment=scheduler_environment(settings, environment),
            control_root=control_root,
            timeout=settings.command_timeout,
        )
        self._job: str | None = None
        self._ended = False
        self._words = "not listed yet"

    def run(self, seconds: float) -> Iterator[Finding]:
        began = time.monotonic()
        try:
            self._job = self._submit()
        except (PullerError, OSError) as error:
            yield fail(
                "probe",
                f"a one-minute job cannot be submitted: {error}",
                "set submit_args to what your centre demands of every job "
                "(account, partition, resources)",
            )
            return
        record = self._wait(began + seconds)
        took = time.monotonic() - began
        if record is None:
            yield self._silent(took)
            return
        self._ended = True
        yield ok("probe", f"job {self._job} ran on {record.host}, {took:.0f} s from end to end")
        yield from self._answer(record)

    def _submit(self) -> str:
        self._settings.jobs_dir.mkdir(parents=True, exist_ok=True)
        control = control_directory(self._settings.jobs_dir, self._id)
        directory = ConfinedTree(
            self._settings.jobs_dir, str(self._job_dir.relative_to(self._settings.jobs_dir))
        )
        with directory.folder(create=True):
            directory.write(SCRIPT, _SCRIPT_TEXT.encode(), mode=0o700)
            directory.write("token.txt", f"{self._token}\n".encode())
        scheduler = self._scheduler
        declared = scheduler.declared_places(_SCRIPT_TEXT)
        text = render_wrapper(
            split_script(
                _SCRIPT_TEXT,
                scheduler.directive_prefixes,
                anywhere=declared.anywhere,
                shell=declared.shell,
            ),
            scheduler=scheduler.name,
            job_dir=self._job_dir,
            control_dir=control.path,
        )
        control.write(WRAPPER, text.encode(errors="surrogateescape"), mode=0o700)
        return scheduler.submit(
            Submission(
                name="jobferry-probe",
                job_dir=self._job_dir,
                wrapper=control.path / WRAPPER,
                scheduler_output=control.path / SCHEDULER_OUTPUT,
                settings=JobSettings(time_limit=60),
                environment=_login_environment(),
                site_arguments=self._settings.submit_args,
            )
        )

    def _wait(self, deadline: float) -> ExitRecord | None:
        """The exit record; None if it did not come, in time or at all."""
        ask_at = time.monotonic() + _FIRST_ASK_SECONDS
        ended_at: float | None = None
        while time.monotonic() < deadline:
            if (record := read_records(self._control).exit) is not None:
                return record
            now = time.monotonic()
            if now >= ask_at and ended_at is None:
                ask_at = now + _ASK_SECONDS
                job = self._detail()
                if job is not None:
                    self._words = job.words
                if job is not None and job.state is SchedulerState.ENDED:
                    ended_at = now
            if ended_at is not None and now - ended_at > _END_GRACE:
                self._ended = True
                return None
            time.sleep(_LOOK_SECONDS)
        self._ended = ended_at is not None
        return None

    def _detail(self) -> ListedJob | None:
        try:
            return self._scheduler.detail(self._job or "")
        except SchedulerError as error:
            self._words = str(error)
            return None

    def _silent(self, took: float) -> Finding:
        if not self._ended:
            return warn(
                "probe",
                f"job {self._job} has not ended within {took:.0f} s (the scheduler says: "
                f"{self._words}); it is cancelled",
                "wait longer (--probe-seconds 3600), or name a faster queue in submit_args",
            )
        said = ""
        with suppress(OSError):
            output = (self._control / SCHEDULER_OUTPUT).read_text(errors="replace")
            said = f"; its output: {output[-500:].strip()}" if output.strip() else ""
        return fail(
            "probe",
            f"job {self._job} has ended (the scheduler says: {self._words}), and its exit file "
            f"did not come back{said}",
            f"compute nodes must see and write {self._settings.jobs_dir}: set jobs_dir to a "
            "directory on a file system that they share with this host",
        )

    def _answer(self, record: ExitRecord) -> Iterator[Finding]:
        try:
            lines = (self._job_dir / "answer.txt").read_text(errors="replace").splitlines()
        except OSError as error:
            lines = [str(error)]
        if record.code != 0 or not lines or lines[0] != self._token:
            said = " ".join(lines)[:500]
            yield fail(
                "probe: jobs_dir",
                f"the job on {record.host} ended with {record.code} and did not read what this "
                f"host had written: {said}",
                f"set jobs_dir to a directory that {record.host} shares with this host",
            )
            return
        yield ok("probe: jobs_dir", f"{record.host} reads and writes {self._settings.jobs_dir}")
        module = "`module` works" if "module" in lines[1:] else "there is no `module`"
        yield ok("probe: module", f"{module} in a job")

    def clean_up(self) -> None:
        if self._job is not None and not self._ended:
            with suppress(SchedulerError):
                self._scheduler.cancel(self._job)
                self._wait_until_gone()
        for folder in (self._job_dir, self._control):
            shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            self._job_dir.parent.rmdir()

    def _wait_until_gone(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            job = self._scheduler.detail(self._job or "")
            if job is None or job.state is SchedulerState.ENDED:
                return
            time.sleep(_LOOK_SECONDS)


def _login_environment() -> dict[str, str]:
    account = pwd.getpwuid(os.getuid())
    return login_environment(account, without=("AWS_*", "JOBFERRY_PULLER_*"))
