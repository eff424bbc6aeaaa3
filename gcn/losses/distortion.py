"""Distortions between x and x_hat that need no network. x_hat is not clamped."""

import copy

import torch
from torch import Tensor, nn

from gcn.errors import InputError
from gcn.game.slots import Term
from gcn.game.turn import Turn


class MSE(Term):
    """E(x - x_hat)² / (unit/255)²: an RMS error of ``unit`` grey levels has the value 1.

    In units of 8 grey levels HiFiC's published balance of distortion and adversary is a weight of exactly 1.
    """

    def __init__(self, unit: float = 8.0) -> None:
        super().__init__()
        self.scale = (255.0 / unit) ** 2

    def forward(self, turn: Turn) -> Tensor:
        return self.scale * turn.mean((turn.x_hat - turn.x).square())


class Anchor(Term):
    """L2 penalty towards the decoder's initial output x_hat_0: E(x_hat_0 - x_hat)² / (unit/255)².

    The target is the initial decoder's output for the same latents, not the image. A control: ``mse`` has the same
    Hessian and another target, so what both achieve does not need the target of a distortion. The initial decoder
    is part of checkpoints.
    """

    def __init__(self, unit: float = 8.0) -> None:
        super().__init__()
        self.scale = (255.0 / unit) ** 2

    def check(self, generator: nn.Module, discriminator: nn.Module | None) -> None:
        synthesis = getattr(generator, "g_s", None)
        if synthesis is None:
            raise InputError("anchor: this generator has no synthesis g_s whose initial output is the target")
        self.start = copy.deepcopy(synthesis).requires_grad_(False)

    def forward(self, turn: Turn) -> Tensor:
        with torch.no_grad():
            there = self.start(turn.out.y_hat).to(turn.x_hat.dtype) + 0.5
        return self.scale * turn.mean((turn.x_hat - there).square())


class L1(Term):
    """E|x - x_hat| / (unit/255)."""

    def __init__(self, unit: float = 8.0) -> None:
        super().__init__()
        self.scale = 255.0 / unit

    def forward(self, turn: Turn) -> Tensor:
        return self.scale * turn.mean((turn.x_hat - turn.x).abs())


class Charbonnier(Term):
    """E√((x - x_hat)² + ε²) / (unit/255), a smooth L1 (Charbonnier et al. 1994); ε in [0, 1] image units."""

    def __init__(self, epsilon: float = 1e-3, unit: float = 8.0) -> None:
        super().__init__()
        self.epsilon2, self.scale = epsilon**2, 255.0 / unit

    def forward(self, turn: Turn) -> Tensor:
        return self.scale * turn.mean(((turn.x_hat - turn.x).square() + self.epsilon2).sqrt())


class MSSSIM(Term):
    """1 - MS-SSIM(x, x_hat) (Wang et al. 2003), the first ``levels`` of the five scales, exponents renormalised.

    Contrast terms are held above ``FLOOR``: a negative one (an untrained decoder) has no real power, and the
    gradient of t^w at t = 0 is infinite.
    """

    WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    WINDOW = 11
    FLOOR = 1e-4

    def __init__(self, levels: int = 3) -> None:
        super().__init__()
        self.levels = levels
        total = sum(self.WEIGHTS[:levels])
        self.exponents = [weight / total for weight in self.WEIGHTS[:levels]]

    def check_images(self, side: int) -> None:
        smallest = (self.WINDOW - 1) * 2 ** (self.levels - 1) + 1
        if side < smallest:
            raise InputError(
                f"terms.ms_ssim.levels={self.levels}: crops of {side} pixels are too small; use fewer levels or "
                f"data.crop={smallest} or more"
            )

    def forward(self, turn: Turn) -> Tensor:
        from pytorch_msssim.ssim import _fspecial_gauss_1d, _ssim

        with torch.autocast(turn.x.device.type, enabled=False):
            x, x_hat = turn.x, turn.x_hat  # fp32 or better
            window = _fspecial_gauss_1d(self.WINDOW, 1.5).repeat(3, 1, 1, 1).to(x)
            factors = []
            for level in range(self.levels):
                similarity, contrast = _ssim(x, x_hat, 1.0, window, size_average=False)  # each (B, C)
                last = level == self.levels - 1
                factors.append(
                    (similarity if last else contrast).clamp(min=self.FLOOR) ** self.exponents[level]
                )
                if not last:
                    x, x_hat = (torch.nn.functional.avg_pool2d(t, 2) for t in (x, x_hat))
            return turn.mean(1 - torch.stack(factors).prod(0))
