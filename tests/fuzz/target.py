"""What a target of the fuzzing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One parser of outside input.

    Attributes:
        name: the parser, for people.
        run: gives an input to it. It returns if all is well: the input was taken, and what came out
            is as it must be, or the parser refused it by its own error.
        samples: valid inputs, to begin with.
        words: words of its language.
        is_json: whether the samples are JSON documents, whose values can be exchanged too.
    """

    name: str
    run: Callable[[bytes], object]
    samples: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()
    is_json: bool = False


def text_of(data: bytes) -> str:
    """Text as a program that decodes leniently gets it."""
    return data.decode("utf-8", errors="replace")
