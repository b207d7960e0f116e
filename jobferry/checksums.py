"""Whether a file is what S3 says of it: whole checksums, and those of parts.

Source: Amazon S3 User Guide, "Checking object integrity": the composite checksum of an object of N
parts is that of the parts' checksums one after the other, followed by `-N`.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Checksum:
    """What S3 keeps of an object's content.

    Attributes:
        algorithm: `SHA256`, `CRC32`, ...
        value: in base64; of parts, with `-N` at its end.
        part_size: bytes of each part but the last, if it has parts.
    """

    algorithm: str
    value: str
    part_size: int | None = None


def agrees(content: IO[bytes], size: int, checksum: Checksum) -> bool | None:
    """Whether a file has the checksum; None if this cannot be told here.

    Args:
        content: the file; it is read from its beginning.
        size: bytes that it should have.
        checksum: what S3 keeps.
    """
    if checksum.algorithm not in _DIGESTS:
        return None
    digest = _DIGESTS[checksum.algorithm]
    content.seek(0)
    value, _, count = checksum.value.partition("-")
    if not count:
        return _base64(digest(_chunks(content, size))) == value
    part = checksum.part_size
    if not part or not count.isdecimal() or -(-size // part) != int(count):
        return None
    sums = [digest(_chunks(content, part)) for _ in range(int(count))]
    return _base64(digest(iter([b"".join(sums)]))) == value


def sha256_parts(content: IO[bytes], part_size: int) -> list[str]:
    """The SHA-256 of each part of a file, in hexadecimal; an empty file is one part.

    Args:
        content: the file, at its beginning.
        part_size: bytes of each part but the last.
    """
    sums: list[str] = []
    while True:
        first = content.read(1)
        if not first and sums:
            return sums
        digest = hashlib.sha256(first)
        for chunk in _chunks(content, part_size - 1):
            digest.update(chunk)
        sums.append(digest.hexdigest())


def _chunks(content: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := content.read(min(_CHUNK, size))):
        size -= len(chunk)
        yield chunk


def _sha256(chunks: Iterator[bytes]) -> bytes:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()


def _crc32(chunks: Iterator[bytes]) -> bytes:
    value = 0
    for chunk in chunks:
        value = zlib.crc32(chunk, value)
    return value.to_bytes(4, "big")


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


_DIGESTS: dict[str, Callable[[Iterator[bytes]], bytes]] = {"SHA256": _sha256, "CRC32": _crc32}
"""The algorithms that Python has; S3's others need libraries."""
