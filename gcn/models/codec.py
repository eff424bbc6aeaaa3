"""The contract of a codec, and everything that codecs share.

A codec has three lives: the differentiable proxy that is trained (``forward``), what a decoder will see,
computed without entropy coding (``reconstruct``), and the real bitstream (``compress`` and ``decompress``).
They agree: what ``decompress`` returns is ``reconstruct``'s image bit for bit, and with a frozen encoder
``forward`` uses the very latents of the file.

A subclass provides the networks and a few small methods on latents, see ``Codec``.
"""

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from gcn.codec.coder import LARGEST, Coder, Counter, Reader, Writer
from gcn.codec.identity import digest
from gcn.codec.tables import Integers, Tables
from gcn.errors import InputError
from gcn.models.entropy import FactorizedDensity
from gcn.models.tiling import tiles
from gcn.rng import Stream

QUANTISATIONS = ("noise", "ste", "mixed")


class Latents(NamedTuple):
    """What leaves the bottleneck: ``y_hat`` (B, M, h, w) and the likelihood of every symbol."""

    y_hat: Tensor
    likelihoods: dict[str, Tensor]


class Reconstruction(NamedTuple):
    """The output of a codec: ``x_hat`` (B, 3, H, W) in [0, 1] but not clamped, and the latents behind it."""

    x_hat: Tensor
    y_hat: Tensor
    likelihoods: dict[str, Tensor]


class Coded(NamedTuple):
    """One compressed image: the entropy coder's bytes, the size in pixels, the checksum of the latents."""

    stream: bytes
    height: int
    width: int
    checksum: int


def straight_through(y: Tensor, rounded: Tensor) -> Tensor:
    """The value of ``rounded``, exactly, with the gradient of ``y``."""
    return rounded.detach() + (y - y.detach())


