"""Print verdicts and numbers of runs as a table: ``python scripts/table.py FOLDER``; ``--help`` lists its words."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("table", sys.argv[1:]))
