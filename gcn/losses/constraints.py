"""Constraints on D's weights."""

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gcn.game.slots import Constraint


class SpectralNorm(Constraint):
    """Every convolution, linear layer and embedding of D divided by its largest singular value (Miyato et al. 2018)."""

    def __init__(self, on: bool = True) -> None:
        self.on = on

    def prepare(self, discriminator: nn.Module) -> None:
        if not self.on:
            return
        for module in list(discriminator.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
                spectral_norm(module)


class WeightClip(Constraint):
    """Every weight of D clipped to [-bound, bound] after each of its updates (Arjovsky et al. 2017)."""

    def __init__(self, bound: float) -> None:
        self.bound = bound

    @torch.no_grad()
    def after_step(self, discriminator: nn.Module) -> None:
        for parameter in discriminator.parameters():
            parameter.clamp_(-self.bound, self.bound)
