"""The cache of shared inputs: each version of an object is fetched once and linked into its jobs.

`JOBS_DIR/.jobferry/cache/NAME/` holds `content` and `facts.json`, by which a change of the content
is noticed. The name is made of bucket, key and version, so what is right once is right for ever.
A file comes by one rename when it is whole; its facts are there before it.

A job gets a hard link: no copy, no link to follow, and whatever is evicted here stays with it. The
file is read-only, which stops accidents but not a job that insists: it runs as the same user. So
each use compares size and time of modification with the facts, and fetches again what differs.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from job_protocol.object_keys import SITE_CONTROL_DIR
from puller.bucket import Bucket, Fetched
from puller.confined_tree import ConfinedTree
from puller.errors import StagingError, UnsafePath
from puller.eviction import Kept, to_evict
from puller.fetching import Source, fetch_file, mode_of
from puller.file_record import FileState
from puller.linking import file_as_recorded, link_or_copy, remove_file
from puller.settings import Settings

_LOG = logging.getLogger(__name__)

CACHE = f"{SITE_CONTROL_DIR}/cache"

_CONTENT = "content"
_FACTS = "facts.json"
_SWEPT = "swept"
_FACTS_LIMIT = 64 * 1024
_DAY = 24 * 3600.0


def entry_name(bucket: str, source: Source) -> str:
    """The name in the cache of one version of one object."""
    identity = "\0".join((bucket, source.key, source.version))
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()


class SharedCache:
    """The cache of one jobs directory. Threads of one process share one instance.

    Attributes:
        tree: the confined access to it.
    """

    def __init__(
        self, jobs_dir: Path, *, keep_days: float, most_bytes: int, clock: Callable[[], float]
    ) -> None:
        """Name the cache; nothing is touched yet.

        Args:
            jobs_dir: the jobs directory.
            keep_days: days for which an unused file stays.
            most_bytes: bytes to which unused files are trimmed.
            clock: the time in seconds since the epoch.
        """
        self.tree = ConfinedTree(jobs_dir, CACHE)
        self._keep_seconds = keep_days * _DAY
        self._most_bytes = most_bytes
        self._clock = clock
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    # ---- for staging ----

    def provide(
        self, source: Source, bucket: Bucket, control: ConfinedTree, part: str
    ) -> FileState:
        """Make `part` of a control directory the content of a version, fetched if need be.

        Of threads that want the same version one fetches it and the others wait.

        Raises:
            VersionGone: the version cannot be had.
            StagingError: the cache was emptied meanwhile; try again.
            CloudUnreachable, CloudRefused: see `Bucket`.
            OSError, UnsafePath: it cannot be written.
        """
        name = entry_name(bucket.name, source)
        with self._lock_of(name):
            state = self._place(name, source, control, part)
            if state is None:
                self._fetch(name, source, bucket, control, part)
                state = self._place(name, source, control, part)
        if state is None:
            raise StagingError(
                f"the shared input {source.key!r} went from {self.tree.path} while it was being "
                "used; the next pass fetches it again",
                final=False,
            )
        return state

    def _lock_of(self, name: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(name, threading.Lock())

    def _fetch(
        self, name: str, source: Source, bucket: Bucket, control: ConfinedTree, part: str
    ) -> None:
        self.sweep(incoming=source.size)
        state = fetch_file(source, bucket, control, part, _read_only)
        facts = {
            "key": source.key,
            "version": source.version,
            "size": state.size,
            "mtime_ns": state.mtime_ns,
            "mode": state.mode,
        }
        with self.tree.folder(name, create=True) as folder:
            self.tree.write(f"{name}/{_FACTS}", json.dumps(facts).encode() + b"\n")
            control.rename(part, self.tree, f"{name}/{_CONTENT}")
            os.fsync(folder)
        _LOG.info("shared input %s (%d bytes) is in the cache", source.key, source.size)

    def _place(
        self, name: str, source: Source, control: ConfinedTree, part: str
    ) -> FileState | None:
        """The state of what was put at `part`; None if the cache has nothing that is whole."""
        facts = self._facts(name)
        if facts is None or facts.size != source.size:
            return None
        try:
            link_or_copy(self.tree, f"{name}/{_CONTENT}", control, part)
        except FileNotFoundError:
            return None
        with suppress(OSError, UnsafePath):
            if (state := file_as_recorded(control, part, facts)) is not None:
                self._note_use(name)
                return state
        _LOG.warning(
            "shared input %s was changed in %s, probably by a job that wrote into it; fetching it "
            "again. Jobs that have had it since may have read what was changed",
            source.key,
            self.tree.path / name,
        )
        remove_file(control, part)
        return None

    def _facts(self, name: str) -> FileState | None:
        try:
            facts = json.loads(self.tree.read(f"{name}/{_FACTS}", _FACTS_LIMIT))
            return FileState(int(facts["size"]), int(facts["mtime_ns"]), int(facts["mode"]))
        except (OSError, UnsafePath, ValueError, TypeError, KeyError):
            return None

    def _note_use(self, name: str) -> None:
        now = self._clock()
        with suppress(OSError, UnsafePath), self.tree.folder(name) as folder:
            os.utime(_FACTS, (now, now), dir_fd=folder, follow_symlinks=False)

    # ---- eviction ----

    def sweep_if_due(self) -> None:
        """Evict what is too old, once a day; one look at one file where nothing is due."""
        try:
            swept = self.tree.lstat(_SWEPT).st_mtime
        except (OSError, UnsafePath):
            return  # nothing was ever fetched
        if not 0 <= self._clock() - swept < _DAY:
            self.sweep()

    def make_room(self) -> None:
        """Evict all that no job directory has: the disk is full."""
        self._evict(most_bytes=0)

    def sweep(self, incoming: int = 0) -> None:
        """Evict what is too old or too much. What cannot be removed is left for the next time.

        Args:
            incoming: bytes that are about to be added.
        """
        self._evict(most_bytes=self._most_bytes, incoming=incoming)
        now = self._clock()
        with suppress(OSError, UnsafePath), self.tree.folder(create=True) as folder:
            self.tree.write(_SWEPT, b"")
            os.utime(_SWEPT, (now, now), dir_fd=folder, follow_symlinks=False)

    def _evict(self, *, most_bytes: int, incoming: int = 0) -> None:
        try:
            kept = self.kept()
        except (OSError, UnsafePath) as error:
            _LOG.warning("the cache %s cannot be looked at: %s", self.tree.path, error)
            return
        for file in to_evict(
            kept,
            now=self._clock(),
            keep_seconds=self._keep_seconds,
            most_bytes=most_bytes,
            incoming=incoming,
        ):
            with self._unless_in_use(file.name) as free:
                if free and self.discard(file.name):
                    _LOG.info("evicted %s (%d bytes) from the cache", file.name, file.size)

    @contextmanager
    def _unless_in_use(self, name: str) -> Iterator[bool]:
        lock = self._lock_of(name)
        free = lock.acquire(blocking=False)
        try:
            yield free
        finally:
            if free:
                lock.release()

    def kept(self) -> list[Kept]:
        """What the cache holds.

        Raises:
            OSError, UnsafePath: it cannot be looked at.
        """
        try:
            with self.tree.folder() as folder, os.scandir(folder) as entries:
                names = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        return [self._look_at(name) for name in sorted(names)]

    def _look_at(self, name: str) -> Kept:
        used = 0.0
        with suppress(OSError, UnsafePath):
            used = self.tree.lstat(f"{name}/{_FACTS}").st_mtime
            content = self.tree.lstat(f"{name}/{_CONTENT}")
            return Kept(name, content.st_size, used, linked=content.st_nlink > 1)
        return Kept(name, 0, used, whole=False)

    def discard(self, name: str) -> bool:
        """Remove one file of the cache, the content first; job directories keep theirs.

        Returns:
            Whether it is gone.
        """
        try:
            with self.tree.folder(name) as folder, os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name != _CONTENT):
                    os.unlink(entry.name, dir_fd=folder)
            with self.tree.folder() as folder:
                os.rmdir(name, dir_fd=folder)
        except (OSError, UnsafePath) as error:
            _LOG.warning("cannot remove %s: %s", self.tree.path / name, error)
            return False
        return True


def cache_of(settings: Settings, clock: Callable[[], float]) -> SharedCache:
    """The cache that belongs to these settings."""
    return SharedCache(
        settings.jobs_dir,
        keep_days=settings.cache_days,
        most_bytes=settings.cache_bytes,
        clock=clock,
    )


def _read_only(fetched: Fetched, start: bytes, umask: int) -> int:
    return mode_of("", fetched, start, umask) & ~0o222
