import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def write():
    """Write an image of noise: ``write(path, height, width, seed)``; its pixels tell it from all others."""

    def save(path, height=24, width=20, seed=0):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return pixels

    return save


@pytest.fixture
def pictures(tmp_path, write):
    """A folder with twelve images, some of them nested."""
    for i in range(12):
        write(
            tmp_path / "pictures" / ("deep/er" if i % 3 == 0 else ".") / f"{i:02}.png", 20 + i, 31 - i, seed=i
        )
    return tmp_path / "pictures"
