"""A trajectory as a film (GIF)."""

from pathlib import Path
from typing import Any

import numpy as np

from gcn.files.atomic import replacing
from gcn.lab.examine import Examination
from gcn.lab.figure import field, numbers
from gcn.report.plots import BLUE, GREY, STYLE

FRAMES, MILLISECONDS = 120, 50


def film(path: Path, run: Examination) -> Path:
    """Write a GIF of the trajectory in its field, with the coordinates beside it; the field is drawn once."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    updates = len(run.path) - 1
    steps = [*range(0, updates, max(1, updates // FRAMES)), updates]
    whole = run.path[:, [0, run.ensemble.split]].numpy()
    with rc_context(STYLE):
        figure = Figure((8, 3.8), dpi=90, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        field(left, run.ensemble, [run.path], run.rest.point)
        numbers(right, run)
        left.lines[0].remove()
        (trail,) = left.plot([], [], color=BLUE, linewidth=1.3, animated=True)
        (head,) = left.plot([], [], "o", color=BLUE, markersize=8, zorder=6, animated=True)
        marker = right.axvline(0, color=GREY, linewidth=0.9, animated=True)
        canvas.draw()
        figure.set_layout_engine("none")
        background = canvas.copy_from_bbox(figure.bbox)
        frames: list[Any] = []
        for step in steps:
            canvas.restore_region(background)
            trail.set_data(*whole[: step + 1].T)
            head.set_data(*whole[step : step + 1].T)
            marker.set_xdata([step, step])
            for axes, artist in ((left, trail), (left, head), (right, marker)):
                axes.draw_artist(artist)
            picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
            frames.append(picture.quantize(64))
    with replacing(path) as partial:
        frames[0].save(partial, "GIF", save_all=True, append_images=frames[1:], duration=MILLISECONDS, loop=0)
    return path
