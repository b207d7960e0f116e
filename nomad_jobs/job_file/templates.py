"""Parses HCL templates: quoted strings and heredocs with `${...}`, `%{if}` and `%{for}`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nomad_jobs.job_file import expressions
from nomad_jobs.job_file.cursor import Cursor
from nomad_jobs.job_file.syntax import (
    Expression,
    Literal,
    Template,
    TemplateFor,
    TemplateIf,
)

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_QUOTED_TEXT = re.compile(r'[^"\\$%\n]+')
_FREE_TEXT = re.compile(r"[^$%]+")
_UNICODE = re.compile(r"u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})")
_DIRECTIVE_WORK = 5
_SURROGATES = range(0xD800, 0xE000)


@dataclass(frozen=True, slots=True)
class _Directive:
    """`%{word ...}` as it was read; the blocks are put together afterwards."""

    word: str
    line: int
    names: tuple[str | None, str] = (None, "")
    expression: Expression | None = None


_Part = Expression | _Directive


class _Parts:
    """Collects literals, interpolations and directives; `~` trims the literals beside them."""

    def __init__(self) -> None:
        self.found: list[_Part] = []
        self._literal: list[str] = []
        self._trim_next = False

    def text(self, text: str) -> None:
        self._literal.append(text)

    def flush(self, line: int, *, trim: bool) -> None:
        text = "".join(self._literal)
        self._literal = []
        if self._trim_next:
            text = text.lstrip(" \t\r\n")
        if trim:
            text = text.rstrip(" \t\r\n")
        self._trim_next = False
        if text:
            self.found.append(Literal(line, text))

    def add(self, part: _Part, *, trim_next: bool) -> None:
        self.found.append(part)
        self._trim_next = trim_next


def parse_quoted(cursor: Cursor) -> Expression:
    """The quoted template at the cursor."""
    start = cursor.take().start
    parts = _Parts()
    while True:
        _read_text(cursor, parts, _QUOTED_TEXT)
        char = cursor.text[cursor.position : cursor.position + 1]
        if char == '"':
            cursor.position += 1
            break
        if char == "\\":
            _escape(cursor, parts)
        elif char in ("\n", ""):
            raise cursor.error('this string is not closed with " on its line', start)
        else:
            _sequence(cursor, parts)
    return _template(cursor, parts, cursor.line_at(start))


def parse_heredoc(cursor: Cursor) -> Expression:
    """The heredoc at the cursor: `<<EOF`, or `<<-EOF` without the common indentation."""
    token = cursor.take()
    word = token.text.strip().lstrip("<").lstrip("-")
    end = re.compile(rf"^[ \t]*{re.escape(word)}(?=\r?$)", re.MULTILINE)
    found = end.search(cursor.text, cursor.position)
    if found is None:
        raise cursor.error(f"this heredoc is not closed by a line {word}", token.start)
    text = cursor.text[cursor.position : found.start()]
    cursor.budget.spend_on_text(len(text))
    cursor.position = found.end()
    if token.text.startswith("<<-"):
        text = _outdented(text)
    line = cursor.line_at(token.start)
    return _whole(cursor.part(text, line + 1), line)


def _whole(cursor: Cursor, line: int) -> Expression:
    parts = _Parts()
    while True:
        _read_text(cursor, parts, _FREE_TEXT)
        if cursor.position >= len(cursor.text):
            return _template(cursor, parts, line)
        _sequence(cursor, parts)


def _outdented(text: str) -> str:
    lines = text.splitlines(keepends=True)
    indents = [len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()]
    cut = min(indents, default=0)
    return "".join(line[cut:] if line.strip() else line.lstrip(" \t") for line in lines)


def _read_text(cursor: Cursor, parts: _Parts, pattern: re.Pattern[str]) -> None:
    if (match := pattern.match(cursor.text, cursor.position)) is not None:
        cursor.budget.spend_on_text(match.end() - match.start())
        parts.text(match.group())
        cursor.position = match.end()


def _escape(cursor: Cursor, parts: _Parts) -> None:
    following = cursor.text[cursor.position + 1 : cursor.position + 2]
    if following in _ESCAPES:
        parts.text(_ESCAPES[following])
        cursor.position += 2
    elif (code := _UNICODE.match(cursor.text, cursor.position + 1)) is not None:
        point = int(code[1] or code[2], 16)
        if point > 0x10FFFF or point in _SURROGATES:
            raise cursor.error(f"\\{code.group()} is no character")
        parts.text(chr(point))
        cursor.position = code.end()
    elif cursor.text.startswith("\\${", cursor.position):
        cursor.position += 1  # as a shell's heredoc leaves it: documents show job files so
    else:
        raise cursor.error(f"\\{following} is no escape; write \\\\ for a backslash")


def _sequence(cursor: Cursor, parts: _Parts) -> None:
    """What begins with `$` or `%`: an escape, an interpolation, a directive, or plain text."""
    cursor.budget.spend()
    start = cursor.text[cursor.position : cursor.position + 3]
    if start in ("$${", "%%{"):
        parts.text(start[1:])
        cursor.position += 3
    elif start.startswith("${"):
        _interpolation(cursor, parts)
    elif start.startswith("%{"):
        _directive(cursor, parts)
    else:
        parts.text(start[0])
        cursor.position += 1


def _open(cursor: Cursor, parts: _Parts) -> None:
    line = cursor.line
    cursor.position += 2
    trim = cursor.text.startswith("~", cursor.position)
    cursor.position += int(trim)
    parts.flush(line, trim=trim)


def _close(cursor: Cursor, what: str) -> bool:
    trim = cursor.accept("~")
    cursor.expect("}", f"to close {what}")
    return trim


def _interpolation(cursor: Cursor, parts: _Parts) -> None:
    with cursor.nested(lines_matter=False):
        _open(cursor, parts)
        inner = expressions.parse_expression(cursor)
        trim_next = _close(cursor, "the interpolation")
    parts.add(inner, trim_next=trim_next)


def _directive(cursor: Cursor, parts: _Parts) -> None:
    line = cursor.line
    cursor.budget.spend(_DIRECTIVE_WORK)
    with cursor.nested(lines_matter=False):
        _open(cursor, parts)
        word = cursor.expect_name("if, else, endif, for or endfor after %{")
        directive = _Directive(word, line)
        if word == "if":
            directive = _Directive(word, line, expression=expressions.parse_expression(cursor))
        elif word == "for":
            key, value, collection = expressions.for_intro(cursor)
            directive = _Directive(word, line, (key, value), collection)
        elif word not in ("else", "endif", "endfor"):
            raise cursor.error(f"%{{{word}}} is no template directive")
        trim_next = _close(cursor, f"%{{{word}")
    parts.add(directive, trim_next=trim_next)


def _template(cursor: Cursor, parts: _Parts, line: int) -> Expression:
    parts.flush(cursor.line, trim=False)
    waiting = list(reversed(parts.found))
    template, ended_by = _until(cursor, waiting, line, ())
    if ended_by is not None:
        raise cursor.error(f"%{{{ended_by}}} closes nothing")
    return template


def _until(
    cursor: Cursor, waiting: list[_Part], line: int, ends: tuple[str, ...]
) -> tuple[Template, str | None]:
    """The parts up to one of these directives, and which one it was."""
    taken: list[Expression] = []
    with cursor.nested(lines_matter=False):
        while waiting:
            part = waiting.pop()
            if isinstance(part, Expression):
                taken.append(part)
            elif part.word in ("if", "for"):
                taken.append(_assembled(cursor, waiting, part))
            elif part.word in ends:
                return Template(line, tuple(taken)), part.word
            else:
                raise cursor.error(f"%{{{part.word}}} closes nothing")
    if ends:
        raise cursor.error(f"a template directive is not closed with %{{{ends[-1]}}}")
    return Template(line, tuple(taken)), None


def _assembled(cursor: Cursor, waiting: list[_Part], opened: _Directive) -> Expression:
    expression = opened.expression or Literal(opened.line, None)
    if opened.word == "for":
        body, _ = _until(cursor, waiting, opened.line, ("endfor",))
        return TemplateFor(opened.line, *opened.names, expression, body)
    then, ended_by = _until(cursor, waiting, opened.line, ("else", "endif"))
    otherwise = Template(opened.line, ())
    if ended_by == "else":
        otherwise, _ = _until(cursor, waiting, opened.line, ("endif",))
    return TemplateIf(opened.line, expression, then, otherwise)
