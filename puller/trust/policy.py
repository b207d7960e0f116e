"""The site's policy: a file on the site, which the cloud cannot change; read at each submission.

`puller/trust/policy.example.toml` documents every key. What cannot be understood is no policy:
then nothing is submitted.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from job_protocol.settings_document import mebibytes_of, seconds_of
from puller.errors import NotNow
from puller.trust.bounds import Bounds
from puller.trust.quotas import QuietHours, Quotas
from puller.trust.session_keys import SessionKeyBounds

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
        drivers: the drivers that a job's tasks may have.
        bounds: the largest that one job may ask for.
        quotas: bounds for all jobs together.
        quiet_hours: times of day, by the site's clock, in which nothing is submitted.
        environment: names, or patterns, of what jobs get of the login environment.
        artifact_hosts: hosts, or patterns, that jobs may fetch artifacts from.
        session_keys: what is allowed of session keys; None forbids them.
        audit_objects: whether each object that leaves is an entry of the audit log.
    """

    signatures_required: bool = False
    allowed_signers: Path | None = None
    revoked_keys: Path | None = None
    signers: frozenset[str] | None = None
    scripts: frozenset[str] | None = None
    drivers: tuple[str, ...] | None = None
    bounds: Bounds = field(default_factory=Bounds)
    quotas: Quotas = field(default_factory=Quotas)
    quiet_hours: tuple[QuietHours, ...] = ()
    environment: tuple[str, ...] | None = None
    artifact_hosts: tuple[str, ...] | None = None
    session_keys: SessionKeyBounds | None = field(default_factory=SessionKeyBounds)
    audit_objects: bool = False


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
    found = _read(tomllib.loads(text), _READERS)
    bounds = found.pop("limits", {}) | {name: found.pop(name) for name in _OF_BOUNDS & found.keys()}
    policy = Policy(**found, bounds=Bounds(**bounds))
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


def _choice(value: object) -> tuple[str, ...]:
    words = _words(value)
    if not words:
        raise ValueError("name at least one, or leave the line out")
    return words


def _allows_any(value: object) -> bool:
    if value not in ("bounded", "any"):
        raise ValueError('write "bounded" or "any"')
    return value == "any"


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("write a whole number, not below 0")
    return value


def _seconds(value: object) -> int:
    return _whole(seconds_of(value))


def _mebibytes(value: object) -> int:
    return _whole(mebibytes_of(value))


def _bytes(value: object) -> int:
    """Bytes as a number, or a size such as `50G`."""
    return _whole(value) if not isinstance(value, str) else _mebibytes(value) * 1024**2


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write true or false")
    return value


def _hours(value: object) -> tuple[QuietHours, ...]:
    return tuple(QuietHours.parse(word) for word in _words(value))


def _table(readers: Mapping[str, tuple[str, Reader]], name: str) -> Reader:
    def read(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError("write it as a table")
        return _read(value, readers, f"{name}.")

    return read


_LIMITS: dict[str, tuple[str, Reader]] = {
    "nodes": ("nodes", _whole),
    "cpus": ("cpus", _whole),
    "memory": ("memory_mb", _mebibytes),
    "gpus": ("gpus", _whole),
    "time_limit": ("time_limit", _seconds),
    "count": ("count", _whole),
}
_QUOTAS: dict[str, tuple[str, Reader]] = {
    "active_jobs": ("active_jobs", _whole),
    "jobs_a_day": ("jobs_a_day", _whole),
    "disk": ("disk", _bytes),
    "bytes_out_a_day": ("bytes_out_a_day", _bytes),
}
_SESSION_KEYS: dict[str, tuple[str, Reader]] = {
    "max_hours": ("max_hours", _whole),
    "max_jobs": ("max_jobs", _whole),
    "max_nodes": ("max_nodes", _whole),
    "file": ("file", _path),
}


def _session_keys(value: object) -> SessionKeyBounds | None:
    if value is False:
        return None
    if not isinstance(value, dict):
        raise ValueError("write false, or a table")
    return SessionKeyBounds(**_read(value, _SESSION_KEYS, "session_keys."))


_OF_BOUNDS = frozenset({"queues", "accounts", "any_directives"})
_READERS: dict[str, tuple[str, Reader]] = {
    "signatures": ("signatures_required", _is_required),
    "allowed_signers": ("allowed_signers", _path),
    "revoked_keys": ("revoked_keys", _path),
    "signers": ("signers", _word_set),
    "scripts": ("scripts", _scripts),
    "drivers": ("drivers", _choice),
    "limits": ("limits", _table(_LIMITS, "limits")),
    "queues": ("queues", _choice),
    "accounts": ("accounts", _choice),
    "directives": ("any_directives", _allows_any),
    "quotas": ("quotas", lambda value: Quotas(**_table(_QUOTAS, "quotas")(value))),
    "quiet_hours": ("quiet_hours", _hours),
    "environment": ("environment", _words),
    "artifact_hosts": ("artifact_hosts", _words),
    "session_keys": ("session_keys", _session_keys),
    "audit_objects": ("audit_objects", _yes_or_no),
}
