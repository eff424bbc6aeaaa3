"""Arms of a study from its file in ``conf/study``: which combinations of factors are trained, in which order."""

import hashlib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gcn.config.compose import CONF
from gcn.errors import InputError
from gcn.files.reading import read_yaml
from gcn.schema.fields import suggestion

STANDARD = "gan=standard"  # of withdrawn levels alone: their runs are in a stored table, and none is trained
TWINS = ("yoked", "frozen_d", "random_gradient", "distortion_alone", "still")  # see gcn.study.twins
BEST = "best"  # stands in a grid for the level that a preliminary scan decides
AXES = (
    "lr",
    "adv",
)  # what a margin is the largest value of: G's learning rate, or the weight of the adversary
METHODS = ("grid", "halves", "bisection", "ramp")  # how a margin is searched for; see gcn.study.margins
EXPONENT = "exponent"  # in place of a method: no search, but the exponents of one training
OWN = {
    "twin": TWINS,
    "axis": AXES,
    "method": (*METHODS, EXPONENT),
    "updates": (),
}  # words that scripts/train.py does not have
NUMBERS = ("updates", "log_every", "val_every", "pool", "val_crops")
COMMANDS = {
    "train": NUMBERS,
    "lab": NUMBERS[:1],
    "margin": ("updates", "pool", "val_crops"),
}  # what arms are: scripts whose words they have, or searches for a margin; and what their protocols say


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
    """

    levels: Mapping[str, str]
    seed: int
    words: tuple[str, ...]
    standard: bool
    seeds: int = 1
    own: Mapping[str, str] = field(default_factory=dict)

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
        """Seeds whose codecs the arm needs: its own and, for a yoked twin, that of the other game."""
        return (self.seed, partner(self.seed)) if self.own.get("twin") == "yoked" else (self.seed,)


def partner(seed: int) -> int:
    """The seed of the game that the discriminator of a yoked twin comes from: 0 and 1 are partners, 2 and 3, …"""
    return seed ^ 1


@dataclass(frozen=True)
class MarginPlan:
    """How a run of a margin is judged and what is searched; see :mod:`gcn.study.margins`.

    Attributes:
        reference: further words of the training by distortion alone whose bits a run must not exceed.
        settle: updates of such a training, at a falling learning rate, before all runs of a seed; 0: none.
        judge_train, judge_test: crops of 32 pixels for the classifier: trained on, tested on; at most.
        judge_width, judge_epochs, judge_rate: of the classifier, see :class:`gcn.metrics.c2st.Classifier`.
        judges: classifiers that judge a run, with different seeds, the same for all runs.
        classifiers: of which the deviation of the bits is computed.
        lr_lowest, lr_octaves: smallest learning rate of G, and how many octaves above it are searched.
        adv_lowest, adv_octaves: the same of the adversary's weight.
        whole: train runs to their end that have failed before.
        ramp_updates: length of a run in which the learning rate rises over all octaves.
    """

    reference: tuple[str, ...]
    settle: int = 2000
    judge_train: int = 1024
    judge_test: int = 512
    judge_width: int = 4
    judge_epochs: int = 2
    judge_rate: float = 3e-3
    judges: int = 2
    classifiers: int = 6
    lr_lowest: float = 7.8125e-8
    lr_octaves: int = 15
    adv_lowest: float = 0.0625
    adv_octaves: int = 12
    ramp_updates: int = 600
    whole: bool = False

    def judged(self) -> tuple[object, ...]:
        """What decides the result of a run, without the values that are searched: a grid may be extended."""
        judge = (self.judge_train, self.judge_test, self.judge_width, self.judge_epochs, self.judge_rate)
        return (self.reference, *judge, self.judges, self.classifiers, self.whole)


@dataclass(frozen=True)
class Protocol:
    """How arms are trained; see the remarks in ``conf/study``.

    Attributes:
        codec: words of the codec that the arms of a seed share; empty: each arm trains its own, jointly from scratch.
        arm: words of every arm.
        updates: of the generator. log_every, val_every: between rows and between validations.
        pool: training crops. val_crops: of 128 pixels.
        command: ``train`` or ``lab``, the script whose words arms are; ``lab`` trains the seeds of an arm side by side
            and needs neither crops nor validations. With ``margin`` an arm is a search among runs of training.
        margin: of an arm that is such a search.
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
    extra: str | None = None

    @property
    def joint(self) -> bool:
        """Whether the whole codec is trained, not the decoder alone."""
        return not self.codec


