"""Files of a job into a directory: a plan first, then the transfers. No key leads out of it."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from job_protocol.object_keys import (
    STATUS_NAMES,
    input_path_problems,
    is_log,
)
from job_protocol.path_patterns import matcher, problem_of
from jobferry.errors import CloudUnreachable, LocalFilesDiffer, TransferFailed, UsageError
from jobferry.interface import JobAccess, Progress, RemoteFile

_WORKERS = 8
_TRIES = 3
_NAMED = 5
_PART = ".jobferry-"
RESUMED = 8 * 1024**2
"""Bytes from which on a file that was fetched in part stays, so that the next time goes on."""


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """What is fetched.

    Attributes:
        fetch: files that are missing here, or newer there.
        folders: empty folders.
        present: how many files are here already.
        changed_here: files that differ and were changed here later.
        unsafe: paths that could lead out of the directory or belong to the protocol.
    """

    fetch: tuple[RemoteFile, ...]
    folders: tuple[str, ...]
    present: int
    changed_here: tuple[str, ...]
    unsafe: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files that are fetched."""
        return sum(file.size for file in self.fetch)


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What a download did.

    Attributes:
        directory: where the files are.
        files: how many were fetched.
        size: their bytes.
        present: how many were there already.
        unsafe: paths that were left out because they could lead out of the directory.
    """

    directory: Path
    files: int
    size: int
    present: int
    unsafe: tuple[str, ...]


def plan_download(
    job_id: str,
    remote: Iterable[RemoteFile],
    local: Callable[[str], os.stat_result | None],
    *,
    only: Sequence[str] = (),
    force: bool = False,
) -> DownloadPlan:
    """Say what is fetched.

    Args:
        job_id: the job.
        remote: everything under its prefix.
        local: what is at a path here, links not followed; None if nothing.
        only: patterns of the files that are wanted; empty means all.
        force: fetch everything, whatever is here.

    Raises:
        UsageError: a pattern is not valid.
    """
    if (wrong := next((p for pattern in only if (p := problem_of(pattern))), None)) is not None:
        raise UsageError(wrong)
    wanted = matcher(only)
    fetch: list[RemoteFile] = []
    folders: list[str] = []
    changed_here: list[str] = []
    unsafe: list[str] = []
    present = 0
    for file in remote:
        path = file.path
        if path in ("", *STATUS_NAMES) or (only and not wanted(path)):
            continue
        if not is_log(path) and input_path_problems(job_id, [path]):
            unsafe.append(path)
        elif path.endswith("/"):
            folders.append(path)
        elif force or (here := local(path)) is None:
            fetch.append(file)
        elif stat.S_ISREG(here.st_mode) and here.st_size == file.size and not _older(here, file):
            present += 1
        elif stat.S_ISREG(here.st_mode) and not _older(here, file):
            changed_here.append(path)
        else:
            fetch.append(file)
    return DownloadPlan(tuple(fetch), tuple(folders), present, tuple(changed_here), tuple(unsafe))


def _older(here: os.stat_result, file: RemoteFile) -> bool:
    return here.st_mtime < file.modified


def plan_into(
    access: JobAccess,
    job_id: str,
    directory: Path,
    only: Sequence[str],
    force: bool,
    wanted: Callable[[str], bool] | None = None,
) -> DownloadPlan:
    """The plan of a download into a directory, as it is now.

    Args:
        access: the way to the job.
        job_id: the job.
        directory: where to.
        only: patterns of the files that are wanted; empty means all.
        force: fetch everything, whatever is here.
        wanted: which paths count at all; None is all of them.

    Raises:
        LocalFilesDiffer: files were changed here; with `force` they are overwritten.
        UsageError: a pattern is not valid.
        JobferryError: the job's files cannot be listed.
    """

    def local(path: str) -> os.stat_result | None:
        try:
            return (directory / path).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise TransferFailed(f"cannot look into {directory}: {error}") from error

    remote = (file for file in access.files(job_id) if wanted is None or wanted(file.path))
    plan = plan_download(job_id, remote, local, only=only, force=force)
    if plan.changed_here:
        named = ", ".join(plan.changed_here[:_NAMED])
        more = len(plan.changed_here) - _NAMED
        raise LocalFilesDiffer(
            f"{len(plan.changed_here)} files in {directory} differ from those of job {job_id!r} "
            f"and were changed here later: {named}{f' and {more} more' if more > 0 else ''}; "
            "choose another directory (-o), or overwrite them (--force)"
        )
    return plan


def download(
    access: JobAccess, job_id: str, directory: Path, plan: DownloadPlan, progress: Progress
) -> Downloaded:
    """Carry out a plan. What is there stays there when it breaks off; calling again goes on.

    Raises:
        TransferFailed: a file cannot be written.
        JobferryError: a file cannot be read.
    """
    umask = os.umask(0o077)
    os.umask(umask)
    stop = threading.Event()

    def counted(size: int) -> None:
        if stop.is_set():
            raise TransferFailed("interrupted")
        progress(size)

    fetch = partial(_fetch, access, job_id, directory, umask, counted)
    with ThreadPoolExecutor(_WORKERS) as pool:
        try:
            for folder in plan.folders:
                _made(directory, folder.removesuffix("/"))
            for _ in pool.map(fetch, plan.fetch):
                pass
        except OSError as error:
            raise TransferFailed(f"cannot make a folder in {directory}: {error}") from error
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
    return Downloaded(directory, len(plan.fetch), plan.size, plan.present, plan.unsafe)


def _made(directory: Path, folder: str) -> Path:
    """A folder of the directory, made where it is missing."""
    path = directory / folder
    if not path.resolve().is_relative_to(directory.resolve()):
        raise TransferFailed(
            f"{path} is a link that leads out of {directory}; remove it, or choose another "
            "directory (-o)"
        )
    path.mkdir(parents=True, exist_ok=True)
    return path


def _fetch(
    access: JobAccess,
    job_id: str,
    directory: Path,
    umask: int,
    progress: Progress,
    file: RemoteFile,
) -> None:
    target = directory / file.path
    try:
        parent = _made(directory, file.path.rpartition("/")[0])
        for tries_left in reversed(range(_TRIES)):
            try:
                return _fetch_once(access, job_id, file, parent, umask, progress)
            except CloudUnreachable:
                if not tries_left:
                    raise
    except OSError as error:
        raise TransferFailed(
            f"{target} cannot be written: {error}; what was fetched stays, run it again"
        ) from error


def _fetch_once(
    access: JobAccess,
    job_id: str,
    file: RemoteFile,
    parent: Path,
    umask: int,
    progress: Progress,
) -> None:
    done = 0

    def counted(size: int) -> None:
        nonlocal done
        done += size
        progress(size)

    kept = file.size >= RESUMED
    part = _kept_part(parent, file) if kept else _new_part(parent)
    try:
        with part.open("r+b") as content:
            fetched = access.fetch(job_id, file.path, content, counted)
        part.chmod(0o666 & ~umask if fetched.mode is None else fetched.mode)
        os.utime(part, (fetched.modified, fetched.modified))
        part.replace(parent / file.path.rpartition("/")[2])
    except BaseException:
        if not kept:
            part.unlink(missing_ok=True)
        if done:
            progress(-done)
        raise


def _new_part(parent: Path) -> Path:
    descriptor, part = tempfile.mkstemp(prefix=_PART, dir=parent)
    os.close(descriptor)
    return Path(part)


def _kept_part(parent: Path, file: RemoteFile) -> Path:
    """What is fetched of a large file; the next download of the same content goes on with it."""
    about = f"{file.path}\0{file.size}\0{file.modified}".encode("utf-8", "surrogatepass")
    part = parent / f"{_PART}{hashlib.sha256(about).hexdigest()[:16]}.part"
    os.close(os.open(part, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
    return part
