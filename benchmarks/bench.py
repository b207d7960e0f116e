"""What every question is given: the rig, a directory, and whether to be quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.rig import Rig

SITES = (
    "cost",
    "h0",
    "h1k",
    "h10k",
    "h100k",
    "wait",
    "burst8",
    "burst64",
    "data",
    "api",
    "profile",
)
"""The sites of the stack; a question has its own, so that none finds another's history."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One run.

    Attributes:
        rig: the emulated cloud.
        directory: for what a question writes.
        quick: whether to ask in the short form, all questions together within 3 minutes.
    """

    rig: Rig
    directory: Path
    quick: bool
