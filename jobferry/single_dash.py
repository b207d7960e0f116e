"""Nomad's long options with one dash (`-detach`, `-meta key=value`), accepted by one rule.

Source: Nomad's commands take Go's flags, where one dash and two mean the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import click

_LONG = re.compile(r"-([A-Za-z][A-Za-z0-9-]+)(=.*)?", re.DOTALL)


def with_two_dashes(arguments: Sequence[str], known: Iterable[str]) -> list[str]:
    """The arguments, with a second dash before each known long option that has one.

    What follows `--` stays as it is, and so does what is no long option: `-fo` may be two short
    ones, and a value that begins with a dash is nobody's option.

    Args:
        arguments: the command line.
        known: the long options of all commands, without dashes.
    """
    names = frozenset(known)
    found: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--":
            return [*found, *arguments[index:]]
        long = _LONG.fullmatch(argument)
        found.append(f"-{argument}" if long and long[1] in names else argument)
    return found


def long_options(command: click.Command) -> set[str]:
    """The long options of a command and all commands below it, without dashes."""
    found = {
        name.removeprefix("--")
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("--")
    }
    if isinstance(command, click.Group):
        for below in command.commands.values():
            found |= long_options(below)
    return found | {"help"}
