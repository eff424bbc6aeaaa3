"""Data that all arms of a seed share: crops, validation crops and, with a frozen encoder, codec and latents.

With a frozen encoder latents are a function of the crop. They are computed once; an arm runs the decoder and the
discriminator alone. Trained jointly, an arm runs the whole codec from first weights that depend on the seed alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gcn.config.assemble import codec as first_codec
from gcn.config.build import build
from gcn.config.parse import Config, parse
from gcn.data.loader import order
from gcn.errors import InputError
from gcn.game.labelled import images_of
from gcn.game.protocols import GeneratorOutput
from gcn.game.streams import Stream, Streams
from gcn.models import package
from gcn.models.codec import Codec
from gcn.models.dcgan import DCGAN
from gcn.schema.plugins import of_settings
from gcn.study.arms import Arm, Protocol

SIDE = 128  # pixels of a validation crop
SEED = 0  # of a standard GAN's noise in validations
_ORDER = 72  # a purpose of random numbers


class Frozen(NamedTuple):
    """A codec whose encoder is not trained.

    Attributes:
        weights: of the codec, as loaded into each arm.
        start: (V, 3, 128, 128), the validation crops as this codec gives them.
        y_hat, val_y_hat: latents (P, M, h, w) of the training crops and of the validation crops.
        val_bpp: bits per pixel of the validation crops.
    """

    weights: Mapping[str, Tensor]
    start: Tensor
    y_hat: Tensor
    val_y_hat: Tensor
    val_bpp: float


@dataclass(frozen=True)
class Ground:
    """One seed's data: crops (P, 3, c, c) uint8, validation crops (V, 3, 128, 128) in [0, 1], and the frozen codec."""

    x: Tensor
    val_x: Tensor
    frozen: Frozen | None

    def double(self) -> "Ground":
        """The same data with latents in float64."""
        if self.frozen is None:
            return self
        known = {name: getattr(self.frozen, name).double() for name in ("y_hat", "val_y_hat")}
        return replace(self, val_x=self.val_x.double(), frozen=self.frozen._replace(**known))

    def starting_from(self, decoder: Mapping[str, Tensor]) -> "Ground":
        """The same data with other weights of the decoder, by their names in the codec, for arms to start from."""
        assert self.frozen is not None
        return replace(self, frozen=self.frozen._replace(weights={**self.frozen.weights, **decoder}))

    def indices(self, step: int, size: int, seed: int) -> Tensor:
        """Indices (B,) of the crops of an update, the same for every arm of a seed."""
        first = step * size
        positions = [divmod(k, len(self.x)) for k in range(first, first + size)]
        return torch.tensor([int(order(seed, _ORDER, epoch, len(self.x))[at]) for epoch, at in positions])

    def crops(self, indices: Tensor) -> Tensor:
        """The crops at these indices, a batch (B, 3, c, c) in [0, 1]."""
        return self.x[indices].float() / 255


