"""What an examination found: a word, a sentence, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """Works now, and may not tomorrow; or cannot be told from here."""
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: what was examined, a word or two; docs/operations.md explains each.
        level: how bad it is.
        message: what was found, a sentence.
        remedy: what to do; empty where all is well.
    """

    check: str
    level: Level
    message: str
    remedy: str = ""

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.level.value:4}  {self.check}: {self.message}"
        if self.remedy:
            yield f"      to do: {self.remedy}"


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, message)


def warn(check: str, message: str, remedy: str) -> Finding:
    """It works now, and may not tomorrow."""
    return Finding(check, Level.WARN, message, remedy)


def fail(check: str, message: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(check, Level.FAIL, message, remedy)


Check = Callable[[], Iterable[Finding]]


def examined(checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """The findings of all checks; one that breaks is a finding and keeps none from its turn.

    Args:
        checks: each with its name.
    """
    for name, check in checks:
        try:
            yield from check()
        except Exception as error:
            yield fail(
                name,
                f"the check itself broke: {type(error).__name__}: {error}",
                "report this as a bug of jobferry",
            )
