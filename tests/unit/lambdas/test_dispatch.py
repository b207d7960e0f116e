"""Dispatching a parameterized job: Nomad's rules and words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.object_keys import job_id_problems
from lambdas.rules.dispatch import (
    INLINE_PAYLOAD,
    MAX_PAYLOAD,
    Dispatch,
    child_id,
    child_job,
    refusal,
)


def _parent(**parameterized: Any) -> dict[str, Any]:
    return {"ID": "p", "Name": "p", "Type": "batch", "ParameterizedJob": parameterized}


@pytest.mark.parametrize(
    ("parameterized", "dispatch", "words"),
    [
        ({}, Dispatch({}), None),
        ({}, Dispatch({}, payload_size=1), None),
        ({"Payload": "required"}, Dispatch({}, payload_size=1), None),
        ({"Payload": "forbidden"}, Dispatch({}), None),
        (
            {"Payload": "required"},
            Dispatch({}),
            "Payload is not provided but required by parameterized job",
        ),
        (
            {"Payload": "forbidden"},
            Dispatch({}, payload_size=1),
            "Payload provided but forbidden by parameterized job",
        ),
        ({}, Dispatch({}, payload_size=INLINE_PAYLOAD), None),
        (
            {},
            Dispatch({}, payload_size=INLINE_PAYLOAD + 1),
            "Payload exceeds maximum size; 16385 > 16384",
        ),
        ({}, Dispatch({}, payload_size=INLINE_PAYLOAD + 1, in_bucket=True), None),
        (
            {},
            Dispatch({}, payload_size=MAX_PAYLOAD + 1, in_bucket=True),
            f"Payload exceeds maximum size; {MAX_PAYLOAD + 1} > {MAX_PAYLOAD}",
        ),
        (
            {},
            Dispatch({"b": "", "a": ""}),
            "Dispatch request included unpermitted metadata keys: [a b]",
        ),
        (
            {"MetaRequired": ["b", "a", "c"]},
            Dispatch({"c": ""}),
            "Dispatch did not provide required meta keys: [a b]",
        ),
        ({"MetaRequired": ["a"], "MetaOptional": ["b"]}, Dispatch({"a": "", "b": ""}), None),
        ({"MetaOptional": ["b"]}, Dispatch({}), None),
    ],
)
def test_the_rules_of_a_dispatch(
    parameterized: dict[str, Any], dispatch: Dispatch, words: str | None
) -> None:
    assert refusal(_parent(**parameterized), dispatch, stopped=False) == words


def test_only_a_living_parameterized_job_is_dispatched() -> None:
    plain = {"ID": "p", "Type": "batch"}
    wanted = 'Specified job "p" is not a parameterized job'
    assert refusal(plain, Dispatch({}), stopped=False) == wanted
    assert refusal(_parent(), Dispatch({}), stopped=True) == 'Specified job "p" is stopped'


def test_the_child_is_named_after_the_time_and_eight_digits() -> None:
    found = child_id("p/q", Dispatch({}), now=1580613031, random_hex="6b384981ffff")
    assert found == "p/q/dispatch-1580613031-6b384981"


def test_a_prefix_stands_before_the_time() -> None:
    found = child_id("p", Dispatch({}, id_prefix="run7"), now=1, random_hex="6b384981")
    assert found == "p/dispatch-run7-1-6b384981"


@pytest.mark.parametrize("prefix", ["a/b", "..\n", "x" * 300])
def test_a_prefix_that_makes_no_job_id_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match=r"slash|control|segment"):
        child_id("p", Dispatch({}, id_prefix=prefix), now=1, random_hex="6b384981")


@given(st.text(max_size=300), st.integers(0, 2**40))
def test_a_child_id_is_always_a_job_id(prefix: str, now: int) -> None:
    try:
        found = child_id("p", Dispatch({}, id_prefix=prefix), now=now, random_hex="0" * 32)
    except ValueError:
        return
    assert job_id_problems(found) == []
    assert found.startswith("p/dispatch-")


def test_the_child_has_the_parents_specification_and_the_merged_metadata() -> None:
    parent = {**_parent(MetaOptional=["a"]), "Meta": {"a": "1", "b": "2"}}
    dispatch = Dispatch({"a": "3"}, idempotency_token="once")
    assert child_job(parent, "p/dispatch-1-00000000", dispatch) == {
        **parent,
        "ID": "p/dispatch-1-00000000",
        "Name": "p/dispatch-1-00000000",
        "ParentID": "p",
        "Dispatched": True,
        "DispatchIdempotencyToken": "once",
        "Meta": {"a": "3", "b": "2"},
    }
    assert parent["Meta"] == {"a": "1", "b": "2"}
