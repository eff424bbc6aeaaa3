"""Axes and curves drawn with Pillow, for the two figures that every run draws.

matplotlib takes more than a second to import and another to draw them, which is a quarter of a short run. Its fonts are
used where it is installed. Lines are drawn at twice their size and scaled down, which smooths them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageColor, ImageDraw, ImageFont

Points = Sequence[tuple[float, float]]  # of a curve: update and value
Scale = Callable[[float], float]

GREY, PALE = "#555555", "#e6e6e6"
TITLE, LABEL, SMALL = 16, 14, 13  # pixels of the letters
_TICKS = 5  # numbers at an axis, about
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """DejaVu Sans as matplotlib brings it, or Pillow's own font; ``size`` in pixels."""
    spec = find_spec("matplotlib")
    name = f"mpl-data/fonts/ttf/DejaVuSans{'-Bold' if bold else ''}.ttf"
    if spec is not None and spec.origin is not None and (file := Path(spec.origin).parent / name).is_file():
        return ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.BASIC)
    return ImageFont.load_default(size)


class Canvas:
    """A white page of ``width`` × ``height`` pixels, drawn ``zoom`` times as large."""

    def __init__(self, width: int, height: int, zoom: int = 1) -> None:
        self.size, self.zoom = (width, height), zoom
        self.image = Image.new("RGB", (zoom * width, zoom * height), "white")
        self.pen = ImageDraw.Draw(self.image)

    def text(
        self, x: float, y: float, text: str, size: int = SMALL, colour: str = GREY, anchor: str = "lm",
        bold: bool = False,
    ) -> None:  # fmt: skip
        """Write a line of text; ``anchor`` as in Pillow: ``lm`` puts its left end, at half of its height, at (x, y)."""
        place = (self.zoom * x, self.zoom * y)
        self.pen.text(place, text, fill=colour, font=font(self.zoom * size, bold), anchor=anchor)

    def upright(self, x: float, y: float, text: str, size: int, colour: str) -> None:
        """Write a line from bottom to top, with its centre at (x, y)."""
        left, top, right, bottom = font(self.zoom * size).getbbox(text)
        line = Image.new("RGB", (math.ceil(right - left), math.ceil(bottom - top)), "white")
        ImageDraw.Draw(line).text((-left, -top), text, fill=colour, font=font(self.zoom * size))
        line = line.transpose(Image.Transpose.ROTATE_90)
        self.image.paste(line, (int(self.zoom * x - line.width / 2), int(self.zoom * y - line.height / 2)))

    def width_of(self, text: str, size: int) -> float:
        """Width of a line of text in pixels."""
        return font(self.zoom * size).getlength(text) / self.zoom

    def line(self, points: Points, colour: str, width: float = 1.0, dash: float = 0.0) -> None:
        """Draw a line through points; ``dash``: length of dashes and gaps in pixels, 0 for none."""
        places = [(self.zoom * x, self.zoom * y) for x, y in points]
        thick = max(1, round(self.zoom * width))
        if not dash:
            self.pen.line(places, fill=colour, width=thick, joint="curve")
            return
        for part in _dashes(places, self.zoom * dash):
            self.pen.line(part, fill=colour, width=thick)

    def rule(self, x0: float, y0: float, x1: float, y1: float, colour: str) -> None:
        """Draw a horizontal or vertical line, sharp and one pixel wide."""
        x0, y0, x1, y1 = (self.zoom * round(value) for value in (x0, y0, x1, y1))
        self.pen.rectangle((x0, y0, x1 + self.zoom - 1, y1 + self.zoom - 1), fill=colour)

    def dot(self, x: float, y: float, radius: float, colour: str) -> None:
        """Draw a filled circle."""
        x, y, radius = (self.zoom * value for value in (x, y, radius))
        self.pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def done(self) -> Image.Image:
        """The page at its own size."""
        return self.image if self.zoom == 1 else self.image.resize(self.size, Image.Resampling.BOX)


@dataclass
class Curve:
    """Points of a curve with its colour; ``label`` is shown in the legend, ``right``: its axis is the right one."""

    points: Points
    colour: str
    label: str = ""
    dashed: bool = False
    right: bool = False


