"""Validation on whole images, reconstructed as a decoder of the file would."""

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import interpolate

from gcn.codec.container import read, write
from gcn.data.loader import Whole
from gcn.errors import InputError
from gcn.game.game import Game
from gcn.game.reduction import of_first_rank, world_size
from gcn.game.turn import mean_over_scales
from gcn.metrics.classical import jpeg_psnr
from gcn.metrics.fidelity import ms_ssim, ms_ssim_scales, psnr
from gcn.metrics.realism import real_floor, sliced_wasserstein
from gcn.models.codec import Codec

SEED = 0  # of patches and directions, the same for every run


@dataclass
class Decoded:
    """One reconstructed image; ``x`` and ``x_hat`` (3, H, W) in [0, 1], on the CPU."""

    name: str
    x: Tensor
    x_hat: Tensor
    bits: float  # estimated
    file_bytes: int | None  # of the real file
    spread: Tensor  # (M,), range of each latent channel

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.x.shape[-2] * self.x.shape[-1]


@dataclass
class Evaluation:
    """All images of a validation and their measurements."""

    images: list[Decoded]
    values: dict[str, float] = field(default_factory=dict)

    def named(self, stage: str) -> dict[str, float]:
        """The values by their names in tables and loggers: ``val/psnr``, …"""
        return {f"{stage}/{name}": value for name, value in self.values.items()}


def coding_copy(generator: Codec, average: Mapping[str, Tensor] | None) -> Codec:
    """A copy of the codec that can code, with the averaged weights where there are any."""
    if average:
        generator = copy.deepcopy(generator)
        with torch.no_grad():
            for name, parameter in generator.named_parameters():
                if name in average:
                    parameter.copy_(average[name])
    return generator.for_coding()


@torch.no_grad()
def evaluate(codec: Codec, images: Sequence[Whole], device: torch.device, files: bool = False) -> Evaluation:
    """Reconstruct whole images with a coding copy of the codec, and measure them.

    Args:
        codec: from :func:`coding_copy`.
        images: of this process: named tensors (1, 3, H, W) in [0, 1].
        device: of the codec.
        files: write and read back real files, and count their bytes.

    Returns:
        The images of *all* processes, and means over images: ``psnr`` (dB), ``ms_ssim`` (of those that are large
        enough), ``swd``; ``bpp`` and ``bpp_actual`` are all bits over all pixels; ``dead_channels`` is the share of
        latent channels that are constant over all images.
    """
    return joint([decoded(codec, name, image.to(device), files) for name, image in images])


@torch.no_grad()
def decoded(codec: Codec, name: str, x: Tensor, files: bool = False) -> Decoded:
    """Reconstruct an image (1, 3, H, W) in [0, 1], on the codec's device; ``files``: through a real file as well."""
    out = codec.reconstruct(x)
    size = _file_bytes(codec, name, x, out.x_hat) if files else None
    bits = sum(-p.double().log2().sum().item() for p in out.likelihoods.values())
    assert out.y_hat is not None
    spread = out.y_hat.amax((0, 2, 3)) - out.y_hat.amin((0, 2, 3))
    return Decoded(name, x[0].cpu(), out.x_hat[0].clamp(0, 1).cpu(), bits, size, spread.cpu())


@torch.no_grad()
def with_files(codec: Codec, evaluation: Evaluation, device: torch.device) -> Evaluation:
    """An evaluation by this very codec with the bytes of real files added, which are written and read back."""
    images = [
        replace(image, file_bytes=_file_bytes(codec, image.name, image.x[None].to(device), image.x_hat[None]))
        for image in evaluation.images
    ]
    return Evaluation(images, evaluation.values | _file_rate(images))


def _file_bytes(codec: Codec, name: str, x: Tensor, x_hat: Tensor) -> int:
    data = write(codec, x)
    if not torch.equal(read(codec, data).to(x_hat.device), x_hat.clamp(0, 1)):
        raise RuntimeError(f"{name}: the decoded file is not the codec's own reconstruction")
    return len(data)


