"""What the document of a script job may say, and the messages for what is wrong with its form.

Read by hand, not by pydantic: a cold start would pay a tenth of a second for it. `Settings` alone
is read by the form of `aws-job.json`, when it is there.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from job_protocol import object_keys
from job_protocol.object_keys import Problem
from lambdas.rules.submission import AnnouncedFile, InlineFile, Submission, composite

MAX_SINGLE_PUT = 5 * 1024**3
"""Bytes that one PUT to S3 takes (Amazon S3 User Guide, "Uploading objects")."""
_MIN_PART = 5 * 1024**2
_MAX_PARTS = 10_000

_FIELDS = (
    "ID",
    "Site",
    "Datacenters",
    "Script",
    "Files",
    "Uploads",
    "Settings",
    "TaskToken",
)
_FILE_FIELDS = ("Path", "Content", "Encoding", "Mode")
_UPLOAD_FIELDS = ("Path", "Size", "SHA256", "PartSize", "PartSHA256", "Mode")
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_MODE = re.compile(r"0?[0-7]{3}")


class _Reader:
    """Collects what is wrong while a document is read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def wrong(self, place: str, problem: str, remedy: str) -> None:
        self.problems.append(Problem(place, problem, remedy))

    def known(self, place: str, given: Mapping[str, Any], fields: tuple[str, ...]) -> None:
        for name in given:
            if name not in fields:
                self.wrong(
                    f"{place}{name}", f"unknown field {name!r}", f"known are: {', '.join(fields)}"
                )

    def text(self, place: str, value: object, *, needed: bool = False) -> str | None:
        if isinstance(value, str) and value:
            try:
                value.encode()
            except UnicodeEncodeError:
                self.wrong(place, "it is no valid Unicode text", "send UTF-8")
                return None
            return value
        if value is not None or needed:
            self.wrong(place, "it must be a text that is not empty", "state it")
        return None

    def rows(self, place: str, value: object) -> list[Mapping[str, Any]]:
        if value is None:
            return []
        if isinstance(value, list) and all(isinstance(row, Mapping) for row in value):
            return value
        self.wrong(place, "it must be a list of objects", "see docs/openapi.json")
        return []

    def number(self, place: str, value: object, least: int, most: int) -> int | None:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.wrong(place, f"it must be a whole number from {least} to {most}", "correct it")
        return None

    def mode(self, place: str, value: object) -> str | None:
        if value is None or (isinstance(value, str) and _MODE.fullmatch(value)):
            return value
        self.wrong(place, 'it must be a file mode in octal, as in "0755"', "correct it")
        return None

    def checksum(self, place: str, value: object) -> str | None:
        if isinstance(value, str):
            if _HEX.fullmatch(value):
                return base64.b64encode(bytes.fromhex(value)).decode()
            try:
                raw = base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                raw = b""
            if len(raw) == 32:
                return base64.b64encode(raw).decode()
        self.wrong(
            place, "it must be a SHA-256 in hexadecimal or base64", "sha256sum FILE tells it"
        )
        return None


def read_submission(document: object) -> tuple[Submission | None, list[Problem]]:
    """Read the document of a script job.

    Args:
        document: the JSON value.

    Returns:
        The submission, None if something is wrong; and every problem with its form.
    """
    if not isinstance(document, Mapping):
        return None, [Problem("", "the body must be a JSON object", "see docs/openapi.json")]
    reader = _Reader()
    reader.known("", document, _FIELDS)
    script = reader.text("Script", document.get("Script"), needed=True) or ""
    submission = Submission(
        job_id=reader.text("ID", document.get("ID")),
        sites=_sites(reader, document),
        files=(
            InlineFile(path=object_keys.SCRIPT, content=script.encode()),
            *_inline_files(reader, document.get("Files")),
        ),
        uploads=tuple(_uploads(reader, document.get("Uploads"))),
        settings=_settings(reader, document.get("Settings")),
        task_token=reader.text("TaskToken", document.get("TaskToken")),
    )
    _unique(reader, submission)
    return (None if reader.problems else submission), reader.problems


def read_announced(document: Mapping[str, Any]) -> tuple[AnnouncedFile | None, list[Problem]]:
    """One announced file, as `Uploads` has several; None if there are problems.

    Args:
        document: the file.
    """
    reader = _Reader()
    found = _uploads(reader, [document])
    return (found[0] if found and not reader.problems else None), reader.problems


def _sites(reader: _Reader, document: Mapping[str, Any]) -> tuple[str, ...]:
    site = reader.text("Site", document.get("Site"))
    several = document.get("Datacenters")
    if several is None:
        return (site,) if site else ()
    if not isinstance(several, list) or not all(isinstance(one, str) for one in several):
        reader.wrong("Datacenters", "it must be a list of sites' names", 'as in ["dc1"]')
        return ()
    if site:
        reader.wrong("Site", "Site and Datacenters are both stated", "state one of them")
    return tuple(several)


