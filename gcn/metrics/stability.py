"""The verdict on a run: stable, oscillating, diverged, collapsed or too short to tell, from its logged curves.

It rests on linear, lower-is-better quantities: sliced Wasserstein distance, logit gap, gradient norms, jitter. PSNR
is not used: a codec can keep it while the game is lost, and any GAN gives up some of it. A discriminator that
separates is not a failure either; in a lossy codec it always can.

What a verdict does not say. Beside a distortion the sliced Wasserstein distance is no independent witness: it compares
the same places of x and x_hat, so it cannot exceed their paired error, and over the runs of docs/study/first it follows
PSNR closely. A run is compared with its own best: one that drifts away slowly is "stable" until it has lost a factor of
2. And "stable" names no cause: a penalty that holds the decoder where it began makes a run stable, whether or not the
game between the players is.

    diverged     something grows without bound: not finite, runaway, or a swing that each turn makes wider
    collapsed    no blow-up, but the game or the codec is lost: realism stays far worse than it was, the
                 discriminator separates and no longer moves the generator, the rate or all latents are dead
    oscillating  swings that neither grow nor die out
    stable       none of these, in a run that is long enough to show them
    too short to tell   none of these, but fewer rows or validations than the rules above look at

The classes are tried in this order and the first that holds is the verdict.

What the columns hold: ``logit_gap`` E D(x) − E D(x_hat), positive when D separates, 0 at equilibrium (the
critic's estimate of Arjovsky et al. 2017, read for every loss); ``accuracy`` P(D(x) > D(x_hat)) for an image
and its own reconstruction (the relativistic statistic of Jolicoeur-Martineau 2019); ``grad_norm`` of each
player's parameters (‖v‖, the field's norm, is that of both together); ``jitter`` the RMS of x̂_t − x̂_{t−k}
on fixed images in grey levels; ``swd`` the sliced Wasserstein distance.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from gcn.metrics import indicators
from gcn.metrics.indicators import Curve, curve
from gcn.metrics.watchdog import Event

Rows = Sequence[Mapping[str, Any]]

GAP, ACCURACY = "train/d/logit_gap", "train/d/accuracy"
G_NORM, D_NORM = "train/g/grad_norm", "train/d/grad_norm"
G_FROM_D = "train/g/grad_at_x_hat/adv"
SWD, JITTER, DEAD = "val/swd", "val/jitter", "val/dead_channels"
RATES = ("train/bpp", "val/bpp")
SWINGING = (GAP, G_NORM, D_NORM, SWD)

NON_FINITE_ROWS = 3  # as many rows of NaN at the end are no gap in the record
RUNAWAY = 1e3  # end level / median before it: no schedule and no healthy game moves a norm that far
GROWTH = 10.0  # factor over the second half, if the logarithm is a straight line (r² > 0.8)
STRAIGHT = 0.8
LOST = 2.0  # x the running best: realism is lost
LOST_EVALUATIONS = 3  # one bad evaluation is noise, two are a coincidence
BLOW_UP = 10.0  # end level / median before it of the field or the jitter: the loss of quality is a divergence
RATE_RUNAWAY = 10.0  # x the least rate so far; a codec's rate falls and settles
RATE_RAW = 24.0  # bits per pixel of the uncoded image
RATE_DEAD = 1e-3  # bits per pixel: nothing is transmitted
ALL_DEAD = 0.99  # share of latent channels without information
VANISHED = 1e-3  # x the run's median: D's pull on G is gone although D separates
MIN_TURNS = 3
DAMPED = 0.1  # log decrement: a swing that loses a tenth a turn is dying out
GROWING = -0.05  # log decrement of a swing that widens
WIDER = 1.3  # and the factor by which it has to have widened in all, so that three turns at 15 % suffice
RESIDUE = 0.02  # amplitude / largest value of the run: less is the residue of something that settled
SIZEABLE = 0.25  # amplitude / mean level: ripples on a large value are not a swing
QUALITY_SWING = 0.24  # deviation / mean of a sine between best and twice its best: (1/2)/sqrt(2)/(3/2)
TOO_SHORT = "too short to tell"
ENOUGH_ROWS = (
    2 * indicators.PERIOD_ROWS
)  # swings are looked for in the second half, and need so many values there
ENOUGH_EVALUATIONS = LOST_EVALUATIONS + 1  # a best one, and those that stay worse
MIN_ROWS = 16  # logged rows below which slow growth and swings cannot be seen


class _Record:
    """The rows of a run; each of its curves is read once, and each period computed once."""

    def __init__(self, rows: Rows) -> None:
        curves = cache(partial(curve, rows))
        self.rows, self.curve = rows, curves
        self.period = cache(lambda name: indicators.period(curves(name)))


class Verdict(NamedTuple):
    """The verdict's name, the step it dates from, its reason, and the indicators behind it (None: not measured)."""

    name: str
    step: int
    reason: str
    indicators: dict[str, float | None]


