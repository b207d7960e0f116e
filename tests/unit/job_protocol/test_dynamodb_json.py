"""DynamoDB's typed JSON."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.dynamodb_json import decode, decode_value, encode, encode_value
from job_protocol.states import Word

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def _as_in_a_stream_record(typed: Any) -> Any:
    """DynamoDB Streams gives bytes as base64 text, and all of it as JSON."""
    return json.loads(json.dumps(typed, default=lambda b: base64.b64encode(b).decode()))


@given(st.dictionaries(st.text(), plain, max_size=5))
def test_an_item_comes_back_from_the_api_and_from_the_stream(item: dict[str, Any]) -> None:
    assert decode(encode(item)) == item
    assert decode(_as_in_a_stream_record(encode(item))) == item


def test_each_value_has_its_type() -> None:
    assert encode({"a": True, "b": 1, "c": "x", "d": b"y", "e": None, "f": [2], "g": {"h": 3}}) == {
        "a": {"BOOL": True},
        "b": {"N": "1"},
        "c": {"S": "x"},
        "d": {"B": b"y"},
        "e": {"NULL": True},
        "f": {"L": [{"N": "2"}]},
        "g": {"M": {"h": {"N": "3"}}},
    }


def test_a_tuple_is_a_list_and_a_word_is_text() -> None:
    assert encode_value((Word.JOB_QUEUED,)) == {"L": [{"S": "JOB_QUEUED"}]}
    assert type(encode_value(Word.JOB_QUEUED)["S"]) is str


@pytest.mark.parametrize("value", [1.5, {1}, object()])
def test_what_the_table_never_holds_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=f"no DynamoDB type for {type(value).__name__}"):
        encode_value(value)


def test_a_foreign_type_is_refused() -> None:
    with pytest.raises(TypeError, match="'SS'"):
        decode_value({"SS": ["a"]})
