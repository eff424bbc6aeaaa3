"""Train a generative compression network: ``python scripts/train.py loss=ns mse=1``; ``--help`` shows all there is."""

import sys
from typing import Any

from gcn.cli import main
from gcn.config import Config


def train(cfg: Config) -> Any:
    from gcn.training.run import train  # torch and lightning, for a checked configuration only

    return train(cfg)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], train))
