"""The control plane's exceptions."""

from __future__ import annotations

from collections.abc import Sequence

from job_protocol.object_keys import Problem


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


class Refused(ControlPlaneError):
    """A request that the API does not grant; the message is for the user, as it stands.

    Attributes:
        status: the HTTP status code, 4xx.
        remedy: what to do, a sentence.
        problems: every reason, where there can be more than one.
    """

    def __init__(
        self, status: int, message: str, remedy: str, problems: tuple[Problem, ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.remedy = remedy
        self.problems = problems


def refused_fields(problems: Sequence[Problem]) -> Refused:
    """The refusal of a request's document; the message names the first field that is wrong.

    Args:
        problems: what is wrong with which field, at least one.
    """
    first = problems[0]
    named = not first.key or repr(first.key) in first.problem
    message = first.problem if named else f"{first.key}: {first.problem}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Refused(400, f"{message}{more}", first.remedy, tuple(problems))


class LimitReached(Refused):
    """A run would exceed a limit of its site; nothing of it was written."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(429, problems[0].problem, problems[0].remedy, problems)


class UnknownBucket(ControlPlaneError):
    """An event came from a bucket that belongs to no site of this deployment."""
