"""scripts/train.py: a training run from its configuration to its folder."""

import sys
from typing import Any

from gcn.config.assemble import plan
from gcn.config.parse import Config
from gcn.errors import Interrupted
from gcn.report.summary import print_summary
from gcn.training.fit import train


def job(cfg: Config) -> Any:
    """Train, write the run folder, print and return the summary."""
    try:
        summary = train(plan(cfg))
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        raise SystemExit(stop.status) from None
    if summary:  # of the first process
        print_summary(summary)
    return summary
