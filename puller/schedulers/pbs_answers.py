"""What the commands of OpenPBS and PBS Pro answer, parsed. Pure; tested on transcripts.

`qstat -f` is read as plain text: PBS Pro before 14 has no JSON, and later ones write JSON that is
none as soon as a variable of the job holds a control character. Plain text has one rule: a line
that begins with a tab goes on with the value of the line before.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterable, Mapping

from puller.errors import (
    SchedulerError,
    SchedulerUnavailable,
    SubmissionDeferred,
    SubmissionRefused,
    SubmissionUnknown,
)
from puller.schedulers.interface import EndReason, ListedJob, SchedulerState

_STATES = {
    **dict.fromkeys("QHWT", SchedulerState.QUEUED),
    **dict.fromkeys("RESUB", SchedulerState.RUNNING),  # B: an array of which some have begun
    **dict.fromkeys("FX", SchedulerState.ENDED),
}
"""Source: qstat(1B). `M` (moved to another server) is left to `UNKNOWN`: it is no end."""

_ENDS = {
    **dict.fromkeys((-1, -2, -7, -10, -13, -17, -21, -22, -23, -30), EndReason.REFUSED),
    **dict.fromkeys((-3, -4, -5, -6, -11, -12, -14, -15, -16, -18, -20), EndReason.NODE_FAILURE),
    **dict.fromkeys((-19, -24, -25), EndReason.KILLED),
    **dict.fromkeys((-26, -27), EndReason.OUT_OF_MEMORY),
    **dict.fromkeys((-28, -29), EndReason.TIMEOUT),
}
"""By negative `Exit_status`. Source: `JOB_EXEC_*` in job.h of OpenPBS. Of the reruns nothing is
the job's own fault."""

_DELETED = "91"
"""The substate of a job that `qdel` ended."""

_DENIED = re.compile(r"^qstat: (Unknown Job Id|\S+ Job has finished)")
_NO_HISTORY = re.compile(r"not configured to maintain job history")
_ACCEPTED = re.compile(r"^(\d+(?:\[\])?\.[A-Za-z0-9._-]+)$", re.MULTILINE)
_NOT_SENT = re.compile(
    r"cannot connect to server|could not connect|Connection refused|No default server"
    r"|Unknown Host|Access from host not allowed|pbs_iff",
    re.IGNORECASE,
)
_LOST_IN_BETWEEN = re.compile(
    r"Premature end of message|End of File|Protocol|Communication failure|timed? ?out"
    r"|Connection reset|Broken pipe|System error|Internal server error|Expected operation",
    re.IGNORECASE,
)
_AT_A_LIMIT = re.compile(
    r"would exceed .{0,200}limit|Maximum number of jobs|Queue is not enabled|Server shutting down"
    r"|currently unavailable",
    re.IGNORECASE,
)


def parse_ids(text: str) -> list[str]:
    """The ids in an answer of `qselect`; an array's ends in empty brackets.

    Raises:
        SchedulerUnavailable: there is something else in it.
    """
    ids = text.split()
    for job_id in ids:
        if not re.fullmatch(r"\d+(\[\d*\])?(\.[A-Za-z0-9._-]+)?", job_id):
            raise SchedulerUnavailable(f"qselect answered something that is no id: {job_id[:200]}")
    return list(dict.fromkeys(re.sub(r"\[\d+\]", "[]", job_id) for job_id in ids))


def parse_jobs(text: str) -> dict[str, ListedJob]:
    """The jobs in an answer of `qstat -f` (asked with `TZ=UTC`), by id.

    Raises:
        SchedulerUnavailable: it is cut, or no such answer.
    """
    if not text.strip():
        return {}
    if not text.endswith("\n\n"):
        raise SchedulerUnavailable(f"qstat -f gave no whole answer: it ends in {text[-80:]!r}")
    jobs: dict[str, ListedJob] = {}
    for record in re.split(r"^(?=Job Id: )", text.replace("\n\t", ""), flags=re.MULTILINE):
        if not record.strip():
            continue
        job_id, values = _attributes(record)
        if job_id is None or "job_state" not in values:
            raise SchedulerUnavailable(f"qstat -f answered something else: {record[:200]!r}")
        jobs[job_id] = _job(job_id, values)
    return jobs