class _Finding(NamedTuple):
    step: float
    reason: str


def verdict(rows: Rows, event: Event | None = None) -> Verdict:
    """The verdict on a run, from the rows of its ``metrics.csv`` and from the event that ended it early, if any.

    Args:
        rows: mappings with ``step`` and any of the logged quantities. Missing, None and NaN mean "not
            measured", but an infinity, or NaN in the last three cells that are not None, means "diverged".
        event: of the watchdog; its word is final.

    Returns:
        The verdict. Where nothing went wrong, but the rows hold less than it takes to see that, it is
        "too short to tell", and the reason says what is missing.
    """
    run = _Record(rows)
    numbers = _measured(run)
    last = int(rows[-1]["step"]) if rows else 0
    if event is not None:
        return Verdict("diverged", event.step, event.reason, numbers)
    for name, tests in CLASSES.items():
        for test in tests:
            finding = test(run)
            if finding is not None:
                return Verdict(name, int(finding.step), finding.reason, numbers)
    return Verdict(*_evidence(run, last), numbers)


def measure(rows: Rows) -> dict[str, float | None]:
    """All indicators of a run by name; None where the rows have too few values for one."""
    return _measured(_Record(rows))


def _measured(run: _Record) -> dict[str, float | None]:
    swd, gap, field = run.curve(SWD), run.curve(GAP), run.curve(G_NORM, D_NORM)
    g_norm, d_norm = run.curve(G_NORM).end(), run.curve(D_NORM).end()
    growth = indicators.growth_rate(field)
    regular = next(filter(None, map(run.period, SWINGING)), None)
    swings = indicators.turns(gap)
    return {
        "last_to_best": indicators.last_to_best(swd),
        "collapse_step": indicators.collapse_step(swd, LOST, LOST_EVALUATIONS),
        "swd_second_half_std": indicators.second_half_std(swd),
        "logit_gap": gap.end(),
        "logit_gap_second_half_std": indicators.second_half_std(gap),
        "paired_accuracy": run.curve(ACCURACY).end(),
        "gradient_norm_ratio": d_norm / g_norm if g_norm and d_norm is not None else None,
        "growth_rate": growth[0] if growth else None,  # per step
        "turns": len(swings.ranges),
        "turn_decrement": swings.decrement()[0] if len(swings.ranges) >= MIN_TURNS else None,  # per turn
        "period": regular[0] if regular else None,  # steps
        "decrement": regular[1] if regular else None,  # per period
        "jitter": run.curve(JITTER).end(),  # grey levels
    }


def _surge(metric: Curve) -> float:
    """Level at the end divided by the median before it; 0 where there are too few values."""
    before = np.abs(metric.before_end())
    middle = float(np.median(before)) if len(before) >= indicators.TAIL_ROWS else 0.0
    return abs(metric.end() or 0.0) / middle if middle > 0 else 0.0


# Diverged


