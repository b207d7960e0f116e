"""Finds the known name that a wrong one probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

_MAX_LENGTH = 64
_MAX_NAMES = 200
"""Comparing is slow, and names may come from the user."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?`, or nothing where no known name is near."""
    names = {word.lower(): word for word in islice(known, _MAX_NAMES)}
    found = get_close_matches(name[:_MAX_LENGTH].lower(), names, n=1, cutoff=0.6)
    return f"; did you mean {names[found[0]]!r}?" if found else ""
