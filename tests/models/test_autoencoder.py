"""The auto-encoder as a discriminator."""

import pytest
import torch

from gcn.errors import InputError
from gcn.models.autoencoder import AutoEncoder


def images(height, width, batch=2):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_the_logit_is_minus_the_error_of_a_patch_in_units_of_eight_grey_levels():
    torch.manual_seed(0)
    network, x = AutoEncoder(4, 3, 5).double(), images(32, 24).double()
    for layer in network.decoder:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    network.decoder[-1].bias.data.fill_(0.25)  # every image is reconstructed as this grey
    logits, features = network(x)[:2]
    patch = x[1, :, 8:16, 16:24]
    assert logits[0].shape == (2, 1, 4, 3)
    assert logits[0][1, 0, 1, 2].item() == pytest.approx(
        -(((patch - 0.25) * 255 / 8) ** 2).mean().item(), rel=1e-9
    )
    assert [tuple(f.shape[1:]) for f in features] == [(4, 16, 12), (8, 8, 6), (5, 4, 3)]


def test_an_image_of_any_size_has_a_logit_for_each_patch_begun():
    logits = AutoEncoder(4, 3, 4)(images(33, 20)).logits
    assert logits[0].shape == (2, 1, 5, 3)


def test_training_on_an_image_lowers_its_energy():
    torch.manual_seed(0)
    network, x = AutoEncoder(8, 2, 16), images(16, 16)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    energies = []
    for _ in range(30):
        energy = -network(x).logits[0].mean()
        optimizer.zero_grad()
        energy.backward()
        optimizer.step()
        energies.append(energy.item())
    assert energies[-1] < energies[0] / 2


def test_images_smaller_than_a_patch_are_refused():
    with pytest.raises(InputError, match="a depth of 4 needs images of 16 pixels or more, not 20x8"):
        AutoEncoder(4, 4, 4).check_input(8, 20)
