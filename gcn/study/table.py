"""The table of a study: one row for each run, in Parquet, with the responses that its report is about.

``RESPONSES`` was written before the first run was made; ``share`` and ``bpp``, which describe a run and judge nothing,
were added after 75 of them.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gcn.files.atomic import make_folder, replacing
from gcn.metrics.stability import TOO_SHORT, measure, verdict
from gcn.study.parquet_rows import rows_of


class Response(NamedTuple):
    """A measured quantity of each run; ``lower`` values are the more stable ones."""

    name: str
    title: str
    help: str


# PSNR is listed to be seen, not to decide. SWD is no independent witness of stability beside a distortion: it compares
# the same places of x and x_hat, so it never exceeds the mean paired error, and it follows PSNR closely.
RESPONSES = (
    Response("unstable", "share of runs not stable", "verdict is not 'stable' (gcn/metrics/stability.py)"),
    Response(
        "swd_dispersion", "late dispersion of SWD", "deviation of SWD over the second half / its mean there"
    ),
    Response("last_to_best", "last / best SWD", "the last validation's SWD over the best one's"),
    Response("jitter", "jitter", "RMS change of fixed crops between validations, second half, grey levels"),
    Response("logit_gap", "|logit gap|", "median of |E D(x) - E D(x_hat)| over the last quarter"),
    Response(
        "gradient_ratio",
        "‖g_D‖ / ‖g_G‖",
        "median of the ratio of parameter gradient norms over the last quarter",
    ),
    Response("swd", "final SWD", "sliced Wasserstein distance at the end, median over the last quarter"),
    Response("psnr_loss", "PSNR lost", "PSNR at the start minus the median over the last quarter, dB"),
    Response(
        "share",
        "adversary's share",
        "|∇adv| / (|∇adv| + |∇distortion|), gradients at x_hat of what G pays, median over the second half",
    ),
    Response("bpp", "bpp", "estimated bits per pixel of the validation crops at the end"),
)
ADVERSARY, DISTORTIONS = (
    "train/g/grad_at_x_hat/adv",
    ("train/g/grad_at_x_hat/mse", "train/g/grad_at_x_hat/anchor"),
)
CURVES = (
    "val/swd", "val/psnr", "val/bpp", "val/jitter", "train/d/logit_gap", "train/g/grad_norm", "train/d/grad_norm",
    ADVERSARY, *DISTORTIONS,
)  # fmt: skip


def row(result: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a run: what its result says was measured, or what its rows of training metrics amount to."""
    numbers = result["responses"] if "responses" in result else _measured(result)
    return {
        "name": result["name"],
        **result["levels"],
        "seed": result["seed"],
        **result.get("facts", {}),
        "verdict": result["verdict"],
        "verdict_step": result.get("verdict_step"),
        "verdict_reason": result["verdict_reason"],
        "steps": result.get("steps", 0),
        "seconds": _number(result.get("seconds")),
        **{name: _number(value) for name, value in numbers.items()},
        "words": " ".join(result["words"]),
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _measured(result: Mapping[str, Any]) -> dict[str, float | None]:
    """The responses of a run of training, by name."""
    rows = result["rows"]
    early = result["verdict"] in ("diverged", "failed")
    swd, jitter = _late(rows, "val/swd", 0.5), _late(rows, "val/jitter", 0.5)
    quarter = {name: _median(_late(rows, name, 0.75)) for name in CURVES}
    ended = early and result.get("steps", 0) > 0
    return {
        "unstable": math.nan if result["verdict"] == TOO_SHORT else float(result["verdict"] != "stable"),
        "swd_dispersion": float(np.std(swd) / np.mean(swd)) if len(swd) > 3 and not ended else math.nan,
        "last_to_best": result.get("indicators", {}).get("last_to_best"),
        "jitter": _median(jitter),
        "logit_gap": _median([abs(gap) for gap in _late(rows, "train/d/logit_gap", 0.75)]),
        "gradient_ratio": _median(_ratios(rows, "train/d/grad_norm", "train/g/grad_norm", 0.75)),
        "swd": quarter["val/swd"],
        "psnr_loss": result["start"].get("val/psnr", math.nan) - quarter["val/psnr"]
        if "start" in result
        else math.nan,
        "share": _share(rows),
        "bpp": quarter["val/bpp"],
    }


def _share(rows: Sequence[Mapping[str, Any]]) -> float:
    shares = []
    for point in _last(rows, 0.5):
        adversary, *others = (point.get(name) for name in (ADVERSARY, *DISTORTIONS))
        if adversary is not None and adversary > 0:
            shares.append(adversary / (adversary + sum(other or 0.0 for other in others)))
    return _median([share for share in shares if math.isfinite(share)])


def _late(rows: Sequence[Mapping[str, Any]], name: str, share: float) -> list[float]:
    """The finite values of a column in the last part of a run."""
    values = (point.get(name) for point in _last(rows, share))
    return [float(v) for v in values if v is not None and math.isfinite(v)]


def _last(rows: Sequence[Mapping[str, Any]], share: float) -> list[Mapping[str, Any]]:
    """The rows of a run from this share of its updates on."""
    return [point for point in rows if point["step"] >= share * rows[-1]["step"]]


def _ratios(rows: Sequence[Mapping[str, Any]], one: str, other: str, share: float) -> list[float]:
    """The finite ratios of two columns in the last part of a run."""
    pairs = ((point.get(one), point.get(other)) for point in _last(rows, share))
    found = [float(a / b) for a, b in pairs if a is not None and b]
    return [ratio for ratio in found if math.isfinite(ratio)]


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else math.nan


def write(results: Iterable[Mapping[str, Any]], folder: Path) -> tuple[Path, Path]:
    """Write ``runs.parquet`` (a row for each run) and ``curves.parquet`` (run, step, values over the updates).

    Runs that a table in this folder holds already are kept: a study is extended, here and on other machines.
    """
    runs, curves = {}, {}
    if (folder / "runs.parquet").is_file():
        runs, curves = {r["name"]: r for r in read(folder)}, read_curves(folder)
    for result in results:
        runs[result["name"]] = row(result)
        points = result["rows"]
        if "responses" not in result:
            points = [{"step": r["step"], **{c: r.get(c) for c in CURVES}} for r in points]
        curves[result["name"]] = points
    return _write(runs, curves, folder)


def judge_again(folder: Path, updates: int) -> list[str]:
    """Recompute verdicts and responses of stored runs from their stored curves; returns the runs whose verdict changed.

    In this way a corrected definition applies to stored runs. What ended a run early (before ``updates``) is not in the
    curves: those verdicts are kept, and so are those of failed runs. A rate of exactly 0 at the start is what earlier
    versions stored for a generator that has no bitstream; such a column is removed.
    """
    runs, curves = {r["name"]: r for r in read(folder)}, read_curves(folder)
    changed = []
    for name, stored in runs.items():
        points = curves.get(name, [])
        if not points or stored["verdict"] == "failed":
            continue
        if points[0]["val/bpp"] == 0:
            points = curves[name] = [{**point, "val/bpp": None} for point in points]
        result = _result(stored, points)
        if stored["steps"] >= updates:
            judged = verdict(points)
            result |= {"verdict": judged.name, "verdict_step": judged.step, "verdict_reason": judged.reason}
        runs[name] = stored | row(result) | {"words": stored["words"]}
        changed += [name] * (runs[name]["verdict"] != stored["verdict"])
    _write(runs, curves, folder)
    return changed


def _result(stored: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The argument of :func:`row` for a stored run and its curves."""
    return {
        **stored,
        "levels": levels(stored),
        "rows": points,
        "start": points[0],
        "indicators": measure(points),
    }


def _write(
    runs: Mapping[str, Mapping[str, Any]], curves: Mapping[str, Any], folder: Path
) -> tuple[Path, Path]:
    import pyarrow
    from pyarrow import parquet

    points = [{"run": name, **point} for name in runs for point in curves.get(name, [])]
    kinds = [("run", pyarrow.dictionary(pyarrow.int32(), pyarrow.string())), ("step", pyarrow.int32())]
    drawn = dict.fromkeys(name for point in points for name in point if name not in ("run", "step"))
    schema = pyarrow.schema([*kinds, *((name, pyarrow.float32()) for name in sorted(drawn, key=_place))])
    make_folder(folder)
    files = folder / "runs.parquet", folder / "curves.parquet"
    columns = list(dict.fromkeys(itertools.chain.from_iterable(runs.values())))  # older rows may lack some
    complete = [{column: run.get(column) for column in columns} for run in runs.values()]
    tables = pyarrow.Table.from_pylist(complete), pyarrow.Table.from_pylist(points, schema)
    for file, table in zip(files, tables, strict=True):
        with replacing(file) as partial:
            floats = [f.name for f in table.schema if pyarrow.types.is_floating(f.type)]
            dictionary = [f.name for f in table.schema if f.name not in floats]
            parquet.write_table(
                table, partial, compression="zstd", use_dictionary=dictionary, use_byte_stream_split=floats
            )  # numbers by their bytes: two fifths smaller, and exact
    return files


def _place(column: str) -> int:
    return CURVES.index(column) if column in CURVES else len(CURVES)


def _by_run(points: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for point in points:
        found.setdefault(point["run"], []).append({k: v for k, v in point.items() if k != "run"})
    return found


def levels(row: Mapping[str, Any]) -> dict[str, Any]:
    """Factor to level of a stored run: the columns between its name and its seed."""
    columns = list(row)
    return {factor: row[factor] for factor in columns[1 : columns.index("seed")]}


def names(folder: Path) -> set[str]:
    """Names of the arms in the table of a folder."""
    if not (folder / "runs.parquet").is_file():
        return set()
    return {row["name"] for row in read(folder, ("name", "seed"))}


def read_curves(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The points of each run, by the name of its arm; raises InputError for a file of another kind."""
    return _by_run(rows_of(folder / "curves.parquet", ("run", "step")))


def read(folder: Path, needed: Sequence[str] = ("seed",)) -> list[dict[str, Any]]:
    """Rows of ``runs.parquet``, one for each run.

    Args:
        folder: of the table.
        needed: columns that it must have for what is done with it.

    Raises:
        InputError: a file of another kind, or of another study, without these columns.
    """
    return rows_of(folder / "runs.parquet", needed)
