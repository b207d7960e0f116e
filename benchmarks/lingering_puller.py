"""A puller that lingers while something is measured."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.e2e.site import Site


@contextmanager
def lingering(site: Site) -> Iterator[Callable[[], None]]:
    """A puller of the site lingers meanwhile; gives what makes sure that it still does.

    Raises:
        AssertionError: by that, if the puller has left; the message says what it said last.
    """
    puller = subprocess.Popen(
        [*site.puller, "pass", "--linger", "3600"], env=site.cron_environment(), cwd=site.home
    )

    def check() -> None:
        if (code := puller.poll()) is not None:
            raise AssertionError(f"the puller left with {code}; it said last:\n{site.log[-1500:]}")

    try:
        yield check
    finally:
        puller.terminate()
        puller.wait(60)
