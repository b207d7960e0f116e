"""Version constraints as Nomad's `version` and `semver` operands have them: `>= 1.2, < 2.0`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest

_VERSION = re.compile(r"v?([0-9]+(?:\.[0-9]+)*)(?:-?([0-9A-Za-z][0-9A-Za-z.~-]*))?(?:\+.*)?")
_CONSTRAINT = re.compile(r"\s*(~>|>=|<=|!=|=|>|<|)\s*(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Version:
    """A version; `prerelease` is empty for a release.

    Attributes:
        numbers: the parts between dots.
        prerelease: what stands behind the hyphen.
    """

    numbers: tuple[int, ...]
    prerelease: str

    def order(self) -> tuple[tuple[int, ...], bool, list[tuple[bool, int, str]]]:
        """A key for sorting: a prerelease comes before its release (semver.org, item 11)."""
        numbers = self.numbers
        while numbers and numbers[-1] == 0:
            numbers = numbers[:-1]
        parts = [
            (not part.isdecimal(), int(part) if part.isdecimal() else 0, part)
            for part in self.prerelease.split(".")
        ]
        return numbers, not self.prerelease, parts


def parse_version(text: str) -> Version | None:
    """A version such as `1.2.3-rc1`, or None."""
    found = _VERSION.fullmatch(text.strip())
    if found is None or len(text) > 200:
        return None
    return Version(tuple(int(n) for n in found[1].split(".")), found[2] or "")


def version_matches(text: str, constraints: str, *, semver: bool = False) -> bool | None:
    """Whether a version fulfills all constraints; None if either cannot be read.

    Args:
        text: the version.
        constraints: separated by commas; `~> 1.2` takes 1.2 up to, not including, 2.
        semver: whether prereleases are in the order like others. Without it (Nomad's `version`)
            one is in no range but of its own release's prereleases.
    """
    version = parse_version(text)
    verdicts: list[bool] = []
    for part in constraints.split(","):
        found = _CONSTRAINT.fullmatch(part)
        wanted = parse_version(found[2]) if found else None
        if version is None or found is None or wanted is None:
            return None
        verdicts.append(_one(version, found[1], wanted, semver=semver))
    return all(verdicts)


def _in_range(version: Version, operator: str, wanted: Version) -> bool:
    if version.prerelease:
        same = version.order()[0] == wanted.order()[0]
        return bool(wanted.prerelease) and same
    return not (wanted.prerelease and operator == "~>")


def _one(version: Version, operator: str, wanted: Version, *, semver: bool) -> bool:
    left, right = version.order(), wanted.order()
    match operator:
        case "" | "=":
            return left == right
        case "!=":
            return left != right
        case _ if not semver and not _in_range(version, operator, wanted):
            return False
        case ">":
            return left > right
        case ">=":
            return left >= right
        case "<":
            return left < right
        case "<=":
            return left <= right
    kept = wanted.numbers[: max(len(wanted.numbers) - 1, 1)]
    pairs = list(zip_longest(version.numbers[: len(kept)], kept, fillvalue=0))
    return left >= right and all(a == b for a, b in pairs)