def _settings(reader: _Reader, value: object) -> Mapping[str, Any] | None:
    if value is None or isinstance(value, Mapping):
        return value
    reader.wrong("Settings", "it must be an object, as in aws-job.json", "correct it")
    return None


def _inline_files(reader: _Reader, value: object) -> list[InlineFile]:
    found = []
    for index, row in enumerate(reader.rows("Files", value)):
        place = f"Files.{index}."
        reader.known(place, row, _FILE_FIELDS)
        path = reader.text(f"{place}Path", row.get("Path"), needed=True)
        content = _content(reader, place, row)
        mode = reader.mode(f"{place}Mode", row.get("Mode"))
        if path is not None and content is not None:
            found.append(InlineFile(path=path, content=content, mode=mode))
    return found


def _content(reader: _Reader, place: str, row: Mapping[str, Any]) -> bytes | None:
    content, encoding = row.get("Content", ""), row.get("Encoding", "utf-8")
    if not isinstance(content, str):
        reader.wrong(f"{place}Content", "it must be a text", "use Encoding base64 for bytes")
        return None
    try:
        match encoding:
            case "utf-8":
                return content.encode()
            case "base64":
                return base64.b64decode(content, validate=True)
    except ValueError:
        reader.wrong(f"{place}Content", f"it is no valid {encoding}", "correct it")
        return None
    reader.wrong(f"{place}Encoding", "it must be utf-8 or base64", "correct it")
    return None


def _uploads(reader: _Reader, value: object) -> list[AnnouncedFile]:
    found = []
    for index, row in enumerate(reader.rows("Uploads", value)):
        place = f"Uploads.{index}."
        reader.known(place, row, _UPLOAD_FIELDS)
        path = reader.text(f"{place}Path", row.get("Path"), needed=True)
        size = reader.number(f"{place}Size", row.get("Size"), 0, 5 * 1024**4)
        mode = reader.mode(f"{place}Mode", row.get("Mode"))
        if path is None or size is None:
            continue
        if row.get("PartSize") is not None or row.get("PartSHA256") is not None:
            file = _in_parts(reader, place, row, path, size)
        else:
            file = _in_one(reader, place, row, path, size)
        if file is not None:
            found.append(replace(file, mode=mode))
    return found


def _in_one(
    reader: _Reader, place: str, row: Mapping[str, Any], path: str, size: int
) -> AnnouncedFile | None:
    if size > MAX_SINGLE_PUT:
        reader.wrong(
            f"{place}Size",
            f"one PUT takes at most {MAX_SINGLE_PUT} bytes",
            "announce it in parts, with PartSize and PartSHA256",
        )
        return None
    checksum = reader.checksum(f"{place}SHA256", row.get("SHA256"))
    return None if checksum is None else AnnouncedFile(path=path, size=size, checksum=checksum)


def _in_parts(
    reader: _Reader, place: str, row: Mapping[str, Any], path: str, size: int
) -> AnnouncedFile | None:
    part_size = reader.number(f"{place}PartSize", row.get("PartSize"), _MIN_PART, MAX_SINGLE_PUT)
    sums = row.get("PartSHA256")
    if part_size is None:
        return None
    count = max(1, -(-size // part_size))
    if not isinstance(sums, list) or len(sums) != count or count > _MAX_PARTS:
        reader.wrong(
            f"{place}PartSHA256",
            f"{size} bytes in parts of {part_size} are {count} parts, at most {_MAX_PARTS}",
            "state the SHA-256 of each part, in order",
        )
        return None
    parts = [reader.checksum(f"{place}PartSHA256.{n}", one) for n, one in enumerate(sums)]
    known = tuple(one for one in parts if one is not None)
    if len(known) < count:
        return None
    return AnnouncedFile(
        path=path, size=size, checksum=composite(known), part_size=part_size, parts=known
    )


def _unique(reader: _Reader, submission: Submission) -> None:
    seen: set[str] = set()
    inline = [file.path for file in submission.files]
    for path in inline + [file.path for file in submission.uploads]:
        if path in seen:
            reader.wrong(path, "the path is stated twice", "state each file once")
        seen.add(path)
    if object_keys.SETTINGS in seen and submission.settings is not None:
        reader.wrong(object_keys.SETTINGS, "settings are stated in Settings too", "state them once")
    if object_keys.SETTINGS in {file.path for file in submission.uploads}:
        reader.wrong(object_keys.SETTINGS, "settings come with the document", "put them into Files")
