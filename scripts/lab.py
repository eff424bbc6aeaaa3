"""Train a small game of the theory with the production losses, terms and rules; ``--help`` shows what can be chosen."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("lab", sys.argv[1:]))
