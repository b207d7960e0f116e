"""Patterns over relative paths, as in `results`, `exclude` and `reuse` of `aws-job.json`.

`*` and `?` stay within a path segment, `**` crosses segments, `[...]` is a set. A pattern that
names a folder takes everything in it (`out` and `out/` mean `out/**`). A pattern without a slash
matches at any depth, as in `.gitignore`: `*.tmp` takes `a/b/x.tmp`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import groupby

# A set, as in glob(7): a bracket that follows `[`, `[!` or `[^` belongs to it.
_TOKEN = re.compile(
    r"(?P<stars>\*+)|(?P<any>\?)|\[(?P<negated>[!^]?)(?P<set>\]?[^\]]*)\]|.", re.DOTALL
)
_SET_PART = re.compile(r"(.)-(.)|.", re.DOTALL)


def _set_to_regex(negated: str, content: str) -> str:
    parts = (
        re.escape(part[0]) if part[1] is None else f"{re.escape(part[1])}-{re.escape(part[2])}"
        for part in _SET_PART.finditer(content)
    )
    return f"(?!/)[{'^' if negated else ''}{''.join(parts)}]"


def _segment_to_regex(segment: str) -> str:
    chunks = [""]
    for token in _TOKEN.finditer(segment):
        if token["stars"]:
            chunks.append("")
        elif token["any"]:
            chunks[-1] += "[^/]"
        elif token["set"]:
            chunks[-1] += _set_to_regex(token["negated"], token["set"])
        else:
            chunks[-1] += re.escape(token[0])
    first, *further = chunks
    if not further:
        return first
    # Of what lies between two stars the first place is as good as any: no way back is kept.
    between = "".join(f"(?>[^/]*?{chunk})" for chunk in further[:-1])
    return f"{first}{between}[^/]*{further[-1]}"


def _to_regex(pattern: str) -> str:
    """The regular expression of a pattern.

    It is matched in polynomial time of a low degree, whatever a user writes: between two `**`, as
    between two stars of a segment, the first place that fits is as good as any (atomic groups).
    """
    segments = [s for s in pattern.split("/") if s not in ("", ".")]
    if "/" not in pattern.rstrip("/"):
        segments.insert(0, "**")
    runs = [
        [_segment_to_regex(segment) for segment in run]
        for is_any, run in groupby(segments, "**".__eq__)
        if not is_any
    ]
    if not runs:
        return ".+" if "**" in pattern else "(?!)"
    everything_under = segments[-1] == "**"
    ends = ["/"] * (len(runs) - 1) + ["/" if everything_under else r"(?=/|\Z)"]
    anchored = segments[0] != "**"
    parts = [
        "/".join(run) + end if index == 0 and anchored else f"(?>(?:[^/]+/)*?{'/'.join(run)}{end})"
        for index, (run, end) in enumerate(zip(runs, ends, strict=True))
    ]
    return "".join(parts) + (".+" if everything_under else "(?:/.*)?")


def problem_of(pattern: str) -> str | None:
    """Why a pattern is not valid, a sentence, or None."""
    if all(segment in ("", ".") for segment in pattern.split("/")):
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
