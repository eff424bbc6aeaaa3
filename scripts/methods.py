"""Write docs/methods.md, the table of all methods: ``python scripts/methods.py``; ``--help``."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("methods", sys.argv[1:]))
