"""The table of a sweep joins an upload."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

from job_protocol.object_keys import Problem
from job_protocol.sweep import MAX_SWEEP_BYTES, SweepError, read_sweep
from jobferry.errors import UploadRefused
from jobferry.upload_plan import LocalFile, Upload


def place_of(source: Path, table: Path) -> str:
    """The table's path in the job: as in the directory that is submitted, else its own name.

    Args:
        source: what is submitted.
        table: the file.
    """
    real, root = table.resolve(), source.resolve()
    inside = root.is_dir() and real.is_relative_to(root)
    return real.relative_to(root).as_posix() if inside else table.name


def with_sweep(upload: Upload, table: Path, place: str) -> Upload:
    """The upload with the table in it.

    Args:
        upload: what is uploaded beside it.
        table: the file.
        place: its path in the job.

    Raises:
        UploadRefused: it cannot be a sweep, or another file has its place.
    """
    try:
        with table.open("rb") as content:
            read_sweep(content.read(MAX_SWEEP_BYTES + 1))
        real = table.resolve(strict=True)
        status = real.stat()
    except OSError as error:
        raise _refused(table, f"it cannot be read ({error.strerror})", "check it") from error
    except SweepError as error:
        raise _refused(table, str(error), "correct the table") from error
    there = next((file.source for file in upload.files if file.path == place), None)
    if there is not None and there.resolve() != real:
        raise _refused(table, f"another file is uploaded as {place}", "rename one of them")
    if there is not None:
        return upload
    mode = stat.S_IMODE(status.st_mode) & 0o777
    file = LocalFile(place, real, status.st_size, mode, status.st_mtime_ns)
    files = sorted([*upload.files, file], key=lambda one: one.path)
    return replace(upload, files=tuple(files))


def _refused(table: Path, problem: str, remedy: str) -> UploadRefused:
    return UploadRefused([Problem(str(table), problem, remedy)])
