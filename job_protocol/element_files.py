"""Which files of an array belong to one of its elements: its logs, and what is in its folder."""

from __future__ import annotations

import re

SHARED_ARTIFACTS = ".nomad/artifacts"
"""Where the artifacts of a Nomad job with several elements are fetched to, a folder for each task
group; its run script copies them into the folder of each element."""

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


def inside_element(path: str) -> tuple[str, ...]:
    """What a path may be inside the folder of an element: `GROUP.INDEX/` or `elements/INDEX/`.

    Args:
        path: relative to the job.
    """
    first, _, rest = path.partition("/")
    group, _, index = first.rpartition(".")
    if group and index.isdecimal():
        return (rest,)
    if first == "elements":
        index, _, inside = rest.partition("/")
        return (inside,) if index.isdecimal() else ()
    return ()
