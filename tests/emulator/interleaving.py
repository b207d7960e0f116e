"""Programs that advance one call at a time, in the order that a test draws, and die where it says.

Each runs in a thread of its own, but only one at a time: it waits for its turn at every call of a
client, so that the calls of two programs can be interleaved in every way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

_NOT_CALLS = frozenset({"exceptions", "meta", "get_paginator"})
_of_thread = threading.local()


class Killed(BaseException):
    """The program's process ends here."""


class Program:
    """One run of a program.

    Attributes:
        name: what it is, for people.
        error: what it raised, once it is done.
    """

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        """Start it; it stops before its first call.

        Args:
            name: what it is.
            work: what it does.
        """
        self.name = name
        self.error: BaseException | None = None
        self._work = work
        self._turn = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._dying = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._stopped.acquire()

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def step(self) -> None:
        """Let it make one call and stop before the next one."""
        self._turn.release()
        self._stopped.acquire()
        if self._ended:
            self._thread.join()

    def finish(self) -> None:
        """Let it run to its end."""
        while not self.done:
            self.step()

    def kill(self) -> None:
        """End it where it stands: its next call is never made."""
        self._dying = True
        self.finish()

    _ended = False

    def _run(self) -> None:
        _of_thread.program = self
        try:
            self.wait_for_turn()
            self._work()
        except BaseException as error:
            self.error = error
        finally:
            self._ended = True
            self._stopped.release()

    def wait_for_turn(self) -> None:
        """Stop until it is this program's turn."""
        self._stopped.release()
        self._turn.acquire()
        if self._dying:
            raise Killed


Around = Callable[[str, dict[str, Any], Callable[[], Any]], Any]


class SteppedClient:
    """A boto3 client whose calls wait for the turn of the program that makes them."""

    def __init__(self, client: Any, around: Around) -> None:
        """Wrap a client.

        Args:
            client: a boto3 client.
            around: makes each call: its name, its arguments, and the call itself.
        """
        self._client = client
        self._around = around

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if name in _NOT_CALLS:
            return attribute

        def call(**arguments: Any) -> Any:
            program: Program | None = getattr(_of_thread, "program", None)
            if program is not None:
                program.wait_for_turn()
            return self._around(name, arguments, lambda: attribute(**arguments))

        return call
