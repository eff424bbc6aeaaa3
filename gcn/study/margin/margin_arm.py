"""An arm of a margin study: a search among runs of one configuration, each of which is stored as it ends.

The runs lie in ``runs/`` in the study's folder under a name that follows from everything that decides their result. So
a search that is killed loses the run in training, and searches of the same configuration share their runs.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import load_file, save_file

from gcn.config.build import build
from gcn.config.compose import knobs
from gcn.config.parse import Config, parse
from gcn.errors import InputError
from gcn.files.atomic import make_folder, replacing
from gcn.files.reading import read_json
from gcn.models import package
from gcn.report.environment import commit
from gcn.report.summary import plain, write_json_atomic
from gcn.schema.plugins import of_settings
from gcn.study.arm_training import ArmTraining
from gcn.study.arms import Arm, MarginPlan, Protocol, partner
from gcn.study.ground import Ground, prepare
from gcn.study.margin import holding, judge, margins
from gcn.study.margin.judge import Judge, Reference
from gcn.study.twins import training_of

Report = Callable[[str, bool], None]  # told what a run has shown, and whether it was stored before
SHARE = 8  # a* is measured at the distortion's largest learning rate divided by this
ALONE = "distortion_alone"


def play(
    arm: Arm, folder: Path, protocol: Protocol, report: Report = lambda text, stored: None
) -> list[dict[str, Any]]:
    """Search for the margin of an arm; returns the results of its runs, as :func:`gcn.study.table.row` takes them."""
    cell = Cell(arm, folder, protocol, report)
    cell.search()
    return [cell.runs[key] for key in sorted(cell.runs)]


class Cell:
    """The runs of one configuration, its twin and its seed.

    Args:
        arm: its ``own`` words say the twin, the axis, the method and the number of updates.
        folder: of the study, with the codecs.
        protocol: of the study.
        report: called after each run.

    Attributes:
        runs: results by the value that was tried.
    """

    def __init__(self, arm: Arm, folder: Path, protocol: Protocol, report: Report) -> None:
        assert protocol.margin is not None
        self.arm, self.folder, self.protocol, self.report = arm, folder, protocol, report
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
            if self.axis != "lr":
                raise InputError(
                    f"axis={self.axis}: a ramp raises learning rates; choose another method, bisection"
                )
            self.ramp()
            return None
        if self.axis == "lr":
            lowest, octaves = self.plan.lr_lowest, self.plan.lr_octaves
        else:
            lowest, octaves, self.edge = self.plan.adv_lowest, self.plan.adv_octaves, self._edge()
        start = None if self.arm.start is None else margins.place_of(lowest, self.arm.start)
        return margins.search(
            self.method, margins.STEPS * octaves, lambda k: self.holds(margins.value(lowest, k)), start
        )

    def holds(self, value: float) -> bool:
        """Whether the run with this value of the axis holds; trains it unless it is stored."""
        h, adv = (value, self._adv()) if self.axis == "lr" else (self.edge / SHARE, value)
        said = [f"optim.g.lr={h:.6g}", f"optim.d.lr={h * self.ratio:.6g}"]
        said += [f"adv={adv:.6g}"] if self.axis == "adv" else []
        words = [*self.arm.words, *said]

        def compute() -> dict[str, Any]:
            ground, judging = material(str(self.folder), self.protocol, self.arm.seed)
            training = self._training(words, ground)
            outcome = holding.hold(
                training, judging, self.reference(), self.updates, self.plan.judges, self.plan.whole
            )
            return self._result(outcome, words, h, adv)

        result = self._stored((*words, self.twin, self.updates), compute)
        self.runs[value] = result
        return bool(result["responses"]["holds"])

    def ramp(self) -> None:
        """Raise the learning rates in one run until it fails."""
        lowest, updates = self.plan.lr_lowest, self.plan.ramp_updates
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
        """Bits of the decoder after as many updates by distortion alone, stored for all runs of the seed."""
        words = [*self.protocol.arm, *self.plan.reference, f"seed={self.arm.seed}"]
        file = self.folder / "runs" / f"reference-{_digest((*words, self.updates), self.protocol)}.json"
        if not file.is_file():
            ground, judging = material(str(self.folder), self.protocol, self.arm.seed)
            training = training_of(self._parse(words), ground, ALONE)
            plan = self.plan
            found = holding.refer(training, judging, self.updates, plan.classifiers, plan.judges)
            write_json_atomic(file, found._asdict())
        return Reference(**read_json(file))

    def _training(self, words: list[str], ground: Ground) -> ArmTraining:
        other = None
        if self.twin == "yoked":
            seed = partner(self.arm.seed)
            cfg = self._parse([*words, f"seed={seed}"])
            other = ArmTraining(cfg, material(str(self.folder), self.protocol, seed).ground)
        return training_of(self._parse(words), ground, self.twin, other)

    def _adv(self) -> float:
        """The configured weight of the adversary; not a number where it is computed in training."""
        return float(self.cfg.adv) if isinstance(self.cfg.adv, int | float) else math.nan

    def _parse(self, words: Sequence[str]) -> Config:
        return parse([*words, "init_from=codec"], self.protocol.extra)

    def _edge(self) -> float:
        """Largest learning rate that the distortion alone bears, by bisection; with ``mse=1`` where there is none."""
        words = self.arm.words if _has_distortion(self.cfg) else (*self.arm.words, "mse=1")
        own = {"twin": ALONE, "method": "bisection", "updates": str(self.updates)}
        alone = Cell(
            Arm(self.arm.levels, self.arm.seed, words, False, own=own),
            self.folder,
            self.protocol,
            self.report,
        )
        found = alone.search()
        assert found is not None
        if found.below:
            raise InputError(
                f"lr_lowest={self.plan.lr_lowest:g}: the distortion alone does not hold at this learning rate"
            )
        return margins.value(self.plan.lr_lowest, found.place)

    def _stored(self, key: tuple[Any, ...], compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The result of a run from its file, or computed and written."""
        digest = _digest(key, self.protocol)
        file = self.folder / "runs" / f"{digest}.json"
        stored = file.is_file()
        if not stored:
            write_json_atomic(file, plain({**compute(), "facts": {"run": digest, "commit": commit()}}))
        result = read_json(file)
        numbers = result["responses"]
        tried = f"adv {numbers['adv']:.3g}" if self.axis == "adv" else f"lr {numbers['h']:.3g}"
        about = f"{tried}: {result['verdict']} ({result['verdict_reason']})"
        self.report(about, stored)
        facts = {"axis": self.axis, "method": self.method, "updates": self.updates, **result["facts"]}
        if self.arm.start is not None:
            facts["start"] = self.arm.start
        levels = dict(self.arm.levels)
        name = "_".join([*levels.values(), str(self.arm.seed), digest])
        return {**result, "name": name, "levels": levels, "facts": facts}

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


