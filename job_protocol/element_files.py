"""Which files of an array belong to one of its elements: its logs, and what is in its folder."""

from __future__ import annotations

import re

_OF_ELEMENT = re.compile(
    r"(?:aws-job-(?:stdout|stderr)\.(0|[1-9][0-9]{0,6})\.txt|elements/(0|[1-9][0-9]{0,6})/.*)",
    re.DOTALL,
)


def folder_of(index: int) -> str:
    """The own folder of an element, relative to the job; see `element_of`."""
    return f"elements/{index}"


def element_of(path: str) -> int | None:
    """The index of the element that a file belongs to; None if it is that of none.

    An element's own folder is `elements/INDEX/` in the job directory, by convention: a script that
    writes its results there lets users fetch those of some elements.

    Args:
        path: relative to the job.
    """
    found = _OF_ELEMENT.fullmatch(path)
    return None if found is None else int(found[1] or found[2])
