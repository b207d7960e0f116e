"""A versioned bucket in memory, with switches for what goes wrong in a real one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO

from puller.bucket import BaseVersion, Fetched, FileRange, VersionGone


@dataclass
class StoredObject:
    content: bytes
    metadata: dict[str, str]


@dataclass
class MemoryBucket:
    name: str = "bucket"
    versions: dict[tuple[str, str], StoredObject] = field(default_factory=dict)
    latest: dict[str, str] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    sent: int = 0
    before_fetch: Callable[[str], None] = lambda key: None
    before_put: Callable[[str], None] = lambda key: None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def store(self, key: str, content: bytes, metadata: Mapping[str, str] | None = None) -> str:
        with self._lock:
            version = f"v{len(self.versions)}"
            self.versions[key, version] = StoredObject(content, dict(metadata or {}))
            self.latest[key] = version
            return version

    def content(self, key: str) -> bytes:
        return self.versions[key, self.latest[key]].content

    def metadata(self, key: str) -> dict[str, str]:
        return self.versions[key, self.latest[key]].metadata

    def fetch(self, key: str, version: str, size: int, target: IO[bytes]) -> Fetched:
        self.before_fetch(key)
        if (key, version) not in self.versions:
            raise VersionGone(f"{key} {version}")
        stored = self.versions[key, version]
        target.write(stored.content)
        with self._lock:
            self.fetched.append(key)
        return Fetched(modified=1_700_000_000.0, metadata=stored.metadata)

    def read(self, key: str, limit: int) -> bytes:
        if key not in self.latest:
            raise VersionGone(key)
        return self.content(key)

    def put(self, key: str, content: bytes, metadata: Mapping[str, str]) -> str:
        self.before_put(key)
        with self._lock:
            self.written.append(key)
            self.sent += len(content)
        return self.store(key, content, metadata)

    def put_file(self, key: str, source: FileRange, metadata: Mapping[str, str]) -> None:
        self.before_put(key)
        content = source.read()
        with self._lock:
            self.written.append(key)
            self.sent += len(content)
        self.store(key, content, metadata)

    def put_grown(
        self, key: str, base: BaseVersion | None, tail: FileRange, metadata: Mapping[str, str]
    ) -> str:
        start = b""
        if base is not None:
            if (key, base.version) not in self.versions:
                raise VersionGone(f"{key} {base.version}")
            start = self.versions[key, base.version].content
            assert len(start) == base.size
        content = tail.read()
        with self._lock:
            self.written.append(key)
            self.sent += len(content)
        return self.store(key, start + content, metadata)
