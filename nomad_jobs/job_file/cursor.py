"""A place in HCL text, and the tokens after it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nomad_jobs.job_file.budget import MAX_DEPTH, Budget
from nomad_jobs.job_file.problems import HclError

_SPACE = re.compile(r"(?:[ \t\r]+|(?:#|//)[^\n]*|/\*(?:[^*]|\*(?!/))*+\*/)*+")
_SPACE_AND_LINES = re.compile(r"(?:[ \t\r\n]+|(?:#|//)[^\n]*|/\*(?:[^*]|\*(?!/))*+\*/)*+")
_TOKEN = re.compile(
    r"(?P<name>[^\W\d][\w-]*)"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<heredoc><<-?[^\W\d][\w.-]*\r?\n)"
    r"|(?P<mark>\.\.\.|==|!=|<=|>=|&&|\|\||=>|::|[-+*/%!<>?:=.,(){}\[\]\"\n~])"
)
MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class Token:
    """One token: `kind` is `name`, `number`, `heredoc`, `mark` or `end`."""

    kind: str
    text: str
    start: int
    end: int


class Cursor:
    """Reads tokens of one text; white space and comments are skipped.

    Args:
        text: the HCL text.
        budget: every token costs a unit.
        first_line: the line of the file at which the text begins.
    """

    def __init__(self, text: str, budget: Budget, *, first_line: int = 1) -> None:
        self.text = text
        self.position = 0
        self.budget = budget
        self._first_line = first_line
        self._line_ends = [match.start() for match in re.finditer("\n", text)]
        self._lines_matter = True
        self._depth = 0
        self._peeked: tuple[int, bool, Token] | None = None

    @property
    def lines_matter(self) -> bool:
        """Whether the end of a line is a token here."""
        return self._lines_matter

    @property
    def line(self) -> int:
        """The line of the position."""
        return self.line_at(self.position)

    def line_at(self, position: int) -> int:
        """The line of a position in the text."""
        return self._first_line + bisect_right(self._line_ends, position - 1)

    def error(self, message: str, at: int | None = None) -> HclError:
        """The error that something at a position (default: here) cannot be read."""
        return HclError(message, line=self.line_at(self.position if at is None else at))

    def peek(self) -> Token:
        """The next token, which stays unread."""
        key = (self.position, self._lines_matter)
        if self._peeked is not None and self._peeked[:2] == key:
            return self._peeked[2]
        space = _SPACE if self._lines_matter else _SPACE_AND_LINES
        found = space.match(self.text, self.position)
        start = found.end() if found else self.position
        token = self._token_at(start)
        self._peeked = (*key, token)
        return token

    def _token_at(self, start: int) -> Token:
        self.budget.line = self.line_at(start)
        self.budget.spend()
        if start >= len(self.text):
            return Token("end", "end of file", start, start)
        if self.text.startswith("/*", start):
            raise self.error("this comment is not closed with */", start)
        match = _TOKEN.match(self.text, start)
        if match is None:
            raise self.error(f"unexpected character {self.text[start]!r}", start)
        kind = match.lastgroup or "mark"
        if kind == "name" and match.end() - match.start() > MAX_NAME:
            raise self.error(f"a name of more than {MAX_NAME} characters", start)
        return Token(kind, match.group(), start, match.end())

    def take(self) -> Token:
        """The next token; the position moves behind it."""
        token = self.peek()
        self.position = token.end
        return token

    def at(self, *marks: str) -> bool:
        """Whether the next token is one of these marks."""
        token = self.peek()
        return token.kind == "mark" and token.text in marks

    def at_name(self, *names: str) -> bool:
        """Whether the next token is one of these names, or any name if none is given."""
        token = self.peek()
        return token.kind == "name" and (not names or token.text in names)

    def accept(self, *marks: str) -> bool:
        """Take the next token if it is one of these marks."""
        if self.at(*marks):
            self.take()
            return True
        return False

    def expect(self, mark: str, where: str) -> None:
        """Take this mark, or refuse."""
        if not self.accept(mark):
            raise self.unexpected(f"{mark!r} {where}")

    def expect_name(self, what: str) -> str:
        """Take a name, or refuse."""
        if not self.at_name():
            raise self.unexpected(what)
        return self.take().text

    def unexpected(self, wanted: str) -> HclError:
        """The error that something else than `wanted` comes next."""
        token = self.peek()
        found = {"\n": "the end of the line", "end of file": "the end of the file"}.get(
            token.text, repr(token.text.strip())
        )
        return self.error(f"expected {wanted}, found {found}", token.start)

    def skip_lines(self) -> None:
        """Skip line ends."""
        while self.accept("\n"):
            pass

    @contextmanager
    def nested(self, *, lines_matter: bool) -> Iterator[None]:
        """Inside a bracket, a template or a block: one level deeper.

        Args:
            lines_matter: whether the end of a line is a token there.
        """
        if self._depth >= MAX_DEPTH:
            raise self.error(f"more than {MAX_DEPTH} levels of nesting")
        before = self._lines_matter
        self._depth += 1
        self._lines_matter = lines_matter
        try:
            yield
        finally:
            self._depth -= 1
            self._lines_matter = before

    def part(self, text: str, first_line: int) -> Cursor:
        """A cursor over a text that was cut out of this one (a heredoc), at the same depth."""
        inner = Cursor(text, self.budget, first_line=first_line)
        inner._depth = self._depth
        return inner
