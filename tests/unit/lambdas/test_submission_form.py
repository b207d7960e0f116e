"""What the document of a script job may say."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.object_keys import Problem
from lambdas.errors import refused_fields
from lambdas.rules.submission import composite, content_problems
from lambdas.rules.submission_form import MAX_SINGLE_PUT, read_submission
from lambdas.rules.upload import Limits

SCRIPT = "#!/bin/sh\ntrue\n"
LIMITS = Limits(files=3, size=1000)
DIGEST = hashlib.sha256(b"x")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
documents = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("ID", "Site", "Datacenters", "Script", "Files", "Uploads", "Settings"), json_values
    ),
)


def problems(**document: Any) -> list[str]:
    submission, found = read_submission({"Script": SCRIPT, **document})
    assert (submission is None) is bool(found)
    return [f"{row.key}: {row.problem}" for row in found]


@given(documents | json_values)
def test_any_document_is_read_or_refused_with_a_remedy(document: Any) -> None:
    submission, found = read_submission(document)
    assert (submission is None) is bool(found)
    assert all(row.remedy for row in found)


@given(st.binary(max_size=200))
def test_bytes_come_through_base64(content: bytes) -> None:
    row = {"Path": "in", "Content": base64.b64encode(content).decode(), "Encoding": "base64"}
    submission, _ = read_submission({"Script": SCRIPT, "Files": [row]})
    assert submission is not None
    assert submission.files[1].content == content


@pytest.mark.parametrize(
    "checksum", [DIGEST.hexdigest(), base64.b64encode(DIGEST.digest()).decode()]
)
def test_a_checksum_may_be_hexadecimal_or_base64(checksum: str) -> None:
    row = {"Path": "big", "Size": 1, "SHA256": checksum}
    submission, _ = read_submission({"Script": SCRIPT, "Uploads": [row]})
    assert submission is not None
    assert submission.uploads[0].checksum == base64.b64encode(DIGEST.digest()).decode()


def test_parts_have_the_checksum_that_s3_gives_them() -> None:
    one = base64.b64encode(hashlib.sha256(b"1").digest()).decode()
    two = base64.b64encode(hashlib.sha256(b"2").digest()).decode()
    both = hashlib.sha256(hashlib.sha256(b"1").digest() + hashlib.sha256(b"2").digest()).digest()
    assert composite((one, two)) == f"{base64.b64encode(both).decode()}-2"


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"Script": ""}, "Script: it must be a text"),
        ({"Files": {}}, "Files: it must be a list"),
        ({"Files": [{"Path": "a", "Content": "?", "Encoding": "base64"}]}, "no valid base64"),
        ({"Files": [{"Path": "a", "Encoding": "latin1"}]}, "utf-8 or base64"),
        ({"Files": [{"Path": "a", "Mode": "rwx"}]}, "file mode"),
        ({"Files": [{"Path": "a"}, {"Path": "a"}]}, "a: the path is stated twice"),
        ({"Files": [{"Path": "aws-job.json"}], "Settings": {}}, "stated in Settings too"),
        (
            {"Uploads": [{"Path": "aws-job.json", "Size": 1, "SHA256": "0" * 64}]},
            "settings come with the document",
        ),
        ({"Files": [{"Path": "\ud800"}]}, "valid Unicode"),
        ({"Uploads": [{"Path": "a", "Size": -1}]}, "whole number from 0"),
        ({"Uploads": [{"Path": "a", "Size": 1, "SHA256": "abc"}]}, "SHA-256"),
        ({"Uploads": [{"Path": "a", "Size": MAX_SINGLE_PUT + 1, "SHA256": ""}]}, "one PUT takes"),
        (
            {"Uploads": [{"Path": "a", "Size": 11 * 2**20, "PartSize": 5 * 2**20}]},
            "are 3 parts",
        ),
        ({"Site": "a", "Datacenters": ["b"]}, "both stated"),
        ({"Settings": []}, "Settings: it must be an object"),
        ({"TaskToken": 7}, "TaskToken: it must be a text"),
    ],
)
def test_what_is_wrong_is_named(document: dict[str, Any], problem: str) -> None:
    assert any(problem in found for found in problems(**document)), problems(**document)


def test_the_files_obey_the_rules_of_an_upload() -> None:
    row = {"Path": "big", "Size": 2000, "SHA256": DIGEST.hexdigest()}
    names = [{"Path": name} for name in ("a", "b", "a/c")]
    submission, _ = read_submission({"Script": "no shebang", "Uploads": [row], "Files": names})
    assert submission is not None
    found = " ".join(one.problem for one in content_problems("job1", submission, LIMITS))
    for problem in ("no shebang", "has 5 files", "bytes; this site", "the key is a file"):
        assert problem in found


def test_a_refusal_names_the_first_field_that_is_wrong() -> None:
    first, second = Problem("Script", "it must be a text", "state it"), Problem("ID", "bad", "x")
    assert str(refused_fields([first])) == "Script: it must be a text"
    assert str(refused_fields([first, second])) == "Script: it must be a text (and 1 more)"
    assert str(refused_fields([Problem("X", "unknown field 'X'", "")])) == "unknown field 'X'"
