"""Play a small game of the theory with the production losses, terms and rules; ``--help`` shows what can be chosen."""

import sys
from typing import Any

from gcn.commands.hydra_command import main
from gcn.config.compose import LAB
from gcn.config.parse import Config


def play(cfg: Config) -> Any:
    # torch is imported for a checked configuration only
    from gcn.commands.lab import print_record, run

    record = run(cfg)
    print_record(record)
    return record


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], play, LAB))
