"""Runs of margins that a table from elsewhere holds. They are searched like the runs of this folder, and not trained
again.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gcn.errors import InputError
from gcn.files.names import printable
from gcn.report.summary import write_json_atomic
from gcn.study import table
from gcn.study.arms import EXPONENT, Arm, Protocol
from gcn.study.margin import margin_arm, margin_exponent
from gcn.study.margin.margin_arm import Cell, NotStored, run_file

RUN = re.compile(r"[0-9a-f]{12}")  # name of a run, a hash: as a file's name it leads nowhere else


class Stored:
    """The runs and exponents in a study's table.

    Args:
        kept: folder of the table; it may be empty.
        folder: of the study. Files of the table's runs are written here, where there are none yet.

    Raises:
        InputError: a row names a run that no search has made.
    """

    def __init__(self, kept: Path, folder: Path) -> None:
        self.folder = folder
        rows = [row for row in table.read(kept) if row.get("run")] if table.names(kept) else []
        curves = table.read_curves(kept) if rows else {}
        for row in rows:
            if not RUN.fullmatch(str(row["run"])):
                name = printable(str(row["run"]))
                raise InputError(
                    f"{printable(kept)}: {name} is no run of a study of margins; give another table"
                )
        self._searched = {_cell(table.levels(row), row["seed"]) for row in rows}
        self._exponents = {row["name"]: row for row in margin_exponent.read(kept)}
        for row in rows:
            if not run_file(folder, row["run"]).is_file():
                write_json_atomic(run_file(folder, row["run"]), _result(row, curves.get(row["name"], [])))

    def result(self, arm: Arm, protocol: Protocol) -> dict[str, Any] | None:
        """What the arm's file holds, if the table has all that its search asks for; else None."""
        if arm.own.get("method") == EXPONENT:
            known = self._exponents.get(arm.name)
            return None if known is None else {"runs": [], "exponents": [known]}
        if _cell(arm.levels, arm.seed) not in self._searched:
            return None
        cell = Cell(arm, self.folder, protocol, lambda text, stored: None, trains=False)
        try:
            return {"runs": margin_arm.searched(cell)}
        except NotStored:
            return None


def _cell(levels: Mapping[str, Any], seed: int) -> tuple[Any, ...]:
    return (*sorted(levels.items()), seed)


def _result(row: Mapping[str, Any], points: Any) -> dict[str, Any]:
    """The content of a run's file, from its row and its curve; the opposite of :func:`gcn.study.table.row`."""
    names = list(row)
    responses = names[names.index("seconds") + 1 : names.index("words")]
    said = ("seed", "verdict", "verdict_step", "verdict_reason", "steps", "seconds")
    return {
        **{name: row[name] for name in said},
        "words": row["words"].split(" "),
        "rows": [{name: value for name, value in point.items() if value is not None} for point in points],
        "responses": {name: row[name] for name in responses},
        "facts": {"run": row["run"], "commit": row["commit"]},
    }
