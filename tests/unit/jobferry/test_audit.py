"""Whether a life that somebody wrote anew is found."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from job_protocol.allocation import Allocation
from job_protocol.audit_chain import document_of, head_of, head_of_created
from job_protocol.states import ClientStatus
from jobferry.audit import read_site_log, verify
from jobferry.errors import UsageError

FIRST = Allocation(
    site="dc1",
    job="j",
    id="a1",
    created=1,
    principal="ann",
    claimed_at=2,
    installation="i",
    client_status=ClientStatus.FAILED,
    ended_at=3,
)
SECOND = replace(
    FIRST, id="a2", attempt=1, principal="control plane", before="a1", previous=head_of(FIRST)
)
LINKS = [document_of(FIRST), document_of(SECOND)]
LOG = [
    {"event": event, "at": "1970-01-01T00:00:09Z", "job": "j", "allocation": one.id, "head": head}
    for one in (FIRST, SECOND)
    for event, head in (("claimed", head_of_created(one)), ("ended", head_of(one)))
]


def test_a_sound_life_is_anchored() -> None:
    verdict = verify(LINKS, LOG)
    assert (verdict.problems, verdict.notes, verdict.anchored) == ((), (), 4)
    assert len(verdict.events) == 6 + 4
    alone = verify(LINKS, None)
    assert (alone.problems, alone.anchored) == ((), None)
    assert "nothing is proved" in alone.notes[0]


def test_a_changed_event_breaks_the_chain() -> None:
    links = copy.deepcopy(LINKS)
    links[0]["events"][0]["by"] = "bob"
    assert "'created' is not what its hash says" in verify(links, None).problems[0]


def test_a_chain_that_was_written_anew_is_not_what_the_site_saw() -> None:
    for change in ({"principal": "bob"}, {"client_status": ClientStatus.COMPLETE}):
        first = replace(FIRST, **change)  # the cloud computes everything again
        second = replace(SECOND, previous=head_of(first))
        links = [document_of(first), document_of(second)]
        assert verify(links, None).problems == ()
        assert any("is not what the site saw" in p for p in verify(links, LOG).problems)


def test_an_allocation_that_is_left_out_is_missed() -> None:
    second = replace(SECOND, previous=None)
    problems = verify([document_of(second)], LOG).problems
    assert "the site knows of allocation a1, the cloud not" in problems
    assert any("'created' is not what the site saw" in p for p in problems)
    assert "not told any more" in verify([LINKS[1]], LOG[2:]).notes[0]


def test_an_allocation_that_the_site_never_had() -> None:
    problems = verify(LINKS, LOG[:2]).problems
    assert problems == (
        "allocation a2: the site's log does not say 'claimed'",
        "allocation a2: the site's log does not say 'ended'",
    )


def test_the_end_of_an_attempt_that_the_bucket_does_not_tell() -> None:
    cut = {**LINKS[0], "events": LINKS[0]["events"][:2]}
    assert verify([cut, LINKS[1]], LOG).problems == ()
    assert "--via api" in verify([cut, LINKS[1]], None).notes[0]
    forged: list[dict[str, Any]] = [cut, document_of(replace(SECOND, previous="1" * 64))]
    assert "does not follow what the site saw end" in verify(forged, LOG).problems[0]


def test_an_end_that_the_cloud_hides() -> None:
    cut = {**LINKS[1], "events": LINKS[1]["events"][:2]}
    assert any(
        "'ended' is not what the site saw" in p for p in verify([LINKS[0], cut], LOG).problems
    )


def test_the_log_is_read_for_one_job() -> None:
    text = "\n".join(map(json.dumps, [*LOG, {"job": "other"}]))
    assert read_site_log(text, "j") == LOG
    with pytest.raises(UsageError, match="line 1"):
        read_site_log("x", "j")