def _not_finite(run: _Record) -> _Finding | None:
    for name in (GAP, G_NORM, D_NORM, SWD, *RATES):
        cells = [(row["step"], row[name]) for row in run.rows if row.get(name) is not None]
        infinite = next((step for step, cell in cells if abs(cell) >= indicators.INFINITE), None)
        if infinite is not None:
            return _Finding(infinite, f"{name} is infinite at step {infinite}")
        finite = [index for index, (_, cell) in enumerate(cells) if math.isfinite(cell)]
        if finite and len(cells) - finite[-1] > NON_FINITE_ROWS:
            step = cells[finite[-1] + 1][0]
            return _Finding(step, f"{name} is not a number from step {step} on")
    return None


def _runaway(run: _Record) -> _Finding | None:
    curves = {
        "the norm of the gradients": run.curve(G_NORM, D_NORM),
        JITTER: run.curve(JITTER),
        SWD: run.curve(SWD),
    }
    for name, metric in curves.items():
        if (factor := _surge(metric)) > RUNAWAY:
            limit = RUNAWAY * float(np.median(np.abs(metric.before_end())))
            step = metric.steps[np.argmax(np.abs(metric.values) > limit)]
            return _Finding(step, f"{name} ends {factor:.3g} times its median")
    for name in RATES:
        metric = run.curve(name)
        end = metric.end()
        if end is None:
            continue
        beyond = metric.values > np.minimum(RATE_RAW, RATE_RUNAWAY * np.minimum.accumulate(metric.values))
        least = float(metric.values.min())
        if end > min(RATE_RAW, RATE_RUNAWAY * least) and beyond[-1]:
            step = metric.steps[np.flatnonzero(~beyond)[-1] + 1] if not beyond.all() else metric.steps[0]
            return _Finding(step, f"the rate ran away: {name} ends at {end:.3g}, its least was {least:.3g}")
    return None


def _growing(run: _Record) -> _Finding | None:
    swings = indicators.turns(run.curve(GAP))
    if len(swings.ranges) >= MIN_TURNS:
        decrement, error = swings.decrement()
        fitted = min(len(swings.ranges), indicators.FIT_TURNS)
        widened = math.exp(-decrement * (fitted - 1))
        if decrement + 3 * error < GROWING and widened > WIDER:
            return _Finding(
                swings.starts[-fitted],
                f"the logit gap swings through zero and every turn is {math.expm1(-decrement):.0%} wider",
            )
    for name in SWINGING:
        metric, regular = run.curve(name), run.period(name)
        if regular is None or not _notable(metric):
            continue
        length, decrement = regular
        second = metric.half().steps
        if decrement < GROWING and math.exp(-decrement * (float(np.ptp(second)) / length - 1)) > WIDER:
            return _Finding(
                second[0],
                f"{name} swings every {length:.0f} steps and each swing is "
                f"{math.expm1(-decrement):.0%} wider",
            )
    field = run.curve(G_NORM, D_NORM)
    growth = indicators.growth_rate(field)
    if growth is not None and len(field.steps) >= MIN_ROWS and growth[1] > STRAIGHT:
        second = field.half().steps
        factor = math.exp(min(growth[0] * float(np.ptp(second)), 700.0))
        if factor > GROWTH:
            return _Finding(
                second[0],
                f"the norm of the gradients grows geometrically, {factor:.3g} times in the second half",
            )
    return None


def _lost_by_blow_up(run: _Record) -> _Finding | None:
    lost = _lost(run)
    if lost is None:
        return None
    surges = {"the norm of the gradients": run.curve(G_NORM, D_NORM), JITTER: run.curve(JITTER)}
    for name, metric in surges.items():
        if (factor := _surge(metric)) > BLOW_UP:
            return _Finding(lost.step, f"{lost.reason}, and {name} ends {factor:.3g} times its median")
    return None


# Collapsed


def _lost(run: _Record) -> _Finding | None:
    swd = run.curve(SWD)
    step = indicators.collapse_step(swd, LOST, LOST_EVALUATIONS)
    if step is None:
        return None
    return _Finding(
        step, f"{SWD} stays worse than {LOST:g} times its best of {swd.values.min():.3g} from step {step}"
    )


