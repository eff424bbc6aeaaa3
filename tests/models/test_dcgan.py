"""The generator of a standard GAN: images that depend on the noise alone."""

import pytest
import torch

from gcn.errors import InputError
from gcn.game.streams import Streams
from gcn.models.dcgan import DCGAN


def dcgan(side=16, norm="batch"):
    torch.manual_seed(0)
    return DCGAN(noise=3, width=2, norm=norm, side=side)


@pytest.mark.parametrize("side", [16, 32, 64])
def test_as_many_images_as_crops_in_the_open_unit_interval(side):
    out = dcgan(side)(torch.zeros(5, 3, side, side), Streams(0).at(0))
    assert out.x_hat.shape == (5, 3, side, side)
    assert 0 < out.x_hat.min() < out.x_hat.max() < 1
    assert out.y_hat is None
    assert out.likelihoods == {}


def test_the_crops_are_not_looked_at_and_the_noise_is():
    generator = dcgan()
    first, other = (
        generator(x, Streams(0).at(0)).x_hat for x in (torch.zeros(4, 3, 16, 16), torch.rand(4, 3, 16, 16))
    )
    assert torch.equal(first, other)
    assert not torch.equal(first, generator(torch.zeros(4, 3, 16, 16), Streams(1).at(0)).x_hat)


def test_a_copy_for_validation_gives_each_image_without_regard_to_the_others():
    generator = dcgan()
    generator(torch.zeros(8, 3, 16, 16), Streams(0).at(0))  # statistics of a batch
    copied = generator.for_coding()
    one, again, parts = (copied.sample(6, Streams(0).at("validation"), batch) for batch in (6, 6, 2))
    assert torch.equal(one, again)
    assert torch.allclose(one, parts, atol=1e-6)
    assert generator.training
    with torch.no_grad():
        next(generator.parameters()).fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="diverged"):
        generator.for_coding()


def test_batch_normalisation_is_an_option():
    assert not list(dcgan(norm="none").buffers())
    assert list(dcgan(norm="batch").buffers())


@pytest.mark.parametrize("side", [8, 48, 512])
def test_other_sides_are_refused(side):
    with pytest.raises(InputError, match=rf"^data.crop={side}: generator=dcgan makes images of 16, 32"):
        dcgan(side)
    with pytest.raises(InputError, match="makes images of 16 pixels, and these crops have 32"):
        dcgan()(torch.zeros(1, 3, 32, 32), Streams(0).at(0))
