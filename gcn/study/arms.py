"""An arm of a study and the protocol by which arms are trained, as the planner hands them to workers."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from gcn.errors import InputError

HELD = ("recorded", "rescaled")  # twins whose D repeats a game that held, below its own margin
REPLAYED = ("yoked", *HELD)  # twins whose D repeats the game of another seed
TWINS = (*REPLAYED, "frozen_d", "random_gradient", "distortion_alone", "still")  # see gcn.study.twins
AXES = (
    "lr",
    "adv",
)  # what a margin is the largest value of: G's learning rate, or the weight of the adversary
METHODS = (
    "grid",
    "halves",
    "bisection",
    "ramp",
)  # how a margin is searched for; see gcn.study.margin.margins
NEAR = "near"  # a further method: from the margin that an earlier seed of the same levels has in the table
EXPONENT = "exponent"  # in place of a method: no search, but the exponents of one training
OWN = {
    "twin": TWINS,
    "axis": AXES,
    "method": (*METHODS, NEAR, EXPONENT),
    "updates": (),
    "below": (),
    "times": (),
    "rate_mse": (),
}  # words that scripts/train.py does not have; those without choices are numbers
LEAST = {
    "updates": 6,
    "below": 0,
    "times": 1,
}  # the smallest of such a whole number; the others are weights above 0


def refuse_ramp(axis: str, twin: str | None) -> None:
    """Raise InputError for what rising learning rates cannot measure: a weight, or a twin at a constant rate."""
    if axis != "lr":
        raise InputError(
            f"method=ramp: raises learning rates; with axis={axis} give another method, method=bisection"
        )
    if twin in HELD:
        raise InputError(
            f"method=ramp: raises learning rates, and twin={twin} repeats a game at a constant one; give "
            "twin=yoked, no twin (twin=null) or method=bisection"
        )


@dataclass(frozen=True)
class Arm:
    """One level of each factor: a run with one seed, or in the lab runs of several seeds side by side.

    Attributes:
        levels: factor to the name of its value.
        seed: of weights, data and noise; the first, where there are several.
        words: of the study's command.
        standard: a withdrawn level of the first study, noise in place of latents; it is planned and not trained.
        seeds: how many.
        own: values of the words that only a study has, see ``OWN``.
        start: learning rate, or weight of the adversary, at which a search of method ``near`` begins; it decides how
            many runs the search takes, not what it finds, and is no part of the name.
    """

    levels: Mapping[str, str]
    seed: int
    words: tuple[str, ...]
    standard: bool
    seeds: int = 1
    own: Mapping[str, str] = field(default_factory=dict)
    start: float | None = None

    @property
    def name(self) -> str:
        """Name of the arm's file: its levels and a hash of its words, so that a changed protocol is another arm."""
        return self.runs[0]

    @property
    def runs(self) -> list[str]:
        """Names of the arm's rows in the table, one for each seed."""
        levels = "_".join(self.levels.values())
        said = (self.words, self.standard, *sorted(self.own.items()))
        digest = hashlib.blake2b(repr(said).encode(), digest_size=4).hexdigest()
        return [f"{levels}_{seed}_{digest}" for seed in range(self.seed, self.seed + self.seeds)]

    @property
    def codecs(self) -> tuple[int, ...]:
        """Seeds whose codecs the arm needs: its own and, where D repeats another game, that of the other game."""
        return (self.seed, partner(self.seed)) if self.own.get("twin") in REPLAYED else (self.seed,)


def partner(seed: int) -> int:
    """The seed of the game that the discriminator of a replaying twin comes from: 0 and 1 are partners, 2 and 3, …"""
    return seed ^ 1


