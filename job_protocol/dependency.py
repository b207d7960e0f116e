"""A job's dependencies on other jobs: what the user states, and what a run still waits for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from job_protocol.items import decoded_by, from_attributes

MOST_DEPENDENCIES = 40
"""Of one job: its run and all edges are written in one transaction, which takes 100 items."""


class On(StrEnum):
    """Which end of the other job is waited for, in the words of `sbatch --dependency`."""

    AFTER_OK = "afterok"
    """It is complete."""
    AFTER_ANY = "afterany"
    """It has ended, however that was."""
    AFTER_NOT_OK = "afternotok"
    """It has ended and is not complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """What must come before a job.

    Attributes:
        job: the id of the job that is waited for.
        on: which end of it.
        site: its site; None is the site of the job that waits.
        run: the run of it that is waited for; None as long as that has not been looked up.
    """

    job: str
    on: On = decoded_by(On, default=On.AFTER_OK)
    site: str | None = None
    run: int | None = None


def dependencies(rows: Iterable[Mapping[str, Any]]) -> tuple[Dependency, ...]:
    """Dependencies as they are stored."""
    return tuple(from_attributes(Dependency, row) for row in rows)
