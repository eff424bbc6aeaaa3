"""Write an HTML page about one run or several: ``python scripts/report.py RUN``; ``--help`` lists its words."""

import sys

from gcn.commands.report import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
