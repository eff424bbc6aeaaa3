"""Measure how much faster a configuration could be trained before its game fails; ``--help`` lists its words."""

import sys

from gcn.commands.margin import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
