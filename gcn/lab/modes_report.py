"""The table and the page of the experiment in :mod:`gcn.lab.modes`."""

import csv
from collections.abc import Iterable, Sequence
from math import log2
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from gcn.errors import InputError
from gcn.files.atomic import make_folder, write_csv
from gcn.lab.modes import ARMS, CODE, DATA, LOSSES, Budget, Row, scores, setting

METRICS = {"recovered": "modes", "held": "held", "good": "good"}
TEXTS = ("data", "generator", "loss", "arm")
SETTINGS = {"noise": "GAN", "auto0": "codec, mse = 0", "auto": "codec, mse > 0"}


class Interval(NamedTuple):
    """A mean over seeds and half the width of its 95 % confidence interval."""

    mean: float
    half: float

    @property
    def sign(self) -> int:
        """On which side of 0 the interval is; 0 where it holds 0 or there is no spread to discriminate by."""
        return int(np.sign(self.mean)) if abs(self.mean) > self.half else 0


def interval(values: ArrayLike) -> Interval:
    """Student's t interval of the mean, n - 1 degrees of freedom."""
    x = np.asarray(values, dtype=float)
    half = (
        float(student.ppf(0.975, len(x) - 1)) * x.std(ddof=1) / len(x) ** 0.5 if len(x) > 1 else float("inf")
    )
    return Interval(float(x.mean()), float(half))


# the table


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Rows as CSV, in full or not at all."""
    make_folder(path.parent)
    write_csv(path, [list(rows[0]), *(list(row.values()) for row in rows)])


def read_rows(path: Path) -> list[Row]:
    """The rows of :func:`write_rows`; :class:`gcn.errors.InputError` where there is no such table."""
    if not path.is_file():
        raise InputError(f"{path}: no such table; run the experiment first")
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: text if name in TEXTS else float(text) if text else None for name, text in row.items()}
            for row in csv.DictReader(file)
        ]


class Table:
    """The rows by setting: ``table[data, setting, loss, arm, metric]`` are values in the order of seeds."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = sorted(rows, key=lambda row: row["seed"])
        self.values: dict[tuple[str, ...], list[float]] = {}
        for row in self.rows:
            for metric in METRICS:
                key = (row["data"], setting(row), row["loss"], row["arm"], metric)
                self.values.setdefault(key, []).append(row[metric])

    def __getitem__(self, key: tuple[str, ...]) -> NDArray[np.float64]:
        return np.asarray(self.values[key])


def contrasts(table: Table, data: str, loss: str, metric: str) -> dict[tuple[str, str], Interval]:
    """Differences paired by seed, by (what is compared, arm).

    ``noise``, ``auto0``, ``auto``: an arm minus ``none`` of the same setting. ``mse``: the codec with a distortion
    minus the one without, in the same arm. ``interaction``: what an arm brings with a distortion minus what it brings
    without.
    """
    found: dict[tuple[str, str], Interval] = {}
    effects = {}
    for name in SETTINGS:
        none = table[data, name, loss, "none", metric]
        for arm in ARMS[1:]:
            effects[name, arm] = table[data, name, loss, arm, metric] - none
            found[name, arm] = interval(effects[name, arm])
    for arm in ARMS:
        found["mse", arm] = interval(
            table[data, "auto", loss, arm, metric] - table[data, "auto0", loss, arm, metric]
        )
    for arm in ARMS[1:]:
        found["interaction", arm] = interval(effects["auto", arm] - effects["auto0", arm])
    return found


# the page


def page(rows: Sequence[Row], scan: Sequence[Row], command: str) -> str:
    """The Markdown page of the experiment: every number in it is computed from the two tables.

    Args:
        rows: of the experiment.
        scan: of the preliminary scan.
        command: that made them.
    """
    table = Table(rows)
    seeds, updates = len({row["seed"] for row in rows}), int(rows[0]["updates"])
    minutes = sum(row["cpu_seconds"] for row in [*rows, *scan]) / 60
    diverged = sum(row["diverged"] >= 0 for row in rows)
    parts = [
        HEAD.format(
            command=command, games=len(rows), scanned=len(scan), seeds=seeds, updates=updates, minutes=minutes,
            diverged=diverged, scan_seeds=len({row["seed"] for row in scan}), budget=Budget(),
            bits={data: 2 * log2(levels) for data, levels in CODE.items()},
        ),
        "## In short\n", _short(table), LEGEND,
    ]  # fmt: skip
    for data in DATA:
        number = int(next(row["parts"] for row in rows if row["data"] == data))
        parts += [f"## {data}: {number} modes\n", _values(table, data), "\nDifferences, paired by seed:\n"]
        parts += [_differences(table, data), ""]
    parts += [
        "## The weights, from the preliminary scan\n",
        SCANNED,
        _weights(scan),
        LIMITS.format(seeds=seeds),
    ]
    return "\n".join(parts)


HEAD = """# Modes recovered by small GANs on ring and grid

    {command}

{games} games ({seeds} seeds a setting) and {scanned} of a preliminary scan ({scan_seeds} other seeds), {updates}
updates each; {minutes:.0f} minutes of CPU time in all. {diverged} games diverged (numbers that are not finite). Every
result on this page is computed from `modes.csv` and `modes_scan.csv` by that command.

* **Data.** ring: 8 modes, radius 2, standard deviation .02 (Metz et al. 2017). grid: 25 modes at -4, -2, …, 4, standard
  deviation .05 (Lin et al. 2018).
* **Players.** Two hidden layers of {budget.width} units, leaky ReLU, Adam (step size {budget.lr:g} for both, betas .5
  and .9), batch {budget.batch}, alternating, one turn of D for one of G. The generator is fed {budget.latent} normal
  numbers (*GAN*), or is a *codec* of two bounded numbers with additive uniform noise: at most {bits[ring]:g} bits a
  point on the ring and {bits[grid]:g} on the grid, fewer than the 3 and 4.64 that name a mode.
* **Arms.** none; r1; gp; instance_noise; pair (relativistic); each with the codec without and with a distortion (mse).
  Games of one seed see the same data, noise and initial weights in every arm.
* **Measured** on 2500 samples (Srivastava et al. 2017). *modes*: nearest to at least one good sample, good being within
  3 standard deviations. *held*: with good samples for a tenth of an equal share. *good*: share of good samples.
* **±** is half of a 95 % confidence interval of the mean over seeds (Student's t).
"""

