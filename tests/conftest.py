"""One thread: the networks of the tests are so small that threads cost more than they bring."""

import gc
import os
import signal
import sys
from contextlib import contextmanager

# Of the processes that tests start as well. Where a test asks for several threads, those that have nothing to do sleep
# instead of keeping a processor busy. OpenMP reads both when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import gcn.commands  # noqa: F401, I001 - first: libraries are imported as programs import them, compilers later

import pytest
import torch
from blank_figure import blank
from generators import build, spread
from hypothesis import settings

torch.set_num_threads(1)

# A shell lets what it starts in the background ignore SIGINT, nohup lets it ignore SIGHUP, and processes inherit that:
# tests send both to their own.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):  # Windows has none
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("shared", deadline=None)  # a busy machine is no failure
settings.load_profile("shared")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection():
    """What is imported and collected stays to the end: the garbage collector need not go through it again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(7000, 10, 10)
        gc.enable()


def pytest_unconfigure():
    gc.unfreeze()  # so that libraries that count their objects at the end miss none


@pytest.fixture(scope="session")
def generator():
    """A codec by the name of its yaml."""
    return build


@pytest.fixture(scope="session")
def spread_generator():
    """The same with many different symbols."""
    return lambda name, factor=4.0, **options: spread(build(name, **options), factor)


@pytest.fixture(scope="module")
def native_convolutions():
    """Convolutions without oneDNN, which takes most of the time of those in the games of ``training/small.py``."""
    with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
        yield


@pytest.fixture(scope="session", autouse=True)
def _runs_draw_no_curves():
    fit = sys.modules.get("gcn.training.fit")
    with pytest.MonkeyPatch.context() as patch:
        if fit:  # else no test module trains
            patch.setattr(fit, "curves", blank)
        yield


@pytest.fixture
def drawn(monkeypatch):
    """Runs of this test draw their curves."""
    from gcn.report.run_curves import curves

    monkeypatch.setattr("gcn.training.fit.curves", curves)


@pytest.fixture(scope="session")
def coarsely():
    """A context in which figures have few pixels, stream lines and ticks, and parts that are not arranged.

    Ticks that a figure sets itself are drawn. With ``svg=False`` the same is not drawn a second time as SVG.
    """
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    draw, streamplot = FigureCanvasAgg.draw, Axes.streamplot

    def coarse(canvas):
        canvas.figure.set_layout_engine("none")
        canvas.figure.set_dpi(40)
        for axis in (axis for axes in canvas.figure.axes for axis in (axes.xaxis, axes.yaxis)):
            axis.set_minor_locator(NullLocator())
            if not isinstance(axis.get_major_locator(), FixedLocator):
                axis.set_major_locator(NullLocator())
        draw(canvas)

    def sparse(axes, *arguments, **options):
        return streamplot(axes, *arguments, **options | {"density": 0.2})

    def save(figure, file, *, metadata, **_):  # an SVG, without a first drawing that only arranges the parts
        FigureCanvasSVG(figure).print_svg(file, metadata=metadata)

    def leave_empty(figure, file, **_):
        file.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')

    @contextmanager
    def drawing(svg=True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FigureCanvasAgg, "draw", coarse)
            patch.setattr(Axes, "streamplot", sparse)
            patch.setattr(Figure, "savefig", save if svg else leave_empty)
            yield

    return drawing


@pytest.fixture
def coarse_figures(coarsely):
    """Coarse figures, for tests of what is around them."""
    with coarsely():
        yield


@pytest.fixture
def coarse_pngs(coarsely):
    """Coarse figures with empty SVG files."""
    with coarsely(svg=False):
        yield


@pytest.fixture
def empty_figures(monkeypatch):
    """Figures on which nothing is drawn, for tests that look at none."""
    monkeypatch.setattr("matplotlib.figure.Figure.draw", lambda figure, renderer: None)


@pytest.fixture(autouse=True)
def environment():
    """Variables that a test sets, or a library in it (torch.distributed: MASTER_PORT), end with the test."""
    before = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    yield
    for name in [name for name in os.environ if name not in before and not name.startswith("PYTEST_")]:
        del os.environ[name]
    os.environ.update(before)
