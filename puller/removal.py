"""Which job directories may go, and how: one rename under the pass's lock, then at leisure.

A directory is first moved to `JOBS_DIR/.jobferry/removing/`. What lies there has been decided
on, so that a removal that was interrupted is gone on with. Only the moving keeps passes waiting.
"""

from __future__ import annotations

import os
import shutil
import stat
import uuid
from collections.abc import Mapping
from pathlib import Path

from job_protocol.object_keys import SITE_CONTROL_DIR
from puller.confined_tree import ConfinedTree, has_entries
from puller.errors import UnsafePath
from puller.job_directories import (
    EARLIER,
    MarkedDirectory,
    mark_of,
    marked_directories,
)
from puller.journal import Journal
from puller.pass_lock import between_passes
from puller.settings import Settings

REMOVING = f"{SITE_CONTROL_DIR}/removing"
_CONTROL = f"{SITE_CONTROL_DIR}/alloc"

Dated = tuple[MarkedDirectory, int]
"""A directory, and when its allocation's end was published, in seconds since the epoch."""


class Removal:
    """The removal of directories of one site."""

    def __init__(self, settings: Settings, finished: Mapping[str, int]) -> None:
        """Prepare.

        Args:
            settings: the site's settings.
            finished: when each allocation's end was published, in seconds since the epoch.
        """
        self._settings = settings
        self._finished = finished
        self._tree = ConfinedTree(settings.jobs_dir)

    def plan(self, before: float) -> list[Dated]:
        """The directories that may go.

        Args:
            before: their ends must have been published before, in seconds since the epoch.
        """
        if not self._settings.jobs_dir.is_dir():
            return []
        held_allocations, held_jobs = self._held()
        return [
            (directory, self._finished[directory.allocation])
            for directory in marked_directories(self._settings.jobs_dir)
            if self._finished.get(directory.allocation, before) < before
            and directory.in_its_place
            and directory.allocation not in held_allocations
            and (directory.earlier or directory.job not in held_jobs)
        ]

    def put_aside(self, wanted: list[Dated], *, wait: float) -> list[Dated]:
        """Move the directories out of the way; returns those that were moved.

        Args:
            wanted: what `plan` found.
            wait: seconds to wait for a pass at work to end.

        Raises:
            PullerError: a pass is at work all the time.
        """
        if not wanted:
            return []
        self._make_room()
        with between_passes(self._settings, wait):
            held_allocations, held_jobs = self._held()
            return [
                (directory, at)
                for directory, at in wanted
                if directory.allocation not in held_allocations
                and (directory.earlier or directory.job not in held_jobs)
                and self._move(directory)
            ]

    def put_aside_within_pass(self, wanted: list[MarkedDirectory]) -> list[MarkedDirectory]:
        """Move the directories out of the way, in the pass that holds the lock.

        The caller knows that nothing here uses them. Returns those that were moved.
        """
        if not wanted:
            return []
        self._make_room()
        return [directory for directory in wanted if self._move(directory)]

    def _make_room(self) -> None:
        with self._tree.folder(REMOVING, create=True):
            pass

    def delete_put_aside(self) -> list[str]:
        """Delete what was moved out of the way, now or by an earlier call; returns problems."""
        problems: list[str] = []
        try:
            with self._tree.folder(REMOVING) as folder, os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries)
        except (FileNotFoundError, UnsafePath):
            return []
        for name in names:
            path = self._settings.jobs_dir / REMOVING / name
            try:
                _delete(path)
            except OSError as error:
                problems.append(f"cannot remove {path}: {error}; call again once it is mended")
        return problems

    def _held(self) -> tuple[set[str], set[str]]:
        """Ids and jobs of the allocations that the journal still holds."""
        records = Journal(self._settings.state).records()
        unread = {path.stem for path in (self._settings.state / "journal").glob("*.json")}
        return {r.id for r in records} | unread, {r.allocation.job for r in records}

    def _move(self, directory: MarkedDirectory) -> bool:
        if mark_of(self._tree, directory.path, earlier=directory.earlier) != directory:
            return False
        if not self._rename(directory.path):
            return False
        self._rename(f"{_CONTROL}/{directory.allocation}")  # a crash may have left it
        if directory.earlier:
            self._remove_empty_parents(directory.path)
        return True

    def _rename(self, path: str) -> bool:
        try:
            self._tree.rename(path, self._tree, f"{REMOVING}/{uuid.uuid4()}")
        except (OSError, UnsafePath):
            return False
        return True

    def _remove_empty_parents(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        while parent.startswith(f"{EARLIER}/"):
            above, _, name = parent.rpartition("/")
            try:
                with self._tree.folder(parent) as folder:
                    if has_entries(folder):
                        return
                with self._tree.folder(above) as folder:
                    os.rmdir(name, dir_fd=folder)
            except (OSError, UnsafePath):
                return
            parent = above


def _delete(path: Path) -> None:
    """Delete a tree. A job may have taken the write permission from its own folders."""
    if not stat.S_ISDIR(path.lstat().st_mode):
        path.unlink()
        return
    path.chmod(stat.S_IRWXU)
    for folder, names, _ in os.walk(path):
        for child in (Path(folder, name) for name in names):
            if not child.is_symlink():
                child.chmod(stat.S_IRWXU)
    shutil.rmtree(path)
