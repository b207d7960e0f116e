"""How many jobs a second the table's keys can take, computed from the units of a job."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

WRITE_LIMIT = 1_000
"""Write units a second of one partition (DynamoDB guide, "Best practices for partition keys")."""

SITE_METRIC_DOLLARS = 0.30
"""Of a custom metric of CloudWatch, a month: each site's signs of life are one."""

TABLE_LIMIT = 40_000
"""Write units a second that a table on demand may take, as accounts begin (DynamoDB guide,
"Quotas")."""

BUCKET_LIMIT = 3_500
"""PUTs a second of one prefix (S3 guide, "Best practices design patterns")."""

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
    return (
        Load(
            "J#site",
            "create 2, each state shown 2",
            2 + 2 * states,
            1,
            WRITE_LIMIT,
            "job ids that ascend keep writing to the end of one key's range",
        ),
        Load(
            "index list, L#site",
            "create 1, each state shown 1",
            1 + states,
            1,
            WRITE_LIMIT,
            "its sort key is the time, so its newest end takes every write",
        ),
        Load("index queue, Q#site", "create 1, claim 1", 2, 1, WRITE_LIMIT, "one key for a site"),
        Load(
            "bucket of a site",
            "two of the user, a result, two for each state shown",
            3 + 2 * states,
            1,
            BUCKET_LIMIT,
            "until S3 has split the prefix",
        ),
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
            "shards grow with the table's partitions, and each has so many calls at a time",
        ),
        Load(
            "the table, all sites",
            "all of the above",
            2 + 2 * states + 1 + states + 2 + 6,
            1,
            TABLE_LIMIT,
            "a quota, which AWS raises",
        ),
    )


def busiest_second(sites: int, spread: float) -> int:
    """The most write units that signs of life bring to one partition in one second; simulated.

    Every site writes one unit in a minute to a partition key of its own. cron starts all of them at
    the same second of their clocks.

    Args:
        sites: how many.
        spread: seconds by which clocks, and the time that a start takes, differ.
    """
    taken: Counter[tuple[int, int]] = Counter()
    for site in range(sites):
        mixed = hashlib.sha256(f"S#{site}".encode()).digest()
        moment = spread * int.from_bytes(mixed[1:4]) / 2**24
        taken[mixed[0] % SHARDS, int(moment)] += 1
    return max(taken.values())
