"""The puller's own lines in a table that others write to as well: a crontab, a scrontab.

They stand between two marks that name the settings file, so that several sites share one table,
and so that what is removed is what was added. Every other line stays byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence

from puller.errors import PullerError

_BEGIN = "# >>> jobferry-puller {key} (`jobferry-puller uninstall` removes these lines)"
_END = "# <<< jobferry-puller {key}"


class DamagedLines(PullerError):
    """The marks around the puller's lines are not a pair any more."""


def with_block(table: bytes, key: str, lines: Sequence[str]) -> bytes:
    """The table with these lines as the block of `key`, in the place of an earlier one.

    Raises:
        DamagedLines: see `without_block`.
    """
    block = "\n".join([_BEGIN.format(key=key), *lines, _END.format(key=key), ""]).encode(
        errors="surrogateescape"
    )
    found = _find(table, key)
    if found is not None:
        return table[: found[0]] + block + table[found[1] :]
    if table and not table.endswith(b"\n"):
        table += b"\n"
    return table + block


def without_block(table: bytes, key: str) -> bytes:
    """The table without the block of `key`.

    Raises:
        DamagedLines: somebody has removed one of the block's two marks.
    """
    found = _find(table, key)
    return table if found is None else table[: found[0]] + table[found[1] :]


def block_of(table: bytes, key: str) -> list[str] | None:
    """The lines of the block of `key`, without its marks; None if there is none.

    Raises:
        DamagedLines: see `without_block`.
    """
    found = _find(table, key)
    if found is None:
        return None
    block = table[found[0] : found[1]].decode(errors="surrogateescape")
    return block.removesuffix("\n").split("\n")[1:-1]


def _find(table: bytes, key: str) -> tuple[int, int] | None:
    """Where the block of `key` begins and ends, in bytes."""
    begin = _positions(table, _BEGIN.format(key=key))
    end = _positions(table, _END.format(key=key))
    if not begin and not end:
        return None
    if len(begin) != 1 or len(end) != 1 or begin[0][0] >= end[0][0]:
        raise DamagedLines(
            f"the lines of {key} are damaged: they stand between {_BEGIN.format(key=key)!r} and "
            f"{_END.format(key=key)!r}. Remove what is left of them by hand and install again"
        )
    return begin[0][0], end[0][1]


def _positions(table: bytes, mark: str) -> list[tuple[int, int]]:
    wanted = mark.encode(errors="surrogateescape")
    found = []
    position = 0
    for line in table.split(b"\n"):  # only a line feed ends a line of a crontab
        if line == wanted:
            found.append((position, min(position + len(line) + 1, len(table))))
        position += len(line) + 1
    return found
