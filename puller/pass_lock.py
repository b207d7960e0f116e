"""The lock that a pass holds: one for each state directory, so that sites run side by side."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from puller.errors import HeldElsewhere, PullerError
from puller.lock import exclusive_lock, prepare_lock_dir
from puller.settings import Settings

_LOOK_SECONDS = 0.5


def pass_lock(settings: Settings) -> Path:
    """The lock file of this installation's passes."""
    name = hashlib.sha256(os.fsencode(settings.state.resolve())).hexdigest()[:16]
    return settings.locks / f"{name}.lock"


@contextmanager
def between_passes(settings: Settings, wait: float) -> Iterator[None]:
    """Keep passes of this host away while the block runs.

    Args:
        settings: the puller's settings.
        wait: seconds to wait for a pass at work to end; one that lingers leaves a gap each minute.

    Raises:
        PullerError: a pass is at work all the time.
        SettingsError: see `prepare_lock_dir`.
    """
    prepare_lock_dir(settings.locks)
    deadline = time.monotonic() + wait
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(exclusive_lock(pass_lock(settings)))
                break
            except HeldElsewhere as error:
                if time.monotonic() > deadline:
                    raise PullerError(
                        f"a pass has been at work for {wait:.0f} s; nothing was changed. Try "
                        "again, or stop the crontab line meanwhile"
                    ) from error
                time.sleep(_LOOK_SECONDS)
        yield
