"""Tables and figure of the validation of the instruments: what each sees of each kind of degradation."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gcn.files.atomic import write_text
from gcn.metrics.degradations import LADDERS, Ladder
from gcn.report.paper import named, paper_figure
from gcn.report.plots import BLUE, GREY, RED
from gcn.report.summary import write_json_atomic

Row = Mapping[str, Any]
PHOTOGRAPHS, CODEC, SIZES = "photographs", "codec", "sizes"


class Instrument(NamedTuple):
    """A column of the tables: name of the number, title, scale of its axis."""

    name: str
    title: str
    scale: str = "linear"
    linear: float = 1.0  # of a symmetric logarithmic axis: up to where it is linear


INSTRUMENTS = (
    Instrument("c2st", "C2ST, bits"),
    Instrument("kid_random", "KID, random features", "symlog", 0.01),
    Instrument("kid_trained", "KID, trained features", "symlog", 0.01),
    Instrument("swd_disjoint", "SWD, different images"),
    Instrument("lattice", "lattice index", "log"),
    Instrument("swd", "SWD, same images"),
)


class Seen(NamedTuple):
    """How an instrument ranks a ladder.

    Attributes:
        spearman: rank correlation of the number with the strength, the photographs (strength 0) included.
        falls: strengths at which the number is lower than at the strength before, by more than the intervals allow.
        least: the least strength from which on all intervals are above the number of the photographs; None if none.
    """

    spearman: float
    falls: list[float]
    least: float | None


def seen(instrument: Instrument, ladder: Ladder, rows: Sequence[Row]) -> Seen | None:
    """How an instrument ranks a ladder; None where the ladder was not measured."""
    from scipy.stats import spearmanr

    start = next((row for row in rows if row["kind"] == PHOTOGRAPHS), None)
    own = sorted(
        (r for r in rows if r["kind"] == ladder.name and not r["on_codec"]), key=lambda r: r["strength"]
    )
    if start is None or not own:
        return None
    name = instrument.name
    steps = [start, *own]
    values = [row[name] for row in steps]
    if any(value is None or not math.isfinite(value) for value in values):
        return None
    lows = [row.get(f"{name}_low", row[name]) for row in steps]
    highs = [row.get(f"{name}_high", row[name]) for row in steps]
    falls = [steps[k]["strength"] for k in range(1, len(steps)) if highs[k] < lows[k - 1]]
    above = [lows[k] > max(values[0], highs[0]) for k in range(1, len(steps))]
    first = next((k for k in range(len(above)) if all(above[k:])), None)
    correlation = float(spearmanr([row["strength"] for row in steps], values).statistic)
    return Seen(correlation, falls, None if first is None else own[first]["strength"])


def write(rows: Sequence[Row], folder: Path, command: str) -> list[Path]:
    """Write ``instruments.csv``, ``.json``, ``.md`` and the figure ``dose_response``; returns their paths."""
    cases = [row for row in rows if row["kind"] != SIZES]
    columns = list(dict.fromkeys(name for row in cases for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(cases)
    write_text(folder / "instruments.csv", text.getvalue())
    write_json_atomic(folder / "instruments.json", {"command": command, "rows": list(rows)})
    write_text(folder / "instruments.md", markdown(rows, command))
    return [folder / f"instruments.{end}" for end in ("csv", "json", "md")] + figure(cases, folder)


def markdown(rows: Sequence[Row], command: str) -> str:
    """The tables as Markdown: ranks and least strengths, the codec, sizes of the classifier."""
    cases = [row for row in rows if row["kind"] != SIZES]
    photographs = next(row for row in cases if row["kind"] == PHOTOGRAPHS)
    about = (
        f"{photographs['images']} photographs. Intervals are 95 %: of C2ST over images and classifiers, of KID and the"
        " lattice index over images, of SWD over random halvings of the images."
    )
    ranks = (
        "Spearman's correlation with the strength, and the least strength that is seen: from there on the interval is"
        " above that of the photographs. *falls* names strengths at which the number is lower than one step before,"
        " beyond both intervals."
    )
    parts = [
        f"    {command}\n\n{about}",
        f"## What each instrument ranks\n\n{ranks}\n\n{_ranks(cases)}",
        f"## Numbers at every strength\n\n{_numbers(cases)}",
        _codec(cases),
        _sizes([row for row in rows if row["kind"] == SIZES]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(cells)} |" for cells in body)])


def _ranks(rows: Sequence[Row]) -> str:
    body = []
    for ladder in LADDERS:
        found = [seen(instrument, ladder, rows) for instrument in INSTRUMENTS]
        if any(found):
            body.append([f"{ladder.name} ({ladder.unit})", *map(_rank, found)])
    return _table(["degradation", *(one.title for one in INSTRUMENTS)], body)


def _rank(found: Seen | None) -> str:
    if found is None:
        return "not measured"
    least = "not seen" if found.least is None else f"from {found.least:g}"
    falls = f", falls at {', '.join(f'{s:g}' for s in found.falls)}" if found.falls else ""
    return f"{found.spearman:.2f}, {least}{falls}"


def _numbers(rows: Sequence[Row]) -> str:
    body = []
    for row in rows:
        if row["on_codec"]:
            continue
        spread = f" ± {row['c2st_of_seeds']:.3f}, {row['c2st_of_images']:.3f}"
        body.append([row["case"], _show(row["psnr"]), *(
            _show(row[one.name]) + (spread if one.name == "c2st" else "") for one in INSTRUMENTS
        )])  # fmt: skip
    head = ["case", "PSNR", *(one.title for one in INSTRUMENTS)]
    said = (
        "Behind the bits: standard deviation from classifier to classifier, standard error over images.\n\n"
    )
    return said + _table(head, body)


def _codec(rows: Sequence[Row]) -> str:
    """The table of a codec and of what is added to its reconstructions, with a verdict on each instrument."""
    plain_ = next((row for row in rows if row["kind"] == CODEC), None)
    if plain_ is None:
        return ""
    body = []
    for row in (row for row in rows if row["on_codec"]):
        cells = []
        for one in INSTRUMENTS:
            value, low = row[one.name], row.get(f"{one.name}_low", row[one.name])
            high = plain_.get(f"{one.name}_high", plain_[one.name])
            sees = "" if row is plain_ else " sees it" if low > high else " **fooled**"
            cells.append(_show(value) + sees)
        body.append([row["case"], _show(row["psnr"]), *cells])
    table = _table(["case", "PSNR", *(one.title for one in INSTRUMENTS)], body)
    said = (
        "An instrument is fooled where damage that is added to the reconstructions does not raise its number beyond"
        " both intervals."
    )
    return f"## A codec, and damage on top of it\n\n{said}\n\n{table}"


def _sizes(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    names = [
        name for name in rows[0] if name not in ("case", "kind", "size") and not name.endswith(", seeds")
    ]
    body = [
        [row["size"], *(f"{row[name]:.3f} ± {row[f'{name}, seeds']:.3f}" for name in names)] for row in rows
    ]
    return (
        "## Size of the classifier\n\nBits, with the standard deviation from classifier to classifier.\n\n"
        + _table(["classifier", *names], body)
    )


def _show(value: Any) -> str:
    return (
        ""
        if value is None or not math.isfinite(value)
        else f"{value:.3g}"
        if abs(value) < 10
        else f"{value:.1f}"
    )


def figure(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw ``dose_response``: a row of panels for each kind of degradation, a column for each instrument."""
    start = next(row for row in rows if row["kind"] == PHOTOGRAPHS)
    ladders = [one for one in LADDERS if any(row["kind"] == one.name and not row["on_codec"] for row in rows)]
    path = folder / "dose_response"
    with paper_figure(path, (2.1 * len(INSTRUMENTS), 1.25 * len(ladders) + 0.4), dpi=96) as drawn:
        grid = drawn.subplots(len(ladders), len(INSTRUMENTS), squeeze=False, sharey="col")
        for line, ladder in zip(grid, ladders, strict=True):
            own = sorted(
                (r for r in rows if r["kind"] == ladder.name and not r["on_codec"]),
                key=lambda r: r["strength"],
            )
            for axes, instrument in zip(line, INSTRUMENTS, strict=True):
                _panel(axes, instrument, ladder, [start, *own])
            line[0].set_ylabel(ladder.name.replace("_", " "))
        for axes, instrument in zip(grid[0], INSTRUMENTS, strict=True):
            axes.set_title(instrument.title)
    return [named(path, "png"), named(path, "svg")]


def _panel(axes: Any, instrument: Instrument, ladder: Ladder, steps: Sequence[Row]) -> None:
    name, places = instrument.name, range(len(steps))
    values = [row[name] if row[name] is not None else math.nan for row in steps]
    lows, highs = ([row.get(f"{name}_{end}", row[name]) for row in steps] for end in ("low", "high"))
    falls = any(highs[k] < lows[k - 1] for k in range(1, len(steps)))
    if instrument.scale == "symlog":
        axes.set_yscale("symlog", linthresh=instrument.linear)
    elif instrument.scale == "log":
        axes.set_yscale("log")
    axes.fill_between(places, lows, highs, color=RED if falls else BLUE, alpha=0.2, linewidth=0)
    axes.plot(places, values, color=RED if falls else BLUE, marker="o", markersize=3)
    axes.axhline(values[0], color=GREY, linewidth=0.7, linestyle=(0, (2, 2)))
    axes.set_xticks(list(places), [f"{row['strength']:g}" for row in steps], fontsize=7)
    axes.tick_params(axis="y", labelsize=7)
