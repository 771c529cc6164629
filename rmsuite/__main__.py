"""The command line as ``python -m rmsuite``."""

import sys

from rmsuite.cli import main

if __name__ == "__main__":
    sys.exit(main())
