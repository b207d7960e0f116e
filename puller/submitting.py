"""Hands a staged allocation to the scheduler: at most once, whatever happens in between."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path

from job_protocol import object_keys
from job_protocol.states import ClientStatus
from job_protocol.sweep import SweepError
from puller.array_state import tasks_of
from puller.bringing import Bringing
from puller.cloud.written import Written
from puller.errors import (
    NotNow,
    Refused,
    SchedulerError,
    SchedulerUnavailable,
    StagingError,
    SubmissionDeferred,
    SubmissionRefused,
    SubmissionUnknown,
)
from puller.exit_file import read_records
from puller.job_directory import JobDirectory, control_directory
from puller.journal import Phase, Record, told
from puller.lifecycle import Lifecycle
from puller.lock import inheritable_lock
from puller.schedulers.array_tasks import ArrayTasks
from puller.schedulers.interface import Submission
from puller.sweep_values import leave_values
from puller.workplace import Workplace
from puller.wrapper import MAX_SCRIPT, render_wrapper, split_script

_LOG = logging.getLogger(__name__)

_DEFER_SECONDS = 60
_KILL_SWITCH_THROWN = "the site's administrator has stopped submissions"

WRAPPER = "wrapper.sh"
SCHEDULER_OUTPUT = "scheduler.out"


class Submitting:
    """The submission of one installation's allocations."""

    def __init__(self, lifecycle: Lifecycle, bringing: Bringing) -> None:
        """Submit what `bringing` has staged."""
        self._lifecycle = lifecycle
        self._bringing = bringing
        self._place: Workplace = lifecycle.place

    def submit(self, record: Record) -> Record | None:
        """Submit a staged allocation."""
        if not self._place.may_submit():
            return self._lifecycle.report(record, ClientStatus.STARTING, _KILL_SWITCH_THROWN)
        ready, current = self._make_ready(record)
        if not ready or current is None:
            return current
        record = current
        directory = JobDirectory(self._place.settings.jobs_dir, record.allocation.job)
        script = directory.tree.read(object_keys.SCRIPT, MAX_SCRIPT).decode(
            errors="surrogateescape"
        )
        problem = self._place.scheduler.script_problem(script)
        if problem is not None:
            return self._lifecycle.end_unsubmitted(record, ClientStatus.FAILED, problem)
        try:
            self._write_wrapper(record, directory, script)
        except SweepError as error:
            return self._lifecycle.end_unsubmitted(record, ClientStatus.FAILED, str(error))
        written = self._place.queue.begin_submission(record.id, record.token)
        if written is not Written.DONE:
            return self._lifecycle.after(record, written)
        record = self._place.journal.write(
            replace(record, phase=Phase.SUBMITTING, submitting_at=self._place.clock())
        )
        try:
            called = self._call_scheduler(record, directory)
        except SubmissionDeferred as error:
            deferred = replace(record, phase=Phase.DEFERRED, deferred=str(error))
            return self.let_go(self._place.journal.write(deferred))
        return self._after_call(record, called)

    def _make_ready(self, record: Record) -> tuple[bool, Record | None]:
        """Let the site's policy judge a staged allocation, then bring its artifacts.

        Returns:
            Whether it can be submitted now, and the record as it then stands.
        """
        try:
            record = self._lifecycle.guard.admit(record)
        except Refused as refusal:
            _LOG.warning("%s: %s", told(record), refusal)
            job = record.allocation.job
            self._lifecycle.audit.write(
                "refused", job=job, allocation=record.id, reason=str(refusal)
            )
            failed = ClientStatus.FAILED
            return False, self._lifecycle.end_unsubmitted(
                record, failed, str(refusal), refused=True
            )
        except NotNow as waits:
            _LOG.warning("%s: %s", told(record), waits)
            return False, self._lifecycle.report(record, ClientStatus.STARTING, str(waits))
        try:
            brought = self._bringing.bring_artifacts(record)
        except StagingError as waits:
            if str(waits) != record.reported_reason:  # each pass meets what lasts again
                _LOG.warning("%s: %s", told(record), waits)
            return False, self._lifecycle.report(record, record.reported, str(waits))
        return brought is not None and brought.phase is Phase.STAGING, brought

    def recover(self, record: Record) -> Record | None:
        """Find out what became of a submission whose end this installation did not see.

        The job's own start file or the scheduler's listing may know it. Only when neither does,
        when no orphan of the submission is alive, and after a while, is it submitted again; the
        wrapper's `once` file makes sure that even then the script runs once.
        """
        scheduler_id = self._known_id(record)
        if scheduler_id is not None:
            return self.submitted(record, scheduler_id)
        now = self._place.clock()
        age = now - (record.submitting_at or 0.0)
        if age < 0:  # the clock was set back: the wait begins anew
            return self._place.journal.write(replace(record, submitting_at=now))
        if age < self._place.settings.resubmit_after:
            return record
        if not self._place.may_submit():
            return self._lifecycle.report(record, ClientStatus.STARTING, _KILL_SWITCH_THROWN)
        if (problem := self._lifecycle.guard.problem()) is not None:
            return self._lifecycle.report(record, ClientStatus.STARTING, problem)
        _LOG.warning("%s: no trace of its submission; submitting it", told(record))
        directory = JobDirectory(self._place.settings.jobs_dir, record.allocation.job)
        written = self._place.queue.begin_submission(record.id, record.token)
        if written is not Written.DONE:
            return self._lifecycle.after(record, written)
        record = self._place.journal.write(replace(record, submitting_at=now))
        try:
            called = self._call_scheduler(record, directory)
        except SubmissionDeferred as error:
            # The claim stays: the first submission may yet turn up, and nobody else may submit.
            return self._lifecycle.report(record, ClientStatus.STARTING, str(error))
        return self._after_call(record, called)

    def let_go(self, record: Record) -> Record | None:
        """Give the claim back: the queue is full, which is no failure of the job.

        It is repeated until it is known to have got through; whatever else the table then says of
        the allocation is not this site's affair any more.
        """
        reason = record.deferred or "the scheduler has no room"
        self._lifecycle.guard.take_back(record)
        written = self._place.queue.let_go(
            record.allocation,
            record.token,
            obs=record.obs + 1,
            reason=reason,
            not_before=int(self._place.clock()) + _DEFER_SECONDS,
        )
        if written not in (Written.DONE, Written.FENCED):
            return self._lifecycle.after(record, written)
        _LOG.info("%s: waits: %s", told(record), reason)
        self._place.journal.forget(record)
        return None

    def _known_id(self, record: Record) -> str | None:
        """The scheduler's id of a submission, if a trace of it is found.

        Raises:
            HeldElsewhere: a submitting process is still alive.
            SchedulerUnavailable: the scheduler does not answer.
        """
        with inheritable_lock(self._place.submission_lock(record.id)):
            listed = self._place.scheduler.list_mine()
        control = control_directory(self._place.settings.jobs_dir, record.id)
        records = read_records(control.path)
        if records.owner is not None:
            return records.owner
        identity = self._place.scheduler.identity_of(control.path / WRAPPER)
        return next((job.submission for job in listed.values() if job.identity == identity), None)

    def submitted(self, record: Record, scheduler_id: str) -> Record | None:
        """Remember and report the scheduler's id."""
        now = self._place.clock()
        record = self._place.journal.write(
            replace(record, phase=Phase.SUBMITTED, scheduler_id=scheduler_id, submitted_at=now)
        )
        scheduler = self._place.scheduler.name
        _LOG.info("%s: submitted to %s as %s", told(record), scheduler, scheduler_id)
        self._lifecycle.audit.write(
            "submitted",
            job=record.allocation.job,
            allocation=record.id,
            scheduler=scheduler,
            scheduler_id=scheduler_id,
            signer=record.signer,
        )
        return self._lifecycle.report(record, ClientStatus.QUEUED, None, since=now)

    def _call_scheduler(self, record: Record, directory: JobDirectory) -> str | SchedulerError:
        """The scheduler's id of the submission, or why there is none.

        Raises:
            SubmissionDeferred: the scheduler has no room.
        """
        control = control_directory(self._place.settings.jobs_dir, record.id).path
        try:
            with inheritable_lock(self._place.submission_lock(record.id)) as descriptor:
                return self._place.scheduler.submit(
                    self._submission(record, directory, control, descriptor)
                )
        except (SubmissionRefused, SubmissionUnknown, SchedulerUnavailable) as error:
            return error

    def _after_call(self, record: Record, called: str | SchedulerError) -> Record | None:
        if isinstance(called, SubmissionRefused):
            return self._lifecycle.end_unsubmitted(record, ClientStatus.FAILED, str(called))
        if isinstance(called, SchedulerError):
            _LOG.warning("%s: %s", told(record), called)
            return record
        return self.submitted(record, called)

    def _submission(
        self, record: Record, directory: JobDirectory, control: Path, descriptor: int
    ) -> Submission:
        allocation = record.allocation
        return Submission(
            name=allocation.settings.name or scheduler_name(allocation.job),
            job_dir=directory.path,
            wrapper=control / WRAPPER,
            scheduler_output=control / SCHEDULER_OUTPUT,
            settings=allocation.settings,
            environment=self._lifecycle.guard.handed_on(self._place.login_environment()),
            site_arguments=self._place.settings.submit_args,
            keep_open=(descriptor,),
            array=self._array(record),
        )

    def _array(self, record: Record) -> ArrayTasks | None:
        return tasks_of(record.allocation, self._place.scheduler.task_numbers)

    def _write_wrapper(self, record: Record, directory: JobDirectory, script: str) -> None:
        control = control_directory(self._place.settings.jobs_dir, record.id)
        scheduler = self._place.scheduler
        declared = scheduler.declared_places(script)
        text = render_wrapper(
            split_script(
                script,
                scheduler.directive_prefixes,
                anywhere=declared.anywhere,
                shell=declared.shell,
            ),
            scheduler=scheduler.name,
            job_dir=directory.path,
            control_dir=control.path,
            redirect_stdout=not declared.stdout,
            redirect_stderr=not declared.stderr,
            enter_job_dir=not declared.directory,
            umask=self._place.settings.job_umask,
            array=self._array(record),
            sweep=leave_values(record.allocation, directory.tree, control),
        )
        control.write(WRAPPER, text.encode(errors="surrogateescape"), mode=0o700)


def scheduler_name(job_id: str) -> str:
    """A job id as a job's name at a scheduler: ASCII letters, digits, `_`, `.` and `-`."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", job_id).strip("._-")[-63:]
    return name if name and not name[0].isdigit() else f"job_{name}"[:63]