LEGEND = """
How many differences, over both data sets and all arms, are up (+) and down (-): those whose 95 % interval, paired by
seed, excludes 0 (Student's t, not corrected for the number of comparisons: one in twenty is expected by chance).

With wgan, pair is the same game as none: the difference of two logits is what wgan pays anyway, and the two arms agree
to the last digit. Its D is unbounded where neither r1 nor gp holds it; there none is no sensible game, and most of what
a stabiliser brings to wgan is that bound.

![means](../figures/theory/modes_effects.png)
![over the updates](../figures/theory/modes_curves.png)
![ring](../figures/theory/modes_ring.png)
![grid](../figures/theory/modes_grid.png)
"""

SCANNED = """Mean of (modes recovered / modes) · (share of good samples) over the scan's seeds, with as many updates as
the experiment; the best is taken, for each data set, loss and generator. The distortion's weight was scanned without a
stabiliser, and the stabilisers' beside it were scanned with the weight that was taken.
"""

LIMITS = """
## Limits

Tiny networks, two data sets of the plane, one step size, one number of updates. Where the curves still rise at the end,
as on the grid, the numbers are of speed as much as of what is reached, and a stabiliser that learns slower but ends
better is not seen to be better. {seeds} seeds: intervals are wide, and those of counts that stand at their bound (all
modes) are too narrow. Weights come from three values each, about ten-fold apart, by few seeds; a best value at the end
of its range may be exceeded beyond it, and the smallest of the range is near to none. *modes* is lenient: a cloud over
the whole grid recovers most of them (see *codec, mse alone*); *held* is not. The distortion's effect is that of a code
with fewer bits than name a mode; with as many, the distortion alone could put every sample on its mode.
"""


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _digits(metric: str) -> int:
    return 2 if metric == "good" else 1


def _columns() -> list[tuple[str, str]]:
    return [(loss, metric) for loss in LOSSES for metric in METRICS]


def _values(table: Table, data: str) -> str:
    rows = []
    for name, text in SETTINGS.items():
        for arm in ARMS:
            found = [(interval(table[data, name, loss, arm, m]), _digits(m)) for loss, m in _columns()]
            rows.append([text, arm, *(f"{i.mean:.{n}f} ± {i.half:.{n}f}" for i, n in found)])
    alone = [(interval(table[data, "auto", "none", "none", m]), _digits(m)) for m in METRICS]
    texts = [f"{i.mean:.{n}f} ± {i.half:.{n}f}" for i, n in alone]
    rows.append(["codec, mse alone", "no D", *texts, *[""] * (len(_columns()) - len(texts))])
    return _markdown(["generator", "arm", *(f"{loss} {METRICS[m]}" for loss, m in _columns())], rows)


COMPARED = {
    "noise": "GAN: arm - none",
    "auto0": "codec, mse = 0: arm - none",
    "auto": "codec, mse > 0: arm - none",
    "mse": "codec: mse > 0 - mse = 0",
    "interaction": "interaction: effect with mse - effect without",
}


def _differences(table: Table, data: str) -> str:
    found = {(loss, m): contrasts(table, data, loss, m) for loss, m in _columns()}
    keys = next(iter(found.values()))
    rows = []
    for kind, arm in keys:
        cells = []
        for column, of_column in found.items():
            i, n = of_column[kind, arm], _digits(column[1])
            text = f"{i.mean:+.{n}f} ± {i.half:.{n}f}"
            cells.append(f"**{text}**" if i.sign else text)
        rows.append([COMPARED[kind], arm, *cells])
    return _markdown(["difference", "arm", *(f"{loss} {METRICS[m]}" for loss, m in _columns())], rows)


def _short(table: Table) -> str:
    """How many of the comparisons over data sets and arms are up and down."""
    columns = [*_columns(), *(("all", metric) for metric in METRICS)]
    rows = []
    for kind, text in COMPARED.items():
        row = [text]
        for loss, metric in columns:
            of_losses = LOSSES if loss == "all" else (loss,)
            found = [contrasts(table, data, one, metric) for data in DATA for one in of_losses]
            signs = [i.sign for of_data in found for (what, _), i in of_data.items() if what == kind]
            row.append(f"+{signs.count(1)} -{signs.count(-1)} of {len(signs)}")
        rows.append(row)
    return _markdown(["difference", *(f"{loss} {METRICS[m]}" for loss, m in columns)], rows)


def _weights(scan: Sequence[Row]) -> str:
    rows = []
    for (data, name, loss, arm), found in sorted(scores(scan).items()):
        chosen = max(found, key=lambda w: found[w])
        texts = [f"{weight:g}: {found[weight]:.2f}" for weight in sorted(found)]
        edge = " (end of the range)" if chosen in (min(found), max(found)) else ""
        rows.append([data, SETTINGS[name], loss, arm, ", ".join(texts), f"{chosen:g}{edge}"])
    return _markdown(["data", "generator", "loss", "weight of", "score of each value", "taken"], rows)
