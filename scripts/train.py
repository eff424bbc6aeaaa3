"""Train a generative compression network; ``--help`` shows what can be chosen."""

import sys
from typing import Any

from gcn.commands.hydra_command import main
from gcn.config.parse import Config
from gcn.errors import Interrupted


def train(cfg: Config) -> Any:
    # torch and lightning are imported for a checked configuration only
    from gcn.config.assemble import plan
    from gcn.report.summary import print_summary
    from gcn.training.fit import train

    try:
        summary = train(plan(cfg))
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        raise SystemExit(stop.status) from None
    if summary:  # of the first process
        print_summary(summary)
    return summary


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], train))
