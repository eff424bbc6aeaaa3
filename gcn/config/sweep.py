"""Sweeps: the jobs of a command line that gives several values for a key, ``mse=0,1``."""

import itertools
import math
from collections.abc import Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep

from gcn.config.hydra_errors import one_line_errors
from gcn.config.offered import TRAIN, Root, groups
from gcn.errors import InputError
from gcn.schema.plugins import NONE, Extension

MOST_JOBS = 10_000  # of a sweep; more is a slip of the finger, range(0,1000000)


def axes(
    words: Sequence[str], root: Root = TRAIN, own: Extension = NONE, intervals: bool = False
) -> dict[str, list[str]]:
    """The overrides that each key of a command line may have, by key.

    Args:
        words: of the command line.
        root: whose configuration.
        own: what the user adds.
        intervals: the sweeper can search an interval, of which the two ends stand here.

    Raises:
        InputError: a value that is no sweep, or an interval without such a sweeper.
    """
    found: dict[str, list[str]] = {}
    with one_line_errors():
        for override in OverridesParser.create().parse_overrides(list(words)):
            key, sweep = override.get_key_element(), override.value()
            if isinstance(sweep, Glob):
                chosen = sweep.filter(groups(root, own).get(key, []))
                if root.folders[1:] or own != NONE:  # Hydra would look into conf/ alone
                    raise InputError(f"{override.input_line}: no pattern here; give {key}={','.join(chosen)}")
                found[key] = [f"{key}={name}" for name in chosen]
            elif not override.is_sweep_override():
                found[key] = [str(override.input_line)]
            elif override.is_discrete_sweep():
                given = itertools.islice(override.sweep_string_iterator(), MOST_JOBS + 1)
                found[key] = [f"{key}={value}" for value in given]
            elif not intervals:
                raise InputError(
                    f"{override.input_line}: an interval needs a sweeper of its own, hydra/sweeper=optuna; or give "
                    "values a,b,c"
                )
            elif isinstance(sweep, IntervalSweep):
                found[key] = [f"{key}={sweep.start}", f"{key}={sweep.end}"]
    for key, values in found.items():
        if not values:
            raise InputError(f"{key}: the sweep has no value; give values a,b,c")
    return found


def jobs(found: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Overrides of each job of Hydra's basic sweeper, in its order: all combinations of :func:`axes`."""
    if math.prod(map(len, found.values())) > MOST_JOBS:
        raise InputError(f"-m: this sweep has more than {MOST_JOBS} jobs; give fewer values")
    return [list(chosen) for chosen in itertools.product(*found.values())]


def probes(found: Mapping[str, Sequence[str]]) -> list[list[list[str]]]:
    """Jobs by which the values of a sweep are checked where a sweeper chooses the combinations.

    Args:
        found: the :func:`axes`.

    Returns:
        For each value up to three jobs that have it: alone, and beside the first and the last values of the other keys.
        A value that is refused in all of them is wrong in itself.
    """
    fixed = [values[0] for values in found.values() if len(values) == 1]
    swept = {key: values for key, values in found.items() if len(values) > 1}
    if not swept:
        return [[fixed]]
    tried = []
    for key, values in swept.items():
        others = [others for other, others in swept.items() if other != key]
        rest: tuple[list[str], ...] = ([], [given[0] for given in others], [given[-1] for given in others])
        tried += [[[*fixed, *beside, value] for beside in rest] for value in values]
    return tried
