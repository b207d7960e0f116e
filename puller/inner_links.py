"""Where a symbolic link in a job directory leads, found without ever looking outside of it."""

from __future__ import annotations

import stat
from collections import deque
from pathlib import Path

from puller.confined_tree import ConfinedTree, folder_of, name_of, segments_of
from puller.errors import UnsafePath

_MOST_LINKS = 40
"""On one way, as in Linux (path_resolution(7))."""


class LinkRefused(Exception):
    """A link that is not followed; the message says why."""


def roots_of(tree: ConfinedTree) -> tuple[str, ...]:
    """The absolute paths by which links may name the tree: as configured, and without links."""
    configured = str(tree.path.absolute())
    return tuple(dict.fromkeys((configured, str(Path(configured).resolve()))))


def target_of(tree: ConfinedTree, roots: tuple[str, ...], path: str) -> str:
    """The path in the tree of what a link leads to; neither it nor a folder above it is a link.

    Args:
        tree: the job directory.
        roots: see `roots_of`.
        path: the link.

    Raises:
        LinkRefused: it leads outside, to nothing, in a circle, or cannot be read.
    """
    current = segments_of(folder_of(path))
    ahead = deque([name_of(path)])
    links = 0
    while ahead:
        name = ahead.popleft()
        if name in ("", "."):
            continue
        if name == "..":
            if not current:
                raise LinkRefused("a link that leads out of the job directory")
            current.pop()
            continue
        here = "/".join([*current, name])
        target = _link_at(tree, here)
        if target is None:
            current.append(name)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise LinkRefused("a link that leads in a circle")
        if target.startswith("/"):
            target = _inside(target, roots)
            current = []
        ahead.extendleft(reversed(target.split("/")))
    return "/".join(current)


def _link_at(tree: ConfinedTree, path: str) -> str | None:
    try:
        return tree.link_target(path) if stat.S_ISLNK(tree.lstat(path).st_mode) else None
    except (FileNotFoundError, NotADirectoryError) as error:
        raise LinkRefused("a link that leads to nothing") from error
    except (OSError, UnsafePath) as error:
        raise LinkRefused(f"a link that cannot be followed ({error})") from error


def _inside(target: str, roots: tuple[str, ...]) -> str:
    for root in roots:
        if target == root or target.startswith(f"{root}/"):
            return target[len(root) :]
    raise LinkRefused("a link that leads out of the job directory")
