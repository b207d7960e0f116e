"""What lies in the folder that an archive or a repository was unpacked into, before it is used."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from puller.archives import Limits, plain_path
from puller.confined_tree import ConfinedTree
from puller.errors import ArtifactRefused
from puller.file_record import NO_STATE, FileState
from puller.inner_links import LinkRefused, target_of


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file, link or folder.

    Attributes:
        path: relative to the tree; a folder's ends in `/`.
        state: of a file, or of a link itself.
    """

    path: str
    state: FileState


def entries_of(tree: ConfinedTree, limits: Limits) -> list[TreeEntry]:
    """All files, links and folders below a folder; every link leads to something in it.

    Raises:
        ArtifactRefused: a link leads outside or to nothing, or something else must not be there.
        OSError: the folder cannot be read.
    """
    found: list[TreeEntry] = []
    ahead = [""]
    size = 0
    while ahead:
        folder = ahead.pop()
        for name, status in _listed(tree, folder):
            path = plain_path(f"{folder}{name}")
            if stat.S_ISDIR(status.st_mode):
                ahead.append(f"{path}/")
                found.append(TreeEntry(f"{path}/", NO_STATE))
                continue
            if stat.S_ISLNK(status.st_mode):
                _examine_link(tree, path)
            elif not stat.S_ISREG(status.st_mode):
                raise ArtifactRefused(f"{path!r} is a device or a named pipe")
            size += status.st_size
            found.append(TreeEntry(path, FileState.of(status)))
        if len(found) > limits.members or size > limits.size:
            raise ArtifactRefused(
                f"it has more than {limits.members} files or {limits.size} bytes; the latter is "
                "the site's max_artifact_bytes"
            )
    return sorted(found, key=lambda entry: entry.path)


def _listed(tree: ConfinedTree, folder: str) -> list[tuple[str, os.stat_result]]:
    with tree.folder(folder.rstrip("/")) as descriptor, os.scandir(descriptor) as entries:
        return [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]


def _examine_link(tree: ConfinedTree, path: str) -> None:
    try:
        tree.lstat(target_of(tree, (), path))
    except (LinkRefused, FileNotFoundError) as error:
        raise ArtifactRefused(f"{path!r} is not taken: {error}") from error
