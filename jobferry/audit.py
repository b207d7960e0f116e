"""Whether the event log of a job is a sound chain, and whether it is the one that the site saw."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from job_protocol.audit_chain import BEGIN, CLAIMED, CREATED, ENDED, chained
from jobferry.errors import UsageError

_ANCHORS = {"claimed": CREATED, "ended": ENDED}
"""Which event an entry of the site's log has the hash of."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found.

    Attributes:
        events: all events, by time: what the cloud tells, with the hash of each, and what the site
            tells, with `log` set to `site`.
        problems: what does not fit, sentences.
        notes: what could not be looked at, sentences.
        anchored: how many hashes the site's log confirms; None if it was not there.
    """

    events: tuple[dict[str, Any], ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    anchored: int | None


def read_site_log(text: str, job_id: str) -> list[dict[str, Any]]:
    """The entries of a job in the site's audit log, or in what `audit show` printed of it.

    Raises:
        UsageError: it is no such log.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise UsageError(f"line {number} of the site's log is no entry: {error}") from error
        if isinstance(entry, dict) and entry.get("job") == job_id:
            found.append(entry)
    return found


def verify(
    links: Sequence[Mapping[str, Any]], site_log: Sequence[Mapping[str, Any]] | None
) -> Verdict:
    """Verify the chains of a job's allocations.

    Args:
        links: the allocations' chains as the cloud tells them (`audit_chain.document_of`), oldest
            first.
        site_log: the entries of the site's audit log; None if it is not there.
    """
    problems = [problem for link in links for problem in _problems(link)]
    notes = []
    for older, newer in pairwise(links):
        problem, note = _follows(older, newer, site_log or ())
        problems += problem
        notes += note
    if links and links[0]["previous"] != BEGIN:
        notes.append("the allocations before the first one here are not told any more")
    events = [dict(event) for link in links for event in link["events"]]
    if site_log is None:
        notes.append("without the site's log (--site-log) nothing is proved against the cloud")
        return Verdict(tuple(events), tuple(problems), tuple(notes), None)
    anchored = 0
    for link in links:
        confirmed, wrong = _compare(link, site_log, current=link is links[-1])
        anchored += confirmed
        problems += wrong
    if links and links[0]["previous"] == BEGIN:
        told = {link["allocation"] for link in links}
        unknown = {str(one.get("allocation")) for one in site_log} - told
        problems += [f"the site knows of allocation {one}, the cloud not" for one in unknown]
    events += [{**entry, "log": "site"} for entry in site_log]
    return Verdict(tuple(events), tuple(problems), tuple(notes), anchored)


def _follows(
    older: Mapping[str, Any], newer: Mapping[str, Any], site_log: Sequence[Mapping[str, Any]]
) -> tuple[list[str], list[str]]:
    """Problems and notes about how one allocation follows another.

    The bucket does not tell the end of one that was tried again; the site's log does.
    """
    if newer["previous"] == older["events"][-1]["hash"]:
        return [], []
    if any(event["event"] == ENDED for event in older["events"]):
        return [f"allocation {newer['allocation']} does not follow the one before"], []
    heads = _heads(older["allocation"], "ended", site_log)
    if newer["previous"] in heads:
        return [], []
    if heads:
        return [f"allocation {newer['allocation']} does not follow what the site saw end"], []
    return [], [f"the end of allocation {older['allocation']} is not told here; try --via api"]


def _heads(allocation: str, word: str, site_log: Sequence[Mapping[str, Any]]) -> set[str]:
    return {
        str(entry["head"])
        for entry in site_log
        if (entry.get("allocation"), entry.get("event")) == (allocation, word) and "head" in entry
    }


def _problems(link: Mapping[str, Any]) -> Iterable[str]:
    stated = [event["hash"] for event in link["events"]]
    bare = [{n: v for n, v in event.items() if n != "hash"} for event in link["events"]]
    for event, again in zip(link["events"], chained(link["previous"], bare), strict=True):
        if event["hash"] != again["hash"]:
            yield (
                f"allocation {link['allocation']}: the event {event['event']!r} is not what its "
                "hash says"
            )
            return
    if not stated:
        yield f"allocation {link['allocation']} has no event"


def _compare(
    link: Mapping[str, Any], site_log: Sequence[Mapping[str, Any]], *, current: bool
) -> tuple[int, list[str]]:
    """How many hashes of an allocation the site confirms, and what it contradicts."""
    allocation = link["allocation"]
    hashes = {event["event"]: event["hash"] for event in link["events"]}
    confirmed, wrong = 0, []
    for word, event in _ANCHORS.items():
        heads = _heads(allocation, word, site_log)
        if hashes.get(event) in heads:
            confirmed += 1
        elif heads and (event in hashes or current):
            wrong.append(f"allocation {allocation}: {event!r} is not what the site saw")
        elif not heads and event in hashes and CLAIMED in hashes:
            wrong.append(f"allocation {allocation}: the site's log does not say {word!r}")
    return confirmed, wrong
