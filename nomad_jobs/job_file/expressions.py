"""Parses HCL expressions: operators, references, calls, collections, `for`.

Source: the HCL native syntax specification (hashicorp/hcl, hclsyntax/spec.md).
"""

from __future__ import annotations

from nomad_jobs.job_file import templates
from nomad_jobs.job_file.cursor import Cursor
from nomad_jobs.job_file.syntax import (
    Binary,
    Call,
    Conditional,
    Expression,
    For,
    Index,
    Literal,
    ObjectOf,
    Reference,
    Splat,
    Template,
    TupleOf,
    Unary,
)

_PRECEDENCE = {
    "||": 1,
    "&&": 2,
    "==": 3,
    "!=": 3,
    "<": 4,
    ">": 4,
    "<=": 4,
    ">=": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "%": 6,
}
_WORDS = {"true": True, "false": False, "null": None}
_MAX_DIGITS = 100
_MAX_STEPS = 50


def parse_expression(cursor: Cursor) -> Expression:
    """The expression at the cursor.

    Raises:
        HclError: there is none, or it is nested too deeply.
    """
    line = cursor.line
    with cursor.nested(lines_matter=cursor.lines_matter):
        condition = _operation(cursor, 1)
        if not cursor.accept("?"):
            return condition
        with cursor.nested(lines_matter=False):
            then = parse_expression(cursor)
            cursor.expect(":", "between the two values of a conditional")
            cursor.peek()
        cursor.skip_lines()
        return Conditional(line, condition, then, parse_expression(cursor))


def _operation(cursor: Cursor, least: int) -> Expression:
    left = _unary(cursor)
    while True:
        token = cursor.peek()
        precedence = _PRECEDENCE.get(token.text, 0) if token.kind == "mark" else 0
        if precedence < least:
            return left
        cursor.take()
        line = cursor.line_at(token.start)
        left = Binary(line, token.text, left, _operation(cursor, precedence + 1))


def _unary(cursor: Cursor) -> Expression:
    if cursor.at("-", "!"):
        token = cursor.take()
        with cursor.nested(lines_matter=cursor.lines_matter):
            return Unary(cursor.line_at(token.start), token.text, _unary(cursor))
    return _with_steps(cursor)


def _with_steps(cursor: Cursor) -> Expression:
    start = cursor.peek().start
    base = _term(cursor)
    for _ in range(_MAX_STEPS):
        if cursor.at("."):
            base = _dotted(cursor, base)
        elif cursor.at("["):
            base = _indexed(cursor, base)
        else:
            return base
        if isinstance(base, Reference):
            source = cursor.text[start : cursor.position]
            base = Reference(base.line, base.root, base.steps, source)
    raise cursor.error(f"more than {_MAX_STEPS} dots and indexes in a row")


def _step(base: Expression, key: Expression) -> Expression:
    if isinstance(base, Reference) and isinstance(key, Literal):
        return Reference(base.line, base.root, (*base.steps, key.value), base.source)
    return Index(key.line, base, key)


def _dotted(cursor: Cursor, base: Expression) -> Expression:
    cursor.take()
    if cursor.accept("*"):
        return _splat(cursor, base, dots_only=True)
    return _step(base, _dot_key(cursor))


def _dot_key(cursor: Cursor) -> Expression:
    token = cursor.peek()
    line = cursor.line_at(token.start)
    if token.kind == "number" and token.text.isdigit():
        return Literal(line, _number(cursor))
    return Literal(line, cursor.expect_name("a name after the dot"))


def _indexed(cursor: Cursor, base: Expression) -> Expression:
    cursor.take()
    with cursor.nested(lines_matter=False):
        if cursor.accept("*"):
            cursor.expect("]", "after [*")
            splat = True
        else:
            splat = False
            key = parse_expression(cursor)
            cursor.expect("]", "after an index")
    if splat:
        return _splat(cursor, base, dots_only=False)
    if isinstance(key, Template) and all(isinstance(part, Literal) for part in key.parts):
        key = Literal(key.line, "".join(str(p.value) for p in key.parts if isinstance(p, Literal)))
    return _step(base, key)


def _splat(cursor: Cursor, base: Expression, *, dots_only: bool) -> Expression:
    line = cursor.line
    steps: list[Expression] = []
    while len(steps) < _MAX_STEPS and (cursor.at(".") or (cursor.at("[") and not dots_only)):
        if cursor.accept("."):
            steps.append(_dot_key(cursor))
            continue
        cursor.take()
        with cursor.nested(lines_matter=False):
            steps.append(parse_expression(cursor))
            cursor.expect("]", "after an index")
    return Splat(line, base, tuple(steps))


