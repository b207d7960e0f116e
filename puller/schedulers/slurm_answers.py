"""What Slurm's commands answer, parsed. Pure; tested on transcripts of Slurm 22.05.

JSON is not used: 22.05's `sacct --json` says SUCCESS for exit code 3, and `squeue --json` ignores
its filters. Times are asked for as seconds since the epoch (`SLURM_TIME_FORMAT=%s`).
"""

from __future__ import annotations

import re
from dataclasses import replace

from job_protocol.elements import indexes_of
from puller.errors import (
    SchedulerError,
    SchedulerUnavailable,
    SubmissionDeferred,
    SubmissionRefused,
    SubmissionUnknown,
)
from puller.schedulers.interface import EndReason, ListedJob, SchedulerState

SEPARATOR = "\x1f"
"""Between the fields of a listing: no job directory has a control character in its name."""

LISTING_FORMAT = SEPARATOR.join(("%i", "%T", "%V", "%S", "%u", "%r", "%o"))
"""For `squeue -o`: id, state, submit time, actual or expected start, user, reason, path of the
submitted script."""

ACCOUNTING_FIELDS = "JobID,State,ExitCode,Submit,User"
"""For `sacct -P -o`."""

_STATES = {
    **dict.fromkeys(
        (
            "PENDING",
            "CONFIGURING",
            "REQUEUED",
            "REQUEUE_FED",
            "REQUEUE_HOLD",
            "RESV_DEL_HOLD",
            "SPECIAL_EXIT",
        ),
        SchedulerState.QUEUED,
    ),
    **dict.fromkeys(
        ("RUNNING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED"),
        SchedulerState.RUNNING,
    ),
    **dict.fromkeys(
        (
            "BOOT_FAIL",
            "CANCELLED",
            "COMPLETED",
            "DEADLINE",
            "FAILED",
            "NODE_FAIL",
            "OUT_OF_MEMORY",
            "PREEMPTED",
            "TIMEOUT",
        ),
        SchedulerState.ENDED,
    ),
}
"""Source: squeue(1), "JOB STATE CODES". REVOKED (a sibling in a federation runs instead) is left
to `UNKNOWN` on purpose: it is no end."""

_ENDS = {
    "BOOT_FAIL": EndReason.NODE_FAILURE,
    "CANCELLED": EndReason.CANCELLED,
    "DEADLINE": EndReason.TIMEOUT,
    "NODE_FAIL": EndReason.NODE_FAILURE,
    "OUT_OF_MEMORY": EndReason.OUT_OF_MEMORY,
    "PREEMPTED": EndReason.NODE_FAILURE,
    "TIMEOUT": EndReason.TIMEOUT,
}
"""A pre-empted job lost its node through no fault of its own, as in a node failure."""

_COULD_NOT_START = "0:53"
"""Exit code of a job whose output file or working directory slurmd could not use."""

_ACCEPTED = re.compile(r"^(\d+)(;\S+)?$", re.MULTILINE)

_NOT_SENT = re.compile(
    r"slurm controller \(connect failure\)"
    r"|Unable to process configuration file|Could not establish a configuration source"
)
_LOST_IN_BETWEEN = re.compile(
    r"slurm controller \(|slurm daemon|Socket timed out|Zero Bytes|Connection (reset|refused|timed)"
    r"|Broken pipe|Transport endpoint|Unexpected message|receive failure|send failure"
    r"|authentication|munge|Header lengths|message length|Incompatible versions|shutdown failure"
    r"|standby mode|Unspecified error|No route to host",
    re.IGNORECASE,
)
_LIMIT = re.compile(
    r"(Assoc|QOS)\w*Submit\w*Limit"
    r"|temporarily unable to accept|Resource temporarily unavailable|job queue full"
    r"|temporarily disabled|Required partition not available \(inactive or drain\)"
)
_POLICY = "violates accounting/QOS policy"
_NAMED_LIMIT = re.compile(r"\b(Assoc|QOS)(Grp|Max|Min)\w+")


def parse_listing(text: str) -> dict[str, ListedJob]:
    """The jobs in an answer of `squeue -h -o LISTING_FORMAT`, by id.

    Raises:
        SchedulerUnavailable: the answer does not begin with a job and is not empty, or was cut.
    """
    if text and not text.endswith("\n"):
        raise SchedulerUnavailable("the answer of squeue was cut short")
    jobs: dict[str, ListedJob] = {}
    for line in text.split("\n"):
        fields = line.split(SEPARATOR)
        if len(fields) == LISTING_FORMAT.count(SEPARATOR) + 1:
            job = _listed(*fields)
            jobs[job.id] = job
        elif line.strip() and not jobs:
            raise SchedulerUnavailable(f"squeue answered something that is no list: {line[:200]}")
        # else: the rest of a script's name with a line break in it, which is none of ours
    return jobs


def _listed(
    job_id: str, state: str, submitted: str, start: str, user: str, reason: str, script: str
) -> ListedJob:
    return ListedJob(
        id=_plain_id(job_id),
        state=_state(state),
        words=_words(state, reason),
        identity=script or None,
        end=_ENDS.get(state),
        user=user or None,
        submitted_at=_time(submitted),
        array=_array_of(job_id),
        expected_start=_expected(state, start),
    )


def parse_detail(text: str, scheduler_id: str) -> ListedJob | None:
    """The job in an answer of `scontrol show job`, or None if it is not in it.

    The form with one line for several fields is read, since only there the free texts (name,
    paths) stand at the end of their lines.
    """
    for record in re.split(r"\n\s*\n", text):
        first = re.match(r"\s*JobId=(\S+)", record)
        if first is not None and _plain_id(first[1]) == scheduler_id:
            return _detailed(scheduler_id, record)
    return None


