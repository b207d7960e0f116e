"""A sweep: a table of values, of which each element of an array gets one row in its environment.

The table is CSV as RFC 4180 has it, in UTF-8. Its first row names the variables. Values are data
all the way: nothing evaluates them, and they may hold commas, quotes and line breaks.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

from job_protocol.elements import MAX_ARRAY

MAX_SWEEP_BYTES = 4 * 1024 * 1024
MAX_COLUMNS = 100
MAX_ROW_BYTES = 32 * 1024
"""Linux takes 128 KiB for one variable and a few MiB for all (execve(2))."""

ROWS_IN_A_FILE = 1000
"""Rows that lie together on the site: an element reads no more than these to find its own."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED_BEGINNINGS = (
    *("BASH", "LD_", "JOBFERRY_", "NOMAD_", "AWS_"),
    *("SLURM_", "SBATCH_", "PBS_", "SGE_", "LSB_", "PJM_"),
)
_RESERVED = frozenset(
    {
        *("_", "UID", "EUID", "PPID", "GROUPS", "SHELLOPTS", "SHLVL", "SHELL", "ENV", "IFS"),
        *("PATH", "PWD", "OLDPWD", "HOME", "USER", "LOGNAME", "RANDOM", "SRANDOM", "SECONDS"),
        *("LINENO", "EPOCHSECONDS", "EPOCHREALTIME", "HISTCMD", "FUNCNAME", "DIRSTACK"),
        *("PIPESTATUS", "OPTIND", "OPTARG", "OPTERR", "HOSTNAME", "HOSTTYPE", "MACHTYPE"),
        *("OSTYPE", "COMP_WORDBREAKS", "PS4"),
    }
)
"""What a shell or a scheduler sets itself, so that the value would not arrive or would harm."""


class SweepError(ValueError):
    """A table that cannot be a sweep; the message says why."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A table of values.

    Attributes:
        names: the variables, one for each column.
        rows: the values, one row for each element from index 0.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def environment(self, first: int, count: int) -> bytes:
        """Some rows as the site keeps them: `NAME=VALUE`, each ended by a NUL, as in `env -0`.

        Args:
            first: the index of the first row.
            count: how many rows.
        """
        return b"".join(
            f"{name}={value}\0".encode()
            for row in self.rows[first : first + count]
            for name, value in zip(self.names, row, strict=True)
        )


def read_sweep(body: bytes, *, metadata: bool = False) -> Sweep:
    """Read a table.

    Empty lines are passed over. A byte order mark, as spreadsheets write it, does not count.

    Args:
        body: the table.
        metadata: whether its columns are keys of Nomad's metadata, not variables as they stand.

    Raises:
        SweepError: it cannot be a sweep.
    """
    if len(body) > MAX_SWEEP_BYTES:
        raise SweepError(f"it has {len(body)} bytes; at most {MAX_SWEEP_BYTES} are taken")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SweepError(f"it is not UTF-8 (byte {error.start})") from error
    if "\0" in text:
        raise SweepError("it contains a NUL, which no variable can hold")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[str, ...]] = []
    try:
        for row in reader:
            if row:
                rows.append(tuple(row))
                _check_row(reader.line_num, rows, _check_keys if metadata else _check_names)
    except csv.Error as error:
        raise SweepError(f"line {reader.line_num}: {error}") from error
    if len(rows) < 2:
        raise SweepError("it has no row of values; the first row names the variables")
    if len(rows) - 1 > MAX_ARRAY:
        raise SweepError(f"it has {len(rows) - 1} rows of values; at most {MAX_ARRAY} are taken")
    return Sweep(rows[0], tuple(rows[1:]))


def _check_row(
    line: int, rows: list[tuple[str, ...]], check_names: Callable[[tuple[str, ...]], None]
) -> None:
    names, row = rows[0], rows[-1]
    if len(rows) == 1:
        check_names(names)
    elif len(row) != len(names):
        raise SweepError(f"line {line}: it has {len(row)} values for {len(names)} names")
    elif sum(len(value.encode()) for value in row) > MAX_ROW_BYTES:
        raise SweepError(f"line {line}: its values have more than {MAX_ROW_BYTES} bytes")


def _check_names(names: tuple[str, ...]) -> None:
    if len(names) > MAX_COLUMNS:
        raise SweepError(f"it has {len(names)} columns; at most {MAX_COLUMNS} are taken")
    for number, name in enumerate(names):
        if not _NAME.fullmatch(name):
            raise SweepError(
                f"column {number + 1} is named {name!r}, which is no name of a variable: use "
                "letters of ASCII, digits and _, and no digit in front"
            )
        if name in _RESERVED or name.startswith(_RESERVED_BEGINNINGS):
            raise SweepError(
                f"column {number + 1} is named {name!r}, which the shell or the scheduler uses: "
                "choose another name"
            )
    _check_distinct(names)


def _check_keys(names: tuple[str, ...]) -> None:
    if len(names) > MAX_COLUMNS:
        raise SweepError(f"it has {len(names)} columns; at most {MAX_COLUMNS} are taken")
    for number, name in enumerate(names):
        if not name or "=" in name:
            raise SweepError(f"column {number + 1} is named {name!r}, which is no key of metadata")
    _check_distinct(names)


def _check_distinct(names: tuple[str, ...]) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            raise SweepError(f"two columns are named {name!r}")