def _stopped_playing(run: _Record) -> _Finding | None:
    pull, gap = run.curve(G_FROM_D), run.curve(GAP)
    if not len(pull.steps):
        pull = run.curve(G_NORM)
    before, end, gap_end = pull.before_end(), pull.end(), gap.end()
    if end is None or gap_end is None or len(before) < MIN_ROWS:
        return None
    limit = VANISHED * float(np.median(before))
    if end < limit and gap_end > 0.5 * float(np.abs(gap.values).max()):
        step = pull.steps[np.flatnonzero(pull.values >= limit)[-1]]
        return _Finding(
            step, f"the discriminator separates (logit gap {gap_end:.3g}) and no longer moves the generator"
        )
    return None


def _dead(run: _Record) -> _Finding | None:
    dead = run.curve(DEAD)
    if (dead.end() or 0.0) >= ALL_DEAD:
        return _Finding(dead.steps[np.argmax(dead.values >= ALL_DEAD)], "all latent channels are dead")
    for name in RATES:
        rate = run.curve(name)
        end = rate.end()
        if end is not None and end < RATE_DEAD:
            step = rate.steps[np.argmax(rate.values < RATE_DEAD)]
            return _Finding(step, f"the rate fell to nothing: {name} ends at {end:.3g}")
    return None


# Oscillating


def _notable(metric: Curve) -> bool:
    """Whether the swings of the second half are larger than the residue of the run and than a ripple on its level."""
    half = metric.half().values
    amplitude = math.sqrt(2) * (indicators.second_half_std(metric) or 0.0)
    return bool(
        amplitude > RESIDUE * np.abs(metric.values).max() and amplitude > SIZEABLE * np.abs(half).mean()
    )


def _sustained(run: _Record) -> _Finding | None:
    for name in SWINGING:
        metric, regular = run.curve(name), run.period(name)
        if regular is not None and regular[1] < DAMPED and _notable(metric):
            change = f"loses {-math.expm1(-regular[1]):.1%}" if regular[1] > 0 else "loses nothing"
            return _Finding(
                metric.half().steps[0],
                f"{name} swings with a period of {regular[0]:.0f} steps and {change} a period",
            )
    return None


def _restless(run: _Record) -> _Finding | None:
    half = run.curve(SWD).half()
    deviation = indicators.second_half_std(run.curve(SWD))
    if deviation is None or len(half.values) < 2 * LOST_EVALUATIONS:
        return None
    line = np.polyval(np.polyfit(half.steps, half.values, 1), half.steps)
    crossings = int(np.count_nonzero(np.diff(half.values > line)))
    if deviation > QUALITY_SWING * half.values.mean() and crossings >= 4:
        return _Finding(
            half.steps[0], f"{SWD} goes up and down by {deviation / half.values.mean():.0%} of its mean"
        )
    return None


def _evidence(run: _Record, last: int) -> tuple[str, int, str]:
    """Verdict, step and reason of a run in which nothing went wrong: stable, or too short to tell."""
    alone = all(row.get(D_NORM) is None for row in run.rows)  # rate-distortion training
    played = len((run.curve(G_NORM) if alone else run.curve(G_NORM, D_NORM)).steps)
    judged = len(run.curve(SWD).steps)
    seen = f"{played} rows of gradient norms and {judged} evaluations of realism"
    measured = any(row.get(SWD) is not None for row in run.rows)  # the games of the lab have no images
    if played >= ENOUGH_ROWS and (judged >= ENOUGH_EVALUATIONS or not measured):
        return "stable", last, f"nothing grows, collapses or keeps swinging in {seen}"
    wanted = (
        f"{ENOUGH_ROWS} and {ENOUGH_EVALUATIONS} are needed: train longer, or lower log_every and val_every"
    )
    return TOO_SHORT, last, f"nothing went wrong in {seen}, too few to see slow growth or swings; {wanted}"


CLASSES = {
    "diverged": (_not_finite, _growing, _runaway, _lost_by_blow_up),
    "collapsed": (_lost, _stopped_playing, _dead),
    "oscillating": (_sustained, _restless),
}
