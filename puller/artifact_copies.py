"""Copies of artifacts in the folders of an array's elements: known by what they are copies of.

The artifacts of a job with several elements are fetched once, and its run script copies them into
the folder of each element, with their modes and times. Such a copy is an unchanged input like the
artifact itself.
"""

from __future__ import annotations

from job_protocol.element_files import SHARED_ARTIFACTS, inside_element
from puller.file_record import FileState
from puller.staging import StagedIndex

_SHARED = f"{SHARED_ARTIFACTS}/"


class ArtifactCopies:
    """What the folder of any element may hold of artifacts."""

    def __init__(self, staged: StagedIndex) -> None:
        """Look at what was staged: the folder of shared artifacts has one for each group."""
        self._files: dict[str, set[FileState]] = {}
        for path, state in staged.files.items():
            if path.startswith(_SHARED):
                _, _, inside = path.removeprefix(_SHARED).partition("/")
                self._files.setdefault(inside, set()).add(state)
        folders = (one for one in staged.folders if one.startswith(_SHARED))
        self._folders = {one.removeprefix(_SHARED).partition("/")[2] for one in folders}

    def has(self, path: str, state: FileState) -> bool:
        """Whether a file or link is an unchanged copy.

        Args:
            path: relative to the job directory.
            state: as it now is.
        """
        return bool(self._files) and any(
            state in self._files.get(inside, ()) for inside in inside_element(path)
        )

    def has_folder(self, path: str) -> bool:
        """Whether an empty folder came with an artifact."""
        return bool(self._folders) and any(
            inside in self._folders for inside in inside_element(path)
        )
