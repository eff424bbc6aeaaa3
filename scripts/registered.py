"""Decide the registered contrasts of the margin study: ``python scripts/registered.py margins=FILE``; ``--help``."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("registered", sys.argv[1:]))
