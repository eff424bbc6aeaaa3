"""Exponents of a decoder in training, with and without a distortion: table and picture of docs/exponent.md.

``python scripts/figures/codec_exponents.py [out=FOLDER] [seeds=1,2,3] [more words of scripts/train.py]``

150 updates of the first study's frozen protocol (learning rate 2e-4, β₁ 0) from its codecs, then
:func:`gcn.spectrum.exponent.measure`. A minute of CPU a cell; cells that the table has are not measured again.
"""

import csv
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import drawing as draw
from gallery import one_thread
from gcn.config.parse import parse
from gcn.files.atomic import write_csv
from gcn.spectrum.exponent import ExponentResult, Settings, measure
from gcn.spectrum.growth import LEVEL
from gcn.study import design
from gcn.study.arm_training import ArmTraining
from gcn.study.ground import prepare

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "docs" / "figures" / "exponent"
CODECS = ROOT / "docs" / "study" / "first" / "distortion_vs_tricks"
BEFORE = 150  # updates
SETTINGS = Settings(updates=50, align=20, directions=1, distances=(1e-6,))
WEIGHTS = ("0", "0.1", "1")
NAMES = ("exponent", "exponent_g", "exponent_d", "share_of_the_game")
ENDS = [f"{name}{end}" for name in NAMES for end in ("", "_low", "_high")]
COLUMNS = ("seed", "words", "epsilon", "level", *ENDS)  # level: of the intervals


def measured(seed: int, words: Sequence[str]) -> ExponentResult:
    """Exponents of one arm after ``BEFORE`` updates."""
    protocol = dataclasses.replace(design.load("distortion_vs_tricks").protocol, pool=1024)
    ground = prepare(CODECS / f"codec-{seed}.safetensors", protocol, seed)
    rates = ["optim.g.lr=2e-4", "optim.d.lr=2e-4"]
    cfg = parse([*protocol.arm, "init_from=codec", "loss=ns", *rates, *words, f"seed={seed}"])
    training = ArmTraining(cfg, ground)
    for _ in range(BEFORE):
        training.advance()
    return measure(training.doubled(), SETTINGS)


def rows_of(seed: int, words: str, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table, one a distance."""
    rows = []
    for rates in record["distances"]:
        numbers = {
            f"{name}{end}": rates[name][key]
            for name in NAMES
            for end, key in (("", "value"), ("_low", "low"), ("_high", "high"))
        }
        rows.append({"seed": seed, "words": words, "epsilon": rates["epsilon"], "level": LEVEL, **numbers})
    return rows


def read(table: Path) -> list[dict[str, Any]]:
    """The rows of a table that exists, numbers as numbers."""
    if not table.is_file():
        return []
    with table.open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    return [{k: v if k == "words" else float(v) for k, v in row.items()} for row in found]


def picture(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Λ, Λ_G and Λ_D at a distance of 1e-3 for each weight of the distortion, a dot a seed."""
    looks = {"exponent": ("both displaced: Λ", draw.INK), "exponent_g": ("G alone: Λ_G", draw.BLUE),
             "exponent_d": ("D alone: Λ_D", draw.RED)}  # fmt: skip

    def panels(canvas: Any) -> None:
        axes = canvas.subplots(1, 1)
        for shift, (name, (label, colour)) in zip((-0.2, 0.0, 0.2), looks.items(), strict=True):
            for column, weight in enumerate(WEIGHTS):
                here = [r for r in rows if r["words"] == f"mse={weight}" and r["epsilon"] == 1e-3]
                x = column + shift + 0.045 * (np.arange(len(here)) - (len(here) - 1) / 2)
                y = [row[name] for row in here]
                ends = np.abs(np.array([[row[f"{name}_low"], row[f"{name}_high"]] for row in here]).T - y)
                axes.errorbar(x, y, ends, fmt="o", color=colour, markersize=4, elinewidth=0.8,
                              label=label if column == 0 else None)  # fmt: skip
        axes.axhline(0, color=draw.GREY, linewidth=0.8)
        axes.set_xticks(range(len(WEIGHTS)), [f"mse={weight}" for weight in WEIGHTS])
        axes.set(ylabel="exponent per update", xlim=(-0.5, len(WEIGHTS) - 0.5))
        axes.legend(frameon=False)

    title = "Without a distortion D's own update expands most"
    seeds = len({row["seed"] for row in rows})
    levels = " or ".join(
        f"{level:.0%}".replace("%", " %") for level in sorted({row["level"] for row in rows})
    )
    detail = (
        f"Decoder on frozen latents, loss=ns, Adam, learning rate 2e-4, β₁ 0, after {BEFORE} updates.\n"
        f"{seeds} seeds, a dot each, with intervals (t at {levels}). Differences of 1e-3 of the norm of all parameters."
    )
    return draw.figure(path, (7.0, 4.4), title, detail, panels)


def main(words: Sequence[str]) -> int:
    """Measure what the table lacks, write it and draw the picture; returns the exit status."""
    said = dict(word.split("=", 1) for word in words if word.startswith(("out=", "seeds=")))
    more = [word for word in words if not word.startswith(("out=", "seeds="))]
    out = Path(said.get("out", OUT))
    rows = read(out / "codec.csv")
    for seed in map(int, said.get("seeds", "1,2,3").split(",")):
        for weight in WEIGHTS:
            name = " ".join([f"mse={weight}", *more])
            if not any(row["seed"] == seed and row["words"] == name for row in rows):
                rows += rows_of(seed, name, measured(seed, name.split()).record())
                write_csv(out / "codec.csv", [COLUMNS, *([row[c] for c in COLUMNS] for row in rows)])
                print(f"seed {seed}, {name}: done", flush=True)
    picture(out / "codec", rows)
    return 0


if __name__ == "__main__":
    one_thread()
    sys.exit(main(sys.argv[1:]))
