"""Staging: the recorded versions of a job's inputs into its directory, in parallel, resumably.

A file comes into the control directory first and is renamed to its place when it is complete and
synced; then it is recorded. So whatever a crash leaves, the next pass fetches what is not recorded
or not as recorded, and nothing else.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from job_protocol.manifest import Entry, Manifest
from job_protocol.object_keys import (
    OWNER_MARK,
    SCRIPT,
    STATUS_WORD,
    ancestors,
    input_path_problems,
)
from puller.bucket import Bucket, VersionGone
from puller.confined_tree import ConfinedTree, folder_of
from puller.errors import StagingError, UnsafePath
from puller.fetching import Source, fetch_file, mode_of
from puller.file_record import NO_STATE, FileRecord, FileState
from puller.job_directory import JobDirectory
from puller.linking import remove_file
from puller.parallel import in_parallel
from puller.shared_cache import SharedCache

WORKERS = 16

_RECORD = "staged.jsonl"
_PARTS = "parts"
_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the quota is used up"}
_ARTIFACT_RECORD = re.compile(r"artifact-[0-9]+\.jsonl")

BAD_PATH = frozenset({errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOTDIR})
"""Errors of a path that can never be made."""


@dataclass(frozen=True, slots=True)
class StagedIndex:
    """What was staged, by which unchanged inputs are known when the job has ended.

    Attributes:
        files: the state of each input, and of each file and link of an artifact, as staged.
        folders: all folders that staging made, without a slash at the end.
        artifacts: those of the files that came with an artifact.
    """

    files: Mapping[str, FileState]
    folders: frozenset[str]
    artifacts: frozenset[str] = frozenset()

    @staticmethod
    def load(control: ConfinedTree) -> StagedIndex:
        """Read what `stage` and `stage_artifacts` left in the allocation's control directory.

        Raises:
            OSError: it cannot be read.
        """
        files = dict(FileRecord(control, _RECORD).files)
        fetched: dict[str, FileState] = {}
        for name in artifact_records(control):
            fetched |= FileRecord(control, name).files
        index = StagedIndex.of(files | fetched)
        return StagedIndex(index.files, index.folders, frozenset(fetched))

    @staticmethod
    def of(recorded: Mapping[str, FileState]) -> StagedIndex:
        """The index of recorded paths."""
        folders = {folder for path in recorded for folder in ancestors(path.removesuffix("/"))}
        folders.update(path[:-1] for path in recorded if path.endswith("/"))
        files = {path: state for path, state in recorded.items() if not path.endswith("/")}
        return StagedIndex(files, frozenset(folders))


def artifact_records(control: ConfinedTree) -> list[str]:
    """The names of the records of artifacts that are in a control directory."""
    with control.folder() as folder, os.scandir(folder) as entries:
        return sorted(e.name for e in entries if _ARTIFACT_RECORD.fullmatch(e.name))


def artifact_record(number: int) -> str:
    """The name of the record of an artifact in the control directory."""
    return f"artifact-{number}.jsonl"


def stage(
    manifest: Manifest,
    directory: JobDirectory,
    control: ConfinedTree,
    bucket: Bucket,
    *,
    cache: SharedCache | None = None,
    workers: int = WORKERS,
) -> StagedIndex:
    """Bring every input of a manifest into a prepared job directory.

    Args:
        manifest: the versions that were validated.
        directory: the job directory, prepared for the allocation.
        control: the allocation's control directory, on the same file system.
        bucket: the site's bucket.
        cache: where shared inputs are kept, on the same file system; None keeps none.
        workers: how many objects are fetched at the same time.

    Raises:
        StagingError: an input cannot be staged; `final` says whether it never can.
        CloudUnreachable: try again later; what has arrived stays.
        CloudRefused: the bucket refuses an input, perhaps this job's alone.
    """
    _refuse_bad_paths(manifest, directory.job_id)
    fetch = partial(_fetch, directory, control, bucket, cache)
    try:
        record = FileRecord(control, _RECORD)
        record.replace(_still_there(manifest, directory.tree, record))
        missing = [
            (number, entry)
            for number, entry in enumerate(manifest.entries)
            if entry.path not in record.files
        ]
        _clear_parts(control)
        with record:
            for path, state in in_parallel(fetch, missing, workers=workers):
                record.add(path, state)
        directory.tree.lstat(OWNER_MARK)
        with control.folder() as folder:
            os.rmdir(_PARTS, dir_fd=folder)
    except (OSError, UnsafePath) as error:
        raise staging_error(directory, None, error) from error
    return StagedIndex.of(record.files)


def note_modes(control: ConfinedTree, changed: Mapping[str, FileState]) -> None:
    """Record files again whose modes were changed after staging, so that they count as unchanged.

    Raises:
        OSError: it cannot be written.
    """
    record = FileRecord(control, _RECORD)
    record.replace({**record.files, **changed})


def _refuse_bad_paths(manifest: Manifest, job_id: str) -> None:
    problems = input_path_problems(job_id, (entry.path for entry in manifest.entries))
    if problems:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise StagingError(
            f"job {job_id!r}, key {first.key!r}: {first.problem}; {first.remedy} and upload "
            f"again{more}",
            final=True,
        )


def _still_there(
    manifest: Manifest, tree: ConfinedTree, record: FileRecord
) -> dict[str, FileState]:
    """The recorded files that lie in the job directory as they were recorded."""
    found: dict[str, FileState] = {}
    for entry in manifest.entries:
        state = record.files.get(entry.path)
        if state is None or entry.path.endswith("/"):
            continue
        try:
            if FileState.of(tree.lstat(entry.path)) == state:
                found[entry.path] = state
        except (OSError, UnsafePath):
            continue
    return found


def _fetch(
    directory: JobDirectory,
    control: ConfinedTree,
    bucket: Bucket,
    cache: SharedCache | None,
    numbered: tuple[int, Entry],
) -> tuple[str, FileState]:
    number, entry = numbered
    try:
        if entry.path.endswith("/"):
            with directory.tree.folder(entry.path[:-1], create=True):
                return entry.path, NO_STATE
        part = f"{_PARTS}/{number}"
        source = Source(entry.key_for(directory.job_id), entry.version, entry.size)
        # A script is small, and its mode is its own.
        shared = None if entry.key is None or entry.path == SCRIPT else cache
        if shared is None:
            state = fetch_file(source, bucket, control, part, partial(mode_of, entry.path))
        else:
            state = shared.provide(source, bucket, control, part)
        with directory.tree.folder(folder_of(entry.path), create=True):
            control.rename(part, directory.tree, entry.path)
        if shared is not None:  # a rename onto a link to the same file leaves the part (rename(2))
            remove_file(control, part)
    except VersionGone as error:
        raise StagingError(
            f"job {directory.job_id!r}: the input {entry.path!r}{_origin(entry)} was deleted, "
            f"archived or changed after the upload was accepted; upload it again, and "
            f"{STATUS_WORD} last ({error})",
            final=True,
        ) from error
    except (OSError, UnsafePath) as error:
        if cache is not None and isinstance(error, OSError) and error.errno in _FULL:
            cache.make_room()
        raise staging_error(directory, entry, error) from error
    return entry.path, state


def _origin(entry: Entry) -> str:
    return "" if entry.key is None else f" (shared, {entry.key!r})"


def staging_error(
    directory: JobDirectory, entry: Entry | None, error: OSError | UnsafePath
) -> StagingError:
    """Why the job directory could not be written, and whether it ever can be.

    Args:
        directory: the job directory.
        entry: the input that was being staged, if it was one.
        error: what went wrong.
    """
    about = f"job {directory.job_id!r}"
    if entry is not None:
        about += f", input {entry.path!r}"
    code = error.errno if isinstance(error, OSError) else None
    if code in _FULL:
        return StagingError(
            f"{about}: {_FULL[code]} ({errno.errorcode[code]}) at {directory.path}; make room, "
            "the next pass goes on where this one stopped",
            final=False,
        )
    if entry is not None and (isinstance(error, UnsafePath) or code in BAD_PATH):
        return StagingError(
            f"{about}: this path cannot be made at {directory.path} ({error}); rename the file "
            "and upload again",
            final=True,
        )
    if isinstance(error, FileNotFoundError):
        return StagingError(
            f"{about}: {directory.path} was removed while inputs were staged into it; "
            "the next pass stages them again",
            final=False,
        )
    return StagingError(
        f"{about}: cannot write to {directory.path} ({error}); the next pass tries again",
        final=False,
    )


def _clear_parts(control: ConfinedTree) -> None:
    with control.folder(_PARTS, create=True) as folder, os.scandir(folder) as leftovers:
        for leftover in leftovers:
            os.unlink(leftover.name, dir_fd=folder)
