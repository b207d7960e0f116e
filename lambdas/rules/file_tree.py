"""Nomad's paths in an allocation's directory, and what lies behind them in the bucket."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

from job_protocol import object_keys
from lambdas.errors import Refused

SCRIPT_TASK = "script"
"""Task group and task of a job that is a script, so that Nomad's clients have names to show."""

MAX_CHUNK = 3 * 1024 * 1024
"""Bytes of a file in one answer: Lambda answers with 6 MB at most, as base64 if need be."""

_FRAME = 64 * 1024
"""Bytes of a log in one frame, as in Nomad."""

LOG_TYPES = {"stdout": object_keys.STDOUT, "stderr": object_keys.STDERR}
_SCRIPT_LOGS = {f"alloc/logs/{SCRIPT_TASK}.{kind}.0": name for kind, name in LOG_TYPES.items()}


def clean_path(path: str) -> str:
    """A path inside the allocation's directory, without slashes at its ends.

    Raises:
        Refused: it leads out of that directory, or is no path.
    """
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    if ".." in segments or "\0" in path:
        raise Refused(
            400, "Path escapes the alloc directory", "ask for a path inside the job's directory"
        )
    return "/".join(segments)


def script_log(path: str, element: int | None = None) -> str | None:
    """The log of a script that is meant by a Nomad path; None if it is no such path.

    A job that was made from a Nomad job file has Nomad's layout in its directory. A script has
    its logs beside it, and Nomad's clients look for them under `alloc/logs`.

    Args:
        path: the cleaned path.
        element: which element of a script's array it is, if it is one.

    Returns:
        The path of the log below the job's prefix.
    """
    name = _SCRIPT_LOGS.get(path)
    return name if name is None or element is None else object_keys.element_log(name, element)


def log_path(task: str, kind: str) -> str:
    """Nomad's path of a task's log.

    Args:
        task: the task's name.
        kind: `stdout` or `stderr`.
    """
    return f"alloc/logs/{task}.{kind}.0"


def first_byte(offset: int, origin: str, size: int) -> int:
    """Where reading starts, in bytes from the beginning of a file.

    Args:
        offset: bytes from the origin.
        origin: `start`, or `end` (then backwards, as in Nomad).
        size: the file's size in bytes.
    """
    return max(0, size - offset) if origin == "end" else min(offset, size)


def frames(path: str, start: int, content: bytes) -> bytes:
    """A piece of a log in Nomad's frames: JSON objects, one after the other.

    Args:
        path: Nomad's path of the file.
        start: the position of the piece in the file, in bytes.
        content: the piece.
    """
    pieces = _pieces(content)
    return "".join(
        json.dumps(
            {
                "Data": base64.b64encode(piece).decode(),
                "File": path,
                "Offset": start + index * _FRAME,
            }
        )
        for index, piece in enumerate(pieces)
    ).encode()


def _pieces(content: bytes) -> Iterator[bytes]:
    for begin in range(0, len(content), _FRAME):
        yield content[begin : begin + _FRAME]


def entry(
    name: str, *, size: int = 0, modified: str | None = None, folder: bool = False
) -> dict[str, Any]:
    """A file or folder, as Nomad's API lists it.

    Args:
        name: the last segment of its path.
        size: bytes.
        modified: when it was written, in ISO 8601.
        folder: whether it is a folder.
    """
    return {
        "Name": name,
        "IsDir": folder,
        "Size": size,
        "FileMode": "drwxr-xr-x" if folder else "-rw-r--r--",
        "ModTime": modified,
    }


def with_script_logs(path: str, entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries of a folder, and where Nomad's clients look for the logs of a script.

    Args:
        path: the cleaned path of the folder.
        entries: what lies there in the bucket.
    """
    found = list(entries)
    names = {row["Name"] for row in found}
    inner = {"": "alloc", "alloc": "logs"}.get(path)
    if inner is not None and inner not in names:
        found.append(entry(inner, folder=True))
    return found
