"""Lyapunov exponents of the arms of a margin study: of the training itself and of each player alone, in one table."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gcn.config.parse import parse
from gcn.errors import InputError
from gcn.files.atomic import make_folder, replacing
from gcn.report.environment import commit
from gcn.spectrum import exponent
from gcn.study.arm_training import ArmTraining
from gcn.study.arms import Arm, Protocol
from gcn.study.margin import margins
from gcn.study.margin.margin_arm import Cell
from gcn.study.margin.material import material
from gcn.study.parquet_rows import rows_of

FILE = "exponents.parquet"
BELOW = 2  # octaves below the game's own h* at which its exponents are measured
BEFORE = 150  # updates before the measurement
SETTINGS = exponent.Settings(updates=60, align=30, directions=3, distances=(1e-4,))


def low_rate(arm: Arm, folder: Path, protocol: Protocol) -> float:
    """A learning rate of G below the margin of the arm's game with its seed: h* over 2^``below``, of the arm's words.

    h* is searched by bisection. Its runs are stored, and the game's own arm shares them.

    Raises:
        InputError: a twin, or no learning rate of the grid holds.
    """
    _refuse_twins(arm)
    game = Cell(arm, folder, protocol, lambda text, stored: None).game(arm.seed)
    found, lowest = game.search(), game.lr_lowest
    assert found is not None
    if found.below:
        raise InputError(
            f"lr_lowest={lowest:g}: the game does not hold at this learning rate, so h* is unknown"
        )
    return margins.value(lowest, found.place) / 2 ** int(arm.own.get("below", BELOW))


def measure(
    arm: Arm,
    folder: Path,
    protocol: Protocol,
    rate: float,
    before: int = BEFORE,
    settings: exponent.Settings = SETTINGS,
) -> dict[str, Any]:
    """The row of an arm: exponents per update at a learning rate, each with the ends of its interval.

    Args:
        arm: its words.
        folder: of the study, with the codec of the seed.
        protocol: of the study.
        rate: of G; D's keeps the arm's ratio to it.
        before: updates before the measurement.
        settings: of the measurement.

    Raises:
        InputError: a twin, or a training that diverges.
    """
    _refuse_twins(arm)
    begun = time.perf_counter()
    cfg = parse([*arm.words, "init_from=codec"], protocol.extra)
    ratio = cfg.optim.d.lr / cfg.optim.g.lr
    words = [*arm.words, f"optim.g.lr={rate:.6g}", f"optim.d.lr={rate * ratio:.6g}"]
    cfg = parse([*words, "init_from=codec"], protocol.extra)
    training = ArmTraining(cfg, material(str(folder), protocol, arm.seed).ground)
    for _ in range(before):
        training.advance()
    found = exponent.measure(training.doubled(), settings)
    rates = found.rates
    estimates = {
        "exponent": rates.whole,
        "exponent_g": rates.g,
        "exponent_d": rates.d,
        "share_of_the_game": rates.share,
    }
    numbers: dict[str, float | None] = {}
    for name, estimate in estimates.items():
        record = {} if estimate is None else estimate.record()
        numbers |= {
            name: record.get("value"),
            f"{name}_low": record.get("low"),
            f"{name}_high": record.get("high"),
        }
    return {
        "name": arm.name,
        **arm.levels,
        "seed": arm.seed,
        "h": rate,
        **numbers,
        "warnings": " ".join(found.warnings),
        "updates_made": found.cost,
        "seconds": time.perf_counter() - begun,
        "commit": commit(),
        "words": " ".join(words),
    }


def _refuse_twins(arm: Arm) -> None:
    if "twin" in arm.own:
        raise InputError(f"twin={arm.own['twin']}: exponents are of games here; choose twin none")


def write(rows: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Add rows to ``exponents.parquet``; nothing is written without rows.

    A row of the same levels and seed is replaced, also where it was measured at another learning rate.
    """
    import pyarrow
    from pyarrow import parquet

    if not rows:
        return
    known = {_game(row): row for row in [*read(folder), *rows]}
    columns = list(dict.fromkeys(name for row in known.values() for name in row))
    complete = [{name: row.get(name) for name in columns} for row in known.values()]
    make_folder(folder)
    with replacing(folder / FILE) as partial:
        parquet.write_table(pyarrow.Table.from_pylist(complete), partial, compression="zstd")


def _game(row: Mapping[str, Any]) -> str:
    """The name of a row without the digest of its words: levels and seed."""
    return str(row["name"]).rpartition("_")[0] or str(row["name"])


def read(folder: Path, needed: Sequence[str] = ("name",)) -> list[dict[str, Any]]:
    """Rows of ``exponents.parquet`` in a folder; empty without the file.

    Args:
        folder: of the table.
        needed: columns that it must have for what is done with it.

    Raises:
        InputError: the file is damaged, or of another kind.
    """
    return rows_of(folder / FILE, needed) if (folder / FILE).is_file() else []
