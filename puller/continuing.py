"""Going on in the job directory of an earlier allocation, as a further attempt at an array does.

What the elements that completed have left there stays: nothing is put aside, and no input that is
still there is staged again, since an element may have changed it. All of it counts as known: the
earlier allocation has pushed its results, so only what changes from now on is a result of this one.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from job_protocol.manifest import Manifest
from job_protocol.object_keys import OWNER_MARK, SCRIPT
from puller.confined_tree import ConfinedTree
from puller.errors import StagingError, UnsafePath
from puller.file_record import NO_STATE, FileRecord, FileState
from puller.job_directory import JobDirectory
from puller.staging import StagedIndex

_KEPT = "kept.jsonl"


def go_on(directory: JobDirectory, origin: str, allocation_id: str, control: ConfinedTree) -> None:
    """Make an earlier allocation's directory this one's, with what lies in it.

    What lies there is recorded before the mark names the new owner, so that after a crash in
    between it is recorded once more, and nothing has run yet.

    Args:
        directory: the job directory, which an earlier attempt has left.
        origin: the first of these attempts.
        allocation_id: the new owner.
        control: the new owner's control directory.

    Raises:
        StagingError: it cannot be read or marked now.
    """
    try:
        FileRecord(control, _KEPT).replace(_all_below(directory.tree))
        directory.mark(allocation_id, origin)
    except (UnsafePath, OSError) as error:
        raise StagingError(
            f"job {directory.job_id!r}: cannot go on in {directory.path}: {error}; the next pass "
            "tries again",
            final=False,
        ) from error


def missing_of(manifest: Manifest, control: ConfinedTree, sweep: str | None = None) -> Manifest:
    """The inputs that have to be staged: the script, and what was not there to begin with.

    Args:
        manifest: all inputs.
        control: the allocation's control directory.
        sweep: the path of the job's sweep: like the script, it is always the user's own.
    """
    kept, own = FileRecord(control, _KEPT).files, (SCRIPT, sweep)
    return Manifest(tuple(e for e in manifest.entries if e.path in own or e.path not in kept))


def known_files(control: ConfinedTree) -> StagedIndex:
    """What was there or was staged, by which results are told from what is unchanged.

    Raises:
        OSError: it cannot be read.
    """
    staged = StagedIndex.load(control)
    kept = StagedIndex.of(FileRecord(control, _KEPT).files)
    return StagedIndex(
        {**kept.files, **staged.files}, kept.folders | staged.folders, staged.artifacts
    )


def _all_below(tree: ConfinedTree) -> dict[str, FileState]:
    """All regular files and folders; links are none, since what they lead to is."""
    found: dict[str, FileState] = {}
    ahead = [""]
    while ahead:
        folder = ahead.pop()
        with tree.folder(folder) as descriptor, os.scandir(descriptor) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        found[f"{path}/"] = NO_STATE
                        ahead.append(path)
                    elif stat.S_ISREG(status.st_mode) and path != OWNER_MARK:
                        found[path] = FileState.of(status)
    return found
