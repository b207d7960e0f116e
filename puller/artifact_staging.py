"""Fetches one artifact into its place in a job directory; safe to repeat.

It is fetched and unpacked in a work folder of the control directory. When it is complete and
examined, what it consists of is recorded, then moved file by file to its place. So whatever a crash
leaves, the next pass either goes on moving what the record names or begins the artifact anew; and
the record is by what unchanged artifacts are known when the job has ended.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from itertools import starmap

from job_protocol.artifact_plan import ArtifactPlan, Checksum
from job_protocol.artifact_source import (
    GitSource,
    HttpSource,
    S3Source,
    own_object,
)
from job_protocol.object_keys import input_path_problems
from puller.archives import Limits, plain_path, unpack
from puller.artifact_git import GitCheckouts
from puller.artifact_hosts import ArtifactHosts
from puller.artifact_http import HttpDownloads
from puller.artifact_part import FILE, ArtifactPart
from puller.artifact_tree import entries_of
from puller.cloud.s3_artifacts import S3Artifacts
from puller.confined_tree import ConfinedTree, folder_of, name_of
from puller.errors import ArtifactRefused, ArtifactUnavailable, UnsafePath
from puller.fetching import default_mode
from puller.file_record import FileRecord, FileState
from puller.job_directory import JobDirectory
from puller.staging import artifact_record

_WORK = "artifacts"
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactSources:
    """How this site fetches.

    Attributes:
        hosts: from where it may.
        http, s3, git: by what means.
        bucket: the site's own bucket, which may always be read.
        max_bytes: bytes of one artifact, packed or unpacked.
        patience: seconds for which one that cannot be fetched is tried again.
    """

    hosts: ArtifactHosts
    http: HttpDownloads
    s3: S3Artifacts
    git: GitCheckouts
    bucket: str
    max_bytes: int
    patience: float


class ArtifactStaging:
    """One artifact on its way.

    Its work folder holds the file that is fetched (`download`), what it is unpacked into
    (`fetched`), and what is to be moved (`tree`): relative to the destination, like the record.
    """

    def __init__(
        self,
        number: int,
        plan: ArtifactPlan,
        directory: JobDirectory,
        control: ConfinedTree,
        sources: ArtifactSources,
    ) -> None:
        self._plan = plan
        self._prefix = f"{plan.folder}/" if plan.folder else ""
        self._directory = directory
        self._sources = sources
        self._record = FileRecord(control, artifact_record(number))
        self._work = control.inside(f"{_WORK}/{number}")
        self._fetched = self._work.inside("fetched")
        self._tree = self._work.inside("tree")
        self._limits = Limits(sources.max_bytes)

    def files(self) -> set[str]:
        """The paths in the job directory that are this artifact's."""
        return {path for path in self._record.files if not path.endswith("/")}

    # ---- move ----

    def settle(self) -> bool:
        """Move what is recorded to its place; whether then all of it is there."""
        if not self._record.files or not all(starmap(self._settle, self._record.files.items())):
            return False
        self._work.remove()
        return True

    def _settle(self, path: str, state: FileState) -> bool:
        target = self._directory.tree
        if path.endswith("/"):
            with target.folder(path[:-1], create=True):
                return True
        if _state(target, path) == state:
            return True
        source = path.removeprefix(self._prefix)
        if _state(self._tree, source) != state:
            return False
        with target.folder(folder_of(path), create=True):
            self._tree.rename(source, target, path)
        return True

    # ---- fetch ----

    def fetch(self, taken: Collection[str]) -> None:
        """Fetch it, examine it, record it, move it.

        Args:
            taken: the paths that it may not replace.

        Raises:
            ArtifactRefused, ArtifactUnavailable: see `puller.errors`.
            OSError: it cannot be written.
        """
        self._record.replace({})
        self._tree.remove()
        self._fetched.remove()
        with self._work.folder(create=True):
            pass
        self._arrange(self._bring())
        found = {
            f"{self._prefix}{entry.path}": entry.state
            for entry in entries_of(self._tree, self._limits)
        }
        if not found:
            raise ArtifactRefused("there is nothing in it")
        self._refuse_taken(found, taken)
        self._record.replace(found)
        if not self.settle():
            raise ArtifactUnavailable("its files changed while they were moved to their place")

    def _bring(self) -> float | None:
        """Fetch and unpack; when the source was modified, if it is one file and known."""
        plan, own = self._plan, None
        if isinstance(plan.origin, GitSource):
            self._sources.git.fetch(plan.origin, self._fetched)
            return None
        if isinstance(plan.origin, HttpSource):
            if not plan.headers:
                own = own_object(plan.origin.url, self._sources.bucket)
            if own is None:
                modified = self._sources.http.fetch(plan.origin.url, plan.headers, self._part)
                self._unpack()
                return modified
            return self._bring_object(own)
        if plan.origin.bucket != self._sources.bucket:
            self._sources.hosts.check_bucket(plan.origin.bucket)
        if not plan.origin.key or plan.origin.key.endswith("/"):
            self._bring_objects(plan.origin)
            return None
        return self._bring_object(plan.origin)

    @property
    def _part(self) -> ArtifactPart:
        return ArtifactPart(self._work, self._sources.max_bytes, self._sources.patience)

    def _bring_object(self, source: S3Source) -> float:
        _size, modified = self._write_object(source, self._work, FILE)
        self._unpack()
        return modified

    def _bring_objects(self, source: S3Source) -> None:
        size = 0
        for key in self._sources.s3.below(source, self._limits.members):
            path = plain_path(key.removeprefix(source.key))
            folder = path if key.endswith("/") else folder_of(path)
            with self._fetched.folder(folder, create=True):
                pass
            if path and not key.endswith("/"):
                one = S3Source(source.bucket, key, None, source.region)
                more, modified = self._write_object(one, self._fetched, path)
                _finish(self._fetched, path, modified)
                size += more
                self._part.check(size)

    def _write_object(self, source: S3Source, tree: ConfinedTree, path: str) -> tuple[int, float]:
        found = self._sources.s3.find(source)
        self._part.check(found.size)
        with tree.folder(folder_of(path)) as folder, suppress(FileNotFoundError):
            os.unlink(name_of(path), dir_fd=folder)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        with os.fdopen(tree.open_file(path, flags, mode=0o777), "w+b") as file:
            return found.size, self._sources.s3.fetch(source, found, file)

    # ---- examine ----

    def _unpack(self) -> None:
        """Compare the file that was fetched with its checksum, and unpack it."""
        if self._plan.checksum is not None:
            _compare(self._work, self._plan.checksum)
        if self._plan.form is not None:
            with os.fdopen(self._work.open_file(FILE), "rb") as file:
                unpack(file, self._plan.form, self._fetched, self._limits)

    def _arrange(self, modified: float | None) -> None:
        """Make `tree` of what was fetched."""
        if self._plan.file is None:
            root = self._fetched.inside(self._plan.subfolder)
            try:
                root.lstat()
            except (FileNotFoundError, NotADirectoryError):
                raise ArtifactRefused(
                    f"there is no folder {self._plan.subfolder!r} in it"
                ) from None
            whole = f"fetched/{self._plan.subfolder}".rstrip("/")
            self._work.rename(whole, self._work, "tree")
            return
        with self._tree.folder(create=True):
            pass
        if self._plan.form is None:
            _finish(self._work, FILE, modified)
            self._work.rename(FILE, self._tree, self._plan.file)
            return
        files = [e.path for e in entries_of(self._fetched, self._limits) if e.path[-1] != "/"]
        if len(files) != 1 or stat.S_ISLNK(self._fetched.lstat(files[0]).st_mode):
            raise ArtifactRefused(f"mode file, and there are {len(files)} files in it: state any")
        self._fetched.rename(files[0], self._tree, self._plan.file)

    def _refuse_taken(self, found: Collection[str], taken: Collection[str]) -> None:
        for path in found:
            if path in taken and not path.endswith("/"):
                raise ArtifactRefused(
                    f"it would replace {path!r}, an input or another artifact; choose another "
                    "destination"
                )
        if problems := input_path_problems(self._directory.job_id, (*taken, *found)):
            first = problems[0]
            raise ArtifactRefused(f"{first.key!r}: {first.problem}; {first.remedy}")


def _state(tree: ConfinedTree, path: str) -> FileState | None:
    try:
        return FileState.of(tree.lstat(path))
    except (OSError, UnsafePath):
        return None


def _compare(work: ConfinedTree, checksum: Checksum) -> None:
    digest = hashlib.new(checksum.algorithm, usedforsecurity=False)
    with os.fdopen(work.open_file(FILE), "rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    if digest.hexdigest() != checksum.digest:
        raise ArtifactRefused(
            f"its {checksum.algorithm} is {digest.hexdigest()}, not {checksum.digest}: it is not "
            "the file that the job names"
        )


def _finish(tree: ConfinedTree, path: str, modified: float | None) -> None:
    """Give a file that was made with 0o777 less the umask its mode and time, for good."""
    with os.fdopen(tree.open_file(path, os.O_RDWR), "r+b") as file:
        descriptor = file.fileno()
        umask = 0o777 & ~os.fstat(descriptor).st_mode
        os.fchmod(descriptor, default_mode(os.pread(descriptor, 4, 0), umask))
        if modified is not None:
            whole = int(modified) * 1_000_000_000
            os.utime(descriptor, ns=(whole, whole))
        os.fsync(descriptor)
