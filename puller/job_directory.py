"""The directory of one job on the site: where it is, whose it is, and what lay there before."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from job_protocol.object_keys import OWNER_MARK, SITE_CONTROL_DIR, job_id_problems
from puller.confined_tree import ConfinedTree, folder_of, has_entries
from puller.durable_file import remove_leftover
from puller.errors import StagingError, UnsafePath

_PRIVATE = 0o700
_MARK_LIMIT = 64 * 1024
_SHORT_ID = re.compile(r"[0-9a-f]{8}")
_ALLOCATION_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was found when a job directory was made ready.

    Attributes:
        resumed: whether it was already this allocation's.
        moved_to: where the directory of an earlier run was put, if there was one.
    """

    resumed: bool
    moved_to: Path | None = None


def control_directory(jobs_dir: Path, allocation_id: str) -> ConfinedTree:
    """The control directory of an allocation, readable by this user alone; made if missing.

    Raises:
        UnsafePath: the id is no id, or a link stands in the way.
        OSError: it cannot be made.
    """
    if not _ALLOCATION_ID.fullmatch(allocation_id):
        raise UnsafePath(f"{allocation_id!r} is not the id of an allocation")
    _make_private(ConfinedTree(jobs_dir, SITE_CONTROL_DIR))
    control = ConfinedTree(jobs_dir, f"{SITE_CONTROL_DIR}/alloc/{allocation_id}")
    _make_private(control)
    return control


def _make_private(tree: ConfinedTree) -> None:
    with tree.folder(create=True) as folder:
        if stat.S_IMODE(os.fstat(folder).st_mode) != _PRIVATE:
            os.fchmod(folder, _PRIVATE)


class JobDirectory:
    """`JOBS_DIR/JOB_ID`: all access to its files goes through `tree`.

    Attributes:
        job_id: the job.
        path: the absolute path, for the scheduler and for messages.
        tree: the confined access.
    """

    def __init__(self, jobs_dir: Path, job_id: str) -> None:
        """Name the directory; nothing is touched yet.

        Raises:
            UnsafePath: the job id cannot be a path below `jobs_dir`.
        """
        if problems := job_id_problems(job_id):
            raise UnsafePath(f"job {job_id!r}: {problems[0].problem}")
        self._jobs_dir = jobs_dir
        self._all_jobs = ConfinedTree(jobs_dir)
        self.job_id = job_id
        self.tree = ConfinedTree(jobs_dir, job_id)
        self.path = self.tree.path

    def owner(self) -> str | None:
        """The allocation that the directory belongs to; None without a readable mark."""
        return self._marked("allocation")

    def origin(self) -> str | None:
        """The first of the allocations that one after the other went on in the directory."""
        return self._marked("origin") or self.owner()

    def is_left_by(self, origin: str, allocation_id: str) -> bool:
        """Whether an earlier attempt than `allocation_id`, since `origin`, has left it."""
        return self.origin() == origin and self.owner() != allocation_id

    def _marked(self, name: str) -> str | None:
        try:
            mark = json.loads(self.tree.read(OWNER_MARK, _MARK_LIMIT))
        except (OSError, UnsafePath, ValueError, RecursionError):
            return None
        value = mark.get(name) if isinstance(mark, dict) else None
        return value if isinstance(value, str) else None

    def mark(self, allocation_id: str, origin: str | None) -> None:
        """Say whose the directory is.

        Args:
            allocation_id: the allocation.
            origin: see `origin`; None for the allocation itself.

        Raises:
            OSError, UnsafePath: it cannot be written.
        """
        mark = {"allocation": allocation_id, "job": self.job_id}
        if origin is not None:
            mark["origin"] = origin
        self.tree.write(OWNER_MARK, json.dumps(mark).encode() + b"\n", mode=0o644)

    def prepare(self, allocation_id: str, now: datetime, *, origin: str | None = None) -> Prepared:
        """Make the directory this allocation's own: resume it, or put what lies there aside.

        Nothing is ever deleted or overwritten: a directory of another run (or a stray file or link
        of that name) moves, by one rename, to `JOBS_DIR/.jobferry/earlier/JOB_ID/`.

        Args:
            allocation_id: the allocation that is about to be staged.
            now: the time, for the name of what is put aside.
            origin: see `mark`.

        Raises:
            StagingError: it cannot be made; the message says what stands in the way.
        """
        try:
            return self._prepare(allocation_id, now, origin)
        except (UnsafePath, OSError) as error:
            raise StagingError(
                f"job {self.job_id!r}: the job directory {self.path} cannot be made ready: "
                f"{error}; the next pass tries again",
                final=False,
            ) from error

    def _prepare(self, allocation_id: str, now: datetime, origin: str | None) -> Prepared:
        self._jobs_dir.mkdir(parents=True, exist_ok=True)
        owner = self.owner()
        if owner == allocation_id:
            return Prepared(resumed=True)
        moved_to = self._put_aside(owner, now) if self._occupied() else None
        with self.tree.folder(create=True):
            self.mark(allocation_id, origin)
        return Prepared(resumed=False, moved_to=moved_to)

    def take_place(self, staged: JobDirectory, now: datetime) -> Path | None:
        """Bring a directory of this job, staged elsewhere on the file system, here by one rename.

        What lies here is put aside as `prepare` does it.

        Args:
            staged: where it was staged.
            now: the time, for the name of what is put aside.

        Returns:
            Where the directory of an earlier run was put, if there was one.

        Raises:
            UnsafePath, OSError: it cannot be moved.
        """
        moved_to = self._put_aside(self.owner(), now) if self._occupied() else None
        with self._all_jobs.folder(folder_of(self.job_id), create=True):
            pass
        staged._all_jobs.rename(self.job_id, self._all_jobs, self.job_id)
        return moved_to

    def _occupied(self) -> bool:
        try:
            status = self._all_jobs.lstat(self.job_id)
        except FileNotFoundError:
            return False
        if not stat.S_ISDIR(status.st_mode):
            return True
        with self.tree.folder() as folder:
            remove_leftover(folder, OWNER_MARK)
            return has_entries(folder)

    def _put_aside(self, owner: str | None, now: datetime) -> Path:
        short = owner[:8] if owner and _SHORT_ID.match(owner) else "unknown"
        earlier = f"{SITE_CONTROL_DIR}/earlier/{self.job_id}"
        _make_private(ConfinedTree(self._jobs_dir, SITE_CONTROL_DIR))
        with self._all_jobs.folder(earlier, create=True):
            pass
        stem = f"{earlier}/{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{short}"
        place, number = stem, 1
        while self._exists(place):
            number += 1
            place = f"{stem}-{number}"
        self._all_jobs.rename(self.job_id, self._all_jobs, place)
        return self._jobs_dir / place

    def _exists(self, path: str) -> bool:
        try:
            self._all_jobs.lstat(path)
        except FileNotFoundError:
            return False
        return True
