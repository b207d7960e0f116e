"""What is signed of Nomad jobs: bounds that hold, and nothing between them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.dispatch_file import DispatchFileError, read_records, write_records
from job_protocol.job_settings import Artifact, JobSettings, Resources, Retries
from job_protocol.signed_manifest import (
    SignedInput,
    SignedJobs,
    SignedManifest,
    SignedManifestError,
)
from job_protocol.signed_runs import (
    DEFAULT_PATTERN,
    MetaBound,
    PayloadBound,
    Run,
    Runs,
    SignedRunsError,
    is_child,
    problem_of,
    read_settings_text,
    settings_text,
)

ALLOCATION = "0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f"
META = (
    MetaBound("color", required=True, length=8, pattern="[a-z]+"),
    MetaBound("other", required=False, length=4, pattern=DEFAULT_PATTERN),
)
RUNS = Runs(
    settings_text(JobSettings(priority=7, count=3)),
    (("namespace", "default"), ("region", "global")),
    META,
    PayloadBound(required=False, size=10),
)
SCRIPT = SignedInput("aws-job-run.sh", "0" * 64)
TEMPLATE = SignedJobs((), (), 5, (SCRIPT,), parameterized=("a/b",), nomad=RUNS)
CHILD = "a/b/dispatch-1700000000-0a1b2c3d"
RECORDS = {
    "job_id": CHILD,
    "job_name": CHILD,
    "parent_id": "a/b",
    "allocation_id": ALLOCATION,
    "datacenter": "dc1",
    "region": "global",
    "namespace": "default",
    "meta.color": "red",
}


def _document(*jobs: SignedJobs) -> SignedManifest:
    return SignedManifest("dc1", 1_000, 2_000, jobs)


def _run(records: dict[str, str], payload: int | None = None) -> Run:
    return Run("dc1", CHILD, "a/b", write_records(records), payload)


def test_a_document_says_all_of_it_and_is_read_again() -> None:
    text = _document(TEMPLATE).render()
    assert text.decode().splitlines()[4:] == [
        "parameterized a/b",
        "runs 5",
        'settings {"count":3,"priority":7}',
        "fact namespace default",
        "fact region global",
        "meta required 8 color [a-z]+",
        f"meta optional 4 other {DEFAULT_PATTERN}",
        "payload optional 10",
        f"file {'0' * 64} - aws-job-run.sh",
    ]
    read = SignedManifest.parse(text)
    assert read == _document(TEMPLATE)
    covered = read.covering(CHILD)
    assert covered is not None
    assert (covered.selector, covered.template) == ("parameterized a/b", "a/b")
    assert read.covering("a/b") is None


@pytest.mark.parametrize(
    ("jobs", "named"),
    [
        (replace(TEMPLATE, nomad=None), "a template without settings"),
        (replace(TEMPLATE, ids=("x",)), "other than one job"),
        (replace(TEMPLATE, periodic=("x",)), "other than one job"),
        (replace(TEMPLATE, patterns=("x*",)), "other than one job"),
        (replace(TEMPLATE, parameterized=("../x",)), "'..'"),
        (replace(TEMPLATE, parameterized=(), ids=("x",)), "its facts are not"),
        (
            replace(TEMPLATE, inputs=(SignedInput(".nomad/dispatch", "0" * 64), SCRIPT)),
            "among a Nomad job's inputs",
        ),
        (
            replace(TEMPLATE, inputs=(SCRIPT, SignedInput("aws-job.json", "0" * 64))),
            "among a Nomad job's inputs",
        ),
    ],
)
def test_what_no_document_can_say(jobs: SignedJobs, named: str) -> None:
    with pytest.raises(SignedManifestError, match=re.escape(named)):
        _document(jobs).render()


@pytest.mark.parametrize(
    "runs",
    [
        replace(RUNS, settings='{"priority": 7}'),
        replace(RUNS, settings='{"new":7}'),
        replace(RUNS, settings="[]"),
        replace(RUNS, settings='{"resources":7}'),
        replace(RUNS, settings="[" * 100_000),
        replace(RUNS, facts=()),
        replace(RUNS, facts=(("namespace", "a\nb"), ("region", "x"))),
        replace(RUNS, meta=META[::-1]),
        replace(RUNS, meta=(META[0], META[0])),
        replace(RUNS, meta=(replace(META[0], name="a b"),)),
        replace(RUNS, meta=(replace(META[0], pattern="("),)),
        replace(RUNS, meta=(replace(META[0], length=100_000),)),
        replace(RUNS, payload=PayloadBound(required=True, size=0)),
    ],
)
def test_bounds_that_say_nothing(runs: Runs) -> None:
    with pytest.raises(SignedManifestError):
        _document(replace(TEMPLATE, nomad=runs)).render()


def test_settings_are_one_line_with_one_meaning() -> None:
    settings = JobSettings(
        resources=Resources(cpus=2),
        retries=Retries(attempts=1),
        exclude=("é\n",),
        artifacts=(Artifact(source="https://h/x", options={"ref": "1"}),),
        logs=("alloc/logs/*",),
    )
    text = settings_text(settings)
    assert "\n" not in text
    assert read_settings_text(text) == settings
    with pytest.raises(SignedRunsError):
        read_settings_text(text.replace(",", ", "))


@pytest.mark.parametrize(
    ("kind", "job", "is_one"),
    [
        ("parameterized", CHILD, True),
        ("parameterized", "a/b/dispatch-nightly-1700000000-0a1b2c3d", True),
        ("parameterized", "a/b/dispatch-$(id)-1700000000-0a1b2c3d", False),
        ("parameterized", "a/b/x/dispatch-1700000000-0a1b2c3d", False),
        ("parameterized", "a/c/dispatch-1700000000-0a1b2c3d", False),
        ("parameterized", "a/b/periodic-1700000000", False),
        ("parameterized", "a/b/dispatch-1700000000-0a1b2c3d\n", False),
        ("periodic", "a/b/periodic-1700000000", True),
        ("periodic", "a/b/periodic-", False),
        ("periodic", CHILD, False),
        ("periodic", "a/b", False),
    ],
)
def test_who_is_a_child(kind: str, job: str, is_one: bool) -> None:
    assert is_child(kind, "a/b", job) is is_one


def test_within_bounds() -> None:
    assert problem_of(RUNS, _run(RECORDS)) is None
    assert problem_of(RUNS, _run({**RECORDS, "meta.other": ""}, 0)) is None
    assert problem_of(RUNS, _run({**RECORDS, "meta.other": "a_b."}, 10)) is None


@pytest.mark.parametrize(
    ("change", "payload", "rule"),
    [
        ({"meta.color": "RED"}, None, "meta 'color' does not match"),
        ({"meta.color": "red\n"}, None, "meta 'color' does not match"),
        ({"meta.color": "verylongred"}, None, "meta 'color' has 11 bytes, and 8 were signed"),
        ({"meta.other": "ééé"}, None, "meta 'other' has 6 bytes"),
        ({"meta.other": "-x"}, None, "meta 'other' does not match"),
        ({"meta.other": "../"}, None, "meta 'other' does not match"),
        ({"meta.third": ""}, None, "meta 'third' was not signed"),
        ({"region": "x"}, None, "the fact 'region' is 'x'"),
        ({"parent_id": ""}, None, "the fact 'parent_id' is ''"),
        ({"more": ""}, None, "the fact 'more' is ''"),
        ({"allocation_id": ALLOCATION.upper()}, None, "no allocation_id"),
        ({}, 11, "the payload has 11 bytes, and 10 were signed"),
    ],
)
def test_out_of_bounds(change: dict[str, str], payload: int | None, rule: str) -> None:
    assert rule in str(problem_of(RUNS, _run({**RECORDS, **change}, payload)))


def test_what_is_missing() -> None:
    missing = {name: value for name, value in RECORDS.items() if name != "meta.color"}
    assert problem_of(RUNS, _run(missing)) == "meta 'color' is missing, and was signed as required"
    required = replace(RUNS, payload=PayloadBound(required=True, size=10))
    assert "the payload is missing" in str(problem_of(required, _run(RECORDS)))
    assert "the payload is missing" in str(problem_of(required, _run(RECORDS, 0)))
    assert problem_of(replace(RUNS, payload=None), _run(RECORDS)) is None
    assert "was not signed" in str(problem_of(replace(RUNS, payload=None), _run(RECORDS, 0)))


@given(st.dictionaries(st.text(), st.text()))
def test_records_are_read_as_they_were_written(records: dict[str, str]) -> None:
    try:
        content = write_records(records)
    except DispatchFileError:
        assert any(
            "\0" in name + value or "=" in name or not _is_text(name + value)
            for name, value in records.items()
        )
        return
    assert read_records(content) == records


def _is_text(text: str) -> bool:
    return text.encode("utf-8", "replace").decode() == text


@given(st.binary(max_size=60))
def test_any_bytes_are_records_or_refused(content: bytes) -> None:
    try:
        records = read_records(content)
    except DispatchFileError:
        return
    assert write_records(records) == content