class Material(NamedTuple):
    """Data of a seed, and the judge of its runs."""

    ground: Ground
    judge: Judge


@cache
def material(folder: str, protocol: Protocol, seed: int) -> Material:
    """Data and judge of a seed whose codec lies in the folder; runs start from the settled decoder of this codec."""
    from gcn.study.run import codec_file

    assert protocol.margin is not None
    model = codec_file(Path(folder), seed)
    cfg = parse([*protocol.arm, "init_from=codec", f"seed={seed}"], protocol.extra)
    codec = package.load(model, of_settings(cfg))
    judging = judge.prepare(codec, build(cfg, "data"), cfg.data.crop, protocol.margin, seed)
    return Material(_settled(prepare(model, protocol, seed), Path(folder), protocol, seed), judging)


def _settled(ground: Ground, folder: Path, protocol: Protocol, seed: int) -> Ground:
    """The ground with a decoder that was trained on by distortion alone, its learning rate falling to zero.

    A codec's decoder is not the best one for its own frozen latents. Runs that hardly move would stay as far from the
    reference as the codec is, and count as failed; from a settled decoder they hold.
    """
    assert protocol.margin is not None
    assert ground.frozen is not None
    updates = protocol.margin.settle
    if not updates:
        return ground
    words = [*protocol.arm, *protocol.margin.reference, f"seed={seed}", "init_from=codec"]
    file = make_folder(folder / "runs") / f"start-{_digest((*words, seed), protocol)}.safetensors"
    if not file.is_file():
        training = training_of(parse(words, protocol.extra), ground, ALONE)
        for step in range(updates):
            training.advance(learning_rate=1 - step / updates)
        own = {
            name: value.contiguous()
            for name, value in training.generator.state_dict().items()
            if name.startswith("g_s.")
        }
        with replacing(file) as partial:
            save_file(own, partial)
    return ground.starting_from(load_file(file))


def _has_distortion(cfg: Config) -> bool:
    known = knobs(of_settings(cfg)).items()
    names = [n for n, knob in known if knob.trains_g and knob.alone and not knob.needs_discriminator]
    return any(cfg.get(name) for name in names)


def _digest(key: tuple[Any, ...], protocol: Protocol) -> str:
    """Name of a run: a hash of all that decides its result but the program."""
    assert protocol.margin is not None
    judged = protocol.margin.judged()
    said = (key, protocol.codec, protocol.pool, protocol.val_crops, judged)
    return hashlib.blake2b(repr(said).encode(), digest_size=6).hexdigest()
