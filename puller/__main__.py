"""`python -m puller`: the same as `jobferry-puller`."""

import sys

from puller.command import main

if __name__ == "__main__":
    sys.exit(main())
