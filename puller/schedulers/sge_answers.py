"""What Grid Engine's commands answer, parsed. Pure; tested on answers of Grid Engine 8.1.9.

`qstat -xml` is read, since only its closing tag tells a whole listing from a cut one. It has two
traps (measured): without a qmaster `qstat -j` exits with 0 and answers `<comunication_error>`; and
it copies bytes that are no UTF-8, and writes `<` as `%lt;`.
"""

from __future__ import annotations

import calendar
import re
import time
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from puller.errors import (
    SchedulerError,
    SchedulerUnavailable,
    SubmissionDeferred,
    SubmissionRefused,
    SubmissionUnknown,
)
from puller.schedulers.interface import EndReason, ListedJob, SchedulerState

_RECORD_LINE = re.compile(r"^={20,}\s*$", re.MULTILINE)
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_LIVE_LETTERS = frozenset("rtsSTRhd")
"""Of a job on a host: running, transferring, suspended, restarted, held, being deleted."""
_WAITING_LETTERS = frozenset("qwhRd")
_ERROR = "E"

_RAN = frozenset({0, 12, 13, 14, 15, 16, 17, 30, 37, 100})
"""Values of `failed` after which `exit_status` is the script's. Source: sge_status(5)."""
_GOES_ON = frozenset({24, 25})
"""Migrating and rescheduling: the job will have a further record."""
_MOST_TASKS = 1_000_000
_LIMIT = 37
_NODE_FAILURES = frozenset({18, 19, 20, 21})
"""The shepherd or its host died."""

