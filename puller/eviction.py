"""Which files of the cache of shared inputs go: a pure rule over what is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kept:
    """One file of the cache.

    Attributes:
        name: its name there.
        size: bytes.
        used: when a job last got it, in seconds since the epoch.
        linked: whether a job directory has it too. Then its removal would free nothing, and a job
            may be reading it.
        whole: whether it is there at all; a removal that died leaves a rest that is not.
    """

    name: str
    size: int
    used: float
    linked: bool = False
    whole: bool = True


def to_evict(
    kept: Iterable[Kept], *, now: float, keep_seconds: float, most_bytes: int, incoming: int = 0
) -> list[Kept]:
    """What goes, the longest unused first. What a job directory has never goes.

    Args:
        kept: what is there.
        now: seconds since the epoch.
        keep_seconds: what has been unused for longer goes.
        most_bytes: bytes of all files together, as far as others than those of job directories
            make them up.
        incoming: bytes that are about to be added.
    """
    everything = sorted(kept, key=lambda file: (file.used, file.name))
    total = sum(file.size for file in everything) + incoming
    gone: list[Kept] = []
    for file in everything:
        if file.linked:
            continue
        if not file.whole or now - file.used > keep_seconds or total > most_bytes:
            gone.append(file)
            total -= file.size
    return gone
