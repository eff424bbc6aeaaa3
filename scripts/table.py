"""Print verdicts and numbers of runs as a table: ``python scripts/table.py FOLDER``; ``--help`` lists its words."""

import sys

from gcn.commands.table import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