@dataclass(frozen=True)
class Study:
    """A protocol and its arms; ``diagnostics`` names those whose eigenvalues and reconstructions are kept.

    Attributes:
        labels: level to the name under which reports show it; tables and arms keep the level's own name.
        withdrawn: (factor, level) to the reason why reports leave the runs of this level out.
        cannot_say: sentences about what the runs do not support.
        choices: factor to what decides its level ``best``, as in the file.
        scans: factor to the names of the runs that decide it.
        text: folder of the questions and sentences of the report.
    """

    name: str
    title: str
    protocol: Protocol
    factors: Mapping[str, Sequence[str]]
    arms: Sequence[Arm]
    diagnostics: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    withdrawn: Mapping[tuple[str, str], str] = field(default_factory=dict)
    cannot_say: Sequence[str] = ()
    choices: Mapping[str, Any] = field(default_factory=dict)
    scans: Mapping[str, frozenset[str]] = field(default_factory=dict)
    text: Path = Path()

    @property
    def scan(self) -> frozenset[str]:
        """Names of the runs that only decide levels of others."""
        return frozenset().union(*self.scans.values())

    def planned(self) -> list[Arm]:
        """The arms that a report is about."""
        own = [arm for arm in self.arms if not self.withdrawn.keys() & arm.levels.items()]
        return [arm for arm in own if arm.name not in self.scan]


@dataclass(frozen=True)
class Choice:
    """A part of a study: these grids, levels of factors and the first so many seeds; empty: all."""

    grids: Sequence[str] = ()
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seeds: int | None = None

    def check(self, content: Mapping[str, Any]) -> None:
        """Raise InputError for grids, factors or levels that the study does not have."""
        for grid in self.grids:
            if grid not in content["grids"]:
                raise InputError(f"grids={grid}: unknown; {suggestion(grid, content['grids'])}")
        for factor, levels in self.only.items():
            if factor not in content["factors"]:
                raise InputError(f"only.{factor}: unknown; {suggestion(factor, content['factors'])}")
            for level in levels:
                if level not in content["factors"][factor]:
                    near = suggestion(level, content["factors"][factor])
                    raise InputError(f"only.{factor}={level}: unknown; {near}")

    def holds(self, levels: Mapping[str, str]) -> bool:
        """Whether an arm of these levels is in this part."""
        return all(levels[factor] in chosen for factor, chosen in self.only.items())


def load(
    name: str,
    words: Sequence[str] = (),
    choice: Choice = Choice(),
    rows: Iterable[Mapping[str, Any]] = (),
) -> Study:
    """The study of ``conf/study/NAME.yaml``, or a part of it.

    Args:
        name: of the file.
        words: further words of the study's command for codecs and arms alike: ``data=folder data.root=…``.
        choice: the part.
        rows: of the table so far; arms whose level a scan decides are there as soon as the scan's runs are.

    Raises:
        InputError: no such study, grid, factor or level, or nothing is left of it.
    """
    known = sorted(path.stem for path in (CONF / "study").glob("*.yaml"))
    if name not in known:
        raise InputError(f"study={name}: unknown; choose {', '.join(known)}")
    file = CONF / "study" / f"{name}.yaml"
    content = read_yaml(file)
    choice.check(content)
    grids = _Grids(content, _protocol(content, words, file), file, choice, rows)
    arms: dict[str, Arm] = {}
    for key, grid in content["grids"].items():
        if not choice.grids or key in choice.grids:
            arms |= {a.name: a for a in grids.arms(grid)}
    if not arms:
        raise InputError(f"study={name}: no arm is left; drop some of grids=, only. and seeds=")
    diagnosed = {a.name for grid in content.get("diagnostics", []) for a in grids.arms(grid)}
    scans = {
        factor: frozenset(
            run for key in rule["among"] for arm in grids.arms(content["grids"][key]) for run in arm.runs
        )
        for factor, rule in content.get("choose", {}).items()
    }
    return Study(
        name,
        content["title"],
        grids.protocol,
        grids.levels,
        list(arms.values()),
        frozenset(diagnosed & arms.keys()),
        labels={level: text for (_, level), text in _texts(content, "display", file).items()},
        withdrawn=_texts(content, "withdrawn", file),
        cannot_say=content.get("cannot_say", ()),
        choices=content.get("choose", {}),
        scans=scans,
        text=CONF / "study" / content.get("text", name),
    )


def _protocol(content: Mapping[str, Any], words: Sequence[str], file: Path) -> Protocol:
    plan = content["protocol"]
    command = plan.get("command", "train")
    if command not in COMMANDS:
        raise InputError(f"{file}: protocol: command={command}; choose {', '.join(COMMANDS)}")
    words = (*plan.get("both", []), *words)
    codec = plan.get("codec", [])
    if not any(word.startswith("data=") for word in words):
        codec = [*codec, *plan.get("codec_of_photos", [])]
    numbers = {key: plan[key] for key in COMMANDS[command]}
    margin = None
    if command == "margin":
        margin = MarginPlan(**{**plan["margin"], "reference": tuple(plan["margin"]["reference"])})
    return Protocol(
        (*codec, *words) if codec else (), (*plan["arm"], *words), command=command, margin=margin, **numbers
    )


def _texts(content: Mapping[str, Any], section: str, file: Path) -> dict[tuple[str, str], str]:
    """A section of texts about levels, as a mapping from (factor, level) to the text."""
    found = {}
    for factor, texts in content.get(section, {}).items():
        for level, text in texts.items():
            _check_level(content["factors"], factor, level, f"{file}: {section}:")
            found[factor, level] = str(text)
    return found


