"""The curves of a run: six plots over the generator's updates, from the rows of its ``metrics.csv``."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gcn.files.atomic import make_folder, replacing
from gcn.metrics.stability import TOO_SHORT
from gcn.report.canvas import GREY, LABEL, Axes, Canvas, Curve, Points, paler
from gcn.report.plots import BLUE, COLOURS, CYCLE, ORANGE, RED, VERDICT_COLOURS

Rows = Sequence[Mapping[str, Any]]

WIDTH, HEIGHT, ZOOM = 1430, 832, 2
LEFT, RIGHT, BETWEEN = 66, 66, 136  # pixels for the numbers and labels of the axes
ABOVE, MIDDLE, BELOW = 40, 66, 58
PALE = 0.35  # opacity of a curve that another one is compared with
NO_TERM = {"grad_norm", "total", "logit_real", "logit_fake", "logit_gap", "accuracy"}


def curves(path: str | os.PathLike[str], rows: Rows, verdict: Any = None) -> Path:
    """Draw the curves of a run from the rows of its ``metrics.csv``: six plots over the generator's updates.

    Args:
        path: of the PNG. rows: mappings with ``step``; what was not measured may be missing, None or NaN.
        verdict: a :class:`gcn.metrics.stability.Verdict` for the title, or None. Unless stable, its step is
            marked.
    """
    page, path = Canvas(WIDTH, HEIGHT, ZOOM), Path(path)
    top = ABOVE
    if verdict is not None:
        for line in _wrapped(page, f"{verdict.name}, step {verdict.step}: {verdict.reason}"):
            page.text(14, top - 20, line, LABEL + 2, VERDICT_COLOURS[verdict.name])
            top += 24
    plots = [draw(rows) for draw in PLOTS]
    steps = [x for axes in plots for curve in axes.curves for x, _ in curve.points] or [0.0, 1.0]
    room = 0.05 * (max(steps) - min(steps)) or 1.0
    over = (min(steps) - room, max(steps) + room)
    wide, high = (WIDTH - LEFT - RIGHT - 2 * BETWEEN) / 3, (HEIGHT - top - MIDDLE - BELOW) / 2
    for index, axes in enumerate(plots):
        x, y = LEFT + index % 3 * (wide + BETWEEN), top + index // 3 * (high + MIDDLE)
        axes.draw(page, (x, y, x + wide, y + high), over, below=index >= 3)
        if (
            verdict is not None
            and verdict.name not in ("stable", TOO_SHORT)
            and over[0] <= verdict.step <= over[1]
        ):
            at = x + wide * (verdict.step - over[0]) / (over[1] - over[0])
            page.line([(at, y), (at, y + high)], VERDICT_COLOURS[verdict.name], dash=2)
        if index >= 3:
            page.text(x + wide / 2, y + high + 36, "generator updates", LABEL, anchor="mm")
    make_folder(path.parent)
    with replacing(path) as partial:
        image = page.done().quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        image.save(partial, "PNG", optimize=True)
    return path


def _wrapped(page: Canvas, text: str) -> list[str]:
    """Lines of a text that are at most as long as the page is wide."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if page.width_of(longer, LABEL + 2) < WIDTH - 28 or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _points(rows: Rows, name: str) -> Points:
    return [
        (float(row["step"]), float(row[name]))
        for row in rows
        if row.get(name) is not None and np.isfinite(row[name])
    ]


def _curve(rows: Rows, name: str, colour: str, label: str = "", **options: Any) -> list[Curve]:
    """A column as a curve; none where it was not measured."""
    points = _points(rows, name)
    return [Curve(points, colour, label, **options)] if points else []


def _names(rows: Rows, prefix: str) -> list[str]:
    """Columns directly below a prefix, in the order of their appearance."""
    seen = dict.fromkeys(name for row in rows for name in row if name.startswith(prefix))
    return [name for name in seen if "/" not in name.removeprefix(prefix)]


def _terms(rows: Rows) -> Axes:
    axes = Axes("terms, unweighted (G solid, D dashed)")
    for player in "gd":
        names = [n for n in _names(rows, f"train/{player}/") if n.rsplit("/", 1)[1] not in NO_TERM]
        for name, colour in zip(names, CYCLE * len(names), strict=False):
            label = f"{player.upper()} {name.rsplit('/', 1)[1]}"
            axes.curves += _curve(rows, name, colour, label, dashed=player == "d")
    drawn = [y for curve in axes.curves for _, y in curve.points]
    positive = [abs(value) for value in drawn if value]
    if positive and min(drawn) > 0:
        axes.scale = "log"
    elif positive and max(positive) > 100 * float(np.median(positive)):
        axes.scale = "symlog"
    return axes


def _logits(rows: Rows) -> Axes:
    axes = Axes("D's mean logits (high: real)", zero=True)
    for name, label, colour in (("real", "x", BLUE), ("fake", "x̂", RED), ("gap", "gap", GREY)):
        axes.curves += _curve(rows, f"train/d/logit_{name}", colour, label)
    return axes


def _gradients(rows: Rows) -> Axes:
    axes = Axes("norms of the parameters' gradients")
    for player, colour in (("g", BLUE), ("d", RED)):
        axes.curves += _curve(rows, f"train/{player}/grad_norm", colour, player.upper())
    if any(y > 0 for curve in axes.curves for _, y in curve.points):
        axes.scale = "log"
    return axes


def _rate_distortion(rows: Rows) -> Axes:
    axes = Axes(
        "distortion and rate", left=("PSNR, dB (pale: train)", BLUE), right=("bits per pixel", ORANGE)
    )
    axes.curves += _curve(rows, "train/psnr", paler(BLUE, PALE)) + _curve(rows, "val/psnr", BLUE)
    axes.curves += _curve(rows, "val/bpp", ORANGE, right=True)
    return axes


def _realism(rows: Rows) -> Axes:
    floor = _curve(rows, "val/swd_floor", paler(BLUE, PALE))  # of generators from noise
    remark = " (pale: floor)" if floor else ""
    labels = (f"sliced Wasserstein{remark}", BLUE), ("jitter, grey levels", ORANGE)
    axes = Axes("realism and jitter", left=labels[0], right=labels[1])
    axes.curves += _curve(rows, "val/swd", BLUE) + floor
    axes.curves += _curve(rows, "val/jitter", ORANGE, right=True)
    return axes


def _cosines(rows: Rows) -> Axes:
    axes = Axes("cosines of G's gradients at x̂", limits=(-1.05, 1.05), zero=True)
    names = _names(rows, "train/g/cosine/")
    for name, colour in zip(names, CYCLE * len(names), strict=False):
        axes.curves += _curve(rows, name, colour, name.rsplit("/", 1)[1])
    return axes


PLOTS = (_terms, _logits, _gradients, _rate_distortion, _realism, _cosines)
