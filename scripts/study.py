"""Plan, train, resume and report a study: ``python scripts/study.py study=NAME``; ``--help`` lists its words."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("study", sys.argv[1:]))
