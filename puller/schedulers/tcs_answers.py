"""What TCS' commands answer, parsed. Pure; written from manuals, not from a real TCS.

Sources: the users' guides of Fugaku ("Displaying a job status", "Checking when a job ends
abnormally") and pjsub(1), pjstat(1), pjdel(1) as users' scripts quote them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping

from puller.errors import (
    SchedulerError,
    SchedulerUnavailable,
    SubmissionDeferred,
    SubmissionRefused,
    SubmissionUnknown,
)
from puller.schedulers.interface import EndReason, ListedJob, SchedulerState
from puller.schedulers.yearless_dates import epoch_of

ITEMS = "jid,st,ec,pc,sn,adt,sdt,usr,ermsg,jnam"
"""For `pjstat --data --choose`: what its answer shows as JOB_ID, ST, EC, PC, SN, ACCEPT,
START_DATE, USER, REASON and JOB_NAME. The name comes last, since it may have a comma in it."""

_MOST_EXPECTED = 180 * 86400.0
"""Seconds to the latest expected start; dates come without a year."""

_STATES = {
    **dict.fromkeys(("ACC", "QUE", "RNA", "HLD"), SchedulerState.QUEUED),
    **dict.fromkeys(("RNP", "RUN", "RNE", "RNO", "SPP", "SPD", "RSM"), SchedulerState.RUNNING),
    **dict.fromkeys(("EXT", "CCL", "RJT", "ERR"), SchedulerState.ENDED),
}

_STATE_ENDS = {
    "CCL": EndReason.CANCELLED,
    "RJT": EndReason.REFUSED,
    "ERR": EndReason.REFUSED,
}
"""ERR: TCS could not run the job and keeps it until it is deleted."""

_PJM_CODES: Mapping[int, tuple[EndReason | None, str]] = {
    1: (EndReason.CANCELLED, "cancelled by pjdel"),
    2: (EndReason.REFUSED, "rejected on acceptance"),
    3: (EndReason.REFUSED, "execution rejected by the job manager's exit function"),
    4: (None, "held by pjhold"),
    6: (EndReason.REFUSED, "cancelled by a dependency"),
    7: (EndReason.TIMEOUT, "cancelled by a deadline"),
    8: (EndReason.REFUSED, "cancelled by the job manager's exit function"),
    9: (EndReason.NODE_FAILURE, "ended on a reconstruction, since it may not run again"),
    11: (EndReason.TIMEOUT, "elapsed time limit exceeded"),
    12: (EndReason.OUT_OF_MEMORY, "memory limit exceeded"),
    13: (EndReason.KILLED, "disk limit exceeded"),
    16: (EndReason.REFUSED, "current directory, stdin, stdout or stderr not accessible"),
    18: (EndReason.NODE_FAILURE, "ended for another job or a deadline schedule"),
    20: (EndReason.NODE_FAILURE, "node down"),
    21: (EndReason.REFUSED, "the shell could not be executed"),
    22: (EndReason.NODE_FAILURE, "interconnect error"),
    23: (EndReason.OUT_OF_MEMORY, "ended by the OOM killer"),
    25: (EndReason.NODE_FAILURE, "failure of a highly available unit"),
    26: (EndReason.KILLED, "error in prologue or epilogue"),
    27: (EndReason.KILLED, "error in the job resource management's exit function"),
}
"""By PJM code. A code that is not here ended the job for a reason of TCS' own."""

_ACCEPTED = re.compile(r"\[INFO\] PJM 0000 pjsub Job (\d+) submitted\.", re.ASCII)
_ERROR = "[ERR.]"

_NO_JOB = re.compile(r"\[ERR\.\] PJM \d+ \w+ Job \S+ (does not exist|is not found)")
_NOTHING_TO_CANCEL = re.compile(
    r"\[ERR\.\] PJM \d+ pjdel .{0,200}(does not exist|not found|already|finished|ended)",
    re.IGNORECASE,
)

_LOST_IN_BETWEEN = re.compile(
    r"communicat|connect|time[d ]*out|not (active|respond)|internal error|busy|broken pipe"
    r"|service (is )?(stop|not)",
    re.IGNORECASE,
)
_LIMIT = re.compile(
    r"\b(r?[gu]-?)?accept(-(all|bulk|step)subjob)?\b.{0,60}\blimit\b"
    r"|\bnumber of .{0,40}jobs?\b.{0,60}\b(limit|exceed|maximum)"
    r"|\blimit\b.{0,40}\bnumber of .{0,40}jobs?\b",
    re.IGNORECASE,
)


