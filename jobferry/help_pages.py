"""The help of all commands as one text, which is kept in the documentation.

`python -m jobferry.help_pages > docs/help/jobferry.txt` writes it.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from jobferry.command import cli

_WIDTH = 100


def help_pages() -> str:
    """What `jobferry --help` and `jobferry COMMAND --help` print."""
    root = click.Context(
        cli,
        info_name="jobferry",
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
        help_option_names=["-h", "--help"],
    )
    pages = list(_pages(root, "jobferry"))
    return "\n".join(f"$ {line}\n{page}\n" for line, page in pages)


def _pages(context: click.Context, line: str) -> Iterator[tuple[str, str]]:
    """The command line and the help of a command, then of all commands below it."""
    yield f"{line} --help", context.get_help()
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            below = click.Context(context.command.commands[name], parent=context, info_name=name)
            yield from _pages(below, f"{line} {name}")


if __name__ == "__main__":
    click.echo(help_pages(), nl=False)
