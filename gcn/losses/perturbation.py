"""Perturbations of D's inputs."""

from torch import Tensor

from gcn.game.slots import Perturbation
from gcn.game.streams import Stream


class InstanceNoise(Perturbation):
    """x + σ·n, n standard normal (Sønderby et al. 2017; Arjovsky and Bottou 2017); σ in units of the range [0, 1].

    Args:
        sigma: standard deviation.
        anneal: number of updates over which σ falls linearly to 0; null keeps it constant.
    """

    def __init__(self, sigma: float, anneal: int | None = None) -> None:
        super().__init__()
        self.sigma, self.anneal = sigma, anneal

    def level(self, step: int) -> float:
        """Standard deviation σ of the noise at this update."""
        return self.sigma if self.anneal is None else self.sigma * max(0.0, 1 - step / self.anneal)

    def forward(self, images: Tensor, stream: Stream, step: int) -> Tensor:
        level = self.level(step)
        return images + level * stream.normal(images) if level > 0 else images
