"""Classifier two-sample test: can a fresh small network tell reconstructions from photographs?

The classifier is trained after the codec, on crops of some images, and tested on crops of others. It takes no part in
the codec's training, so no loss of the codec can adapt to it. It sees what the sliced Wasserstein distance misses:
white noise, blocks and lattices (Lopez-Paz & Oquab 2017, *Revisiting classifier two-sample tests*).
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gcn.errors import InputError
from gcn.metrics.fidelity import to_uint8

FEWEST = 32  # crops on either side of the split, the least from which a number is stated
SLOPE = 0.1  # of the activation below zero
ROUNDING = (
    1 / 255**2 / 12
)  # variance of the rounding to 8 bits: the least that a direction of patches counts as
BETAS, DECAY = (0.9, 0.999), 1e-2  # of AdamW
NEWTON = 30  # steps of the calibration, which is convex in two numbers


@dataclass(frozen=True)
class Classifier:
    """Size and budget of the classifier; chosen on degradations of known strength.

    Attributes:
        side: pixels of the patches that are judged, at least 8; crops are cut into such patches without overlap.
        width: channels of the first of three convolutions; the others have twice and four times as many.
        epochs: passes over the training patches.
        batch: patches of each kind in an update.
        rate: largest learning rate of AdamW; it rises over a fifth of the updates and falls to zero.
    """

    side: int = 16
    width: int = 16
    epochs: int = 2
    batch: int = 128
    rate: float = 1e-2


class C2ST(NamedTuple):
    """Result of the classifier two-sample test on held-out patches.

    Attributes:
        auc: probability that a real patch has a higher logit than a fake one; 0.5 = cannot tell, 1 = always right.
        bits: 1 - log-loss in bits of the calibrated classifier, from 0 (cannot tell) to 1 (always right).
        uncalibrated: the same of the logits as they are; below 0 where the classifier is overconfident.
        of_crop: bits (N,) of each held-out pair of crops, calibrated; their mean is ``bits`` where that is above 0.
    """

    auc: float
    bits: float
    uncalibrated: float
    of_crop: Tensor


def c2st(real: Tensor, fake: Tensor, held_out: Tensor, seed: int, options: Classifier = Classifier()) -> C2ST:
    """Train a classifier on crops and test it on the held-out ones; the same seed gives the same numbers.

    ``bits`` is calibrated: a scale and an offset of the logits are fitted to the held-out patches themselves
    (Platt 1999), since a classifier that overfits its few training images would otherwise report less than it
    knows, even less than nothing. Two fitted numbers raise the bits of a classifier that cannot tell by about
    1 / (2 N ln 2) for N independent patches, .001 or less for the sizes in use.

    Args:
        real: crops (N, 3, s, s) of photographs in [0, 1], or uint8.
        fake: as many crops of reconstructions, at the same or at other places.
        held_out: (N,) bool: crops that are tested and never trained on. Hold out whole images, so that a photograph
            and its reconstruction are on the same side.
        seed: of the weights and of the order of the crops; no global generator is used.
        options: size and budget.

    Both kinds are clamped and rounded to 8 bits, as files hold them.

    Raises:
        InputError: fewer than ``FEWEST`` crops on one side of the split, crops smaller than a patch, values that
            are not finite.
    """
    _check(real, fake, held_out, options)
    real, fake = (_patches(_eight(crops), options.side) for crops in (real, fake))  # (N, P, 3, side, side)
    trained = [crops[~held_out].flatten(0, 1) for crops in (real, fake)]
    network = _Network(torch.cat(trained), seed, options)
    network.fit(*trained)
    logits = [network(crops[held_out].flatten(0, 1)).view(-1, crops.shape[1]) for crops in (real, fake)]
    return measured(*logits)


def measured(real: Tensor, fake: Tensor) -> C2ST:
    """AUC and bits of logits (N, P) of the P patches of N real and N fake crops; high = real."""
    real, fake = real.double(), fake.double()
    of_crop = bits(*calibrated(real, fake)).mean(1)
    auc = _auc(real.flatten(), fake.flatten())
    return C2ST(auc, max(0.0, float(of_crop.mean())), float(bits(real, fake).mean()), of_crop)


def _check(real: Tensor, fake: Tensor, held_out: Tensor, options: Classifier) -> None:
    if real.dim() != 4 or real.shape != fake.shape or held_out.shape != real.shape[:1]:
        raise InputError(
            "c2st: takes real and fake crops (N, 3, s, s) and held_out (N,); got "
            f"{tuple(real.shape)}, {tuple(fake.shape)} and {tuple(held_out.shape)}"
        )
    if min(real.shape[-2:]) < options.side:
        raise InputError(
            f"c2st: crops of {real.shape[-2]}x{real.shape[-1]} pixels are smaller than a patch; give crops of at "
            f"least {options.side} pixels"
        )
    tested = int(held_out.sum())
    if min(tested, len(real) - tested) < FEWEST:
        raise InputError(
            f"c2st: {len(real) - tested} crops to train on and {tested} to test on; give at least {FEWEST} of each"
        )
    for name, crops in (("real", real), ("fake", fake)):
        if not bool(torch.isfinite(crops).all()):
            raise InputError(f"c2st: {name} crops hold values that are not finite; leave these images out")


def _eight(crops: Tensor) -> Tensor:
    return crops if crops.dtype == torch.uint8 else to_uint8(crops)


def _patches(crops: Tensor, side: int) -> Tensor:
    """Patches (N, P, C, side, side) of crops (N, C, s, s), side by side."""
    cut = crops.unfold(2, side, side).unfold(3, side, side)  # (N, C, rows, columns, side, side)
    return cut.permute(0, 2, 3, 1, 4, 5).flatten(1, 2)


class _Network:
    """Three convolutions and a mean over space; the first one acts on whitened blocks of 4x4 pixels.

        patch ─► whitening ─► 4x4 /2 ─► 3x3 /2 ─► 3x3 /2 ─► mean ─► logit

    Natural images have little energy in fine detail, and artefacts have it there. In whitened coordinates all details
    have variance 1, so few updates are enough to find them.
    """

    def __init__(self, patches: Tensor, seed: int, options: Classifier) -> None:
        key = repr((seed, "c2st")).encode()
        digest = hashlib.blake2b(key, digest_size=8).digest()
        self.generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
        self.options, width = options, options.width
        self.whitening, self.mean = _whitening(patches)
        inputs = len(self.whitening)
        last = min(3, (options.side - 4) // 4)  # pixels that the second convolution leaves, at most three
        shapes = [(width, inputs), (2 * width, width, 3, 3), (4 * width, 2 * width, last, last)]
        self.weights = [
            torch.randn(shape, generator=self.generator) * (2 / math.prod(shape[1:])) ** 0.5
            for shape in shapes
        ]
        self.weights.append(torch.zeros(1, 4 * width))
        self.biases = [torch.zeros(len(weight)) for weight in self.weights]
        for tensor in (*self.weights, *self.biases):
            tensor.requires_grad_()

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B,) of patches (B, C, side, side)."""
        first = (
            self.weights[0] @ self.whitening
        )  # a convolution of the pixels, learned in whitened coordinates
        h = F.conv2d(x, first.view(-1, x.shape[1], 4, 4), self.biases[0] - first @ self.mean, stride=2).abs()
        for weight, bias in zip(self.weights[1:3], self.biases[1:3], strict=True):
            h = F.leaky_relu(F.conv2d(h, weight, bias, stride=2), SLOPE)
        return F.linear(h.mean((2, 3)), self.weights[3], self.biases[3])[:, 0]

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Logits (B,) of any number of patches uint8."""
        return torch.cat([self.forward(_unit(part)) for part in x.split(512)])

    @torch.enable_grad()
    def fit(self, real: Tensor, fake: Tensor) -> None:
        """Train on patches (P, C, side, side) uint8 of both kinds.

        A batch has real patches and the fake ones of the same indices, so that their content cancels.
        """
        batch = min(self.options.batch, len(real))
        updates = self.options.epochs * (len(real) // batch)
        optimizer = _AdamW([*self.weights, *self.biases])
        for k in range(updates):
            at = k % (len(real) // batch)
            if at == 0:
                order = torch.randperm(len(real), generator=self.generator)
            chosen = order[at * batch : (at + 1) * batch]
            logits = self.forward(_unit(torch.cat([real[chosen], fake[chosen]])))
            loss = F.softplus(-logits[:batch]).mean() + F.softplus(logits[batch:]).mean()
            gradients = torch.autograd.grad(loss / 2, optimizer.parameters)
            optimizer.step(gradients, self.options.rate * min(1.0, 5 * (k + 1) / updates) * (1 - k / updates))


class _AdamW:
    """AdamW (Loshchilov & Hutter 2019) as in torch, whose own one takes 2 s and 150 MB to import."""

    def __init__(self, parameters: list[Tensor]) -> None:
        self.parameters, self.count = parameters, 0
        self.moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: float) -> None:
        """One update; tensors of one dimension are biases, which do not decay."""
        self.count += 1
        first, second = (1 - beta**self.count for beta in BETAS)
        for p, gradient, (m, v) in zip(self.parameters, gradients, self.moments, strict=True):
            if p.dim() > 1:
                p.mul_(1 - rate * DECAY)
            m.lerp_(gradient, 1 - BETAS[0])
            v.lerp_(gradient.square(), 1 - BETAS[1])
            p.addcdiv_(m, (v / second).sqrt_().add_(1e-8), value=-rate / first)


def _unit(patches: Tensor) -> Tensor:
    """Patches uint8 as float32 in [0, 1]."""
    return patches.float() / 255


def _whitening(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Matrix (d, d) that whitens blocks of 4x4 pixels, and their mean (d,), d = 16 C."""
    blocks = _unit(patches[:: max(1, len(patches) // 1024)]).unfold(2, 4, 4).unfold(3, 4, 4)
    rows = blocks.permute(0, 2, 3, 1, 4, 5).flatten(0, 2).flatten(1).double()
    centred = rows - rows.mean(0)
    variances, axes = torch.linalg.eigh(centred.T @ centred / len(rows))
    scale = (variances.clamp(min=0) + ROUNDING).rsqrt()
    return (axes * scale).T.float(), rows.mean(0).float()


def _auc(real: Tensor, fake: Tensor) -> float:
    """Area under the ROC curve, ties counted as one half."""
    ordered = fake.sort().values
    below, upto = (torch.searchsorted(ordered, real, right=right).double() for right in (False, True))
    return float((below + upto).mean() / 2 / len(fake))


def bits(real: Tensor, fake: Tensor) -> Tensor:
    """1 - log-loss in bits of pairs of logits, of the shape of both; high = real."""
    return 1 - (F.softplus(-real) + F.softplus(fake)) / 2 / math.log(2)


def calibrated(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The logits after the best positive scale and offset; all zero where no positive scale helps.

    Newton's method on Platt's smoothed targets, which have a finite optimum for classes that are apart.
    """
    logits = torch.cat([real.flatten(), fake.flatten()])
    centre, spread = logits.mean(), logits.std()
    nothing = torch.zeros_like(real), torch.zeros_like(fake)
    if not float(spread) > 0:
        return nothing
    inputs = torch.stack([(logits - centre) / spread, torch.ones_like(logits)], dim=1)
    count = real.numel()
    targets = torch.full_like(logits, 1 / (count + 2))
    targets[:count] = (count + 1) / (count + 2)

    def loss(at: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(inputs @ at, targets)

    at = logits.new_zeros(2)
    for _ in range(NEWTON):
        p = torch.sigmoid(inputs @ at)
        slope = inputs.T @ (p - targets) / len(logits)
        curvature = (inputs.T * (p * (1 - p))) @ inputs / len(logits) + 1e-12 * torch.eye(2).to(logits)
        step, size = torch.linalg.solve(curvature, slope), 1.0
        while size > 1e-6 and loss(at - size * step) > loss(at):
            size /= 2
        at = at - size * step
    if float(at[0]) <= 0:
        return nothing
    scores = inputs @ at
    return scores[:count].view_as(real), scores[count:].view_as(fake)
