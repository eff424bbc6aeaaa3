"""Measure the Lyapunov exponents of a run's training: ``python scripts/exponent.py run=RUN``; see ``--help``."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("exponent", sys.argv[1:]))
