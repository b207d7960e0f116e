"""Keys in a site's bucket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol import object_keys
from job_protocol.object_keys import (
    STDERR,
    STDOUT,
    ancestors,
    element_log,
    input_key,
    input_path_problems,
    is_log,
    job_id_problems,
    job_of_mark,
    may_be_pushed,
    relative_path,
    status_details_key,
    status_word_key,
)
from tests.unit.job_protocol.strategies import safe_paths

any_text = st.text(max_size=30)
odd_paths = st.lists(
    st.sampled_from(["", ".", "..", "a", "b", "aws-job-x", "aws-job-stat.txt", "\n", "あ"]),
    min_size=1,
    max_size=4,
).map("/".join)


@pytest.mark.parametrize(
    "job_id",
    [
        "job0001",
        "projA/job7",
        "解析 2024/ケース 1",
        "a b",
        "-rf",
        "x" * 255,
        "parameterized-encrypter/dispatch-1580613031-6b384981",
        "dispatch/x",
        "...",
        "🧪/µ",
    ],
)
def test_a_job_id_may_have_spaces_unicode_and_slashes(job_id: str) -> None:
    assert job_id_problems(job_id) == []


@pytest.mark.parametrize(
    ("job_id", "why"),
    [
        ("..", "path segment '..'"),
        ("a/../b", "path segment '..'"),
        ("./a", "path segment '.'"),
        ("a//b", "empty path segment"),
        ("/a", "empty path segment"),
        ("a/", "empty path segment"),
        ("a\nb", "control character U+000A"),
        ("a\x7f", "control character U+007F"),
        ("a\u2028b", "control character U+2028"),
        ("a\udcff", "control character U+DCFF"),
        ("x" * 256, "more than 255 bytes"),
        ("あ" * 86, "more than 255 bytes"),
        ("/".join(["x" * 200] * 3), "longer than 512 bytes"),
        ("_jobferry/x", "jobferry's own folder"),
        ("_jobferry", "jobferry's own folder"),
        (".jobferry/x", "jobferry's own folder"),
        ("aws-job-x", "which the protocol reserves"),
        ("a/aws-job-stat.txt", "which the protocol reserves"),
        ("a/summary", "a word of the API"),
        ("", "under no prefix"),
        (".", "under no prefix"),
        ("/", "under no prefix"),
        ("//", "under no prefix"),
        ("./", "under no prefix"),
    ],
)
def test_a_bad_job_id_is_named_with_its_reason_and_a_remedy(job_id: str, why: str) -> None:
    problems = job_id_problems(job_id)
    assert any(why in problem.problem for problem in problems)
    assert all(problem.key and problem.remedy for problem in problems)


def test_every_problem_of_a_job_id_is_told_at_once() -> None:
    text = " ".join(problem.problem for problem in job_id_problems("a/../\x01/aws-job-b/plan"))
    for why in ("'..'", "U+0001", "'aws-job-b'", "'plan'"):
        assert why in text


@given(st.lists(safe_paths, min_size=1, max_size=4).map("/".join))
def test_safe_segments_make_a_good_job_id_up_to_its_length_and_reserved_names(job_id: str) -> None:
    segments = job_id.split("/")
    reserved = segments[0] in ("_jobferry", ".jobferry") or segments[-1] in object_keys.API_WORDS
    too_long = len(job_id.encode()) > 512
    assert (job_id_problems(job_id) == []) == (not reserved and not too_long)


@given(any_text | odd_paths)
def test_a_good_job_id_stays_inside_the_jobs_folder(job_id: str) -> None:
    if not job_id_problems(job_id):
        assert not {"", ".", ".."} & set(job_id.split("/"))
        assert "\0" not in job_id
        assert len(job_id.encode()) <= 512


# ---- marks ----


@given(any_text | odd_paths | st.sampled_from(["", ".", "/", "//", "./", ".//"]))
def test_a_mark_is_answered_exactly_where_it_lies(prefix: str) -> None:
    for key in ("aws-job-stat.txt", f"{prefix}/aws-job-stat.txt"):
        job_id = job_of_mark(key)
        assert job_id
        assert status_word_key(job_id) == key
        assert status_details_key(job_id) == key.removesuffix("txt") + "json"


@given(st.sets(any_text | st.text("./", max_size=4), max_size=8))
def test_two_marks_never_share_a_job_id(prefixes: set[str]) -> None:
    keys = ["aws-job-stat.txt", *(f"{prefix}/aws-job-stat.txt" for prefix in prefixes)]
    assert len({job_of_mark(key) for key in keys}) == len(keys)


@pytest.mark.parametrize("key", ["aws-job-stat.txt", "/aws-job-stat.txt", "//aws-job-stat.txt"])
def test_a_mark_without_a_job_is_a_problem_that_names_its_key(key: str) -> None:
    job_id = job_of_mark(key)
    assert job_id is not None
    (problem,) = job_id_problems(job_id)
    assert problem.key == key
    assert "shell variable" in problem.remedy


@pytest.mark.parametrize("key", ["job/aws-job-stat.json", "job/xaws-job-stat.txt", "job", ""])
def test_another_key_is_no_mark(key: str) -> None:
    assert job_of_mark(key) is None


# ---- inputs ----


@given(safe_paths, safe_paths)
def test_a_relative_path_comes_back_from_its_key(job_id: str, path: str) -> None:
    assert relative_path(job_id, input_key(job_id, path)) == path


def test_a_key_of_another_job_has_no_relative_path() -> None:
    with pytest.raises(ValueError, match="'job10/a' is not under 'job1/'"):
        relative_path("job1", "job10/a")


@given(st.lists(safe_paths, max_size=6, unique=True))
def test_safe_paths_are_refused_only_where_a_file_is_also_a_folder(paths: list[str]) -> None:
    both = {path for path in paths if any(other.startswith(f"{path}/") for other in paths)}
    problems = input_path_problems("job", ["aws-job-run.sh", *paths])
    assert {problem.key for problem in problems} == {f"job/{path}" for path in both}


@given(st.lists(any_text | odd_paths, max_size=5))
def test_accepted_paths_stay_inside_the_job_directory(paths: list[str]) -> None:
    refused = {problem.key for problem in input_path_problems("job", paths)}
    for path in paths:
        if f"job/{path}" not in refused:
            assert not {"", ".", ".."} & set(path.removesuffix("/").split("/"))
            assert not any(ord(char) < 32 for char in path)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../x", "'..'"),
        ("a/../../x", "'..'"),
        ("a//b", "empty path segment"),
        ("/", "empty path segment"),
        ("a\tb", "control character U+0009"),
        ("a/" + "x" * 256, "more than 255 bytes"),
        ("aws-job-stdin.txt", "a name of the protocol"),
        ("aws-job-allocation.json", "a name of the protocol"),
        ("aws-job-x/", "a name of the protocol"),
        ("deep/aws-job-stat.json", "a name of the protocol"),
    ],
)
def test_a_bad_path_is_named_with_its_reason_and_a_remedy(path: str, why: str) -> None:
    (problem,) = input_path_problems("job", [path])
    assert problem.key == f"job/{path}"
    assert why in problem.problem
    assert problem.remedy


@pytest.mark.parametrize(
    "path", ["aws-job-run.sh", "aws-job.json", "入力 1.dat", "empty/", "deep/aws-job-x", "~", "a:b"]
)
def test_a_good_path_is_no_problem(path: str) -> None:
    assert input_path_problems("job", [path]) == []


def test_an_empty_folder_and_files_in_it_go_together() -> None:
    assert input_path_problems("job", ["a/", "a/b", "a/c/"]) == []


@pytest.mark.parametrize("paths", [["a", "a/b"], ["a/b/c", "a"], ["a", "a/"]])
def test_a_key_that_is_file_and_folder_is_a_problem(paths: list[str]) -> None:
    (problem,) = input_path_problems("job", paths)
    assert problem.key == "job/a"
    assert "is a file, and other keys lie under it" in problem.problem


# ---- results ----


@given(st.sampled_from([STDOUT, STDERR]), st.integers(0, 100_000))
def test_the_log_of_an_element_is_a_log_and_no_input(name: str, index: int) -> None:
    path = element_log(name, index)
    assert is_log(path)
    assert may_be_pushed(path)
    assert input_path_problems("job", [path])


@pytest.mark.parametrize(
    "path",
    [
        "out/a.png",
        "aws-job-stdout.txt",
        "aws-job-stderr.txt",
        "aws-job-stdout.0.txt",
        "aws-job-stderr.99999.txt",
        "aws-job.json",
        "d/aws-job-x",
    ],
)
def test_a_result_may_be_pushed(path: str) -> None:
    assert may_be_pushed(path)


@pytest.mark.parametrize(
    "path",
    [
        "aws-job-stat.txt",
        "d/aws-job-stat.txt",
        "d/e/aws-job-stat.json",
        "d/aws-job-stat.txt/",
        "aws-job-run.sh",
        "aws-job-allocation.json",
        "aws-job-stdout.01.txt",
        "aws-job-stdout.x.txt",
        "aws-job-stdout..txt",
    ],
)
def test_a_status_name_at_any_depth_and_a_reserved_name_are_never_pushed(path: str) -> None:
    assert not may_be_pushed(path)


@given(safe_paths)
def test_ancestors_are_the_folders_above_outermost_first(job_id: str) -> None:
    above = ancestors(job_id)
    assert above == sorted(above, key=len)
    assert all(job_id.startswith(f"{folder}/") for folder in above)
    assert len(above) == job_id.count("/")
