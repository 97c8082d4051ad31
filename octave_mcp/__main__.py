"""`python -m octave_mcp`, the same as the command `octave-mcp`."""

import sys

from octave_personas_mcp import main

if __name__ == "__main__":
    sys.exit(main())
