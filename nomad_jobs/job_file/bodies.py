"""Parses HCL files: attributes and blocks."""

from __future__ import annotations

from nomad_jobs.job_file.budget import Budget
from nomad_jobs.job_file.cursor import Cursor, Token
from nomad_jobs.job_file.expressions import parse_expression
from nomad_jobs.job_file.syntax import Attribute, Block, Body, Expression, Literal, Template

MAX_TEXT = 1024 * 1024
"""Characters of a job file or a variable file. Nomad stores no source of more than 1 MB."""


def parse_file(text: str, budget: Budget) -> Body:
    """The body of a whole file.

    Raises:
        HclError: it is no HCL; the line says where it stops making sense.
    """
    cursor = Cursor(text, budget)
    if len(text) > MAX_TEXT:
        raise cursor.error(f"the file has more than {MAX_TEXT} characters")
    if text.startswith("\ufeff"):
        cursor.position = 1
    return _body(cursor, closing="end")


def parse_value(text: str, budget: Budget) -> Expression:
    """One expression that is the whole text, as in `-var 'x=[1, 2]'`.

    Raises:
        HclError: it is no expression.
    """
    cursor = Cursor(text, budget)
    if len(text) > MAX_TEXT:
        raise cursor.error(f"the value has more than {MAX_TEXT} characters")
    cursor.skip_lines()
    expression = parse_expression(cursor)
    cursor.skip_lines()
    if cursor.peek().kind != "end":
        raise cursor.unexpected("the end of the value")
    return expression


def _body(cursor: Cursor, *, closing: str) -> Body:
    attributes: dict[str, Attribute] = {}
    blocks: list[Block] = []
    while True:
        cursor.skip_lines()
        token = cursor.peek()
        if closing in (token.text, token.kind):
            cursor.take()
            return Body(tuple(attributes.values()), tuple(blocks))
        if not (cursor.at_name() or cursor.at('"')):
            raise cursor.unexpected("an attribute, a block or '}'" if closing == "}" else "a block")
        name = _name(cursor, token)
        if not cursor.accept("="):
            blocks.append(_block(cursor, name, cursor.line_at(token.start)))
        else:
            attribute = Attribute(name, parse_expression(cursor), cursor.line_at(token.start))
            if name in attributes:
                first = attributes[name].line
                raise cursor.error(
                    f"{name!r} is set a second time; it was set on line {first}", token.start
                )
            attributes[name] = attribute
        _end_of_line(cursor, closing)


def _end_of_line(cursor: Cursor, closing: str) -> None:
    token = cursor.peek()
    if token.kind == "end" or token.text in ("\n", closing):
        return
    raise cursor.unexpected("a new line")


def _name(cursor: Cursor, token: Token) -> str:
    """A name, or a quoted name as older job files have it in `meta` and `env`."""
    return cursor.take().text if token.kind == "name" else _label(cursor)


def _label(cursor: Cursor) -> str:
    start = cursor.peek().start
    template = parse_expression(cursor)
    parts = template.parts if isinstance(template, Template) else (template,)
    words = [part.value for part in parts if isinstance(part, Literal)]
    if len(words) != len(parts) or not all(isinstance(word, str) for word in words):
        raise cursor.error("a label or a name is plain text, without ${...}", start)
    return "".join(words)


def _block(cursor: Cursor, name: str, line: int) -> Block:
    labels: list[str] = []
    while not cursor.at("{"):
        if cursor.at_name():
            labels.append(cursor.take().text)
        elif cursor.at('"'):
            labels.append(_label(cursor))
        else:
            raise cursor.unexpected(f"'=' or '{{' after {name!r}")
    cursor.take()
    with cursor.nested(lines_matter=True):
        body = _body(cursor, closing="}")
    return Block(name, tuple(labels), body, line)
