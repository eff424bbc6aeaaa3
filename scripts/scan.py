"""Say which images of a folder training can use: ``python scripts/scan.py FOLDER``; ``--help`` lists its words."""

import sys

from gcn.commands.scan import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
