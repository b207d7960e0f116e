"""Which files may become results, under which names, and what is said with them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from job_protocol.file_mode import MODE_METADATA
from job_protocol.identifiers import result_mark
from job_protocol.job_settings import JobSettings
from job_protocol.object_keys import (
    MAX_KEY_BYTES,
    input_key,
    input_path_problems,
    is_log,
    may_be_pushed,
)
from job_protocol.path_patterns import matcher
from puller.bucket import RESULT_METADATA

EXCLUDED = "it matches a pattern of `exclude`"
NOT_ASKED_FOR = "it matches no pattern of `results`"
BY_PATTERN = frozenset({EXCLUDED, NOT_ASKED_FOR})
"""Reasons that the user stated himself."""


def name_problem(job_id: str, path: str) -> str | None:
    """Why a path can have no key, a phrase, or None.

    What could not be an input cannot be a result, so that a later run may use any of them.

    Args:
        job_id: the job.
        path: relative to the job directory; a folder's ends in `/`.
    """
    try:
        key = input_key(job_id, path).encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if len(key) > MAX_KEY_BYTES:
        return f"its key would be longer than {MAX_KEY_BYTES} bytes"
    if not may_be_pushed(path):
        return "the protocol reserves this name"
    if is_log(path):
        return None
    problems = input_path_problems(job_id, [path])
    return problems[0].problem if problems else None


def selection(settings: JobSettings) -> Callable[[str], str | None]:
    """A test that says why the user's patterns leave a path out, or None."""
    excluded, wanted = matcher(settings.exclude), matcher(settings.results)

    def why_not(path: str) -> str | None:
        if is_log(path):
            return None
        if excluded(path):
            return EXCLUDED
        if settings.results and not wanted(path):
            return NOT_ASKED_FOR
        return None

    return why_not


def printable(path: str) -> str:
    r"""A path for people and for JSON: stray bytes and control characters as `\x..`."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(
        f"\\x{ord(char):02x}" if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char
        for char in text
    )


def result_metadata(site: str, job_id: str, path: str, mode: int) -> dict[str, str]:
    """The user metadata of a result.

    Args:
        site: the site's name.
        job_id: the job.
        path: relative to the job directory.
        mode: permission bits.
    """
    return {
        MODE_METADATA: f"{mode & 0o7777:04o}",
        RESULT_METADATA: result_mark(site, job_id, path),
    }
