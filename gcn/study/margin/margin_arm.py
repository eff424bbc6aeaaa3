"""An arm of a margin study: a search among runs of one configuration, each of which is stored as it ends.

The runs lie in ``runs/`` in the study's folder under a name that follows from everything that decides their result. So
a search that is killed loses the run in training, and searches of the same configuration share their runs.
"""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from gcn.config.offered import knobs
from gcn.config.parse import Config, parse
from gcn.errors import InputError
from gcn.files.atomic import make_folder
from gcn.files.reading import read_json
from gcn.report.environment import commit
from gcn.report.summary import plain, write_json_atomic
from gcn.schema.plugins import of_settings
from gcn.study.arm_training import ArmTraining
from gcn.study.arms import HELD, REPLAYED, Arm, MarginPlan, Protocol, partner, refuse_ramp
from gcn.study.ground import Ground
from gcn.study.margin import holding, margins
from gcn.study.margin.judge import Reference
from gcn.study.margin.material import ALONE, digest, material
from gcn.study.twins import training_of

Report = Callable[[str, bool], None]  # told what a run has shown, and whether it was stored before
SHARE = 8  # a* is measured at the distortion's largest learning rate divided by this
BELOW = 1  # octaves below the margins at which the game is recorded that a twin in ``HELD`` repeats
TRIES = 3  # values, an octave apart, at which that game is asked whether it holds


def play(
    arm: Arm, folder: Path, protocol: Protocol, report: Report = lambda text, stored: None
) -> list[dict[str, Any]]:
    """Search for the margin of an arm; returns the results of its runs, as :func:`gcn.study.table.row` takes them.

    Raises:
        InputError: the judge of the arm's seed cannot be used, or of its twin's other seed; or what :class:`Cell` says.
    """
    cell = Cell(arm, folder, protocol, report)
    for judged in [cell, *([cell.game(partner(arm.seed))] if cell.twin in HELD else [])]:
        problem = judged.reference().problem
        if problem is not None:
            raise InputError(f"seed {judged.arm.seed}: {problem}; take another seed")
    return searched(cell)


def searched(cell: "Cell") -> list[dict[str, Any]]:
    """Results of the runs that a search has tried, from the lowest value to the highest."""
    cell.search()
    return [cell.runs[key] for key in sorted(cell.runs)]


def run_file(folder: Path, run: str) -> Path:
    """Path of the result of a run in a study's folder."""
    return folder / "runs" / f"{run}.json"


class NothingHolds(InputError):
    """There is no game that holds, for a twin to repeat."""


class NotStored(Exception):
    """A search that may not train asks for a run that is not stored."""


class Recording(NamedTuple):
    """The game of another seed that a twin repeats.

    Attributes:
        value: of its axis, below the game's margin; the game holds there.
        h: learning rate of its G.
        words: of its training.
    """

    value: float
    h: float
    words: list[str]


