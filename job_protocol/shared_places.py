"""Where an object of a job's `inputs` comes to lie in the job directory."""

from __future__ import annotations

from job_protocol.object_keys import in_shared_folder

URL = "s3://"
"""How a `from` begins that names the bucket, too."""


def key_of(source: str, bucket: str) -> str | None:
    """The key that `from` names, as `s3://BUCKET/KEY` or alone; None if it is in another bucket.

    Args:
        source: `from` of the row.
        bucket: the site's bucket.
    """
    if not source.startswith(URL):
        return source
    other, _, key = source.removeprefix(URL).partition("/")
    return key if other == bucket else None


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
