"""`python -m tools.known_weaknesses`: ask a vulnerability service about the locked packages.

`pip-audit`, beside the Python that runs this, asks. It says that nothing is known, and that all is
well, even where its service knows none of the packages or a proxy answers in its place; here, that
is an error of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOCKS = Path(__file__).parents[1] / "requirements"
_SECONDS = 10
"""How long one answer of the service may take."""


class NoAnswer(Exception):
    """The service could not be asked."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What the service said of the packages of one or more lock files.

    Attributes:
        weak: a line for each known weakness.
        known: how many packages the service knows.
        unknown: the packages that it does not know.
    """

    weak: tuple[str, ...]
    known: int
    unknown: tuple[str, ...]


def read_answer(text: str) -> Audit:
    """Read what `pip-audit --format json` wrote.

    Raises:
        NoAnswer: it is no such document.
    """
    try:
        packages = json.loads(text)["dependencies"]
        skipped = tuple(package["name"] for package in packages if "skip_reason" in package)
        asked = [package for package in packages if "skip_reason" not in package]
        weak = tuple(_line(package, found) for package in asked for found in package["vulns"])
    except (ValueError, KeyError, TypeError) as error:
        raise NoAnswer(f"pip-audit wrote something else than its JSON: {text[:200]!r}") from error
    return Audit(weak, len(asked), skipped)


def _line(package: dict[str, Any], found: dict[str, Any]) -> str:
    mended = ", ".join(found["fix_versions"]) or "no version yet"
    return f"{package['name']} {package['version']}: {found['id']}; mended in {mended}"


def audit(locks: Iterable[Path], ask: Callable[[Path], str]) -> Audit:
    """Ask about every package of the lock files.

    Args:
        locks: lock files with hashes.
        ask: gives a lock file's answer, the JSON of `pip-audit`.

    Raises:
        NoAnswer: the service could not be asked, or knows not one package of a file.
    """
    weak: dict[str, None] = {}
    known, unknown = 0, set()
    for lock in locks:
        found = read_answer(ask(lock))
        if not found.known:
            raise NoAnswer(
                f"the service knows none of the {len(found.unknown)} packages of {lock.name}, so "
                "it was not the service that answered"
            )
        weak.update(dict.fromkeys(found.weak))
        known += found.known
        unknown |= set(found.unknown)
    return Audit(tuple(weak), known, tuple(sorted(unknown)))


def ask_pip_audit(lock: Path) -> str:
    """Run `pip-audit` on a lock file; its JSON.

    Raises:
        NoAnswer: it could not ask, or there is no `pip-audit`.
    """
    program = Path(sys.executable).parent / "pip-audit"
    options = ["--format", "json", "--progress-spinner", "off", "--timeout", str(_SECONDS)]
    source = ["--disable-pip", "--require-hashes", "--requirement", str(lock)]
    try:
        done = subprocess.run(
            [str(program), *options, *source], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise NoAnswer(f"{program} cannot be run ({error}): make audit installs it") from error
    if not done.stdout.strip():
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise NoAnswer(f"pip-audit could not ask about {lock.name}: {said[-1]}")
    return done.stdout


def main(arguments: list[str], ask: Callable[[Path], str] = ask_pip_audit) -> int:
    """Ask and tell; 0 nothing is known, 1 something is, 2 the service could not be asked."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.known_weaknesses",
        description="Asks a vulnerability service about every locked package.",
    )
    parser.add_argument(
        "--where-possible",
        action="store_true",
        help="no error if the service cannot be asked; what is said is that nobody was asked",
    )
    given = parser.parse_args(arguments)
    try:
        found = audit(sorted(LOCKS.glob("*.txt")), ask)
    except NoAnswer as error:
        sys.stderr.write(f"The locked packages were NOT audited: {error}.\n")
        return 0 if given.where_possible else 2
    if found.unknown:
        sys.stderr.write(f"The service does not know: {', '.join(found.unknown)}\n")
    for line in found.weak:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{len(found.weak)} known weaknesses in {found.known} locked packages\n")
    return 1 if found.weak else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
