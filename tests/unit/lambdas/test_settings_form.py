"""The form of `aws-job.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.dynamodb_json import encode
from job_protocol.items import to_attributes
from job_protocol.job_settings import Artifact, JobSettings, Resources, Retries
from lambdas.rules.settings_form import (
    MAX_SETTINGS_BYTES,
    SettingsForm,
    json_schema,
    parse_settings,
)
from tests.unit.job_protocol.strategies import patterns
from tests.unit.lambdas.json_schema import accepts

KEY = "job0001/aws-job.json"
PUBLISHED = Path(__file__).resolve().parents[3] / "docs" / "aws-job.schema.json"


def _parse(document: object) -> JobSettings:
    settings, problems = parse_settings(KEY, json.dumps(document).encode())
    assert problems == []
    return settings


def _problems(document: object) -> list[str]:
    settings, problems = parse_settings(KEY, json.dumps(document).encode())
    assert settings == JobSettings()
    assert all(problem.key == KEY and problem.remedy for problem in problems)
    return [problem.problem for problem in problems]


def test_an_empty_document_states_nothing() -> None:
    assert _parse({}) == JobSettings()


def test_null_states_nothing() -> None:
    assert _parse(dict.fromkeys(SettingsForm.model_fields)) == JobSettings()


def test_everything_that_is_stated_arrives() -> None:
    assert _parse(
        {
            "name": "heat",
            "priority": 70,
            "time_limit": "1-02:03:04",
            "resources": {"nodes": 2, "cpus": 8, "memory": "4G", "gpus": 1},
            "account": "gr:1@x",
            "partition": "short",
            "retries": {"attempts": 2},
            "results": ["out/**"],
            "exclude": ["*.tmp"],
            "reuse": ["再開/**"],
            "artifacts": [
                {"source": "https://x.org/a.jar"},
                {
                    "source": "git::https://x.org/b.git",
                    "destination": "src",
                    "mode": "dir",
                    "options": {"ref": "main"},
                },
                {
                    "source": "https://x.org/c",
                    "checksum": "md5:" + "0" * 32,
                    "headers": {"X-Token": "t"},
                },
            ],
        }
    ) == JobSettings(
        name="heat",
        priority=70,
        time_limit=93784,
        resources=Resources(nodes=2, cpus=8, memory_mb=4096, gpus=1),
        account="gr:1@x",
        queue="short",
        retries=Retries(attempts=2, delay=30),
        results=("out/**",),
        exclude=("*.tmp",),
        reuse=("再開/**",),
        artifacts=(
            Artifact(source="https://x.org/a.jar"),
            Artifact(
                source="git::https://x.org/b.git",
                destination="src",
                mode="dir",
                options={"ref": "main"},
            ),
            Artifact(
                source="https://x.org/c",
                checksum="md5:" + "0" * 32,
                headers={"X-Token": "t"},
            ),
        ),
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (90, 90),
        ("90", None),
        ("90s", 90),
        ("1h30m", 5400),
        ("2d", 172800),
        ("01:30:00", 5400),
        ("100:00:00", 360000),
        ("2-00:00:01", 172801),
        ("1:30", None),
        ("1:60:00", None),
        ("", None),
        ("h", None),
        ("\uff11h", None),
        ("0s", None),
        (0, None),
        (-1, None),
        (1.5, None),
        (True, None),
        ("367d", None),
        ("9" * 5000 + "s", None),
    ],
)
def test_a_time(text: object, seconds: int | None) -> None:
    if seconds is None:
        (problem,) = _problems({"time_limit": text})
        assert problem.startswith("time_limit: ")
    else:
        assert _parse({"time_limit": text}).time_limit == seconds


@pytest.mark.parametrize(
    ("text", "mebibytes"),
    [
        (300, 300),
        ("300M", 300),
        ("4G", 4096),
        ("4GiB", 4096),
        ("4gb", 4096),
        ("1T", 1048576),
        ("300", None),
        ("4 G", None),
        ("1K", None),
        ("1.5G", None),
        ("0M", None),
        (0, None),
        ("1" * 40 + "T", None),
        (10**40 + 1, None),
    ],
)
def test_a_memory_size(text: object, mebibytes: int | None) -> None:
    if mebibytes is None:
        (problem,) = _problems({"resources": {"memory": text}})
        assert problem.startswith("resources.memory: ")
    else:
        assert _parse({"resources": {"memory": text}}).resources.memory_mb == mebibytes


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"name": "-x"}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"name": "a\n"}, "name"),
        ({"priority": 0}, "priority"),
        ({"priority": 101}, "priority"),
        ({"priority": "70"}, "priority"),
        ({"priority": 50.0}, "priority"),
        ({"resources": 3}, "resources"),
        ({"resources": {"nodes": 0}}, "resources.nodes"),
        ({"resources": {"gpus": 12345678901234567890123456789012345678901}}, "resources.gpus"),
        ({"account": "--wrap=evil"}, "account"),
        ({"queue": "a b"}, "queue"),
        ({"partition": "a;b"}, "partition"),
        ({"retries": {}}, "retries.attempts"),
        ({"retries": {"attempts": 101}}, "retries.attempts"),
        ({"retries": {"attempts": 1, "delay": "soon"}}, "retries.delay"),
        ({"results": "out/**"}, "results"),
        ({"results": ["ok", "../x"]}, "results.1"),
        ({"exclude": [""]}, "exclude.0"),
        ({"exclude": ["x"] * 101}, "exclude"),
        ({"reuse": ["[z-a]"]}, "reuse.0"),
        ({"reuse": [7]}, "reuse.0"),
        ({"artifacts": [{}]}, "artifacts.0.source"),
        ({"artifacts": [{"source": "https://x/a", "mode": "tree"}]}, "artifacts.0.mode"),
        ({"artifacts": [{"source": "https://x/a"}, {"source": "file:///a"}]}, "artifacts.1"),
        ({"artifacts": [{"source": "https://x/a", "options": {"n": 1}}]}, "artifacts.0.options.n"),
        ({"artifacts": [{"source": "https://x/a?" + "a" * 1900}] * 20}, "artifacts"),
    ],
)
def test_a_wrong_value_is_told_with_its_field(document: dict[str, Any], field: str) -> None:
    (problem,) = _problems(document)
    assert problem.startswith(f"{field}: ")


def test_every_wrong_value_is_told_at_once() -> None:
    assert len(_problems({"priority": 0, "queue": "-q", "results": ["..", ""], "colour": 1})) == 5


def test_an_unknown_setting_is_named_with_the_known_ones() -> None:
    for document, name, known in (
        ({"prioriti": 1}, "'prioriti'", "priority"),
        ({"resources": {"core": 1}}, "'resources.core'", "cpus"),
        ({"retries": {"attempts": 1, "mode": 1}}, "'retries.mode'", "delay"),
        ({"artifacts": [{"source": "https://x/a", "url": 1}]}, "'artifacts.0.url'", "checksum"),
    ):
        _, (problem,) = parse_settings(KEY, json.dumps(document).encode())
        assert problem.problem == f"unknown setting {name}"
        assert known in problem.remedy


def test_queue_and_partition_may_not_contradict_each_other() -> None:
    assert _parse({"queue": "q", "partition": "q"}).queue == "q"
    assert _problems({"queue": "q", "partition": "p"}) == [
        "queue and partition name different queues"
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'name': 1}",
        b"\xff\xfe{}",
        b'{"name": "\xff"}',
        b'{"exclude": ["\\ud800"]}',
        b"[" * 100_000,
        b'{"retries":' * 20_000,
    ],
)
def test_what_is_not_json_is_told_and_kills_nothing(body: bytes) -> None:
    _, (problem,) = parse_settings(KEY, body)
    assert problem.problem.startswith("not valid JSON: ")


def test_a_document_that_is_too_long_is_not_read() -> None:
    _, (problem,) = parse_settings(KEY, b"{}" + b" " * MAX_SETTINGS_BYTES)
    assert problem.problem == f"it has more than {MAX_SETTINGS_BYTES} bytes"


@pytest.mark.parametrize("document", [[], "x", 1, None])
def test_another_document_than_an_object_is_told(document: object) -> None:
    (problem,) = _problems(document)
    assert problem.startswith("the document: ")


# ---- any document ----

_numbers = st.integers(-2, 120) | st.just(10**45 + 1)
_names = st.sampled_from(["a", "-a", "a.b:c", "x y", "", "a" * 130, "結果"])
_lists = st.lists(patterns, max_size=3)
_delays = _numbers | st.sampled_from(["30s", "1h", "1:00:00", "1-00:00:00", "1:30", "x"])
_resources = st.fixed_dictionaries(
    {},
    optional={
        "nodes": _numbers,
        "cpus": _numbers | st.none(),
        "memory": _numbers | st.sampled_from(["4G", "4gib", "4", "0M"]),
        "tasks": _numbers,
    },
)
_artifacts = st.fixed_dictionaries(
    {},
    optional={
        "source": st.sampled_from(["https://x/a", "s3://bucket/a", "", "x"]) | st.none(),
        "destination": st.sampled_from(["local", "..", "a" * 1025]),
        "mode": st.sampled_from(["any", "file", "dir", "tree"]),
        "checksum": st.none() | st.just("md5:0"),
        "options": st.dictionaries(_names, _names, max_size=2) | st.none(),
        "headers": st.dictionaries(_names, _numbers | _names, max_size=2),
        "url": st.none(),
    },
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "name": _names,
        "priority": _numbers | st.booleans(),
        "time_limit": _delays,
        "resources": _resources | st.none(),
        "account": _names,
        "queue": _names,
        "retries": st.fixed_dictionaries({"attempts": _numbers}, optional={"delay": _delays}),
        "results": _lists,
        "exclude": _lists | st.text(max_size=3),
        "artifacts": st.lists(_artifacts, max_size=2),
        "other": st.none(),
    },
)


# What the schema cannot say: the limit of a time written as text, the grammar of a path pattern
# and of a source.
_OF_THE_FORM_ALONE = (
    *("time_limit", "retries.delay", "resources.memory", "results", "exclude"),
    "artifacts.",
)


@given(documents)
def test_the_published_schema_and_the_form_agree(document: dict[str, Any]) -> None:
    _, problems = parse_settings(KEY, json.dumps(document).encode())
    if accepts(json_schema(), document):
        assert all(problem.problem.startswith(_OF_THE_FORM_ALONE) for problem in problems)
    else:
        assert problems


@given(documents)
def test_what_the_form_accepts_can_be_stored(document: dict[str, Any]) -> None:
    settings, _ = parse_settings(KEY, json.dumps(document).encode())
    stored = json.dumps(encode(to_attributes(settings)))
    assert not any(len(digits) > 38 for digits in stored.split('"') if digits.isdigit())


def test_the_published_schema_is_current() -> None:
    assert json.loads(PUBLISHED.read_text()) == json_schema(), (
        "run: python -m lambdas.rules.settings_form > docs/aws-job.schema.json"
    )


def test_a_throttle_without_an_array_is_told() -> None:
    settings, problems = parse_settings("key", b'{"max_running": 3}')
    assert settings == JobSettings()
    assert "count" in problems[0].problem
    settings, problems = parse_settings("key", b'{"count": 9, "max_running": 3}')
    assert (settings.array, settings.max_running, problems) == (9, 3, [])
    settings, _ = parse_settings("key", b'{"count": 1}')
    assert settings.array is None