def parse_listing(text: str, now: float) -> dict[str, ListedJob]:
    """The jobs in an answer of `pjstat --data --choose=ITEMS`, by id.

    Args:
        text: comma-separated lines; the header begins with `H`, the others with nothing.
        now: seconds since the epoch, since dates come without a year.

    Raises:
        SchedulerUnavailable: jobs stand there without a header that names their fields, or the
            answer ends in the middle of a line.
    """
    if text and not text.endswith("\n"):
        raise SchedulerUnavailable(f"pjstat's answer is cut: it ends with {text[-80:]!r}")
    header: list[str] | None = None
    jobs: dict[str, ListedJob] = {}
    for line in text.split("\n"):
        fields = _fields(line)
        if fields[0] == "H":
            header = fields
        elif fields[0] == "" and len(fields) > 1:
            job = _listed(_row(header, fields, text), now)
            if job is not None:
                jobs[job.id] = job
        elif line.strip() and header is None:
            raise SchedulerUnavailable(f"pjstat answered something that is no list: {line[:200]}")
        # else: a message beside the list
    return jobs


def _fields(line: str) -> list[str]:
    try:
        row = next(csv.reader([line.strip("\r")]), [])
    except csv.Error:
        row = line.split(",")
    return [field.strip() for field in row] or [""]


def _row(header: list[str] | None, fields: list[str], text: str) -> dict[str, str]:
    """The fields by their names; what is too much belongs to the last one, the name."""
    if header is None or not {"JOB_ID", "ST"} <= set(header):
        raise SchedulerUnavailable(f"pjstat answered a list without its header: {text[:200]!r}")
    last = len(header) - 1
    named = dict(zip(header[:last], fields, strict=False))
    return {**named, header[last]: ",".join(fields[last:])}


def _listed(row: Mapping[str, str], now: float) -> ListedJob | None:
    job_id, state = row.get("JOB_ID", ""), row.get("ST", "")
    if re.fullmatch(r"[0-9]+(\[[0-9]+\])?", job_id) is None or not state:
        return None
    ended = _STATES.get(state) is SchedulerState.ENDED
    pjm_code = _number(row.get("PC", ""))
    return ListedJob(
        id=job_id,
        state=_STATES.get(state, SchedulerState.UNKNOWN),
        words=_words(state, pjm_code if ended else None, row.get("REASON", "")),
        identity=row.get("JOB_NAME"),
        end=_end(state, pjm_code) if ended else None,
        exit_code=_code(state, pjm_code, row) if ended else None,
        user=row.get("USER") or None,
        submitted_at=epoch_of(row.get("ACCEPT", ""), now),
        array=job_id.partition("[")[0] if "[" in job_id else None,
        expected_start=_expected(state, row.get("START_DATE", ""), now),
    )


def _expected(state: str, start: str, now: float) -> int | None:
    """When a job that waits is expected to start; TCS shows an expected date in parentheses."""
    if _STATES.get(state) is not SchedulerState.QUEUED or not start.startswith("("):
        return None
    return epoch_of(start, now, ahead=_MOST_EXPECTED)


def _words(state: str, pjm_code: int | None, reason: str) -> str:
    """The state, and the reason as TCS writes it, else what the manual says of the code."""
    told = reason if reason.strip("-") else ""
    if not pjm_code:
        return f"{state} ({told})" if told and told != "COMPLETED" else state
    _, meaning = _PJM_CODES.get(pjm_code, (None, ""))
    return f"{state}, PJM code {pjm_code}" + (f": {told or meaning}" if told or meaning else "")


def _end(state: str, pjm_code: int | None) -> EndReason | None:
    if state == "ERR" or not pjm_code:
        return _STATE_ENDS.get(state)
    return _PJM_CODES.get(pjm_code, (EndReason.KILLED, ""))[0] or _STATE_ENDS.get(state)


def _code(state: str, pjm_code: int | None, row: Mapping[str, str]) -> int | None:
    """128 + n for signal n. Where TCS itself ended the job, 0 is not the script's word."""
    code, signal = _number(row.get("EC", "")), _number(row.get("SN", ""))
    if signal:
        return 128 + signal
    return None if code == 0 and (pjm_code or state != "EXT") else code


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,5}", text) else None


def denies(text: str) -> bool:
    """Whether TCS says that there is no such job."""
    return _NO_JOB.search(text) is not None


def nothing_to_cancel(text: str) -> bool:
    """Whether a failed `pjdel` says that the job has ended or is unknown."""
    return _NOTHING_TO_CANCEL.search(text) is not None


def parse_submission(text: str) -> str | None:
    """The id in an answer of `pjsub`: only its own line counts, whatever its exit code."""
    found = _ACCEPTED.findall(text)
    return found[-1] if found else None


def parse_submission_error(message: str, code: int | None) -> SchedulerError:
    """What a `pjsub` that named no job means.

    Some versions fail with exit code 0, so a message of an error counts more than the code. The
    texts of limits are not in the public manuals: what looks like a limit on a number of jobs is
    taken for one.

    Args:
        message: what it wrote.
        code: its exit code, None if it was killed.
    """
    if code is None or code < 0 or (code == 0 and _ERROR not in message):
        return SubmissionUnknown(f"pjsub named no job: {message}")
    if _LIMIT.search(message):
        return SubmissionDeferred(message)
    if _LOST_IN_BETWEEN.search(message):
        return SubmissionUnknown(message)
    return SubmissionRefused(message)