def _file_rate(images: Sequence[Decoded]) -> dict[str, float]:
    bits = 8 * sum(image.file_bytes or 0 for image in images)
    return {"bpp_actual": bits / sum(image.pixels for image in images)}


def joint(mine: list[Decoded]) -> Evaluation:
    """The images of all processes, which call this together, with their measurements.

    Raises:
        InputError: there is no image.
    """
    everything = gather(mine)
    if not everything:
        raise InputError("no validation image can be read any more; bring the files back")
    return Evaluation(everything, of_first_rank(lambda: measure(everything).values))


def gather(mine: list[Decoded]) -> list[Decoded]:
    """The images of all processes in the order of a single process."""
    world = world_size()
    if world == 1:
        return mine
    shares: list[list[Decoded]] = [[] for _ in range(world)]
    dist.all_gather_object(shares, mine)
    return [share[i] for i in range(max(map(len, shares))) for share in shares if i < len(share)]


def measure(images: list[Decoded]) -> Evaluation:
    """Metrics of a set of decoded images, by name."""
    pixels = sum(image.pixels for image in images)
    xs, x_hats = [image.x for image in images], [image.x_hat for image in images]
    values = {
        "psnr": _mean(psnr(x[None], y[None]) for x, y in zip(xs, x_hats, strict=True)),
        "ms_ssim": _mean(
            ms_ssim(x[None], y[None])
            for x, y in zip(xs, x_hats, strict=True)
            if ms_ssim_scales(*x.shape[-2:])  # smaller images have none
        ),
        "swd": sliced_wasserstein(xs, x_hats, SEED)["mean"],
        "bpp": sum(image.bits for image in images) / pixels,
        "dead_channels": float((torch.stack([i.spread for i in images]).amax(0) == 0).float().mean()),
    }
    if images[0].file_bytes is not None:
        values |= _file_rate(images)
    return Evaluation(images, values)


def against_jpeg(evaluation: Evaluation) -> dict[str, float]:
    """PSNR of JPEG 4:2:0 at the codec's own file bits, and the floor of the sliced Wasserstein distance."""
    xs = [image.x for image in evaluation.images]
    bpp = evaluation.values["bpp_actual"]
    return {
        "jpeg_psnr": jpeg_psnr(xs, False, bpp),
        "jpeg_optimised_psnr": jpeg_psnr(xs, True, bpp),
        "swd_floor": real_floor(xs, SEED)["mean"],
    }


def can_discriminate(game: Game, height: int, width: int) -> bool:
    """Whether the game has a discriminator that accepts images of this size in pixels."""
    discriminator: Any = game.discriminator
    if discriminator is None or game.objective.loss is None:
        return False
    try:
        discriminator.check_input(height, width)
    except InputError:
        return False
    return True


@torch.no_grad()
def logit_map(game: Game, codec: Codec, image: Decoded, device: torch.device) -> Tensor | None:
    """D's logits (h, w) on a reconstruction, the mean of all scales at the finest scale's size; D is not changed.

    None where the image is too small for D.
    """
    discriminator = game.discriminator
    if discriminator is None or not can_discriminate(game, *image.x.shape[-2:]):
        return None
    training = discriminator.training
    discriminator.eval()
    try:
        x = image.x[None].to(device)
        out = codec.reconstruct(x)
        scales = [logits[:1].float() for logits in discriminator(out.x_hat, out.y_hat).logits]
        finest = max((scale.shape[-2:] for scale in scales), key=lambda size: size[0] * size[1])
        return mean_over_scales([interpolate(scale, finest) for scale in scales])[0, 0].cpu()
    finally:
        discriminator.train(training)


def centre(image: Decoded, side: int) -> tuple[slice, slice]:
    """Rows and columns of the central crop of at most ``side`` pixels, on multiples of 16."""
    starts = [max(0, (length - side) // 2) // 16 * 16 for length in image.x.shape[-2:]]
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)


def _mean(values: Iterable[Tensor]) -> float:
    numbers: Sequence[float] = [float(value) for value in values]
    return sum(numbers) / len(numbers) if numbers else math.nan
