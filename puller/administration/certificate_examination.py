"""When the certificate ends by which the puller gets its credentials, if it gets them by one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

from puller.administration.certificate_dates import NotACertificate, end_of_certificate
from puller.administration.finding import Finding, fail, ok, warn

WARN_DAYS = 30
_DAY = 24 * 3600
_OPTION = "--certificate"


def certificate_findings(
    profiles: Mapping[str, Mapping[str, Any]], profile: str, now: float
) -> Iterator[Finding]:
    """What is to be said of the certificates that a profile's `credential_process` names.

    Args:
        profiles: the profiles of `~/.aws/config` by name, as botocore reads them.
        profile: the one that the puller uses; the `source_profile`s behind it count too.
        now: seconds since the epoch.
    """
    for process in _processes(profiles, profile):
        for path in _certificates(process):
            yield _finding(path, now)


def _processes(profiles: Mapping[str, Mapping[str, Any]], profile: str) -> Iterator[str]:
    seen: set[str] = set()
    name: Any = profile
    while isinstance(name, str) and name not in seen:
        seen.add(name)
        settings = profiles.get(name, {})
        if isinstance(process := settings.get("credential_process"), str):
            yield process
        name = settings.get("source_profile")


def _certificates(process: str) -> Iterator[Path]:
    """The files that follow `--certificate`, AWS's signing helper's option."""
    try:
        words = shlex.split(process)
    except ValueError:
        return
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == _OPTION and following:
            yield Path(following).expanduser()
        elif word.startswith(f"{_OPTION}="):
            yield Path(word.partition("=")[2]).expanduser()


def _finding(path: Path, now: float) -> Finding:
    try:
        end = end_of_certificate(path.read_bytes())
    except OSError as error:
        return fail(
            "certificate",
            f"{path} cannot be read: {error.strerror}",
            "correct credential_process in ~/.aws/config, or the file's owner and mode",
        )
    except NotACertificate:
        return ok("certificate", f"{path} is neither PEM nor DER: when it ends is not known here")
    days = (end.timestamp() - now) / _DAY
    day = end.astimezone(UTC).date().isoformat()
    renew = "ask the authority for a new one, and put it there before that day"
    if days <= 0:
        return fail("certificate", f"{path} ended on {day}", renew)
    if days < WARN_DAYS:
        return warn("certificate", f"{path} ends on {day}, in {days:.0f} days", renew)
    return ok("certificate", f"{path} is good until {day}")