def parse_details(text: str) -> dict[str, ListedJob]:
    """The elements of an array in an answer of `scontrol show job ARRAY`, by id.

    Tasks that wait together share one record, whose `ArrayTaskId` names them all.
    """
    found: dict[str, ListedJob] = {}
    for record in re.split(r"\n\s*\n", text):
        named = re.match(r"\s*JobId=\S+ ArrayJobId=(\d+) ArrayTaskId=([\d,-]+)", record)
        if named is None:
            continue
        try:
            tasks = indexes_of(named[2])
        except ValueError:
            continue
        for task in tasks:
            element = f"{named[1]}_{task}"
            found[element] = replace(_detailed(element, record), array=named[1])
    return found


def _detailed(scheduler_id: str, record: str) -> ListedJob:
    def field(pattern: str) -> str:
        found = re.search(rf"^\s+(?:[^\n]*? )?{pattern}", record, re.MULTILINE)
        return found[1] if found is not None else ""

    state = field(r"JobState=(\S+)")
    exit_code = field(r"ExitCode=(\d+:\d+)")
    return ListedJob(
        id=scheduler_id,
        state=_state(state),
        words=_words(state, field(r"Reason=(.*?)(?: Dependency=|$)")),
        identity=field(r"Command=(.*)$") or None,
        end=_end(state, exit_code),
        exit_code=_code(state, exit_code),
        user=field(r"UserId=([^\s(]+)") or None,
        submitted_at=_time(field(r"SubmitTime=(\S+)")),
        expected_start=_expected(state, field(r"StartTime=(\S+)")),
    )


def parse_accounting(text: str, scheduler_id: str) -> ListedJob | None:
    """The job in an answer of `sacct -n -P -X -o ACCOUNTING_FIELDS`, or None if it is not in it.

    Accounting lags behind and may never have heard of an end, so a state in it that is no end
    comes back as `UNKNOWN`: the controller has just denied the job.
    """
    return parse_accounting_of_all(text).get(scheduler_id)


def parse_accounting_of_all(text: str) -> dict[str, ListedJob]:
    """All jobs and elements in an answer of `sacct`, by id; of a repeated one the first."""
    found: dict[str, ListedJob] = {}
    for line in text.split("\n"):
        fields = line.split("|")
        if len(fields) != ACCOUNTING_FIELDS.count(",") + 1:
            continue
        scheduler_id = _plain_id(fields[0])
        _, words, exit_code, submitted, user = fields
        state = words.split(" ")[0].rstrip("+")
        ended = _state(state) is SchedulerState.ENDED
        job = ListedJob(
            id=scheduler_id,
            state=SchedulerState.ENDED if ended else SchedulerState.UNKNOWN,
            words=words if ended else f"{words} (in the accounting only)",
            end=_end(state, exit_code),
            exit_code=_code(state, exit_code),
            user=user or None,
            submitted_at=_time(submitted),
            array=_array_of(scheduler_id),
        )
        found.setdefault(scheduler_id, job)
    return found


def parse_submission(stdout: str) -> str | None:
    """The id in an answer of `sbatch --parsable`; a site's own wrapper may print more around it."""
    found = _ACCEPTED.findall(stdout)
    return found[-1][0] if found else None


def parse_submission_error(message: str) -> SchedulerError:
    """What a failed `sbatch` means.

    `SchedulerUnavailable` says that nothing was sent; where an answer may have been lost on the
    way it is `SubmissionUnknown`. Limits of users and queues share their exit code with every
    other refusal, so only the text tells them apart.
    """
    if _NOT_SENT.search(message):
        return SchedulerUnavailable(message)
    if _LIMIT.search(message) or (_POLICY in message and not _NAMED_LIMIT.search(message)):
        return SubmissionDeferred(message)
    if _LOST_IN_BETWEEN.search(message):
        return SubmissionUnknown(message)
    return SubmissionRefused(message)


def _plain_id(shown: str) -> str:
    """The id that `sbatch` gave: the leader of a heterogeneous job is listed as `17+0`."""
    return shown.removesuffix("+0")


def _array_of(job_id: str) -> str | None:
    found = re.fullmatch(r"(\d+)_\d+", job_id)
    return found[1] if found is not None else None


def _state(word: str) -> SchedulerState:
    return _STATES.get(word, SchedulerState.UNKNOWN)


def _words(state: str, reason: str) -> str:
    return state if reason in ("", "None") else f"{state} ({reason})"


def _end(state: str, exit_code: str) -> EndReason | None:
    if state == "FAILED" and exit_code == _COULD_NOT_START:
        return EndReason.REFUSED
    return _ENDS.get(state)


def _code(state: str, exit_code: str) -> int | None:
    """128 + n for signal n. Where Slurm itself ended the job, 0 is not the script's word."""
    if _state(state) is not SchedulerState.ENDED or exit_code == _COULD_NOT_START:
        return None
    found = re.fullmatch(r"(\d{1,3}):(\d{1,3})", exit_code)
    if found is None:
        return None
    code = 128 + int(found[2]) if int(found[2]) else int(found[1])
    return None if code == 0 and state != "COMPLETED" else code


def _expected(state: str, start: str) -> int | None:
    """When a job that waits is expected to start: the backfill scheduler's plan, if it has one."""
    return _time(start) if _state(state) is SchedulerState.QUEUED else None


def _time(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else None
