"""The single file of this checkout, built once for each state of its sources."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.puller_file.build import PACKAGES, build, install_libraries, write

_FORMAT = "1"
"""Part of every hash: raise it when the file is put together in another way."""


@dataclass(frozen=True, slots=True)
class PullerFile:
    """A built file.

    Attributes:
        path: where it lies.
        sha256: its SHA-256, in hex.
    """

    path: Path
    sha256: str


def puller_file(checkout: Path) -> PullerFile:
    """The single file of a checkout; built only if it is not there yet.

    Raises:
        BuildError: it cannot be put together.
    """
    folder = checkout / "build" / "puller-file" / _source_hash(checkout)[:16]
    path = folder / "jobferry-puller"
    if not path.exists():
        with tempfile.TemporaryDirectory(prefix="jobferry-puller-") as scratch:
            libraries = Path(scratch, "lib")
            install_libraries(libraries, checkout / "requirements" / "puller.txt")
            write(build(libraries, checkout), path)
    return PullerFile(path, hashlib.sha256(path.read_bytes()).hexdigest())


def _source_hash(checkout: Path) -> str:
    digest = hashlib.sha256(_FORMAT.encode())
    sources = [checkout / "requirements" / "puller.txt", checkout / "LICENSE"]
    for folder in (*PACKAGES, "tools/puller_file"):
        sources += sorted(path for path in (checkout / folder).rglob("*") if path.is_file())
    for path in sources:
        if path.suffix != ".pyc":
            content = path.read_bytes()
            digest.update(f"{path.relative_to(checkout)} {len(content)} ".encode())
            digest.update(content)
    return digest.hexdigest()
