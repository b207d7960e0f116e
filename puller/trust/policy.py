"""The site's policy: a file on the site, which the cloud cannot change; read at each submission.

`puller/trust/policy.example.toml` documents every key. What cannot be understood is no policy:
then nothing is submitted.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from puller.errors import NotNow

_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")


class PolicyBroken(NotNow):
    """The policy file is there and cannot be used: nothing is submitted until it is mended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a site allows. None means that the policy says nothing of it.

    Attributes:
        signatures_required: whether every job must be signed by a listed person.
        allowed_signers: the file of those persons (ssh-keygen(1), "ALLOWED SIGNERS").
        revoked_keys: keys that do not count any more (`ssh-keygen -r`).
        signers: the principals of `allowed_signers` that may sign jobs; None means all.
        scripts: the SHA-256 of each script that may run, in hex.
    """

    signatures_required: bool = False
    allowed_signers: Path | None = None
    revoked_keys: Path | None = None
    signers: frozenset[str] | None = None
    scripts: frozenset[str] | None = None


def load_policy(path: Path) -> Policy:
    """Read the policy file.

    Raises:
        PolicyBroken: it cannot be read or understood; the message says where.
    """
    try:
        return parse_policy(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PolicyBroken(
            f"the policy file {path} cannot be used, so nothing is submitted: {error}; "
            "the site's administrator has to mend it"
        ) from error


def parse_policy(text: str) -> Policy:
    """A policy from its text.

    Raises:
        ValueError: it is no TOML, or a key or value is wrong; the message names it.
    """
    document = tomllib.loads(text)
    policy = Policy(**_read(document, _READERS))
    if policy.signatures_required and policy.allowed_signers is None:
        raise ValueError('signatures = "required" needs allowed_signers')
    return policy


Reader = Callable[[Any], Any]


def _read(
    document: Mapping[str, Any], readers: Mapping[str, tuple[str, Reader]], within: str = ""
) -> dict[str, Any]:
    found = {}
    for name, value in document.items():
        if name not in readers:
            known = ", ".join(sorted(readers))
            raise ValueError(f"unknown key {within}{name}; known are {known}")
        field, reader = readers[name]
        try:
            found[field] = reader(value)
        except ValueError as error:
            raise ValueError(f"{within}{name} = {value!r}: {error}") from error
    return found


def _is_required(value: object) -> bool:
    if value not in ("required", "off"):
        raise ValueError('write "required" or "off"')
    return value == "required"


def _path(value: object) -> Path:
    if not isinstance(value, str) or not Path(value).is_absolute():
        raise ValueError("write an absolute path in quotes")
    return Path(value)


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) and word for word in value):
        raise ValueError("write a list of words in quotes")
    return tuple(value)


def _word_set(value: object) -> frozenset[str]:
    return frozenset(_words(value))


def _scripts(value: object) -> frozenset[str]:
    found = [_SHA256.fullmatch(word) for word in _words(value)]
    if not all(found):
        raise ValueError('write "sha256:" and 64 hex digits for each script')
    return frozenset(match[1] for match in found if match is not None)


_READERS: dict[str, tuple[str, Reader]] = {
    "signatures": ("signatures_required", _is_required),
    "allowed_signers": ("allowed_signers", _path),
    "revoked_keys": ("revoked_keys", _path),
    "signers": ("signers", _word_set),
    "scripts": ("scripts", _scripts),
}
