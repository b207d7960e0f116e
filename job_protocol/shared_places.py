"""Where an object of a job's `inputs` comes to lie in the job directory."""

from __future__ import annotations

from job_protocol.object_keys import in_shared_folder


def place_of(source: str, to: str, key: str) -> str | None:
    """The path of an object in the job directory; None if it does not belong to the input.

    Args:
        source: `from` of the row: the object, or a folder above it, which ends in `/`.
        to: `to` of the row.
        key: the object.
    """
    if source.endswith("/"):
        path = key.removeprefix(source)
        top = "" if to in ("", ".", "./") else f"{to.removesuffix('/')}/"
        return f"{top}{path}" if in_shared_folder(path) else None
    folder = "" if to in (".", "./") else to
    if folder and not folder.endswith("/"):
        return to
    return f"{folder}{source.rpartition('/')[2]}"
