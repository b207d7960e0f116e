"""Which files of a running job grow, by the patterns of its settings; nothing is walked for it.

A pattern is taken segment by segment, so only the folders that it names are listed, and of each
only so many entries.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from fnmatch import translate
from itertools import islice

from puller.confined_tree import ConfinedTree
from puller.errors import UnsafePath

MOST_FILES = 20
"""Files of one job that are pushed while it runs."""

_MOST_ENTRIES = 1000
_WILD = frozenset("*?[")


def growing_files(tree: ConfinedTree, patterns: Iterable[str]) -> list[str]:
    """The paths in a job directory that match, at most `MOST_FILES`.

    Args:
        tree: the job directory.
        patterns: relative paths, whose segments may have `*`, `?` and `[...]`.
    """
    found = (path for pattern in patterns for path in _matching(tree, "", pattern.split("/")))
    return list(islice(dict.fromkeys(found), MOST_FILES))


def _matching(tree: ConfinedTree, folder: str, segments: list[str]) -> Iterator[str]:
    segment, *further = segments
    if _WILD.isdisjoint(segment):
        names = [segment]
    else:
        pattern = re.compile(translate(segment))
        names = [name for name in _names(tree, folder) if pattern.fullmatch(name)]
    for name in names:
        path = f"{folder}/{name}" if folder else name
        if further:
            yield from _matching(tree, path, further)
        else:
            yield path


def _names(tree: ConfinedTree, folder: str) -> list[str]:
    try:
        with tree.folder(folder) as descriptor, os.scandir(descriptor) as entries:
            return sorted(entry.name for entry in islice(entries, _MOST_ENTRIES))
    except (OSError, UnsafePath):
        return []
