"""What a run folder holds, read with a line for each part that is missing or damaged."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gcn.errors import InputError
from gcn.files.names import printable
from gcn.files.reading import read_json, read_yaml
from gcn.report.metrics_table import MetricsTable
from gcn.report.panel_tiles import Pair, pairs

MARKS = ("config.yaml", "summary.json", "metrics.csv")


class Run(NamedTuple):
    """The content of a run folder; what is missing or damaged is empty, and ``notes`` say so."""

    folder: Path
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    rows: list[dict[str, Any]]
    pairs: list[Pair]
    panel: Path | None
    notes: list[str]

    @property
    def name(self) -> str:
        """Name of the folder, as text that can be shown."""
        return printable(self.folder.resolve().name)

    @property
    def verdict(self) -> str:
        """The verdict, or ``not finished``."""
        return str(self.summary.get("verdict") or "not finished")

    @property
    def step(self) -> int | None:
        """The last update that has a row or that the summary names."""
        steps = self.summary.get("steps")
        return self.rows[-1]["step"] if self.rows else steps if isinstance(steps, int) else None

    def file(self, name: str) -> bool:
        """Whether the folder holds a file of this name."""
        return (self.folder / name).is_file()


def is_run(folder: Path) -> bool:
    """Whether a folder holds a configuration, a summary or a table of a run."""
    return any((folder / name).is_file() for name in MARKS)


def below(folder: Path) -> list[Path]:
    """The folder itself if it is a run, else the runs below it.

    Raises:
        InputError: there is none.
    """
    if is_run(folder):
        return [folder]
    found = sorted({p.parent for mark in MARKS for p in folder.rglob(mark) if p.parent.name != ".hydra"})
    if not found:
        raise InputError(
            f"{printable(folder)}: no run in or below this folder (a run has {', '.join(MARKS[:-1])} or {MARKS[-1]})"
        )
    return found


def read(folder: Path) -> Run:
    """The content of a run folder; never raises for what is in it."""
    notes: list[str] = []

    def part(name: str, reader: Callable[[Path], Any], empty: Any, missing: str) -> Any:
        path = folder / name
        if not path.exists():
            notes.append(f"{name} is missing: {missing}.")
            return empty
        try:
            return reader(path)
        except (InputError, OSError) as problem:
            reason = printable(str(problem)).removeprefix(f"{printable(path)}: ")
            notes.append(f"{name} is damaged: {reason}.")
            return empty

    config = part("config.yaml", read_yaml, {}, "the words of the run are unknown")
    summary = part("summary.json", read_json, {}, "the run has not ended, or was killed")
    rows = part("metrics.csv", lambda path: MetricsTable(path).rows(), [], "there are no curves")
    panels = sorted((folder / "panels").glob("*.png"))
    own: list[Pair] = []
    if not panels:
        notes.append("panels/ holds no picture: there are no reconstructions to show.")
    else:
        try:
            own = pairs(panels[-1])
        except (InputError, OSError) as problem:
            notes.append(f"panels/{panels[-1].name} is damaged: {printable(str(problem))}.")
            panels = []
    return Run(folder, config, summary, rows, own, panels[-1] if panels else None, notes)
