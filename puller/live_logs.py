"""Growing logs into the bucket while the job runs: only what changed, and never all of a large one.

S3 has no append. A small log is put whole; a large one becomes a version that is the one before,
copied inside the bucket, with the new lines behind it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from job_protocol.object_keys import input_key
from puller.bucket import MIN_BASE, BaseVersion, Bucket, FileRange, VersionGone
from puller.errors import UnsafePath
from puller.job_directory import JobDirectory
from puller.result_names import name_problem, result_metadata

WHOLE_BELOW = 8 * 1024 * 1024
"""Bytes below which a log is put whole, at every change."""

GROWTH_RATE = 8 * 1024 * 1024
"""Bytes per second that the versions of one large log may take up in the bucket: every push leaves
the version before as a noncurrent one, so a log of 1 GiB is pushed about every two minutes."""

_FINGERPRINT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class PushedLog:
    """What was last pushed of a log; the caller keeps it, per allocation and log.

    Attributes:
        size: bytes.
        mtime_ns: the file's time of modification.
        version: the S3 version id.
        fingerprint: a hash of the last bytes that were pushed: a log that was truncated and has
            grown again does not have them.
        pushed_at: seconds since the epoch.
    """

    size: int
    mtime_ns: int
    version: str
    fingerprint: str
    pushed_at: float


def push_log(
    path: str,
    previous: PushedLog | None,
    *,
    site: str,
    directory: JobDirectory,
    bucket: Bucket,
    now: float,
    final: bool = False,
) -> PushedLog | None:
    """Push a log if it has changed, and return what the bucket has now.

    A log that is missing, empty, no regular file, or whose name cannot be pushed changes nothing.

    Args:
        path: the log, relative to the job directory.
        previous: what the last call returned.
        site: the site's name.
        directory: the job directory.
        bucket: the site's bucket.
        now: seconds since the epoch.
        final: the job has ended: push what is new, however little time has passed.

    Raises:
        CloudUnreachable, CloudRefused: nothing was pushed; call again with the same `previous`.
        OSError, UnsafePath: it cannot be read; while the job runs, that changes nothing.
    """
    if name_problem(directory.job_id, path) is not None:
        return previous
    try:
        descriptor = directory.tree.open_file(path)
    except (OSError, UnsafePath):
        if final:
            raise
        return previous
    try:
        status = os.fstat(descriptor)
        if not _is_due(status, previous, now, final):
            return previous
        metadata = result_metadata(site, directory.job_id, path, status.st_mode)
        fingerprint = _fingerprint(descriptor, status.st_size)
        key = input_key(directory.job_id, path)
        version = _put(descriptor, status.st_size, key, previous, bucket, metadata)
        return PushedLog(
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
            version=version,
            fingerprint=fingerprint,
            pushed_at=now,
        )
    except OSError:
        if final:
            raise
        return previous
    finally:
        os.close(descriptor)


def _is_due(status: os.stat_result, previous: PushedLog | None, now: float, final: bool) -> bool:
    if status.st_size == 0:
        return False
    if previous is None:
        return True
    if (status.st_size, status.st_mtime_ns) == (previous.size, previous.mtime_ns):
        return False
    if final or status.st_size < WHOLE_BELOW:
        return True
    return now - previous.pushed_at >= status.st_size / GROWTH_RATE


def _put(
    descriptor: int,
    size: int,
    key: str,
    previous: PushedLog | None,
    bucket: Bucket,
    metadata: dict[str, str],
) -> str:
    whole = FileRange(descriptor, 0, size)
    if size < WHOLE_BELOW:
        return bucket.put(key, whole.read(), metadata)
    if previous is not None and _continues(descriptor, size, previous):
        tail = FileRange(descriptor, previous.size, size - previous.size)
        base = BaseVersion(previous.version, previous.size)
        try:
            return bucket.put_grown(key, base, tail, metadata)
        except VersionGone:
            pass  # the user deleted it, or a lifecycle rule did
    return bucket.put_grown(key, None, whole, metadata)


def _continues(descriptor: int, size: int, previous: PushedLog) -> bool:
    return MIN_BASE <= previous.size < size and (
        _fingerprint(descriptor, previous.size) == previous.fingerprint
    )


def _fingerprint(descriptor: int, end: int) -> str:
    start = max(0, end - _FINGERPRINT_BYTES)
    return hashlib.sha256(os.pread(descriptor, end - start, start)).hexdigest()
