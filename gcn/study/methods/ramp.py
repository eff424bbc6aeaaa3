"""An arm of the study of methods: how fast a game can be trained before it fails, and whether it amplifies differences.

One training in which D's learning rate rises by ``octaves`` factors of two and G's stays at a low value. It *fails*
when the weights are not finite, or when the reconstructions are more than ``decibels`` worse than those of the decoder
that all arms of a seed start from, at two looks in succession. The margin h* is D's learning rate at the last look
before.
G's rate stays, because a decoder fails at some rate without any adversary too: where both rates rise, that limit hides
the game's. 3 dB is the price of perfect realism: a decoder that draws from the images that may have been coded has
twice the squared error of the best one (Blau and Michaeli 2019, theorem 2), so that a larger loss is none that realism
asks for.

A second training at a constant, low learning rate has its exponent Λ measured (:mod:`gcn.spectrum.exponent`).
"""

import math
import time
from functools import cache
from typing import Any, NamedTuple, cast

from gcn.config.parse import parse
from gcn.game.protocols import ScheduledPlayer
from gcn.models.places import model_path
from gcn.report.summary import plain
from gcn.spectrum import exponent
from gcn.study.arm_training import ArmTraining
from gcn.study.arms import EXPONENT, Arm, Protocol, RampPlan
from gcn.study.ground import Ground, prepare
from gcn.study.twins import training_of

SETTLING = ("loss=ns", "mse=1")  # of the decoder before anything else, without the adversary
LATE = 2  # looks in succession at which a training that fails is too bad


class Ramp(NamedTuple):
    """How a training with a rising learning rate of D ended.

    Attributes:
        verdict: ``fails``, ``diverged``, or ``holds`` up to the highest learning rate.
        reason: in one line.
        failed_at: update of the failure; None for ``holds``.
        factor: of D's learning rate at the last look before the failure; 0.0 if the first look had failed.
        rows: ``step``, ``learning_rate`` (its factor) and ``psnr`` (dB) of each look.
    """

    verdict: str
    reason: str
    failed_at: int | None
    factor: float
    rows: list[dict[str, float]]


def ramp(training: ArmTraining, limit: float, plan: RampPlan, updates: int) -> Ramp:
    """Train while D's learning rate rises, until the PSNR is below ``limit`` (dB) or weights are not finite."""
    rows, held, below = list[dict[str, float]](), 0.0, 0
    for step in range(1, updates + 1):
        factor = 2 ** (plan.octaves * step / updates)
        cast(ScheduledPlayer, training.players.d).set_learning_rate(factor)
        training.advance()
        if step % plan.look:
            continue
        decibels = psnr(training)
        rows.append({"step": step, "learning_rate": factor, "psnr": decibels})
        if not math.isfinite(decibels):
            return Ramp("diverged", f"not finite at update {step}", step, held, rows)
        below = below + 1 if decibels < limit else 0
        if below == LATE:
            reason = f"{decibels:.1f} dB at update {step}, limit {limit:.1f} dB"
            return Ramp("fails", reason, step, held, rows)
        held = held if below else factor
    return Ramp("holds", f"up to {held:.3g} times the first learning rate", None, held, rows)


def psnr(training: ArmTraining) -> float:
    """Mean PSNR of the validation crops in dB; not a number where weights or reconstructions are not finite."""
    return training.psnr() if training.is_finite() else math.nan


class Start(NamedTuple):
    """What the arms of a seed share.

    Attributes:
        ground: data, and the decoder that arms start from.
        psnr: of that decoder's reconstructions of the validation crops, dB.
    """

    ground: Ground
    psnr: float


@cache
def start(protocol: Protocol, seed: int) -> Start:
    """The data of a seed, and the decoder of the protocol's model, trained on by distortion alone.

    A model's decoder is not the best one for these crops and frozen latents: it is trained for ``plan.settle`` updates
    at a learning rate that falls to 0, so that little is left that any training would improve at once.
    """
    plan = protocol.ramp
    assert plan is not None
    words = [*protocol.arm, *SETTLING, f"optim.g.lr={plan.settle_lr:g}", f"seed={seed}"]
    ground = prepare(model_path(parse(words, protocol.extra).init_from), protocol, seed)
    training = training_of(parse(words, protocol.extra), ground, "distortion_alone")
    training.settle(plan.settle)
    decoder = {k: v.clone() for k, v in training.generator.state_dict().items() if k.startswith("g_s.")}
    return Start(ground.starting_from(decoder), psnr(training))


def play(arm: Arm, protocol: Protocol) -> dict[str, Any]:
    """Train an arm; returns its result, as :func:`gcn.study.table.row` takes it.

    With ``method=ramp`` its responses are ``h``, the margin h* as a learning rate of D, ``octaves``, its logarithm to
    base 2 (both not a number where no look held), and ``start_psnr`` in dB; with ``method=exponent`` ``exponent``, Λ
    per update.
    """
    begun, plan = time.perf_counter(), protocol.ramp
    assert plan is not None
    shared = start(protocol, arm.seed)
    responses: dict[str, float]
    if arm.own.get("method") == EXPONENT:
        rate = plan.exponent_lr
        responses = {"exponent": _exponent(_training(arm, shared.ground, protocol, rate, rate), plan)}
        found = Ramp("measured", "", None, 1.0, [])
    else:
        training = _training(arm, shared.ground, protocol, plan.lr, plan.lowest)
        found = ramp(training, shared.psnr - plan.decibels, plan, protocol.updates)
        h = plan.lowest * found.factor if found.factor else math.nan
        responses = {"h": h, "octaves": math.log2(h), "start_psnr": shared.psnr}
    return plain({
        "name": arm.name, "levels": dict(arm.levels), "seed": arm.seed, "words": list(arm.words),
        "verdict": found.verdict, "verdict_step": found.failed_at, "verdict_reason": found.reason,
        "rows": found.rows, "steps": found.rows[-1]["step"] if found.rows else 0,
        "seconds": time.perf_counter() - begun, "responses": responses,
    })  # fmt: skip


def _training(arm: Arm, ground: Ground, protocol: Protocol, lr: float, d_lr: float) -> ArmTraining:
    """The game of an arm with these learning rates of G and of D."""
    words = [*arm.words, f"optim.g.lr={lr:g}", f"optim.d.lr={d_lr:g}"]
    return training_of(parse(words, protocol.extra), ground)


def _exponent(training: ArmTraining, plan: RampPlan) -> float:
    """Λ per update, of one pair of copies; not a number where a rule or an optimizer has none."""
    for _ in range(plan.exponent_before):
        training.advance()
    settings = exponent.Settings(
        updates=plan.exponent_updates,
        align=plan.exponent_align,
        directions=1,
        conditional=0,
        distances=(),
    )
    return exponent.measure(training.doubled(), settings).value
