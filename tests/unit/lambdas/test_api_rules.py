"""Small rules of the API: pages, identities, paths of files, routes, history."""

from __future__ import annotations

import base64
import json
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol import object_keys
from job_protocol.elements import Element, Elements, ElementState
from job_protocol.job import Registration
from job_protocol.job_settings import JobSettings
from job_protocol.states import ClientStatus, Outcome, Role
from lambdas.errors import Refused
from lambdas.routes.route import Answer, Call, Parameter
from lambdas.routes.table import ROUTES, route_of
from lambdas.rules import file_tree, history, nomad_views, pagination
from lambdas.rules.identity import Access, caller_of
from lambdas.rules.site_health import health_of
from lambdas.rules.status_document import iso
from lambdas.rules.task_groups import place_of
from tests.unit.lambdas.examples import NOW, a_dead_job, a_job, an_allocation

# ---- pages ----


@given(st.lists(st.text(max_size=40), min_size=2, max_size=2))
def test_a_token_leads_back_to_its_position(position: list[str]) -> None:
    token = pagination.encode(*position)
    assert token.isascii()
    assert pagination.decode(token, 2) == tuple(position)


@given(st.text(max_size=40))
def test_any_other_token_is_refused(token: str) -> None:
    try:
        assert len(pagination.decode(token, 2)) == 2
    except Refused as error:
        refused = error.status
    else:
        refused = 400
    assert refused == 400


# ---- identities ----


def test_a_token_has_its_scopes_and_sites_and_never_manages_tokens() -> None:
    context = {"accessor": "a", "name": "ci", "scopes": "read submit", "sites": "dc1"}
    caller = caller_of({"lambda": context})
    assert (caller.name, caller.token) == ("token:ci", "a")
    assert caller.may_use("dc1")
    assert not caller.may_use("osaka")
    with pytest.raises(Refused, match="Permission denied") as denied:
        caller.must(Access.MANAGE)
    assert "AWS credentials" in denied.value.remedy
    assert caller_of({"lambda": context | {"sites": ""}}).may_use("osaka")
    limited = caller_of({"lambda": context | {"scopes": "submit"}})
    limited.must(Access.ANY)  # who it is, a token may always ask
    with pytest.raises(Refused, match="Permission denied"):
        limited.must(Access.READ)


def test_iam_and_jwt_callers_are_known_by_name() -> None:
    iam = caller_of({"iam": {"userArn": "arn:aws:iam::1:user/u"}})
    assert iam.name == "arn:aws:iam::1:user/u"
    iam.must(Access.MANAGE)
    jwt = caller_of({"jwt": {"claims": {"sub": "u"}, "scopes": None}})
    assert jwt.name == "jwt:u"
    jwt.must(Access.SUBMIT)
    with pytest.raises(Refused):
        jwt.must(Access.MANAGE)


# ---- routes ----


@pytest.mark.parametrize(
    ("method", "path", "name", "job_id"),
    [
        ("GET", "/v1/job/a", "readJob", "a"),
        ("GET", "/v1/job/a/b", "readJob", "a/b"),
        ("GET", "/v1/job/a/summary", "readSummary", "a"),
        ("GET", "/v1/job/p/dispatch-1-abc/allocations", "listAllocationsOfJob", "p/dispatch-1-abc"),
        ("GET", "/v1/job/summary/summary", "readSummary", "summary"),
        ("DELETE", "/v1/job/解析 1/b", "stopJob", "解析 1/b"),
        ("POST", "/v1/job/a/b/start", "startJob", "a/b"),
    ],
)
def test_the_action_is_read_from_the_right(method: str, path: str, name: str, job_id: str) -> None:
    route, values = route_of(method, path)
    assert (route.name, values["job_id"]) == (name, job_id)


def test_every_action_on_a_job_is_a_word_that_no_job_id_ends_in() -> None:
    actions = {
        route.path.rpartition("/")[2]
        for route in ROUTES
        if route.path.startswith("/v1/job/") and not route.path.endswith("}")
    }
    assert actions <= object_keys.API_WORDS


def test_every_route_names_a_function_that_takes_a_call() -> None:
    for route in ROUTES:
        assert [*get_type_hints(route.runner()).items()] == [("call", Call), ("return", Answer)]
        finish = route.finisher()
        assert finish is None or next(iter(get_type_hints(finish))) == "call"


def test_another_method_and_another_path_are_told_apart() -> None:
    with pytest.raises(Refused, match="POST is not allowed") as error:
        route_of("POST", "/v1/sites")
    assert error.value.status == 405
    with pytest.raises(Refused) as error:
        route_of("GET", "/v2/jobs")
    assert error.value.status == 404


def test_parameters_are_read_or_refused() -> None:
    number = Parameter(name="n", description="", kind="integer", least=1, most=5)
    assert number.read("5") == 5
    flag = Parameter(name="f", description="", kind="boolean")
    assert (flag.read("True"), flag.read("false")) == (True, False)
    for parameter, text in ((number, "6"), (number, "-1"), (number, "x"), (flag, "maybe")):
        with pytest.raises(Refused, match=r" is '"):
            parameter.read(text)


