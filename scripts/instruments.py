"""Validate the metrics of realism on degradations of known strength; ``--help`` lists the words."""

import sys

from gcn.commands.instruments import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