@dataclass
class Axes:
    """One plot: curves over the updates, with one scale on the left and perhaps another on the right.

    Attributes:
        title: above the plot.
        scale: ``linear``, ``log``, or ``symlog``, which is linear between -1 and 1 and logarithmic beyond.
        limits: of the left axis; None: from the curves.
        zero: draw a line at 0.
        left, right: labels of the axes with their colours; empty for none.
    """

    title: str
    curves: list[Curve] = field(default_factory=list)
    scale: str = "linear"
    limits: tuple[float, float] | None = None
    zero: bool = False
    left: tuple[str, str] = ("", GREY)
    right: tuple[str, str] = ("", GREY)

    def draw(
        self, page: Canvas, box: tuple[float, float, float, float], over: tuple[float, float], below: bool
    ) -> None:
        """Draw the plot into a box (left, top, right, bottom).

        Args:
            page: the page.
            box: in pixels, without title, numbers and labels.
            over: first and last update.
            below: write the numbers of the updates.
        """
        x0, y0, x1, y1 = box
        page.text(x0, y0 - 12, self.title, TITLE, "black")
        across = _onto(over, (x0, x1), lambda value: value)
        for step, shown in _numbers(over):
            page.rule(across(step), y0, across(step), y1, PALE)
            if below:
                page.text(across(step), y1 + 12, shown, anchor="mm")
        if not self.curves:
            page.text((x0 + x1) / 2, (y0 + y1) / 2, "not measured", LABEL, "#aaaaaa", "mm")
        for right in (False, True):
            self._side(page, box, across, right)
        page.rule(x0, y0, x0, y1, GREY)
        page.rule(x0, y1, x1, y1, GREY)
        self._legend(page, box, across)

    def _side(self, page: Canvas, box: tuple[float, float, float, float], across: Scale, right: bool) -> None:
        """Draw numbers and curves of the left or of the right axis."""
        x0, y0, x1, y1 = box
        curves = [curve for curve in self.curves if curve.right == right]
        label, colour = self.right if right else self.left
        if label:
            page.upright(x1 + 52 if right else x0 - 50, (y0 + y1) / 2, label, LABEL, colour)
        if not curves:
            return
        scale = "linear" if right else self.scale
        values = [y for curve in curves for _, y in curve.points if scale != "log" or y > 0]
        limits = (None if right else self.limits) or _around(values, scale)
        up = _onto(limits, (y1, y0), _scale(scale))
        for value, number in _numbers(limits, scale):
            if not right:
                page.rule(x0, up(value), x1, up(value), PALE)
            page.text(*((x1 + 6, up(value), number) if right else (x0 - 6, up(value), number)), colour=colour,
                      anchor="lm" if right else "rm")  # fmt: skip
        if self.zero and not right and limits[0] <= 0 <= limits[1]:
            page.rule(x0, up(0), x1, up(0), GREY)
        for curve in curves:
            shown = [(x, y) for x, y in curve.points if scale != "log" or y > 0]
            places = [(across(x), up(min(max(y, limits[0]), limits[1]))) for x, y in shown]
            page.line(places, curve.colour, 1.6, 6.0 if curve.dashed else 0.0)
            for x, y in places if len(places) < 25 else ():
                page.dot(x, y, 2.7, curve.colour)

    def _legend(self, page: Canvas, box: tuple[float, float, float, float], across: Scale) -> None:
        """Write the labels of the curves into the corner that has fewest points."""
        named = [curve for curve in self.curves if curve.label]
        if not named:
            return
        columns = 2 if len(named) > 4 else 1
        rows = -(-len(named) // columns)
        wide, line = max(page.width_of(curve.label, SMALL) for curve in named) + 38, 18
        x0, y0, x1, y1 = box
        scale = _scale(self.scale)
        values = [scale(y) for curve in self.curves for _, y in curve.points if self.scale != "log" or y > 0]
        low, high = min(values, default=0.0), max(values, default=1.0)
        places = [
            (across(x), y1 - (y1 - y0) * (scale(y) - low) / ((high - low) or 1))
            for curve in self.curves for x, y in curve.points if self.scale != "log" or y > 0
        ]  # fmt: skip
        size = (columns * wide, rows * line + 6)
        corners = [(x, y) for y in (y0 + 4, y1 - size[1] - 4) for x in (x1 - size[0] - 4, x0 + 6)]

        def hidden(corner: tuple[float, float]) -> int:
            left, top = corner
            return sum(left <= x <= left + size[0] and top <= y <= top + size[1] for x, y in places)

        left, top = min(corners, key=hidden)
        zoom = page.zoom
        page.pen.rectangle([zoom * v for v in (left, top, left + size[0], top + size[1])], fill="white")
        for index, curve in enumerate(named):
            x, y = left + wide * (index // rows) + 6, top + line * (index % rows) + line / 2 + 3
            page.line([(x, y), (x + 20, y)], curve.colour, 1.6, 6.0 if curve.dashed else 0.0)
            page.text(x + 26, y, curve.label, colour="black")


def paler(colour: str, opacity: float) -> str:
    """The colour as it looks on white with this opacity."""
    red, green, blue = (round(255 + opacity * (value - 255)) for value in ImageColor.getrgb(colour)[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"


def _scale(name: str) -> Scale:
    if name == "log":
        return math.log10
    if name == "symlog":
        return lambda v: v if abs(v) <= 1 else math.copysign(1 + math.log10(abs(v)), v)
    return lambda v: v


def _onto(limits: tuple[float, float], ends: tuple[float, float], scale: Scale) -> Scale:
    """The map of a scale's limits to pixels."""
    low, high = map(scale, limits)
    return lambda value: ends[0] + (ends[1] - ends[0]) * ((scale(value) - low) / (high - low))


def _around(values: Sequence[float], scale: str) -> tuple[float, float]:
    """Limits a little beyond all values."""
    low, high = min(values, default=1.0), max(values, default=1.0)
    if scale == "log":
        room = max(0.05 * (math.log10(high) - math.log10(low)), 0.02)
        return 10 ** max(math.log10(low) - room, -307), 10 ** min(math.log10(high) + room, 307)
    room = 0.05 * (high - low) or max(0.05 * abs(high), 0.05)
    return low - room, high + room


def _numbers(limits: tuple[float, float], scale: str = "linear") -> list[tuple[float, str]]:
    """Round numbers between the limits, with their text."""
    low, high = limits
    if scale == "linear":
        return _round_numbers(low, high)
    top = max(abs(low), abs(high))
    first = math.ceil(math.log10(low)) if scale == "log" else 0
    last = math.floor(math.log10(top)) if top > 0 else 0
    every = max(1, -(-(last - first) // _TICKS))
    powers = [
        (10.0**k, "10" + str(k).translate(_SUPERSCRIPT))
        for k in range(-(-first // every) * every, last + 1, every)
    ]
    if scale == "symlog":
        powers = [(-value, f"−{text}") for value, text in powers] + [(0.0, "0"), *powers]
        return [(value, text) for value, text in powers if low <= value <= high]
    if len(powers) > 1:
        return powers
    between = [m * 10.0**k for k in range(first - 1, last + 1) for m in (1, 2, 3, 5)]
    inside = [(value, f"{value:g}") for value in between if low <= value <= high]
    return inside if len(inside) > 1 else _round_numbers(low, high)


def _round_numbers(low: float, high: float) -> list[tuple[float, str]]:
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    numbers = [round(k * step, 12 - math.floor(math.log10(step))) for k in
               range(math.ceil(low / step), math.floor(high / step) + 1)]  # fmt: skip
    return [(value, f"{value + 0.0:.6g}".replace("-", "−")) for value in numbers]


def _dashes(places: Points, length: float) -> list[Points]:
    """The parts of a polyline that dashes of this length cover; gaps have the same length."""
    parts: list[Points] = []
    run: list[tuple[float, float]] = list(places[:1])
    left, on = length, True
    for (x, y), (x1, y1) in pairwise(places):
        far = math.hypot(x1 - x, y1 - y)
        gone = 0.0
        while far - gone > left:
            gone += left
            run.append((x + (x1 - x) * gone / far, y + (y1 - y) * gone / far))
            if on:
                parts.append(run)
            run, left, on = run[-1:], length, not on
        left -= far - gone
        run.append((x1, y1))
    return [*parts, run] if on and len(run) > 1 else parts
