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
from gcn.study.margin.material import material

FILE = "exponents.parquet"
RATE = 1e-4  # G's learning rate; D's is at the arm's ratio to it
BEFORE = 150  # updates before the measurement
SETTINGS = exponent.Settings(updates=60, align=30, directions=3, distances=(1e-4,))


def measure(
    arm: Arm, folder: Path, protocol: Protocol, before: int = BEFORE, settings: exponent.Settings = SETTINGS
) -> dict[str, Any]:
    """The row of an arm: exponents per update at a low learning rate, each with the ends of its interval.

    Args:
        arm: its words, at the learning rate ``RATE``.
        folder: of the study, with the codec of the seed.
        protocol: of the study.
        before: updates before the measurement.
        settings: of the measurement.

    Raises:
        InputError: a twin, or a training that diverges.
    """
    if "twin" in arm.own:
        raise InputError(f"twin={arm.own['twin']}: exponents are of games here; choose twin none")
    begun = time.perf_counter()
    cfg = parse([*arm.words, "init_from=codec"], protocol.extra)
    ratio = cfg.optim.d.lr / cfg.optim.g.lr
    words = [*arm.words, f"optim.g.lr={RATE:.6g}", f"optim.d.lr={RATE * ratio:.6g}"]
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
        "h": RATE,
        **numbers,
        "warnings": " ".join(found.warnings),
        "updates_made": found.cost,
        "seconds": time.perf_counter() - begun,
        "commit": commit(),
        "words": " ".join(words),
    }


def write(rows: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Add rows to ``exponents.parquet``; those of the same name are replaced. Nothing is written without rows."""
    import pyarrow
    from pyarrow import parquet

    if not rows:
        return
    known = {row["name"]: row for row in [*read(folder), *rows]}
    columns = list(dict.fromkeys(name for row in known.values() for name in row))
    complete = [{name: row.get(name) for name in columns} for row in known.values()]
    make_folder(folder)
    with replacing(folder / FILE) as partial:
        parquet.write_table(pyarrow.Table.from_pylist(complete), partial, compression="zstd")


def read(folder: Path) -> list[dict[str, Any]]:
    """Rows of ``exponents.parquet`` in a folder; empty without the file."""
    from pyarrow import parquet

    return parquet.read_table(folder / FILE).to_pylist() if (folder / FILE).is_file() else []
