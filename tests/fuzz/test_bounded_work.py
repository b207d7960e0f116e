"""What schedulers answer is read in a time that grows with its length, not with the square."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from tests.fuzz import site
from tests.fuzz.target import Target

LENGTH = 400_000
"""Bytes: what takes the square of it takes minutes, what does not takes less than a second."""
PROCESSOR_SECONDS = 30
"""Of this process alone: however busy the machine is, it makes no difference."""

PIECES = (
    *(b" ", b"\n", b"a", b"-- ", b"a = b\n", b"\n\t", b"Job <1>, ", b"/", b"a/", b"'", b"|"),
    *(b"would exceed ", b"[ERR.] PJM 1 pjdel ", b"number of ", b"#$ -v a,", b"\\\n"),
)


class TooMuchWork(BaseException):
    """A parser uses the processor for too long; no parser catches it."""


@pytest.fixture
def _bounded() -> Iterator[None]:
    def bark(_signal: int, _frame: FrameType | None) -> None:
        raise TooMuchWork

    before = signal.signal(signal.SIGVTALRM, bark)
    signal.setitimer(signal.ITIMER_VIRTUAL, PROCESSOR_SECONDS)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


@pytest.mark.usefixtures("_bounded")
@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize(
    "target",
    [one for one in site.TARGETS if one.name.startswith(("answers", "directives"))],
    ids=lambda one: one.name,
)
def test_a_long_answer_is_read_in_one_go(target: Target, piece: bytes) -> None:
    target.run(piece * (LENGTH // len(piece)))
