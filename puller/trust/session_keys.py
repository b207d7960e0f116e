"""Session keys: keys that somebody with a login on the site allows for hours, for so many jobs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from job_protocol.signed_manifest import NAMESPACE
from puller.durable_file import write_durably
from puller.errors import NotNow, PullerError

HOUR = 3600
_FILE = "trust/session-keys.json"
_TYPE = re.compile(r"(sk-)?(ssh|ecdsa)-[a-z0-9-]+(@openssh\.com)?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKeyBounds:
    """What a policy allows of session keys.

    Attributes:
        max_hours: for how long one may be allowed.
        max_jobs: for how many jobs.
        max_nodes: for jobs of how many nodes; None is any number.
        file: where the keys lie; None is the state directory.
    """

    max_hours: int = 24
    max_jobs: int = 500
    max_nodes: int | None = None
    file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKey:
    """One key. Times are seconds since the epoch.

    Attributes:
        name: what it is called in logs and messages.
        key: the public key: type and base64.
        added: when it was allowed.
        until: until when it counts.
        max_jobs: how many jobs it may sign that run.
        max_nodes: how many nodes each may ask for; None is any number.
    """

    name: str
    key: str
    added: int
    until: int
    max_jobs: int
    max_nodes: int | None = None

    @property
    def digest(self) -> str:
        """The SHA-256 of the public key, in hex."""
        return hashlib.sha256(base64.b64decode(self.key.split()[1])).hexdigest()

    @property
    def fingerprint(self) -> str:
        """The fingerprint as `ssh-keygen -l` prints it."""
        text = base64.b64encode(bytes.fromhex(self.digest)).decode().rstrip("=")
        return f"SHA256:{text}"


def public_key(text: str) -> tuple[str, str]:
    """Type and base64 of a public key, and its comment.

    Raises:
        PullerError: it is none.
    """
    kind, _, rest = text.strip().partition(" ")
    blob, _, comment = rest.strip().partition(" ")
    try:
        content = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PullerError(f"this is no public key: {text[:60]!r} ({error})") from error
    size = int.from_bytes(content[:4], "big")
    if not _TYPE.fullmatch(kind) or content[4 : 4 + size] != kind.encode():
        raise PullerError(
            f"this is no public key: {text[:60]!r}; give one line of a .pub file, or the file"
        )
    return f"{kind} {blob}", comment.strip()


def allowed(
    name: str,
    key: str,
    *,
    now: int,
    hours: float,
    jobs: int,
    nodes: int | None,
    bounds: SessionKeyBounds,
) -> SessionKey:
    """A new session key.

    Args:
        name: what it is called.
        key: type and base64.
        now: the time, in seconds since the epoch.
        hours: for how long it counts.
        jobs: for how many jobs.
        nodes: for jobs of how many nodes; None takes what the policy allows.
        bounds: what the policy allows.

    Raises:
        PullerError: it is more than the policy allows.
    """
    if not _NAME.fullmatch(name):
        raise PullerError(f"{name!r} is no name: letters, digits and . _ @ + -, at most 64")
    nodes = bounds.max_nodes if nodes is None else nodes
    for what, wanted, most in (
        ("hours", hours, bounds.max_hours),
        ("jobs", jobs, bounds.max_jobs),
        ("nodes", nodes, bounds.max_nodes),
    ):
        if wanted is not None and wanted <= 0:
            raise PullerError(f"{wanted} {what}: at least one")
        if wanted is not None and most is not None and wanted > most:
            raise PullerError(
                f"the site's policy allows a session key at most {most} {what}, not {wanted:g}"
            )
    return SessionKey(
        name=name, key=key, added=now, until=now + int(hours * HOUR), max_jobs=jobs, max_nodes=nodes
    )


def narrowed(key: SessionKey, bounds: SessionKeyBounds) -> SessionKey:
    """The key as it counts now: a policy may have become stricter since it was added."""
    nodes = [most for most in (key.max_nodes, bounds.max_nodes) if most is not None]
    return SessionKey(
        name=key.name,
        key=key.key,
        added=key.added,
        until=min(key.until, key.added + bounds.max_hours * HOUR),
        max_jobs=min(key.max_jobs, bounds.max_jobs),
        max_nodes=min(nodes) if nodes else None,
    )


def signers_lines(keys: Iterable[SessionKey]) -> str:
    """The keys as a file of allowed signers; the principal of each is the SHA-256 of the key."""
    return "".join(f'{key.digest} namespaces="{NAMESPACE}" {key.key}\n' for key in keys)


class SessionKeys:
    """The session keys of one installation."""

    def __init__(self, state: Path, bounds: SessionKeyBounds) -> None:
        """Name the file; nothing is touched yet.

        Args:
            state: the installation's state directory.
            bounds: what the policy allows.
        """
        self.path = bounds.file or state / _FILE

    def all(self) -> list[SessionKey]:
        """All keys, those too that do not count any more.

        Raises:
            NotNow: the file cannot be read.
        """
        try:
            return [SessionKey(**row) for row in json.loads(self.path.read_bytes())]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            raise NotNow(
                f"session keys cannot be read, so nothing is submitted: {self.path}: {error}; "
                "mend or remove the file"
            ) from error

    def add(self, key: SessionKey) -> None:
        """Add a key, in place of the same key if it is there, and drop those that have ended.

        Raises:
            OSError: it cannot be written.
        """
        others = [one for one in self.all() if one.key != key.key and one.until > key.added]
        self._write([*others, key])

    def remove(self, wanted: str) -> list[SessionKey]:
        """Remove the keys with this name or fingerprint; the result is what was removed.

        Raises:
            OSError: it cannot be written.
        """
        keys = self.all()
        gone = [key for key in keys if wanted in (key.name, key.fingerprint)]
        if gone:
            self._write([key for key in keys if key not in gone])
        return gone

    def _write(self, keys: list[SessionKey]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = json.dumps([asdict(key) for key in keys], indent=1).encode()
        write_durably(self.path, content + b"\n")
