"""`jobferry-puller adopt`: takes over allocations of an installation that is lost."""

from __future__ import annotations

import argparse
import logging
import os
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from puller.administration.invocation import Invocation

if TYPE_CHECKING:
    from puller.adopting import Adopting
    from puller.adoption import Holding, Plan, Word

_LOG = logging.getLogger(__name__)

_EXAMPLES = """examples:
  jobferry-puller adopt                          what lies here and nobody here sees to
  jobferry-puller adopt ALLOCATION --dry-run     who holds it, and what would be done
  jobferry-puller adopt ALLOCATION...            take it over; the next pass goes on with it

For allocations of an installation that is lost (its home directory, its host), and for those that
`status` shows as fenced. An allocation's id is in the job's aws-job-stat.json.

An installation counts as lost when it has given no sign of life for an hour. If the allocation was
not submitted yet, its inputs are staged here and it is submitted. If it may have been, the
wrapper's records in the jobs directory and the scheduler are asked first; what is found is watched
and published as if nothing had happened. Only where no trace of the submission is left, your word
decides, after you have looked at the scheduler's own records:

  jobferry-puller adopt ALLOCATION --scheduler-id 4711   the scheduler got it, as 4711
  jobferry-puller adopt ALLOCATION --not-submitted       the scheduler never got it: submit it

Use the jobs directory of the lost installation, if it still exists: the evidence is there. The
scheduler's commands must work here, and no pass may be at work: it waits for one to end.
"""

