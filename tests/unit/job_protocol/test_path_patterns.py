"""Patterns over relative paths."""

from __future__ import annotations

import re
import time
import warnings
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.path_patterns import matcher, problem_of
from tests.unit.job_protocol.strategies import patterns, plain_paths, safe_paths


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*.tmp", "x.tmp"),
        ("*.tmp", "a/b/x.tmp"),
        ("*.tmp", "a/x.tmp/inside"),
        ("out", "out/a/b"),
        ("out/", "out/a"),
        ("out", "out/"),
        ("out", "deep/out/a"),
        ("out/**", "out/a/b"),
        ("/out", "out/a"),
        ("a/*/c", "a/b/c"),
        ("a/**/c", "a/c"),
        ("a/**/c", "a/b/b/c"),
        ("a/**/c", "a/c/c/x"),
        ("**/c", "c"),
        ("**/c", "a/b/c"),
        ("**", "anything/at all"),
        ("*", "anything"),
        ("a?c", "abc"),
        ("a?c", "aあc"),
        ("[ab].txt", "b.txt"),
        ("[!ab].txt", "c.txt"),
        ("[^a-c]x", "dx"),
        ("[a-c]x", "bx"),
        ("[]]x", "]x"),
        ("[!]]x", "ax"),
        ("[][b]", "["),
        ("[-a]", "-"),
        ("[a", "[a"),
        ("a.c", "a.c"),
        ("結果/*", "結果/図 1.png"),
        ("./a/b", "a/b"),
        ("a\nb", "a\nb"),
        ("[&~|]x", "&x"),
        ("*a*b*c", "xaxbxc"),
        ("*ab*ab", "abab"),
    ],
)
def test_it_matches(pattern: str, path: str) -> None:
    assert problem_of(pattern) is None
    assert matcher([pattern])(path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*.tmp", "x.tmpl"),
        ("out", "output"),
        ("out", "outer/a"),
        ("a/*/c", "a/b/b/c"),
        ("a/*", "b/a/c"),
        ("/out", "deep/out"),
        ("a?c", "a/c"),
        ("a[!b]c", "a/c"),
        ("[!]]x", "]x"),
        ("[!][b]", "b"),
        ("a.c", "abc"),
        ("a/**/c", "a/bc"),
        ("out/**", "out"),
        ("*ab*ab", "ab"),
        ("A", "a"),
    ],
)
def test_it_does_not_match(pattern: str, path: str) -> None:
    assert problem_of(pattern) is None
    assert not matcher([pattern])(path)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "is empty"),
        ("/", "is empty"),
        ("./", "is empty"),
        ("../x", "contains '..'"),
        ("a/../b", "contains '..'"),
        ("[z-a]", "faulty"),
    ],
)
def test_a_bad_pattern_is_a_sentence(pattern: str, why: str) -> None:
    problem = problem_of(pattern)
    assert problem is not None
    assert why in problem


def test_no_pattern_matches_nothing() -> None:
    assert not matcher([])("a")


def test_one_of_several_patterns_is_enough() -> None:
    matches = matcher(["*.o", "tmp/**"])
    assert [path for path in ("a.o", "tmp/x", "a.c") if matches(path)] == ["a.o", "tmp/x"]


@given(st.text(max_size=12) | patterns, st.text(max_size=12) | plain_paths)
def test_a_pattern_without_a_problem_can_be_matched_and_warns_of_nothing(
    pattern: str, path: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if problem_of(pattern) is None:
            matcher([pattern, "x"])(path)


@given(patterns)
def test_a_pattern_that_cannot_be_matched_has_a_problem(pattern: str) -> None:
    try:
        matcher([pattern])
    except re.error:
        assert problem_of(pattern) is not None


@given(safe_paths)
def test_a_path_without_special_characters_takes_itself_and_what_lies_in_it(path: str) -> None:
    plain = re.sub(r"[*?\[]", "_", path)
    matches = matcher([plain])
    assert matches(plain)
    assert matches(f"{plain}/x")
    assert not matches(f"{plain}x/y/{plain}x")


_star_patterns = st.lists(
    st.sampled_from(["**", "*", "a", "b", "*a", "a*", "a*b", "*a*", "?", "a?", "*ab*a"]),
    min_size=1,
    max_size=5,
).map("/".join)


@cache
def _segment_matches(pattern: str, segment: str) -> bool:
    if not pattern:
        return not segment
    if pattern[0] == "*":
        return any(_segment_matches(pattern[1:], segment[n:]) for n in range(len(segment) + 1))
    return (
        bool(segment)
        and pattern[0] in ("?", segment[0])
        and _segment_matches(pattern[1:], segment[1:])
    )


def _matches(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """The documented rule by trying everything."""
    if not pattern:
        return True
    if pattern[0] == "**":
        if len(pattern) == 1:
            return bool(path)
        return any(_matches(pattern[1:], path[n:]) for n in range(len(path) + 1))
    return bool(path) and _segment_matches(pattern[0], path[0]) and _matches(pattern[1:], path[1:])


@given(_star_patterns, st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=5))
def test_it_agrees_with_a_matcher_that_tries_everything(pattern: str, path: list[str]) -> None:
    segments = pattern.split("/")
    if len(segments) == 1:
        segments = ["**", *segments]
    assert matcher([pattern])("/".join(path)) == _matches(tuple(segments), tuple(path))


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 100 + "b", "a" * 255),
        ("**/" * 300 + "x", "a/" * 500),
        ("**/a/" * 150 + "b", "a/" * 500 + "c"),
        ("**/*a*a*a/" * 50 + "b", "aaaa/" * 200),
        ("[" * 1000, "[" * 1000),
    ],
)
def test_a_hostile_pattern_costs_no_time(pattern: str, path: str) -> None:
    begin = time.process_time()
    assert problem_of(pattern) is None
    matcher([pattern])(path)
    assert time.process_time() - begin < 1
