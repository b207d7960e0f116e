"""Pi from random points, on an on-premises site: many calls of a function, without files.

    pip install 'jobferry[executor]'
    python pi.py                          # the site that JOBFERRY_SITE names, or dc1

The site needs a Python of the same version as yours, and nothing else.
"""

import random
import sys

import jobferry

POINTS = 200_000
CALLS = 20


def hits(seed):
    """How many of the random points of a square lie in the circle inside it."""
    rng = random.Random(seed)
    return sum(rng.random() ** 2 + rng.random() ** 2 < 1 for _ in range(POINTS))


if __name__ == "__main__":
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    with jobferry.Executor(python=f"python{version}", time_limit="10m", chunk=CALLS) as executor:
        results = executor.map(hits, range(CALLS))
        executor.progress("Random points")
        print(4 * sum(results) / (CALLS * POINTS))
