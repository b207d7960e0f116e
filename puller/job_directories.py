"""The job directories below the jobs directory, present and earlier ones, by their marks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from job_protocol.object_keys import OWNER_MARK, SITE_CONTROL_DIR, job_id_problems
from puller.confined_tree import ConfinedTree
from puller.errors import UnsafePath

EARLIER = f"{SITE_CONTROL_DIR}/earlier"
_MARK_LIMIT = 64 * 1024
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedDirectory:
    """A directory that says which allocation it belongs to.

    Attributes:
        path: below the jobs directory.
        job: the job of the mark.
        allocation: the allocation of the mark.
        earlier: whether it was put aside for a later run.
    """

    path: str
    job: str
    allocation: str
    earlier: bool

    @property
    def in_its_place(self) -> bool:
        """Whether it lies where the puller put it, and is no copy that somebody made."""
        place = self.path.removeprefix(f"{EARLIER}/").rpartition("/")[0]
        return self.job == (place if self.earlier else self.path)


def marked_directories(jobs_dir: Path) -> Iterator[MarkedDirectory]:
    """Every marked directory. Nothing inside one is looked at, and no link is followed."""
    for top in ("", EARLIER):
        yield from _below(ConfinedTree(jobs_dir), top, bool(top), 0)


def directories_of(jobs_dir: Path, job: str) -> list[MarkedDirectory]:
    """The marked directories of one job, the present one and earlier ones, in their places."""
    if job_id_problems(job):
        return []
    tree = ConfinedTree(jobs_dir)
    earlier = f"{EARLIER}/{job}"
    found = [mark_of(tree, job, earlier=False)]
    try:
        with tree.folder(earlier) as folder, os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except (OSError, UnsafePath):
        names = []
    found += [mark_of(tree, f"{earlier}/{name}", earlier=True) for name in names]
    return [
        marked
        for marked in found
        if marked is not None and marked.job == job and marked.in_its_place
    ]


def mark_of(tree: ConfinedTree, path: str, *, earlier: bool) -> MarkedDirectory | None:
    """The mark of one directory; None if it has none that can be read."""
    try:
        mark = json.loads(tree.read(f"{path}/{OWNER_MARK}", _MARK_LIMIT))
        job, allocation = mark["job"], mark["allocation"]
    except (OSError, UnsafePath, ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(job, str) or not isinstance(allocation, str):
        return None
    return MarkedDirectory(path=path, job=job, allocation=allocation, earlier=earlier)


def _below(tree: ConfinedTree, path: str, earlier: bool, depth: int) -> Iterator[MarkedDirectory]:
    if depth > _MAX_DEPTH:
        return
    try:
        with tree.folder(path) as folder, os.scandir(folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and (path or entry.name != SITE_CONTROL_DIR)
            )
    except (OSError, UnsafePath):
        return
    for name in names:
        child = f"{path}/{name}" if path else name
        marked = mark_of(tree, child, earlier=earlier)
        if marked is not None:
            yield marked
        elif not _has_mark(tree, child):
            yield from _below(tree, child, earlier, depth + 1)


def _has_mark(tree: ConfinedTree, path: str) -> bool:
    """Whether a mark is there, even one that cannot be read."""
    try:
        tree.lstat(f"{path}/{OWNER_MARK}")
    except (OSError, UnsafePath):
        return False
    return True