@dataclass(frozen=True)
class MarginPlan:
    """How a run of a margin is judged and what is searched; see :mod:`gcn.study.margin.margins`.

    Attributes:
        reference: further words of the training by distortion alone with which the runs are compared. Its learning
            rate must be so low that nothing comes of it.
        settling: further words of the training by distortion alone that comes before all runs of a seed, at a falling
            learning rate.
        settle: its updates; 0: none.
        judge_train, judge_test: crops of 32 pixels for the classifier: trained on, tested on; at most.
        judge_side, judge_width, judge_epochs, judge_rate: of the classifier, see :class:`gcn.metrics.c2st.Classifier`.
        judges: classifiers that judge a run, with different seeds, the same for all runs.
        classifiers: of which the judge's noise is computed.
        delta: δ, octaves by which the log-loss of the classifiers may be below that of the reference; the same for all
            seeds.
        lr_lowest, lr_octaves: smallest learning rate of G, and how many octaves above it are searched.
        adv_lowest, adv_octaves: the same of the adversary's weight.
        whole: train runs to their end that have failed before.
        ramp_updates: length of a run in which the learning rate rises over all octaves.
    """

    reference: tuple[str, ...]
    settling: tuple[str, ...]
    settle: int = 2000
    judge_train: int = 1024
    judge_test: int = 512
    judge_side: int = 8
    judge_width: int = 4
    judge_epochs: int = 1
    judge_rate: float = 1e-2
    judges: int = 2
    classifiers: int = 6
    delta: float = 0.3
    lr_lowest: float = 7.8125e-8
    lr_octaves: int = 15
    adv_lowest: float = 0.0625
    adv_octaves: int = 12
    ramp_updates: int = 600
    whole: bool = False

    @property
    def lr_highest(self) -> float:
        """The highest learning rate that is searched."""
        return self.lr_lowest * 2.0**self.lr_octaves

    def judged(self) -> tuple[object, ...]:
        """What decides the result of a run, without the values that are searched: a grid may be extended."""
        crops, budget = (self.judge_train, self.judge_test), (self.judge_epochs, self.judge_rate)
        judge = (*crops, self.judge_side, self.judge_width, *budget, self.judges, self.classifiers)
        return (self.reference, self.settling, self.settle, *judge, self.whole, self.delta)


@dataclass(frozen=True)
class RampPlan:
    """How the arms of a study of methods are trained and judged; see :mod:`gcn.study.methods.ramp`.

    Attributes:
        lr: learning rate of G, constant.
        lowest: first learning rate of D.
        octaves: by which it rises at most, over the updates of the protocol.
        look: updates between two looks.
        decibels: PSNR lost at which a training fails.
        settle, settle_lr: updates by distortion alone before all arms of a seed, and their first learning rate.
        exponent_lr: constant learning rate of both players at which the exponent is measured.
        exponent_before, exponent_align, exponent_updates: updates before the displacement, updates in which it turns,
            and updates that count.
    """

    lr: float
    lowest: float
    octaves: int
    look: int
    decibels: float
    settle: int
    settle_lr: float
    exponent_lr: float
    exponent_before: int
    exponent_align: int
    exponent_updates: int

    def deciding(self, exponent: bool) -> tuple[object, ...]:
        """The values that decide an arm's margin, or its exponent."""
        begun = (self.settle, self.settle_lr)
        if exponent:
            lengths = (self.exponent_before, self.exponent_align, self.exponent_updates)
            return (*begun, self.exponent_lr, *lengths)
        return (*begun, self.lr, self.lowest, self.octaves, self.look, self.decibels)


@dataclass(frozen=True)
class Protocol:
    """How arms are trained; see the remarks in ``conf/study``.

    Attributes:
        codec: words of the codec that the arms of a seed share; empty: each arm trains its own, jointly from scratch.
        arm: words of every arm.
        updates: of the generator. log_every, val_every: between rows and between validations.
        pool: training crops. val_crops: of 128 pixels.
        command: ``train`` or ``lab``, the script whose words arms are; ``lab`` trains the seeds of an arm side by side
            and needs neither crops nor validations. With ``margin`` an arm is a search among runs of training, with
            ``methods`` a training at rising learning rates.
        margin: of an arm that is such a search.
        ramp: of an arm with rising learning rates.
        extra: a further folder of configurations, Hydra's ``--config-dir``.
    """

    codec: tuple[str, ...]
    arm: tuple[str, ...]
    updates: int
    log_every: int = 0
    val_every: int = 0
    pool: int = 0
    val_crops: int = 0
    command: str = "train"
    margin: MarginPlan | None = None
    ramp: RampPlan | None = None
    extra: str | None = None

    @property
    def joint(self) -> bool:
        """Whether the whole codec is trained, not the decoder alone."""
        return not self.codec
