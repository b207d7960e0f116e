"""The help of all commands as one text, which is kept in the documentation.

`python -m jobferry.help_pages > docs/help/jobferry.txt` writes it.
"""

from __future__ import annotations

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
    pages = [("jobferry --help", root.get_help())]
    for name in cli.list_commands(root):
        context = click.Context(cli.commands[name], parent=root, info_name=name)
        pages.append((f"jobferry {name} --help", context.get_help()))
    return "\n".join(f"$ {line}\n{page}\n" for line, page in pages)


if __name__ == "__main__":
    click.echo(help_pages(), nl=False)
