"""The lock that a pass holds: one for each state directory, so that sites run side by side."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from puller.settings import Settings


def pass_lock(settings: Settings) -> Path:
    """The lock file of this installation's passes."""
    name = hashlib.sha256(os.fsencode(settings.state.resolve())).hexdigest()[:16]
    return settings.locks / f"{name}.lock"