class Cell:
    """The runs of one configuration, its twin and its seed.

    Args:
        arm: its ``own`` words say the twin, the axis, the method, the number of updates, and ``times``, by which the
            plan's learning rates are multiplied: those of plain SGD have another scale than Adam's. ``rate_mse`` is
            the weight of the distortion that alone decides the learning rate at which a weight of the adversary is
            searched, the same for arms that are compared; without it the arm's own distortion does.
        folder: of the study, with the codecs.
        protocol: of the study.
        report: called after each run.
        trains: otherwise a run that is not stored raises :class:`NotStored`.

    Attributes:
        runs: results by the value that was tried.
    """

    def __init__(
        self, arm: Arm, folder: Path, protocol: Protocol, report: Report, trains: bool = True
    ) -> None:
        assert protocol.margin is not None
        self.arm, self.folder, self.protocol, self.report, self.trains = arm, folder, protocol, report, trains
        self.plan: MarginPlan = protocol.margin
        self.twin = arm.own.get("twin")
        self.axis, self.method = arm.own.get("axis", "lr"), arm.own.get("method", "grid")
        self.updates = int(arm.own.get("updates", protocol.updates))
        self.cfg = self._parse(arm.words)
        self.ratio = self.cfg.optim.d.lr / self.cfg.optim.g.lr
        self.runs: dict[float, dict[str, Any]] = {}
        self.edge = math.nan
        make_folder(folder / "runs")

    def search(self) -> margins.Margin | None:
        """Find the margin by the arm's method; None for a ramp, whose one run is its result."""
        if self.method == "ramp":
            refuse_ramp(self.axis, self.twin)
            self.ramp()
            return None
        if self.axis != "lr":
            self.edge = self._edge()
        start = None if self.arm.start is None else margins.place_of(self.lowest, self.arm.start)
        octaves = self.plan.lr_octaves if self.axis == "lr" else self.plan.adv_octaves
        return margins.search(
            self.method, margins.STEPS * octaves, lambda k: self.holds(margins.value(self.lowest, k)), start
        )

    @property
    def lowest(self) -> float:
        """The lowest value of the axis that is searched."""
        return self.lr_lowest if self.axis == "lr" else self.plan.adv_lowest

    @property
    def lr_lowest(self) -> float:
        """The lowest learning rate of G that is searched."""
        return self.plan.lr_lowest * int(self.arm.own.get("times", 1))

    def holds(self, value: float) -> bool:
        """Whether the run with this value of the axis holds; trains it unless it is stored."""
        h, adv = self._rate_and_weight(value)
        words = self._words(value)
        recording = self.recording if self.twin in HELD else None

        def compute() -> dict[str, Any]:
            ground, judging = material(str(self.folder), self.protocol, self.arm.seed)
            training = self._training(words, ground, recording, h)
            outcome = holding.hold(
                training, judging, self.reference(), self.updates, self.plan.judges, self.plan.whole
            )
            return self._result(outcome, words, h, adv)

        key = (*words, self.twin, self.updates)
        key += () if recording is None else (f"{recording.value:.6g}",)
        result = self._stored(key, compute)
        if recording is not None:
            result["facts"]["recorded"] = recording.value
        self.runs[value] = result
        return bool(result["responses"]["holds"])

    def ramp(self) -> None:
        """Raise the learning rates in one run until it fails."""
        lowest, updates = self.lr_lowest, self.plan.ramp_updates
        words = [*self.arm.words, f"optim.g.lr={lowest:.6g}", f"optim.d.lr={lowest * self.ratio:.6g}"]

        def compute() -> dict[str, Any]:
            ground, judging = material(str(self.folder), self.protocol, self.arm.seed)
            training = self._training(words, ground)
            outcome, factor = holding.ramp(
                training, judging, self.reference(), updates, self.plan.lr_octaves, self.plan.judges
            )
            return self._result(outcome, words, lowest * factor, self._adv())

        self.runs[0.0] = self._stored((*words, self.twin, "ramp", updates), compute)

    def reference(self) -> Reference:
        """What the judge says after as many updates by distortion alone, stored for all runs of the seed."""
        plan, words = self.plan, [*self.protocol.arm, *self.plan.reference, f"seed={self.arm.seed}"]
        key = (*words, self.updates, plan.lr_highest)
        file = self.folder / "runs" / f"reference-{digest(key, self.protocol)}.json"
        if not file.is_file():
            ground, judging = material(str(self.folder), self.protocol, self.arm.seed)
            fast = [word for word in words if not word.startswith("optim.g.lr=")]
            fast.append(f"optim.g.lr={plan.lr_highest:.6g}")
            training, failed = (training_of(self._parse(own), ground, ALONE) for own in (words, fast))
            found = holding.refer(
                training, failed, judging, self.updates, plan.classifiers, plan.judges, plan.delta
            )
            write_json_atomic(file, found._asdict())
        return Reference(**read_json(file))

    @cached_property
    def recording(self) -> Recording:
        """The partner's game, ``BELOW`` octaves below its own margin and below that of the game of the twin's seed.

        It is recorded lower where it does not hold there. The lower of the two margins counts, because the judge of one
        seed may see less than that of another. Both are searched by bisection; the games' own arms share these runs.

        Raises:
            NothingHolds: a game holds nowhere on the grid, or the partner's at none of ``TRIES`` values below that.
        """
        seed = partner(self.arm.seed)
        games = [self.game(one) for one in (self.arm.seed, seed)]
        places = [found.place for game in games if (found := game.search()) is not None and not found.below]
        for octave in range(BELOW, BELOW + TRIES) if len(places) == len(games) else ():
            value = margins.value(self.lowest, min(places) - margins.STEPS * octave)
            if games[-1].holds(value):
                return Recording(value, games[-1]._rate_and_weight(value)[0], games[-1]._words(value))
        raise NothingHolds(
            f"twin={self.twin}: the game of seed {seed} does not hold below its margin, so there is none to repeat;"
            " search from a lower value, or choose twin=frozen_d"
        )

    def game(self, seed: int) -> "Cell":
        """The game of this configuration with a seed, its margin searched by bisection."""
        words = (*(word for word in self.arm.words if not word.startswith("seed=")), f"seed={seed}")
        own = self._own(axis=self.axis)
        return Cell(
            Arm(self.arm.levels, seed, words, False, own=own),
            self.folder,
            self.protocol,
            lambda text, stored: self.report(f"game of seed {seed}: {text}", stored),
            self.trains,
        )

    def _own(self, **own: str) -> dict[str, str]:
        """Words of a further search that this one needs: a bisection, as long, on the same grid, at the same rate."""
        grid = {name: self.arm.own[name] for name in ("times", "rate_mse") if name in self.arm.own}
        return {"method": "bisection", "updates": str(self.updates), **grid, **own}

    def _rate_and_weight(self, value: float) -> tuple[float, float]:
        """G's learning rate and the adversary's weight at a value of the axis."""
        return (value, self._adv()) if self.axis == "lr" else (self.edge / SHARE, value)

    def _words(self, value: float) -> list[str]:
        """Words of the run at a value of the axis."""
        h, adv = self._rate_and_weight(value)
        said = [f"optim.g.lr={h:.6g}", f"optim.d.lr={h * self.ratio:.6g}"]
        said += [f"adv={adv:.6g}"] if self.axis == "adv" else []
        return [*self.arm.words, *said]

    def _training(
        self, words: list[str], ground: Ground, recording: Recording | None = None, h: float = math.nan
    ) -> ArmTraining:
        other, scale = None, 1.0
        if self.twin in REPLAYED:
            seed = partner(self.arm.seed)
            cfg = self._parse([*words, f"seed={seed}"] if recording is None else recording.words)
            other = ArmTraining(cfg, material(str(self.folder), self.protocol, seed).ground)
        if self.twin == "rescaled" and recording is not None:
            scale = h / recording.h
        return training_of(self._parse(words), ground, self.twin, other, scale)

    def _adv(self) -> float:
        """The configured weight of the adversary; not a number where it is computed in training."""
        return float(self.cfg.adv) if isinstance(self.cfg.adv, int | float) else math.nan

    def _parse(self, words: Sequence[str]) -> Config:
        return parse([*words, "init_from=codec"], self.protocol.extra)

    def _edge(self) -> float:
        """Largest learning rate that the distortion alone bears, by bisection.

        The distortion is ``mse`` with the weight ``rate_mse``. Without this word it is the arm's own, and ``mse=1``
        where there is none.
        """
        words, losses, weight = self.arm.words, _losses(self.cfg), self.arm.own.get("rate_mse")
        if weight:  # the same words for all arms that are compared, which share these runs
            own = {*losses, "mse"}
            words = (*(word for word in words if word.partition("=")[0] not in own), f"mse={weight}")
        elif not any(losses.values()):
            words = (*words, "mse=1")
        alone = Cell(
            Arm(self.arm.levels, self.arm.seed, words, False, own=self._own(twin=ALONE)),
            self.folder,
            self.protocol,
            self.report,
            self.trains,
        )
        found = alone.search()
        assert found is not None
        if found.below:
            raise InputError(
                f"lr_lowest={self.lr_lowest:g}: the distortion alone does not hold at this learning rate"
            )
        return margins.value(self.lr_lowest, found.place)

    def _stored(self, key: tuple[Any, ...], compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The result of a run from its file, or computed and written."""
        name = digest(key, self.protocol)
        file = run_file(self.folder, name)
        stored = file.is_file()
        if not stored and not self.trains:
            raise NotStored(name)
        if not stored:
            write_json_atomic(file, plain({**compute(), "facts": {"run": name, "commit": commit()}}))
        result = read_json(file)
        numbers = result["responses"]
        if stored and self.trains:
            self._check_codec(name, numbers["b0"])
        tried = f"adv {numbers['adv']:.3g}" if self.axis == "adv" else f"lr {numbers['h']:.3g}"
        about = f"{tried}: {result['verdict']} ({result['verdict_reason']})"
        self.report(about, stored)
        facts = {"axis": self.axis, "method": self.method, "updates": self.updates, **result["facts"]}
        if self.arm.start is not None:
            facts["start"] = self.arm.start
        levels = dict(self.arm.levels)
        name = "_".join([*levels.values(), str(self.arm.seed), result["facts"]["run"]])
        return {**result, "name": name, "levels": levels, "facts": facts}

    def _check_codec(self, run: str, bits: float) -> None:
        """Refuse a stored run that began with another codec, before it meets new ones in one search."""
        here = self.reference().bits
        if bits != here:
            raise InputError(
                f"seed {self.arm.seed}: the stored run {run} has a reference of {bits:.4f} bits, and the codec here "
                f"one of {here:.4f}, hence another codec; put codec-{self.arm.seed}.safetensors of the stored runs "
                "into the study's folder, or train all runs of this seed again in a new one"
            )

    def _result(self, outcome: holding.Outcome, words: list[str], h: float, adv: float) -> dict[str, Any]:
        numbers = holding.numbers(outcome, self.reference())
        return {
            "seed": self.arm.seed,
            "words": words,
            "verdict": outcome.verdict,
            "verdict_step": outcome.failed_at,
            "verdict_reason": outcome.reason,
            "rows": outcome.rows,
            "steps": outcome.rows[-1]["step"] if outcome.rows else 0,
            "seconds": outcome.seconds,
            "responses": {"h": h, "adv": adv, **numbers},
        }


def _losses(cfg: Config) -> dict[str, bool]:
    """Configured losses of G without a discriminator, each with whether G learns from it alone."""
    known = knobs(of_settings(cfg)).items()
    own = {name: knob for name, knob in known if knob.trains_g and not knob.needs_discriminator}
    return {name: knob.alone for name, knob in own.items() if cfg.get(name)}
