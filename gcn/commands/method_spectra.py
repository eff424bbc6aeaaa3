"""What each method does in the Dirac-GAN: the leading eigenvalue of an update, computed by the lab."""

import math
from typing import cast

from gcn.commands.lab import ensemble
from gcn.config.build import build
from gcn.config.offered import LAB, groups, knobs
from gcn.config.parse import parse
from gcn.errors import InputError
from gcn.lab.analysis import equilibrium, outcome, point, spectrum
from gcn.lab.discrete import update_map
from gcn.lab.ensemble import GameEnsemble, play
from gcn.lab.players import Descent
from gcn.study.methods.catalogue import Method
from gcn.study.methods.methods_page import Leading

RATE = 0.1  # learning rate of both players, plain gradient descent
STRENGTH = "0.5"  # of every weight, in the units of this game
DISTORTION = "mse=0.25"
SCALES = {"charbonnier": ["terms.charbonnier.epsilon=1"]}  # of terms with a length of their own
OTHERS = {"instance_noise": "1"}  # strengths of settings whose unit is another one than a codec's
EQUAL = 1e-6  # a modulus this near to 1 is 1
STEPS = 100  # of a trajectory, where an equilibrium has no eigenvalues


def leading(method: Method, *more: str) -> Leading:
    """The leading eigenvalue of an update of the Dirac-GAN with a method and further words."""
    networks = [word for word in method.words if word.startswith("discriminator")]
    if method.section == "networks" or (networks and len(networks) == len(method.words)):
        return Leading(math.nan, "", "D is a line here, without layers")
    try:
        cfg = parse([*lab_words(method), *more, f"optimizer.lr={RATE}"], None, LAB)
        return _of(ensemble(cfg, build(cfg, "game")))
    except InputError as problem:
        return Leading(math.nan, "", _reason(str(problem)))


def lab_words(method: Method) -> list[str]:
    """The words of a method for ``scripts/lab.py``; words of a discriminator that only serves the loss are dropped."""
    said, known = [], groups(LAB)
    for word in method.words:
        key, _, value = word.partition("=")
        if key.partition(".")[0] in ("discriminator", "labeller", "data") and key not in known:
            continue
        knob = knobs().get(key)
        if knob is not None and knob.kind == "weight":
            value = STRENGTH
        said += [f"{key}={OTHERS.get(key, value)}", *SCALES.get(key, [])]
    return said


def _of(made: GameEnsemble) -> Leading:
    rest = equilibrium(made)
    g, d = made.players(made.game(point(made.small.start)))
    remembers = made.objective.has_memory  # and judges a point by its past
    if rest.point is None or not (rest.smooth or remembers):
        path = play(made, point(made.small.start), STEPS)[:, 0]
        return Leading(math.nan, outcome(path, rest.point).name, rest.note)
    linear = cast(Descent, g).linear(), cast(Descent, d).linear()
    largest = max(spectrum(update_map(made, rest.point, (RATE, RATE), linear)), key=abs)
    modulus = abs(largest) ** (1 / made.period)
    if abs(modulus - 1) < EQUAL:
        return Leading(modulus, "circles" if abs(largest.imag) > EQUAL else "stays")
    return Leading(modulus, "converges" if modulus < 1 else "diverges")


def _reason(problem: str) -> str:
    """The middle of an error: without the word that it is about and without what to do."""
    return problem.partition(": ")[2].partition(";")[0]
