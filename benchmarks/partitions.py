"""How many jobs a second the table's keys can take, computed from the units of a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WRITE_LIMIT = 1_000
"""Write units a second of one partition (DynamoDB guide, "Best practices for partition keys")."""

SHARDS = 4
"""Partitions, and so stream shards, that a new table on demand begins with, as far as is known."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one key, or one shard, has to bear.

    Attributes:
        key: which.
        what: who writes or reads it.
        units: units of a job.
        keys: over how many partitions the load is spread.
        limit: units that one of them takes a second.
        why: what bounds it, a sentence.
    """

    key: str
    what: str
    units: float
    keys: int
    limit: float
    why: str

    @property
    def most(self) -> float:
        """Jobs a second."""
        return self.limit * self.keys / self.units


def loads(*, states: int, publication: float, at_once: int) -> Sequence[Load]:
    """The loads of one site's jobs.

    Args:
        states: how many states of a job are shown.
        publication: seconds of one publication.
        at_once: publications that one call of the publisher makes at the same time.
    """
    of_job = 2 + 2 * states
    return (
        Load(
            "J#site",
            "create 2, each state shown 2",
            of_job,
            1,
            WRITE_LIMIT,
            "job ids that ascend keep writing to the end of one key's range",
        ),
        Load(
            "index list, L#site",
            "create 2, each state shown 2",
            of_job,
            1,
            WRITE_LIMIT,
            "its sort key is the time, so its newest end takes every write",
        ),
        Load("index queue, Q#site", "create 2, claim 1", 3, 1, WRITE_LIMIT, "one key for a site"),
        Load(
            "A#site#h",
            "create 2, claim, submitting, queued, end",
            6,
            16,
            WRITE_LIMIT,
            "16 keys for a site",
        ),
        Load(
            "publisher, all sites",
            f"{states} publications of {publication * 1000:.0f} ms, {at_once} at once in a shard",
            states * publication,
            SHARDS,
            at_once,
            "a shard has one call of the publisher at a time",
        ),
    )
