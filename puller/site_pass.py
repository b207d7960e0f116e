"""One pass: sign of life, then what this site holds, then what waits in the cloud."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from job_protocol.identifiers import is_allocation_id
from job_protocol.site_records import Heartbeat
from puller import __version__
from puller.cloud.waiting import Waiting
from puller.errors import (
    CloudRefused,
    CloudUnreachable,
    HeldElsewhere,
    PullerError,
    SchedulerUnavailable,
    StagingError,
)
from puller.journal import JournalError, Phase, Record, TakenOver, told
from puller.pass_outcome import Outcome
from puller.site_attributes import site_attributes
from puller.workplace import Listing, Workplace

if TYPE_CHECKING:
    from puller.steps import Steps

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

_AT_ONCE = 8
HEARTBEAT_SECONDS = 60
"""How often a lingering puller writes its sign of life."""

TELL_AFTER = 3.0
"""Seconds that a passing state must have lasted before a lingering puller tells it."""

CLAIM_SECONDS = 5.0
"""For how long a pass claims, and longer where looking at what is held took longer: what ends
meanwhile, and who wants something stopped, must not wait until a thousand jobs are submitted."""

HELD_SECONDS = 900
"""For how long a sign of life keeps other hosts from running the same installation."""


class SitePass:
    """Passes of one installation."""

    def __init__(self, place: Workplace, host: str, *, lingering: bool = False) -> None:
        """Prepare passes.

        Args:
            place: the tools.
            host: this host's name, the heartbeat's.
            lingering: whether the puller goes on until the next cron tick.
        """
        self._place = place
        self._host = host
        self._lingering = lingering
        self._beaten_at = float("-inf")
        self._active = 0
        self._told: set[str] = set()
        self._cannot_claim: str | None = None
        self._said: str | None = None
        self._strange: set[str] = set()
        self._tell_after = 0.0

    @cached_property
    def _attributes(self) -> dict[str, str]:
        settings = self._place.settings
        return site_attributes(settings.site, settings.attributes)

    @cached_property
    def _steps(self) -> Steps:
        """The steps, imported and made when there is something to do: most passes are idle."""
        from puller.steps import steps_of

        return steps_of(self._place)

    def run(self, *, leaving: bool = True) -> Outcome:
        """Make one pass.

        What is on the site is looked at even when the cloud is out of reach: a scheduler forgets
        its finished jobs after minutes, an outage may take days.

        Args:
            leaving: whether no other pass of this process follows: then passing states are told
                at once, since the next look may be far away.

        Raises:
            HeldElsewhere: another host runs this installation, or has taken over meanwhile.
        """
        outcome = Outcome(told=self._told)
        self._tell_after = 0.0 if leaving else TELL_AFTER
        records = self._place.journal.records()
        if not 0 <= self._place.clock() - self._beaten_at < HEARTBEAT_SECONDS:
            try:
                self.beat(len(records))
            except (CloudUnreachable, CloudRefused) as error:
                outcome.note(error)
        begun = time.monotonic()
        mine = {record.id: record for record in self._advance(records, outcome)}
        looked = time.monotonic() - begun
        waiting = self._ask(mine, outcome)
        if waiting is not None:
            self._stop(waiting, mine, outcome)
            self._claim(waiting, mine, outcome, max(CLAIM_SECONDS, looked))
            self._tell_whether_anything_can_be_claimed(outcome)
            # One after the other: they share the folder of what is being removed.
            self._in_parallel(self._purge_one, waiting.purges, outcome, at_once=1)
        if outcome.unreachable is None and outcome.refused is None:
            self._told.clear()
        return outcome

    def beat(self, active: int | None = None) -> None:
        """Write the sign of life.

        Args:
            active: how many allocations are held; None for as many as the last time.

        Raises:
            HeldElsewhere: another host runs this installation.
            CloudUnreachable, CloudRefused: it could not be written.
        """
        if active is not None:
            self._active = active
        now = self._place.clock()
        cannot_claim = self._cannot_claim
        self._place.queue.beat(
            Heartbeat(
                site=self._place.settings.site,
                installation=self._place.installation,
                host=self._host,
                at=int(now),
                until=int(now) + HELD_SECONDS,
                lingering=self._lingering,
                version=__version__,
                active=self._active,
                problem=cannot_claim or self._switched_off(),
                attributes=self._attributes,
            )
        )
        self._beaten_at = now
        self._said = cannot_claim

    def _switched_off(self) -> str | None:
        if self._place.may_submit():
            return None
        return "its administrator has switched submissions off (the kill switch)"

    def _ask(self, mine: dict[str, Record], outcome: Outcome) -> Waiting | None:
        if outcome.unreachable:
            return None
        free = self._free(mine)
        try:
            return self._place.queue.waiting(int(self._place.clock()), free)
        except (CloudUnreachable, CloudRefused) as error:
            outcome.note(error)
            return None

    def _free(self, mine: dict[str, Record]) -> int:
        held = sum(1 for record in mine.values() if record.phase is not Phase.FENCED)
        return max(0, self._place.settings.max_active - held)

    # ---- what this site holds ----

    def _advance(self, records: list[Record], outcome: Outcome) -> list[Record]:
        listing = Listing(self._place.scheduler)
        return self._in_parallel(lambda record: self._step(record, listing), records, outcome)

    def _step(self, record: Record, listing: Listing) -> Record | None:
        """Take an allocation as far as it goes in this pass."""
        current: Record | None = record
        if current is not None and current.phase is Phase.CLAIMING:
            current = self._steps.lifecycle.confirm_claim(current)
        if current is not None and current.phase is Phase.STAGING:
            return self._begin(current)
        if current is not None and current.phase is Phase.SUBMITTING:
            return self._steps.submitting.recover(current)
        if current is not None and current.phase is Phase.DEFERRED:
            return self._steps.submitting.let_go(current)
        if current is not None and current.phase is Phase.SUBMITTED:
            current = self._steps.watching.observe(current, listing)
            if current is not None and current.phase is Phase.SUBMITTED:
                return self._steps.publishing.push_growing_logs(current)
        if current is not None and current.phase is Phase.ENDED:
            return self._steps.publishing.publish(current)
        return current

    def _begin(self, record: Record) -> Record | None:
        try:
            staged = self._steps.bringing.stage(record)
        except (StagingError, CloudRefused) as error:
            if str(error) != record.reported_reason:  # each pass meets what lasts again
                _LOG.warning("%s: %s", told(record), error)
            return self._steps.lifecycle.report(record, record.reported, str(error))
        if staged is None or staged.phase is not Phase.STAGING:
            return staged
        return self._steps.submitting.submit(staged)

    # ---- what waits in the cloud ----

    def _stop(self, waiting: Waiting, mine: dict[str, Record], outcome: Outcome) -> None:
        wanted = [mine[allocation] for allocation in waiting.stops if allocation in mine]
        self._in_parallel(self._stop_one, wanted, outcome)

    def _stop_one(self, record: Record) -> Record | None:
        if record.phase is Phase.SUBMITTED:
            return self._steps.watching.stop(record)
        if record.phase is Phase.STAGING and self._steps.lifecycle.wanted_to_stop(record):
            return self._steps.lifecycle.stopped_before_submission(record)
        return record

    def _claim(
        self, waiting: Waiting, mine: dict[str, Record], outcome: Outcome, seconds: float
    ) -> None:
        self._cannot_claim = None
        control = waiting.control
        if control.drain or not waiting.pending or not self._place.may_submit():
            return
        if control.least_puller_version and _version(__version__) < _version(
            control.least_puller_version
        ):
            self._cannot_claim = (
                f"this puller is version {__version__}; the site {control.site} wants at least "
                f"{control.least_puller_version}: install the newer one"
            )
        else:
            self._cannot_claim = self._steps.lifecycle.guard.problem()
        if self._cannot_claim is not None:
            outcome.refuse(self._cannot_claim)
            return
        wanted = []
        for one in waiting.pending:
            if not is_allocation_id(one):
                self._tell_strange(one)
            elif one not in mine:
                wanted.append(one)
        wanted = wanted[: self._free(mine)]
        until = time.monotonic() + seconds
        left: list[str] = []

        def claim(one: str) -> Record | None:
            if time.monotonic() < until:
                return self._claim_one(one)
            left.append(one)
            return None

        claimed = self._in_parallel(claim, wanted, outcome)
        outcome.more = bool(left and claimed)

    def _tell_strange(self, what: str) -> None:
        if what not in self._strange:
            _LOG.warning("%r in the queue is no allocation's id as jobferry writes it", what)
            self._strange.add(what)

    def _tell_whether_anything_can_be_claimed(self, outcome: Outcome) -> None:
        """Say so in the sign of life: what was never claimed has no other voice."""
        if self._cannot_claim == self._said:
            return
        try:
            self.beat()
        except (CloudUnreachable, CloudRefused) as error:
            outcome.note(error)

    def _claim_one(self, allocation_id: str) -> Record | None:
        try:
            record = self._steps.lifecycle.claim(allocation_id)
        except (JournalError, OSError) as error:
            self._cannot_claim = str(error)
            raise
        return None if record is None else self._begin(record)

    def _purge_one(self, allocation_id: str) -> None:
        self._steps.purging.purge(allocation_id)

    # ---- isolation ----

    def _in_parallel(
        self,
        step: Callable[[T], Record | None],
        items: Iterable[T],
        outcome: Outcome,
        at_once: int = _AT_ONCE,
    ) -> list[Record]:
        """Take a step with each item; one that fails never keeps the others from theirs."""

        def guarded(item: T) -> Record | None:
            name = told(item) if isinstance(item, Record) else f"allocation {item}"
            problem: Exception | None = None
            try:
                return step(item)
            except (CloudUnreachable, CloudRefused) as error:
                outcome.note(error, name)
                problem = error if isinstance(error, CloudRefused) else None
            except TakenOver:
                raise
            except (HeldElsewhere, SchedulerUnavailable) as error:
                _LOG.warning("%s: %s", name, error)
            except (PullerError, OSError) as error:
                _LOG.error("%s: %s", name, error)
                problem = error
            except Exception:
                _LOG.exception("%s: unexpected error; the next pass tries again", name)
            return self._as_it_stands(item, problem)

        todo = list(items)
        if not todo:
            return []
        self._steps.lifecycle.tell_after = self._tell_after
        with ThreadPoolExecutor(min(at_once, len(todo))) as pool:
            return [record for record in pool.map(guarded, todo) if record is not None]

    def _as_it_stands(self, item: object, problem: Exception | None) -> Record | None:
        """What the journal says after a step that failed half-way; its user is told why."""
        try:
            held = self._place.journal.find(item.id if isinstance(item, Record) else str(item))
            if held is not None and problem is not None:
                self._steps.lifecycle.show_problem(held, str(problem))
        except (CloudUnreachable, CloudRefused):
            return held
        except Exception:
            _LOG.exception("%s: unexpected error", item)
            return item if isinstance(item, Record) else None
        return held


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in text.split("."))