def denies(stderr: str) -> bool:
    """Whether all that `qstat` complained of is that it does not know a job, or no more."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    return bool(lines) and all(_DENIED.match(line) for line in lines)


def has_no_history(stderr: str) -> bool:
    """Whether the server keeps no ended jobs."""
    return _NO_HISTORY.search(stderr) is not None


def parse_submission(stdout: str) -> str | None:
    """The id in an answer of `qsub`; a site's own hooks may print more around it."""
    found = _ACCEPTED.findall(stdout)
    return str(found[-1]) if found else None


def parse_submission_error(message: str) -> SchedulerError:
    """What a failed `qsub` means; see `Scheduler.submit`. The exit codes do not tell."""
    if _AT_A_LIMIT.search(message):
        return SubmissionDeferred(message)
    if _NOT_SENT.search(message):
        return SchedulerUnavailable(message)
    if _LOST_IN_BETWEEN.search(message):
        return SubmissionUnknown(message)
    return SubmissionRefused(message)


def identity_in(submit_arguments: str) -> str:
    """The last folder and name of the submitted file, in a job's `Submit_arguments`.

    The whole path may come back with its blanks quoted or its commas thinned out.
    """
    # By hand: a regular expression that looks for the end takes the square of the length.
    text = submit_arguments.rstrip()
    text = text[:-1] if text.endswith(('"', "'")) else text
    folder, slash, name = text.rpartition("/")
    folder = folder.rpartition("/")[2]
    return f"{folder}{slash}{name}" if folder and name else submit_arguments


def _attributes(record: str) -> tuple[str | None, dict[str, str]]:
    """The id and the attributes of one job.

    The first of a name counts: a variable with line breaks in it may look like further ones.
    """
    head, _, body = record.partition("\n")
    values: dict[str, str] = {}
    for found in re.finditer(r"^    ([A-Za-z_.]+) = (.*)$", body, re.MULTILINE):
        values.setdefault(found[1], found[2])
    job_id = re.fullmatch(r"Job Id: (\S+)\s*", head)
    return (job_id[1] if job_id is not None else None), values


def _job(job_id: str, values: Mapping[str, str]) -> ListedJob:
    state = _STATES.get(values["job_state"], SchedulerState.UNKNOWN)
    ended = state is SchedulerState.ENDED
    status = _integer(values.get("Exit_status")) if ended else None
    arguments = values.get("Submit_arguments")
    planned = values.get("estimated.start_time", "") if state is SchedulerState.QUEUED else ""
    return ListedJob(
        id=job_id,
        state=state,
        words=_words(values, ["substate", "Exit_status"] if ended else []),
        identity=identity_in(arguments) if arguments is not None else None,
        end=_end(values, status) if ended else None,
        exit_code=_exit_code(values, status),
        user=values.get("Job_Owner", "").partition("@")[0] or None,
        submitted_at=_time(values.get("ctime", "")),
        array=re.sub(r"\[\d+\]", "[]", job_id) if re.search(r"\[\d+\]", job_id) else None,
        expected_start=_time(planned),
    )


def _words(values: Mapping[str, str], names: Iterable[str]) -> str:
    told = [values["comment"]] if values.get("comment") else []
    told += [f"{name} = {values[name]}" for name in names if name in values]
    return f"{values['job_state']} ({', '.join(told)})" if told else values["job_state"]


def _end(values: Mapping[str, str], status: int | None) -> EndReason | None:
    if status is not None and status < 0:
        return _ENDS.get(status, EndReason.KILLED)
    if status is None and "dependency" in values.get("comment", "").lower():
        return EndReason.REFUSED
    if values.get("substate") == _DELETED:
        return EndReason.CANCELLED
    return EndReason.REFUSED if status is None else None


def _exit_code(values: Mapping[str, str], status: int | None) -> int | None:
    """128 + n for signal n, for which PBS has 256 + n. A deleted job's 0 is not the script's."""
    if status is None or status < 0 or values.get("substate") == _DELETED:
        return None
    code = status - 128 if status > 256 else status
    return code if code <= 255 else None


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"-?[0-9]{1,9}", text) else None


def _time(text: str) -> int | None:
    if re.fullmatch(r"[0-9]{9,12}", text):  # some versions show an estimate as it is kept
        return int(text)
    try:
        return calendar.timegm(time.strptime(text, "%a %b %d %H:%M:%S %Y"))
    except (ValueError, OverflowError):
        return None
