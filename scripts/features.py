"""Train the network of patch features: ``python scripts/features.py FOLDER``; ``--help`` lists its words."""

import sys

from gcn.commands.features import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
