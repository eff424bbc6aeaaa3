"""Perturbations of D's inputs."""

from torch import Tensor

from gcn.game.slots import Perturbation
from gcn.game.streams import Stream


class InstanceNoise(Perturbation):
    """x + σ·n, n standard normal (Sønderby et al. 2017; Arjovsky and Bottou 2017); σ in units of the range [0, 1].

    Args:
        sigma: standard deviation.
        anneal: number of updates over which σ falls linearly to 0; null keeps it constant.
        per_image: each image has a standard deviation of its own, uniform in [0, σ], as the random noise level of
            Diffusion-GAN (Wang et al. 2023); D is not told the level.
    """

    def __init__(self, sigma: float, anneal: int | None = None, per_image: bool = False) -> None:
        super().__init__()
        self.sigma, self.anneal, self.per_image = sigma, anneal, per_image

    @property
    def variance(self) -> float:
        """Variance of the noise of all images at the first update: σ², or σ²/3 with a level for each image."""
        return self.sigma**2 / 3 if self.per_image else self.sigma**2

    def level(self, step: int) -> float:
        """Standard deviation σ of the noise at this update; with ``per_image`` the largest one."""
        return self.sigma if self.anneal is None else self.sigma * max(0.0, 1 - step / self.anneal)

    def forward(self, images: Tensor, stream: Stream, step: int) -> Tensor:
        level = self.level(step)
        if level == 0:
            return images
        noise = level * stream.normal(images)
        if self.per_image:
            single = images[:, :1, :1, :1] if images.dim() == 4 else images[..., :1]  # (E, B, d) in the lab
            noise = stream.child("level").uniform(single) * noise
        return images + noise
