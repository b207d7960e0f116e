"""What a job of the executor runs on the site: the calls of one array element, and their results.

It is uploaded as it stands, beside the calls: it uses nothing but the standard library, and its
syntax is Python 3.6's, so that a site's old interpreter can at least say that it is the wrong one.
"""

import json
import os
import pickle
import struct
import sys
import traceback
import zipfile
from pathlib import Path
from typing import IO, Any, Callable, Iterable

JOB = "job.json"
CALLS = "calls.zip"
CLOUDPICKLE = "cloudpickle.zip"
RESULTS = "results"

HEADER = struct.Struct(">cQQQ")
"""Begins a result: its kind, the number of the call, bytes of UTF-8 text, bytes of pickle."""

VALUE = b"V"
"""The pickle is what the call returned."""
ERROR = b"E"
"""The pickle is what the call raised, the text its traceback."""
UNPICKLED = b"T"
"""The call raised something that cannot be pickled; the text is its traceback."""
MISMATCH = b"P"
"""The call did not run: the text says which Python it needs."""


def element_name(index: int) -> str:
    """The member of the calls, and the file of the results, of an array element."""
    return f"{index:06d}"


class ResultFile:
    """The results of one element, one after the other.

    The header of a result is written after the rest of it: a result that was cut off has none.
    """

    def __init__(self, file: IO[bytes], dump: Callable[[Any, IO[bytes]], None]) -> None:
        """Write to `file`, objects by `dump`."""
        self._file = file
        self._dump = dump

    def value(self, number: int, value: Any) -> None:
        """Record what a call returned; what cannot be pickled is an error of the call."""
        start = self._file.tell()
        try:
            self._write(VALUE, number, "", value)
        except Exception as error:
            self._file.seek(start)
            self._file.truncate()
            self.error(number, error)

    def error(self, number: int, error: BaseException) -> None:
        """Record what a call raised."""
        start = self._file.tell()
        below = error.__traceback__.tb_next if error.__traceback__ else None
        lines = traceback.format_exception(type(error), error, below or error.__traceback__)
        text = "".join(lines)
        try:
            self._write(ERROR, number, text, error)
        except Exception:
            self._file.seek(start)
            self._file.truncate()
            self.text(UNPICKLED, number, text)

    def text(self, kind: bytes, number: int, text: str) -> None:
        """Record a result that has no pickle."""
        self._write(kind, number, text)

    def _write(self, kind: bytes, number: int, text: str, *pickled: Any) -> None:
        start = self._file.tell()
        said = text.encode("utf-8", "backslashreplace")
        self._file.write(b"\0" * HEADER.size + said)
        for each in pickled:
            self._dump(each, self._file)
        end = self._file.tell()
        self._file.flush()
        self._file.seek(start)
        pickle_bytes = end - start - HEADER.size - len(said)
        self._file.write(HEADER.pack(kind, number, len(said), pickle_bytes))
        self._file.seek(end)
        self._file.flush()


def mismatch(wanted: str) -> str:
    """Why this Python cannot run what was pickled by Python `wanted`; empty if it can."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if here == wanted:
        return ""
    return (
        f"the calls were pickled by Python {wanted}, but the site ran them with Python {here} "
        f"({sys.executable}), and functions do not go from one version to another; choose the "
        f'site\'s Python {wanted}, as in Executor(python="python{wanted}") or '
        f'Executor(setup="module load python/{wanted}"), or use Python {here} on your side'
    )


def run_calls(folder: Path, index: int) -> int:
    """Run the calls of an element and write their results.

    Args:
        folder: where the calls lie, and the results go.
        index: number of the array element, from 0 on.

    Returns:
        The exit code: 1 if this is the wrong Python. A call that raises is no failure of the job.
    """
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    first = index * job["chunk"]
    numbers = range(first, min(first + job["chunk"], job["calls"]))
    why_not = mismatch(job["python"])
    (folder / RESULTS).mkdir(exist_ok=True)
    with (folder / RESULTS / element_name(index)).open("wb") as written:
        if why_not:
            sys.stderr.write(f"jobferry: {why_not}\n")
            for number in numbers:
                ResultFile(written, pickle.dump).text(MISMATCH, number, why_not)
            return 1
        sys.path.insert(0, str(folder / CLOUDPICKLE))
        import cloudpickle

        with zipfile.ZipFile(str(folder / CALLS)) as calls:
            pickled = pickle.loads(calls.read(element_name(index)))
            results = ResultFile(written, cloudpickle.dump)
            _run(zip(numbers, pickled), calls.read, results)
    return 0


def _run(
    pickled: Iterable[Any], function_body: Callable[[str], bytes], results: ResultFile
) -> None:
    functions = {}
    for number, call in pickled:
        try:
            name, arguments, keywords = pickle.loads(call)
            if name not in functions:
                functions[name] = pickle.loads(function_body(name))
            value = functions[name](*arguments, **keywords)
        except BaseException as error:  # SystemExit too, as in a ProcessPoolExecutor
            results.error(number, error)
        else:
            results.value(number, value)


if __name__ == "__main__":
    element = int(os.environ.get("JOBFERRY_ARRAY_INDEX") or 0)
    sys.exit(run_calls(Path(__file__).resolve().parent, element))
