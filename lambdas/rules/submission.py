"""A script job that the API takes, and what is wrong with its files."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from job_protocol import object_keys
from job_protocol.object_keys import Problem
from job_protocol.script_rules import script_problems
from lambdas.rules.upload import Limits, ObjectVersion, upload_problems

_IN_FUTURE = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineFile:
    """A small file that came with the document.

    Attributes:
        path: its path in the job directory.
        content: its bytes.
        mode: its file mode in octal, if one was stated.
    """

    path: str
    content: bytes
    mode: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedFile:
    """A larger file that the client puts into the bucket itself.

    Attributes:
        path: its path in the job directory.
        size: bytes.
        checksum: what S3 will say of it: the SHA-256 in base64, or that of the parts and `-N`.
        part_size: bytes of each part but the last, if it comes in parts.
        parts: the SHA-256 of each part in base64.
        mode: its file mode in octal, if one was stated.
    """

    path: str
    size: int
    checksum: str
    part_size: int | None = None
    parts: tuple[str, ...] = ()
    mode: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A script job to submit.

    Attributes:
        job_id: the job id, if the client chose one.
        sites: the sites that may take it, the best one first; empty for the default site.
        files: what came with the document, the script included.
        uploads: what is still to come.
        settings: the settings as in `aws-job.json`, unread; None if there are none.
        task_token: the task token of the workflow that waits for the end.
    """

    job_id: str | None
    sites: tuple[str, ...]
    files: tuple[InlineFile, ...]
    uploads: tuple[AnnouncedFile, ...]
    settings: Mapping[str, Any] | None
    task_token: str | None


def composite(parts: tuple[str, ...]) -> str:
    """The checksum that S3 gives an object of parts: that of the parts' checksums, and `-N`.

    Args:
        parts: the SHA-256 of each part in base64 (Amazon S3 User Guide, "Checking object
            integrity", composite checksums).
    """
    together = hashlib.sha256(b"".join(base64.b64decode(one) for one in parts)).digest()
    return f"{base64.b64encode(together).decode()}-{len(parts)}"


def content_problems(job_id: str, submission: Submission, limits: Limits) -> list[Problem]:
    """Everything that is wrong with the files of a submission: the rules are those of an upload.

    Args:
        job_id: the job.
        submission: what is to be submitted.
        limits: the site's limits.
    """
    inputs = {
        path: ObjectVersion(object_keys.input_key(job_id, path), "", size, 0)
        for path, size in [
            *((inline.path, len(inline.content)) for inline in submission.files),
            *((upload.path, upload.size) for upload in submission.uploads),
        ]
    }
    found = upload_problems(job_id, inputs, _IN_FUTURE, limits)
    script = next(file for file in submission.files if file.path == object_keys.SCRIPT)
    return found + script_problems(
        object_keys.input_key(job_id, object_keys.SCRIPT), script.content
    )
