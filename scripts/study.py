"""Plan, train, resume and report a study: ``python scripts/study.py study=NAME``; ``--help`` lists its words."""

import sys

from gcn.commands.study import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
