"""What the demonstration prints: steps, commands and times; colours on a terminal only."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TextIO

_PLAIN = "\033[0m"
_BOLD = "\033[1m"
_DIM = "\033[2m"
_GREEN = "\033[32m"
_CYAN = "\033[36m"


class Narration:
    """Tells a story on a stream.

    Args:
        stream: where to.
        environment: says by `NO_COLOR` and `TERM` whether colours are wanted.
    """

    def __init__(self, stream: TextIO, environment: Mapping[str, str] = os.environ) -> None:
        self._stream = stream
        self._colours = (
            stream.isatty() and "NO_COLOR" not in environment and environment.get("TERM") != "dumb"
        )
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the story began."""
        return time.monotonic() - self._begun

    def step(self, text: str) -> None:
        """A new part of the story."""
        self._line("")
        self._line(self._in(_BOLD, f"== {text}"))

    def command(self, line: str) -> None:
        """A command that is about to run."""
        self._line(f"{self._in(_DIM, '$')} {self._in(_CYAN, line)}")

    def note(self, text: str) -> None:
        """An explanation."""
        self._line(f"   {text}")

    def output(self, text: str) -> None:
        """What a command printed."""
        for line in text.rstrip("\n").splitlines():
            self._line(f"   {self._in(_DIM, '|')} {line}")

    def moment(self, text: str) -> None:
        """Something that happened just now."""
        clock = time.strftime("%H:%M:%S")
        self._line(f"   {clock}  {self.seconds:5.1f} s  {self._in(_GREEN, text)}")

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colours else text

    def _line(self, text: str) -> None:
        self._stream.write(f"{text.rstrip()}\n")
        self._stream.flush()
