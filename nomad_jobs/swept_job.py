"""The job of a child that was dispatched with a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SWEPT = "Swept"
"""The mark of such a job in its specification."""


def swept_job(job: Mapping[str, Any], rows: int | None) -> dict[str, Any]:
    """The job of a child that was dispatched with a sweep: an element for each row.

    Args:
        job: the template's specification.
        rows: how many rows the sweep has; None for a child without one.
    """
    if rows is None:
        return dict(job)
    groups = [{**group, "Count": rows} for group in job["TaskGroups"]]
    return {**job, "TaskGroups": groups, SWEPT: True}
