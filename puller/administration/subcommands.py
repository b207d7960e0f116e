"""The subcommands beside `pass`. Each module makes its own parser and imports late what is slow."""

from __future__ import annotations

import argparse

from puller.administration import adopt, audit, clean, doctor, install, status, trust, uninstall


def add_subcommands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add every subcommand; each sets `run`, which takes an `Invocation`."""
    for module in (install, uninstall, doctor, status, clean, adopt, trust, audit):
        module.add_parser(commands)
