"""What a job leaves behind: one walk over its directory gives the plan of what is pushed."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass

from job_protocol.allocation import LeftOut
from job_protocol.job_settings import JobSettings
from job_protocol.object_keys import OWNER_MARK, is_log
from puller.artifact_copies import ArtifactCopies
from puller.confined_tree import ConfinedTree
from puller.errors import UnsafePath
from puller.file_record import FileState
from puller.inner_links import LinkRefused, roots_of, target_of
from puller.job_directory import JobDirectory
from puller.result_names import BY_PATTERN, EXCLUDED, name_problem, printable, selection
from puller.staging import StagedIndex
from puller.unreadable import is_passing

MOST_REPORTED = 10_000
MOST_LINKED = 100_000
"""Files that links to folders may add: links that lead to each other multiply without end."""

_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One file that is pushed.

    Attributes:
        path: its place under the job's prefix.
        source: where its content lies in the job directory: `path`, or where a link led.
        state: what the walk saw.
    """

    path: str
    source: str
    state: FileState


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPlan:
    """What is pushed at the end of an allocation.

    Attributes:
        files: new and changed files.
        folders: new empty folders; each ends in `/`.
        left_out: what is not pushed and why, at most `MOST_REPORTED` of them; what the user's own
            patterns left out comes last.
        left_out_count: how many in all; a folder that is left out whole counts as one.
        unreadable: folders that could not be read, for a reason that may pass.
    """

    files: tuple[ResultFile, ...] = ()
    folders: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    left_out_count: int = 0
    unreadable: tuple[LeftOut, ...] = ()


