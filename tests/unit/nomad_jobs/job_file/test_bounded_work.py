"""Hostile job files: their work is bounded by a count, whatever they contain."""

from __future__ import annotations

import pytest

from nomad_jobs.job_file.bodies import MAX_TEXT
from nomad_jobs.job_file.problems import MAX_FINDINGS
from nomad_jobs.job_file.reading import read_job_file


def _with(expression: str) -> str:
    return f'job "x" {{\n meta {{\n a = {expression}\n }}\n}}'


def _doubling(first: str, step: str) -> str:
    lines = [f"a{n + 1} = {step.replace('X', f'local.a{n}')}" for n in range(60)]
    return "locals {\n a0 = " + first + "\n" + "\n".join(lines) + "\n}\n" + _with("local.a60")


TOO_MUCH = "the job file takes too much work to evaluate"
TOO_DEEP = "more than 40 levels of nesting"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_doubling("[1, 2]", "[X, X]"), TOO_MUCH),
        (_doubling("[1, 2]", "concat(X, X)"), TOO_MUCH),
        (_doubling('"ab"', '"${X}${X}"'), TOO_MUCH),
        (_doubling("{a = 1}", "{a = X, b = X}"), TOO_MUCH),
        (
            'variable "v" {\n' + "".join(f"a{n} = 1\n" for n in range(9_000)) + "}",
            f"more than {MAX_FINDINGS} problems",
        ),
        (_doubling("3", "X * X"), "local.a9: the number has more than 512 bits"),
        (_with("[for a in range(999): [for b in range(999): b]]"), TOO_MUCH),
        (_with("range(100000000)"), TOO_MUCH),
        (_with("setproduct(range(999), range(999), range(999))"), TOO_MUCH),
        (_with('format("%1000d", 1) == "" ? 1 : range(999999)'), TOO_MUCH),
        (
            _with(f'replace(join("", [for i in range(9999): "aaaaaaaa"]), "a", "{"b" * 999}")'),
            TOO_MUCH,
        ),
        (_with('indent(99999999, "\\n\\n")'), TOO_MUCH),
        (_with("pow(9, pow(9, 9))"), "pow(): the result has more than 512 bits"),
        (_with("[" * 100_000), TOO_DEEP),
        (_with("(" * 100_000), TOO_DEEP),
        (_with("!" * 100_000 + "true"), TOO_DEEP),
        (_with("true ? 1 : " * 10_000 + "1"), TOO_DEEP),
        (_with('"${' * 10_000), TOO_DEEP),
        (_with('"' + "%{if true}" * 1_000 + '"'), TOO_DEEP),
        ("a {\n" * 100_000, TOO_DEEP),
        (_with("a" + ".b" * 100_000), "more than 50 dots and indexes in a row"),
        (_with("1" + "+1" * 5_000), "an expression has too many operators"),
        (_with("1" + "+1" * 200_000), TOO_MUCH),
        ("#\n" * 300_000, TOO_MUCH),
        (_with('jsondecode("' + "[" * 100_000 + '")'), "an expression has too many operators"),
        ('{"a":' * 100_000, "an expression has too many operators"),
        ("#" * (MAX_TEXT + 1), f"the file has more than {MAX_TEXT} characters"),
        ('{"a": "' + "x" * MAX_TEXT + '"}', f"the file has more than {MAX_TEXT} characters"),
        ('job "x" {\n dynamic "group" {\n for_each = range(99999)\n content { }\n }\n}', TOO_MUCH),
        (
            'job "x" {\n' + "".join(f"a{n} = 1\n" for n in range(9_000)) + "}",
            f"more than {MAX_FINDINGS} problems",
        ),
    ],
    ids=lambda value: value[:40] if value.startswith(("the", "more", "an")) else "",
)
def test_a_hostile_file_ends_in_one_sentence(text: str, message: str) -> None:
    read = read_job_file(text, file="x.nomad")
    assert read.job is None
    assert any(message in problem.message for problem in read.problems)
    assert len(read.problems) <= MAX_FINDINGS + 1


def test_a_large_text_in_a_heredoc_is_no_hostile_file() -> None:
    text = "0123456789abcde\n" * 60_000
    read = read_job_file(_with(f"<<EOF\n{text}EOF"), file="x.nomad")
    assert read.job is not None
    assert read.job["Meta"]["a"] == text
