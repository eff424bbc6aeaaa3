"""Train a generative compression network; ``--help`` shows what can be chosen."""

import sys

from gcn.commands.hydra_command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
