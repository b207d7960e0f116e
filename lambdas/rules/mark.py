"""What a new version of `aws-job-stat.txt` asks for, and whether it still counts.

S3 delivers events more than once and in any order; the sequencer of an event tells the order of the
versions of one key (Amazon S3 User Guide, "Event message structure": compare as hexadecimal text,
the shorter one padded with zeros on the right).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum, auto

from job_protocol.job import Job
from job_protocol.object_keys import Problem
from job_protocol.states import JOBFERRY_WORDS, JobStatus, Outcome, Role, Word

MAX_WORD_BYTES = 64
"""Bytes that an `aws-job-stat.txt` may have: a word, and white space that an editor leaves."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One version of an `aws-job-stat.txt`, as S3's event names it.

    Attributes:
        bucket, key, version: the object version.
        etag: its ETag without quotes.
        sequencer: S3's sequencer, hexadecimal.
        time: when it was put, in seconds since the epoch.
        size: bytes.
        principal: who put it, as S3 names them.
    """

    bucket: str
    key: str
    version: str
    etag: str
    sequencer: str
    time: int
    size: int
    principal: str | None = None


class Action(Enum):
    """What to do about a mark."""

    IGNORE = auto()
    REASSERT = auto()
    """Write the job's own word again, with a note why the user's changed nothing."""
    STOP = auto()
    REMEMBER_STOP = auto()
    """Nothing to stop yet: leave a mark that a late `FILE_UPLOAD` event finds."""
    EXAMINE = auto()
    """Validate the upload, then run or reject it."""
    RETRY = auto()
    """Run the job again with the inputs that were recorded for its last run."""
    REJECT = auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and the sentence or the reason that goes with it."""

    action: Action
    note: str | None = None
    problem: Problem | None = None


NOTHING_RECORDED = (
    "JOB_RETRY changed nothing: no inputs are recorded for what came last. "
    "Upload them, then FILE_UPLOAD."
)

_ENDINGS = ("\n", "", "\r\n")
_WORD_OF_ETAG = {
    hashlib.md5(f"{word}{ending}".encode(), usedforsecurity=False).hexdigest(): word
    for word in Word
    for ending in _ENDINGS
}


def word_of_etag(etag: str) -> Word | None:
    """The word whose MD5 is this ETag, or None (unknown text, or an encryption without MD5)."""
    return _WORD_OF_ETAG.get(etag)


def word_of_body(body: bytes) -> Word | None:
    """The word that the object contains, or None. White space around it does not matter."""
    if len(body) > MAX_WORD_BYTES:
        return None
    text = body.decode("utf-8-sig", "replace").strip()
    return Word(text) if text in Word.__members__ else None


def is_newer(sequencer: str, than: str | None) -> bool:
    """Whether an event's sequencer is above another one (None is below all)."""
    if than is None:
        return True
    width = max(len(sequencer), len(than))
    return sequencer.lower().ljust(width, "0") > than.lower().ljust(width, "0")


def decide(word: Word | None, mark: Mark, job: Job | None) -> Decision:
    """What a mark asks for, given the job as it stands.

    Args:
        word: what the mark says; None if it is none of the known words.
        mark: the event.
        job: the item of the job id, if there is one.
    """
    if word in JOBFERRY_WORDS:
        return Decision(Action.IGNORE)
    if job is not None and not is_newer(mark.sequencer, job.sequencer):
        return Decision(Action.IGNORE)
    if word is None:
        return _unknown_word(mark, job)
    if word is Word.JOB_STOP:
        return _stop(mark, job)
    if job is not None and job.purge is not None:
        return Decision(
            Action.REASSERT,
            "FILE_UPLOAD changed nothing: this job is being purged. Upload again when "
            f"{mark.key} is gone.",
        )
    if job is not None and job.active:
        return Decision(
            Action.REASSERT,
            f"{word} changed nothing: run {job.run} of this job is still active. "
            f"Wait for its end, or write JOB_STOP first, then {word} again.",
        )
    if word is Word.JOB_RETRY:
        return _retry(mark, job)
    if job is not None and job.registration is not None:
        return Decision(Action.REJECT, problem=_registered(mark, job))
    return Decision(Action.EXAMINE)


def _registered(mark: Mark, job: Job) -> Problem:
    """What lies under its prefix is a rendered run; as a script it would lose what the job is."""
    if job.parent is None:
        what, remedy = "a Nomad job", "run it by `jobferry job run FILE`"
    else:
        what = f"a child of the Nomad job {job.parent!r}"
        remedy = (
            f"make another one by `jobferry job dispatch {job.parent}` or `jobferry job periodic "
            f"force {job.parent}`"
        )
    return Problem(
        mark.key,
        f"FILE_UPLOAD: {job.id!r} is {what}, not an upload",
        f"{remedy}; JOB_RETRY runs it again with the same inputs; upload under another prefix",
    )


def _retry(mark: Mark, job: Job | None) -> Decision:
    if job is None or job.role is not Role.LEAF or not job.run:
        return Decision(
            Action.REJECT,
            problem=Problem(
                mark.key,
                "JOB_RETRY: no job has run under this prefix",
                "check the prefix; a job begins with FILE_UPLOAD",
            ),
        )
    if job.outcome is Outcome.COMPLETE:
        return Decision(
            Action.REASSERT,
            "JOB_RETRY changed nothing: the job is complete. FILE_UPLOAD runs all of it again.",
        )
    if job.outcome is Outcome.REJECTED or job.current is None:
        return Decision(Action.REASSERT, NOTHING_RECORDED)
    return Decision(Action.RETRY)


def _stop(mark: Mark, job: Job | None) -> Decision:
    if job is not None and job.active:
        return Decision(Action.STOP)
    if job is not None and not is_newer(mark.sequencer, job.stop_sequencer):
        return Decision(Action.IGNORE)
    if job is not None and job.role is Role.LEAF and job.status is JobStatus.DEAD:
        return Decision(
            Action.REMEMBER_STOP, "JOB_STOP changed nothing: the job had ended before it."
        )
    return Decision(
        Action.REMEMBER_STOP,
        problem=Problem(
            mark.key,
            "JOB_STOP: there is no job to stop under this prefix",
            "check the prefix; a job begins with FILE_UPLOAD",
        ),
    )


def _unknown_word(mark: Mark, job: Job | None) -> Decision:
    problem = Problem(
        mark.key,
        "the object contains neither FILE_UPLOAD nor JOB_STOP nor JOB_RETRY",
        "write exactly one of these words into it, as plain text",
    )
    if job is not None and job.role is Role.LEAF and job.outcome is not Outcome.REJECTED:
        # What does not say what it asks for takes nothing from a run, active or ended.
        return Decision(
            Action.REASSERT, f"{problem.problem}; {problem.remedy}. Nothing has changed."
        )
    return Decision(Action.REJECT, problem=problem)
