"""Rate-distortion and rate-realism curves."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gcn.report.paper import named, paper_figure
from gcn.report.plots import BLUE, BROWN, GREEN, GREY, ORANGE, PURPLE, RED
from gcn.report.rates.published import of
from gcn.report.rates.rate_record import LEARNED, EvaluationRecord, PooledRow

LEARNED_COLOURS = (BLUE, RED, GREEN, PURPLE, ORANGE, BROWN)
CLASSICAL_STYLES = (
    ("#222222", "-"),
    ("#777777", "-"),
    ("#222222", "--"),
    ("#777777", "--"),
    ("#999999", ":"),
)


Label = tuple[str, Sequence[tuple[float, float]], str, bool]  # name, curve, colour, bold


class Metric(NamedTuple):
    """A metric with the label of its axis."""

    name: str
    label: str
    better: str  # up or down

    def of(self, row: PooledRow) -> float:
        """The metric's value at a point."""
        value = row.value(self.name)
        if self.name == "ms_ssim":
            return -10 * math.log10(1 - value) if value < 1 else math.nan
        return value


DISTORTION = (Metric("psnr", "PSNR (dB)", "up"), Metric("ms_ssim", "MS-SSIM (−10 log₁₀(1 − v), dB)", "up"))
REALISM = (
    Metric("swd", "sliced Wasserstein distance", "down"),
    Metric("c2st", "C2ST, bits", "down"),
    Metric("lpips", "LPIPS (AlexNet)", "down"),
    Metric("dists", "DISTS", "down"),
    Metric("fid_256", "FID/256", "down"),
    Metric("kid_256", "KID/256", "down"),
)


def rate_figures(record: EvaluationRecord, folder: Path, published: bool) -> list[Path]:
    """Draw ``rate_distortion`` and ``rate_realism`` as PNG and SVG; a metric that was not measured has no panel."""
    files = []
    for name, metrics in (("rate_distortion", DISTORTION), ("rate_realism", REALISM)):
        measured = [m for m in metrics if any(math.isfinite(m.of(row)) for row in record.pooled)]
        if not measured:
            continue
        path = folder / name
        with paper_figure(path, (4.8 * len(measured), 3.9), dpi=160) as figure:
            for axes, metric in zip(
                figure.subplots(1, len(measured), squeeze=False)[0], measured, strict=True
            ):
                _panel(axes, metric, record, published)
        files += [named(path, "png"), named(path, "svg")]
    return files


def _panel(axes: Any, metric: Metric, record: EvaluationRecord, published: bool) -> None:
    learned = record.series(LEARNED)
    labels: list[Label] = []
    colours = dict(zip(learned, LEARNED_COLOURS * len(learned), strict=False))
    styles = iter(CLASSICAL_STYLES * 9)
    for codec, rows in record.series().items():
        points = [(row.rate(metric.name), metric.of(row)) for row in rows if math.isfinite(metric.of(row))]
        if not points:
            continue
        if codec in learned:
            colour = colours[codec]
            axes.plot(
                *zip(*points, strict=True), color=colour, marker="o", markersize=4.5, linewidth=2, zorder=3
            )
        else:
            colour, dashes = next(styles)
            axes.plot(*zip(*points, strict=True), color=colour, linestyle=dashes, linewidth=1.1)
        labels.append((codec, points, colour, codec in learned))
    if metric.name == "swd" and math.isfinite(record.swd_floor):
        axes.axhline(record.swd_floor, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.annotate(
            "two draws of the originals", (0, record.swd_floor), (4, 2), xycoords=axes.get_yaxis_transform(),
            textcoords="offset points", fontsize=7, color=GREY,
        )  # fmt: skip
    if published:
        for curve in of(metric.name):
            points = [(bpp, values[metric.name]) for bpp, values in curve.points]
            axes.plot(
                *zip(*points, strict=True),
                color="#b08ad9",
                linestyle="--",
                linewidth=1,
                marker="s",
                markersize=3,
            )
            labels.append((f"{curve.codec}, published, {curve.data}", points, "#8a63b8", False))
    over = next((one for one in record.sets if one.metric == metric.name and one.left_out), None)
    images = f", {len(over.images)} of {len(over.images) + len(over.left_out)} images" if over else ""
    axes.set_title(f"{metric.label}{images}, {'higher' if metric.better == 'up' else 'lower'} is better")
    axes.set_xlabel("bit per pixel, of files")
    _limits(axes, metric, record, [point for _, points, _, _ in labels for point in points])
    _label(axes, labels)


def _limits(
    axes: Any, metric: Metric, record: EvaluationRecord, points: Sequence[tuple[float, float]]
) -> None:
    """Limits of the axes from the learned codecs' range with some room; classical curves may leave it."""
    own = [row for rows in record.series(LEARNED).values() for row in rows]
    rates = [row.rate(metric.name) for row in own] or [bpp for bpp, _ in points]
    low, high = 0.0, max(rates) * 1.45
    axes.set_xlim(low, high)
    inside = [value for bpp, value in points if bpp <= high] or [value for _, value in points]
    span = max(inside) - min(inside) or 1.0
    bottom = 0.0 if metric.name not in ("psnr", "ms_ssim") else min(inside) - 0.05 * span
    axes.set_ylim(bottom, max(inside) + 0.08 * span)


def _label(axes: Any, labels: Sequence[Label]) -> None:
    """Write names at the right end of the curves, moved apart where they would overlap."""
    right, (bottom, top) = axes.get_xlim()[1], axes.get_ylim()
    ends: list[tuple[float, str, str, bool, tuple[float, float]]] = []
    for name, points, colour, bold in labels:
        seen = [(bpp, value) for bpp, value in points if bpp <= right]
        if seen:
            ends.append((max(seen)[1], name, colour, bold, max(seen)))
    ends.sort()
    gap, least = (top - bottom) * 0.052, bottom
    places = []
    for height, *_ in ends:
        places.append(max(height, least))
        least = places[-1] + gap
    raised = sum(place - end[0] for place, end in zip(places, ends, strict=True)) / max(1, len(ends))
    shift = min(max(raised, max(places, default=0.0) - top), min(places, default=0.0) - bottom)
    for place, (_, name, colour, bold, point) in zip(places, ends, strict=True):
        axes.annotate(
            name, point, (1.03, place - shift), textcoords=axes.get_yaxis_transform(), color=colour, fontsize=8,
            fontweight="bold" if bold else "normal", va="center", annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": colour, "linewidth": 0.4, "shrinkA": 1, "shrinkB": 2, "relpos": (0, 0.5),
            },
        )  # fmt: skip
