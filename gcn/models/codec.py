"""The base class of all codecs: training, quantisation, freezing and the copy that codes files.

A codec has three lives: the differentiable proxy that is trained (``forward``), what a decoder will see,
computed without entropy coding (``reconstruct``), and the real bitstream (``compress`` and ``decompress``).
They agree: what ``decompress`` returns is ``reconstruct``'s image bit for bit, and with a frozen encoder
``forward`` uses the very latents of the file.

A subclass provides the networks and a few small methods on latents, see ``Codec``.
"""

import copy
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from gcn.errors import InputError
from gcn.game.protocols import GeneratorOutput
from gcn.game.streams import Stream
from gcn.models.files import FileCodec


class Latents(NamedTuple):
    """Output of the bottleneck: ``y_hat`` (B, M, h, w) and the likelihood of every symbol."""

    y_hat: Tensor
    likelihoods: dict[str, Tensor]


def straight_through(y: Tensor, rounded: Tensor) -> Tensor:
    """The value of ``rounded``, exactly, with the gradient of ``y``."""
    return rounded.detach() + (y - y.detach())


class Codec(FileCodec):
    """A generator that also writes files.

        x ─► g_a ─► y ─► bottleneck ─► y_hat ─► g_s ─► x_hat
                             │
                             └─► likelihoods {y, ...}

    Latents are quantised for training (``quantisation``) as

    * ``noise``: y + U(-½, ½) for the rate and for g_s (Ballé et al., 2017). The file rounds y - offset, where
      the offset is the median of the density or the predicted mean.
    * ``ste``: rounded for both, with straight-through gradients.
    * ``mixed``: noise for the rate, straight-through rounding into g_s (HiFiC, Mentzer et al., 2020).

    ``ste`` and ``mixed`` round factorised latents to integers, in training and in the file; where ``integer_grid`` is
    false as the file of ``noise`` does, in training by the medians of the density at that moment.

    A subclass sets ``latent_channels``, ``analysis_margin``, ``synthesis_margin``, ``g_a``, ``g_s`` and
    ``entropy_bottleneck`` and defines ``proxy``, ``quantise``, ``make_tables`` and ``code``. All of its
    parameters belong to a network named in ``PARTS``. Where the tables of some latents depend on others, they
    are computed by an ``gcn.models.exact.IntegerNetwork``, built in ``prepare``.
    """

    PARTS = {
        "encoder": ("g_a",),
        "decoder": ("g_s",),
        "entropy": ("h_a", "h_s", "entropy_bottleneck", "gaussian_conditional"),
    }

    integer_grid = True

    def __init__(self, quantisation: str) -> None:
        super().__init__()
        self.quantisation = quantisation
        self.encoder_frozen = False
        self.register_load_state_dict_post_hook(_prepare_again)

    def for_decoder_and_rate(self, y: Tensor, offset: Tensor | float, noise: Stream) -> tuple[Tensor, Tensor]:
        """y (B, C, h, w) as g_s (or h_s) sees it, and as the rate counts it; the file rounds y - offset."""
        if self.quantisation == "noise":
            noisy = y + noise.uniform(y) - 0.5
            return noisy, noisy
        rounded = straight_through(y, torch.round(y - offset) + offset)
        return rounded, rounded if self.quantisation == "ste" else y + noise.uniform(y) - 0.5

    def density_offset(self) -> Tensor | float:
        """The offset of factorised latents in training: (C, 1, 1) medians, or 0; ``noise`` needs none."""
        if self.integer_grid or self.quantisation == "noise":
            return 0.0
        return self.entropy_bottleneck.present_medians()

    # --- what a subclass defines, all in full precision ---

    def proxy(self, y: Tensor, noise: Stream) -> Latents:
        """Latents of y (B, M, h, w) by the differentiable substitute for quantisation."""
        raise NotImplementedError

    def quantise(self, y: Tensor) -> Latents:
        """Latents that a decoder of the file will have, with their likelihoods."""
        raise NotImplementedError

    # --- the three lives ---

    def forward(self, x: Tensor, noise: Stream) -> GeneratorOutput:
        """Reconstruction and likelihoods of x (B, 3, H, W) in [0, 1] in training; H, W multiples of ``block``.

        Noise is drawn from ``noise`` alone. The bottleneck is computed in full precision under autocast: in
        bf16 a scale of 100 costs 11.1 bits instead of 8.7.
        """
        if any(side % self.block for side in x.shape[-2:]):
            height, width = x.shape[-2:]
            raise InputError(
                f"crops of {width}x{height} do not fit the generator; use multiples of {self.block}"
            )
        if self.encoder_frozen:
            latents = self._file_latents(x)
        else:
            y = self.g_a(x - self.centre)
            with self._full_precision(x):
                latents = self.proxy(_at_least_float(y), noise)
        x_hat = _at_least_float(self.g_s(latents.y_hat)) + self.centre
        return GeneratorOutput(x_hat, *latents)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> GeneratorOutput:
        """Reconstruction of x (B, 3, H, W) of any size, as the decoder of its file computes it; nothing is coded.

        The latents are those of the padded image, hence ``likelihoods`` count every bit of the file.
        """
        if not (self.codes or self.encoder_frozen):
            return self._snapshot().reconstruct(x)
        with self._full_precision(x):
            latents = self.quantise(self.analyse(x))
        return GeneratorOutput(self.synthesise(latents.y_hat, *x.shape[-2:]), *latents)

    # --- a copy that codes ---

    def for_coding(self) -> Self:
        """A copy that can code: in eval mode, with medians found by bisection and with coding tables.

        The codec itself is not touched, whatever becomes of the copy. A codec that has tables returns itself.
        """
        if self.tables:
            return self
        snapshot = self._snapshot()
        snapshot.tables = snapshot.make_tables()
        return snapshot

    # --- parameters ---

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """The parameters by part: encoder, decoder, entropy, aux (the quantiles, never optimised)."""
        aux = self.entropy_bottleneck.quantiles
        parts = {
            part: [p for name in names for p in self._network(name).parameters() if p is not aux]
            for part, names in self.PARTS.items()
        }
        parts["aux"] = [aux]
        listed = [id(p) for part in parts.values() for p in part]
        if sorted(listed) != sorted(id(p) for p in self.parameters()):
            raise AssertionError(f"{type(self).__name__}: a parameter belongs to no part, or to two")
        return parts

    def freeze(self, part: str) -> None:
        """Fix the bitstream: with ``"encoder"`` only g_s is trained, on the latents of the file."""
        if part != "encoder":
            raise InputError(f"freeze={part!r} is unknown; the one part that can be frozen is the encoder")
        self.encoder_frozen = True
        self._settle()
        for name in ("encoder", "entropy"):
            for parameter in self.parts()[name]:
                parameter.requires_grad_(False)
                parameter.grad = None
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set the mode as :meth:`torch.nn.Module.train` does, but keep frozen networks in eval mode."""
        super().train(mode)
        if self.encoder_frozen:
            for name in (*self.PARTS["encoder"], *self.PARTS["entropy"]):
                self._network(name).eval()
        return self

    # --- within ---

    def _snapshot(self) -> Self:
        snapshot = copy.deepcopy(self).eval().requires_grad_(False)
        if not all(parameter.isfinite().all() for parameter in snapshot.parameters()):
            raise FloatingPointError("the codec has weights that are not finite: its training has diverged")
        snapshot._settle()
        snapshot.codes = True
        return snapshot

    def _settle(self) -> None:
        self.entropy_bottleneck.bisect(self.integer_grid and self.quantisation != "noise")
        self.prepare()

    @torch.no_grad()
    def _file_latents(self, x: Tensor) -> Latents:
        with self._full_precision(x):
            return self.quantise(self.g_a(x - self.centre))


def _prepare_again(codec: Codec, _: Any) -> None:
    """Prepare tables again after weights were loaded into a codec with a fixed bitstream."""
    codec.tables = {}
    if codec.encoder_frozen or codec.codes:
        codec.prepare()


def _at_least_float(t: Tensor) -> Tensor:
    return t.float() if t.dtype in (torch.bfloat16, torch.float16) else t
