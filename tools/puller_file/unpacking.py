"""Unpacks the single file once into a private folder, and starts the puller from there.

botocore reads its data as ordinary files, and Python keeps compiled modules beside ordinary ones:
so the content lies in `~/.cache/jobferry/puller/SHA256/`, made by one rename when it is whole. A
folder that has lost files since (a clean-up of caches, a power cut) is made again. What only
unpacking needs is imported there: a pass starts every minute.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NoReturn

LIBRARY = "lib/"
"""What lies below this in the archive is unpacked."""

CACHE_VARIABLE = "JOBFERRY_PULLER_CACHE"
_INSTALLED = ("site-packages", "dist-packages")
_CONTENTS = ".contents"
_UNUSED_SECONDS = 14 * 86400
_DAY = 86400
_MISCONFIGURED = 3


class CacheUnusable(Exception):
    """The folder to unpack into cannot be made or is not this user's alone."""


def run() -> NoReturn:
    """Unpack what this module was imported from, if need be, and run the puller."""
    try:
        folder = unpacked(Path(__file__).parent.resolve(), cache_folder(os.environ), time.time())
    except (CacheUnusable, OSError) as error:
        sys.stderr.write(
            f"jobferry-puller: cannot unpack itself: {error}. Make room, or name a folder of "
            f"yours in the environment variable {CACHE_VARIABLE}\n"
        )
        sys.exit(_MISCONFIGURED)
    # What happens to be installed here neither disturbs the puller nor costs it time.
    sys.path[:] = [str(folder), *(name for name in sys.path if not name.endswith(_INSTALLED))]
    from puller.command import main

    sys.exit(main())


def cache_folder(environment: Mapping[str, str]) -> Path:
    """The folder of all unpacked versions."""
    if own := environment.get(CACHE_VARIABLE):
        return Path(own)
    base = environment.get("XDG_CACHE_HOME", "")
    cache = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return cache / "jobferry" / "puller"


def unpacked(archive: Path, cache: Path, now: float) -> Path:
    """The folder with the archive's content.

    Args:
        archive: the single file.
        cache: the folder of all unpacked versions; made if missing.
        now: seconds since the epoch.

    Raises:
        CacheUnusable: a folder belongs to somebody else or is open to others.
        OSError: it cannot be unpacked (disk full, quota).
    """
    content = archive.read_bytes()
    folder = cache / hashlib.sha256(content).hexdigest()
    if not _is_whole(folder):
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_unused(cache, now)
        _put(content, folder)
    elif now - folder.stat().st_mtime > _DAY:
        with suppress(OSError):
            os.utime(folder)
    return folder


def _is_whole(folder: Path) -> bool:
    """Whether every file is there in its size.

    Raises:
        CacheUnusable: somebody else could change it.
    """
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return False
    private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
    if not private or status.st_uid != os.geteuid():
        raise CacheUnusable(f"{folder} is not a folder of yours alone (mode 0700); remove it")
    try:
        lines = (folder / _CONTENTS).read_text(encoding="utf-8").splitlines()
        sizes = [line.split(" ", 1) for line in lines]
        return bool(sizes) and all(
            Path(folder, name).stat().st_size == int(size) for size, name in sizes
        )
    except (OSError, ValueError):
        return False


def _put(content: bytes, folder: Path) -> None:
    """Unpack beside the place, and move it there in one step."""
    import shutil
    import tempfile

    temporary = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder.parent))
    try:
        sizes = _extract(content, temporary)
        listing = "".join(f"{size} {name}\n" for name, size in sizes.items())
        _write(temporary / _CONTENTS, listing.encode())
        with suppress(FileNotFoundError):  # one that has lost files goes out of the way
            broken = tempfile.mkdtemp(prefix=".broken-", dir=folder.parent)
            folder.rename(Path(broken, "old"))
        try:
            temporary.rename(folder)
        except OSError:
            if not _is_whole(folder):  # else another process was faster
                raise
    finally:
        for left in (temporary, *folder.parent.glob(".broken-*")):
            shutil.rmtree(left, ignore_errors=True)


def _extract(content: bytes, target: Path) -> dict[str, int]:
    import io
    import zipfile

    sizes = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist():
            name = member.filename.removeprefix(LIBRARY)
            if name == member.filename or name.endswith("/"):
                continue
            if ".." in PurePosixPath(name).parts or name.startswith("/"):
                raise CacheUnusable(f"the archive has a member {member.filename!r}")
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, archive.read(member))
            sizes[name] = member.file_size
    return sizes


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _remove_unused(cache: Path, now: float) -> None:
    """Remove versions that nobody has started for weeks; a used one is touched every day."""
    import shutil

    for entry in cache.iterdir():
        with suppress(OSError):
            if now - entry.lstat().st_mtime > _UNUSED_SECONDS:
                shutil.rmtree(entry, ignore_errors=True)
