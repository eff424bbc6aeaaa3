"""A finished run on images it has not seen: real files against JPEG at the same bits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gcn.assemble import load_codec
from gcn.build import build
from gcn.config import load
from gcn.data.loader import Whole, WholeImages
from gcn.data.scan import scan
from gcn.data.store import Store
from gcn.errors import InputError
from gcn.models.codec import Codec
from gcn.training.evaluate import against_jpeg, coding_copy, evaluate


def codec_of(run: Path) -> Codec:
    """The trained codec of a run folder, ready to code.

    Raises:
        InputError: not a run folder, or without a checkpoint.
    """
    if not (run / "config.yaml").is_file():
        raise InputError(f"run={run}: not a run folder; give one that scripts/train.py wrote")
    cfg = load(run)
    codec = build(cfg.generator)
    load_codec(codec, str(run))
    return coding_copy(codec, None)


def images_of(run: Path, root: str | None) -> Sequence[Whole]:
    """All usable images below a folder, or by default the run's own validation images."""
    if root is None:
        return build(load(run).data).val_images()
    found = scan(root)
    print(found.report(), flush=True)
    return WholeImages(Store(found.entries), [str(entry.path) for entry in found.entries])


def compare(run: Path, images: Sequence[Whole]) -> dict[str, Any]:
    """Rate, distortion and realism of a run's codec on whole images, beside JPEG.

    Returns:
        Means over images of ``psnr`` (dB), ``ms_ssim`` and ``swd``; ``bpp`` (estimate) and ``bpp_actual`` (bytes of the
        files) over all pixels; ``jpeg_psnr`` and ``jpeg_optimised_psnr`` (dB) at ``bpp_actual``.
    """
    result = evaluate(codec_of(run), images, torch.device("cpu"), files=True)
    return {"run": str(run), "images": len(result.images)} | result.values | against_jpeg(result)
