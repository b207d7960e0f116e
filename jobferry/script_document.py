"""The document by which a script is submitted through the API: small files in it, others announced.

Source: docs/api.md, "A script in one call". A request has at most 6 MB, and so has its answer, in
which each announced file has a URL.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from job_protocol.object_keys import SCRIPT, SETTINGS, SIGNATURE, SIGNED, Problem
from jobferry.checksums import sha256_parts
from jobferry.errors import TransferFailed, UploadRefused
from jobferry.upload_plan import LocalFile, Upload

MOST_INLINE = 3 * 1024**2
"""Bytes of all files in the document together; as base64 they are a third more."""

MOST_ANNOUNCED = 2000
PART = 64 * 1024**2
"""Bytes of a part: what is sent again at most when an upload breaks off."""
_MOST_PARTS = 1000


@dataclass(frozen=True, slots=True)
class ScriptDocument:
    """A submission.

    Attributes:
        body: the document, without the job id and the sites.
        announced: the files that are put afterwards, by their paths.
    """

    body: dict[str, Any]
    announced: dict[str, LocalFile]

    @property
    def fingerprint(self) -> str:
        """Tells this content from any other."""
        text = json.dumps(self.body, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


def script_document(upload: Upload) -> ScriptDocument:
    """The document of an upload. Reads its files.

    Raises:
        UploadRefused: the API cannot take it.
        TransferFailed: a file cannot be read.
    """
    made = _made(upload)
    inline, announced = _split(upload.files, MOST_INLINE - sum(map(len, made.values())))
    if len(announced) > MOST_ANNOUNCED:
        raise UploadRefused(
            [
                Problem(
                    str(upload.files[0].source.parent),
                    f"{len(announced)} files are too many for one request to the API",
                    "submit over S3 (--via s3), or pack them into an archive",
                )
            ]
        )
    body: dict[str, Any] = {"Script": _script(upload)}
    rows = [_inline(file.path, _content(file), file.mode) for file in inline]
    rows += [{"Path": path, **_text(content)} for path, content in made.items()]
    rows += [{"Path": folder, "Content": ""} for folder in upload.folders]
    if rows:
        body["Files"] = rows
    if announced:
        body["Uploads"] = [_announced(file) for file in announced]
    return ScriptDocument(body, {file.path: file for file in announced})


def _made(upload: Upload) -> dict[str, bytes]:
    """The files of a submission that lie nowhere, byte for byte: a signature counts for these."""
    made = {} if upload.settings is None else {SETTINGS: upload.settings}
    if upload.signed is not None:
        made |= {SIGNED: upload.signed.document, SIGNATURE: upload.signed.signature}
    if sum(map(len, made.values())) > MOST_INLINE:
        what = f"{', '.join(made)} have more than {MOST_INLINE} bytes together"
        raise UploadRefused([Problem(upload.job_id, what, "submit over S3 (--via s3)")])
    return made


def _split(files: Sequence[LocalFile], left: int) -> tuple[list[LocalFile], list[LocalFile]]:
    """The files that fit into the document, the smallest first, and the others."""
    others = [file for file in files if file.path != SCRIPT]
    inline: list[LocalFile] = []
    for file in sorted(others, key=lambda file: (file.path != SETTINGS, file.size, file.path)):
        if file.size > left:
            break
        left -= file.size
        inline.append(file)
    named = {file.path for file in inline}
    return inline, [file for file in others if file.path not in named]


def _script(upload: Upload) -> str:
    file = next(file for file in upload.files if file.path == SCRIPT)
    try:
        return _content(file).decode()
    except UnicodeDecodeError as error:
        problem = Problem(
            str(file.source), "it is no text in UTF-8", "submit it over S3 (--via s3)"
        )
        raise UploadRefused([problem]) from error


def _inline(path: str, content: bytes, mode: int) -> dict[str, Any]:
    return {"Path": path, "Mode": f"{mode:04o}", **_text(content)}


def _text(content: bytes) -> dict[str, str]:
    try:
        return {"Content": content.decode()}
    except UnicodeDecodeError:
        return {"Content": base64.b64encode(content).decode(), "Encoding": "base64"}


def _announced(file: LocalFile) -> dict[str, Any]:
    row: dict[str, Any] = {"Path": file.path, "Size": file.size, "Mode": f"{file.mode:04o}"}
    size = PART
    while -(-file.size // size) > _MOST_PARTS:
        size *= 2
    try:
        with file.source.open("rb") as content:
            if file.size <= PART:
                return {**row, "SHA256": hashlib.file_digest(content, "sha256").hexdigest()}
            return {**row, "PartSize": size, "PartSHA256": sha256_parts(content, size)}
    except OSError as error:
        raise _unreadable(file.source, error) from error


def _content(file: LocalFile) -> bytes:
    try:
        return file.source.read_bytes()
    except OSError as error:
        raise _unreadable(file.source, error) from error


def _unreadable(path: Path, error: OSError) -> TransferFailed:
    return TransferFailed(f"{path} cannot be read ({error}); the job was not submitted")
