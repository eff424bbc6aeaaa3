"""Images in tiles: no seams, no gaps."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gcn.models.blocks import GDN
from gcn.models.files import FileCodec
from gcn.models.hific import DOUBLINGS, ChannelNorm, HiFiC
from gcn.models.tiling import spans, tiles


@given(st.integers(1, 300), st.integers(0, 20), st.integers(1, 64))
def test_spans_cover_each_latent_once(length, margin, tile):
    found = list(spans(length, margin, tile))
    assert [i for span in found for i in range(span.start, span.stop)] == list(range(length))
    for span in found:
        assert span.first == max(0, span.start - margin)
        assert span.last == min(length, span.stop + margin)
        assert list(range(length))[span.seen()][span.inner()] == list(range(length))[span.wanted()]


def test_an_image_of_one_tile_is_not_cut():
    assert len(tiles(48, 48, 9)) == 1


@pytest.fixture
def small_tiles(monkeypatch):
    def set_sizes():
        monkeypatch.setattr(FileCodec, "analysis_tile", 8)
        monkeypatch.setattr(FileCodec, "synthesis_tile", 8)
        monkeypatch.setattr(HiFiC, "synthesis_tile", 8)
        monkeypatch.setattr(HiFiC, "doublings_tile", 3)

    return set_sizes


def remainders(x, *_):
    """Of whole numbers or halves by 5: small numbers, which depend on every bit of x."""
    return torch.remainder(x, 5) - 2


class Remainders(torch.nn.Module):
    forward = staticmethod(remainders)


def of_whole_numbers(codec):
    """The codec with weights of ±1 and remainders in place of nonlinearities: all sums are exact, in any order."""
    generator = torch.Generator().manual_seed(0)
    for network in (codec.g_a, codec.g_s):
        for parent in list(network.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, (GDN, ChannelNorm, torch.nn.LeakyReLU, torch.nn.ReLU)):
                    setattr(parent, name, Remainders())
        for p in network.parameters():
            p.data = torch.randint(0, 2, p.shape, generator=generator).double() * 2 - 1
    return codec


OPTIONS = (
    {},
    {"kernel": 3},
    {"kernel": 7},
    {"residual": 2},
    {"upsampling": "shuffle"},
    {"activation": "leaky"},
)


@pytest.mark.parametrize(
    ("name", "options"), [*(("tiny", options) for options in OPTIONS), ("hific", {"blocks": 2})], ids=str
)
def test_tiles_are_the_whole_image_bit_for_bit(generator, monkeypatch, small_tiles, name, options):
    """Inside, at the borders, with one pixel beyond the last whole tile; and margins are no larger than needed."""
    monkeypatch.setattr(torch.nn.functional, "leaky_relu", remainders)  # of residual blocks
    codec = of_whole_numbers(generator(name, **options).double()).eval()
    draw = torch.Generator().manual_seed(1)
    x = torch.randint(0, 2, (1, 3, 17 * 16 + 1, 17 * 16), generator=draw).double()
    shape = codec.latent_shape(*x.shape[-2:])
    y_hat = torch.randint(-2, 3, (1, codec.latent_channels, *shape), generator=draw).double()

    def outputs():
        return codec.analyse(x), codec.synthesise(y_hat, *x.shape[-2:])

    whole = outputs()
    small_tiles()
    for found, wanted in zip(outputs(), whole, strict=True):
        assert torch.equal(found, wanted)
        assert wanted.unique().numel() > 20
    codec.analysis_margin -= 1
    codec.synthesis_margin -= 1
    for found, wanted in zip(outputs(), whole, strict=True):
        assert not torch.equal(found, wanted)


def test_tiles_of_large_images_of_hific_overlap_little():
    """Latents that residual blocks compute for an image of 8000x6000 pixels, of those that it has."""
    margin = DOUBLINGS.convolution(3, 19).margin()
    assert margin == 21
    found = sum(r.length * c.length for r, c in tiles(375, 500, margin, HiFiC.synthesis_tile))
    assert found < 1.6 * 375 * 500


@pytest.mark.parametrize("name", ["tiny", "hyperprior", "hific"])
def test_a_tiled_file_is_the_reconstruction(spread_generator, small_tiles, name):
    small_tiles()
    codec = spread_generator(name).for_coding()
    x = torch.rand(1, 3, 300, 170, generator=torch.Generator().manual_seed(0))
    assert torch.equal(codec.decompress(codec.compress(x)), codec.reconstruct(x).x_hat.clamp(0, 1))


def test_eight_bits_in_and_out(spread_generator):
    codec = spread_generator("tiny").for_coding()
    x = torch.randint(0, 256, (1, 3, 40, 50), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    coded = codec.compress(x)
    assert coded == codec.compress(x / 255)
    pixels = codec.synthesise(codec.latents(coded), 40, 50, torch.uint8)
    assert torch.equal(pixels, codec.decompress(coded).mul(255).round().to(torch.uint8))
    assert pixels.dtype == torch.uint8
