"""Results of calls, as the runner wrote them. Loading one runs code that the site chose."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from concurrent.futures import Future
from typing import IO, Any

from jobferry.errors import PythonMismatch, RemoteError
from jobferry.executor_runner import ERROR, HEADER, MISMATCH, UNPICKLED, VALUE

_KINDS = frozenset({VALUE, ERROR, UNPICKLED, MISMATCH})


class RemoteTraceback(Exception):
    """Where the call raised, on the site: the cause of the exception that came back.

    As in `concurrent.futures.process`.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class Promise:
    """The giving end of a future. All of it is called by one thread.

    A caller may cancel the future at any time until `begin`.
    """

    def __init__(self, future: Future[Any]) -> None:
        """Keep `future`, which nobody else ends."""
        self.future = future
        self.ended = False
        self._running = False

    def begin(self) -> bool:
        """Say that the call runs, so that it can no longer be cancelled. False if it was."""
        if not self._running and not self.ended:
            self._running = self.future.set_running_or_notify_cancel()
            self.ended = not self._running
        return not self.ended

    def take_back(self) -> bool:
        """Whether the caller has cancelled the call; those who wait for it are told."""
        if self.future.cancelled():
            self.begin()
        return self.future.cancelled()

    def keep(self, value: object) -> None:
        """End with a value."""
        if self.begin():
            self.ended = True
            self.future.set_result(value)

    def fail(self, error: BaseException) -> None:
        """End with an exception."""
        if self.begin():
            self.ended = True
            self.future.set_exception(error)


def settle(file: IO[bytes], promises: dict[int, Promise]) -> None:
    """End the calls whose results are in a file; a result that was cut off is none.

    Args:
        file: results of an element.
        promises: by number of the call; results of other calls are passed over, not loaded.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    for kind, number, text, end in _records(file, size):
        promise = promises.get(number)
        if promise is not None and promise.begin():
            _settle_one(file, promise, kind, text)
        file.seek(end)


def _records(file: IO[bytes], size: int) -> Iterator[tuple[bytes, int, str, int]]:
    """Kind, number and text of each result, and where it ends; the file stands at its pickle."""
    while len(head := file.read(HEADER.size)) == HEADER.size:
        kind, number, text_bytes, pickle_bytes = HEADER.unpack(head)
        end = file.tell() + text_bytes + pickle_bytes
        if kind not in _KINDS or end > size:
            return
        yield kind, number, file.read(text_bytes).decode("utf-8", "replace"), end


def _settle_one(file: IO[bytes], promise: Promise, kind: bytes, text: str) -> None:
    if kind == MISMATCH:
        promise.fail(PythonMismatch(text))
        return
    if kind == UNPICKLED:
        promise.fail(_with_cause(RemoteError(_last_line(text)), text))
        return
    try:
        loaded = pickle.load(file)
    except Exception as error:
        what = "returned" if kind == VALUE else "raised"
        failure = RemoteError(
            f"what the call {what} cannot be loaded here ({type(error).__name__}: {error}); the "
            "modules that it needs must be installed on both sides, in versions that agree"
        )
        promise.fail(_with_cause(failure, text) if text else _caused(failure, error))
        return
    if kind == VALUE:
        promise.keep(loaded)
    else:
        promise.fail(_with_cause(loaded, text))


def _with_cause(error: BaseException, text: str) -> BaseException:
    return _caused(error, RemoteTraceback(text))


def _caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "the call raised an exception that cannot be pickled"
