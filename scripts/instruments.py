"""Validate the metrics of realism on degradations of known strength; ``--help`` lists the words."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("instruments", sys.argv[1:]))
