"""The long form of the fuzzing: `python -m tests.fuzz [--inputs N] [--seed S] [NAME ...]`.

Each target gets N inputs (100,000). A finding is printed with the input that causes it; put it
among the target's samples when it is mended. More than ten seconds for one input is a finding too.
`tests/fuzz/coverage_guided.py` lets libFuzzer look for the inputs.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
import traceback
from types import FrameType

from tests.fuzz import control_plane, site
from tests.fuzz.mutation import drawn
from tests.fuzz.target import Target

WATCHDOG_SECONDS = 10
_MOST_FINDINGS = 5
TARGETS = (*control_plane.TARGETS, *site.TARGETS)


class TooLong(BaseException):
    """One input keeps a parser busy for too long; no parser catches it."""


def _bark(_signal: int, _frame: FrameType | None) -> None:
    raise TooLong(f"more than {WATCHDOG_SECONDS} s for one input")


def fuzz(target: Target, count: int, seed: int) -> int:
    """Give a target its inputs; how many findings there were."""
    source = random.Random(f"{seed} {target.name}")
    found: dict[str, bytes] = {}
    start = time.monotonic()
    for _ in range(count):
        data = drawn(source, target.samples, target.words, json_too=target.is_json)
        signal.alarm(WATCHDOG_SECONDS)
        try:
            target.run(data)
        except (Exception, TooLong):
            trace = traceback.format_exc()
            where = trace.strip().splitlines()[-3:]
            if (key := "\n".join(where)) not in found:
                found[key] = data
                sys.stdout.write(f"FINDING {target.name}: input {data!r}\n{trace}\n")
            if len(found) >= _MOST_FINDINGS:
                break
        finally:
            signal.alarm(0)
    seconds = time.monotonic() - start
    sys.stdout.write(
        f"{target.name:24} {count:>8} inputs  {len(found)} findings  {seconds:>6.0f} s\n"
    )
    sys.stdout.flush()
    return len(found)


def main() -> int:
    """Run the targets that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("names", nargs="*", help="begins of names of targets; all without one")
    parser.add_argument("--inputs", type=int, default=100_000, help="inputs for each target")
    parser.add_argument("--seed", type=int, default=1, help="another one gives other inputs")
    asked = parser.parse_args()
    wanted = [
        target
        for target in TARGETS
        if not asked.names or any(target.name.startswith(name) for name in asked.names)
    ]
    signal.signal(signal.SIGALRM, _bark)
    findings = sum(fuzz(target, asked.inputs, asked.seed) for target in wanted)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
