"""Puts the single file together: the same input gives the same bytes.

The file is a zip archive behind a `#!` line. It holds the puller, boto3 and what boto3 needs, each
at the version and hash of `requirements/puller.txt`, and botocore's data of the services that the
puller or its credentials use; the other four hundred services would make up most of it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tools.puller_file.unpacking import LIBRARY

CHECKOUT = Path(__file__).resolve().parents[2]
SHEBANG = b"#!/usr/bin/env python3\n"

_SERVICES = {"dynamodb", "s3", "signin", "sso", "sso-oidc", "sts"}
"""Table, bucket, and what credentials come from."""

_ENDPOINTS = f"{LIBRARY}botocore/data/endpoints.json"
_ENDPOINTS_OF = {*_SERVICES, "oidc", "portal.sso"}
"""By the prefixes of their host names, which the single sign-on's differ in."""

PACKAGES = ("job_protocol", "puller")
_NOT_IN_A_DISTRIBUTION = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json"}
"""What pip notes about an installation."""

_TIME = (1980, 1, 1, 0, 0, 0)


class BuildError(Exception):
    """The file cannot be put together."""


def build(libraries: Path, checkout: Path = CHECKOUT) -> bytes:
    """The single file.

    Args:
        libraries: a folder with boto3 and what it needs, as `install_libraries` makes it.
        checkout: the source of the puller.
    """
    here = Path(__file__).parent
    members = {
        "__main__.py": (here / "entry.py").read_bytes(),
        "unpacking.py": (here / "unpacking.py").read_bytes(),
        f"{LIBRARY}LICENSE": (checkout / "LICENSE").read_bytes(),
    }
    for package in PACKAGES:
        for path in _files(checkout / package):
            members[f"{LIBRARY}{path.relative_to(checkout).as_posix()}"] = path.read_bytes()
    for path in _files(libraries):
        relative = path.relative_to(libraries)
        if _is_needed(relative):
            members[f"{LIBRARY}{relative.as_posix()}"] = path.read_bytes()
    members[_ENDPOINTS] = _trimmed(members[_ENDPOINTS])
    return _archive(members)


def _trimmed(endpoints: bytes) -> bytes:
    """The endpoints of the services that are there: every pass reads this file."""
    document = json.loads(endpoints)
    for partition in document["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in services if name in _ENDPOINTS_OF}
    return json.dumps(document, indent=1).encode()


def install_libraries(target: Path, requirements: Path) -> None:
    """Install the locked libraries into a folder; pip checks each one's hash.

    Raises:
        BuildError: pip failed, or a library has compiled parts, which fit one Python only.
    """
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--require-hashes", "--no-deps", "--no-compile", "--only-binary", ":all:"),
            *("--target", str(target), "--requirement", str(requirements)),
        ],
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(f"pip could not install {requirements}")
    if compiled := [path for path in target.rglob("*") if path.suffix in (".so", ".pyd")]:
        raise BuildError(f"{compiled[0]} is compiled: the file would not run with every Python")


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            yield path


def _is_needed(relative: Path) -> bool:
    parts = relative.parts
    if parts[0] == "bin" or parts[:2] in (("boto3", "data"), ("boto3", "examples")):
        return False
    if parts[0].endswith(".dist-info"):
        return parts[-1] not in _NOT_IN_A_DISTRIBUTION
    if parts[:2] == ("botocore", "data") and len(parts) > 3:
        return parts[2] in _SERVICES
    return True


def _archive(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    file.write(SHEBANG)
    with zipfile.ZipFile(file, "w") as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, members[name], compresslevel=9)
    return file.getvalue()


def write(content: bytes, output: Path) -> str:
    """Write the file atomically, executable, and its SHA-256 beside it; returns the SHA-256."""
    digest = hashlib.sha256(content).hexdigest()
    output.parent.mkdir(parents=True, exist_ok=True)
    for path, data, mode in (
        (output, content, 0o755),
        (output.with_name(f"{output.name}.sha256"), f"{digest}  {output.name}\n".encode(), 0o644),
    ):
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as target:
            target.write(data)
            os.fchmod(target.fileno(), mode)
        Path(temporary).replace(path)
    return digest
