"""Train a small game of the theory with the production losses, terms and rules; ``--help`` shows what can be chosen."""

import sys

from gcn.commands.hydra_command import main
from gcn.config.compose import LAB

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], root=LAB))
