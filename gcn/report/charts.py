"""Charts of a page: numbers for its script, and the same as a static picture for a reader without scripts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

WIDTH, HEIGHT = 560, 300  # the script of the page has the same
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 10, 34
MOST = 600  # points of a curve on a page
COLOURS = 8  # of the style sheet
Rows = Sequence[Mapping[str, Any]]
Points = list[tuple[float, float]]


class Series(NamedTuple):
    """A curve: its name and its points; ``colour`` is a number of the style sheet."""

    name: str
    points: Points
    colour: int
    dashed: bool = False


class Chart(NamedTuple):
    """A chart with its curves; ``svg`` is the static picture, whose texts are escaped."""

    id: str
    title: str
    axis: str
    series: Sequence[Series]
    log: bool
    svg: str

    def data(self) -> dict[str, Any]:
        """What the script of the page draws again."""
        return {
            "id": self.id,
            "axis": self.axis,
            "log": self.log,
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
    """Curves with their colours, those without a point left out; from the ninth on they are dashed."""
    kept = [(name, own) for name, own in named if own]
    return [Series(name, own, i % COLOURS, i // COLOURS % 2 == 1) for i, (name, own) in enumerate(kept)]


def chart(
    id: str, title: str, curves: Sequence[Series], axis: str = "update", log: bool = False
) -> Chart | None:
    """A chart, or None if no curve has a point; ``log`` where all values are positive."""
    if not curves:
        return None
    log = log and all(y > 0 for curve in curves for _, y in curve.points)
    return Chart(id, title, axis, curves, log, _svg(title, curves, axis, log))


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _svg(title: str, curves: Sequence[Series], axis: str, log: bool) -> str:
    def height(y: float) -> float:
        return math.log10(y) if log else y

    xs = [x for curve in curves for x, _ in curve.points]
    ys = [height(y) for curve in curves for _, y in curve.points]
    by = abs(xs[0]) * 0.5 or 1.0
    x0, x1 = (min(xs), max(xs)) if min(xs) < max(xs) else (xs[0] - by, xs[0] + by)
    pad = (max(ys) - min(ys)) * 0.05 or abs(ys[0]) * 0.1 + 1e-6
    y0, y1 = min(ys) - pad, max(ys) + pad

    def across(x: float) -> float:
        return LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)

    def down(y: float) -> float:
        return TOP + (y1 - y) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)

    parts = []
    for tick in ticks(y0, y1):
        place = down(tick)
        label = shown(10**tick if log else tick)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place:.1f}" y2="{place:.1f}"/>'
        )
        parts.append(f'<text x="{LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{label}</text>')
    for tick in ticks(x0, x1):
        parts.append(
            f'<text x="{across(tick):.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{shown(tick)}</text>'
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
    """About four round numbers in an interval: 1, 2 or 5 times a power of ten."""
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def shown(value: float) -> str:
    """A number in few characters."""
    if value == 0:
        return "0"
    return f"{value:.1e}" if abs(value) >= 1e5 or abs(value) < 1e-3 else f"{value:.4g}"
