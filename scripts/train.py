"""Train a generative compression network; ``--help`` shows what can be chosen."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("train", sys.argv[1:]))
