"""What `inputs` of `aws-job.json` brings into a job directory, and what is wrong with it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.job_settings import JobSettings, SharedInput
from job_protocol.manifest import Entry
from job_protocol.object_keys import (
    in_shared_folder,
    input_path_problems,
    shared_key_problem,
)
from lambdas.rules.settings_form import parse_settings
from lambdas.rules.shared_inputs import Request, clash_problems, entries_of, requests_of
from lambdas.rules.upload import Limits, ObjectVersion, manifest_entries, upload_problems
from tests.unit.job_protocol.strategies import safe_paths
from tests.unit.lambdas.examples import NOW

JOB = "projA/job7"


def _version(key: str, version: str = "v", *, deleted: bool = False) -> ObjectVersion:
    return ObjectVersion(key, version, 0 if deleted else 10, NOW, deleted)


def _paths(source: str, to: str, *keys: str) -> list[str]:
    request = Request(JOB, 0, SharedInput(source=source, to=to))
    entries, problems = entries_of(request, [_version(key) for key in keys])
    assert problems == []
    assert all(entry.key in keys for entry in entries)
    return [entry.path for entry in entries]


def test_the_form_says_from_and_to_and_version() -> None:
    document = {
        "inputs": [{"from": "shared/a", "to": "a"}, {"from": "b", "to": "c", "version": "v"}]
    }
    settings, problems = parse_settings("k", json.dumps(document).encode())
    assert problems == []
    assert settings == JobSettings(
        inputs=(
            SharedInput(source="shared/a", to="a"),
            SharedInput(source="b", to="c", version="v"),
        )
    )


def test_an_unknown_word_of_a_row_is_told_with_those_that_there_are() -> None:
    body = json.dumps({"inputs": [{"from": "a", "to": "b", "form": 1}, {"source": "a"}]}).encode()
    _, problems = parse_settings("k", body)
    told = [(problem.problem, problem.remedy) for problem in problems]
    assert ("unknown setting 'inputs.0.form'", "known settings are: from, to, version") in told
    assert "inputs.1.from: Field required" in [problem for problem, _ in told]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("_jobferry/manifests/x.json", "jobferry's own folder"),
        ("_jobferry/", "jobferry's own folder"),
        ("_jobferry", "jobferry's own folder"),
        ("job0001/aws-job-stat.txt", "status object"),
        ("job0001/aws-job-stat.json", "status object"),
        ("projA/job7/in.txt", "own prefix"),
        ("projA/job7/", "own prefix"),
        ("projA/job7", "own prefix"),
        ("projA/", "contains the job itself"),
        ("/", "empty path segment"),
        ("/shared/a", "empty path segment"),
        ("shared//a", "empty path segment"),
        ("shared/../a", "'..'"),
        ("shared/a\nb", "control character"),
        (f"shared/{'x/' * 600}x", "longer than 1024 bytes"),
        ("s3://another/shared/a", "no object of the site's bucket bucket"),
        ("s3://bucket/", "no object of the site's bucket bucket"),
        ("s3://bucket/_jobferry/x", "jobferry's own folder"),
    ],
)
def test_a_key_that_no_user_may_share_is_told(source: str, why: str) -> None:
    good, problems = requests_of(JOB, [SharedInput(source=source, to="x")], "bucket")
    assert good == ()
    (problem,) = problems
    assert problem.key == "projA/job7/aws-job.json"
    assert problem.problem.startswith("inputs.0.from: ")
    assert why in problem.problem
    assert problem.remedy


@pytest.mark.parametrize(
    "source",
    ["shared/a", "projA/job70/a", "projA/other/", "a", "job0001/aws-job-stdout.txt", "共有/格子 1"],
)
def test_anything_else_may_be_shared(source: str) -> None:
    assert shared_key_problem(JOB, source) is None


def test_a_row_may_name_the_bucket_of_the_site() -> None:
    stated = SharedInput(source="s3://bucket/shared/a", to="b")
    (request,), problems = requests_of(JOB, [stated], "bucket")
    assert (request.shared.source, problems) == ("shared/a", [])


def test_a_version_of_a_folder_is_told() -> None:
    shared = SharedInput(source="shared/mesh/", to="m", version="v")
    good, (problem,) = requests_of(JOB, [SharedInput(source="a", to="b"), shared], "bucket")
    assert [request.number for request in good] == [0]
    assert problem.problem.startswith("inputs.1.version: ")


@pytest.mark.parametrize(
    ("to", "path"),
    [("x/y.h5", "x/y.h5"), ("x/", "x/big.h5"), ("", "big.h5"), (".", "big.h5"), ("./", "big.h5")],
)
def test_an_object_goes_to_a_path_or_into_a_folder(to: str, path: str) -> None:
    assert _paths("shared/big.h5", to, "shared/big.h5") == [path]


@pytest.mark.parametrize(("to", "top"), [("m", "m/"), ("m/", "m/"), ("", ""), (".", "")])
def test_a_folder_brings_everything_below_but_the_protocols_objects(to: str, top: str) -> None:
    keys = [
        "job1/",
        "job1/aws-job-run.sh",
        "job1/aws-job-stat.json",
        "job1/aws-job-stat.txt",
        "job1/aws-job-stdout.txt",
        "job1/aws-job.json",
        "job1/empty/",
        "job1/out/final.dat",
    ]
    assert _paths("job1/", to, *keys) == [f"{top}empty/", f"{top}out/final.dat"]


def test_the_newest_version_counts_and_what_was_deleted_is_not_there() -> None:
    request = Request(JOB, 3, SharedInput(source="s/", to=""))
    found = [
        _version("s/a", "2"),
        _version("s/a", "1"),
        _version("s/b", "2", deleted=True),
        _version("s/b", "1"),
    ]
    assert entries_of(request, found) == ((Entry("a", "2", 10, "s/a"),), [])
    entries, (problem,) = entries_of(request, found[2:])
    assert entries == ()
    assert problem.problem == "inputs.3.from: nothing lies below 's/'"


def test_a_missing_object_is_told_with_its_version() -> None:
    request = Request(JOB, 0, SharedInput(source="s/a", to="a", version="v9"))
    _, (problem,) = entries_of(request, [])
    assert problem.problem == "inputs.0.from: there is no object 's/a' of version 'v9'"


@given(st.lists(safe_paths, unique=True, max_size=5), safe_paths)
def test_every_path_of_a_folder_is_judged_like_an_upload(paths: list[str], to: str) -> None:
    shared = [path for path in paths if in_shared_folder(path)]
    if shared:
        placed = _paths("s/", to, *(f"s/{path}" for path in shared))
        assert sorted(placed) == sorted(f"{to}/{path}" for path in shared)
        assert all("file, and other keys" in p.problem for p in input_path_problems(JOB, placed))


def test_what_two_inputs_want_is_told() -> None:
    entries = [
        Entry("a", "v", 1, "s/a"),
        Entry("b", "v", 1, "s/b"),
        Entry("b", "v", 1, "s/c"),
        Entry("aws-job-run.sh", "v", 1, "s/run"),
        Entry("both/", "v", 0, "s/both/"),
        Entry("both/", "v", 0, "t/both/"),
    ]
    told = {p.key: p.problem for p in clash_problems(JOB, {"a", "both/"}, entries)}
    assert told == {
        "projA/job7/a": "it was uploaded, and `inputs` puts another object there",
        "projA/job7/b": "`inputs` puts 2 objects there",
        "projA/job7/aws-job-run.sh": "`inputs` puts an object there",
    }


def test_limits_and_paths_count_them_too_but_their_age_does_not() -> None:
    script = ObjectVersion(f"{JOB}/aws-job-run.sh", "v", 10, NOW)
    uploaded = {"aws-job-run.sh": script}
    shared = [Entry(path, "v", 50, f"s/{path}") for path in ("../x", "aws-job-x", "a", "a/b")]
    limits = Limits(files=4, size=200)
    told = [p.problem for p in upload_problems(JOB, uploaded, NOW, limits, shared)]
    assert len(told) == 5
    assert "the upload has 5 files; this site takes at most 4" in told
    assert "the upload has 210 bytes; this site takes at most 200" in told


def test_the_manifest_has_them_by_path_and_a_common_folder_once() -> None:
    uploaded = {"b": _version(f"{JOB}/b"), "f/": _version(f"{JOB}/f/")}
    shared = (Entry("a", "s", 1, "s/a"), Entry("f/", "s", 0, "s/f/"))
    assert manifest_entries(uploaded, shared) == (
        Entry("a", "s", 1, "s/a"),
        Entry("b", "v", 10),
        Entry("f/", "v", 10),
    )
