"""Run the command line as `python -P -m octave_mcp`."""

import sys

from octave_mcp.cli import main

if __name__ == "__main__":
    sys.exit(main())
