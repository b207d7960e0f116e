"""What became of a pass, for the log and the exit code."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from puller.errors import CloudRefused, CloudUnreachable

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Outcome:
    """What became of a pass.

    Attributes:
        unreachable: why the cloud could not be reached, if so.
        refused: why the cloud refused, if so.
        more: whether it left what it would have claimed, and the next pass should follow at once.
        under_way: whether steps that take long go on after it.
        told: what earlier passes of this process have logged and what has not ended since.
    """

    unreachable: str | None = None
    refused: str | None = None
    more: bool = False
    under_way: bool = False
    told: set[str] = field(default_factory=set)

    def note(self, error: CloudUnreachable | CloudRefused, about: str = "pass") -> None:
        """Remember what the cloud did, and log it: an outage once a pass, each refusal.

        What lasts is logged once, and not by every pass of a puller that lingers.
        """
        if isinstance(error, CloudRefused):
            self.refuse(str(error), f"{about}: {error}")
        elif self.unreachable is None:
            self.unreachable = str(error)
            self._tell(logging.WARNING, f"{about}: {error}")

    def refuse(self, why: str, text: str | None = None) -> None:
        """Remember why nothing is taken, and log it: `text`, else the same words."""
        self.refused = self.refused or why
        self._tell(logging.ERROR, text or why)

    def _tell(self, level: int, text: str) -> None:
        if text not in self.told:
            _LOG.log(level, "%s", text)
            self.told.add(text)
