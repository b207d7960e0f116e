"""Whether `aws-job-run.sh` can be submitted as it stands."""

from __future__ import annotations

from job_protocol.object_keys import Problem
from job_protocol.script_size import MAX_SCRIPT_BYTES

_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def size_problem(key: str, size: int) -> Problem | None:
    """What is wrong with the script's size, so that it need not be fetched.

    Args:
        key: the script's key.
        size: bytes.
    """
    if size == 0:
        return Problem(key, "the job script is empty", "upload a script that begins with #!")
    if size > MAX_SCRIPT_BYTES:
        return Problem(
            key,
            f"the job script has {size} bytes; a scheduler takes at most {MAX_SCRIPT_BYTES}",
            "put data into files of their own beside the script",
        )
    return None


def script_problems(key: str, body: bytes) -> list[Problem]:
    """Every reason why this script cannot be submitted."""
    if (wrong := size_problem(key, len(body))) is not None:
        return [wrong]
    found: list[Problem] = []
    if body.startswith(_BOMS):
        found.append(
            Problem(
                key,
                "the job script begins with a byte order mark, so its first line is not read",
                "save it as UTF-8 without BOM (sed -i '1s/^\\xEF\\xBB\\xBF//' aws-job-run.sh)",
            )
        )
    elif not body.startswith(b"#!"):
        found.append(
            Problem(
                key,
                "the job script has no shebang",
                "make its first line name the interpreter, for example #!/bin/bash",
            )
        )
    if b"\r\n" in body:
        found.append(
            Problem(
                key,
                "the job script has Windows line ends (CRLF)",
                "convert it (sed -i 's/\\r$//' aws-job-run.sh) and upload it again",
            )
        )
    if b"\0" in body:
        found.append(
            Problem(key, "the job script contains NUL bytes", "upload a text file, not a binary")
        )
    return found
