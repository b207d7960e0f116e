"""Whether what lies in a staged job directory is what was signed: every byte, and nothing else."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from job_protocol.file_mode import MODE_METADATA
from job_protocol.object_keys import OWNER_MARK, SIGNATURE_NAMES, ancestors
from job_protocol.signed_manifest import SignedInput
from puller.bucket import Fetched
from puller.confined_tree import ConfinedTree
from puller.errors import Refused, UnsafePath
from puller.fetching import mode_of
from puller.file_record import FileState
from puller.parallel import in_parallel

WORKERS = 4
_UNLISTED = SIGNATURE_NAMES | {OWNER_MARK}


def check_staged(
    tree: ConfinedTree,
    inputs: tuple[SignedInput, ...],
    umask: int,
    *,
    differing: frozenset[str] = frozenset(),
) -> dict[str, FileState]:
    """Compare a staged directory with what was signed, and give files the signed modes.

    Args:
        tree: the directory.
        inputs: what was signed for the job.
        umask: the puller's.
        differing: paths of further files that may be there, whose content is judged elsewhere.

    Returns:
        The new states of the files whose modes were not as signed.

    Raises:
        Refused: something differs; the message names it.
        OSError: it cannot be read.
    """
    signed = {one.path for one in inputs} | differing
    allowed = {folder for path in signed for folder in ancestors(path.removesuffix("/"))}
    allowed |= {path[:-1] for path in signed if path.endswith("/")}
    found = dict(_walk(tree))
    for path, status in found.items():
        _check_kind(path, status, signed, allowed)
    files = [one for one in inputs if one.sha256 is not None]
    for one in files:
        if one.path not in found:
            raise Refused(f"input {one.path!r} was signed and is not there")
    files += [SignedInput(path) for path in sorted(differing & found.keys())]
    changed: dict[str, FileState] = {}
    for path, state in in_parallel(partial(_check_file, tree, umask), files, workers=WORKERS):
        if state is not None:
            changed[path] = state
    for one in inputs:
        if one.path.endswith("/"):
            with tree.folder(one.path[:-1], create=True):
                pass
    return changed


def sha256_of(tree: ConfinedTree, path: str) -> str:
    """The SHA-256 of a file, in hex.

    Raises:
        UnsafePath, OSError: it cannot be read.
    """
    with os.fdopen(tree.open_file(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_kind(path: str, status: os.stat_result, signed: set[str], allowed: set[str]) -> None:
    if stat.S_ISDIR(status.st_mode):
        if path not in allowed:
            raise Refused(f"folder {path + '/'!r} is not in what was signed")
    elif path not in signed:
        raise Refused(f"input {path!r} is not in what was signed")
    elif not stat.S_ISREG(status.st_mode):
        raise Refused(f"input {path!r} is no regular file")


def _check_file(tree: ConfinedTree, umask: int, one: SignedInput) -> tuple[str, FileState | None]:
    try:
        descriptor = tree.open_file(one.path)
    except (UnsafePath, IsADirectoryError) as error:
        raise Refused(f"input {one.path!r} is no regular file: {error}") from error
    with os.fdopen(descriptor, "rb") as file:
        if one.sha256 not in (None, hashlib.file_digest(file, "sha256").hexdigest()):
            raise Refused(f"input {one.path!r} is not what was signed")
        metadata = {} if one.mode is None else {MODE_METADATA: f"{one.mode:03o}"}
        wanted = mode_of(one.path, Fetched(0.0, metadata), os.pread(descriptor, 4, 0), umask)
        if stat.S_IMODE(os.fstat(descriptor).st_mode) == wanted:
            return one.path, None
        os.fchmod(descriptor, wanted)
        return one.path, FileState.of(os.fstat(descriptor))


def _walk(tree: ConfinedTree) -> Iterator[tuple[str, os.stat_result]]:
    ahead = [""]
    while ahead:
        above = ahead.pop()
        with tree.folder(above) as folder, os.scandir(folder) as entries:
            found = []
            for entry in entries:
                with suppress(FileNotFoundError):
                    found.append((entry.name, entry.stat(follow_symlinks=False)))
        for name, status in sorted(found, key=lambda row: row[0]):
            path = f"{above}/{name}" if above else name
            if path in _UNLISTED and stat.S_ISREG(status.st_mode):
                continue
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                ahead.append(path)
