"""The entropy coder against CompressAI's, on the same symbols with the same kind of tables."""

import warnings

import numpy as np
import torch

from gcn.bench.turn_speed import compare
from gcn.codec.coder import Reader, Writer
from gcn.errors import InputError
from gcn.models.entropy import Gaussian

with warnings.catch_warnings():  # of the libraries that CompressAI imports, about their own future
    warnings.simplefilter("ignore", FutureWarning)
    from compressai.entropy_models import GaussianConditional

FEWEST = 1000  # symbols; CompressAI's coder corrupts memory on a message of one


def bench(height: int, width: int, channels: int, repeats: int, threads: int) -> None:
    """Latents of one image with a scale for each, from .11 to 20, spaced evenly in their logarithm."""
    if channels * (height // 16) * (width // 16) < FEWEST:
        raise InputError(f"height={height} width={width} channels={channels}: give at least {FEWEST} symbols")
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    shape = (1, channels, height // 16, width // 16)
    scale = 0.11 * (20 / 0.11) ** torch.rand(shape, generator=generator)
    y = (scale * torch.randn(shape, generator=generator)).round()
    tables, borders = Gaussian().make_tables(), Gaussian.borders()
    theirs = GaussianConditional(None)
    theirs.update_scale_table(Gaussian.scales().float(), force=True)

    def index() -> np.ndarray:
        return torch.bucketize(scale.double(), borders).to(torch.uint8).numpy()

    def encode() -> bytes:
        writer = Writer()
        writer.code(y.to(torch.int32).numpy(), tables, shape, index())
        return writer.bytes()

    def decode() -> np.ndarray:
        return Reader(ours).code(None, tables, shape, index())

    def their_encode() -> bytes:
        return theirs.compress(y, theirs.build_indexes(scale))[0]

    def their_decode() -> torch.Tensor:
        return theirs.decompress([other], theirs.build_indexes(scale))

    ours, other = encode(), their_encode()
    assert np.array_equal(decode(), y.numpy())
    assert torch.equal(their_decode(), y)
    print(f"{y.numel()} symbols, {threads} threads; bytes: gcn {len(ours)}, CompressAI {len(other)}")
    work = y.numel() / 1e6
    compare({"encode, CompressAI": their_encode, "encode, gcn": encode}, repeats, work, "Msymbol")
    compare({"decode, CompressAI": their_decode, "decode, gcn": decode}, repeats, work, "Msymbol")
