"""What a submission uploads: one walk over a directory gives the plan, or every reason against it.

Links are followed where they stay inside the directory: what the site gets are plain files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from job_protocol.object_keys import (
    MAX_KEY_BYTES,
    SCRIPT,
    SETTINGS,
    STATUS_NAMES,
    Problem,
    input_key,
    input_path_problems,
    is_log,
    job_id_problems,
)
from job_protocol.path_patterns import matcher, problem_of
from jobferry import script_check
from jobferry.errors import UploadRefused
from jobferry.stated_settings import Settings, merged

IGNORE_FILE = ".jobferryignore"


@dataclass(frozen=True, slots=True)
class LocalFile:
    """One file to upload.

    Attributes:
        path: relative to the job.
        source: where its content lies.
        size: bytes.
        mode: permission bits.
        mtime_ns: time of modification, in nanoseconds since the epoch.
    """

    path: str
    source: Path
    size: int
    mode: int
    mtime_ns: int = 0


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed document.

    Attributes:
        site: the site that it was signed for.
        document: content of `aws-job-signed.txt`.
        signature: content of `aws-job-signed.txt.sig`.
    """

    site: str
    document: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Upload:
    """Everything that one submission uploads before the mark.

    Attributes:
        job_id: the job.
        files: the files.
        folders: empty folders; each ends in `/`.
        settings: content of `aws-job.json`, unless a file of that name is uploaded as it is.
        signed: what was signed for this submission, if it was.
        chosen: whether the user chose the job id; else it was made for this submission.
    """

    job_id: str
    files: tuple[LocalFile, ...]
    folders: tuple[str, ...] = ()
    settings: bytes | None = None
    signed: Signed | None = None
    chosen: bool = True

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


def new_job_id(source: Path, now: datetime, suffix: str) -> str:
    """A job id from the name of a directory or script and the time.

    Args:
        source: what is submitted; its path must be absolute.
        now: the time, in UTC.
        suffix: tells submissions of the same second apart.
    """
    if source.is_dir():
        name = source.name
    else:
        name = source.parent.name if source.name == SCRIPT else source.stem
    return f"{name or 'job'}-{now:%Y%m%dT%H%M%SZ}-{suffix}"


def plan_upload(
    job_id: str, source: Path, settings: Settings, inputs: Sequence[Mapping[str, str]] = ()
) -> Upload:
    """Say what is uploaded for a job. Reads the tree and `aws-job.json`, uploads nothing.

    Args:
        job_id: the job.
        source: a directory with `aws-job-run.sh` in it, or a script that becomes it.
        settings: of this submission.
        inputs: rows of `inputs` in `aws-job.json`, in addition to those of the file.

    Raises:
        UploadRefused: with every reason that can be seen here; intake looks more closely.
    """
    problems = job_id_problems(job_id)
    walk = _Walk(source)
    upload = walk.run()
    problems += walk.problems
    if not walk.problems:
        script = next((file.source for file in upload.files if file.path == SCRIPT), None)
        problems += script_check.problems_here(source, script)
    paths = [file.path for file in upload.files] + list(upload.folders)
    problems += input_path_problems(job_id, [*paths, *filter(None, map(_place_of, inputs))])
    problems += [_too_long(path) for path in paths if _key_bytes(job_id, path) > MAX_KEY_BYTES]
    written = None
    try:
        written = merged(settings, _content(upload, SETTINGS), inputs)
    except OSError as error:
        problems.append(Problem(SETTINGS, f"it cannot be read ({error})", "check its permissions"))
    except UploadRefused as refused:
        problems += refused.problems
    if problems:
        raise UploadRefused(problems)
    files = upload.files
    if written is not None:
        files = tuple(file for file in files if file.path != SETTINGS)
    return replace(upload, job_id=job_id, files=files, settings=written)


def joined(
    upload: Upload, files: Sequence[LocalFile], folders: Sequence[str], *, chosen: bool
) -> Upload:
    """An upload with further files and empty folders.

    Args:
        upload: what there is.
        files: what comes to it.
        folders: empty folders that come to it.
        chosen: whether the user chose the job id.

    Raises:
        UploadRefused: two files have the same place.
    """
    paths = [file.path for file in (*upload.files, *files)]
    problems = input_path_problems(upload.job_id, paths)
    problems += (
        [
            Problem(path, "two files have this place in the job", "give one of them another one")
            for path in sorted({path for path in paths if paths.count(path) > 1})
        ]
        if files
        else []
    )
    if problems:
        raise UploadRefused(problems)
    return replace(
        upload,
        files=(*upload.files, *files),
        folders=(*upload.folders, *folders),
        chosen=chosen,
    )


def local_tree(source: Path, name: str) -> tuple[tuple[LocalFile, ...], tuple[str, ...]]:
    """The files and empty folders of something that is no job; their paths begin with `name`.

    Args:
        source: a file or a directory, by the rules of a job's directory.
        name: stands for it.

    Raises:
        UploadRefused: with every reason that can be seen here.
    """
    walk = _Walk(source)
    found = walk.run()
    if walk.problems:
        raise UploadRefused(walk.problems)
    if not source.is_dir():
        return tuple(replace(file, path=name) for file in found.files), ()
    files = tuple(replace(file, path=f"{name}/{file.path}") for file in found.files)
    folders = found.folders if files or found.folders else ("",)
    return files, tuple(f"{name}/{folder}" for folder in folders)


