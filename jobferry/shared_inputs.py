"""Inputs that many jobs share: what `--input FROM=TO` means, and what is uploaded for it once.

`FROM` is an object of the site's bucket (`s3://BUCKET/KEY`, or its key), or a file or directory
here. What lies here is uploaded to `shared/SHA256/NAME`, named after its content: the second job
that wants it finds it there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from job_protocol.object_keys import MAX_KEY_BYTES, Problem, input_path_problems
from job_protocol.shared_places import URL
from jobferry.errors import UploadRefused, UsageError
from jobferry.upload_plan import LocalFile, local_tree

PREFIX = "shared"

Wish = tuple[str | Path, str]
"""A shared input as a user states it: `FROM` and `TO`."""


@dataclass(frozen=True, slots=True)
class SharedUpload:
    """A file or directory that is uploaded unless it is there already.

    Attributes:
        prefix: the keys' common beginning; it ends in `/`.
        files: the files; their paths are relative to `prefix`.
        folders: empty folders below it; each ends in `/`.
    """

    prefix: str
    files: tuple[LocalFile, ...]
    folders: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    def changed(self) -> list[Path]:
        """The files that are not as they were before the prefix was named after their content."""
        found: list[Path] = []
        for file in self.files:
            try:
                status = file.source.stat()
                same = (status.st_size, status.st_mtime_ns) == (file.size, file.mtime_ns)
            except OSError:
                same = False
            if not same:
                found.append(file.source)
        return found


@dataclass(frozen=True, slots=True)
class SharedPlan:
    """What the wishes of one submission come to.

    Attributes:
        inputs: the rows of `inputs` in `aws-job.json`.
        uploads: what has to be in the bucket before.
    """

    inputs: tuple[dict[str, str], ...] = ()
    uploads: tuple[SharedUpload, ...] = ()


def parse_wish(text: str) -> Wish:
    """`FROM=TO` of the command line; the last `=` counts.

    Raises:
        UsageError: it is not of this form.
    """
    source, equals, to = text.rpartition("=")
    if not (source and equals):
        raise UsageError(f"{text!r}: write FROM=TO, for example s3://BUCKET/shared/mesh.h5=mesh.h5")
    return source, to


def as_own(wishes: Sequence[Wish]) -> tuple[list[Wish], tuple[LocalFile, ...], tuple[str, ...]]:
    """Wishes for what lies here as files and folders of the job itself, and the other wishes.

    For a way to the jobs that has no place for what many jobs share.

    Raises:
        UploadRefused: with a reason that can be seen here.
    """
    others: list[Wish] = []
    files: list[LocalFile] = []
    folders: list[str] = []
    for source, to in wishes:
        local = _local(source)
        if local is None:
            others.append((source, to))
            continue
        folder = "" if to in (".", "./") else to.removesuffix("/")
        is_folder = local.is_dir() or to.endswith("/") or not folder
        name = folder if not is_folder else "/".join(filter(None, (folder, local.name)))
        found, empty = local_tree(local.resolve(), name)
        if local.is_dir():  # what is in it comes to the place, without its own name
            at = f"{folder}/" if folder else ""
            found = tuple(replace(f, path=f"{at}{f.path.removeprefix(f'{name}/')}") for f in found)
            empty = tuple(f"{at}{one.removeprefix(f'{name}/')}" for one in empty)
        files += found
        folders += [one for one in empty if one]
    return others, tuple(files), tuple(folders)


def plan_shared(wishes: Sequence[Wish], bucket: str | None) -> SharedPlan:
    """Say what is uploaded and what `aws-job.json` names. Reads what lies here, uploads nothing.

    Args:
        wishes: what the user states.
        bucket: the site's bucket; None if it is not known here.

    Raises:
        UploadRefused: with every reason that can be seen here.
    """
    inputs: list[dict[str, str]] = []
    uploads: dict[str, SharedUpload] = {}
    problems: list[Problem] = []
    for source, to in wishes:
        try:
            local = _local(source)
            if local is None:
                key = _key(str(source), bucket)
            else:
                upload, key = _upload_of(local)
                uploads[upload.prefix] = upload
            inputs.append({"from": key, "to": to})
        except UploadRefused as refused:
            problems += refused.problems
        except OSError as error:
            problems.append(Problem(str(source), f"it cannot be read ({error})", "check it"))
    if problems:
        raise UploadRefused(problems)
    return SharedPlan(tuple(inputs), tuple(uploads.values()))


def _local(source: str | Path) -> Path | None:
    """The file or directory that `FROM` names here; None if it is a key."""
    if isinstance(source, str) and source.startswith(URL):
        return None
    path = Path(source)
    if path.exists():
        return path
    if isinstance(source, Path) or source.startswith(("/", "./", "../", "~")):
        raise UploadRefused([Problem(str(source), "there is no such file here", "correct it")])
    return None


def _key(source: str, bucket: str | None) -> str:
    """What `from` says: a key, or as it stands where the API alone knows the bucket."""
    if not source.startswith(URL):
        return source
    other, _, key = source.removeprefix(URL).partition("/")
    if bucket is not None and other != bucket:
        remedy = f"copy it there: aws s3 cp {source} {URL}{bucket}/{PREFIX}/"
        raise UploadRefused([Problem(source, f"it is not in the site's bucket {bucket}", remedy)])
    if not key:
        raise UploadRefused([Problem(source, "it names no object", f"write {URL}{other}/KEY")])
    return source if bucket is None else key


def _upload_of(local: Path) -> tuple[SharedUpload, str]:
    """What is uploaded for a local file or directory, and the key that names it."""
    real = local.resolve(strict=True)
    name = local.absolute().name
    name = real.name if name in ("", "..") else name
    files, folders = local_tree(real, name)
    digest = hashlib.sha256()
    if real.is_dir():
        for file in files:
            line = f"{file.path}\0{file.mode:o}\0{_sha256(file.source)}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
        for folder in folders:
            digest.update(f"{folder}\n".encode("utf-8", "surrogateescape"))
        content = digest.hexdigest()
    else:
        content = _sha256(real)
    prefix = f"{PREFIX}/{content}/"
    paths = [*(file.path for file in files), *folders]
    problems = input_path_problems(f"{PREFIX}/{content}", paths)
    problems += [
        Problem(path, f"its key has more than {MAX_KEY_BYTES} bytes", "shorten its path")
        for path in paths
        if len(f"{prefix}{path}".encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES
    ]
    if problems:
        raise UploadRefused(problems)
    return SharedUpload(prefix, files, folders), f"{prefix}{name}{'/' if real.is_dir() else ''}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
