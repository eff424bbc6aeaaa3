"""Measure the Lyapunov exponents of a run's training: ``python scripts/exponent.py run=RUN``; see ``--help``."""

import sys

from gcn.commands.exponent import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
