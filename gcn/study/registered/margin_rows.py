"""Margins of stage 2: from the table of runs of the study, or from a CSV with a row for each configuration and seed."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gcn.errors import InputError
from gcn.files.names import printable
from gcn.files.reading import read_text
from gcn.study import table
from gcn.study.margin import margin_exponent, margins
from gcn.study.registered.margin_plan import Plan
from gcn.study.registered.margin_samples import ENDS, Margin

LARGEST = 2**26  # bytes of a CSV; stage 2 has some thousand rows
STAGE = "2"  # of the runs that are decided on
FACTORS = (
    "loss",
    "beta1",
    "mse",
    "trick",
    "control",
    "twin",
    "epsilon",
    "ratio",
)  # of the table of runs; ``control``, ``epsilon`` and ``ratio`` may be absent
USUAL = {"epsilon": "1e-8", "ratio": "1"}  # levels that a setting's name does not say
FAILED = "failed"  # verdict of an arm that could not be trained, such as a twin without a game to repeat
SETTING = ("loss", "beta1", *USUAL)  # of FACTORS, those that are compared with nothing of another level
METHODS = ("grid", "bisection", "near", "halves", "ramp")  # of a search, the finest first
UNITS = {"lr": 1e-5, "adv": 1.0}  # of which margins are counted in octaves
OPTIONAL = {"h_end": "", "a_end": "", "monotone": True, "coupling": math.nan, "exponent": math.nan}
LENGTH = "N"  # of the runs whose margins are compared
COLUMNS = (  # that a table of runs must have
    "stage", "seed", *(factor for factor in FACTORS if factor not in ("control", *USUAL)),
    "axis", "method", "updates", "h", "adv", "holds", "reach",
)  # fmt: skip
EXPONENTS = {
    "exponent": "exponent",
    "coupling": "share_of_the_game",
}  # column here, column of exponents.parquet


def read(path: Path, plan: Plan, stages: Sequence[str] = (STAGE,)) -> list[Margin]:
    """The margins in a folder with ``runs.parquet``, or in a CSV whose columns are the fields of `Margin`.

    The exponents of a folder are those of its ``exponents.parquet``.

    Args:
        path: of the folder or the CSV.
        plan: which says what settings there are.
        stages: of the runs that are read from a folder.

    Raises:
        InputError: no such file, a column is missing, a value is not readable, or a setting is not in the plan.
    """
    if path.is_dir():
        known = of_runs(_runs(path), stages, margin_exponent.read(path, ("stage", "seed")))
        rows: Iterable[Mapping[str, Any]] = [row for row in known if row["setting"] in plan.settings]
    else:
        rows = _csv(path)
    found = []
    for place, row in enumerate(rows, 1):
        try:
            found.append(margin(row, plan))
        except InputError as problem:
            raise InputError(f"{printable(path)}: row {place}: {problem}") from None
    if not found:
        raise InputError(
            f"{printable(path)}: no row with a margin of stage {' or '.join(stages)} in the plan's settings "
            f"({', '.join(plan.settings)})"
        )
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
    return table.read(folder, COLUMNS)


def of_runs(
    runs: Iterable[Mapping[str, Any]],
    stages: Sequence[str] = (STAGE,),
    exponents: Iterable[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Rows with the fields of `Margin`, from a table of runs: both margins of a configuration and seed in one row.

    A margin below its grid is the grid's lowest value, with ``below``. Repeats with more updates are not read. Of
    several searches in the stages before the second the finest
    counts; in stage 2 there is one, and no ramp.

    Args:
        runs: of ``runs.parquet``.
        stages: of the runs that are read.
        exponents: rows of ``exponents.parquet``, for ``exponent`` and ``coupling`` of the configurations with margins.
    """
    final = STAGE in stages
    own = [
        {"control": "none", **USUAL, **run}
        for run in runs
        if run["stage"] in stages and _is_measured(run) and not (final and run["method"] == METHODS[-1])
    ]
    margins.check_references(own, () if final else SETTING)
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in sorted(margins.of_rows(own, FACTORS), key=lambda row: METHODS.index(row["method"])):
        key, setting = (*(one[factor] for factor in FACTORS), one["seed"]), setting_of(one)
        row = found.setdefault(
            key, {"setting": setting, "h_star": None, "a_star": None, "monotone": True, **one}
        )
        name = "h" if one["axis"] == "lr" else "a"
        if row[f"{name}_star"] is None:
            best = one["lowest"] if one["below"] else one["margin"]
            row[f"{name}_star"] = math.log2(best / UNITS[one["axis"]])
            row[f"{name}_end"] = "below" if one["below"] else "above" if one["above"] else ""
            row["monotone"] &= one["monotone"]
        elif final:
            cell = ", ".join(f"{factor} {one[factor]}" for factor in FACTORS)
            raise InputError(f"{cell}, seed {one['seed']}: two searches of the {one['axis']} axis; keep one")
    for measured in exponents:
        levels = {"control": "none", **USUAL, **measured}
        known = found.get((*(levels.get(factor, "none") for factor in FACTORS), measured["seed"]))
        if known is not None and measured["stage"] in stages and _is_measured(measured):
            known |= {name: measured.get(column) for name, column in EXPONENTS.items()}
    return list(found.values())


def setting_of(levels: Mapping[str, Any]) -> str:
    """``ns beta1=0``, or ``ns beta1=0 epsilon=sgd`` where a level is not the usual one: the name of a setting."""
    unusual = [f" {name}={levels[name]}" for name, usual in USUAL.items() if levels[name] != usual]
    return f"{levels['loss']} beta1={levels['beta1']}{''.join(unusual)}"


def _is_measured(run: Mapping[str, Any]) -> bool:
    """Whether a run has the number of updates of the registered contrasts, and was not refused, as a twin may be."""
    return bool(run.get("length", LENGTH) == LENGTH and run.get("verdict") != FAILED)
