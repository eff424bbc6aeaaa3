"""Measure codecs on images, beside classical ones: ``python scripts/evaluate.py run=RUN data.root=FOLDER``."""

import sys

from gcn.commands.evaluate import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
