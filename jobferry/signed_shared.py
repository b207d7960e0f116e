"""What is signed of the inputs that a job shares with others: their content, as it is now.

What lies here is hashed here. Of an object in the bucket S3 keeps the SHA-256, if it was uploaded
with one of the whole; else the object is read.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from job_protocol.file_mode import mode_of
from job_protocol.job_settings import SharedInput
from job_protocol.object_keys import SETTINGS, Problem
from job_protocol.settings_document import SettingsDocumentError, read_settings
from job_protocol.shared_places import key_of, place_of
from job_protocol.signed_manifest import SignedInput
from jobferry.aws_errors import is_missing, typed_errors
from jobferry.errors import SigningFailed, UploadRefused
from jobferry.shared_inputs import SharedUpload
from jobferry.upload_plan import Upload

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SharedObject:
    """An object that a job shares with others.

    Attributes:
        key: its key.
        sha256: of the content, in lower-case hex; None for an empty folder.
        mode: its permission bits, if its metadata says so.
    """

    key: str
    sha256: str | None
    mode: int | None


Look = Callable[[SharedInput], Iterable[SharedObject]]
"""Finds the objects of a row of `inputs` in the bucket."""


def signed_shared(
    upload: Upload, uploads: Sequence[SharedUpload], look: Look, bucket: str | None = None
) -> tuple[SignedInput, ...]:
    """The shared inputs of an upload, as they are signed.

    Args:
        upload: the upload, with its settings.
        uploads: what is uploaded for it beside the job.
        look: finds what is in the bucket.
        bucket: the site's bucket, which a row may name; None if it is not known here.

    Raises:
        UploadRefused: its settings cannot be read.
        SigningFailed: there is no such object, or a file cannot be read.
    """
    found: list[SignedInput] = []
    for stated in _rows(upload):
        key = None if bucket is None else key_of(stated.source, bucket)
        row = replace(stated, source=key) if key else stated
        objects = list(_local(row, uploads)) or list(look(row))
        placed = [(place_of(row.source, row.to, one.key), one) for one in objects]
        signed = [
            SignedInput(path, one.sha256, one.mode if one.sha256 is not None else None)
            for path, one in placed
            if path is not None
        ]
        if not signed:
            raise SigningFailed(f"there is no object {row.source!r} whose content could be signed")
        found += signed
    return tuple(found)


def _rows(upload: Upload) -> tuple[SharedInput, ...]:
    body = upload.settings
    if body is None:
        source = next((file.source for file in upload.files if file.path == SETTINGS), None)
        if source is None:
            return ()
        body = source.read_bytes()
    try:
        return read_settings(body).inputs
    except SettingsDocumentError as error:
        raise UploadRefused([Problem(SETTINGS, str(error), "correct it")]) from error


def _local(row: SharedInput, uploads: Sequence[SharedUpload]) -> Iterator[SharedObject]:
    """What is uploaded from here for a row; nothing if it is in the bucket already."""
    for upload in uploads:
        if not row.source.startswith(upload.prefix):
            continue
        for file in upload.files:
            key = f"{upload.prefix}{file.path}"
            if key == row.source or (row.source.endswith("/") and key.startswith(row.source)):
                try:
                    with file.source.open("rb") as content:
                        digest = hashlib.file_digest(content, "sha256").hexdigest()
                except OSError as error:
                    raise SigningFailed(f"{file.source} cannot be read ({error})") from error
                yield SharedObject(key, digest, file.mode)
        for folder in upload.folders:
            key = f"{upload.prefix}{folder}"
            if key.startswith(row.source):
                yield SharedObject(key, None, None)


def objects_of(client: Any, bucket: str, row: SharedInput) -> Iterator[SharedObject]:
    """The objects of a row of `inputs` in a bucket, with their SHA-256.

    Args:
        client: a boto3 S3 client.
        bucket: the site's bucket.
        row: the row.

    Raises:
        JobferryError: the bucket cannot be read.
    """
    with typed_errors(f"read s3://{bucket}/{row.source}"):
        if not row.source.endswith("/"):
            yield from _object(client, bucket, row.source, row.version)
            return
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=row.source)
        for page in pages:
            for found in page.get("Contents", ()):
                if found["Key"].endswith("/"):
                    yield SharedObject(found["Key"], None, None)
                elif place_of(row.source, row.to, found["Key"]) is not None:
                    yield from _object(client, bucket, found["Key"], None)


def _object(client: Any, bucket: str, key: str, version: str | None) -> Iterator[SharedObject]:
    which = {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
    try:
        head = client.head_object(**which, ChecksumMode="ENABLED")
    except client.exceptions.ClientError as error:
        if is_missing(error):
            return
        raise
    yield SharedObject(key, kept_sha256(head) or _read(client, which), mode_of(head["Metadata"]))


def kept_sha256(head: dict[str, Any]) -> str | None:
    """The SHA-256 of the whole object, if S3 keeps it; that of parts has `-N` at its end."""
    kept = head.get("ChecksumSHA256")
    if not kept or "-" in kept or head.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    return base64.b64decode(kept).hex()


def _read(client: Any, which: dict[str, str]) -> str:
    digest = hashlib.sha256()
    with client.get_object(**which)["Body"] as body:
        for chunk in iter(lambda: body.read(_CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()