def without_earlier_settings(upload: Upload) -> Upload:
    """The upload for an id that ran before: the `aws-job.json` of then does not count any more."""
    if upload.settings is None and all(file.path != SETTINGS for file in upload.files):
        return replace(upload, settings=b"{}\n")
    return upload


def _place_of(row: Mapping[str, str]) -> str:
    """Where a shared input goes, as far as it is known here; empty for the job directory itself."""
    to = row["to"].removesuffix("/")
    is_folder = row["to"].endswith("/") or row["from"].endswith("/")
    return "" if to in ("", ".") else f"{to}/" if is_folder else to


def _key_bytes(job_id: str, path: str) -> int:
    return len(input_key(job_id, path).encode("utf-8", "surrogatepass"))


def _too_long(path: str) -> Problem:
    return Problem(path, f"its key has more than {MAX_KEY_BYTES} bytes", "shorten its path")


def _content(upload: Upload, path: str) -> bytes | None:
    file = next((file for file in upload.files if file.path == path), None)
    return file.source.read_bytes() if file else None


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder on the walk.

    Attributes:
        path: its path in the job, ending in `/` unless it is the root.
        real: where it really is.
        way: the real folders that led here; a link to one of them goes in a circle.
    """

    path: str
    real: Path
    way: frozenset[Path]


class _Walk:
    def __init__(self, source: Path) -> None:
        self._source = source
        self.problems: list[Problem] = []
        self._files: list[LocalFile] = []
        self._folders: list[str] = []

    def run(self) -> Upload:
        try:
            self._root = self._source.resolve(strict=True)
            if self._root.is_dir():
                self._ignored = self._read_ignore_file()
                self._walk()
            else:
                self._add(SCRIPT, self._root, self._root.stat())
        except OSError as error:
            self._problem(str(self._source), f"it cannot be read ({error.strerror})", "check it")
        return Upload(
            "",
            tuple(sorted(self._files, key=lambda file: file.path)),
            tuple(sorted(self._folders)),
        )

    def _problem(self, path: str, problem: str, remedy: str) -> None:
        self.problems.append(Problem(path, problem, remedy))

    def _read_ignore_file(self) -> Callable[[str], bool]:
        try:
            lines = (self._root / IGNORE_FILE).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return lambda _path: False
        except UnicodeDecodeError:
            self._problem(IGNORE_FILE, "it is not UTF-8", "convert it")
            return lambda _path: False
        patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        wrong = [p for p in patterns if p.startswith("!") or problem_of(p) is not None]
        for pattern in wrong:
            why = problem_of(pattern) or f"{pattern!r}: exceptions with '!' are not supported"
            self._problem(IGNORE_FILE, why, "correct that line")
        return matcher(pattern for pattern in patterns if pattern not in wrong)

    def _walk(self) -> None:
        ahead = [_Folder("", self._root, frozenset({self._root}))]
        while ahead:
            folder = ahead.pop()
            found = 0
            try:
                with os.scandir(folder.real) as entries:
                    names = sorted(entry.name for entry in entries)
            except OSError as error:
                self._problem(
                    folder.path, f"the folder cannot be read ({error.strerror})", "check it"
                )
                continue
            for name in names:
                below = self._entry(folder, name)
                found += below is not None
                if isinstance(below, _Folder):
                    ahead.append(below)
            if not found and folder.path:
                self._folders.append(folder.path)

    def _entry(self, folder: _Folder, name: str) -> _Folder | LocalFile | None:
        path = f"{folder.path}{name}"
        here = folder.real / name
        if path in STATUS_NAMES or is_log(path) or path == IGNORE_FILE or self._ignored(path):
            return None
        try:
            real = here.resolve(strict=True) if here.is_symlink() else here
            status = real.stat()
        except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself
            why = "it is a link that leads nowhere" if here.is_symlink() else f"{error}"
            self._problem(path, why, f"repair it, or name it in {IGNORE_FILE}")
            return None
        if not real.is_relative_to(self._root):
            self._problem(
                path,
                f"it is a link to {real}, which lies outside of {self._root}",
                f"copy what it leads to, or name it in {IGNORE_FILE}",
            )
            return None
        if not stat.S_ISDIR(status.st_mode):
            return self._add(path, real, status)
        if self._ignored(f"{path}/"):
            return None
        if real in folder.way:
            self._problem(
                path, "it is a link to a folder that it lies in itself", "remove the link"
            )
            return None
        return _Folder(f"{path}/", real, folder.way | {real})

    def _add(self, path: str, real: Path, status: os.stat_result) -> LocalFile | None:
        if not stat.S_ISREG(status.st_mode):
            self._problem(path, "it is no regular file", f"remove it, or name it in {IGNORE_FILE}")
            return None
        mode = stat.S_IMODE(status.st_mode) & 0o777
        file = LocalFile(path, real, status.st_size, mode, status.st_mtime_ns)
        self._files.append(file)
        return file
