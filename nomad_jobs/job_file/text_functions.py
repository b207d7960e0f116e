"""HCL functions on strings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from nomad_jobs.job_file.budget import CHARACTERS_PER_UNIT
from nomad_jobs.job_file.values import (
    is_number,
    number_to_text,
    to_bool,
    to_list,
    to_number,
    to_text,
    to_whole,
)

_VERB = re.compile(
    r"%(?P<flags>[-+ 0#]*)(?P<width>[0-9]*)(?:\.(?P<precision>[0-9]*))?"
    r"(?:\[(?P<index>[0-9]+)\])?(?P<verb>.)",
    re.DOTALL,
)
_MAX_WIDTH = 1024
_SPACE = " \t\n\v\f\r\x85\xa0"


def _substr(text: Any, offset: Any, length: Any) -> str:
    characters, start, count = to_text(text), to_whole(offset), to_whole(length)
    start = max(0, start + len(characters)) if start < 0 else start
    return characters[start:] if count < 0 else characters[start : start + count]


def _title(text: Any) -> str:
    return re.sub(r"(?<![\w'])\w", lambda match: match.group().upper(), to_text(text))


def _indent(spaces: Any, text: Any) -> str:
    return to_text(text).replace("\n", "\n" + " " * max(0, to_whole(spaces)))


def _join(separator: Any, *lists: Any) -> str:
    return to_text(separator).join(to_text(item) for part in lists for item in to_list(part))


def _split(separator: Any, text: Any) -> list[str]:
    between, whole = to_text(separator), to_text(text)
    return whole.split(between) if between else list(whole)


def _replace(text: Any, old: Any, new: Any) -> str:
    return to_text(text).replace(to_text(old), to_text(new))


def _chomp(text: Any) -> str:
    return to_text(text).rstrip("\r\n")


def _quoted(value: Any) -> str:
    return json.dumps(to_text(value), ensure_ascii=False)


def _shown(value: Any) -> str:
    if isinstance(value, str | bool) or is_number(value):
        return to_text(value)
    if value is None:
        return "null"
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _float(code: str) -> Callable[[Any, str], str]:
    return lambda value, precision: format(float(to_number(value)), f".{precision or 6}{code}")


def _integer(code: str) -> Callable[[Any, str], str]:
    return lambda value, _: format(to_whole(value), code)


def _hex(code: str) -> Callable[[Any, str], str]:
    def show(value: Any, _: str) -> str:
        if isinstance(value, str):
            text = value.encode().hex()
            return text.upper() if code == "X" else text
        return format(to_whole(value), code)

    return show


_VERBS: dict[str, Callable[[Any, str], str]] = {
    "s": lambda value, precision: to_text(value)[: int(precision) if precision else None],
    "q": lambda value, _: _quoted(value),
    "v": lambda value, _: _shown(value),
    "t": lambda value, _: to_text(to_bool(value)),
    "d": _integer("d"),
    "b": _integer("b"),
    "o": _integer("o"),
    "x": _hex("x"),
    "X": _hex("X"),
    "e": _float("e"),
    "E": _float("E"),
    "f": _float("f"),
    "g": lambda value, precision: (
        format(float(to_number(value)), f".{precision}g")
        if precision
        else number_to_text(to_number(value))
    ),
}


def _padded(text: str, match: re.Match[str], value: Any) -> str:
    flags, width = match["flags"], int(match["width"] or 0)
    if is_number(value) and match["verb"] in "dfeEgxXob" and not text.startswith("-"):
        text = "+" + text if "+" in flags else " " + text if " " in flags else text
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags and is_number(value):
        return text.zfill(width)
    return text.rjust(width)


def _format(pattern: Any, *values: Any) -> str:
    template = to_text(pattern)
    pieces: list[str] = []
    following, end, used = 0, 0, set[int]()
    while (start := template.find("%", end)) >= 0:
        pieces.append(template[end:start])
        match = _VERB.match(template, start)
        if match is None:
            raise ValueError("the format ends within a verb")
        end = match.end()
        if match["verb"] == "%":
            pieces.append("%")
            continue
        position = int(match["index"]) - 1 if match["index"] else following
        following = position + 1
        used.add(position)
        pieces.append(_one(match, values, position))
    pieces.append(template[end:])
    if len(used) < len(values):
        raise ValueError(f"{len(values)} values for {len(used)} verbs of the format")
    return "".join(pieces)


def _one(match: re.Match[str], values: Sequence[Any], position: int) -> str:
    if match["verb"] not in _VERBS:
        raise ValueError(f"the format has the unknown verb {match.group()!r}")
    if max(len(match["width"]), len(match["precision"] or "")) > 4 or (
        max(int(match["width"] or 0), int(match["precision"] or 0)) > _MAX_WIDTH
    ):
        raise ValueError(f"a width or a precision of more than {_MAX_WIDTH}")
    if not 0 <= position < len(values):
        raise ValueError(f"the format needs a value number {position + 1}")
    value = values[position]
    return _padded(_VERBS[match["verb"]](value, match["precision"] or ""), match, value)


def _formatlist(pattern: Any, *values: Any) -> list[str]:
    lengths = {len(value) for value in values if isinstance(value, list)}
    if len(lengths) > 1:
        raise ValueError("the lists differ in length")
    rows = range(lengths.pop() if lengths else 1)
    columns = [value if isinstance(value, list) else [value] * len(rows) for value in values]
    return [_format(pattern, *(column[row] for column in columns)) for row in rows]


def format_cost(arguments: Sequence[Any]) -> int:
    """Units for `format`: every verb may show its value anew, padded to the greatest width."""
    text = to_text(arguments[0])
    longest = max((len(_shown(value)) for value in arguments[1:]), default=0)
    return (text.count("%") * (longest + 16) + _MAX_WIDTH * len(_wide(text))) // CHARACTERS_PER_UNIT


def _wide(text: str) -> list[str]:
    return re.findall(r"%[^a-zA-Z%]*[0-9]{2}", text)


def formatlist_cost(arguments: Sequence[Any]) -> int:
    """Units for `formatlist`: the cost of `format` for each row."""
    rows = max((len(value) for value in arguments[1:] if isinstance(value, list)), default=1)
    return rows * (1 + format_cost(arguments) + len(to_text(arguments[0])) // CHARACTERS_PER_UNIT)


def indent_cost(arguments: Sequence[Any]) -> int:
    """Units for `indent`: every line grows."""
    spaces, text = max(0, to_whole(arguments[0])), to_text(arguments[1])
    return text.count("\n") * spaces // CHARACTERS_PER_UNIT


def replace_cost(arguments: Sequence[Any]) -> int:
    """Units for `replace`: every occurrence becomes the new text."""
    text, old, new = map(to_text, arguments)
    return text.count(old) * len(new) // CHARACTERS_PER_UNIT


def join_cost(arguments: Sequence[Any]) -> int:
    """Units for `join`: the separator comes once for every item."""
    items = sum(len(part) for part in arguments[1:] if isinstance(part, list))
    return items * len(to_text(arguments[0])) // CHARACTERS_PER_UNIT


FUNCTIONS: dict[str, tuple[int, int | None, Callable[..., Any]]] = {
    "basename": (1, 1, lambda path: to_text(path).rstrip("/").rsplit("/", 1)[-1]),
    "chomp": (1, 1, _chomp),
    "dirname": (1, 1, lambda path: to_text(path).rpartition("/")[0] or "."),
    "format": (1, None, _format),
    "formatlist": (1, None, _formatlist),
    "indent": (2, 2, _indent),
    "join": (2, None, _join),
    "lower": (1, 1, lambda text: to_text(text).lower()),
    "replace": (3, 3, _replace),
    "split": (2, 2, _split),
    "strlen": (1, 1, lambda text: len(to_text(text))),
    "strrev": (1, 1, lambda text: to_text(text)[::-1]),
    "substr": (3, 3, _substr),
    "title": (1, 1, _title),
    "trim": (2, 2, lambda text, characters: to_text(text).strip(to_text(characters))),
    "trimprefix": (2, 2, lambda text, prefix: to_text(text).removeprefix(to_text(prefix))),
    "trimspace": (1, 1, lambda text: to_text(text).strip(_SPACE)),
    "trimsuffix": (2, 2, lambda text, suffix: to_text(text).removesuffix(to_text(suffix))),
    "upper": (1, 1, lambda text: to_text(text).upper()),
}
