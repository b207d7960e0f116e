"""What became of a conditional write to an allocation."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from job_protocol.states import ClientStatus, Desired


class Written(Enum):
    """What became of a conditional write."""

    DONE = auto()
    STOP_DESIRED = auto()
    """The allocation is ours, but shall not run."""
    ENDED = auto()
    """The allocation has a terminal status already."""
    FENCED = auto()
    """The allocation carries another token, or is gone."""
    REPEATED = auto()
    """The table holds this observation, or a newer one, already."""


def why_not(old: Mapping[str, Any], token: str, *, must_run: bool) -> Written:
    """Why the condition of a write failed, from the item as it stands."""
    if old.get("token") != token:
        return Written.FENCED
    if ClientStatus(old["client_status"]).terminal:
        return Written.ENDED
    if must_run and old.get("desired") == Desired.STOP:
        return Written.STOP_DESIRED
    return Written.REPEATED
