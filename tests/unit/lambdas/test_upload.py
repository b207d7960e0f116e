"""Which object versions an upload consists of, and what is wrong with it."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.manifest import Entry
from job_protocol.object_keys import Problem
from job_protocol.states import JOBFERRY_WORDS, Word
from lambdas.rules.upload import (
    MAX_REASONS_BYTES,
    Chain,
    Limits,
    ObjectVersion,
    chains_by_path,
    listable,
    manifest_entries,
    newest_input,
    ran_before,
    upload_problems,
)
from tests.unit.lambdas.examples import NOW

AMPLE = Limits(files=100, size=1000)


def _version(path: str, version: str = "v", **changes: object) -> ObjectVersion:
    facts: dict[str, object] = {"size": 10, "modified": NOW - 10}
    return ObjectVersion(f"job0001/{path}", version, **{**facts, **changes})  # type: ignore[arg-type]


def _inputs(*versions: ObjectVersion) -> dict[str, ObjectVersion]:
    return {version.key.removeprefix("job0001/"): version for version in versions}


SCRIPT = _version("aws-job-run.sh")


def _told(*versions: ObjectVersion, limits: Limits = AMPLE) -> list[tuple[str, str]]:
    problems = upload_problems("job0001", _inputs(*versions), NOW, limits)
    assert all(problem.remedy for problem in problems)
    return [(problem.key, problem.problem) for problem in problems]


def test_a_good_upload_has_no_problem() -> None:
    assert _told(SCRIPT, _version("データ/1 2.csv"), _version("empty/", size=0)) == []


def _etag(word: Word) -> str:
    return hashlib.md5(word.body, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("word", [*Word, None])
def test_the_answer_to_a_mark_in_a_folder_is_no_input(word: Word | None) -> None:
    """What jobferry wrote there is not the user's; everything else is, and is judged."""
    there = [
        _version("a/aws-job-stat.txt", etag=_etag(word) if word else "of something else"),
        _version("a/aws-job-stat.json"),
        _version("a/aws-job-run.sh"),
        _version("b/aws-job-stat.json"),
    ]
    paths = set(chains_by_path("job0001", there))
    status = {"a/aws-job-stat.txt", "a/aws-job-stat.json"}
    ours = word in JOBFERRY_WORDS
    assert paths == {"a/aws-job-run.sh", "b/aws-job-stat.json"} | (set() if ours else status)


def test_an_answer_whose_word_was_deleted_is_still_no_input() -> None:
    there = [
        _version("a/aws-job-stat.txt", "v2", deleted=True),
        _version("a/aws-job-stat.txt", etag=_etag(Word.FILE_REJECTED)),
        _version("a/aws-job-stat.json"),
    ]
    assert chains_by_path("job0001", there) == {}


def test_a_missing_script_is_told_with_its_key() -> None:
    assert _told(_version("a")) == [("job0001/aws-job-run.sh", "the job script is missing")]


@pytest.mark.parametrize(("size", "why"), [(0, "is empty"), (5 << 20, "at most 4194304")])
def test_a_script_of_a_bad_size_is_told_without_reading_it(size: int, why: str) -> None:
    limits = Limits(files=9, size=1 << 30)
    ((key, problem),) = _told(_version("aws-job-run.sh", size=size), limits=limits)
    assert key == "job0001/aws-job-run.sh"
    assert why in problem


def test_an_input_newer_than_the_mark_is_told_but_one_of_the_same_second_is_not() -> None:
    late = _version("late", modified=NOW + 1)
    assert _told(SCRIPT, late, _version("same", modified=NOW)) == [
        ("job0001/late", "it was uploaded after aws-job-stat.txt")
    ]


def test_too_many_files_and_too_many_bytes_are_told_with_the_limits() -> None:
    told = _told(SCRIPT, _version("a", size=990), _version("b"), limits=Limits(files=2, size=999))
    assert told == [
        ("job0001/", "the upload has 3 files; this site takes at most 2"),
        ("job0001/", "the upload has 1010 bytes; this site takes at most 999"),
    ]


