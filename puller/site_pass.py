"""One pass: sign of life, then what this site holds, then what waits in the cloud."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from job_protocol.identifiers import is_allocation_id
from job_protocol.site_records import Heartbeat
from puller import __version__
from puller.cloud.waiting import Waiting
from puller.errors import CloudRefused, CloudUnreachable, StagingError
from puller.isolated_steps import IsolatedSteps
from puller.journal import JournalError, Phase, Record, told
from puller.pass_outcome import Outcome
from puller.site_attributes import site_attributes
from puller.workplace import Listing, Workplace

if TYPE_CHECKING:
    from puller.steps import Steps

_LOG = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 60
"""How often a lingering puller writes its sign of life."""

TELL_AFTER = 3.0
"""Seconds that a passing state must have lasted before a lingering puller tells it."""

CLAIM_SECONDS = 5.0
"""For how long a pass claims, and longer where looking at what is held took longer: what ends
meanwhile, and who wants something stopped, must not wait until a thousand jobs are submitted."""

HELD_SECONDS = 900
"""For how long a sign of life keeps other hosts from running the same installation."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What this site holds, in the midst of a pass.

    Attributes:
        records: as they stand after their steps.
        busy: the allocations whose steps went on when that was found out.
        known: the allocations that were held when the pass began. None of them is claimed in it,
            whatever the queue says, which may be a moment old.
    """

    records: dict[str, Record]
    busy: frozenset[str]
    known: frozenset[str]


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
        self._taking = IsolatedSteps(place.journal, lambda: self._steps.lifecycle)

    @cached_property
    def _attributes(self) -> dict[str, str]:
        settings = self._place.settings
        return site_attributes(settings.site, settings.attributes)

    @cached_property
    def _steps(self) -> Steps:
        """The steps, imported and made when there is something to do: most passes are idle."""
        from puller.steps import steps_of

        return steps_of(self._place)

    def run(self, *, leaving: bool = True, to_the_end: bool = True) -> Outcome:
        """Make one pass.

        What is on the site is looked at even when the cloud is out of reach: a scheduler forgets
        its finished jobs after minutes, an outage may take days.

        Args:
            leaving: whether no other pass of this process follows: then passing states are told
                at once, since the next look may be far away.
            to_the_end: whether to wait for steps that take long, as the transfer of a large file
                does. Without, they go on while further passes see to everything else.

        Raises:
            HeldElsewhere: another host runs this installation, or has taken over meanwhile.
        """
        outcome = Outcome(told=self._told)
        busy = self._taking.under_way()
        last = leaving and not busy
        records = self._place.journal.records(but=busy)
        if not 0 <= self._place.clock() - self._beaten_at < HEARTBEAT_SECONDS:
            try:
                self.beat(len(records) + len(busy))
            except (CloudUnreachable, CloudRefused) as error:
                outcome.note(error)
        self._taking.prepare(outcome, tell_after=0.0 if last else TELL_AFTER, to_the_end=to_the_end)
        begun = time.monotonic()
        held = self._advance(records, busy)
        looked = time.monotonic() - begun
        waiting = self._ask(held, outcome)
        if waiting is not None:
            self._stop(waiting, held)
            self._claim(waiting, held, outcome, max(CLAIM_SECONDS, looked))
            self._tell_whether_anything_can_be_claimed(outcome)
            # One after the other: they share the folder of what is being removed.
            self._taking.take(self._purge_one, waiting.purges, at_once=1, to_the_end=True)
        if outcome.unreachable is None and outcome.refused is None:
            self._told.clear()
        outcome.under_way = bool(self._taking.under_way())
        return outcome

    def finish(self) -> None:
        """Wait for the steps that are under way.

        Raises:
            HeldElsewhere: another host has taken over meanwhile.
        """
        self._taking.finish()

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

    def _ask(self, held: _Held, outcome: Outcome) -> Waiting | None:
        if outcome.unreachable:
            return None
        free = self._free(held)
        try:
            return self._place.queue.waiting(int(self._place.clock()), free)
        except (CloudUnreachable, CloudRefused) as error:
            outcome.note(error)
            return None

    def _free(self, held: _Held) -> int:
        active = sum(record.phase is not Phase.FENCED for record in held.records.values())
        return max(0, self._place.settings.max_active - active - len(held.busy))

    # ---- what this site holds ----

    def _advance(self, records: list[Record], busy: frozenset[str]) -> _Held:
        listing = Listing(self._place.scheduler)
        known = busy.union(record.id for record in records)
        stepped = self._taking.take(lambda record: self._step(record, listing), records)
        stand = {record.id: record for record in stepped}
        return _Held(stand, (busy | self._taking.under_way()) - stand.keys(), known)

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
        if current is not None and current.phase is Phase.ENDED and not self._taking.crowded():
            return self._steps.publishing.publish(current)
        return current

    def _begin(self, record: Record) -> Record | None:
        if self._taking.crowded():
            return record
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

    def _stop(self, waiting: Waiting, held: _Held) -> None:
        found = map(held.records.get, waiting.stops)
        self._taking.take(self._stop_one, [record for record in found if record], to_the_end=True)

    def _stop_one(self, record: Record) -> Record | None:
        if record.phase is Phase.SUBMITTED:
            return self._steps.watching.stop(record)
        if record.phase is Phase.STAGING and self._steps.lifecycle.wanted_to_stop(record):
            return self._steps.lifecycle.stopped_before_submission(record)
        return record

    def _claim(self, waiting: Waiting, held: _Held, outcome: Outcome, seconds: float) -> None:
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
            elif one not in held.known:
                wanted.append(one)
        wanted = wanted[: self._free(held)]
        until = time.monotonic() + seconds
        left: list[str] = []

        def claim(one: str) -> Record | None:
            if time.monotonic() < until and not self._taking.crowded():
                return self._claim_one(one)
            left.append(one)
            return None

        claimed = self._taking.take(claim, wanted)
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


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in text.split("."))
