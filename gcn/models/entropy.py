"""CompressAI's entropy models with likelihoods whose derivatives are right to second order.

CompressAI keeps likelihoods (and scales) away from 0 with ``LowerBound``, whose double backward is wrong
where the bound is active. Here a smooth floor is added instead: a symbol never costs more than 30 bits, and the
sum is as differentiable as the likelihood. The names of all parameters are CompressAI's; the tables are those of
``gcn.codec``.
"""

import math
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gcn.codec.tables import Tables

with warnings.catch_warnings():  # of the libraries that CompressAI imports, about their own future
    warnings.simplefilter("ignore", FutureWarning)
    from compressai.entropy_models import EntropyBottleneck, GaussianConditional

FLOOR = 1e-9
SMALLEST_SCALE, LARGEST_SCALE, SCALES = 0.11, 256.0, 64  # of the coder's tables, Ballé et al. 2018
WIDEST_TABLE = 2048  # symbols on each side of the median; values beyond are escaped


class FactorizedDensity(EntropyBottleneck):
    """A learned density per channel, convolved with U(-½, ½) (Ballé et al., 2018, arXiv 1802.01436, appendix
    6.1).

    ``quantiles`` only serve the coder's tables. They are set by ``bisect``, never by a gradient.

    Args:
        channels: C.
        init_scale: width of the densities at first.
        speed: the other parameters are kept divided by it, so that Adam moves the densities ``speed`` times
            as fast as the transforms. They begin far from the data, and else lag behind in a short run.
    """

    def __init__(self, channels: int, init_scale: float, speed: float) -> None:
        super().__init__(channels, init_scale=init_scale, likelihood_bound=0)
        self.speed = speed
        self.quantiles.requires_grad_(False)
        with torch.no_grad():
            for parameter in (*self.matrices, *self.biases, *self.factors):
                parameter.div_(speed)

    def _logits_cumulative(self, inputs: Tensor, stop_gradient: bool) -> Tensor:
        # Its products would be rounded to bf16 wherever autocast is on, those for the tables included.
        with torch.autocast(inputs.device.type, enabled=False):
            logits = inputs
            for i, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
                logits = F.softplus(self.speed * matrix) @ logits + self.speed * bias
                if i < len(self.factors):
                    logits = logits + torch.tanh(self.speed * self.factors[i]) * torch.tanh(logits)
        return logits

    def _likelihood(self, inputs: Tensor, stop_gradient: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        both = torch.cat((inputs - 0.5, inputs + 0.5), dim=-1)
        lower, upper = self._logits_cumulative(both, stop_gradient).chunk(2, dim=-1)
        # σ(u) - σ(l) without cancellation in the upper tail
        likelihood = torch.sigmoid(upper) * torch.sigmoid(-lower) * -torch.expm1(lower - upper)
        return likelihood, lower, upper

    def likelihood(self, y: Tensor) -> Tensor:
        """P(y - ½ < Y < y + ½), (B, C, h, w) -> (B, C, h, w)."""
        batch, channels, height, width = y.shape
        values = y.transpose(0, 1).reshape(channels, 1, -1)
        likelihood, _, _ = self._likelihood(values)
        return likelihood.reshape(channels, batch, height, width).transpose(0, 1) + FLOOR

    @torch.no_grad()
    def bisect(self, integer_medians: bool) -> None:
        """Set the quantiles: the medians are the coder's offsets, the outer ones the extent of its tables.

        A fixed number of halvings, so that weights that are not numbers cannot hang it.
        """
        low, high = torch.full_like(self.quantiles, -1e5), torch.full_like(self.quantiles, 1e5)
        for _ in range(40):
            middle = (low + high) / 2
            below = self._logits_cumulative(middle, stop_gradient=True) < self.target
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        quantiles = (low + high) / 2
        medians = quantiles[:, :, 1:2]
        if integer_medians:
            medians = medians.round()
        reach = (quantiles - medians).clamp(-WIDEST_TABLE, WIDEST_TABLE)
        self.quantiles.copy_(medians + reach)
        self.quantiles[:, :, 1:2] = medians

    def rounded(self, y: Tensor) -> Tensor:
        """What a decoder of the file sees, round(y - median) + median; (B, C, h, w)."""
        return torch.round(y - self.medians) + self.medians

    @property
    def medians(self) -> Tensor:
        """(C, 1, 1), what is taken off before rounding."""
        return self.quantiles[:, 0, 1].detach()[:, None, None]

    @torch.no_grad()
    def make_tables(self) -> Tables:
        """A table for each channel, of round(y - median)."""
        reach = (self.quantiles[:, 0, (0, 2)] - self.quantiles[:, 0, 1:2]).abs().max().item()
        width = min(WIDEST_TABLE, math.ceil(reach) + 1)
        steps = torch.arange(-width, width + 1, device=self.quantiles.device).to(self.quantiles.dtype)
        mass, _, _ = self._likelihood(self.quantiles[:, :, 1:2] + steps)
        return Tables.of(list(mass[:, 0].double().cpu().numpy()), [-width] * len(mass))


class Gaussian(GaussianConditional):
    """N(mean, scale²) convolved with U(-½, ½), for each element.

    ``scale`` is at least ``SMALLEST_SCALE`` by construction of the network that predicts it.
    """

    def __init__(self) -> None:
        super().__init__(scale_table=None, likelihood_bound=0)

    def likelihood(self, y: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        """P(y - ½ < Y < y + ½), all (B, C, h, w)."""
        deviation = y - mean
        # The lower tail is the accurate one. abs() has a wrong second derivative at 0, where rounding leads.
        deviation = torch.where(deviation > 0, -deviation, deviation)
        upper = self._standardized_cumulative((deviation + 0.5) / scale)
        lower = self._standardized_cumulative((deviation - 0.5) / scale)
        return upper - lower + FLOOR

    def make_tables(self) -> Tables:
        """A table for each of ``SCALES`` scales that are spaced evenly in their logarithm, of round(y - mean)."""
        masses, offsets = [], []
        for scale in self.scales().tolist():
            width = math.ceil(5 * scale)
            edges = torch.arange(-width, width + 2, dtype=torch.float64) - 0.5
            masses.append(np.diff(self._standardized_cumulative(edges / scale).numpy()))
            offsets.append(-width)
        return Tables.of(masses, offsets)

    @staticmethod
    def scales() -> Tensor:
        """(SCALES,) float64, the scales that have tables."""
        ratio = (LARGEST_SCALE / SMALLEST_SCALE) ** (1 / (SCALES - 1))
        return SMALLEST_SCALE * ratio ** torch.arange(SCALES, dtype=torch.float64)

    @classmethod
    def borders(cls) -> Tensor:
        """(SCALES - 1,) float64, the geometric means of neighbouring scales: where the next table is the better."""
        scales = cls.scales()
        return (scales[:-1] * scales[1:]).sqrt()
