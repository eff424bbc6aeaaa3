"""Play a small game of the theory with the production losses, terms and rules; ``--help`` shows what can be chosen."""

import sys
from typing import Any

from gcn.cli import main
from gcn.compose import LAB
from gcn.config import Config


def play(cfg: Config) -> Any:
    # torch is imported for a checked configuration only
    from gcn.laboratory import print_record, run

    record = run(cfg)
    print_record(record)
    return record


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], play, LAB))
