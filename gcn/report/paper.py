"""Figures for papers: each as PNG and SVG, which depend on what is drawn and on nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gcn.files.atomic import replacing
from gcn.report.plots import COLOURS, STYLE, save_png


def named(path: Path, suffix: str) -> Path:
    """``path.suffix``; unlike :meth:`Path.with_suffix` it keeps the end of "theta_0.5"."""
    return path.with_name(f"{path.name}.{suffix}")


@contextmanager
def paper_figure(
    path: Path,
    size: tuple[float, float],
    dpi: int = 150,
    style: Any = None,
    colours: int | None = COLOURS,
) -> Iterator[Any]:
    """A figure of ``size`` inches, written as ``path.png`` and ``path.svg`` (``path`` has no suffix) at the end.

    No date and no random name is in the files. matplotlib's global state is left alone.

    Args:
        path: of the files; folders are made.
        size: width and height.
        dpi: pixels an inch of the PNG.
        style: settings of matplotlib beside those of all figures.
        colours: of the PNG's palette, at most 256; None keeps every colour, for figures of photographs.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({**STYLE, "svg.hashsalt": "gcn", **(style or {})}):
        figure = Figure(size, dpi=dpi, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        save_png(figure, named(path, "png"), colours)
        figure.set_layout_engine(
            "none"
        )  # arranged once: both files show the same, and it costs as much as drawing
        with replacing(named(path, "svg")) as partial:
            figure.savefig(partial, format="svg", metadata={"Date": None})
