"""What LSF's commands answer, parsed. Pure; written from IBM's manuals, not from a real LSF.

Sources: IBM Spectrum LSF 10.1 command reference (bsub, bjobs, bhist, bkill), and its list
"Termination reasons displayed by bacct, bhist, and bjobs".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from puller.errors import (
    SchedulerError,
    SchedulerUnavailable,
    SubmissionDeferred,
    SubmissionRefused,
    SubmissionUnknown,
)
from puller.schedulers.interface import EndReason, ListedJob, SchedulerState
from puller.schedulers.yearless_dates import epoch_of

DESCRIPTION = "jobferry "
"""How the description of a puller's job begins; the allocation's id follows."""

FIELDS = "jobid jobindex stat user exit_code submit_time job_description exit_reason pend_reason"
"""For `bjobs -json -o`, which shows them in capitals."""

_STATES = {
    **dict.fromkeys(("PEND", "PROV", "PSUSP", "WAIT"), SchedulerState.QUEUED),
    **dict.fromkeys(("RUN", "SSUSP", "USUSP"), SchedulerState.RUNNING),
    **dict.fromkeys(("DONE", "EXIT", "POST_DONE", "POST_ERR"), SchedulerState.ENDED),
}
"""UNKWN (LSF has lost contact with the host) and ZOMBI (killed while out of contact) are left to
`UNKNOWN` on purpose: the job may still run."""

_DONE = frozenset({"DONE", "POST_DONE", "POST_ERR"})

_TERMINATIONS: Mapping[str, EndReason | None] = {
    "TERM_ADMIN": EndReason.CANCELLED,
    "TERM_BUCKET_KILL": EndReason.CANCELLED,
    "TERM_CHKPNT": EndReason.KILLED,
    "TERM_CPULIMIT": EndReason.TIMEOUT,
    "TERM_CSM_ALLOC": EndReason.NODE_FAILURE,
    "TERM_CWD_NOTEXIST": EndReason.REFUSED,
    "TERM_DATA": EndReason.KILLED,
    "TERM_DEADLINE": EndReason.TIMEOUT,
    "TERM_EXTERNAL_SIGNAL": None,
    "TERM_FORCE_ADMIN": EndReason.CANCELLED,
    "TERM_FORCE_OWNER": EndReason.CANCELLED,
    "TERM_KUBE": EndReason.NODE_FAILURE,
    "TERM_LOAD": EndReason.NODE_FAILURE,
    "TERM_MC_RECALL": EndReason.NODE_FAILURE,
    "TERM_MEMLIMIT": EndReason.OUT_OF_MEMORY,
    "TERM_ORPHAN_SYSTEM": EndReason.CANCELLED,
    "TERM_OTHER": EndReason.KILLED,
    "TERM_OWNER": EndReason.CANCELLED,
    "TERM_PREEMPT": EndReason.NODE_FAILURE,
    "TERM_PRE_EXEC_FAIL": EndReason.REFUSED,
    "TERM_PROCESSLIMIT": EndReason.KILLED,
    "TERM_REMOVE_HUNG_JOB": EndReason.NODE_FAILURE,
    "TERM_REQUEUE_ADMIN": EndReason.KILLED,
    "TERM_REQUEUE_OWNER": EndReason.KILLED,
    "TERM_RMS": EndReason.NODE_FAILURE,
    "TERM_RUNLIMIT": EndReason.TIMEOUT,
    "TERM_SLURM": EndReason.NODE_FAILURE,
    "TERM_SWAP": EndReason.OUT_OF_MEMORY,
    "TERM_THREADLIMIT": EndReason.KILLED,
    "TERM_UNKNOWN": None,
    "TERM_WINDOW": EndReason.TIMEOUT,
    "TERM_ZOMBIE": None,
}
"""None where LSF cannot tell, or where the script killed itself: its own code counts. A job that
lost its place to another one (LOAD, PREEMPT, recalls) counts as on a node failure."""

_JSON = json.JSONDecoder(strict=False)
"""Takes a line break within a text, too, which a user may have written into a description."""

_ACCEPTED = re.compile(r"^[ \t]*Job <(\d+)> is submitted to\b", re.MULTILINE | re.ASCII)

_LOST_IN_BETWEEN = re.compile(
    r"Please wait|not responding|Cannot connect|Communication|time[d ]*out|Connection"
    r"|Failed in (sending|receiving)|XDR|LSF is down|Bad file|Unknown error|LIM is down",
    re.IGNORECASE,
)
_LIMIT = re.compile(
    r"job threshold reached|Queue (has been|is) closed|maximum number of .{0,30}jobs"
    r"|has reached (its|the|your) .{0,40}job limit|Too many (pending )?jobs",
    re.IGNORECASE,
)

_NO_JOB = re.compile(r"No (unfinished |matching )?job found|Job <[^>]*> is not found")

_EVENT = re.compile(
    r"^(?P<date>[A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2} [\d:]{5,8}( \d{4})?): (?P<what>[^\n]*)",
    re.MULTILINE | re.ASCII,
)


def parse_jobs(text: str, now: float) -> dict[str, ListedJob]:
    """The jobs in an answer of `bjobs -json -o FIELDS`, by id.

    Args:
        text: what it wrote to stdout; other lines may stand around the JSON.
        now: seconds since the epoch, since dates come without a year.

    Raises:
        SchedulerUnavailable: the answer is no such JSON, or ends half-way.
    """
    try:
        answer, _ = _JSON.raw_decode(text[max(0, text.find("{")) :])
        records = answer["RECORDS"]
        jobs = [_job(record, now) for record in records if "ERROR" not in record]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SchedulerUnavailable(f"bjobs answered no list of jobs: {text[:200]!r}") from error
    return {job.id: job for job in jobs}


def denies(text: str) -> bool:
    """Whether LSF says that there is no such job, or none at all."""
    return _NO_JOB.search(text) is not None


def _job(record: Mapping[str, Any], now: float) -> ListedJob:
    array, job_id = _ids(str(record["JOBID"]), str(record.get("JOBINDEX") or ""))
    state = str(record["STAT"])
    reason = str(record.get("EXIT_REASON") or record.get("PEND_REASON") or "").strip(" ;")
    ended = _STATES.get(state) is SchedulerState.ENDED
    return ListedJob(
        id=job_id,
        state=_STATES.get(state, SchedulerState.UNKNOWN),
        words=f"{state} ({reason})" if reason else state,
        identity=str(record.get("JOB_DESCRIPTION") or ""),
        end=_end(reason) if ended and state not in _DONE else None,
        exit_code=_code(state, str(record.get("EXIT_CODE") or "")) if ended else None,
        user=str(record["USER"]) if record.get("USER") else None,
        submitted_at=epoch_of(str(record.get("SUBMIT_TIME") or ""), now),
        array=array,
    )


def _ids(job_id: str, index: str) -> tuple[str | None, str]:
    """The id of the array, if it is one, and the job's own; LSF counts elements from 1."""
    job_id, bracket, inside = job_id.partition("[")
    task = inside.rstrip("]") if bracket else index
    if re.fullmatch(r"[1-9][0-9]*", task) is None:
        return None, job_id + bracket + inside
    return job_id, f"{job_id}[{task}]"


