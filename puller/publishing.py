"""Pushes growing logs while a job runs, and its results when it has ended."""

from __future__ import annotations

import logging
from dataclasses import replace

from job_protocol.states import ClientStatus
from puller.confined_tree import ConfinedTree
from puller.errors import UnsafePath
from puller.exit_file import StartRecord, read_records
from puller.job_directory import JobDirectory, control_directory
from puller.journal import Phase, Record
from puller.lifecycle import Lifecycle, told
from puller.live_logs import push_log
from puller.push import ResultTarget, push_results
from puller.results import ResultPlan, plan_results
from puller.staging import StagedIndex
from puller.workplace import Workplace

_LOG = logging.getLogger(__name__)

LOG_INTERVAL = 15.0
"""Seconds between two looks at a running job's logs: each push of one is a request that costs."""

_WORTH_TELLING_BYTES = 64 * 1024 * 1024
_WORTH_TELLING_FILES = 200
_GIVE_UP_UNREADABLE_AFTER = 3600.0


class Publishing:
    """The publication of one installation's allocations."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        """Publish what `lifecycle` holds."""
        self._lifecycle = lifecycle
        self._place: Workplace = lifecycle.place

    def push_growing_logs(self, record: Record) -> Record:
        """Push what is new in the logs of a running job."""
        now = self._place.clock()
        if (
            record.reported is not ClientStatus.RUNNING
            or 0 <= now - record.logs_pushed_at < LOG_INTERVAL
        ):
            return record
        directory = JobDirectory(self._place.settings.jobs_dir, record.allocation.job)
        control = control_directory(self._place.settings.jobs_dir, record.id)
        logs = dict(record.logs)
        for name in _growing_logs(read_records(control.path).start, directory):
            pushed = push_log(
                name,
                logs.get(name),
                site=self._place.settings.site,
                directory=directory,
                bucket=self._place.bucket,
                now=now,
            )
            if pushed is not None:
                logs[name] = pushed
        if logs == record.logs:
            return replace(record, logs_pushed_at=now)
        return self._place.journal.write(replace(record, logs=logs, logs_pushed_at=now))

    def publish(self, record: Record) -> Record | None:
        """Push the results of an allocation that has ended, then write its end."""
        if record.end is None or record.scheduler_id is None:
            return self._lifecycle.write_end(record, None)
        settings = self._place.settings
        directory = JobDirectory(settings.jobs_dir, record.allocation.job)
        control = control_directory(settings.jobs_dir, record.id)
        if directory.owner() not in (record.id, None):
            _LOG.error("%s: its directory belongs to another run; nothing is pushed", told(record))
            return self._lifecycle.write_end(record, None)
        plan = plan_results(directory, _staged_index(record, control), record.allocation.settings)
        current = self._confirm(record, plan)
        if current is None or current.phase is Phase.FENCED:
            return current
        now = self._place.clock()
        summary = push_results(
            plan,
            ResultTarget(
                site=settings.site,
                allocation_id=current.id,
                directory=directory,
                control=control,
                bucket=self._place.bucket,
            ),
            now=now,
            logs=current.logs,
            give_up_unreadable=now - record.end.time > _GIVE_UP_UNREADABLE_AFTER,
        )
        return self._lifecycle.write_end(current, summary)

    def _confirm(self, record: Record, plan: ResultPlan) -> Record | None:
        """Make sure that the claim is still ours before anything is pushed.

        A long push says `publishing`, which is itself a conditional write; a short one only looks.
        """
        size = sum(file.state.size for file in plan.files)
        if size >= _WORTH_TELLING_BYTES or len(plan.files) >= _WORTH_TELLING_FILES:
            return self._lifecycle.report(record, ClientStatus.PUBLISHING, None)
        return self._lifecycle.still_ours(record)


def _growing_logs(start: StartRecord | None, directory: JobDirectory) -> list[str]:
    """The files in the job directory that the script's outputs grow in."""
    if start is None:
        return []
    return [
        str(file.relative_to(directory.path))
        for file in dict.fromkeys((start.stdout, start.stderr))
        if file is not None and file.is_relative_to(directory.path)
    ]


def _staged_index(record: Record, control: ConfinedTree) -> StagedIndex:
    try:
        return StagedIndex.load(control)
    except (OSError, UnsafePath) as error:
        _LOG.warning(
            "%s: the list of its inputs cannot be read (%s); they are pushed as results",
            told(record),
            error,
        )
        return StagedIndex.of({})
