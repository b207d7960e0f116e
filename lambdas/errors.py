"""The control plane's exceptions."""

from __future__ import annotations


class ControlPlaneError(Exception):
    """Root of everything that the control plane raises on purpose."""


class Conflict(ControlPlaneError):
    """Somebody else changed an item between reading and writing it: read again, decide again."""


class JobBusy(ControlPlaneError):
    """Another publisher writes this job's status objects at the moment.

    Attributes:
        seconds: after how many seconds its lease has run out at the latest.
    """

    def __init__(self, message: str, *, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class UnknownBucket(ControlPlaneError):
    """An event came from a bucket that belongs to no site of this deployment."""
