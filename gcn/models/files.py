"""The file side of a codec: latents of whole images in tiles, their bitstream, and digests of the codec."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from gcn.codec.coder import LARGEST, Coder, Counter, Reader, Writer
from gcn.codec.identity import digest
from gcn.codec.tables import Integers, Tables
from gcn.errors import InputError
from gcn.models.entropy import FactorizedDensity
from gcn.models.tiling import TILE, Span, tiles


class Coded(NamedTuple):
    """One compressed image: the entropy coder's bytes, the size in pixels, the checksum of the latents."""

    stream: bytes
    height: int
    width: int
    checksum: int


class FileCodec(nn.Module):
    """The part of a codec that codes files; :class:`gcn.models.codec.Codec` adds training.

    Attributes:
        tables: of the coder, by the name of the latents; empty but in a copy that can code.
        watch: may show progress over the tiles of an image.
        codes: this is such a copy, and quantities of the bitstream stand still.
    """

    CODING: tuple[str, ...] = ()  # what ``coding_state`` has besides medians and tables

    downsampling = 16  # pixels a latent, along each side
    block = 16  # pixels; images are padded on the right and below to multiples of it
    border = "replicate"  # what such padding repeats: "replicate" the last pixel, or "reflect" the image
    centre = 0.5  # the grey level that is 0 for g_a and g_s
    latent_channels: int
    analysis_margin: int  # latents beside a tile on whose pixels g_a depends
    synthesis_margin: int  # latents beside a tile on which g_s depends
    analysis_tile = synthesis_tile = TILE  # latents of a tile along each side
    architecture: dict[str, Any]  # arguments of the constructor
    g_a: nn.Module
    g_s: nn.Module
    entropy_bottleneck: FactorizedDensity

    def __init__(self) -> None:
        super().__init__()
        self.codes = False
        self.tables: dict[str, Tables] = {}
        self.watch: Callable[[Sequence], Iterable] = iter

    # --- what a subclass defines ---

    def prepare(self) -> None:
        """Compute what ``quantise`` and ``code`` need, from weights that no longer change."""

    def make_tables(self) -> dict[str, Tables]:
        """Coding tables of all latents, by name."""
        raise NotImplementedError

    @property
    def table_counts(self) -> dict[str, int]:
        """Number of tables of the latents of each name."""
        raise NotImplementedError

    def code(self, coder: Coder, y: Tensor | None, height: int, width: int) -> Tensor:
        """Pass all blocks of the bitstream through a coder, which writes, reads or counts them.

        Args:
            coder: is given each block of symbols, and returns it.
            y: latents (1, M, height, width), or None where symbols come from the coder alone.
            height, width: of the latents.

        Returns:
            y_hat, bit for bit that of ``quantise``.
        """
        raise NotImplementedError

    # --- an image and its file ---

    @torch.no_grad()
    def compress(self, x: Tensor) -> Coded:
        """The bitstream of one image x (1, 3, H, W), float in [0, 1] or uint8; only on a copy from ``for_coding``."""
        writer = Writer()
        self._pass(writer, self.analyse(x))
        height, width = x.shape[-2:]
        return Coded(writer.bytes(), height, width, writer.checksum)

    @torch.no_grad()
    def count(self, x: Tensor) -> Counter:
        """A :class:`gcn.codec.coder.Counter` with the bits of ``compress`` by the coder's tables."""
        counter = Counter()
        self._pass(counter, self.analyse(x))
        return counter

    @torch.no_grad()
    def latents(self, coded: Coded | tuple[bytes, int, int, int]) -> Tensor:
        """The y_hat (1, M, h, w) of a bitstream; only on a copy from ``for_coding``.

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
        """The image (1, 3, H, W) of a bitstream, clamped to [0, 1]; only on a copy from ``for_coding``."""
        return self.synthesise(self.latents(coded), *coded[1:3]).clamp(0, 1)

    @torch.no_grad()
    def analyse(self, x: Tensor) -> Tensor:
        """y (B, M, h, w) of x (B, 3, H, W) of any size, float in [0, 1] or uint8; in tiles and full precision."""
        step, (height, width) = self.downsampling, self.latent_shape(*x.shape[-2:])
        y: Tensor | None = None
        for rows, columns in self.watch(tiles(height, width, self.analysis_margin, self.analysis_tile)):
            piece = x[..., rows.seen(step), columns.seen(step)]
            piece = piece.float() / 255 if piece.dtype == torch.uint8 else piece
            with self._full_precision(x):
                part = self.g_a(self._pad(piece, rows.length * step, columns.length * step) - self.centre)
            y = part.new_empty(*part.shape[:2], height, width) if y is None else y
            y[..., rows.wanted(), columns.wanted()] = part[..., rows.inner(), columns.inner()]
        assert y is not None
        return y

    @torch.no_grad()
    def synthesise(self, y_hat: Tensor, height: int, width: int, dtype: torch.dtype | None = None) -> Tensor:
        """x_hat (B, 3, height, width), in tiles; with ``dtype=torch.uint8`` rounded to 8 bits."""
        step = self.downsampling
        x_hat = y_hat.new_empty((len(y_hat), 3, height, width), dtype=dtype)
        h, w = y_hat.shape[-2:]
        for rows, columns in self.watch(tiles(h, w, self.synthesis_margin, self.synthesis_tile)):
            with self._full_precision(y_hat):
                part = self.synthesise_tile(y_hat, rows, columns) + self.centre
            if dtype == torch.uint8:
                part = part.clamp(0, 1).mul(255).round()
            place = rows.wanted(step, height), columns.wanted(step, width)
            here = x_hat[..., place[0], place[1]]
            here.copy_(part[..., : here.shape[-2], : here.shape[-1]])
        return x_hat

    def synthesise_tile(self, y_hat: Tensor, rows: Span, columns: Span) -> Tensor:
        """Output of g_s (B, 3, ·, ·) for a tile of the latents y_hat (B, M, h, w)."""
        step, part = self.downsampling, self.g_s(y_hat[..., rows.seen(), columns.seen()])
        return part[..., rows.inner(step), columns.inner(step)]  # type: ignore[no-any-return]

    def latent_shape(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the latents of an image."""
        each = self.block // self.downsampling
        return math.ceil(height / self.block) * each, math.ceil(width / self.block) * each

    # --- what makes it a codec of its own ---

    def coding_state(self) -> dict[str, NDArray]:
        """State besides weights that decoding needs and that floating point would not reproduce on every machine."""
        self._needs_tables()
        state: dict[str, NDArray] = {"medians": self.entropy_bottleneck.quantiles[:, 0, 1].cpu().numpy()}
        for name, tables in self.tables.items():
            parts = {"offsets": tables.offsets, "lengths": tables.lengths, "frequencies": tables.frequencies}
            state |= {f"tables.{name}.{part}": array for part, array in parts.items()}
        return state

    def restore_coding(self, state: Mapping[str, NDArray]) -> None:
        """Restore the ``coding_state`` of the copy that was saved.

        Raises:
            KeyError, ValueError: it is not of such a codec.
            InputError: this machine does not compute what decoding needs.
        """
        counts, parts = self.table_counts, ("offsets", "lengths", "frequencies")
        medians = torch.from_numpy(state["medians"])
        if set(state) != {
            "medians",
            *self.CODING,
            *(f"tables.{name}.{part}" for name in counts for part in parts),
        }:
            raise ValueError("its tables are not those of its architecture")
        if medians.dtype != torch.float32 or medians.shape != self.entropy_bottleneck.quantiles.shape[:1]:
            raise ValueError("its medians are not those of its architecture")
        self.eval().requires_grad_(False)
        self.tables = {name: Tables(*(state[f"tables.{name}.{p}"] for p in parts)) for name in sorted(counts)}
        for name, tables in self.tables.items():
            tables.check(counts[name])
        self.entropy_bottleneck.quantiles[:, 0, 1] = medians
        self.codes = True
        self.prepare()

    @property
    def latents_id(self) -> bytes:
        """Digest of what decodes the latents: architecture, tables, hyper-synthesis."""
        return digest(self._described(), self.coding_state() | _arrays(self._network("h_s").state_dict()))

    @property
    def picture_id(self) -> bytes:
        """Digest of what computes an image from the latents: architecture and g_s."""
        return digest(self._described(), _arrays(self.g_s.state_dict()))

    # --- within ---

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

    def _pad(self, x: Tensor, height: int, width: int) -> Tensor:
        if self.border == "replicate":
            return F.pad(x, (0, width - x.shape[-1], 0, height - x.shape[-2]), mode="replicate")
        rows, columns = _reflected(x.shape[-2], height), _reflected(x.shape[-1], width)
        return x[..., rows.to(x.device)[:, None], columns.to(x.device)]

    def _network(self, name: str) -> nn.Module:
        return getattr(self, name, None) or nn.Module()


def _reflected(length: int, padded: int) -> Tensor:
    """Indices (padded,) of ``length`` pixels and their reflections at the last one, at the first one, and so on."""
    period = max(2 * (length - 1), 1)
    index = torch.arange(padded) % period
    return torch.minimum(index, period - index) if length > 1 else index


def symbols_of(rounded: Tensor) -> Integers:
    """Whole numbers of any shape in the type that the coder takes.

    Raises:
        FloatingPointError: some are none.
    """
    if not rounded.isfinite().all():
        raise FloatingPointError("the encoder gives latents that are not finite: its training has diverged")
    return rounded.clamp(-LARGEST, LARGEST).to(torch.int32).cpu().numpy()


def _arrays(state: Mapping[str, Tensor]) -> dict[str, NDArray]:
    return {name: value.detach().cpu().numpy() for name, value in state.items()}
