"""Whose jobs directory it is: two sites in one directory would put each other's jobs aside."""

from __future__ import annotations

import json
from pathlib import Path

from job_protocol.object_keys import SITE_CONTROL_DIR
from puller.durable_file import write_durably
from puller.errors import SettingsError
from puller.settings import Settings

_NAME = "site.json"


def foreign_owner(settings: Settings) -> str | None:
    """What other site uses this jobs directory, in words; None if none does."""
    try:
        owner = json.loads(_file(settings).read_bytes())
        bucket, site = str(owner["bucket"]), str(owner["site"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return None if bucket == settings.bucket else f"site {site} (bucket {bucket})"


def has_owner(settings: Settings) -> bool:
    """Whether a site has taken the jobs directory."""
    return _file(settings).exists()


def take_jobs_dir(settings: Settings) -> None:
    """Note that this site uses its jobs directory; make it if it is missing.

    Raises:
        SettingsError: another site uses it.
        OSError: it cannot be made.
    """
    refuse_foreign(settings)
    file = _file(settings)
    settings.jobs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    note = {"bucket": settings.bucket, "site": settings.site}
    write_durably(file, json.dumps(note).encode() + b"\n")


def refuse_foreign(settings: Settings) -> None:
    """Stop where another site uses the jobs directory.

    Raises:
        SettingsError: one does.
    """
    if (other := foreign_owner(settings)) is not None:
        raise SettingsError(
            f"jobs_dir {settings.jobs_dir} is used by {other}: jobs of the same name would put "
            "each other's directories aside. Give each site a directory of its own (--jobs-dir), "
            f"or remove {_file(settings)} if that site is gone"
        )


def _file(settings: Settings) -> Path:
    return settings.jobs_dir / SITE_CONTROL_DIR / _NAME