def test_everything_is_told_at_once() -> None:
    bad = [_version("../x"), _version("a"), _version("a/b"), _version("c", modified=NOW + 9)]
    assert {key for key, _ in _told(*bad)} == {
        "job0001/../x",
        "job0001/a",
        "job0001/c",
        "job0001/aws-job-run.sh",
    }


# ---- versions ----


def test_a_chain_holds_the_versions_of_one_path_newest_first() -> None:
    newer, older, other = _version("a", "2"), _version("a", "1"), _version("b")
    assert chains_by_path("job0001", [newer, older, other]) == {"a": (newer, older), "b": (other,)}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "aws-job-stat.txt",
        "aws-job-stat.json",
        "aws-job-stdout.txt",
        "aws-job-stderr.txt",
    ],
)
def test_the_protocols_own_objects_are_no_inputs(path: str) -> None:
    assert chains_by_path("job0001", [_version(path)]) == {}


def test_the_script_and_the_settings_are_inputs() -> None:
    assert set(chains_by_path("job0001", [SCRIPT, _version("aws-job.json")])) == {
        "aws-job-run.sh",
        "aws-job.json",
    }


def test_a_status_object_shows_that_a_job_ran_there() -> None:
    assert ran_before("job0001", [_version("aws-job-stat.json")])
    assert not ran_before("job0001", [_version("d/aws-job-stat.json"), SCRIPT])


def test_a_result_hides_behind_the_users_older_version() -> None:
    result, users = _version("a", "2"), _version("a", "1")
    assert newest_input((result, users), {result}.__contains__) is users
    assert newest_input((result,), {result}.__contains__) is None


def test_what_the_user_wrote_over_a_result_is_the_input() -> None:
    newest, result, first = (_version("a", name) for name in "321")
    assert newest_input((newest, result, first), {result}.__contains__) is newest


def test_what_the_user_deleted_is_no_input() -> None:
    marker, users = _version("a", "2", deleted=True), _version("a", "1")
    assert newest_input((marker, users), lambda _v: False) is None


def test_a_result_over_what_the_user_deleted_brings_nothing_back() -> None:
    result, marker = _version("a", "3"), _version("a", "2", deleted=True)
    chain = (result, marker, _version("a", "1"))
    assert newest_input(chain, {result}.__contains__) is None


chains = st.lists(
    st.builds(_version, st.just("a"), st.uuids().map(str), deleted=st.booleans()), max_size=6
).map(tuple)


@given(chains, st.sets(st.integers(0, 5)))
def test_the_input_is_the_first_that_no_job_wrote_unless_it_was_deleted(
    chain: Chain, written: set[int]
) -> None:
    results = {chain[n] for n in written if n < len(chain) and not chain[n].deleted}
    chosen = newest_input(chain, results.__contains__)
    users = [version for version in chain if version not in results]
    assert chosen == (users[0] if users and not users[0].deleted else None)


def test_the_manifest_goes_by_path() -> None:
    inputs = _inputs(_version("b", "2"), _version("a", "1", size=3))
    assert manifest_entries(inputs) == (Entry("a", "1", 3), Entry("b", "2", 10))


# ---- reasons ----


@given(st.lists(st.integers(0, 3 * MAX_REASONS_BYTES // 4), max_size=5))
def test_as_many_reasons_are_kept_as_an_item_can_hold(sizes: list[int]) -> None:
    problems = tuple(Problem(f"k{n}", "x" * size, "r") for n, size in enumerate(sizes))
    kept = listable("job0001", problems)
    assert sum(len(problem.problem) for problem in kept) <= MAX_REASONS_BYTES + 100
    if kept != problems:
        assert kept[:-1] == problems[: len(kept) - 1]
        assert kept[-1].problem.startswith(f"{len(problems) - len(kept) + 1} more problems")
