"""CompressAI's entropy models with likelihoods whose derivatives are right to second order.

CompressAI keeps likelihoods (and scales) away from 0 with ``LowerBound``, whose double backward is wrong
where the bound is active. Here a smooth floor is added instead: a symbol never costs more than 30 bits, and the
sum is as differentiable as the likelihood. Parameters and buffers have CompressAI's names, shapes and first values, so
that each side reads the other's weights; the tables are those of ``gcn.codec``. Nothing is inherited: all that is
computed is another, and importing CompressAI takes longer than importing torch.
"""

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gcn.codec.tables import Tables

FLOOR = 1e-9
SMALLEST_SCALE, LARGEST_SCALE, SCALES = 0.11, 256.0, 64  # of the coder's tables, Ballé et al. 2018
WIDTHS = (1, 3, 3, 3, 3, 1)  # of the layers of a factorised density
TAIL_MASS = 1e-9  # outside of the outer quantiles
WIDEST_TABLE = 2048  # symbols on each side of the median; values beyond are escaped


class _EntropyModel(nn.Module):
    """Base with CompressAI's buffers for its own coder's tables; they stay empty, and are part of every state dict."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("_offset", "_quantized_cdf", "_cdf_length"):
            self.register_buffer(name, torch.empty(0, dtype=torch.int32))


class FactorizedDensity(_EntropyModel):
    """A learned density per channel, convolved with U(-½, ½) (Ballé et al., 2018, arXiv 1802.01436, appendix
    6.1).

    ``quantiles`` only serve the coder's tables. They are set by ``bisect``, never by a gradient.

    Args:
        channels: C.
        init_scale: width of the densities at first.
        speed: the other parameters are kept divided by it, so that Adam moves the densities ``speed`` times
            as fast as the transforms. They begin far from the data, and else lag behind in a short run.
    """

    quantiles: nn.Parameter
    target: Tensor

    def __init__(self, channels: int, init_scale: float, speed: float) -> None:
        super().__init__()
        self.speed = speed
        self.matrices, self.biases, self.factors = (nn.ParameterList() for _ in range(3))
        scale = init_scale ** (1 / (len(WIDTHS) - 1))
        for i, (inputs, outputs) in enumerate(itertools.pairwise(WIDTHS)):
            first = math.log(math.expm1(1 / scale / outputs))
            matrix = torch.full((channels, outputs, inputs), first)
            bias = torch.empty(channels, outputs, 1).uniform_(-0.5, 0.5)
            if not matrix.is_meta:  # for the shape of a quotient torch would import its compiler
                matrix, bias = matrix / speed, bias / speed
            self.matrices.append(nn.Parameter(matrix))
            self.biases.append(nn.Parameter(bias))
            if i < len(WIDTHS) - 2:
                self.factors.append(nn.Parameter(torch.zeros(channels, outputs, 1)))
        extent = torch.tensor([-init_scale, 0.0, init_scale])
        quantiles = extent.expand(channels, 1, 3).contiguous()  # for that of `repeat` it would import sympy
        self.quantiles = nn.Parameter(quantiles, requires_grad=False)
        tail = math.log(2 / TAIL_MASS - 1)
        self.register_buffer("target", torch.tensor([-tail, 0.0, tail]))

    def _layers(self) -> list[tuple[Tensor, Tensor, Tensor | None]]:
        """Matrix, bias and factor of each layer of the density."""
        factors = [torch.tanh(self.speed * factor) for factor in self.factors]
        parts = itertools.zip_longest(self.matrices, self.biases, factors)
        return [
            (F.softplus(self.speed * matrix), self.speed * bias, factor) for matrix, bias, factor in parts
        ]

    def _logits_cumulative(
        self, inputs: Tensor, layers: list[tuple[Tensor, Tensor, Tensor | None]] | None = None
    ) -> Tensor:
        # Its products would be rounded to bf16 wherever autocast is on, those for the tables included.
        with torch.autocast(inputs.device.type, enabled=False):
            logits = inputs
            for matrix, bias, factor in layers or self._layers():
                logits = matrix @ logits + bias
                if factor is not None:
                    logits = logits + factor * torch.tanh(logits)
        return logits

    def _likelihood(self, inputs: Tensor) -> Tensor:
        both = torch.cat((inputs - 0.5, inputs + 0.5), dim=-1)
        lower, upper = self._logits_cumulative(both).chunk(2, dim=-1)
        # σ(u) - σ(l) without cancellation in the upper tail
        return torch.sigmoid(upper) * torch.sigmoid(-lower) * -torch.expm1(lower - upper)

    def likelihood(self, y: Tensor) -> Tensor:
        """P(y - ½ < Y < y + ½), (B, C, h, w) -> (B, C, h, w)."""
        batch, channels, height, width = y.shape
        values = y.transpose(0, 1).reshape(channels, 1, -1)
        return self._likelihood(values).reshape(channels, batch, height, width).transpose(0, 1) + FLOOR

    @torch.no_grad()
    def bisect(self, integer_medians: bool) -> None:
        """Set the quantiles by bisection: medians are the coder's offsets, the outer ones the range of its tables.

        A fixed number of halvings, so that weights that are not numbers cannot hang it.
        """
        low, high = torch.full_like(self.quantiles, -1e5), torch.full_like(self.quantiles, 1e5)
        layers = self._layers()
        for _ in range(40):
            middle = (low + high) / 2
            below = self._logits_cumulative(middle, layers) < self.target
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        quantiles = (low + high) / 2
        medians = quantiles[:, :, 1:2]
        if integer_medians:
            medians = medians.round()
        reach = (quantiles - medians).clamp(-WIDEST_TABLE, WIDEST_TABLE)
        self.quantiles.copy_(medians + reach)
        self.quantiles[:, :, 1:2] = medians

    @torch.no_grad()
    def present_medians(self) -> Tensor:
        """(C, 1, 1) medians of the density as it is, to 3e-6; ``quantiles`` stay.

        In every step of a training, hence six searches of 64 values each: on a GPU the number of operations counts.
        """
        low, width = torch.full_like(self.quantiles[:, :, 1:2], -1e5), 2e5
        grid = torch.arange(64, device=low.device).to(low.dtype) / 64
        layers = self._layers()
        for _ in range(6):
            below = (self._logits_cumulative(low + width * grid, layers) < 0).sum(-1, keepdim=True)
            low = low + width / 64 * (below - 1).clamp(min=0)
            width /= 64
        return low + width / 2

    def rounded(self, y: Tensor) -> Tensor:
        """Quantised y (B, C, h, w) as a decoder of the file has it, round(y - median) + median."""
        return torch.round(y - self.medians) + self.medians

    @property
    def medians(self) -> Tensor:
        """(C, 1, 1) medians, which are subtracted before rounding."""
        return self.quantiles[:, 0, 1].detach()[:, None, None]

    @torch.no_grad()
    def make_tables(self) -> Tables:
        """A table for each channel, of round(y - median)."""
        reach = (self.quantiles[:, 0, (0, 2)] - self.quantiles[:, 0, 1:2]).abs().max().item()
        width = min(WIDEST_TABLE, math.ceil(reach) + 1)
        steps = torch.arange(-width, width + 1, device=self.quantiles.device).to(self.quantiles.dtype)
        mass = self._likelihood(self.quantiles[:, :, 1:2] + steps)
        return Tables.of(list(mass[:, 0].double().cpu().numpy()), [-width] * len(mass))


class Gaussian(_EntropyModel):
    """N(mean, scale²) convolved with U(-½, ½), for each element; scale = ``SMALLEST_SCALE`` + softplus(raw).

    ``raw`` is what the network predicts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale_table", torch.empty(0))
        self.register_buffer("scale_bound", torch.tensor([SMALLEST_SCALE]))
        self.lower_bound_scale = nn.Module()
        self.lower_bound_scale.register_buffer("bound", torch.tensor([SMALLEST_SCALE]))

    def likelihood(self, y: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        """P(y - ½ < Y < y + ½), all (B, C, h, w)."""
        deviation = y - mean
        # The lower tail is the accurate one. abs() has a wrong second derivative at 0, where rounding leads.
        deviation = torch.where(deviation > 0, -deviation, deviation)
        upper = _normal_cumulative((deviation + 0.5) / scale)
        lower = _normal_cumulative((deviation - 0.5) / scale)
        return upper - lower + FLOOR

    def scale(self, raw: Tensor) -> Tensor:
        """Scales of raw ones, any shape."""
        return SMALLEST_SCALE + F.softplus(raw)

    def raw_borders(self) -> Tensor:
        """(SCALES - 1,) float64 raw scales of :meth:`borders`, in rising order."""
        above = self.borders() - SMALLEST_SCALE
        return above + torch.log(-torch.expm1(-above))

    def likelihood_of_raw(self, y: Tensor, mean: Tensor, raw: Tensor) -> Tensor:
        """P(y - ½ < Y < y + ½) for raw scales, all (B, C, h, w)."""
        return self.likelihood(y, mean, self.scale(raw))

    def make_tables(self) -> Tables:
        """A table of round(y - mean) for each of ``SCALES`` scales, spaced evenly in their logarithm."""
        masses, offsets = [], []
        for scale in self.scales().tolist():
            width = math.ceil(5 * scale)
            edges = torch.arange(-width, width + 2, dtype=torch.float64) - 0.5
            masses.append(np.diff(_normal_cumulative(edges / scale).numpy()))
            offsets.append(-width)
        return Tables.of(masses, offsets)

    @staticmethod
    def scales() -> Tensor:
        """(SCALES,) float64 scales that have tables."""
        ratio = (LARGEST_SCALE / SMALLEST_SCALE) ** (1 / (SCALES - 1))
        return SMALLEST_SCALE * ratio ** torch.arange(SCALES, dtype=torch.float64)

    @classmethod
    def borders(cls) -> Tensor:
        """(SCALES - 1,) float64 geometric means of neighbouring scales, where the better table changes."""
        scales = cls.scales()
        return (scales[:-1] * scales[1:]).sqrt()


class BoundedGaussian(Gaussian):
    """A Gaussian whose scale is max(raw, ``SMALLEST_SCALE``), as in the published hyperpriors.

    Below the bound the true derivative for raw is 0, so that such a scale could never rise again. CompressAI and
    HiFiC therefore let a gradient pass that would raise it. Here it is a force on raw, the derivative of
    -log(likelihood) at the bound where that is negative: the same gradient of every rate. As no function of raw has
    this gradient, the force counts as constant in second derivatives, which are those of max(raw, ``SMALLEST_SCALE``).
    """

    def scale(self, raw: Tensor) -> Tensor:
        """Scales of raw ones, any shape."""
        return raw.clamp(min=SMALLEST_SCALE)

    def raw_borders(self) -> Tensor:
        """(SCALES - 1,) float64 raw scales of :meth:`borders`, in rising order."""
        return self.borders()

    def likelihood_of_raw(self, y: Tensor, mean: Tensor, raw: Tensor) -> Tensor:
        """P(y - ½ < Y < y + ½) for raw scales, all (B, C, h, w)."""
        likelihood = super().likelihood_of_raw(y, mean, raw)
        if not raw.requires_grad:
            return likelihood
        with torch.no_grad():  # d log(likelihood) / d scale at the bound
            upper, lower = ((y - mean + side) / SMALLEST_SCALE for side in (0.5, -0.5))
            slope = (lower * _normal_density(lower) - upper * _normal_density(upper)) / SMALLEST_SCALE
            force = torch.where(raw < SMALLEST_SCALE, slope / likelihood, 0.0).clamp(min=0)
        return likelihood * torch.exp(force * (raw - raw.detach()))  # times 1


def _normal_density(x: Tensor) -> Tensor:
    """φ(x)."""
    return torch.exp(-0.5 * x.square()) / math.sqrt(2 * math.pi)


def _normal_cumulative(x: Tensor) -> Tensor:
    """Φ(x), accurate in the lower tail."""
    return 0.5 * torch.erfc(-(2**-0.5) * x)
