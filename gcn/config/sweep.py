"""Sweeps: the jobs of a command line that gives several values for a key, ``mse=0,1``."""

import itertools
import math
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob

from gcn.config.compose import TRAIN, Root, groups, hydra_key
from gcn.config.hydra_errors import one_line_errors
from gcn.errors import InputError
from gcn.schema.plugins import NONE, Extension

MOST_JOBS = 10_000  # of a sweep; more is a slip of the finger, range(0,1000000)


def jobs(words: Sequence[str], root: Root = TRAIN, own: Extension = NONE) -> list[list[str]]:
    """Overrides of each job of a sweep, in Hydra's order; sweeps over intervals are left to their sweeper."""
    axes: dict[str, list[str]] = {}
    own_sweeper = any(hydra_key(word) == "hydra/sweeper" for word in words)
    with one_line_errors():
        for override in OverridesParser.create().parse_overrides(list(words)):
            key, sweep = override.get_key_element(), override.value()
            if isinstance(sweep, Glob):
                chosen = sweep.filter(groups(root, own).get(key, []))
                if root.folders[1:] or own != NONE:  # Hydra would look into conf/ alone
                    raise InputError(f"{override.input_line}: no pattern here; give {key}={','.join(chosen)}")
                axes[key] = [f"{key}={name}" for name in chosen]
            elif not override.is_sweep_override():
                axes[key] = [str(override.input_line)]
            elif override.is_discrete_sweep():
                given = itertools.islice(override.sweep_string_iterator(), MOST_JOBS + 1)
                axes[key] = [f"{key}={value}" for value in given]
            elif not own_sweeper:
                raise InputError(
                    f"{override.input_line}: an interval needs a sweeper of its own; give values a,b,c"
                )
    for key, values in axes.items():
        if not values:
            raise InputError(f"{key}: the sweep has no value; give values a,b,c")
    if math.prod(map(len, axes.values())) > MOST_JOBS:
        raise InputError(f"-m: this sweep has more than {MOST_JOBS} jobs; give fewer values")
    return [list(chosen) for chosen in itertools.product(*axes.values())]
