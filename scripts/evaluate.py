"""Measure codecs on images, beside classical ones: ``python scripts/evaluate.py run=RUN data.root=FOLDER``."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("evaluate", sys.argv[1:]))
