"""Distortions between x and x_hat that need no network. x_hat is not clamped."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

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

    knob = "anchor"

    def __init__(self, unit: float = 8.0) -> None:
        super().__init__()
        self.scale = (255.0 / unit) ** 2

    def check(self, generator: nn.Module, discriminator: nn.Module | None) -> None:
        self.start = copy.deepcopy(synthesis_of(generator, self.knob)).requires_grad_(False)

    def target(self, turn: Turn) -> Tensor:
        """The images (B, 3, H, W) towards which the decoder's output is pulled; without gradient."""
        with torch.no_grad():
            return self.start(turn.out.y_hat).to(turn.x_hat.dtype) + centre_of(turn.game.generator)

    def forward(self, turn: Turn) -> Tensor:
        return self.scale * turn.mean((turn.x_hat - self.target(turn)).square())


class Wrong(Anchor):
    """L2 penalty towards a wrong target, x_hat_0 shifted to the right: E(shifted x_hat_0 - x_hat)² / (unit/255)².

    A control: it confines the decoder as ``anchor`` does, with the same Hessian, at a wrong place for all images.
    The columns that enter at the left edge are the mirror image of those inside of it (torch's ``reflect``), so that
    every pixel has a target; those that leave at the right are dropped.

    Args:
        unit: RMS distance that adds 1 to the loss, in grey levels.
        shift: in pixels, smaller than the width of the crops.
    """

    knob = "wrong"

    def __init__(self, unit: float = 8.0, shift: int = 3) -> None:
        super().__init__(unit)
        self.shift = shift

    def check_images(self, side: int) -> None:
        if self.shift >= side:
            raise InputError(
                f"terms.wrong.shift={self.shift}: crops of {side} pixels cannot be shifted so far; "
                f"choose at most {side - 1}"
            )

    def target(self, turn: Turn) -> Tensor:
        there = super().target(turn)
        return F.pad(there, (self.shift, 0, 0, 0), mode="reflect")[..., : there.shape[-1]]


class Prox(Term):
    """L2 penalty towards the output x_bar of the decoder's own moving average: E(x_bar - x_hat)² / (unit/255)².

    x_bar is the output, for the same latents, of a decoder whose parameters are an exponential average of the decoder's
    over the updates so far; it begins at the initial decoder. A control that damps: the target follows the decoder, so
    nothing is held where it began, but a fast change costs. The average moves after each update, whatever the rule and
    also at weight 0, and is part of checkpoints.

    Args:
        unit: RMS distance that adds 1 to the loss, in grey levels.
        decay: of the average, in (0, 1).
    """

    has_memory = True

    def __init__(self, unit: float = 8.0, decay: float = 0.99) -> None:
        super().__init__()
        self.scale, self.decay = (255.0 / unit) ** 2, decay
        self.names: dict[
            str, str
        ] = {}  # of the decoder's parameters, by the name of the buffer with the average

    def check(self, generator: nn.Module, discriminator: nn.Module | None) -> None:
        for i, (name, parameter) in enumerate(synthesis_of(generator, "prox").named_parameters()):
            self.names[f"average_{i}"] = name
            self.register_buffer(f"average_{i}", parameter.detach().clone())

    def forward(self, turn: Turn) -> Tensor:
        averages = {name: getattr(self, buffer) for buffer, name in self.names.items()}
        with torch.no_grad():
            there = functional_call(synthesis_of(turn.game.generator, "prox"), averages, (turn.out.y_hat,))
        difference = turn.x_hat - there.to(turn.x_hat.dtype) - centre_of(turn.game.generator)
        return self.scale * turn.mean(difference.square())

    def after_update(self, turn: Turn) -> None:
        self._move(turn, self.decay)

    def settle(self, turn: Turn) -> None:
        self._move(turn, 0.0)

    def _move(self, turn: Turn, decay: float) -> None:
        parameters = dict(synthesis_of(turn.game.generator, "prox").named_parameters())
        for buffer, name in self.names.items():
            setattr(self, buffer, torch.lerp(parameters[name].detach(), getattr(self, buffer), decay))


def synthesis_of(generator: nn.Module, knob: str) -> nn.Module:
    """The generator's g_s, latents (B, M, h, w) to images less ``centre_of``; raises InputError where it has none."""
    synthesis = getattr(generator, "g_s", None)
    if synthesis is None:
        raise InputError(f"{knob}: this generator has no synthesis g_s whose output is the target")
    return synthesis  # type: ignore[no-any-return]


def centre_of(generator: nn.Module) -> float:
    """The constant that the generator adds to the output of its synthesis: ½, or its ``centre``."""
    return getattr(generator, "centre", 0.5)


class L1(Term):
    """E|x - x_hat| / (unit/255), the distortion of pix2pix (Isola et al. 2017)."""

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
