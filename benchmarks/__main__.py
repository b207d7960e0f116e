"""`python -m benchmarks`: ask the questions, keep the results, write the page."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from benchmarks import burst, data, functions, idle_pass, one_job, profiles, scale, waiting
from benchmarks.bench import SITES, Bench
from benchmarks.rendering import markdown, write_page
from benchmarks.result import Result, Table, stamped
from benchmarks.rig import rig
from local_cloud.emulator import CHECKOUT

QUESTIONS: dict[str, Callable[[Bench], Result]] = {
    "one_job": one_job.run,
    "idle_pass": idle_pass.run,
    "waiting": waiting.run,
    "burst": burst.run,
    "data": data.run,
    "functions": functions.run,
    "scale": scale.run,
    "profiles": profiles.run,
}
RESULTS = CHECKOUT / "benchmarks" / "results"
PAGE = CHECKOUT / "docs" / "benchmarks.md"
QUICK_RESULTS = CHECKOUT / "build" / "benchmarks"


def main() -> int:
    """Ask; the exit code is 1 if a question could not be answered."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the short form, not kept")
    parser.add_argument("--render", action="store_true", help="only write the page again")
    parser.add_argument("question", nargs="*", help=f"some of: {', '.join(QUESTIONS)}")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    if unknown := set(given.question) - set(QUESTIONS):
        parser.error(f"no such question: {', '.join(sorted(unknown))}")
    folder = QUICK_RESULTS if given.quick else RESULTS
    # In this order: idle passes need sites whose jobs have all ended.
    names = [name for name in QUESTIONS if not given.question or name in given.question]
    failed = [] if given.render else _ask(names, folder, given.quick)
    kept = [Result.load(f) for name in QUESTIONS if (f := folder / f"{name}.json").exists()]
    page = folder / "benchmarks.md" if given.quick else PAGE
    write_page(kept, page)
    print(f"written: {page}")
    return 1 if failed else 0


def _interrupt(_number: int, _frame: object) -> None:
    """What was started is stopped by the ways out of its blocks."""
    raise KeyboardInterrupt


def _ask(names: list[str], folder: Path, quick: bool) -> list[str]:
    failed = []
    directory = Path(tempfile.mkdtemp(prefix="jobferry-bench-"))
    directory.chmod(0o755)
    try:
        with rig(directory, SITES) as made:
            for name in names:
                begun = time.monotonic()
                print(f"== {name}", flush=True)
                try:
                    result = QUESTIONS[name](Bench(made, directory, quick))
                except Exception as error:
                    traceback.print_exception(error)
                    failed.append(name)
                    continue
                stamped(result, quick=quick).save(folder)
                _tell(result)
                print(f"({name}: {time.monotonic() - begun:.0f} s)\n", flush=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return failed


def _tell(result: Result) -> None:
    for table in result.tables:
        print(markdown(table))
    rows = [(v.claim, v.measured, str(v.reached), v.why) for v in result.verdicts]
    print(markdown(Table("", ("to reach", "measured", "reached", "why"), rows)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