def _term(cursor: Cursor) -> Expression:
    token = cursor.peek()
    line = cursor.line_at(token.start)
    if token.kind == "number":
        return Literal(line, _number(cursor))
    if token.kind == "heredoc":
        return templates.parse_heredoc(cursor)
    if token.kind == "name":
        return _named(cursor)
    if token.text == '"':
        return templates.parse_quoted(cursor)
    if token.text == "(":
        cursor.take()
        with cursor.nested(lines_matter=False):
            inner = parse_expression(cursor)
            cursor.expect(")", "to close the parenthesis")
        return inner
    if token.text == "[":
        return _tuple(cursor)
    if token.text == "{":
        return _object(cursor)
    raise cursor.unexpected("a value")


def _number(cursor: Cursor) -> int | float:
    token = cursor.take()
    if len(token.text) > _MAX_DIGITS:
        raise cursor.error("a number with too many digits", token.start)
    if token.text.isdigit():
        return int(token.text)
    value = float(token.text)
    if value in (float("inf"), float("-inf")):
        raise cursor.error("the number is too large", token.start)
    return int(value) if value.is_integer() else value


def _named(cursor: Cursor) -> Expression:
    token = cursor.take()
    line = cursor.line_at(token.start)
    if cursor.text.startswith("(", cursor.position):
        return _call(cursor, token.text, line)
    if token.text in _WORDS:
        return Literal(line, _WORDS[token.text])
    return Reference(line, token.text, (), token.text)


def _call(cursor: Cursor, name: str, line: int) -> Expression:
    cursor.take()
    arguments: list[Expression] = []
    expand = False
    with cursor.nested(lines_matter=False):
        while not cursor.at(")"):
            arguments.append(parse_expression(cursor))
            if cursor.accept("..."):
                expand = True
                break
            if not cursor.accept(","):
                break
        cursor.expect(")", f"to close the call of {name}")
    return Call(line, name, tuple(arguments), expand)


def _tuple(cursor: Cursor) -> Expression:
    line = cursor.line_at(cursor.take().start)
    items: list[Expression] = []
    with cursor.nested(lines_matter=False):
        if cursor.at_name("for"):
            return _for(cursor, line, closing="]")
        while not cursor.at("]"):
            items.append(parse_expression(cursor))
            if not cursor.accept(","):
                break
        cursor.expect("]", "to close the list")
    return TupleOf(line, tuple(items))


def _object(cursor: Cursor) -> Expression:
    line = cursor.line_at(cursor.take().start)
    with cursor.nested(lines_matter=False):
        if cursor.at_name("for"):
            return _for(cursor, line, closing="}")
    entries: list[tuple[Expression, Expression]] = []
    with cursor.nested(lines_matter=True):
        cursor.skip_lines()
        while not cursor.at("}"):
            entries.append(_entry(cursor))
            if not cursor.at(",", "\n", "}"):
                raise cursor.unexpected("a comma, a new line or '}' after an element")
            cursor.accept(",")
            cursor.skip_lines()
        cursor.expect("}", "to close the object")
    return ObjectOf(line, tuple(entries))


def _entry(cursor: Cursor) -> tuple[Expression, Expression]:
    key = parse_expression(cursor)
    if isinstance(key, Reference) and not key.steps:
        key = Literal(key.line, key.root)
    elif isinstance(key, Literal) and not isinstance(key.value, str):
        words: dict[object, str] = {True: "true", False: "false", None: "null"}
        key = Literal(key.line, words.get(key.value, key.value))
    if not cursor.accept("=", ":"):
        raise cursor.unexpected("'=' or ':' after the key of an element")
    cursor.skip_lines()
    return key, parse_expression(cursor)


def _for(cursor: Cursor, line: int, *, closing: str) -> Expression:
    cursor.take()
    key, value, collection = for_intro(cursor)
    cursor.expect(":", "after the collection of a for expression")
    of_key, of_value, grouped = None, parse_expression(cursor), False
    if closing == "}":
        cursor.expect("=>", "between the key and the value of a for expression")
        of_key, of_value = of_value, parse_expression(cursor)
        grouped = cursor.accept("...")
    condition = None
    if cursor.at_name("if"):
        cursor.take()
        condition = parse_expression(cursor)
    cursor.expect(closing, "to close the for expression")
    return For(line, key, value, collection, of_key, of_value, condition, grouped)


def for_intro(cursor: Cursor) -> tuple[str | None, str, Expression]:
    """`key, value in collection` after the word `for`: key, value, collection."""
    key, value = None, cursor.expect_name("a name after 'for'")
    if cursor.accept(","):
        key, value = value, cursor.expect_name("a name after the comma")
    if not cursor.at_name("in"):
        raise cursor.unexpected("'in' after the names of a for expression")
    cursor.take()
    return key, value, parse_expression(cursor)
