"""Minibatch discrimination: a discriminator compares the images of a batch by learned distances."""

import torch
from torch import Tensor, nn


class MinibatchDiscrimination(nn.Module):
    """Append how close an image is to the others of its batch, as constant channels (Salimans et al. 2016).

        f(x_i) ─► T ─► M_i (kernels, 5),   o(x_i)_b = Σ_j exp(-‖M_ib - M_jb‖₁)

    f is the mean of the features over places, so that images may have any size, and T is learned. The sum is over all
    images of the batch, x_i itself (which adds 1) among them. A discriminator that is given o can tell a batch of
    images that are too much alike. Under autocast o is computed in fp32.

    Args:
        channels: of the features.
        kernels: number B of learned distances, hence of appended channels.
    """

    DIMENSIONS = 5  # C, numbers of which a distance is made; that of the authors' code

    def __init__(self, channels: int, kernels: int) -> None:
        super().__init__()
        self.kernels = kernels
        self.tensor = nn.Linear(channels, kernels * self.DIMENSIONS, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, C, h, w) to (B, C + kernels, h, w); the first C channels are those of ``x``."""
        means = x.mean((2, 3), dtype=torch.promote_types(x.dtype, torch.float32))
        with torch.autocast(x.device.type, enabled=False):
            m = self.tensor(means).unflatten(1, (self.kernels, self.DIMENSIONS))
            close = (-(m[:, None] - m[None]).abs().sum(-1)).exp().sum(1)  # (B, kernels)
        return torch.cat((x, close.to(x.dtype)[..., None, None].expand(-1, -1, *x.shape[2:])), dim=1)
