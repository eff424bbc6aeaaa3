"""Which way each number of a run is better; sweeps read it to improve a number, and no other file says it."""

import math

HIGHER, LOWER = "higher", "lower"
BETTER = {
    "psnr": HIGHER,  # dB
    "ms_ssim": HIGHER,
    "swd": LOWER,  # sliced Wasserstein distance
    "bpp": LOWER,  # bits per pixel, estimated
    "bpp_actual": LOWER,  # and of the files
    "dead_channels": LOWER,  # share of latent channels that are constant
    "jitter": LOWER,  # grey levels between two validations
    "seconds": LOWER,  # of the training
}
LOSS = "train/g/"  # begins the columns of the generator's loss terms, of which less is better


def better(name: str) -> str | None:
    """``higher`` or ``lower``; None for a number that is better neither way, or not declared.

    Args:
        name: an entry of ``summary.json`` (``psnr``), or a column of ``metrics.csv`` (``val/psnr``, ``train/g/mse``).
    """
    if name.startswith(LOSS):
        return LOWER
    return BETTER.get(name.removeprefix("val/").removeprefix("train/"))


def worst(name: str) -> float:
    """The value of a diverged run: infinity with the sign that is worse for this number."""
    return -math.inf if better(name) == HIGHER else math.inf
