"""A codec that takes no time, and images for it."""

import numpy as np
from PIL import Image

from gcn.evaluation.settings import NUMBERS, Coded, Setting, stored
from gcn.report.rates.rate_record import LEARNED


class Rounding:
    """Keeps every pixel to a multiple of ``step``; counts the images that it codes."""

    def __init__(self, step):
        self.step, self.coded = step, 0

    def code(self, image):
        self.coded += 1
        pixels = stored(image)
        return Coded(
            500 + pixels.size // self.step, pixels // self.step * self.step, dict.fromkeys(NUMBERS, 0.1)
        )

    def setting(self):
        return Setting("rounding", str(self.step), LEARNED, f"id-{self.step}", lambda: self.code)


def photo(height, width, seed=0):
    """Smooth noise, (H, W, 3)."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
