"""Children of a template with `max_active`: who may start at once, and who when one has ended.

No wake-up is lost. Whoever creates a child, and whoever lets one start, writes the template on the
condition that it is as it was read; so all of them happen one after the other. The publisher of a
child's end (`Job.dependents` makes it come) looks at the template after that end is in the table:
a dispatch that still took the child for active either came before, and is found waiting, or fails
and looks again. Doing it twice, or for a child that never counted, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from job_protocol.allocation import Allocation
from job_protocol.job import Job
from job_protocol.states import Role
from lambdas.errors import Conflict, JobBusy
from lambdas.ports.job_items import Birth
from lambdas.ports.job_table import JobTable
from lambdas.ports.turn_table import TurnTable

MOST_STARTED = 100
"""Children that one call lets start: a publisher has a minute."""

_TRIES = 20


@dataclass(frozen=True, slots=True)
class Turns:
    """Whose turn it is.

    Attributes:
        table: the job table.
        clock: the time in seconds since the epoch.
    """

    table: JobTable
    clock: Callable[[], int]

    @property
    def places(self) -> TurnTable:
        """The places of those that wait."""
        return TurnTable(self.table)

    def birth(self, template: Job, child: str, token: str | None = None) -> Birth:
        """How a new run of a child of a template with `max_active` comes about.

        Args:
            template: the template as it was read.
            child: the child's id.
            token: the key of the dispatch's idempotency token, if it has one.
        """
        active = self._active(template)
        turn = None
        if self._full(template, active) or self._next(template) is not None:
            turn = template.rev + 1
        else:
            active = (*active, child)
        after = replace(template, rev=template.rev + 1, launched=active)
        return Birth(
            parent=template.id,
            advanced=(template, after),
            turn=turn,
            limited=True,
            token=token,
        )

    def _active(self, template: Job) -> tuple[str, ...]:
        there = self.table.jobs(template.site, list(template.launched))
        return tuple(one for one in template.launched if one in there and there[one].active)

    def _full(self, template: Job, active: tuple[str, ...]) -> bool:
        return template.max_active is not None and len(active) >= template.max_active

    def _next(self, template: Job) -> tuple[int, Job, Allocation] | None:
        """The first child that waits and can start, its number and allocation."""
        for number, child in self.places.waiting(template):
            job = self.table.job(template.site, child)
            if job is None or not job.active or job.turn != number:
                self.places.given_up(template.site, template.id, number, child, now=self.clock())
                continue
            allocation = self.table.allocation(job.site, job.current) if job.current else None
            # One that was stopped a moment ago is not dead yet, and never starts.
            if allocation is not None and not allocation.client_status.terminal:
                return number, job, allocation
        return None

    def ended(self, child: Job) -> None:
        """Let others start after the end of a child; it is in the table.

        Raises:
            JobBusy: there are more; come back.
            Conflict: the template kept changing; come back.
        """
        if child.parent is None:
            return
        if child.turn is not None:
            self.places.given_up(child.site, child.parent, child.turn, child.id, now=self.clock())
        self.go_on(child.site, child.parent)

    def go_on(self, site: str, parent: str) -> None:
        """Let as many of those that wait start as may.

        Raises:
            JobBusy: there are more; come back.
            Conflict: the template kept changing; come back.
        """
        started = conflicts = 0
        while started < MOST_STARTED:
            template = self.table.job(site, parent)
            if template is None or template.role is not Role.TEMPLATE:
                return
            if template.first_turn is None:  # it never had the setting
                return
            try:
                if not self._step(template):
                    return
                started += 1
            except Conflict:
                conflicts += 1
                if conflicts == _TRIES:
                    raise
        raise JobBusy(f"more than {MOST_STARTED} children of {parent!r} may start", seconds=0)

    def _step(self, template: Job) -> bool:
        """Let one start; whether one did."""
        active = self._active(template)
        after = replace(template, rev=template.rev + 1, launched=active)
        found = None if self._full(template, active) else self._next(template)
        if found is None:
            if active != template.launched:
                self.table.replace_job(template, after)
            return False
        number, child, allocation = found
        if template.max_active is not None:
            after = replace(after, launched=(*active, child.id))
        self.places.take_turn(
            (template, replace(after, first_turn=number)),
            (child, replace(child, rev=child.rev + 1, turn=None)),
            allocation,
            number=number,
            now=self.clock(),
        )
        return True

    def sentence(self, child: Job) -> str | None:
        """Why a child waits for its turn, in words; None if it does not."""
        if not child.active or child.turn is None or child.parent is None:
            return None
        template = self.table.job(child.site, child.parent)
        if template is None:
            return None
        return waiting_sentence(template, self.places.before(template, child.turn))


def waiting_sentence(template: Job, before: int) -> str:
    """Why a dispatch of a template waits.

    Args:
        template: the template.
        before: how many dispatches wait before it.
    """
    active = len(template.launched)
    counted = f"{active} {'child' if active == 1 else 'children'} of {template.id}"
    waiting = f"{before} {'dispatch waits' if before == 1 else 'dispatches wait'} before this one"
    return (
        f"{counted} {'is' if active == 1 else 'are'} active, its max_active is "
        f"{template.max_active}; {waiting}"
    )