def prepare(model: Path | None, protocol: Protocol, seed: int) -> Ground:
    """The data of a seed; ``model`` is the file of its codec, None where the arms train their own."""
    words = [*protocol.arm, *([] if protocol.joint else ["init_from=codec"]), f"seed={seed}"]
    cfg = parse(words, protocol.extra)
    data = build(cfg, "data")
    batches = map(images_of, data.train_loader(seed=seed, steps=-(-protocol.pool // cfg.data.batch)))
    x = torch.cat(list(batches))[: protocol.pool]
    val_x = _val_crops([image.x[0] for image in data.val_images()], protocol.val_crops)
    frozen = None if model is None else freeze(package.load(model, of_settings(cfg)), x, val_x)
    return Ground((x * 255).round().to(torch.uint8), val_x, frozen)


@torch.no_grad()
def freeze(codec: Codec, x: Tensor, val_x: Tensor) -> Frozen:
    """Latents of training crops (P, 3, c, c) and validation crops (V, 3, 128, 128), both in [0, 1]."""
    latents = [codec.quantise(codec.analyse(part)) for part in x.split(32)]
    seen = codec.quantise(codec.analyse(val_x))
    y_hat = torch.cat([part.y_hat for part in latents])
    weights = {name: value.clone() for name, value in codec.state_dict().items()}
    start = codec.synthesise(seen.y_hat, SIDE, SIDE)
    return Frozen(weights, start, y_hat, seen.y_hat, _bpp(seen.likelihoods, val_x))


def _bpp(likelihoods: Mapping[str, Tensor], x: Tensor) -> float:
    bits = -sum(float(part.double().log2().sum()) for part in likelihoods.values())
    return bits / (x.shape[0] * x.shape[-2] * x.shape[-1])


def _val_crops(images: list[Tensor], number: int) -> Tensor:
    """Crops on a grid, taken from the images in turn."""
    grids = []
    for image in images:
        rows, columns = (n // SIDE for n in image.shape[-2:])
        places = [(i * SIDE, j * SIDE) for i in range(rows) for j in range(columns)]
        grids.append([image[:, top : top + SIDE, left : left + SIDE] for top, left in places])
    if not any(grids):
        raise InputError(
            f"validation images: none has {SIDE}x{SIDE} pixels, the size of the crops that studies and margins use; "
            f"give larger images, or with data=digits data.crop={SIDE}"
        )
    turns = [grid[k] for k in range(max(map(len, grids))) for grid in grids if k < len(grid)]
    return torch.stack(turns[:number])


class Decoder(nn.Module):
    """A codec's synthesis as a generator, on latents that are computed once."""

    def __init__(self, codec: Codec, frozen: Frozen) -> None:
        super().__init__()
        self.g_s, self.centre, self.frozen = codec.g_s, codec.centre, frozen
        self._batches: list[tuple[Tensor, Tensor]] = []

    def set_batches(self, batches: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Set the batches that come next, as (crops, indices of the crops): x is not encoded, its latents are known."""
        self._batches = [(crops, self.frozen.y_hat[indices]) for crops, indices in batches]

    def forward(self, x: Tensor, noise: Stream) -> GeneratorOutput:
        """Reconstruction of a batch that :meth:`set_batches` has set; where there is one batch, of that."""
        known = [latents for crops, latents in self._batches if crops is x or len(self._batches) == 1]
        if not known:
            raise ValueError("these crops are none of the batches that were set")
        return GeneratorOutput(self.decode(known[0]), known[0], {})

    def decode(self, y_hat: Tensor) -> Tensor:
        """Reconstructions (B, 3, H, W) of latents (B, M, h, w), not clamped."""
        return self.g_s(y_hat) + self.centre  # type: ignore[no-any-return]

    def validate(self, val_x: Tensor) -> tuple[Tensor, float]:
        """Reconstructed validation crops (V, 3, 128, 128), and their bits per pixel."""
        return self.decode(self.frozen.val_y_hat), self.frozen.val_bpp

    def parts(self) -> dict[str, list[Any]]:
        """The parameters by part: all are the decoder's."""
        return {"decoder": list(self.g_s.parameters()), "aux": []}


class Whole(nn.Module):
    """A codec that is trained as a whole, encoder and decoder."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.codec, self.centre = codec, codec.centre

    @property
    def g_s(self) -> nn.Module:
        """The codec's synthesis, latents (B, M, h, w) to images (B, 3, 16h, 16w) less its centre."""
        return self.codec.g_s

    def set_batches(self, batches: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Does nothing: the codec encodes its batches."""

    def forward(self, x: Tensor, noise: Stream) -> GeneratorOutput:
        """Reconstruction of x by the codec's training proxy."""
        return self.codec(x, noise)  # type: ignore[no-any-return]

    def validate(self, val_x: Tensor) -> tuple[Tensor, float]:
        """Validation crops (V, 3, 128, 128) as a decoder of the file has them, and their bits per pixel."""
        out = self.codec.for_coding().reconstruct(val_x)
        return out.x_hat, _bpp(out.likelihoods, val_x)

    def parts(self) -> dict[str, list[Any]]:
        """The parameters of the codec by part."""
        return self.codec.parts()


class Samples(nn.Module):
    """A standard GAN's generator, ``generator=dcgan``: it has no code, and validation crops are of its own size.

    Attributes:
        side: of its images, in pixels.
    """

    def __init__(self, dcgan: DCGAN) -> None:
        super().__init__()
        self.dcgan, self.side = dcgan, dcgan.side

    def set_batches(self, batches: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Does nothing: there is nothing to encode."""

    def forward(self, x: Tensor, noise: Stream) -> GeneratorOutput:
        """Images (B, 3, side, side) from noise."""
        return self.dcgan(x, noise)  # type: ignore[no-any-return]

    def validate(self, val_x: Tensor) -> tuple[Tensor, None]:
        """Samples (V, 3, side, side) of fixed noise, and None: there is no rate, which is not a rate of 0."""
        return self.dcgan.for_coding().sample(len(val_x), Streams(SEED).at("validation")), None

    def parts(self) -> dict[str, list[Any]]:
        """The parameters by part: all are the decoder's."""
        return self.dcgan.parts()


def generator_of(cfg: Config, ground: Ground) -> Decoder | Whole | Samples:
    """The generator of an arm: the decoder of the seed's codec on its latents, a whole codec, or a standard GAN's."""
    if ground.frozen is None:
        made: Any = first_codec(cfg)
        return Samples(made) if isinstance(made, DCGAN) else Whole(made)
    codec = build(cfg, "generator")
    codec.load_state_dict(ground.frozen.weights)
    return Decoder(codec, ground.frozen)


def words_of(arm: Arm, joint: bool) -> list[str]:
    """The overrides of an arm for :func:`gcn.config.parse.parse`; the seed's codec replaces ``init_from``."""
    return [*arm.words, *([] if joint else ["init_from=codec"])]
