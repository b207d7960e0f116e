"""What a subcommand is given: its arguments, the process's environment, and where it speaks."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from puller.settings import DEFAULT_FILE, Settings, load_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One call of a subcommand.

    Attributes:
        given: the parsed command line.
        flags: settings from the command line; None means not given.
        environment: the process's environment.
    """

    given: argparse.Namespace
    flags: Mapping[str, Any]
    environment: Mapping[str, str]

    @property
    def settings_file(self) -> Path:
        """The settings file, absolute, whether or not it exists."""
        named: Path | None = self.given.settings
        return (named if named is not None else Path(DEFAULT_FILE)).expanduser().absolute()

    def settings(self) -> Settings:
        """The puller's settings, as a pass gets them.

        Raises:
            SettingsError: see `load_settings`.
        """
        return load_settings(self.given.settings, self.environment, self.flags)

    def tell(self, text: str) -> None:
        """Write a line to stdout."""
        sys.stdout.write(f"{text}\n")

    def tell_json(self, document: object) -> None:
        """Write a document to stdout."""
        self.tell(json.dumps(document, ensure_ascii=False, indent=2))
