"""Whether a job script can be submitted."""

from __future__ import annotations

import pytest

from job_protocol.script_rules import MAX_SCRIPT_BYTES, script_problems, size_problem

KEY = "job0001/aws-job-run.sh"


@pytest.mark.parametrize(
    "body",
    [
        b"#!/bin/bash\n#SBATCH -N 1\nsrun ./a.out\n",
        b"#!/usr/bin/env python3",
        "#!/bin/sh\necho 日本語\n".encode(),
        b"#!/bin/sh\nprintf 'a\rb'\n",
        b"#!/bin/sh\n" + b"#" * (MAX_SCRIPT_BYTES - 10),
    ],
)
def test_a_good_script_has_no_problem(body: bytes) -> None:
    assert script_problems(KEY, body) == []


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "is empty"),
        (b"echo hello\n", "has no shebang"),
        (b"\n#!/bin/sh\n", "has no shebang"),
        (b"\xef\xbb\xbf#!/bin/sh\n", "byte order mark"),
        (b"\xff\xfe#\x00!\x00", "byte order mark"),
        (b"#!/bin/sh\r\necho\r\n", "CRLF"),
        (b"#!/bin/sh\n\0", "NUL bytes"),
        (b"#!/bin/sh\n" + b"#" * MAX_SCRIPT_BYTES, "at most 4194304"),
    ],
)
def test_a_bad_script_is_told_with_key_and_remedy(body: bytes, why: str) -> None:
    problems = script_problems(KEY, body)
    assert any(why in problem.problem for problem in problems)
    assert all(problem.key == KEY and problem.remedy for problem in problems)


def test_every_problem_is_told_at_once() -> None:
    text = " ".join(problem.problem for problem in script_problems(KEY, b"echo\r\n\0"))
    for why in ("shebang", "CRLF", "NUL"):
        assert why in text


@pytest.mark.parametrize(
    ("size", "good"), [(0, False), (1, True), (4 << 20, True), (5 << 20, False)]
)
def test_the_size_alone_tells_whether_to_fetch_it(size: int, good: bool) -> None:
    assert (size_problem(KEY, size) is None) is good
