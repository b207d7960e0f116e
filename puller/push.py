"""Pushing the results of an allocation as planned, in parallel and resumably."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from job_protocol.allocation import LeftOut, ResultSummary
from job_protocol.object_keys import input_key, is_log, result_report_key
from puller.bucket import Bucket, FileRange, ObjectRefused, SourceShrank
from puller.confined_tree import ConfinedTree
from puller.errors import PullerError, UnsafePath
from puller.file_record import NO_STATE, FileRecord, FileState
from puller.job_directory import JobDirectory
from puller.live_logs import PushedLog, push_log
from puller.parallel import in_parallel
from puller.result_names import printable, result_metadata
from puller.results import ResultFile, ResultPlan
from puller.unreadable import is_passing

WORKERS = 16
LISTED = 20
"""How many of what was left out the summary names; the report in the bucket names more."""

_RECORD = "pushed.jsonl"
_TRIES = 3


class ResultsUnreadable(PullerError):
    """Some results cannot be read at the moment; everything else was pushed. Try again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTarget:
    """Whose results go where.

    Attributes:
        site: the site's name.
        allocation_id: the allocation that ended.
        directory: its job directory.
        control: its control directory, where the record of what was pushed lies.
        bucket: the site's bucket.
    """

    site: str
    allocation_id: str
    directory: JobDirectory
    control: ConfinedTree
    bucket: Bucket


@dataclass(frozen=True, slots=True)
class _Outcome:
    path: str
    state: FileState | None = None
    problem: str = ""
    may_pass: bool = False


def push_results(
    plan: ResultPlan,
    target: ResultTarget,
    *,
    now: float,
    logs: Mapping[str, PushedLog] | None = None,
    give_up_unreadable: bool = False,
    workers: int = WORKERS,
) -> ResultSummary:
    """Push what a plan names and an earlier, interrupted call has not pushed yet.

    Args:
        plan: see `results.plan_results`.
        target: whose results go where.
        now: seconds since the epoch.
        logs: what was pushed of logs while the job ran, by path.
        give_up_unreadable: list files that a failing file server does not give as left out,
            instead of raising; for when they have been tried long enough.
        workers: how many files are pushed at the same time.

    Raises:
        CloudUnreachable, CloudRefused: call again; what was pushed is recorded.
        ResultsUnreadable: call again; everything else was pushed.
    """
    pusher = _Pusher(target, now, logs or {})
    record = FileRecord(target.control, _RECORD)
    failed: list[_Outcome] = []
    with record:
        for outcome in in_parallel(pusher.push, _missing(plan, record), workers=workers):
            if outcome.state is not None:
                record.add_if_possible(outcome.path, outcome.state)
            else:
                failed.append(outcome)
    unreadable = [
        *plan.unreadable,
        *(LeftOut(printable(o.path), o.problem) for o in failed if o.may_pass),
    ]
    if unreadable and not give_up_unreadable:
        raise ResultsUnreadable(
            f"job {target.directory.job_id!r}: {len(unreadable)} results in "
            f"{target.directory.path} cannot be read at the moment, first {unreadable[0].path!r} "
            f"({unreadable[0].reason}); the next pass tries again"
        )
    lost = [LeftOut(printable(o.path), o.problem) for o in failed if not o.may_pass]
    left_out = (*unreadable, *lost, *plan.left_out)
    count = len(unreadable) + len(lost) + plan.left_out_count
    if count > LISTED:
        _put_report(target, left_out, count)
    return ResultSummary(
        files=len(record.files),
        size=sum(state.size for state in record.files.values()),
        left_out=count,
        listed=left_out[:LISTED],
    )


def pushed(control: ConfinedTree) -> Mapping[str, FileState]:
    """What was pushed so far, by path.

    Raises:
        OSError: it cannot be read.
    """
    return FileRecord(control, _RECORD).files


def _missing(plan: ResultPlan, record: FileRecord) -> Iterator[ResultFile]:
    """What has to be pushed, the largest first: the many small ones fill the gaps behind them."""
    for file in sorted(plan.files, key=lambda file: -file.state.size):
        if record.files.get(file.path) != file.state:
            yield file
    for path in plan.folders:
        if path not in record.files:
            yield ResultFile(path, path, NO_STATE)


def _put_report(target: ResultTarget, left_out: tuple[LeftOut, ...], count: int) -> None:
    report = {
        "v": 1,
        "job": target.directory.job_id,
        "allocation": target.allocation_id,
        "count": count,
        "left_out": [asdict(entry) for entry in left_out],
    }
    content = json.dumps(report, ensure_ascii=False, indent=1).encode() + b"\n"
    target.bucket.put(result_report_key(target.allocation_id), content, {})


class _Pusher:
    def __init__(self, target: ResultTarget, now: float, logs: Mapping[str, PushedLog]) -> None:
        self._target = target
        self._now = now
        self._logs = logs

    def push(self, file: ResultFile) -> _Outcome:
        for _ in range(_TRIES):
            try:
                return _Outcome(file.path, self._push(file))
            except SourceShrank:
                continue
            except ObjectRefused as error:
                return _Outcome(file.path, problem=str(error))
            except FileNotFoundError:
                return _Outcome(file.path, problem="it was deleted before it could be pushed")
            except (OSError, UnsafePath) as error:
                problem = f"it cannot be read ({error})"
                return _Outcome(file.path, problem=problem, may_pass=is_passing(error))
        return _Outcome(file.path, problem="it kept changing while it was being pushed")

    def _push(self, file: ResultFile) -> FileState:
        target = self._target
        job_id = target.directory.job_id
        if file.path.endswith("/"):
            metadata = result_metadata(target.site, job_id, file.path, 0o755)
            target.bucket.put(input_key(job_id, file.path), b"", metadata)
            return NO_STATE
        if file.path == file.source and (file.path in self._logs or is_log(file.path)):
            return self._push_log(file)
        descriptor = target.directory.tree.open_file(file.source)
        try:
            state = FileState.of(os.fstat(descriptor))
            metadata = result_metadata(target.site, job_id, file.path, state.mode)
            source = FileRange(descriptor, 0, state.size)
            target.bucket.put_file(input_key(job_id, file.path), source, metadata)
            return state
        finally:
            os.close(descriptor)

    def _push_log(self, file: ResultFile) -> FileState:
        pushed = push_log(
            file.path,
            self._logs.get(file.path),
            site=self._target.site,
            directory=self._target.directory,
            bucket=self._target.bucket,
            now=self._now,
            final=True,
        )
        if pushed is None:
            return file.state
        return FileState(pushed.size, pushed.mtime_ns, file.state.mode)
