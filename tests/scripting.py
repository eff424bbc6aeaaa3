"""The scripts of the codec as a user types them, in this process, and pictures to type them for."""

import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
RNG = np.random.default_rng(0)


def script(name):
    """The ``main`` of a script, in this process."""
    spec = importlib.util.spec_from_file_location(f"script_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def main(*words):
        from gcn.cli.arguments import run

        return run(list(map(str, words)), module.OPTIONS, module.USAGE, "", module.work)

    return main


compress, decompress, export = script("compress"), script("decompress"), script("export")


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
