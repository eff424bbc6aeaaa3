"""Show a study in Weights & Biases: ``python scripts/board.py table=docs/study/first/distortion_vs_tricks``."""

import sys

from gcn.commands.board import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