class Codec(nn.Module):
    """A generator that writes files.

        x ─► g_a ─► y ─► bottleneck ─► y_hat ─► g_s ─► x_hat
                             │
                             └─► likelihoods {y, ...}

    Latents are quantised for training (``quantisation``) as

    * ``noise``: y + U(-½, ½) for the rate and for g_s (Ballé et al., 2017). The file rounds y - offset, where
      the offset is the median of the density or the predicted mean.
    * ``ste``: rounded for both, with straight-through gradients.
    * ``mixed``: noise for the rate, straight-through rounding into g_s (HiFiC, Mentzer et al., 2020).

    ``ste`` and ``mixed`` round factorised latents to integers, in training and in the file.

    A subclass sets ``latent_channels``, ``margin``, ``g_a``, ``g_s`` and ``entropy_bottleneck`` and defines
    ``proxy``, ``quantise``, ``make_tables`` and ``code``. All of its parameters belong to a network named in
    ``PARTS``. Where the tables of some latents depend on others, they are computed by an
    ``gcn.models.exact.IntegerNetwork``, built in ``prepare``.
    """

    downsampling = 16  # pixels a latent, along each side
    latent_channels: int
    margin: int  # latents around a piece of an image that g_a and g_s see
    architecture: dict[str, Any]  # arguments of the constructor
    g_a: nn.Module
    g_s: nn.Module
    entropy_bottleneck: FactorizedDensity

    PARTS = {
        "encoder": ("g_a",),
        "decoder": ("g_s",),
        "entropy": ("h_a", "h_s", "entropy_bottleneck", "gaussian_conditional"),
    }

    def __init__(self, quantisation: str) -> None:
        super().__init__()
        if quantisation not in QUANTISATIONS:
            choices = ", ".join(QUANTISATIONS)
            raise InputError(f"generator: quantisation={quantisation!r} is unknown; use one of {choices}")
        self.quantisation = quantisation
        self.encoder_frozen = False
        self.codes = False
        self.tables: dict[str, Tables] = {}
        self.watch: Callable[[Sequence], Iterable] = iter  # may show progress over the tiles of an image
        self.register_load_state_dict_post_hook(_prepare_again)

    def for_decoder_and_rate(self, y: Tensor, offset: Tensor | float, noise: Stream) -> tuple[Tensor, Tensor]:
        """y (B, C, h, w) as g_s (or h_s) sees it, and as the rate counts it; the file rounds y - offset."""
        if self.quantisation == "noise":
            noisy = y + noise.uniform(y) - 0.5
            return noisy, noisy
        rounded = straight_through(y, torch.round(y - offset) + offset)
        return rounded, rounded if self.quantisation == "ste" else y + noise.uniform(y) - 0.5

    # --- what a subclass defines, all in full precision ---

    def proxy(self, y: Tensor, noise: Stream) -> Latents:
        """The differentiable stand-in for quantisation; y: (B, M, h, w)."""
        raise NotImplementedError

    def quantise(self, y: Tensor) -> Latents:
        """The latents that a decoder of the file will see, and their likelihoods."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Build what ``quantise`` and ``code`` need of weights that stand still."""

    def make_tables(self) -> dict[str, Tables]:
        """The tables of all latents."""
        raise NotImplementedError

    def code(self, coder: Coder, y: Tensor | None, height: int, width: int) -> Tensor:
        """The bitstream, described once for writing, reading and counting.

        Args:
            coder: is given each block of symbols, and returns it.
            y: latents (1, M, height, width), or None where symbols come from the coder alone.
            height, width: of the latents.

        Returns:
            y_hat, bit for bit that of ``quantise``.
        """
        raise NotImplementedError

    # --- the three lives ---

    def forward(self, x: Tensor, noise: Stream) -> Reconstruction:
        """The training proxy; x: (B, 3, H, W) in [0, 1], H and W multiples of ``downsampling``.

        Noise is drawn from ``noise`` alone. The bottleneck is computed in full precision under autocast: in
        bf16 a scale of 100 costs 11.1 bits instead of 8.7.
        """
        if any(side % self.downsampling for side in x.shape[-2:]):
            height, width = x.shape[-2:]
            raise InputError(
                f"crops of {width}x{height} do not fit the generator; use multiples of {self.downsampling}"
            )
        if self.encoder_frozen:
            latents = self._file_latents(x)
        else:
            y = self.g_a(x - 0.5)
            with self._full_precision(x):
                latents = self.proxy(_at_least_float(y), noise)
        x_hat = _at_least_float(self.g_s(latents.y_hat)) + 0.5
        return Reconstruction(x_hat, *latents)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Reconstruction:
        """What the decoder of the file gives, without coding it; x: (B, 3, H, W) of any size.

        The latents are those of the padded image, hence ``likelihoods`` count every bit of the file.
        """
        if not (self.codes or self.encoder_frozen):
            return self._snapshot().reconstruct(x)
        with self._full_precision(x):
            latents = self.quantise(self.analyse(x))
        return Reconstruction(self.synthesise(latents.y_hat, *x.shape[-2:]), *latents)

    @torch.no_grad()
    def compress(self, x: Tensor) -> Coded:
        """Code one image, x: (1, 3, H, W), float in [0, 1] or uint8; on a copy from ``for_coding`` only."""
        writer = Writer()
        self._pass(writer, self.analyse(x))
        height, width = x.shape[-2:]
        return Coded(writer.bytes(), height, width, writer.checksum)

    @torch.no_grad()
    def count(self, x: Tensor) -> Counter:
        """What ``compress`` would cost by the coder's tables."""
        counter = Counter()
        self._pass(counter, self.analyse(x))
        return counter

    @torch.no_grad()
    def latents(self, coded: Coded | tuple[bytes, int, int, int]) -> Tensor:
        """The y_hat (1, M, h, w) of a bitstream; on a copy from ``for_coding`` only.

        Raises:
            InputError: it was made by another model, or is damaged.
        """
        stream, height, width, checksum = coded
        reader = Reader(stream)
        y_hat = self._pass(reader, None, *self.latent_shape(height, width))
        reader.finish()
        if reader.checksum != checksum:
            raise InputError("the decoded latents are not those that were written: the file is damaged")
        return y_hat

    def decompress(self, coded: Coded | tuple[bytes, int, int, int]) -> Tensor:
        """The image of a bitstream, (1, 3, H, W) clamped to [0, 1]; on a copy from ``for_coding`` only."""
        return self.synthesise(self.latents(coded), *coded[1:3]).clamp(0, 1)

    @torch.no_grad()
    def analyse(self, x: Tensor) -> Tensor:
        """y (B, M, h, w) of x (B, 3, H, W), float in [0, 1] or uint8, of any size; tile by tile, in full precision."""
        step, (height, width) = self.downsampling, self.latent_shape(*x.shape[-2:])
        y: Tensor | None = None
        for rows, columns in self.watch(tiles(height, width, self.margin)):
            piece = x[..., rows.seen(step), columns.seen(step)]
            piece = piece.float() / 255 if piece.dtype == torch.uint8 else piece
            with self._full_precision(x):
                part = self.g_a(self._pad(piece) - 0.5)
            y = part.new_empty(*part.shape[:2], height, width) if y is None else y
            y[..., rows.wanted(), columns.wanted()] = part[..., rows.inner(), columns.inner()]
        assert y is not None
        return y

    @torch.no_grad()
    def synthesise(self, y_hat: Tensor, height: int, width: int, dtype: torch.dtype | None = None) -> Tensor:
        """x_hat (B, 3, height, width), tile by tile; with ``dtype=torch.uint8`` rounded to 8 bits."""
        step = self.downsampling
        x_hat = y_hat.new_empty((len(y_hat), 3, height, width), dtype=dtype)
        for rows, columns in self.watch(tiles(y_hat.shape[-2], y_hat.shape[-1], self.margin)):
            with self._full_precision(y_hat):
                part = self.g_s(y_hat[..., rows.seen(), columns.seen()]) + 0.5
            part = part[..., rows.inner(step), columns.inner(step)]
            if dtype == torch.uint8:
                part = part.clamp(0, 1).mul(255).round()
            place = rows.wanted(step, height), columns.wanted(step, width)
            here = x_hat[..., place[0], place[1]]
            here.copy_(part[..., : here.shape[-2], : here.shape[-1]])
        return x_hat

    def latent_shape(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the latents of an image."""
        return math.ceil(height / self.downsampling), math.ceil(width / self.downsampling)

    # --- a copy that codes ---

    def for_coding(self) -> Self:
        """A copy that can code: in eval mode, with medians by bisection and the coder's tables.

        The codec itself is not touched, whatever becomes of the copy. A codec that has tables returns itself.
        """
        if self.tables:
            return self
        snapshot = self._snapshot()
        snapshot.tables = snapshot.make_tables()
        return snapshot

    def coding_state(self) -> dict[str, NDArray]:
        """What decoding the latents needs besides weights, and floating point would not give everywhere alike."""
        self._needs_tables()
        state: dict[str, NDArray] = {"medians": self.entropy_bottleneck.quantiles[:, 0, 1].cpu().numpy()}
        for name, tables in self.tables.items():
            parts = {"offsets": tables.offsets, "lengths": tables.lengths, "frequencies": tables.frequencies}
            state |= {f"tables.{name}.{part}": array for part, array in parts.items()}
        return state

    def restore_coding(self, state: Mapping[str, NDArray]) -> None:
        """Become the copy that had this ``coding_state``.

        Raises:
            KeyError, ValueError: it is not of such a codec.
            InputError: this machine does not compute what decoding needs.
        """
        names = {key.split(".")[1] for key in state if key.startswith("tables.")}
        parts = ("offsets", "lengths", "frequencies")
        self.eval().requires_grad_(False)
        self.tables = {name: Tables(*(state[f"tables.{name}.{p}"] for p in parts)) for name in sorted(names)}
        for tables in self.tables.values():
            tables.check()
        self.entropy_bottleneck.quantiles[:, 0, 1] = torch.from_numpy(state["medians"])
        self.codes = True
        self.prepare()

    @property
    def latents_id(self) -> bytes:
        """Names what decodes the latents: architecture, tables, hyper-synthesis."""
        return digest(self._described(), self.coding_state() | _arrays(self._network("h_s").state_dict()))

    @property
    def picture_id(self) -> bytes:
        """Names what turns latents into an image: architecture and g_s."""
        return digest(self._described(), _arrays(self.g_s.state_dict()))

    # --- parameters ---

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """A partition of the parameters: encoder, decoder, entropy, aux (the quantiles, never optimised)."""
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
        """Fix the bitstream: with ``"encoder"`` only g_s is trained, on exactly the latents of the file."""
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
        """As of any module, but frozen networks stay in eval mode."""
        super().train(mode)
        if self.encoder_frozen:
            for name in (*self.PARTS["encoder"], *self.PARTS["entropy"]):
                self._network(name).eval()
        return self

    # --- within ---

    def _network(self, name: str) -> nn.Module:
        return getattr(self, name, None) or nn.Module()

    def _snapshot(self) -> Self:
        snapshot = copy.deepcopy(self).eval().requires_grad_(False)
        if not all(parameter.isfinite().all() for parameter in snapshot.parameters()):
            raise FloatingPointError("the codec has weights that are not finite: its training has diverged")
        snapshot._settle()
        snapshot.codes = True
        return snapshot

    def _settle(self) -> None:
        self.entropy_bottleneck.bisect(self.quantisation != "noise")
        self.prepare()

    def _pass(self, coder: Coder, y: Tensor | None, *shape: int) -> Tensor:
        self._needs_tables()
        with self._full_precision(self.entropy_bottleneck.quantiles):
            return self.code(coder, y, *(shape if y is None else y.shape[-2:]))

    def _needs_tables(self) -> None:
        if not self.tables:
            raise RuntimeError("only a copy from for_coding() can compress and decompress")

    def _described(self) -> str:
        return f"{type(self).__name__} {sorted(self.architecture.items())}"

    def _full_precision(self, like: Tensor) -> torch.autocast:
        return torch.autocast(like.device.type, enabled=False)

    @torch.no_grad()
    def _file_latents(self, x: Tensor) -> Latents:
        with self._full_precision(x):
            return self.quantise(self.g_a(x - 0.5))

    def _pad(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        step = self.downsampling
        return F.pad(x, (0, -width % step, 0, -height % step), mode="replicate")


def symbols_of(rounded: Tensor) -> Integers:
    """Whole numbers of any shape as the coder takes them.

    Raises:
        FloatingPointError: some are none.
    """
    if not rounded.isfinite().all():
        raise FloatingPointError("the encoder gives latents that are not finite: its training has diverged")
    return rounded.clamp(-LARGEST, LARGEST).to(torch.int32).cpu().numpy()


def _arrays(state: Mapping[str, Tensor]) -> dict[str, NDArray]:
    return {name: value.detach().cpu().numpy() for name, value in state.items()}


def _prepare_again(codec: Codec, _: Any) -> None:
    """Weights have been loaded into a codec whose latents were fixed: its tables were those of other weights."""
    codec.tables = {}
    if codec.encoder_frozen or codec.codes:
        codec.prepare()


def _at_least_float(t: Tensor) -> Tensor:
    return t.float() if t.dtype in (torch.bfloat16, torch.float16) else t
