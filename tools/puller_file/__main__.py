"""`python -m tools.puller_file OUTPUT`: build the single file; prints its SHA-256."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tools.puller_file.build import CHECKOUT, BuildError, build, install_libraries, write


def main() -> int:
    """Build it."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.puller_file",
        description="Builds the puller as one file.",
        epilog="example:\n  python -m tools.puller_file build/jobferry-puller",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("output", type=Path)
    parser.add_argument(
        "--libraries",
        type=Path,
        metavar="DIR",
        help="a folder that requirements/puller.txt is installed in; by default pip does it",
    )
    given = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="jobferry-puller-") as scratch:
            libraries = given.libraries
            if libraries is None:
                libraries = Path(scratch, "lib")
                install_libraries(libraries, CHECKOUT / "requirements" / "puller.txt")
            content = build(libraries)
    except BuildError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{write(content, given.output)}  {given.output}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