_WAIT_SECONDS = 150.0
_SCHEDULER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\[\]@-]{0,127}")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `adopt`."""
    parser = commands.add_parser(
        "adopt",
        help="take over allocations of a lost installation",
        description="Takes over allocations of an installation that is lost. Without an "
        "allocation it lists those that have left something in the jobs directory.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, usage_error=parser.error)
    parser.add_argument("allocations", nargs="*", type=allocation_id, metavar="ALLOCATION")
    word = parser.add_mutually_exclusive_group()
    word.add_argument(
        "--scheduler-id",
        type=scheduler_id,
        metavar="ID",
        help="the scheduler has, or had, it under this id; of one allocation",
    )
    word.add_argument(
        "--not-submitted",
        action="store_true",
        help="the scheduler surely never got it: submit it; of one allocation",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--json", action="store_true", help="tell it as JSON; times in UTC")


def allocation_id(text: str) -> str:
    """The id of an allocation, as it stands in the table.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an allocation's id: `allocation.id` of aws-job-stat.json"
        ) from None


def scheduler_id(text: str) -> str:
    """A scheduler's id of a job.

    Raises:
        argparse.ArgumentTypeError: it can be none.
    """
    if _SCHEDULER_ID.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a scheduler's job id")
    return text


@dataclass(slots=True, kw_only=True)
class Row:
    """What is told of one allocation.

    Attributes:
        id: the allocation.
        holding: who holds it; None where the table does not know it.
        plan: what is, or would be, done.
        problem: why nothing is done.
        adopted: whether it was done.
    """

    id: str
    holding: Holding | None = None
    plan: Plan | None = None
    problem: str | None = None
    adopted: bool = False


def run(invocation: Invocation) -> int:
    """Adopt, or say what would be done."""
    from puller.adoption import Word
    from puller.errors import HeldElsewhere, PullerError

    given = invocation.given
    word = Word(scheduler_id=given.scheduler_id, not_submitted=given.not_submitted)
    if word != Word() and len(given.allocations) != 1:
        given.usage_error("--scheduler-id and --not-submitted go with one allocation")
    only_look = given.dry_run or not given.allocations
    rows: list[Row] = []
    try:
        for row in _rows(invocation, given.allocations, word, only_look=only_look):
            rows.append(row)
            if not given.json:
                _tell(invocation, row)
    except HeldElsewhere as error:  # to a pass that is no failure
        raise PullerError(str(error)) from error
    finally:
        if given.json:
            document = {"dry_run": only_look, "allocations": [_document(row) for row in rows]}
            invocation.tell_json(document)
    return 1 if given.allocations and any(row.problem for row in rows) else 0


def _tell(invocation: Invocation, row: Row) -> None:
    for line in _lines(row):
        invocation.tell(line)
    if invocation.given.allocations and row.problem is not None:
        _LOG.error("allocation %s is not adopted: %s", row.id, row.problem)


def _rows(
    invocation: Invocation, wanted: list[str], word: Word, *, only_look: bool
) -> Iterator[Row]:
    from puller.adopting import Adopting
    from puller.pass_lock import between_passes
    from puller.site_pass import SitePass
    from puller.start import open_workplace

    settings = invocation.settings()
    os.umask(int(settings.umask, 8))
    with ExitStack() as held:
        held.enter_context(between_passes(settings, _WAIT_SECONDS))
        place = open_workplace(settings)
        if not only_look:  # no other host may be at work for this installation
            SitePass(place, socket.gethostname()).beat(len(place.journal.records()))
        adopting = Adopting(place)
        if wanted:
            for id_ in dict.fromkeys(wanted):
                yield _handled(adopting, Row(id=id_), word, only_look=only_look)
        else:
            for id_ in adopting.candidates():
                row = _looked_at(adopting, Row(id=id_))
                if row.holding is None or not row.holding.allocation.client_status.terminal:
                    yield row


def _handled(adopting: Adopting, row: Row, word: Word, *, only_look: bool) -> Row:
    """Look at one allocation, and adopt it unless something speaks against it."""
    from puller.adoption import Plan
    from puller.errors import CloudRefused, CloudUnreachable, PullerError

    try:
        row.holding = adopting.look(row.id)
        decided = adopting.plan(row.holding, word)
        if not isinstance(decided, Plan):
            row.problem = decided.problem
            return row
        row.plan = decided
        if not only_look:
            adopting.carry_out(row.holding, decided)
            row.adopted = True
    except (CloudUnreachable, CloudRefused):
        raise
    except PullerError as error:
        row.problem = str(error)
    return row


def _looked_at(adopting: Adopting, row: Row) -> Row:
    """Look at one allocation without asking the scheduler."""
    from puller.adopting import NotAdopted
    from puller.adoption import objection

    try:
        row.holding = adopting.look(row.id)
    except NotAdopted as error:
        row.problem = str(error)
        return row
    refusal = objection(row.holding)
    row.problem = refusal.problem if refusal is not None else None
    return row


def _document(row: Row) -> dict[str, Any]:
    found = row.holding
    document: dict[str, Any] = {"allocation": row.id}
    if found is not None:
        document |= {
            "job": found.allocation.job,
            "status": found.allocation.client_status.value,
            "desired": found.allocation.desired.value,
            "submission_begun": found.allocation.submitting,
            "scheduler": found.allocation.scheduler,
            "scheduler_id": found.allocation.scheduler_id,
            "installation": found.allocation.installation,
            "host": found.heartbeat and found.heartbeat.host,
            "last_seen": found.heartbeat and _utc(found.heartbeat.at),
            "claimed": _utc(found.allocation.claimed_at),
        }
    plan = row.plan and {
        "way": row.plan.way.value,
        "scheduler_id": row.plan.scheduler_id,
        "because": row.plan.because,
    }
    return document | {"plan": plan, "adopted": row.adopted, "problem": row.problem}


def _lines(row: Row) -> Iterator[str]:
    found = row.holding
    if found is None:
        yield f"allocation {row.id}"
    else:
        allocation = found.allocation
        yield f"job {allocation.job!r} (allocation {row.id})"
        submission = (
            f"{allocation.scheduler} job {allocation.scheduler_id}"
            if allocation.scheduler_id
            else ("submission had begun" if allocation.submitting else "not submitted")
        )
        yield f"  {allocation.client_status.value}, {submission}; wanted: {allocation.desired}"
        yield f"  held by {_holder(found)}"
    if row.plan is not None:
        verb = "adopted" if row.adopted else "would be adopted"
        yield f"  {verb}: {row.plan.because}; {_NEXT[row.plan.way.value]}"
    elif row.problem is None:
        yield f"  to adopt it: jobferry-puller adopt {row.id}"
    else:
        yield f"  not to be adopted: {row.problem}"


_NEXT = {
    "stage": "the next pass stages and submits it",
    "submit": "the next pass submits it",
    "observe": "the next pass goes on watching it",
}


def _holder(found: Holding) -> str:
    holder, beat = found.allocation.installation, found.heartbeat
    if holder is None:
        return "nobody"
    if holder == found.installation:
        return "this installation"
    if beat is None:
        return f"installation {holder}, of which no sign of life is left"
    at = datetime.fromtimestamp(beat.at).astimezone().isoformat(" ", "seconds")
    return f"installation {holder}, last sign of life {at} on {beat.host}"


def _utc(at: int | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
