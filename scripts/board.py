"""Show a study in Weights & Biases: ``python scripts/board.py table=docs/study/first/distortion_vs_tricks``."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("board", sys.argv[1:]))
