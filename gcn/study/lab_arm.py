"""One arm of a study in the lab: the run folder that ``scripts/lab.py`` leaves, and the results of its seeds."""

import csv
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gcn.cli.invocation import starting
from gcn.cli.quoting import word
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.files.reading import read_json, read_text
from gcn.study.arms import Arm

UNUSED = ("figure=false", "spectrum=false")  # of an arm a study keeps the measured numbers alone
CURVES = ("recovered", "held", "good", "logit_gap", "w1")  # what the table keeps of the looks at a game


def play(arm: Arm, run: Path, flags: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Run the lab's command for an arm, unless its folder is complete.

    Args:
        arm: whose words are said.
        run: folder of the run; what an interrupted run has left there is removed.
        flags: of the command.

    Returns:
        For each seed ``name``, ``levels``, ``seed``, ``words``; ``rows``, its looks; ``responses``, what was measured
        at the end; ``verdict``, ``verdict_step``, ``verdict_reason``, ``steps`` and ``seconds``, its share of the time.

    Raises:
        InputError: the command failed, with the last line that it said.
    """
    seconds = None
    if not (run / "lab.json").is_file():
        shutil.rmtree(run, ignore_errors=True)
        begun = time.perf_counter()
        command = [*starting("lab"), *arm.words, *UNUSED, word("hydra.run.dir", run), *flags]
        done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise InputError(f"{printable(run)}: the lab ended with status {done.returncode}: {reason}")
        seconds = (time.perf_counter() - begun) / arm.seeds
    record, looks = read_json(run / "lab.json"), _looks(run / "curves.csv")
    measured = {
        name: found["each"] for name, found in record.items() if isinstance(found, dict) and "each" in found
    }
    lost = set(record["diverged"])
    return [
        {
            "name": name, "levels": dict(arm.levels), "seed": seed, "words": list(arm.words), "rows": looks[seed],
            "responses": {response: each[place] for response, each in measured.items()},
            "verdict": "diverged" if seed in lost else "finished", "verdict_step": None,
            "verdict_reason": "numbers are not finite" if seed in lost else "", "steps": record["updates"],
            "seconds": seconds,
        }
        for place, (name, seed) in enumerate(zip(arm.runs, record["seeds"], strict=True))
    ]  # fmt: skip


def _looks(file: Path) -> dict[int, list[dict[str, Any]]]:
    """The columns of ``CURVES`` at each validation, for each seed."""
    found: dict[int, list[dict[str, Any]]] = {}
    for row in csv.DictReader(read_text(file, 2**24).splitlines()):
        point = {"step": int(row["update"]), **{name: float(row[name]) for name in CURVES if name in row}}
        found.setdefault(int(row["seed"]), []).append(point)
    return found