def plan_results(directory: JobDirectory, staged: StagedIndex, settings: JobSettings) -> ResultPlan:
    """Walk a job directory once and say what is to be pushed. Nothing is opened but folders.

    A job directory that was deleted gives an empty plan that says so.

    Args:
        directory: the job directory.
        staged: the inputs as staged; what is unchanged is not pushed.
        settings: whose `results` and `exclude` apply; the job's logs are always pushed.
    """
    walk = _Walk(directory, staged, settings)
    walk.run()
    return walk.plan()


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder on the walk.

    Attributes:
        path: its place under the job's prefix, without a slash at the end.
        source: where it really is in the job directory.
        through: the folders, as they really are, in which the links were that led here; a link to
            one of them, or to a folder above one, would go in a circle.
    """

    path: str = ""
    source: str = ""
    through: tuple[str, ...] = ()


class _Walk:
    def __init__(self, directory: JobDirectory, staged: StagedIndex, settings: JobSettings) -> None:
        self._job_id = directory.job_id
        self._tree = directory.tree
        self._roots = roots_of(directory.tree)
        self._staged = staged
        self._copies = ArtifactCopies(staged)
        self._small_artifacts = settings.small_artifacts
        self._why_not_selected = selection(settings)
        self._ahead = [_Folder()]
        self._linked = 0
        self._files: list[ResultFile] = []
        self._folders: list[str] = []
        self._left_out: list[LeftOut] = []
        self._by_pattern: list[LeftOut] = []
        self._count = 0
        self._unreadable: list[LeftOut] = []

    def plan(self) -> ResultPlan:
        return ResultPlan(
            files=tuple(sorted(self._files, key=lambda file: file.path)),
            folders=tuple(sorted(self._folders)),
            left_out=tuple((self._left_out + self._by_pattern)[:MOST_REPORTED]),
            left_out_count=self._count,
            unreadable=tuple(self._unreadable),
        )

    def run(self) -> None:
        while self._ahead:
            folder = self._ahead.pop()
            if folder.through and self._linked > MOST_LINKED:
                self._leave_out(
                    f"{folder.path}/", f"links to folders lead to more than {MOST_LINKED} files"
                )
                continue
            try:
                entries = _entries(self._tree, folder.source)
            except (OSError, UnsafePath) as error:
                self._cannot_read(folder, error)
                continue
            if folder.through:
                self._linked += len(entries)
            if not entries and folder.path:
                self._empty_folder(folder)
            for name, status in entries:
                self._entry(folder, name, status)

    def _cannot_read(self, folder: _Folder, error: OSError | UnsafePath) -> None:
        what = f"{folder.path}/" if folder.path else "."
        if is_passing(error):
            self._unreadable.append(LeftOut(printable(what), str(error)))
        elif not folder.path and isinstance(error, FileNotFoundError):
            self._leave_out(what, "the job directory was deleted before its results were pushed")
        else:
            self._leave_out(what, f"the folder cannot be read ({error})")

    def _leave_out(self, path: str, reason: str) -> None:
        self._count += 1
        listed = self._by_pattern if reason in BY_PATTERN else self._left_out
        if len(listed) < MOST_REPORTED:
            listed.append(LeftOut(printable(path), reason))

    def _entry(self, folder: _Folder, name: str, status: os.stat_result) -> None:
        path = f"{folder.path}/{name}" if folder.path else name
        source = f"{folder.source}/{name}" if folder.source else name
        if stat.S_ISLNK(status.st_mode):
            self._link(folder, path, source, status)
        elif stat.S_ISDIR(status.st_mode):
            self._enter(_Folder(path, source, folder.through))
        else:
            self._file(path, source, status)

    def _link(self, folder: _Folder, path: str, source: str, link: os.stat_result) -> None:
        if path == source and self._staged.files.get(path) == FileState.of(link):
            return  # it came with an artifact; what it leads to is looked at where it is
        if path == source and self._copies.has(path, FileState.of(link)):
            return
        try:
            target = target_of(self._tree, self._roots, source)
            status = self._tree.lstat(target)
        except (LinkRefused, OSError, UnsafePath) as error:
            self._leave_out(path, str(error))
            return
        if not stat.S_ISDIR(status.st_mode):
            self._file(path, target, status)
            return
        through = (*folder.through, folder.source)
        if any(_is_in(place, target) for place in through):
            self._leave_out(path, "a link to a folder that the link itself lies in")
        else:
            self._enter(_Folder(path, target, through))

    def _enter(self, folder: _Folder) -> None:
        path = f"{folder.path}/"
        if (reason := name_problem(self._job_id, path)) is not None:
            self._leave_out(path, reason)
        elif self._why_not_selected(path) == EXCLUDED:  # and so is everything in it
            self._leave_out(path, EXCLUDED)
        else:
            self._ahead.append(folder)

    def _file(self, path: str, source: str, status: os.stat_result) -> None:
        if path == OWNER_MARK:
            return
        if (special := _special(status.st_mode)) is not None:
            self._leave_out(path, special)
            return
        state = FileState.of(status)
        before = self._staged.files.get(path) if path == source else None
        may_be_empty_log = is_log(path) and state.size == 0
        # The mode of a shared input may be another job's doing: it is linked there too.
        linked = status.st_nlink > 1
        copied = path == source and self._copies.has(path, state)
        if copied or _as_staged(state, before, linked) or may_be_empty_log:
            state = self._seen_anew(source, state)
            if copied and self._copies.has(path, state):
                return
            untouched = _as_staged(state, before, linked)
            if may_be_empty_log and state.size == 0:
                return
            if untouched and not self._is_small_artifact(path, state):
                return
        reason = name_problem(self._job_id, path) or self._why_not_selected(path)
        if reason is not None:
            self._leave_out(path, reason)
        else:
            self._files.append(ResultFile(path, source, state))

    def _is_small_artifact(self, path: str, state: FileState) -> bool:
        small = self._small_artifacts
        return small is not None and path in self._staged.artifacts and state.size <= small

    def _seen_anew(self, source: str, state: FileState) -> FileState:
        """The state of a file after opening it.

        NFS answers a plain `stat` from a cache of up to a minute, in which a file that the job
        changed on another host still looks as it was staged; opening asks the server (nfs(5)).
        """
        try:
            descriptor = self._tree.open_file(source)
        except (OSError, UnsafePath):
            return state
        try:
            return FileState.of(os.fstat(descriptor))
        finally:
            os.close(descriptor)

    def _empty_folder(self, folder: _Folder) -> None:
        if folder.path == folder.source and (
            folder.path in self._staged.folders or self._copies.has_folder(folder.path)
        ):
            return
        path = f"{folder.path}/"
        if (reason := self._why_not_selected(path)) is not None:
            self._leave_out(path, reason)
        else:
            self._folders.append(path)


def _entries(tree: ConfinedTree, path: str) -> list[tuple[str, os.stat_result]]:
    found: list[tuple[str, os.stat_result]] = []
    with tree.folder(path) as folder, os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # a temporary file that is gone again is no result
                found.append((entry.name, entry.stat(follow_symlinks=False)))
    return sorted(found, key=lambda item: item[0])


def _as_staged(state: FileState, before: FileState | None, linked: bool) -> bool:
    if before is None:
        return False
    return state.same_content(before) if linked else state == before


def _is_in(place: str, folder: str) -> bool:
    return not folder or place == folder or place.startswith(f"{folder}/")


def _special(mode: int) -> str | None:
    return next((what for is_one, what in _SPECIAL if is_one(mode)), None)
