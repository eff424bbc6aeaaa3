"""The scripts of the codec as a user types them, in this process, and pictures to type them for."""

import importlib
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
RNG = np.random.default_rng(0)


def script(name):
    """A command, in this process, with words that need not be texts."""
    main = importlib.import_module(f"gcn.commands.{name}").main
    return lambda *words: main(list(map(str, words)))


compress, decompress, export = map(script, ("compress", "decompress", "export"))


def picture(height, width, mode="RGB"):
    """Smooth colours with some noise."""
    coarse = RNG.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    noisy = (smooth + RNG.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(noisy).convert(mode)


def error_of(capsys, code):
    assert code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said
