"""The theory as figures, each computed by the production losses, terms and rules; closed forms are drawn over them.

Each function writes ``path.png`` and ``path.svg`` (``path`` has no suffix) and returns the path.

opening      one run; circles and spirals; what a hasty derivation gets wrong
damping      the same spectrum by four hands; the slow mode; two methods together
pulls        Nagarajan-Kolter, consensus, JARE, SGA: what each adds to the field
equilibria   lossy games, where D stays at work; the wrong point of a one-centred penalty
dimensions   many modes and D's kernel; the uniform example
discrete     the bilinear game; critical step sizes
adaptive     Adam and its betas
losses       the flow of ns; the forces of relativistic losses
lecture      divergences: earth, segments, costs, one Gaussian for two, the best D (in gcn.lab.lecture)
"""

import time
from collections.abc import Callable
from pathlib import Path

from gcn.lab.gallery.adaptive import adam
from gcn.lab.gallery.damping import complementary, same_spectrum, slow_mode
from gcn.lab.gallery.dimensions import modes_nd, uniform
from gcn.lab.gallery.discrete import bilinear, step_sizes
from gcn.lab.gallery.equilibria import lossy, wrong_point
from gcn.lab.gallery.losses import non_saturating, relativistic
from gcn.lab.gallery.opening import circles, missing_square, run
from gcn.lab.gallery.pulls import penalties
from gcn.lab.lecture import costs, one_gaussian, optimal_discriminator, piles, segments

FIGURES: dict[str, Callable[[Path], Path]] = {
    "run": run,
    "circles": circles,
    "same_spectrum": same_spectrum,
    "slow_mode": slow_mode,
    "complementary": complementary,
    "lossy": lossy,
    "wrong_point": wrong_point,
    "modes_nd": modes_nd,
    "uniform": uniform,
    "bilinear": bilinear,
    "penalties": penalties,
    "step_sizes": step_sizes,
    "adam": adam,
    "non_saturating": non_saturating,
    "relativistic": relativistic,
    "missing_square": missing_square,
    "piles": piles,
    "segments": segments,
    "optimal_discriminator": optimal_discriminator,
    "costs": costs,
    "one_gaussian": one_gaussian,
}


def draw(name: str, folder: Path) -> float:
    """Draw a figure of the gallery into a folder, under its name; returns the seconds it took."""
    begin = time.monotonic()
    FIGURES[name](folder / name)
    return time.monotonic() - begin
