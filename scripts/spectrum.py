"""Linearise a trained game at a checkpoint: ``python scripts/spectrum.py run=RUN``; ``--help`` lists its words."""

import sys

from gcn.commands.spectrum import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
