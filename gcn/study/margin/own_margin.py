"""The margin of a user's own configuration and of its twin: the arms of a study for one cell, its record and figure."""

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcn.coding import transcode
from gcn.coding.run_codec import of_run
from gcn.config.build import build
from gcn.config.parse import parse
from gcn.errors import InputError
from gcn.files.atomic import make_folder
from gcn.files.lock import only_writer
from gcn.models import package
from gcn.models.codec import Codec
from gcn.models.places import DEFAULT_MODEL, model_path, run_folder
from gcn.report.summary import write_json_atomic
from gcn.schema.plugins import Extension, of_settings
from gcn.study import table
from gcn.study.arms import Arm, MarginPlan, Protocol, partner
from gcn.study.margin import margin_figure
from gcn.study.margin.margin_arm import Cell, NothingHolds
from gcn.study.margin.margins import CEILING, has_ceiling, of_rows
from gcn.study.run import codec_file

ALONE = ("loss=none", "mse=1", "optim=gan")  # the distortion alone, without momentum
REFERENCE, SETTLING = (*ALONE, "optim.g.lr=1e-5"), (*ALONE, "optim.g.lr=1e-4")
# The decoders that ship were trained longer than those of studies, and bear larger learning rates: 7.8e-8 to .082.
PLAN = MarginPlan(REFERENCE, SETTLING, settle=500, lr_octaves=20)
POOL, VAL_CROPS = 1024, 4  # training crops; crops of 128 pixels for PSNR
NAMES = {"lr": "h*", "adv": "a*"}


@dataclass(frozen=True)
class Asked:
    """What is measured.

    Attributes:
        words: of ``scripts/train.py``.
        extra: a further folder of configurations.
        axis, method, twin, updates: as of :class:`gcn.study.margin.margin_arm.Cell`; no twin: the game alone.
        init_from: name of a model that ships, model file or run folder; None: the default model.
    """

    words: Sequence[str]
    extra: str | None = None
    axis: str = "lr"
    method: str = "bisection"
    twin: str | None = "rescaled"
    updates: int = 200
    init_from: str | None = None

    @property
    def name(self) -> str:
        """Name of the folder for these words, readable and unique; the same for all axes, methods and twins."""
        said = (tuple(self.words), self.extra, self.init_from)
        text = "-".join(re.sub(r"\W+", "", word.partition("=")[2]) for word in self.words)[:40]
        return f"{text or 'default'}-{hashlib.blake2b(repr(said).encode(), digest_size=3).hexdigest()}"