_ACCEPTED = re.compile(r"^(\d+)(?:\.\d+-\d+:\d+)?$", re.MULTILINE)
_NOT_SENT = re.compile(
    r"got send error|got select error|unable to send message to qmaster"
    r"|unable to (read|resolve) qmaster|can't (read|resolve) qmaster|act_qmaster"
)
_LOST_IN_BETWEEN = re.compile(
    r"Error reading answer list|failed receiving gdi|got timeout error|got read error"
    r"|unable to receive|commlib error|unable to contact qmaster"
)
_AT_A_LIMIT = re.compile(r"only \d+ jobs are allowed per (user|cluster)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What `qstat -j` adds to a listing.

    Attributes:
        identity: the submitted script's path, as `shown_path` gives it.
        user: the owner.
        submitted_at: seconds since the epoch.
        error: why the job is in an error state; empty if it is not.
    """

    identity: str
    user: str | None
    submitted_at: int | None
    error: str


def parse_states(text: str) -> dict[str, str]:
    """The state letters in an answer of `qstat -u USER -xml`, by job id.

    The elements of an array have the ids `JOB.TASK`; those that wait share one line.

    Raises:
        SchedulerUnavailable: it is no whole listing.
    """
    states: dict[str, str] = {}
    for job in _tree(text, "job_info").iter("job_list"):
        job_id, letters = job.findtext("JB_job_number"), job.findtext("state")
        if not job_id or letters is None:
            raise SchedulerUnavailable("qstat listed a job without its id or state")
        for element in _elements(job_id, job.findtext("tasks") or ""):
            if element not in states or _ERROR in states[element]:
                states[element] = letters
    return states


def _elements(job_id: str, tasks: str) -> list[str]:
    """The ids of what a line stands for; `tasks` is such as `3`, `6-8:1` or `1,4-10:2`."""
    if not tasks:
        return [job_id]
    found: list[str] = []
    for part in tasks.split(","):
        shape = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?", part.strip())
        if shape is None or int(shape[2] or 0) - int(shape[1]) > _MOST_TASKS:
            raise SchedulerUnavailable(f"qstat listed tasks of job {job_id} as {tasks[:200]!r}")
        first, last, step = int(shape[1]), int(shape[2] or shape[1]), int(shape[3] or 1)
        found += [f"{job_id}.{task}" for task in range(first, last + 1, max(1, step))]
    return found


def parse_submitted(text: str) -> dict[str, Submitted]:
    """The jobs in an answer of `qstat -j IDS -xml`, by id; jobs that are gone are not in it.

    Raises:
        SchedulerUnavailable: it is no whole answer.
    """
    tree = _tree(text, "detailed_job_info", "unknown_jobs")
    jobs: dict[str, Submitted] = {}
    for element in tree.findall("djob_info/element"):
        job_id = element.findtext("JB_job_number")
        if not job_id:
            raise SchedulerUnavailable("qstat -j told of a job without its id")
        jobs[job_id] = Submitted(
            identity=element.findtext("JB_script_file") or "",
            user=element.findtext("JB_owner"),
            submitted_at=_number(element.findtext("JB_submission_time")),
            error=" / ".join(found.text or "" for found in element.iter("QIM_message")),
        )
    return jobs


def listed_job(job_id: str, letters: str, submitted: Submitted) -> ListedJob:
    """A job of the listing. One in an error state will never run and counts as refused."""
    state = _state(letters)
    return ListedJob(
        id=job_id,
        state=state,
        words=f"{letters} ({submitted.error})" if submitted.error else letters,
        identity=submitted.identity,
        end=EndReason.REFUSED if state is SchedulerState.ENDED else None,
        user=submitted.user,
        submitted_at=submitted.submitted_at,
        array=_array_of(job_id),
    )


def parse_accounting(text: str, scheduler_id: str, user: str) -> ListedJob | None:
    """The job in an answer of `qacct -j ID` (asked with `TZ=UTC`), or None if it is not in it.

    There is a record for each start, and for each job that ever had this recycled id: the last one
    of this user counts.

    Raises:
        SchedulerUnavailable: the record is not whole.
    """
    return parse_accounting_of_all(text, user).get(scheduler_id)


def parse_accounting_of_all(text: str, user: str) -> dict[str, ListedJob]:
    """All jobs and elements of this user in an answer of `qacct -j ID`, by id, the last of each.

    Raises:
        SchedulerUnavailable: a record is not whole.
    """
    found: dict[str, ListedJob] = {}
    for record in _RECORD_LINE.split(text):
        lines = (line.partition(" ") for line in record.split("\n"))
        fields = {name: value.strip() for name, _, value in lines}
        if fields.get("owner") != user or not fields.get("jobnumber"):
            continue
        task = fields.get("taskid", "")
        job_id = f"{fields['jobnumber']}.{task}" if task.isdigit() else fields["jobnumber"]
        job = _accounted(job_id, fields)
        if job is not None:
            found[job_id] = job
        else:
            found.pop(job_id, None)
    return found


def _accounted(scheduler_id: str, fields: dict[str, str]) -> ListedJob | None:
    failed = re.match(r"(\d+)\s*(?::\s*(.*))?$", fields.get("failed", ""))
    status = re.match(r"\d+", fields.get("exit_status", ""))
    if failed is None or status is None:
        raise SchedulerUnavailable(f"qacct answered half a record of job {scheduler_id}")
    number = int(failed[1])
    if number in _GOES_ON:
        return None
    return ListedJob(
        id=scheduler_id,
        state=SchedulerState.ENDED,
        words=f"failed {number}: {failed[2]}" if failed[2] else f"exit status {status[0]}",
        end=_end(number),
        exit_code=_exit_code(number, int(status[0])),
        user=fields["owner"],
        submitted_at=_accounting_time(fields.get("qsub_time", "")),
        array=_array_of(scheduler_id),
    )


def _array_of(job_id: str) -> str | None:
    job, _, task = job_id.partition(".")
    return job if task else None


def parse_submission(stdout: str) -> str | None:
    """The id in an answer of `qsub -terse`; a site's own wrapper may print more around it."""
    found = _ACCEPTED.findall(stdout)
    return found[-1] if found else None


def parse_submission_error(message: str) -> SchedulerError:
    """What a failed `qsub` means; see `Scheduler.submit`."""
    if _AT_A_LIMIT.search(message):
        return SubmissionDeferred(message)
    if _NOT_SENT.search(message):
        return SchedulerUnavailable(message)
    if _LOST_IN_BETWEEN.search(message):
        return SubmissionUnknown(message)
    return SubmissionRefused(message)


def shown_path(path: str) -> str:
    """A path as `parse_submitted` gives it."""
    return _NOT_XML.sub("?", path).replace("<", "%lt;")


def _tree(text: str, *roots: str) -> ET.Element:
    if "<!" in text:
        raise SchedulerUnavailable("qstat answered with a document type, which it never does")
    try:
        tree = ET.fromstring(_NOT_XML.sub("?", text).encode())  # noqa: S314 - no entities, see above
    except (ET.ParseError, ValueError, RecursionError) as error:
        raise SchedulerUnavailable(f"qstat gave no whole answer: {error}") from error
    if tree.tag not in roots:
        said = " ".join(" ".join(tree.itertext()).split())
        raise SchedulerUnavailable(f"qstat answered <{tree.tag}>: {said[:500]}")
    return tree


def _state(letters: str) -> SchedulerState:
    shown = set(letters)
    if _ERROR in shown:
        return SchedulerState.ENDED
    if "q" in shown and shown <= _WAITING_LETTERS:
        return SchedulerState.QUEUED
    if shown & set("rtsST") and shown <= _LIVE_LETTERS:
        return SchedulerState.RUNNING
    return SchedulerState.UNKNOWN


def _end(failed: int) -> EndReason | None:
    if failed == _LIMIT:
        return EndReason.TIMEOUT
    if failed in _RAN:
        return None
    return EndReason.NODE_FAILURE if failed in _NODE_FAILURES else EndReason.REFUSED


def _exit_code(failed: int, status: int) -> int | None:
    """The script's code, unless the job never ran, or 0 stands for a job that was killed."""
    if failed not in _RAN or status > 255 or (failed in (17, _LIMIT, 100) and status == 0):
        return None
    return status


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,12}", text) else None


def _accounting_time(text: str) -> int | None:
    try:
        return calendar.timegm(time.strptime(text, "%a %b %d %H:%M:%S %Y"))
    except (ValueError, OverflowError):
        return None
