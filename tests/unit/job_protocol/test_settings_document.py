"""`aws-job.json` as the site reads it: what the control plane admits means the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.job_settings import JobSettings, Resources
from job_protocol.settings_document import KNOWN_SETTINGS, SettingsDocumentError, read_settings
from lambdas.rules.settings_form import SettingsForm, parse_settings

words = st.sampled_from(["a", "gpu.q", "x/y", "-x", "", "a b", "_1"])
numbers = st.integers(-1, 200) | st.sampled_from([1.5, True, "7", None])
times = numbers | st.sampled_from(["1h30m", "00:10:00", "1-00:00:00", "1:30", "90s", "", "h"])
sizes = numbers | st.sampled_from(["4G", "10 M", "1TiB", "512m"])
patterns = st.lists(st.sampled_from(["out/**", "*.tmp", "", "..", "[", 3]), max_size=2)
texts = st.sampled_from(["a", "a/b/", "x y", ""])
sources = st.sampled_from(["https://example.org/a.tar", "s3://bucket/a", "nothing", ""])
documents = st.fixed_dictionaries(
    {},
    optional={
        "name": words,
        "priority": numbers,
        "time_limit": times,
        "resources": st.fixed_dictionaries(
            {}, optional={"nodes": numbers, "cpus": numbers, "memory": sizes, "gpus": numbers}
        ),
        "account": words,
        "queue": words,
        "partition": words,
        "retries": st.fixed_dictionaries({}, optional={"attempts": numbers, "delay": times}),
        "results": patterns,
        "exclude": patterns,
        "reuse": patterns,
        "count": numbers,
        "max_running": numbers,
        "inputs": st.lists(
            st.fixed_dictionaries(
                {},
                optional={"from": texts, "to": texts, "version": texts, "other": texts},
            ),
            max_size=2,
        ),
        "artifacts": st.lists(
            st.fixed_dictionaries(
                {"source": sources},
                optional={
                    "destination": texts,
                    "mode": st.sampled_from(["any", "file", "dir", "x"]),
                    "checksum": st.sampled_from(["sha256:" + "0" * 64, "md5:1", ""]),
                    "options": st.dictionaries(texts, texts, max_size=2),
                    "headers": st.dictionaries(texts, texts, max_size=2),
                },
            ),
            max_size=2,
        ),
    },
)


@given(documents)
def test_an_admitted_file_means_the_same_here(document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    settings, problems = parse_settings("job/aws-job.json", body)
    if not problems:
        assert read_settings(body) == settings


def test_the_reader_knows_every_setting_of_the_form() -> None:
    assert frozenset(SettingsForm.model_fields) == KNOWN_SETTINGS


def test_what_is_stated() -> None:
    body = b'{"partition": "long", "time_limit": "1h", "resources": {"memory": "2G", "nodes": 3}}'
    assert read_settings(body) == JobSettings(
        queue="long", time_limit=3600, resources=Resources(nodes=3, memory_mb=2048)
    )
    assert read_settings(b"{}") == JobSettings()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "JSON"),
        (b"[]", "the document"),
        (b'{"colour": 1}', "colour"),
        (b'{"resources": {"disks": 1}}', "resources.disks"),
        (b'{"resources": 3}', "resources"),
        (b'{"queue": "a", "partition": "b"}', "different queues"),
        (b'{"queue": "--x"}', "queue"),
        (b'{"time_limit": true}', "time_limit"),
        (b'{"retries": {}}', "attempts"),
        (b'{"inputs": {"from": "a"}}', "inputs: write a list"),
        (b'{"inputs": [{"from": "a"}]}', "no to"),
        (b'{"artifacts": [{"url": "a"}]}', "artifacts.0.url"),
        (b'{"artifacts": [{"destination": "a"}]}', "no source"),
        (b'{"results": "out"}', "results"),
        (b"[" * 100_000, "JSON"),
        (b"\xff", "JSON"),
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(SettingsDocumentError, match=why):
        read_settings(body)
