"""Images in tiles: no seams, no gaps."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gcn.models import files as codec_module
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
    monkeypatch.setattr(codec_module, "tiles", lambda h, w, margin: tiles(h, w, margin, 8))


OPTIONS = ({}, {"kernel": 7}, {"residual": 2}, {"upsampling": "shuffle"}, {"activation": "leaky"})


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_there_are_no_seams(spread_generator, monkeypatch, options):
    codec = spread_generator("tiny", **options).double().for_coding()
    torch.manual_seed(0)
    x = torch.rand(1, 3, 333, 410).double()
    y, y_hat = codec.analyse(x), torch.randn(1, 6, 21, 26).double().round()
    whole = codec.synthesise(y_hat, 333, 410)
    monkeypatch.setattr(codec_module, "tiles", lambda h, w, margin: tiles(h, w, margin, 8))
    assert (codec.analyse(x) - y).abs().max() < 1e-9 * y.abs().max()
    assert (codec.synthesise(y_hat, 333, 410) - whole).abs().max() < 1e-9 * whole.abs().max()


def test_a_margin_too_small_would_show(spread_generator, monkeypatch):
    codec = spread_generator("tiny").double().for_coding()
    x = torch.rand(1, 3, 256, 256).double()
    y = codec.analyse(x)
    monkeypatch.setattr(codec_module, "tiles", lambda h, w, margin: tiles(h, w, 1, 8))
    assert (codec.analyse(x) - y).abs().max() > 1e-6 * y.abs().max()


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("name", ["tiny", "hyperprior"])
def test_a_tiled_file_is_the_reconstruction(spread_generator, name):
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
