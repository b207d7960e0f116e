"""`python -m jobferry`: the same as the `jobferry` command."""

from __future__ import annotations

import sys

from jobferry.command import main

if __name__ == "__main__":
    sys.exit(main())
