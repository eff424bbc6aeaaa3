"""Decide the registered contrasts of the margin study: ``python scripts/registered.py margins=FILE``; ``--help``."""

import sys

from gcn.commands.registered import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
