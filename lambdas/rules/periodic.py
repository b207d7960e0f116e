"""When a periodic job launches a child: which due times count, and what comes next.

The launcher repeats `next_step` until it is None. It creates the child before it moves `next_due`,
both on the condition that `next_due` is still the one that was read, so it may die after any write
and may run twice at once: a due time has one child, because the child's id is the due time's.

Rules of overlap, names of children and the default zone: Nomad's `periodic` block
(developer.hashicorp.com/nomad/docs/job-specification/periodic).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Self

from job_protocol.cron_expression import CronExpression, next_launches, time_zone
from job_protocol.cron_fields import CronError

CATCH_UP_SECONDS = 180
"""Whatever fell due within this time is launched; after a longer downtime only the newest is."""


@dataclass(frozen=True, slots=True)
class Periodic:
    """When a periodic job runs.

    Attributes:
        expressions: it runs at the times of all of them.
        zone: where they are read.
        prohibit_overlap: whether a launch is skipped while a child is active.
        enabled: whether there are launches; if not, only force makes a child.
    """

    expressions: tuple[CronExpression, ...]
    zone: tzinfo = UTC
    prohibit_overlap: bool = False
    enabled: bool = True

    @classmethod
    def of_job(cls, block: Mapping[str, Any]) -> Self:
        """Read the `Periodic` object of a job in Nomad's API.

        Args:
            block: with `Spec` (of `cron`) or `Specs` (of `crons`), `TimeZone`, `ProhibitOverlap`,
                `Enabled`; null is as good as absent.

        Raises:
            CronError: if it has no expression, both kinds, or a wrong expression or zone. The
                message holds all reasons, one in a line.
        """
        reasons: list[str] = []
        if block.get("SpecType") not in (None, "", "cron"):
            reasons.append(f"type {block['SpecType']!r} is not known; only cron is")
        expressions = tuple(_expressions(block.get("Spec"), block.get("Specs"), reasons))
        zone = _zone(block.get("TimeZone"), reasons)
        if reasons:
            raise CronError("\n".join(f"periodic: {reason}" for reason in reasons))
        return cls(
            expressions,
            zone,
            prohibit_overlap=block.get("ProhibitOverlap") is True,
            enabled=block.get("Enabled") is not False,
        )

    def next_after(self, seconds: int) -> int | None:
        """The first launch after a time, or None if there is none.

        It is the job's `next_due` when the job is registered, of which what fell due under an
        earlier specification is forgotten.

        Args:
            seconds: since the epoch, as is what is returned.
        """
        if not self.enabled:
            return None
        after = datetime.fromtimestamp(seconds, UTC)
        first = next(next_launches(self.expressions, after, self.zone), None)
        return None if first is None else int(first.timestamp())


@dataclass(frozen=True, slots=True)
class Step:
    """What the launcher does next about one job.

    Attributes:
        due: the due time, in seconds since the epoch, that is decided.
        child: id of the child to create, or None if the launch is skipped because of overlap.
        next_due: what the job's `next_due` becomes once the child exists; None if nothing follows.
    """

    due: int
    child: str | None
    next_due: int | None


def next_step(
    periodic: Periodic, parent: str, next_due: int | None, now: int, *, overlapping: bool
) -> Step | None:
    """The next launch that is due, or None if nothing is.

    Args:
        periodic: the job's rule.
        parent: the job's id.
        next_due: the job's attribute, in seconds since the epoch.
        now: in seconds since the epoch; the same for all steps of one trigger.
        overlapping: whether a child of the job is active, scheduled or forced.
    """
    if not periodic.enabled or next_due is None or next_due > now:
        return None
    due = next_due if now - next_due <= CATCH_UP_SECONDS else _newest(periodic, next_due, now)
    skipped = periodic.prohibit_overlap and overlapping
    return Step(due, None if skipped else child_id(parent, due), periodic.next_after(due))


def child_id(parent: str, seconds: int) -> str:
    """The id of the child that a periodic job launches at a time.

    Args:
        parent: the job's id.
        seconds: since the epoch: the scheduled time, or of a forced launch the time of the request.
    """
    return f"{parent}/periodic-{seconds}"


def _newest(periodic: Periodic, due: int, now: int) -> int:
    """The last launch not after `now`; `due` is one. A bisection, as there may be thousands."""
    newest, too_late = due, now
    while newest < too_late:
        middle = (newest + too_late) // 2
        launch = periodic.next_after(middle)
        if launch is not None and launch <= now:
            newest = launch
        else:
            too_late = middle
    return newest


def _expressions(spec: object, specs: object, reasons: list[str]) -> Iterator[CronExpression]:
    if spec and specs:
        reasons.append("state either cron or crons, not both")
    if not spec and not specs:
        reasons.append("it has no cron expression; state cron or crons")
    stated = [spec] if spec else specs or []
    for text in stated if isinstance(stated, list) else [stated]:
        if not isinstance(text, str):
            reasons.append(f"{text!r} is not a cron expression")
            continue
        try:
            yield CronExpression.parse(text)
        except CronError as error:
            reasons.append(str(error))


def _zone(name: object, reasons: list[str]) -> tzinfo:
    try:
        if name is None or isinstance(name, str):
            return time_zone(name or "")
        reasons.append(f"time zone {name!r} is not a name")
    except CronError as error:
        reasons.append(str(error))
    return UTC
