"""One run of a margin: training at one learning rate and one weight of the adversary, judged at fixed updates.

A run *holds* if its weights stay finite and at each of the last ``JUDGED`` looks the log-loss of fresh classifiers that
tell photographs from reconstructions is at most δ octaves below that of the reference
(:class:`gcn.study.margin.judge.Reference`). It *reaches* if it is δ above it at each of them. Learning rates are
constant: the schedule of a configuration is left out.
"""

import math
import time
from typing import NamedTuple

from gcn.errors import InputError
from gcn.study.arm_training import ArmTraining
from gcn.study.ground import Decoder
from gcn.study.margin.judge import Judge, Reference, reference_of

EARLY, EVERY = (5, 10, 20, 50), 50  # updates of the looks: these, then every so many, and the last one
JUDGED = 3  # looks by the classifier, the last of a run; PSNR is measured at all of them


class Outcome(NamedTuple):
    """What became of a run.

    Attributes:
        verdict: ``holds``, ``fails`` or ``diverged``.
        reason: in one line.
        failed_at: update at which the failure was seen; None for a run that holds.
        rows: a mapping for each look: ``step``, ``psnr`` (dB), ``bits`` and ``auc`` where it was judged,
            ``learning_rate`` where that rises.
        reach: whether it is better than the reference.
        seconds: that it took.
    """

    verdict: str
    reason: str
    failed_at: int | None
    rows: list[dict[str, float]]
    reach: bool
    seconds: float


def looks(updates: int) -> list[int]:
    """Updates at which a run is looked at; the last ``JUDGED`` of them are judged."""
    early = {step for step in EARLY if step < updates}
    return sorted(early | set(range(EVERY, updates, EVERY)) | {updates})


def refer(
    training: ArmTraining,
    failed: ArmTraining,
    judge: Judge,
    updates: int,
    classifiers: int,
    judges: int,
    delta: float,
) -> Reference:
    """Train by distortion alone and judge at the looks at which a run is judged.

    Args:
        training: the twin ``distortion_alone`` at a learning rate without an effect of its own.
        failed: the same at the highest learning rate that is searched; judged at its end.
        judge, updates: as of the runs.
        classifiers: how many seeds of the classifier the judge's noise is computed from.
        judges: how many of them judge a run.
        delta: δ, octaves.

    Raises:
        InputError: the training diverged.
    """
    for _ in range(updates):
        failed.advance()
    seen = judge.look(_decoder(failed), judges) if failed.is_finite() else None
    found, steps = list[list[float]](), looks(updates)[-JUDGED:]
    for step in range(1, updates + 1):
        training.advance()
        if step in steps:
            look = judge.each(_decoder(training), classifiers) if training.is_finite() else None
            if look is None:
                raise InputError(
                    "the distortion alone diverged at the learning rate of the reference; lower it"
                )
            found.append([one.bits for one in look])
    return reference_of(found, judges, delta, None if seen is None else seen.bits)


def hold(
    training: ArmTraining, judge: Judge, reference: Reference, updates: int, judges: int, whole: bool = False
) -> Outcome:
    """Train for so many updates at constant learning rates; see the module for what is judged.

    ``judges`` classifiers look at it. A run ends when its weights are not finite, and, unless it is to be trained as a
    ``whole`` one, when it does not hold.
    """
    begun, rows = time.perf_counter(), list[dict[str, float]]()
    steps, limit = looks(updates), reference.limit
    for step in range(1, updates + 1):
        training.advance()
        if step not in steps:
            continue
        row = {"step": step, "psnr": training.psnr()}
        if training.is_finite() and step in steps[-JUDGED:]:
            row |= _judged(training, judge, judges)
        rows.append(row)
        if not math.isfinite(row.get("bits", row["psnr"])):
            seconds = time.perf_counter() - begun
            return Outcome("diverged", f"not finite at update {step}", step, rows, False, seconds)
        if row.get("bits", -math.inf) > limit and not whole:
            break
    bits = [(int(row["step"]), row["bits"]) for row in rows if "bits" in row]
    failed = next((step for step, value in bits if value > limit), None)
    reach = all(value <= reference.better for _, value in bits)
    shown = ", ".join(f"{value:.3f}" for _, value in bits)
    reason = f"{shown} bits, limit {limit:.3f}"
    verdict = "holds" if failed is None else "fails"
    return Outcome(verdict, reason, failed, rows, reach, time.perf_counter() - begun)


def ramp(
    training: ArmTraining, judge: Judge, reference: Reference, updates: int, octaves: int, judges: int
) -> tuple[Outcome, float]:
    """Train while both learning rates rise by so many octaves, a half between two looks, until the run fails.

    It fails when two looks in succession are above the limit, or when it is not finite.

    Returns:
        The outcome, and the factor of the learning rates at the last look before the failure; 0.0 if there is none.
    """
    begun, rows = time.perf_counter(), list[dict[str, float]]()
    every, limit = max(1, updates // (2 * octaves)), reference.limit
    held, factor, above = 0.0, 1.0, 0
    for step in range(1, updates + 1):
        factor = 2 ** (octaves * step / updates)
        training.advance(learning_rate=factor)
        if step % every and step != updates:
            continue
        finite = training.is_finite()
        row = {"step": step, "learning_rate": factor, "psnr": training.psnr()}
        row |= _judged(training, judge, judges) if finite else {}
        rows.append(row)
        bits = row.get("bits", math.nan)
        above = above + 1 if bits > limit else 0
        if math.isnan(bits) or above == 2:
            reason = "not finite" if math.isnan(bits) else f"{bits:.3f} bits, limit {limit:.3f}"
            verdict, at = ("diverged" if math.isnan(bits) else "fails"), f"{reason} at update {step}"
            return Outcome(verdict, at, step, rows, False, time.perf_counter() - begun), held
        held = held if above else factor
    outcome = Outcome("holds", f"up to the factor {held:.3g}", None, rows, False, time.perf_counter() - begun)
    return outcome, held


def numbers(outcome: Outcome, reference: Reference) -> dict[str, float | None]:
    """Measured numbers of a run by name; ``bits_1`` to ``bits_3`` are those of its judged looks, in their order."""
    judged = [row for row in outcome.rows if "bits" in row][-JUDGED:]
    found = {f"{name}_{k}": row[name] for k, row in enumerate(judged, 1) for name in ("bits", "auc")}
    names = [f"{name}_{k}" for name in ("bits", "auc") for k in range(1, JUDGED + 1)]
    return {
        "holds": float(outcome.verdict == "holds"),
        "reach": float(outcome.reach),
        "b0": reference.bits,
        "limit": reference.limit,
        "judge_noise": reference.noise,
        "judge_failed": reference.failed,
        **{name: found.get(name) for name in names},
        "psnr": outcome.rows[-1]["psnr"] if outcome.rows else None,
    }


def _judged(training: ArmTraining, judge: Judge, judges: int) -> dict[str, float]:
    """Bits and AUC; not a number where reconstructions are not finite."""
    look = judge.look(_decoder(training), judges)
    return {"bits": math.nan, "auc": math.nan} if look is None else {"bits": look.bits, "auc": look.auc}


def _decoder(training: ArmTraining) -> Decoder:
    assert isinstance(training.generator, Decoder)
    return training.generator
