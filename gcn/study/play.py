"""Training of one arm: the production game, rule and optimizers on cached latents, and the rows for its verdict."""

import math
import time
from typing import Any

import torch

from gcn.config.parse import parse
from gcn.metrics.realism import Slicing, sliced_wasserstein
from gcn.metrics.stability import verdict
from gcn.study import diagnostics
from gcn.study.arm_training import ArmTraining
from gcn.study.arms import Arm, Protocol, partner
from gcn.study.ground import Decoder, Ground, Samples, Whole, words_of
from gcn.study.twins import training_of
from gcn.training.instruments import gradients_at_x_hat, logits
from gcn.training.player import OptimizerPlayer
from gcn.training.watch import NormWatch

SLICING = Slicing(patches=64, directions=128)
SEED = 0  # of patches and directions


def play(
    arm: Arm, ground: Ground, protocol: Protocol, diagnose: bool = False, others: Ground | None = None
) -> dict[str, Any]:
    """Train an arm to its end or until it diverges, which is a result too.

    Args:
        arm, ground, protocol: what is trained, on which data, for how many updates.
        diagnose: add ``diagnostics``, the result of :func:`gcn.study.diagnostics.measure` at the end.
        others: data of the seed's partner, whose game the discriminator of a yoked twin repeats.

    Returns:
        ``name``, ``levels``, ``seed``, ``words``; ``rows`` as in ``metrics.csv``; ``verdict``, ``verdict_step``,
        ``verdict_reason``, ``indicators``; ``start`` and ``end``, the first and the last validation; ``steps`` and
        ``seconds``.
    """
    begun = time.perf_counter()
    cfg = parse(words_of(arm, protocol.joint), protocol.extra)
    training = training_of(cfg, ground, arm.own.get("twin"), _other(arm, protocol, others))
    game = training.game
    game.instruments = [logits, gradients_at_x_hat]  # rate is the same in all arms
    watch, event, rows = NormWatch(), None, []
    look = _Validation(training.generator, ground)
    rows.append({"step": 0, **look()})
    for step in range(1, protocol.updates + 1):
        training.advance(observe=step % protocol.log_every == 0)
        _watch(watch, training, step)
        validating = step % protocol.val_every == 0
        if validating:
            watch.check_weights(game, step)
        event = watch.event
        if game.observing or event is not None:
            row = {f"train/{name}": float(value) for name, value in game.values.items()} | watch.latest
            rows.append({"step": step, **row, **(look() if validating and event is None else {})})
        if event is not None:
            break
    seconds = time.perf_counter() - begun
    judged = verdict(rows, event)
    looked = [row for row in rows if "val/swd" in row]
    return {
        "name": arm.name,
        "levels": dict(arm.levels),
        "seed": arm.seed,
        "words": list(arm.words),
        "rows": rows,
        "verdict": judged.name,
        "verdict_step": judged.step,
        "verdict_reason": judged.reason,
        "indicators": judged.indicators,
        "start": looked[0],
        "end": looked[-1],
        "steps": rows[-1]["step"],
        "seconds": seconds,
        **(
            {"diagnostics": diagnostics.measure(game, ground, cfg, judged.name, look.before)}
            if diagnose
            else {}
        ),
    }


def _other(arm: Arm, protocol: Protocol, others: Ground | None) -> ArmTraining | None:
    """The game of the seed's partner, for a yoked twin."""
    if others is None:
        return None
    words = [*words_of(arm, protocol.joint), f"seed={partner(arm.seed)}"]
    return ArmTraining(parse(words, protocol.extra), others)


def _watch(watch: NormWatch, training: ArmTraining, step: int) -> None:
    """Look at the gradients of the players that an optimizer moves; those of a twin may be at rest or replayed."""
    g, d = training.players
    if isinstance(g, OptimizerPlayer):
        watch((g, d if isinstance(d, OptimizerPlayer) else g), step)


class _Validation:
    """Validation of fixed crops: realism, distortion, and the change since the last validation."""

    def __init__(self, generator: Decoder | Whole | Samples, ground: Ground) -> None:
        self.generator, self.val_x = generator, ground.val_x
        self.sampled = isinstance(generator, Samples)
        shown = self.val_x
        if isinstance(generator, Samples):
            shown = shown[..., : generator.side, : generator.side]
        self.xs = list(shown)
        self.before = torch.empty(0)

    @torch.no_grad()
    def __call__(self) -> dict[str, float]:
        x_hat, bpp = self.generator.validate(self.val_x)
        x_hat = x_hat.clamp(0, 1)
        values = {
            **({} if bpp is None else {"val/bpp": bpp}),
            **({} if self.sampled else {"val/psnr": self._psnr(x_hat)}),
            "val/swd": sliced_wasserstein(self.xs, list(x_hat), SEED, SLICING)["mean"],
        }
        if len(self.before):
            values["val/jitter"] = 255 * math.sqrt(float((x_hat - self.before).square().mean()))
        self.before = x_hat
        return values

    def _psnr(self, x_hat: torch.Tensor) -> float:
        error = (x_hat - self.val_x).double().square().mean((1, 2, 3))
        return float(-10 * error.clamp(min=1e-12).log10().mean())
