"""A progress bar of one line, for terminals and notebooks; nothing elsewhere."""

from __future__ import annotations

import sys
from typing import TextIO

_WIDTH = 40


def bar_text(label: str, done: int, total: int) -> str:
    """The line: label, bar and numbers."""
    filled = _WIDTH * done // total if total else _WIDTH
    return f"{label} [{'#' * filled}{'-' * (_WIDTH - filled)}] {done}/{total}"


def somebody_looks(stream: TextIO) -> bool:
    """Whether the stream is a terminal, or this is the kernel of a notebook."""
    return stream.isatty() or "ipykernel" in sys.modules


class ProgressBar:
    """A bar on stderr while the block runs, if somebody looks."""

    def __init__(self, label: str, total: int, stream: TextIO | None = None) -> None:
        """A bar that is not drawn yet.

        Args:
            label: what is counted.
            total: how many there are.
            stream: where it is drawn; by default stderr.
        """
        self._label, self._total = label, total
        self._stream = stream or sys.stderr
        self._shown = somebody_looks(self._stream)
        self._last = ""

    def show(self, done: int) -> None:
        """Draw it, if it has changed."""
        text = bar_text(self._label, done, self._total)
        if self._shown and text != self._last:
            self._stream.write(f"\r{text}")
            self._stream.flush()
            self._last = text

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._last:
            self._stream.write("\n")
            self._stream.flush()
