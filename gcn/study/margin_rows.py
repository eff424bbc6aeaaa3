"""Margins of stage 2: from the table of runs of the study, or from a CSV with a row for each configuration and seed."""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gcn.errors import InputError
from gcn.files.names import printable
from gcn.files.reading import read_text
from gcn.study import margins, table
from gcn.study.margin_plan import Plan
from gcn.study.margin_samples import ENDS, Margin

LARGEST = 2**26  # bytes of a CSV; stage 2 has some thousand rows
STAGE = "2"  # of the runs that are decided on
FACTORS = (
    "loss",
    "beta1",
    "mse",
    "trick",
    "control",
    "twin",
)  # of the table of runs; ``control`` may be absent
UNITS = {"lr": 1e-5, "adv": 1.0}  # of which margins are counted in octaves
OPTIONAL = {"h_end": "", "a_end": "", "monotone": True, "coupling": math.nan}


def read(path: Path, plan: Plan) -> list[Margin]:
    """The margins in a folder with ``runs.parquet``, or in a CSV whose columns are the fields of `Margin`.

    Raises:
        InputError: no such file, a column is missing, a value is not readable, or a setting is not in the plan.
    """
    rows = of_runs(_runs(path)) if path.is_dir() else _csv(path)
    found = []
    for place, row in enumerate(rows, 1):
        try:
            found.append(margin(row, plan))
        except InputError as problem:
            raise InputError(f"{printable(path)}: row {place}: {problem}") from None
    if not found:
        raise InputError(f"{printable(path)}: no row with a margin")
    return found


def margin(row: Mapping[str, Any], plan: Plan) -> Margin:
    """The margin in a row of a table.

    Raises:
        InputError: a column is missing, or a value is not readable or unknown.
    """
    values = {}
    for name in Margin._fields:
        if name not in row and name not in OPTIONAL:
            raise InputError(f"the column {name} is missing")
        value = row.get(name, OPTIONAL.get(name))
        values[name] = _value(name, value, Margin.__annotations__[name])
    if values["setting"] not in plan.settings:
        raise InputError(f"setting={values['setting']}: the plan has {', '.join(plan.settings)}")
    for end in ("h_end", "a_end"):
        if values[end] not in ENDS:
            raise InputError(f"{end}={values[end]}: below, above or nothing is expected")
    if not values["mse"] >= 0:
        raise InputError(f"mse={values['mse']}: a weight of at least 0 is expected")
    return Margin(**values)


def _value(name: str, value: Any, kind: type) -> Any:
    if kind is str:
        return "" if value is None else str(value)
    if value is None or value == "":
        if kind is float and name != "mse":
            return math.nan
        raise InputError(f"{name} is empty")
    if kind is bool:
        known = {"true": True, "false": False}
        if str(value).lower() not in known:
            raise InputError(f"{name}={value}: true or false is expected")
        return known[str(value).lower()]
    try:
        number = kind(value)
    except (TypeError, ValueError):
        raise InputError(
            f"{name}={value}: {'an integer' if kind is int else 'a number'} is expected"
        ) from None
    if math.isinf(number):
        raise InputError(f"{name}={value}: a margin beyond the grid is the grid's end, with h_end or a_end")
    return number


def _csv(path: Path) -> Iterable[Mapping[str, Any]]:
    return csv.DictReader(io.StringIO(read_text(path, LARGEST)))


def _runs(folder: Path) -> list[dict[str, Any]]:
    if not (folder / "runs.parquet").is_file():
        raise InputError(f"{printable(folder)}: no runs.parquet here")
    return table.read(folder)


def of_runs(runs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with the fields of `Margin`, from the runs of stage 2: both margins of a configuration and seed in one row.

    A margin below its grid is the grid's lowest value, with ``below``. Ramps are not read.
    """
    own = [{"control": "none", **run} for run in runs if run["stage"] == STAGE and run["method"] != "ramp"]
    lowest = {
        axis: min((r["h" if axis == "lr" else "adv"] for r in own if r["axis"] == axis), default=math.nan)
        for axis in UNITS
    }
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in margins.of_rows(own, FACTORS):
        key = (*(one[factor] for factor in FACTORS), one["seed"])
        setting = f"{one['loss']} beta1={one['beta1']}"
        parts = {name: one[name] for name in ("mse", "trick", "control", "twin", "seed")}
        row = found.setdefault(
            key, {"setting": setting, **parts, "h_star": None, "a_star": None, "monotone": True}
        )
        name = "h" if one["axis"] == "lr" else "a"
        if row[f"{name}_star"] is not None:
            raise InputError(f"{setting}, {parts}: two searches of the {one['axis']} axis; keep one")
        best = lowest[one["axis"]] if one["below"] else one["margin"]
        row[f"{name}_star"] = math.log2(best / UNITS[one["axis"]])
        row[f"{name}_end"] = "below" if one["below"] else "above" if one["above"] else ""
        row["monotone"] &= one["monotone"]
    return list(found.values())
