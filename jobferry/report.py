"""What is known of a job: its status word and what `aws-job-stat.json` tells beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from job_protocol.states import (
    ClientStatus,
    JobStatus,
    Outcome,
    Word,
    job_status_of,
    word_of,
)

_OUTCOME_OF_WORD = {word_of(outcome, None): outcome for outcome in Outcome}
_STATUS_OF_WORD = {
    word_of(None, client): job_status_of(client) for client in ClientStatus if not client.terminal
}


@dataclass(frozen=True, slots=True)
class Report:
    """A job's state at one moment.

    Attributes:
        job: the job id.
        word: the word of `aws-job-stat.txt`; None if it says something else.
        details: `aws-job-stat.json` as far as it belongs to this state; times are ISO 8601 in UTC.
    """

    job: str
    word: Word | None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> JobStatus:
        """`pending`, `running` or `dead`, in Nomad's words."""
        if self.outcome is not None:
            return JobStatus.DEAD
        if self.word is Word.JOB_STOP and self.details.get("status") == JobStatus.RUNNING:
            return JobStatus.RUNNING
        return _STATUS_OF_WORD.get(self.word, JobStatus.PENDING) if self.word else JobStatus.PENDING

    @property
    def outcome(self) -> Outcome | None:
        """How a dead job ended; None while it has not."""
        return _OUTCOME_OF_WORD.get(self.word) if self.word else None

    @property
    def dead(self) -> bool:
        """Whether the job has ended."""
        return self.outcome is not None

    @property
    def active(self) -> bool:
        """Whether jobferry has accepted the job and it has not ended."""
        return self.word in _STATUS_OF_WORD or self.word is Word.JOB_STOP

    @property
    def allocation(self) -> Mapping[str, Any]:
        """The current allocation's part of the details; empty if there is none."""
        return _mapping(self.details.get("allocation"))

    @property
    def exit_code(self) -> int | None:
        """The exit code of the job's script, once it is known."""
        code = self.allocation.get("exit_code")
        return code if isinstance(code, int) else None

    @property
    def message(self) -> str | None:
        """The best sentence there is about why the job is as it is."""
        told = (self.details.get("message"), self.allocation.get("reason"))
        return next((text for text in told if isinstance(text, str) and text), None)

    @property
    def reasons(self) -> tuple[Mapping[str, Any], ...]:
        """Why an upload was rejected: `key`, `problem` and `remedy` of each reason."""
        listed = self.details.get("reasons")
        return tuple(_mapping(entry) for entry in listed) if isinstance(listed, list) else ()

    @property
    def identity(self) -> tuple[object, object]:
        """Tells one state of one run from every other: the upload's version and the revision."""
        return _mapping(self.details.get("upload")).get("version"), self.details.get("revision")

    def to_json(self) -> dict[str, Any]:
        """The document that `--json` prints."""
        return {
            **self.details,
            "job": self.job,
            "word": self.word.value if self.word else None,
            "status": self.status.value,
            "outcome": self.outcome.value if self.outcome else None,
        }


def report_of(job: str, word: bytes, details: bytes | None) -> Report:
    """Put the two status objects together.

    Args:
        job: the job id.
        word: content of `aws-job-stat.txt`, which must have been read first: jobferry writes it
            after the details, so the details are never older than it.
        details: content of `aws-job-stat.json`; None if there is none.
    """
    text = word.decode("utf-8-sig", "replace").strip()
    said = Word(text) if text in Word.__members__ else None
    document = _document(details)
    if said in (None, Word.FILE_UPLOAD, Word.JOB_RETRY):
        return Report(job, said)  # the details still tell of an earlier run
    newer = str(document.get("word"))
    if said is not Word.JOB_STOP and newer in Word.__members__:
        said = Word(newer)
    return Report(job, said, document)


def _document(body: bytes | None) -> Mapping[str, Any]:
    if body is None:
        return {}
    try:
        return _mapping(json.loads(body))
    except ValueError:
        return {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