def _check_level(factors: Mapping[str, Any], factor: str, level: str, where: str) -> None:
    if factor not in factors:
        raise InputError(f"{where} {factor} is no factor; {suggestion(factor, factors)}")
    if level not in factors[factor]:
        raise InputError(f"{where} {factor} has no level {level}; {suggestion(level, factors[factor])}")


class _Grids:
    """The arms of a file's grids. The words of a level may contain levels of other factors, ``r1={weight}``."""

    def __init__(
        self, content: Mapping[str, Any], protocol: Protocol, file: Path, part: Choice, rows: Iterable[Any]
    ) -> None:
        self.content, self.protocol, self.file, self.part = content, protocol, file, part
        self.rows = {row["name"]: row for row in rows}
        # levels without words of their own are a list
        self.factors: dict[str, dict[str, str]] = {
            factor: levels if isinstance(levels, dict) else dict.fromkeys(levels, "")
            for factor, levels in content["factors"].items()
        }
        self.levels = {factor: list(levels) for factor, levels in self.factors.items()}
        self.scans: dict[str, list[Arm]] = {}

    def arms(self, grid: Mapping[str, Any], whole: bool = False) -> list[Arm]:
        """The arms of a grid that are in the part, or all; without those whose best level is not known yet."""
        first = {factor: [next(iter(levels))] for factor, levels in self.factors.items()}
        varied = {
            f: [str(v) for v in levels] for f, levels in grid.items() if f not in ("seeds", "first_seed")
        }
        decided = self.content.get("choose", {})
        for factor, levels in varied.items():
            for level in [] if levels == [BEST] and factor in decided else levels:
                _check_level(self.factors, factor, level, f"{self.file}:")
        begins, number = grid.get("first_seed", 0), grid["seeds"]
        if self.part.seeds is not None and not whole:
            number = min(number, self.part.seeds)
        together = number if self.protocol.command == "lab" else 1
        found = []  # the seed varies slowest: cut short, all cells have as many
        for seed in range(begins, begins + number, max(together, 1)):
            for chosen in itertools.product(*(first | varied).values()):
                named = self._decided(dict(zip(self.factors, chosen, strict=True)))
                if named is not None and (whole or self.part.holds(named)):
                    found.append(self._arm(named, seed, together))
        return found

    def _arm(self, named: Mapping[str, str], seed: int, seeds: int) -> Arm:
        said = [
            word.format_map(named) for f, level in named.items() for word in self.factors[f][level].split()
        ]
        withdrawn = self.content.get("withdrawn", {})
        if STANDARD in said and not any(level in withdrawn.get(f, {}) for f, level in named.items()):
            raise InputError(
                f"{self.file}: {STANDARD} is withdrawn; write generator=dcgan, in a protocol without a codec"
            )
        own = self._own(said)
        trained = (word for word in said if word != STANDARD and word.partition("=")[0] not in own)
        words = [*self.protocol.arm, *trained, f"seed={seed}"]
        if self.protocol.command == "lab":
            words += [f"steps={self.protocol.updates}", f"seeds={seeds}"]
        return Arm(named, seed, tuple(words), STANDARD in said, seeds, own)

    def _own(self, said: Iterable[str]) -> dict[str, str]:
        """Values of the words that only a study has; of the search for a margin only where arms are such searches."""
        known = {"margin": list(OWN), "train": ["twin"]}.get(self.protocol.command, [])
        own = {}
        for word in said:
            name, _, value = word.partition("=")
            if name in known:
                if OWN[name] and value not in OWN[name]:
                    raise InputError(f"{self.file}: {word}: unknown; {suggestion(value, OWN[name])}")
                if not OWN[name] and not (value.isdecimal() and int(value) >= 6):
                    raise InputError(f"{self.file}: {word}: give a number of updates, 6 or more")
                own[name] = value
        return own

    def _decided(self, named: dict[str, str]) -> dict[str, str] | None:
        """Levels with what the scans decide in place of ``best``; None as long as runs of a scan are missing."""
        for factor in [factor for factor, level in named.items() if level == BEST]:
            rule = self.content["choose"][factor]
            if factor not in self.scans:
                self.scans[factor] = [
                    a for key in rule["among"] for a in self.arms(self.content["grids"][key], whole=True)
                ]
            own = [
                a for a in self.scans[factor] if all(a.levels[name] == named[name] for name in rule["same"])
            ]
            runs = [run for arm in own for run in arm.runs]
            if not runs or not all(run in self.rows for run in runs):
                return None
            scores = scan_scores(rule, factor, [self.rows[run] for run in runs])
            named = {**named, factor: max(scores, key=scores.__getitem__)}
        return named


def scan_scores(rule: Mapping[str, Any], factor: str, rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """For each level of a factor the mean score of these runs: the product of the responses in ``score``.

    A run without a finite response, such as a diverged one, scores 0.
    """
    found: dict[str, list[float]] = {}
    for row in rows:
        values = [row[response] for response in rule["score"]]
        known = all(value is not None and math.isfinite(value) for value in values)
        found.setdefault(row[factor], []).append(math.prod(values) if known else 0.0)
    return {level: sum(values) / len(values) for level, values in found.items()}
