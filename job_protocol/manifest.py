"""The manifest of an upload: the exact object versions that were validated and that will run.

A small one travels inside the allocation's item, a large one as an object in the bucket: every
update of an item is charged by the whole item's size, so the item stays near one kilobyte.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass

from job_protocol.object_keys import input_key

INLINE_LIMIT = 1400
"""Bytes up to which the packed manifest lies in the item: with it, the item has two write units."""

MAX_UNPACKED = 256 * 1024 * 1024


class ManifestError(ValueError):
    """A manifest that cannot be read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One input.

    Attributes:
        path: relative to the job directory; one that ends in `/` is an empty folder.
        version: the S3 version id that was validated.
        size: bytes.
        key: the object, where it does not lie under the job's own prefix (a shared input); None
            means the key of `path` under that prefix.
    """

    path: str
    version: str
    size: int
    key: str | None = None

    def key_for(self, job_id: str) -> str:
        """The key of the object, for an input of this job."""
        return input_key(job_id, self.path) if self.key is None else self.key


@dataclass(frozen=True, slots=True)
class Manifest:
    """All inputs of one run."""

    entries: tuple[Entry, ...]

    @property
    def total_bytes(self) -> int:
        """The size of all inputs together, in bytes."""
        return sum(entry.size for entry in self.entries)

    def rows(self) -> list[list[str | int]]:
        """Path, version, size and, if it has one, key of each entry."""
        return [
            [entry.path, entry.version, entry.size, *([] if entry.key is None else [entry.key])]
            for entry in self.entries
        ]

    def to_json(self) -> bytes:
        """The form in which a large manifest lies in the bucket."""
        return json.dumps(self.rows(), ensure_ascii=False, separators=(",", ":")).encode()

    def pack(self) -> bytes:
        """The compressed form for the item."""
        return zlib.compress(self.to_json(), 9)

    @staticmethod
    def from_json(text: bytes) -> Manifest:
        """Read a manifest from the bucket.

        Raises:
            ManifestError: it is not one.
        """
        try:
            rows = json.loads(text)
            if not isinstance(rows, list):
                raise ValueError(f"a list was expected, not {str(rows)[:100]}")
            return Manifest(tuple(_entry(row) for row in rows))
        except (ValueError, TypeError, RecursionError) as error:
            raise ManifestError(f"not a manifest of inputs: {error}") from error

    @staticmethod
    def unpack(packed: bytes) -> Manifest:
        """Read a manifest from an item.

        Raises:
            ManifestError: it is not one, or it unpacks to more than 256 MiB.
        """
        engine = zlib.decompressobj()
        try:
            text = engine.decompress(packed, MAX_UNPACKED)
        except zlib.error as error:
            raise ManifestError(f"not a packed manifest of inputs: {error}") from error
        if not engine.eof:
            raise ManifestError("the packed manifest of inputs is cut short or too large")
        return Manifest.from_json(text)


def _entry(row: object) -> Entry:
    match row:
        case [str(path), str(version), int(size)] if size >= 0:
            return Entry(path, version, size)
        case [str(path), str(version), int(size), str(key)] if size >= 0 and key:
            return Entry(path, version, size, key)
    raise ValueError(f"no path, version and size: {str(row)[:100]}")
