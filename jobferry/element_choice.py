"""Which elements of an array a user means: by number, or by how they ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from job_protocol.element_files import element_of
from job_protocol.elements import indexes_of
from jobferry.errors import UsageError
from jobferry.report import Report

FAILED, COMPLETE = "failed", "complete"


def files_of(chosen: str, report: Report) -> Callable[[str], bool]:
    """Whether a path is a file of the chosen elements: a log, or one in the element's own folder.

    Args:
        chosen: `failed` (all that did not complete), `complete`, or indexes such as `1,5-9`.
        report: the job's state.

    Raises:
        UsageError: these are no elements of the job, or it does not tell.
    """
    array = report.allocation.get("array")
    count = array.get("count") if isinstance(array, dict) else None
    if not isinstance(array, dict) or not isinstance(count, int):
        raise UsageError(f"job {report.job!r} is no array; leave --elements out")
    if chosen in (FAILED, COMPLETE):
        not_complete = _not_complete(array, report)
        wanted = not_complete if chosen == FAILED else frozenset(range(count)) - not_complete
    else:
        wanted = _numbered(chosen, count)
    folders = _folders(array, wanted)
    return lambda path: element_of(path) in wanted or path.partition("/")[0] in folders


def _folders(array: Mapping[str, object], wanted: frozenset[int]) -> frozenset[str]:
    """The folders of elements of a Nomad job: `GROUP.INDEX`, of all groups one behind the other."""
    groups = array.get("groups")
    rows = groups if isinstance(groups, list) else []
    names = [f"{name}.{index}" for name, count in rows for index in range(count)]
    return frozenset(name for number, name in enumerate(names) if number in wanted)


def check_element(element: int | None, report: Report) -> None:
    """See that a job's log is that of one element if, and only if, the job is an array.

    Args:
        element: its index, if one was stated.
        report: the job's state.

    Raises:
        UsageError: it is not.
    """
    if not report.allocation:
        return
    array = report.allocation.get("array")
    count = array.get("count") if isinstance(array, dict) else None
    if not isinstance(count, int):
        if element is not None:
            raise UsageError(f"job {report.job!r} is no array; leave --element out")
        return
    if element is None:
        raise UsageError(
            f"job {report.job!r} is an array, and each of its {count} elements has a log of its "
            f"own; state one (--element 0 to {count - 1})"
        )
    if element >= count:
        raise UsageError(f"--element {element}: the elements are 0 to {count - 1}")


def _not_complete(array: dict[str, object], report: Report) -> frozenset[int]:
    if not report.dead:
        raise UsageError(f"job {report.job!r} has not ended; name the elements by number")
    told = array.get("not_complete")
    if isinstance(told, str):
        return frozenset(indexes_of(told))
    if array.get("complete") == array.get("count"):
        return frozenset()
    raise UsageError(f"job {report.job!r} does not tell all of them; name them by number")


def _numbered(chosen: str, count: int) -> frozenset[int]:
    try:
        ends = [int(end) for part in chosen.split(",") for end in part.split("-", 1)]
    except ValueError as error:
        raise UsageError(
            f"--elements {chosen}: write {FAILED}, {COMPLETE}, or indexes such as 1,5-9"
        ) from error
    if not all(0 <= end < count for end in ends):
        raise UsageError(f"--elements {chosen}: the elements are 0 to {count - 1}")
    return frozenset(indexes_of(chosen))
