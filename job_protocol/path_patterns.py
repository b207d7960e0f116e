"""Patterns over relative paths, as in `results`, `exclude` and `reuse` of `aws-job.json`.

`*` and `?` stay within a path segment, `**` crosses segments, `[...]` is a set. A pattern that
names a folder takes everything in it (`out` and `out/` mean `out/**`). A pattern without a slash
matches at any depth, as in `.gitignore`: `*.tmp` takes `a/b/x.tmp`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable


def _segment_to_regex(segment: str) -> str:
    out: list[str] = []
    i = 0
    while i < len(segment):
        char = segment[i]
        i += 1
        if char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[" and (end := segment.find("]", i + 1)) != -1:
            body = segment[i:end]
            negated = body[0] in "!^"
            escaped = body[negated:].replace("\\", "\\\\").replace("[", "\\[")
            escaped = escaped.replace("&&", "\\&&").replace("||", "\\||").replace("~~", "\\~~")
            out.append(f"(?!/)[{'^' if negated else ''}{escaped}]")
            i = end + 1
        else:
            out.append(re.escape(char))
    return "".join(out)


def _to_regex(pattern: str) -> str:
    anchored = "/" in pattern.rstrip("/")
    segments = [s for s in pattern.split("/") if s not in ("", ".")]
    if not segments:
        return "(?!)"
    parts: list[str] = [] if anchored or segments[0] == "**" else ["(?:[^/]+/)*"]
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        if segment == "**":
            parts.append(".+" if last else "(?:[^/]+/)*")
        else:
            parts.append(_segment_to_regex(segment))
            parts.append("(?:/.*)?" if last else "/")
    return "".join(parts)


def problem_of(pattern: str) -> str | None:
    """Why a pattern is not valid, a sentence, or None."""
    if not pattern.strip("/"):
        return "the pattern is empty"
    if ".." in pattern.split("/"):
        return f"the pattern {pattern!r} contains '..'"
    try:
        re.compile(_to_regex(pattern))
    except re.error as error:
        return f"the pattern {pattern!r} has a faulty [set]: {error}"
    return None


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """A test whether a relative path (an empty folder's ends in `/`) matches any pattern.

    Raises:
        re.error: a pattern is not valid; see `problem_of`.
    """
    regexes = [_to_regex(p) for p in patterns]
    if not regexes:
        return lambda _path: False
    combined = re.compile("|".join(f"(?:{r})" for r in regexes), re.DOTALL)
    return lambda path: combined.fullmatch(path) is not None
