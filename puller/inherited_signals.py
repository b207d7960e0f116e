"""Signals that the puller was started to ignore, and that its jobs must not ignore with it."""

from __future__ import annotations

import signal

_INHERITED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
"""A shell has what it starts in the background ignore the last two (POSIX, "Asynchronous Lists"),
`nohup` the first."""


def let_programs_react() -> None:
    """Give what is started from now on the usual reaction to signals that are ignored here.

    An ignored signal stays ignored in every program that is started, and a shell can no longer
    trap it; a handler does not outlive execve(2). So a handler that does nothing takes the place
    of ignoring, here and for the jobs of the `local` scheduler, which this process starts itself.
    """
    for number in _INHERITED:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _nothing)


def _nothing(_number: int, _frame: object) -> None:
    """The handler of a signal that means nothing to the puller."""
