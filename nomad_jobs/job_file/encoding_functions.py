"""HCL functions that encode, hash, and work with times."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

from nomad_jobs.job_file.durations import nanoseconds
from nomad_jobs.job_file.values import number, to_text

_NAMESPACES = {
    "dns": uuid.NAMESPACE_DNS,
    "url": uuid.NAMESPACE_URL,
    "oid": uuid.NAMESPACE_OID,
    "x500": uuid.NAMESPACE_X500,
}
_DATE_PART = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")
_DATE_PARTS: dict[str, Callable[[datetime], str]] = {
    "YYYY": lambda t: f"{t.year:04}",
    "YY": lambda t: f"{t.year % 100:02}",
    "MMMM": lambda t: t.strftime("%B"),
    "MMM": lambda t: t.strftime("%b"),
    "MM": lambda t: f"{t.month:02}",
    "M": lambda t: str(t.month),
    "DD": lambda t: f"{t.day:02}",
    "D": lambda t: str(t.day),
    "EEEE": lambda t: t.strftime("%A"),
    "EEE": lambda t: t.strftime("%a"),
    "hh": lambda t: f"{t.hour:02}",
    "h": lambda t: str(t.hour),
    "HH": lambda t: f"{(t.hour + 11) % 12 + 1:02}",
    "H": lambda t: str((t.hour + 11) % 12 + 1),
    "AA": lambda t: "AM" if t.hour < 12 else "PM",
    "aa": lambda t: "am" if t.hour < 12 else "pm",
    "mm": lambda t: f"{t.minute:02}",
    "m": lambda t: str(t.minute),
    "ss": lambda t: f"{t.second:02}",
    "s": lambda t: str(t.second),
    "ZZZZZ": lambda t: _offset(t, ":"),
    "ZZZZ": lambda t: _offset(t, ""),
    "ZZZ": lambda t: "UTC" if not t.utcoffset() else _offset(t, ""),
    "Z": lambda t: "Z" if not t.utcoffset() else _offset(t, ":"),
}


def _offset(time: datetime, separator: str) -> str:
    text = time.strftime("%z")
    return f"{text[:3]}{separator}{text[3:5]}"


def _time(text: Any) -> datetime:
    stated = to_text(text)
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", stated):
        raise ValueError(f"{stated[:40]!r} is no time such as 2026-01-31T12:00:00Z")
    return datetime.fromisoformat(stated.upper())


def _formatdate(pattern: Any, time: Any) -> str:
    stated, moment = to_text(pattern), _time(time)
    pieces: list[str] = []
    end = 0
    for match in _DATE_PART.finditer(stated):
        if match.start() != end:
            break
        end = match.end()
        if match[2] is not None and match.group() not in _DATE_PARTS:
            raise ValueError(f"{match.group()[:40]!r} is no part of a date")
        if match[2] is not None:
            pieces.append(_DATE_PARTS[match.group()](moment))
        else:
            quoted = match[1]
            pieces.append(match.group() if quoted is None else quoted.replace("''", "'"))
    if end != len(stated):
        raise ValueError("a quote in the format is not closed")
    return "".join(pieces)


def _timeadd(time: Any, duration: Any) -> str:
    moved = _time(time) + timedelta(microseconds=nanoseconds(to_text(duration)) // 1000)
    text = moved.isoformat(timespec="seconds")
    return text.replace("+00:00", "Z") if moved.tzinfo in (UTC, None) else text


def _jsonencode(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    for char in "<>&\u2028\u2029":  # as Go writes them
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _whole(digits: str) -> int:
    if len(digits) > 160:
        raise ValueError("a number with too many digits")
    return int(number(int(digits)))


def _jsondecode(text: Any) -> Any:
    return json.loads(
        to_text(text),
        parse_constant=_no_constant,
        parse_int=_whole,
        parse_float=lambda digits: number(float(digits)),
    )


def _csvdecode(text: Any) -> list[dict[str, str]]:
    try:
        rows = list(csv.reader(io.StringIO(to_text(text), newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(f"this is no CSV: {error}") from None
    if not rows:
        raise ValueError("the first line must name the columns")
    head, *body = [row for row in rows if row]
    if len(set(head)) != len(head):
        raise ValueError("a column's name comes twice")
    if any(len(row) != len(head) for row in body):
        raise ValueError(f"a row has not {len(head)} columns as the first line")
    return [dict(zip(head, row, strict=True)) for row in body]


def _base64decode(text: Any) -> str:
    try:
        return base64.b64decode(to_text(text), validate=True).decode()
    except UnicodeDecodeError:
        raise ValueError("the decoded bytes are no UTF-8 text") from None


def _uuidv5(namespace: Any, name: Any) -> str:
    stated = to_text(namespace)
    return str(uuid.uuid5(_NAMESPACES.get(stated) or uuid.UUID(stated), to_text(name)))


def _hash(algorithm: str) -> Callable[[Any], str]:
    def apply(text: Any) -> str:
        return hashlib.new(algorithm, to_text(text).encode(), usedforsecurity=False).hexdigest()

    return apply


FUNCTIONS: dict[str, tuple[int, int | None, Callable[..., Any]]] = {
    "base64decode": (1, 1, _base64decode),
    "base64encode": (1, 1, lambda text: base64.b64encode(to_text(text).encode()).decode()),
    "csvdecode": (1, 1, _csvdecode),
    "formatdate": (2, 2, _formatdate),
    "jsondecode": (1, 1, _jsondecode),
    "jsonencode": (1, 1, _jsonencode),
    "md5": (1, 1, _hash("md5")),
    "sha1": (1, 1, _hash("sha1")),
    "sha256": (1, 1, _hash("sha256")),
    "sha512": (1, 1, _hash("sha512")),
    "timeadd": (2, 2, _timeadd),
    "urlencode": (1, 1, lambda text: quote_plus(to_text(text))),
    "uuidv5": (2, 2, _uuidv5),
}
