"""HCL expressions: what they give, and what they say when they give nothing."""

from __future__ import annotations

from typing import Any

import pytest

from nomad_jobs.job_file.bodies import parse_value
from nomad_jobs.job_file.budget import Budget
from nomad_jobs.job_file.evaluation import Evaluation
from nomad_jobs.job_file.problems import HclError

NAMES: dict[str, Any] = {
    "var": {"n": 3, "name": "heat", "list": ["a", "b"], "map": {"k": "v"}, "none": None},
    "local": {"rows": [{"id": 1, "tags": ["x"]}, {"id": 2, "tags": ["y"]}]},
}


def _value(text: str) -> Any:
    budget = Budget()
    return Evaluation(budget).value(parse_value(text, budget), NAMES)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 / 4", 2.5),
        ("10 / 5", 2),
        ("-7 % 3", -1),
        ("0.1 + 0.2", 0.3),
        ("1 - 1 - 1", -1),
        ("2 > 1 && !(1 >= 2) || false", True),
        ("1 == 1.0", True),
        ('"1" == 1', False),
        ("[1, 2] == [1, 2]", True),
        ("true ? 1 : 2", 1),
        ("var.n > 2 ? var.name : null", "heat"),
        ("[1, 2,]", [1, 2]),
        ('{a = 1, "b" : 2, (var.name) = 3}', {"a": 1, "b": 2, "heat": 3}),
        ("{\n a = 1\n b = 2\n}", {"a": 1, "b": 2}),
        ("var.list[1]", "b"),
        ('var.map["k"]', "v"),
        ("var.list.0", "a"),
        ("local.rows[*].id", [1, 2]),
        ("local.rows.*.id", [1, 2]),
        ("local.rows[*].tags[0]", ["x", "y"]),
        ("var.name[*]", ["heat"]),
        ("var.none[*]", []),
        ("[for v in var.list: upper(v)]", ["A", "B"]),
        ('[for i, v in var.list : i if v != "a"]', [1]),
        ("[for k, v in {b = 1, a = 2} : k]", ["a", "b"]),
        ("{for r in local.rows: r.id => r.tags[0]}", {"1": "x", "2": "y"}),
        (
            '{for v in [1, 2, 3]: (v % 2 == 0 ? "even" : "odd") => v...}',
            {"odd": [1, 3], "even": [2]},
        ),
        ("max([1, 5, 3]...)", 5),
        ("(\n1\n+\n2\n)", 3),
        ("try(var.nothing, var.n)", 3),
        ("can(var.nothing)", False),
        ('convert("5", number)', 5),
    ],
)
def test_operators_and_collections(text: str, value: Any) -> None:
    found = _value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a${1 + 1}b"', "a2b"),
        ('"${var.n}"', 3),
        ('"${var.n}!"', "3!"),
        (r'"\n\t\"\\é"', '\n\t"\\é'),
        ('"$${x} %%{if} 100% $5"', "${x} %{if} 100% $5"),
        ('"%{if var.n > 2}big%{else}small%{endif}"', "big"),
        ('"%{if false}x%{endif}"', ""),
        ('"%{for v in var.list}${v},%{endfor}"', "a,b,"),
        ('"%{for i, v in var.list}${i}=${v} %{endfor}"', "0=a 1=b "),
        ('"a  ${~ var.n ~}  b"', "a3b"),
        ('"a %{~ if true ~} b %{~ endif ~} c"', "abc"),
        ('"${"nested ${"deep"}"}"', "nested deep"),
        ("<<EOF\n  one ${var.n}\n two\nEOF\n", "  one 3\n two\n"),
        ("<<-EOF\n    one\n      two\n\n    EOF\n", "one\n  two\n\n"),
        ("<<EOF\nnothing \\n is an escape\nEOF\n", "nothing \\n is an escape\n"),
        ("<<EOF\nEOF\n", ""),
        ("<<E\r\na\r\nE\r\n", "a\r\n"),
        ("<<EOF\n%{ for v in var.list ~}\n- ${v}\n%{ endfor ~}\nEOF\n", "- a\n- b\n"),
    ],
)
def test_templates(text: str, value: Any) -> None:
    assert _value(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "NOMAD_TASK_DIR",
        "meta.key",
        "attr.kernel.name",
        "attr.unique.network.ip-address",
        "node.class",
        'env["HOME"]',
        "device.attr.memory",
        "NOMAD_META_x",
    ],
)
def test_what_nomad_resolves_at_run_time_stays_as_it_stands(text: str) -> None:
    assert _value(text) == "${" + text + "}"
    assert _value(f'"a/${{{text}}}/b"') == "a/${" + text + "}/b"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("abs(-3)", 3),
        ('base64decode("aGk=")', "hi"),
        ('base64encode("hi")', "aGk="),
        ('basename("/a/b.txt")', "b.txt"),
        ("ceil(1.2)", 2),
        (r'chomp("a\n\n")', "a"),
        ("chunklist([1, 2, 3], 2)", [[1, 2], [3]]),
        ('cidrhost("10.1.0.0/16", 5)', "10.1.0.5"),
        ('cidrnetmask("10.1.0.0/16")', "255.255.0.0"),
        ('cidrsubnet("10.0.0.0/8", 8, 2)', "10.2.0.0/16"),
        ('cidrsubnets("10.0.0.0/8", 4, 4, 8)', ["10.0.0.0/12", "10.16.0.0/12", "10.32.0.0/16"]),
        ('coalesce("", null, "x")', "x"),
        ("coalescelist([], [1])", [1]),
        ('compact(["a", "", "b"])', ["a", "b"]),
        ("concat([1], [2, 3])", [1, 2, 3]),
        ('contains(["a"], "a")', True),
        (r'csvdecode("a,b\n1,2\n")', [{"a": "1", "b": "2"}]),
        ('dirname("/a/b.txt")', "/a"),
        ('distinct(["a", "b", "a"])', ["a", "b"]),
        ('element(["a", "b"], 3)', "b"),
        ("flatten([[1], [[2], 3]])", [1, 2, 3]),
        ("floor(-1.2)", -2),
        ('format("%05.1f|%-4s|%+d|%q|%v|%%", 1.25, "a", 7, "b", [1])', '001.2|a   |+7|"b"|[1]|%'),
        ('format("%[2]s %[1]s", "a", "b")', "b a"),
        ('formatdate("DD MMM YYYY hh:mm ZZZ", "2018-01-02T23:12:01Z")', "02 Jan 2018 23:12 UTC"),
        ('formatlist("%s-%s", ["a", "b"], "x")', ["a-x", "b-x"]),
        (r'indent(2, "a\nb")', "a\n  b"),
        ('join("-", ["a", "b"], ["c"])', "a-b-c"),
        (r'jsondecode("{\"a\": [1, 2.5, null]}")', {"a": [1, 2.5, None]}),
        ('jsonencode({b = "<", a = [1, null, true]})', '{"a":[1,null,true],"b":"\\u003c"}'),
        ("keys({b = 1, a = 2})", ["a", "b"]),
        ("length([1, 2])", 2),
        ("log(8, 2)", 3),
        ('lookup({a = 1}, "b", 5)', 5),
        ('lower("AB")', "ab"),
        ('md5("a")', "0cc175b9c0f1b6a831c399e269772661"),
        ("merge({a = 1}, {a = 2, b = 3})", {"a": 2, "b": 3}),
        ("min(3, 1, 2)", 1),
        ('parseint("ff", 16)', 255),
        ("pow(2, 10)", 1024),
        ("range(3)", [0, 1, 2]),
        ("range(1, 8, 3)", [1, 4, 7]),
        ('replace("a-b-c", "-", "+")', "a+b+c"),
        ("reverse([1, 2])", [2, 1]),
        ("setintersection([1, 2], [2, 3])", [2]),
        ('setproduct(["a"], ["b", "c"])', [["a", "b"], ["a", "c"]]),
        ('setunion(["b"], ["a", "b"])', ["a", "b"]),
        ('sha1("a")', "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
        ("signum(-2)", -1),
        ("slice([1, 2, 3], 1, 2)", [2]),
        ('sort(["b", "a"])', ["a", "b"]),
        ('split(",", "a,b")', ["a", "b"]),
        ('strlen("日本")', 2),
        ('strrev("abc")', "cba"),
        ('substr("hello", 1, 3)', "ell"),
        ('substr("hello", -3, -1)', "llo"),
        ('timeadd("2018-01-02T23:12:01Z", "1h")', "2018-01-03T00:12:01Z"),
        ('title("hello world")', "Hello World"),
        ('trim("?!hi!?", "!?")', "hi"),
        ('trimprefix("ab", "a")', "b"),
        (r'trimspace("  a\n ")', "a"),
        ('trimsuffix("ab", "b")', "a"),
        ('upper("ab")', "AB"),
        ('urlencode("a b&c")', "a+b%26c"),
        ('uuidv5("dns", "example.com")', "cfbff0d1-9375-5685-968c-48ce8b15ae17"),
        ("values({b = 1, a = 2})", [2, 1]),
        ('zipmap(["a"], [1])', {"a": 1}),
    ],
)
def test_functions(text: str, value: Any) -> None:
    assert _value(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "division by zero"),
        ('"a" + 1', "a number is needed here, not a string: 'a'"),
        ("var.nmae", "there is no variable 'nmae'; did you mean 'name'?"),
        ("local.row", "there is no local 'row'; did you mean 'rows'?"),
        ("var.map.v", "there is no element 'v'; there are: k"),
        ("var.list[5]", "there is no element 5 in a list of 2"),
        ('"x${var.list}"', "a string is needed here, not a list"),
        ('"x${var.none}"', "a string is needed here, not null"),
        ("uper(1)", "there is no function 'uper'; did you mean 'upper'?"),
        ("upper()", "upper(): takes 1 arguments, not 0"),
        ("pow(2, 600)", "pow(): the result has more than 512 bits"),
        ('format("%d")', "format(): the format needs a value number 1"),
        ('format("x", 1)', "format(): 1 values for 0 verbs of the format"),
        ("{for v in [1, 1]: v => v}", "the key '1' comes twice in this for expression"),
        ("[1, 2", "expected ']' to close the list, found the end of the file"),
        ('"abc', 'this string is not closed with " on its line'),
        (r'"\d"', "\\d is no escape"),
        ("<<EOF\nabc", "this heredoc is not closed by a line EOF"),
        ('"%{if true}x"', "a template directive is not closed with %{endif}"),
        ('"x%{endif}"', "%{endif} closes nothing"),
        ("1 +", "expected a value, found the end of the file"),
        ("1 2", "expected the end of the value, found '2'"),
        ("a @ b", "unexpected character '@'"),
    ],
)
def test_an_expression_without_a_value_says_why(text: str, message: str) -> None:
    with pytest.raises(HclError) as raised:
        _value(text)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("file", "name the file as an input or an artifact"),
        ("fileset", "name the file as an input or an artifact"),
        ("uuidv4", "uuidv5()"),
        ("regex_replace", "use replace()"),
        ("yamlencode", "jsonencode()"),
    ],
)
def test_a_function_that_cannot_run_here_is_refused_by_name(name: str, remedy: str) -> None:
    with pytest.raises(HclError) as raised:
        _value(f'{name}("x")')
    assert str(raised.value).startswith(f"{name}() is not available: ")
    assert remedy in str(raised.value)


def test_the_line_is_that_of_the_innermost_expression() -> None:
    with pytest.raises(HclError) as raised:
        _value("[\n1,\n  2 + [],\n]")
    assert raised.value.line == 3
