"""How this puller is started by somebody else than its user: interpreter, file, and its digest."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

from puller import __version__
from puller.durable_file import write_durably
from puller.errors import SettingsError

_PIN = "installed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The program that runs.

    Attributes:
        words: the command line that starts it, each word absolute where it is a path.
        file: the single file; None where the puller is installed as a package.
        sha256: the file's SHA-256, in hex; None where there is no single file.
    """

    words: tuple[str, ...]
    file: Path | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What was installed here, by whom it can be compared with what runs.

    Attributes:
        sha256: the single file's SHA-256; None where the puller is installed as a package.
        file: the single file.
        version: its version.
    """

    sha256: str | None
    file: str | None
    version: str


def this_program(
    script: str = sys.argv[0], interpreter: str = sys.executable, package_file: str = __file__
) -> Program:
    """The program that runs now.

    Args:
        script: how it was started, `sys.argv[0]`.
        interpreter: the Python that runs it.
        package_file: this module's file.
    """
    path = Path(script).absolute()
    if path.is_file() and zipfile.is_zipfile(path):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return Program(words=(interpreter, str(path)), file=path, sha256=digest)
    if path.is_file() and path.name != "__main__.py":
        return Program(words=(interpreter, str(path)))
    if (Path(package_file).parents[2] / "puller").is_dir():
        return Program(words=(interpreter, "-m", "puller"))
    raise SettingsError(f"cannot tell how {script} is started; start it by its path")


def pin_of(program: Program) -> Pin:
    """What is to be remembered of a program."""
    return Pin(
        sha256=program.sha256,
        file=str(program.file) if program.file else None,
        version=__version__,
    )


def write_pin(state: Path, pin: Pin) -> None:
    """Remember what was installed.

    Raises:
        OSError: it cannot be written.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(state / _PIN, json.dumps(asdict(pin)).encode() + b"\n")


def read_pin(state: Path) -> Pin | None:
    """What was installed; None if nothing was, or the note cannot be read."""
    try:
        return Pin(**json.loads((state / _PIN).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def remove_pin(state: Path) -> None:
    """Forget what was installed."""
    (state / _PIN).unlink(missing_ok=True)
