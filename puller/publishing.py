"""Pushes growing logs while a job runs, and its results when it has ended."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from job_protocol.allocation import ResultSummary
from job_protocol.elements import ElementState
from job_protocol.manifest import Manifest, ManifestError
from job_protocol.states import ClientStatus
from puller.array_state import state_of
from puller.array_wrapper import element_dir
from puller.bringing import Bringing
from puller.bucket import VersionGone
from puller.confined_tree import ConfinedTree
from puller.continuing import known_files
from puller.errors import UnsafePath
from puller.exit_file import StartRecord, read_records
from puller.file_record import NO_STATE, FileState
from puller.growing_files import growing_files
from puller.job_directory import JobDirectory, control_directory
from puller.journal import Phase, Record, told
from puller.lifecycle import Lifecycle
from puller.live_logs import push_log
from puller.push import ResultTarget, push_results, pushed
from puller.results import ResultPlan, plan_results
from puller.staging import StagedIndex
from puller.workplace import Workplace

_LOG = logging.getLogger(__name__)

LOG_INTERVAL = 15.0
"""Seconds between two looks at a running job's logs: each push of one is a request that costs."""

LIVE_ELEMENTS = 4
"""Of how many elements of an array logs are pushed while they run; all of them at the end."""

_WORTH_TELLING_BYTES = 64 * 1024 * 1024
_WORTH_TELLING_FILES = 200
_GIVE_UP_UNREADABLE_AFTER = 3600.0


class Publishing:
    """The publication of one installation's allocations."""

    def __init__(self, lifecycle: Lifecycle, bringing: Bringing) -> None:
        """Publish what `lifecycle` holds."""
        self._lifecycle = lifecycle
        self._bringing = bringing
        self._place: Workplace = lifecycle.place

    def push_growing_logs(self, record: Record) -> Record:
        """Push what is new in the logs of a running job."""
        now = self._place.clock()
        if (
            record.reported is not ClientStatus.RUNNING
            or 0 <= now - record.logs_pushed_at < LOG_INTERVAL
        ):
            return record
        if self._lifecycle.guard.why_results_wait() is not None:
            return record
        directory = JobDirectory(self._place.settings.jobs_dir, record.allocation.job)
        control = control_directory(self._place.settings.jobs_dir, record.id)
        logs = dict(record.logs)
        names = [
            name
            for place in _record_places(record, control.path)
            for name in _growing_logs(read_records(place).start, directory)
        ]
        patterns = record.allocation.settings.logs
        names += [path for path in growing_files(directory.tree, patterns) if path not in names]
        if record.elements is not None:  # of ended elements nothing is kept: they may be thousands
            logs = {name: pushed for name, pushed in logs.items() if name in names}
        for name in names:
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
        if (waits := self._lifecycle.guard.why_results_wait()) is not None:
            return self._lifecycle.report(record, ClientStatus.PUBLISHING, waits)
        settings = self._place.settings
        directory = JobDirectory(settings.jobs_dir, record.allocation.job)
        control = control_directory(settings.jobs_dir, record.id)
        if directory.owner() not in (record.id, None):
            _LOG.error("%s: its directory belongs to another run; nothing is pushed", told(record))
            return self._lifecycle.write_end(record, None)
        staged = self._staged(record, directory, control)
        plan = plan_results(directory, staged, record.allocation.settings)
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
        self._lifecycle.guard.note_left(current, summary.size)
        self._audit(current, control, summary)
        return self._lifecycle.write_end(current, summary)

    def _audit(self, record: Record, control: ConfinedTree, summary: ResultSummary) -> None:
        facts = {"job": record.allocation.job, "allocation": record.id}
        self._lifecycle.audit.write("pushed", **facts, objects=summary.files, bytes=summary.size)
        if self._lifecycle.guard.audit_objects:
            for path, state in sorted(pushed(control).items()):
                self._lifecycle.audit.write("object", **facts, path=path, bytes=state.size)

    def _staged(
        self, record: Record, directory: JobDirectory, control: ConfinedTree
    ) -> StagedIndex:
        """What was staged. Every job has a script, so an empty list is a lost one."""
        with suppress(OSError, UnsafePath):
            if (index := known_files(control)).files:
                return index
        _LOG.warning("%s: the list of its inputs is lost; going by the files' age", told(record))
        try:
            manifest = self._bringing.manifest_of(record.allocation)
        except (VersionGone, ManifestError) as error:
            _LOG.error("%s: its inputs are pushed as results: %s", told(record), error)
            return StagedIndex.of({})
        claimed_at = record.allocation.claimed_at or 0
        return StagedIndex.of(index_by_age(manifest, directory, claimed_at))

    def _confirm(self, record: Record, plan: ResultPlan) -> Record | None:
        """Make sure that the claim is still ours before anything is pushed.

        A long push says `publishing`, which is itself a conditional write; a short one only looks.
        """
        size = sum(file.state.size for file in plan.files)
        large = size >= _WORTH_TELLING_BYTES or len(plan.files) >= _WORTH_TELLING_FILES
        if large and record.reported is not ClientStatus.PUBLISHING:
            return self._lifecycle.report(record, ClientStatus.PUBLISHING, None)
        return self._lifecycle.still_ours(record)


def _record_places(record: Record, control: Path) -> list[Path]:
    """Where the records of what runs lie: of an array, those of the first elements that run."""
    if record.allocation.settings.array is None:
        return [control]
    running = state_of(record).elements.of(ElementState.RUNNING)
    return [element_dir(control, index) for index in running[:LIVE_ELEMENTS]]


def _growing_logs(start: StartRecord | None, directory: JobDirectory) -> list[str]:
    """The files in the job directory that the script's outputs grow in."""
    if start is None:
        return []
    return [
        str(file.relative_to(directory.path))
        for file in dict.fromkeys((start.stdout, start.stderr))
        if file is not None and file.is_relative_to(directory.path)
    ]


def index_by_age(
    manifest: Manifest, directory: JobDirectory, claimed_at: float
) -> dict[str, FileState]:
    """The inputs that look unchanged where the list of what was staged is lost.

    A staged file has the time of its upload, which is older than the claim; a job changes it later.

    Args:
        manifest: the inputs.
        directory: the job directory.
        claimed_at: seconds since the epoch.
    """
    found: dict[str, FileState] = {}
    for entry in manifest.entries:
        try:
            status = directory.tree.lstat(entry.path.removesuffix("/"))
        except (OSError, UnsafePath):
            continue
        if entry.path.endswith("/"):
            found[entry.path] = NO_STATE
        elif status.st_size == entry.size and status.st_mtime < claimed_at:
            found[entry.path] = FileState.of(status)
    return found