def measure(asked: Asked, folder: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Train the runs that are not in the folder yet; write ``margin.json`` and ``margin.png``; returns the record.

    Args:
        asked: what is measured.
        folder: of the runs.
        tell: told each run in a line.

    Raises:
        InputError: no such decoder, a decoder of another generator, or too few validation images.
    """
    with only_writer(make_folder(folder)):
        protocol, words, seed = _planned(asked, folder)
        rows, unmeasured = dict[str, list[dict[str, Any]]](), list[str]()
        for who in [None, *([] if asked.twin is None else [asked.twin])]:
            own = {"axis": asked.axis, "method": asked.method, **({} if who is None else {"twin": who})}
            arm = Arm({"arm": who or "game"}, seed, words, False, own=own)
            cell = Cell(arm, folder, protocol, _teller(who or "game", tell))
            limit = cell.reference()
            try:
                cell.search()
            except NothingHolds as problem:  # the game's own margin, or that there is none, is a result
                unmeasured.append(str(problem))
                continue
            rows[who or "game"] = [table.row(cell.runs[value]) for value in sorted(cell.runs)]
        record = _record(asked, rows, parse([*words, "init_from=codec"], asked.extra).optim.g.lr)
        record["says"] += unmeasured
        record |= {"b0": limit.bits, "limit": limit.limit, "judge_problem": limit.problem}
        if limit.problem is not None:
            record["says"].append(f"these margins may mean little: {limit.problem}")
        write_json_atomic(folder / "margin.json", record)
        margin_figure.draw(folder / "margin.png", rows, record)
    return record


def _teller(who: str, tell: Callable[[str], None]) -> Callable[[str, bool], None]:
    return lambda text, stored: tell(f"{who}: {text}{' (stored)' * stored}")


def _planned(asked: Asked, folder: Path) -> tuple[Protocol, tuple[str, ...], int]:
    """Protocol, words of the arms and their seed; the decoder lies in the folder afterwards, for both seeds."""
    fixed = ("freeze=encoder", "rate=null")
    cfg = parse([*asked.words, *fixed, "init_from=codec"], asked.extra)
    codec, seed = _codec(asked.init_from, of_settings(cfg)), cfg.seed
    try:
        build(cfg, "generator").load_state_dict(codec.state_dict())
    except RuntimeError:
        raise InputError(
            f"init_from={asked.init_from or DEFAULT_MODEL}: its architecture is not the configured generator's; repeat "
            "the generator's words of its training, or give a run of experiment=rd with this generator"
        ) from None
    for one in (seed, partner(seed)):  # one decoder, two games: other D, crops and noise
        package.save(codec, codec_file(folder, one), {})
    data = [word for word in asked.words if word.startswith(("data", "generator", "plugins"))]
    protocol = Protocol(
        (f"picture {codec.picture_id.hex()}",), (*data, *fixed, "mse=1", "loss=none"), asked.updates, pool=POOL,
        val_crops=VAL_CROPS, command="margin", margin=PLAN, extra=asked.extra,
    )  # fmt: skip
    return protocol, (*asked.words, *fixed, f"seed={seed}"), seed


def _codec(name: str | None, own: Extension) -> Codec:
    if name is None:
        return transcode.model({})
    try:
        if Path(name).is_dir():
            return of_run(run_folder(name), own)
        return package.load(model_path(name), own)
    except InputError as problem:
        raise InputError(f"init_from={name}: {problem}") from None


def _record(asked: Asked, rows: Mapping[str, Sequence[Mapping[str, Any]]], present: float) -> dict[str, Any]:
    """The content of ``margin.json``."""
    found = of_rows([row for own in rows.values() for row in own], ["arm"])
    by_arm = {row["arm"]: row for row in found}
    game, twin = by_arm["game"], by_arm.get(asked.twin or "")
    record: dict[str, Any] = {
        "words": list(asked.words),
        "axis": asked.axis,
        "method": asked.method,
        "updates": asked.updates,
        "twin": asked.twin,
        "margin": game["margin"],
        "twin_margin": None if twin is None else twin["margin"],
        "cost_octaves": None if twin is None else twin["octaves"] - game["octaves"],
        "present": present if asked.axis == "lr" else None,
        "margins": found,
    }
    return {
        **record,
        "says": _sentences(asked, record, game, twin),
        "runs": [dict(r) for own in rows.values() for r in own],
    }


def _sentences(
    asked: Asked, record: Mapping[str, Any], game: Mapping[str, Any], twin: Mapping[str, Any] | None
) -> list[str]:
    said = [_margin_of(game, asked)]
    if asked.axis == "lr" and not game["below"]:
        times = game["margin"] / record["present"]
        said.append(f"  {times:.3g} times the configured learning rate of G, {record['present']:.3g}")
    if twin is not None:
        said.append(_margin_of(twin, asked))
        said += _cost_of(record["cost_octaves"], game, twin, NAMES[asked.axis])
    return said


def _cost_of(cost: float, game: Mapping[str, Any], twin: Mapping[str, Any], name: str) -> list[str]:
    """Sentences about what the game costs in octaves; none where a margin lies below the grid."""
    if not math.isfinite(cost):
        return []
    if cost < 0:
        return [
            f"the game bears {-cost:.2f} octaves more than its twin: {name} / {name}(twin) = {2**-cost:.3g}"
        ]
    said = [f"the game costs {cost:.2f} octaves: {name}(twin) / {name} = {2**cost:.3g}"]
    if has_ceiling(game["octaves"], twin["octaves"]):
        said.append(
            f"  less than {CEILING:g} octave: the limit is the twin's, and no game is needed to explain it"
        )
    return said


def _margin_of(found: Mapping[str, Any], asked: Asked) -> str:
    name = NAMES[asked.axis] + ("" if found["arm"] == "game" else f" of the twin ({found['arm']})")
    lowest = PLAN.lr_lowest if asked.axis == "lr" else PLAN.adv_lowest
    if found["below"]:
        return f"{name} is below {lowest:.3g}, the lowest value that is tried"
    if found["above"]:
        return f"{name} is {found['margin']:.3g} or more; all values that were tried hold"
    again = "" if found["monotone"] else "; higher values that hold again follow"
    return f"{name} = {found['margin']:.3g}, to a quarter octave{again}"