# ---- files ----


@given(st.text(max_size=40))
def test_a_path_never_leaves_the_directory(path: str) -> None:
    try:
        clean = file_tree.clean_path(path)
    except Refused:
        assert ".." in path or "\0" in path
    else:
        assert ".." not in clean.split("/")
        assert not clean.startswith("/")


def test_a_scripts_log_lies_beside_it_and_a_nomad_jobs_where_nomad_puts_it() -> None:
    assert file_tree.script_log("alloc/logs/script.stdout.0") == object_keys.STDOUT
    assert file_tree.script_log("alloc/logs/script.stderr.0", 7) == "aws-job-stderr.7.txt"
    assert file_tree.script_log("alloc/logs/web.stdout.0") is None


@given(st.integers(0, 500), st.integers(0, 300), st.sampled_from(["start", "end"]))
def test_reading_starts_inside_the_file(offset: int, size: int, origin: str) -> None:
    start = file_tree.first_byte(offset, origin, size)
    assert 0 <= start <= size
    if offset <= size:
        assert start == (offset if origin == "start" else size - offset)


def test_frames_are_nomads_and_hold_every_byte() -> None:
    content = bytes(range(256)) * 600
    text, found, decoder = file_tree.frames("alloc/logs/x", 7, content).decode(), b"", None
    decoder = json.JSONDecoder()
    while text:
        frame, end = decoder.raw_decode(text)
        assert frame["Offset"] == 7 + len(found)
        found += base64.b64decode(frame["Data"])
        text = text[end:]
    assert found == content


# ---- views ----


def test_what_a_silent_site_was_running_is_unknown() -> None:
    silent = health_of("dc1", [], None, now=NOW, silent_after=60)
    running = an_allocation(client_status=ClientStatus.RUNNING, token="t")
    waiting = an_allocation()
    told = nomad_views.client_status
    assert told(running, running.client_status, silent) == "unknown"
    assert told(running, running.client_status, None) == "running"
    assert told(waiting, waiting.client_status, silent) == "pending"


@pytest.mark.parametrize("status", list(ClientStatus))
def test_every_state_has_a_word_of_nomads_and_a_column(status: ClientStatus) -> None:
    view: dict[str, Any] = nomad_views.allocation_view(an_allocation(client_status=status))
    assert view["SiteStatus"] == status.value
    counts = nomad_views.summary_view(a_job(), [("script", status)])["Summary"]["script"]
    assert sum(counts.values()) == 1


def test_an_element_tells_its_own_end_and_its_array_the_whole_ones() -> None:
    elements = Elements((Element(ElementState.COMPLETE, 0), Element(ElementState.FAILED, 7)))
    array = an_allocation(
        settings=JobSettings(count=2),
        elements=elements.pack(),
        client_status=ClientStatus.FAILED,
        exit_code=7,
        reason="1 of 2 elements failed: 1",
        started_at=NOW - 5,
        ended_at=NOW,
    )
    told = [nomad_views.allocation_view(array, place=place_of(None, index)) for index in (0, 1)]
    assert [view["ClientDescription"] for view in told] == ["", "failed with exit code 7"]
    assert [view["Reason"] for view in told] == [None, None]
    whole = told[0]["Array"]["whole"]
    assert (whole["reason"], whole["ended"]) == ("1 of 2 elements failed: 1", iso(NOW))


def test_a_history_names_who_launched_and_what_was_registered() -> None:
    launched = a_job(parent="nightly", submitter=None)
    (first, *_) = history.events(launched, [])
    assert first["Message"] == "run 1 was launched by the periodic job nightly"
    registered = Registration(version=2, index=3, name="x", time=NOW)
    template = a_job(role=Role.TEMPLATE, registration=registered, submitter="ann")
    assert history.events(template, [])[0]["Message"] == "version 2 was registered by ann"


def test_history_is_told_in_order() -> None:
    ended = an_allocation(
        client_status=ClientStatus.FAILED,
        created=NOW - 90,
        claimed_at=NOW - 80,
        submitted_at=NOW - 70,
        started_at=NOW - 60,
        ended_at=NOW - 55,
        exit_code=3,
    )
    job = a_dead_job(Outcome.FAILED, submitter="token:ci", finished=NOW - 50)
    told = history.events(job, [ended])
    assert [row["Type"] for row in told] == [
        "Submitted",
        "Created",
        "Claimed",
        "Scheduled",
        "Started",
        "Ended",
        "Finished",
    ]
    assert "token:ci" in told[0]["Message"]
    assert "exit code 3" in told[5]["Message"]


def test_history_tells_the_runs_before_first_whatever_the_site_s_clock_says() -> None:
    before = an_allocation(
        client_status=ClientStatus.LOST, created=NOW - 300, ended_at=NOW + 999, run=1
    )
    job = a_dead_job(Outcome.COMPLETE, run=2, finished=NOW - 50)
    told = [(row["Run"], row["Type"]) for row in history.events(job, [before])]
    assert told == [(1, "Created"), (1, "Ended"), (2, "Submitted"), (2, "Finished")]
