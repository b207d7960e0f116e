"""The first lines of the single file: any Python can read them, and a too old one says so."""

import importlib
import sys


def main() -> None:
    """Start what is behind these lines, if this Python can."""
    if sys.hexversion < 0x030B0000:
        sys.exit(
            "jobferry-puller: Python 3.11 or later is needed, and this is "
            + sys.version.split()[0]
            + " ("
            + str(sys.executable)
            + "). Start it with a newer one: "
            "/path/to/python3.11 jobferry-puller ..."
        )
    importlib.import_module("unpacking").run()


if __name__ == "__main__":
    main()
