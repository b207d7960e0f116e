"""Variables and locals: declarations, where values come from, and which one wins."""

from __future__ import annotations

from typing import Any

import pytest

from nomad_jobs.job_file.reading import read_job_file
from nomad_jobs.job_file.variables import VariableFile


def _read(
    head: str, expression: str, variables: dict[str, str], *files: str
) -> tuple[Any, list[str]]:
    read = read_job_file(
        f'{head}\njob "j" {{\n task "t" {{\n config {{\n x = {expression}\n }}\n }}\n}}',
        file="x.nomad",
        variables=variables,
        variable_files=[VariableFile(f"{n}.hcl", text) for n, text in enumerate(files)],
    )
    problems = [str(problem) for problem in read.problems]
    if read.job is None:
        return None, problems
    return read.job["TaskGroups"][0]["Tasks"][0]["Config"].get("x"), problems


def _declared(body: str) -> str:
    return f'variable "v" {{\n{body}\n}}'


@pytest.mark.parametrize(
    ("body", "given", "value"),
    [
        ("type = string", "a = ${b}", "a = ${b}"),
        ("type = string\n default = 5", None, "5"),
        ("type = number", "5", 5),
        ("type = bool", "true", True),
        ("type = list(string)", '["a", 1]', ["a", "1"]),
        ("type = set(string)", '["b", "a", "b"]', ["a", "b"]),
        ("type = map(number)", '{a = "1"}', {"a": 1}),
        ("type = tuple([string, number])", '[1, "2"]', ["1", 2]),
        (
            "type = object({a = string, b = optional(number, 3)})",
            "{a = 1}",
            {"a": "1", "b": 3},
        ),
        ("type = any", "[1]", [1]),
        ('type = "string"', '"x"', "x"),
        ("", "plain words", "plain words"),
        ("default = [1]", None, [1]),
        ("default = [1]", "[2]", [2]),
        ("default = true", "false", False),
        ('default = "x"', "[2]", "[2]"),
        ("default = null", None, None),
    ],
)
def test_a_value_is_brought_to_the_declared_type(body: str, given: str | None, value: Any) -> None:
    variables = {} if given is None else {"v": given}
    assert _read(_declared(body), "var.v", variables) == (value, [])


def test_single_values_win_over_files_and_later_files_over_earlier_ones() -> None:
    head = "variables {\n a = 1\n b = 1\n c = 1\n d = 1\n}"
    found, problems = _read(
        head, "[var.a, var.b, var.c, var.d]", {"d": "4"}, "b = 2\nc = 2\nd = 2", "c = 3\nd = 3"
    )
    assert (found, problems) == ([1, 2, 3, 4], [])


def test_a_variable_file_may_be_json() -> None:
    assert _read(_declared("type = list(string)"), "var.v", {}, '{"v": ["a", 1]}') == (
        ["a", "1"],
        [],
    )


def test_locals_may_use_each_other_in_any_order() -> None:
    head = (
        'variable "v" { default = 1 }\nlocals {\n c = local.b + 1\n}\nlocals {\n b = var.v + 1\n}'
    )
    assert _read(head, "local.c", {}) == (3, [])


@pytest.mark.parametrize(
    ("head", "variables", "files", "problem"),
    [
        (
            _declared("type = string"),
            {},
            [],
            """x.nomad:1: variable "v": the variable 'v' has no value; give it with """
            "-var 'v=VALUE', in a variable file, or give it a default",
        ),
        (
            _declared("default = 1"),
            {"w": "1"},
            [],
            "-var w: the job file has no variable 'w'; declare it: variable \"w\" { }",
        ),
        (
            'variable "cores" { default = 1 }\n' + _declared("default = 1"),
            {},
            ["core = 2"],
            "0.hcl:1: the job file has no variable 'core'; did you mean 'cores'?",
        ),
        (_declared("default = 1"), {}, ["v = = 1"], "0.hcl:1: expected a value, found '='"),
        (_declared("default = 1"), {}, ['{"v": }'], "0.hcl:1: this is no JSON: "),
        (_declared("default = 1"), {}, ["a { }"], "0.hcl:1: a variable file has no blocks"),
        (
            _declared("type = number"),
            {"v": '"many"'},
            [],
            "-var v: a number is needed here, not a string: 'many'",
        ),
        (
            _declared("type = strin\n default = 1"),
            {},
            [],
            'x.nomad:2: variable "v": this is no type; types are string',
        ),
        (
            _declared("defalt = 1\n default = 1"),
            {},
            [],
            "x.nomad:2: unknown attribute 'defalt' in a variable; did you mean 'default'?",
        ),
        (
            _declared("default = 1") + "\n" + _declared("default = 2"),
            {},
            [],
            "x.nomad:4: the variable 'v' is declared twice",
        ),
        (
            _declared(
                "default = 9\n validation {\n condition = var.v < 5\n"
                'error_message = "Too large."\n }'
            ),
            {},
            [],
            'x.nomad:4: variable "v": Too large.',
        ),
        (
            _declared("default = 1") + "\nlocals {\n a = local.b\n b = local.a\n}",
            {},
            [],
            "x.nomad:5: locals: local.a: there is no local 'b'",
        ),
    ],
)
def test_what_is_wrong_with_a_variable_is_said_where_it_is(
    head: str, variables: dict[str, str], files: list[str], problem: str
) -> None:
    _, problems = _read(head, "var.v", variables, *files)
    assert problems
    assert problems[0].startswith(problem)
