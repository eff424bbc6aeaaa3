"""Charts of a page: numbers for its script, and the same as a static picture for a reader without scripts."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

WIDTH, HEIGHT = 560, 300  # the script of the page has the same
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 10, 44
MOST = 600  # points of a curve on a page
COLOURS = 8  # of the style sheet
FAR = 1000  # times the interquartile range: values as far from the median leave a chart
MARKS = ((1,), (1, 3), (1, 2, 5))  # multiples of powers of ten at which a logarithmic axis may have ticks
Rows = Sequence[Mapping[str, Any]]
Points = list[tuple[float, float]]


class Series(NamedTuple):
    """A curve: its name and its points; ``colour`` is a number of the style sheet."""

    name: str
    points: Points
    colour: int
    dashed: bool = False


class Chart(NamedTuple):
    """A chart with its curves.

    Attributes:
        limits: least and greatest value that a linear axis shows; None: all.
        beyond: sentence about the values that it does not show, or nothing.
        svg: the static picture, whose texts are escaped.
    """

    id: str
    title: str
    axis: str
    series: Sequence[Series]
    log: bool
    limits: tuple[float, float] | None
    beyond: str
    svg: str

    def data(self) -> dict[str, Any]:
        """What the script of the page draws again."""
        return {
            "id": self.id,
            "axis": self.axis,
            "log": self.log,
            "limits": self.limits,
            "series": [s._asdict() for s in self.series],
        }


def points(rows: Rows, name: str) -> Points:
    """Finite values of a column over generator updates, at most ``MOST``; extremes are kept."""
    found = [(float(row["step"]), float(row[name])) for row in rows if _finite(row.get(name))]
    if len(found) <= MOST:
        return found
    size = math.ceil(len(found) / (MOST // 2))
    kept: Points = []
    for start in range(0, len(found), size):
        part = found[start : start + size]
        ends = {min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])}
        kept += sorted(ends)
    return kept


def series(named: Iterable[tuple[str, Points]]) -> list[Series]:
    """Curves, those without a point left out; colours go by the place in ``named``, from the ninth on dashed."""
    return [
        Series(name, own, i % COLOURS, i // COLOURS % 2 == 1) for i, (name, own) in enumerate(named) if own
    ]


def chart(
    id: str, title: str, curves: Sequence[Series], axis: str = "update", log: bool = False
) -> Chart | None:
    """A chart, or None if no curve has a point; ``log`` where all values are positive."""
    if not curves:
        return None
    log = log and all(y > 0 for curve in curves for _, y in curve.points)
    limits = _limits([y for curve in curves for _, y in curve.points])
    beyond = _beyond(curves, *limits) if limits else ""
    return Chart(id, title, axis, curves, log, limits, beyond, _svg(title, curves, axis, log, limits))


def _limits(values: Sequence[float]) -> tuple[float, float] | None:
    """Range of the values without those of a divergence, beside which all others would be one line; None: of all."""
    if len(values) < 8:
        return None
    low, middle, high = statistics.quantiles(values)
    kept = [v for v in values if abs(v - middle) <= FAR * (high - low)]
    return None if len(kept) == len(values) or high == low else (min(kept), max(kept))


def _beyond(curves: Sequence[Series], low: float, high: float) -> str:
    """Sentence that names the curves that leave the range, and how far they go."""
    gone = []
    for curve in curves:
        ends = (min(y for _, y in curve.points), max(y for _, y in curve.points))
        out = [
            shown(end) for end, leaves in zip(ends, (ends[0] < low, ends[1] > high), strict=True) if leaves
        ]
        gone += [f"{curve.name} (to {' and '.join(out)})"] if out else []
    return f"Leaves the range of the linear scale: {', '.join(gone)}."


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _svg(
    title: str, curves: Sequence[Series], axis: str, log: bool, limits: tuple[float, float] | None
) -> str:
    def height(y: float) -> float:
        return math.log10(y) if log else y

    xs = [x for curve in curves for x, _ in curve.points]
    low, high = limits if limits and not log else (-math.inf, math.inf)
    ys = [height(min(max(y, low), high)) for curve in curves for _, y in curve.points]
    by = abs(xs[0]) * 0.5 or 1.0
    x0, x1 = (min(xs), max(xs)) if min(xs) < max(xs) else (xs[0] - by, xs[0] + by)
    pad = (max(ys) - min(ys)) * 0.05 or abs(ys[0]) * 0.1 + 1e-6
    y0, y1 = min(ys) - pad, max(ys) + pad

    def across(x: float) -> float:
        return LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)

    def down(y: float) -> float:
        return TOP + (y1 - min(max(y, y0), y1)) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)

    parts = []
    for tick in log_ticks(10**y0, 10**y1) if log else ticks(y0, y1):
        place, label = down(height(tick)), shown(tick)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place:.1f}" y2="{place:.1f}"/>'
        )
        parts.append(f'<text x="{LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{label}</text>')
    for tick in (t for t in ticks(x0, x1) if axis != "update" or t.is_integer()):
        anchor = "end" if across(tick) > WIDTH - 3 * RIGHT else "middle"
        parts.append(
            f'<text x="{across(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="{anchor}">{shown(tick)}</text>'
        )
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{escape(axis)}</text>')
    for curve in curves:
        place_of = [(across(x), down(height(y))) for x, y in curve.points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in place_of)
        dashed = " dashed" if curve.dashed else ""
        colour = f"var(--c{curve.colour})"
        parts.append(f'<polyline class="line{dashed}" points="{line}" style="stroke:{colour}"/>')
        if len(place_of) < 25:
            parts += [
                f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3" style="fill:{colour}"/>'
                for x, y in place_of
            ]
    label = escape(f"{title} over {axis}")
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
    return head + "".join(parts) + "</svg>"


def ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers in an interval: multiples of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(high - low))
    found: list[float] = []
    for step in (5 * power, 2 * power, power, power / 2, power / 5):
        found = [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
        if len(found) > 2:
            break
    return found


def log_ticks(low: float, high: float) -> list[float]:
    """Three to about seven round numbers in an interval of positive numbers, for a logarithmic axis."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / 6))
    for marks in MARKS:
        found = [
            m * 10.0**e for e in range(first, last + 1, every) for m in marks if low <= m * 10.0**e <= high
        ]
        if len(found) > 2:
            return found
    return ticks(low, high)


def shown(value: float) -> str:
    """A number in few characters."""
    if value == 0:
        return "0"
    return f"{value:.1e}" if abs(value) >= 1e5 or abs(value) < 1e-3 else f"{value:.4g}"