def parse_history(text: str, scheduler_id: str, now: float) -> ListedJob | None:
    """The latest job of that id in an answer of `bhist -l -UF`, or None if it is not in it.

    `bjobs` has just denied the job, so a state that is no end comes back as `UNKNOWN`. Ids are
    recycled: a job that a puller described comes before any other, and one without a description
    has an empty identity, which is nobody's.
    """
    return parse_histories(text, now).get(scheduler_id)


def parse_histories(text: str, now: float) -> dict[str, ListedJob]:
    """All jobs and elements in an answer of `bhist -l -UF`, by id; see `parse_history`."""
    found: dict[str, ListedJob] = {}
    for record in re.split(r"^-{10,}\s*$", text, flags=re.MULTILINE):
        named = re.match(r"\s*Job <(\d+(?:\[\d+\])?)>,", record)
        if named is None:
            continue
        job = _remembered(named[1], record, now)
        before = found.get(job.id)
        if before is None or _is_ours(job) or not _is_ours(before):
            found[job.id] = job
    return found


def _is_ours(job: ListedJob) -> bool:
    return (job.identity or "").startswith(DESCRIPTION)


def _remembered(scheduler_id: str, record: str, now: float) -> ListedJob:
    header = record.strip().split("\n", 1)[0]
    events = list(_EVENT.finditer(record))
    told: str | None = None
    for event in events:
        if re.match(r"Done successfully|Exited\b", event["what"]):
            told = event["what"].split(". The CPU time used")[0].rstrip(".; ")
        elif re.search(r"\b([Ss]tart(ed|ing)|[Rr]equeued|[Dd]ispatched)\b", event["what"]):
            told = None
    descriptions = re.findall(r"Job Description <([^>]*)>", header)
    user = re.search(r"User <([^>]*)>", header)
    return ListedJob(
        id=scheduler_id,
        state=SchedulerState.UNKNOWN if told is None else SchedulerState.ENDED,
        words=told or "in the history only, without an end",
        identity=descriptions[-1] if descriptions else "",
        end=_end(told or ""),
        exit_code=_told_code(told or ""),
        user=user[1] if user is not None else None,
        submitted_at=epoch_of(events[0]["date"], now) if events else None,
        array=_ids(scheduler_id, "")[0],
    )


def parse_submission(text: str) -> str | None:
    """The id in an answer of `bsub`; a site's own `esub` may print more around it."""
    found = _ACCEPTED.findall(text)
    return found[-1] if found else None


def parse_submission_error(message: str) -> SchedulerError:
    """What a failed `bsub` means. Only the text tells a limit from every other refusal."""
    if _LIMIT.search(message):
        return SubmissionDeferred(message)
    if _LOST_IN_BETWEEN.search(message):
        return SubmissionUnknown(message)
    return SubmissionRefused(message)


def _end(reason: str) -> EndReason | None:
    """A reason that is not in the manual is still the scheduler's and not the script's."""
    found = re.search(r"\bTERM_[A-Z_]+", reason)
    return _TERMINATIONS.get(found[0], EndReason.KILLED) if found is not None else None


def _code(state: str, exit_code: str) -> int | None:
    if state in _DONE:
        return 0
    return int(exit_code) if re.fullmatch(r"[0-9]{1,3}", exit_code) else None


def _told_code(told: str) -> int | None:
    if told.startswith("Done"):
        return 0
    code = re.search(r"\bexit code (\d{1,3})\b", told, re.ASCII)
    if code is not None:
        return int(code[1])
    signal = re.search(r"\bsignal <?(\d{1,3})\b", told, re.ASCII)
    return 128 + int(signal[1]) if signal is not None else None
