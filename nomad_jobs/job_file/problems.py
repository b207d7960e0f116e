"""What is wrong with a job file, and where: the line, the block, a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nomad_jobs.errors import NomadJobError

Path = tuple[str | int, ...]
"""A place in the JSON form: `("TaskGroups", 0, "Tasks", 1, "KillTimeout")`."""


MAX_FINDINGS = 100
"""Problems that are listed; who has more mends these first."""


class HclError(NomadJobError):
    """A job file cannot be read or evaluated any further at one place.

    Attributes:
        line: 1-based line in the file.
    """

    def __init__(self, message: str, *, line: int) -> None:
        super().__init__(message)
        self.line = line


class TooMuchWork(NomadJobError):
    """Reading stops here: it would take more work than any real job file, or all is wrong.

    Attributes:
        line: 1-based line in the file.
    """

    def __init__(self, message: str, *, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem or one warning.

    Attributes:
        message: what is wrong and what to do, a sentence.
        block: the block that it is in, as `job "a" > group "b"`; empty outside every block.
        file: the file's name as the user gave it; empty for JSON that came by the API.
        line: 1-based line, or 0 where there is none.
        path: the place in the JSON form.
    """

    message: str
    block: str = ""
    file: str = ""
    line: int = 0
    path: Path = ()

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.block, self.message) if part)


@dataclass(frozen=True, slots=True)
class Places:
    """Where in a file the parts of the JSON form were stated.

    Attributes:
        file: the file's name.
        lines: the line of each path; what has none is looked up by the path above it.
    """

    file: str
    lines: Mapping[Path, int]

    def line_of(self, path: Path) -> int:
        """The line of the nearest part that has one, or 0."""
        for length in range(len(path), -1, -1):
            if (line := self.lines.get(path[:length])) is not None:
                return line
        return 0
