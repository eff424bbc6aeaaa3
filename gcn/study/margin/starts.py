"""Where a search of method ``near`` begins: at the margin that the first seed of its grid has in the table.

Margins of two seeds differ by about half an octave, so most such searches end after three or four runs; a bisection
takes six. Where holding is monotone, the start has no influence on the margin that is found.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from gcn.study.arms import Arm
from gcn.study.margin import margins

VALUES = {"lr": "h", "adv": "adv"}  # axis to the column of the values that were tried


def started(arm: Arm, first: int, rows: Iterable[Mapping[str, Any]]) -> Arm | None:
    """The arm with its start, or None as long as the table has no runs of the same levels and the first seed.

    The start is the margin of the first seed, or the lowest value that was tried where none holds. If the search of the
    first seed failed, there is no start, and the arm is a bisection.

    Args:
        arm: of method ``near``.
        first: seed of the search that the start is taken from.
        rows: of ``runs.parquet``.
    """
    own = [r for r in rows if r["seed"] == first and all(r[f] == level for f, level in arm.levels.items())]
    if not own:
        return None
    tried = [row for row in own if row.get("axis") in VALUES]
    if not tried:
        return arm
    (found,) = margins.of_rows(tried, arm.levels)
    lowest = min(row[VALUES[found["axis"]]] for row in tried)
    return replace(arm, start=lowest if found["below"] else found["margin"])
