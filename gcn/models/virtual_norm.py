"""Virtual batch normalisation: the statistics of a fixed reference batch, with each image added to it alone."""

import torch
from torch import Tensor, nn


class Reference(nn.Module):
    """The first batch of images of a training, which stays as it is.

    Args:
        count: number of images.
        side: of the images, in pixels.
    """

    images: Tensor
    begun: Tensor

    def __init__(self, count: int, side: int) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(count, 3, side, side))
        self.register_buffer("begun", torch.zeros(()))

    @torch.no_grad()
    def begin(self, images: Tensor) -> None:
        """Keep the first images of a batch (B, 3, side, side), B ≥ count; does nothing from the second call on."""
        self.images.copy_(torch.where(self.begun > 0, self.images, images[: len(self.images)]))
        self.begun.fill_(1)


class VirtualNorm(nn.Module):
    """Virtual batch normalisation (Salimans et al. 2016, arXiv 1606.03498, section 3.4), channel by channel.

        mean = mean(x_i)/(R+1) + mean(reference)·R/(R+1), the same for the mean of squares,
        y_i = weight · (x_i - mean)/√(mean of squares - mean² + ε) + bias

    R is the number of images in the reference batch. So what D says of an image does not depend on the others of its
    batch. The layer is given the reference batch first, with ``statistics`` None, which normalises it by its own
    statistics and keeps them, in the graph. Statistics are computed in fp32 or better.

    Args:
        channels: of the features.
        count: R.
    """

    EPSILON = 1e-5  # that of torch's batch normalisation

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.share = 1 / (count + 1)
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.statistics: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalised features (B, C, h, w)."""
        full = x.to(torch.promote_types(x.dtype, torch.float32))
        if self.statistics is None:
            mean, square = self.statistics = (
                full.mean((0, 2, 3), keepdim=True), full.square().mean((0, 2, 3), keepdim=True)
            )  # fmt: skip
        else:
            own = full.mean((2, 3), keepdim=True), full.square().mean((2, 3), keepdim=True)
            mean, square = (
                torch.lerp(of_all, one, self.share) for of_all, one in zip(self.statistics, own, strict=True)
            )
        normal = (full - mean) * (square - mean.square() + self.EPSILON).rsqrt()
        weight, bias = (p[:, None, None].to(full) for p in (self.weight, self.bias))
        return (weight * normal + bias).to(x.dtype)
