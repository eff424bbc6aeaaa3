"""Diagnostics of some arms at their end: the spectrum of the game's field, and reconstructions.

Stored beside the table as ``closer.parquet``, the name in older tables. There is a row for each arm, and two for each
seed without a spectrum, ``x`` and ``start``: the crops and their initial reconstructions. Of an arm in the lab it is
``view``, the picture of its first game.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from gcn.config.parse import Config
from gcn.files.atomic import make_folder, replacing
from gcn.game.game import Game
from gcn.spectrum.eigenvalues import Krylov, rotation_index, skew_norm
from gcn.spectrum.linearised import Linearised
from gcn.study.ground import Ground
from gcn.study.parquet_rows import rows_of

FILE = "closer.parquet"
BASIS, PROBES = 80, 12  # products with the Jacobian, probes of the rotation index
CROPS = 3  # reconstructions that are kept


def measure(game: Game, ground: Ground, cfg: Config, verdict: str, x_hat: Tensor) -> dict[str, Any]:
    """Diagnostics of a trained game: the spectrum on the first batch of the seed, and some reconstructions.

    Returns:
        ``verdict``; ``eigenvalues``, [re, im, residual] of each Ritz value; ``rotation`` and its ``rotation_error``;
        ``skew_norm``, a bound on |Im|; ``field_norm``; ``crops``, PNG as text. No spectrum where not finite.
    """
    found: dict[str, Any] = {"verdict": verdict, "crops": pngs(x_hat)}
    indices = ground.indices(0, cfg.data.batch, cfg.seed)
    crops = ground.crops(indices)
    game.generator.set_batches([(crops, indices)])  # type: ignore[operator]
    linear = Linearised(game, crops)
    if not bool(linear.field.isfinite().all()):
        return found
    rotation = rotation_index(linear, PROBES)
    krylov = Krylov(linear.vjp, linear.field, BASIS)
    return found | {
        "eigenvalues": [[z.real, z.imag, residual] for z, residual in krylov.found],
        "rotation": rotation.value,
        "rotation_error": rotation.standard_error,
        "skew_norm": skew_norm(linear),
        "field_norm": float(linear.field.norm()),
    }


def pngs(x: Tensor) -> list[str]:
    """The first crops of a batch in [0, 1] as PNG files, in hexadecimal so that JSON takes them."""
    found = []
    for crop in x[:CROPS].clamp(0, 1).mul(255).round().to(torch.uint8):
        file = io.BytesIO()
        Image.fromarray(crop.permute(1, 2, 0).numpy()).save(file, "PNG", optimize=True)
        found.append(file.getvalue().hex())
    return found


def write(results: Iterable[Mapping[str, Any]], folder: Path) -> None:
    """Add rows to ``closer.parquet``; those of the same name are replaced."""
    import pyarrow
    from pyarrow import parquet

    rows = {row["name"]: row for row in read(folder)} | {row["name"]: row for row in results}
    if not rows:
        return
    numbers = ("rotation", "rotation_error", "skew_norm", "field_norm")
    schema = pyarrow.schema(
        [
            ("name", pyarrow.string()),
            ("verdict", pyarrow.string()),
            ("crops", pyarrow.list_(pyarrow.binary())),
            ("eigenvalues", pyarrow.list_(pyarrow.list_(pyarrow.float64()))),
            *((name, pyarrow.float64()) for name in numbers),
            ("view", pyarrow.binary()),
        ]
    )
    plain = [
        {**row, "crops": [_bytes(crop) for crop in row["crops"]], "view": _bytes(row.get("view"))}
        for row in rows.values()
    ]
    make_folder(folder)
    with replacing(folder / FILE) as partial:
        parquet.write_table(pyarrow.Table.from_pylist(plain, schema), partial, compression="zstd")


def _bytes(kept: str | bytes | None) -> bytes | None:
    return bytes.fromhex(kept) if isinstance(kept, str) else kept


def read(folder: Path) -> Sequence[Mapping[str, Any]]:
    """Rows of ``closer.parquet`` in a folder; empty without the file."""
    file = folder / FILE
    return rows_of(file, ("name",)) if file.is_file() else []
