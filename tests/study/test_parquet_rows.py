"""A table that is damaged, or of something else, is refused in one line by all that reads one."""

from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from gcn.commands import board, registered, study
from gcn.study import table

ROOT = Path(__file__).parents[2]
RUN = {
    "name": "a", "levels": {"loss": "ns"}, "seed": 0, "verdict": "holds", "verdict_reason": "", "words": ["mse=1"],
    "rows": [{"step": 6}], "responses": {"h": 1e-4, "holds": 1.0},
}  # fmt: skip


def junk(folder):
    (folder / "runs.parquet").write_bytes(b"junk")


def cut(folder):
    table.write([RUN], folder)
    whole = (folder / "runs.parquet").read_bytes()
    (folder / "runs.parquet").write_bytes(whole[: len(whole) // 2])


def other_columns(folder):
    parquet.write_table(pyarrow.table({"x": [1]}), folder / "runs.parquet")


def other_study(folder):
    table.write([RUN], folder)


def without_curves(folder):
    table.write([RUN], folder)
    (folder / "curves.parquet").unlink()


TABLES = {
    junk: "runs.parquet: damaged, or no Parquet file",
    cut: "runs.parquet: damaged, or no Parquet file",
    other_columns: "which is needed here; give another table",
    other_study: "no column ",
    without_curves: "curves.parquet: no such file",
}
COMMANDS = {
    "study": lambda folder: study.main(
        ["study=margin", "play=false", f"table={folder}", f"report={folder / 'report'}"]
    ),
    "registered": lambda folder: registered.main([f"pilot={folder}"]),
    "board": lambda folder: board.main([f"table={folder}"]),
}
READ = {  # tables that a command has to refuse: a board takes any study, and the others look at no curves here
    "study": (junk, cut, other_columns, other_study),
    "registered": (junk, cut, other_columns, other_study),
    "board": (junk, cut, other_columns, without_curves),
}


@pytest.mark.parametrize(
    ("command", "make"), [(name, make) for name, makes in READ.items() for make in makes]
)
def test_tables_of_another_kind_are_refused_in_a_line(tmp_path, capsys, monkeypatch, command, make):
    monkeypatch.chdir(ROOT)  # with the plan of the margin study
    folder = tmp_path / "table"
    folder.mkdir()
    make(folder)
    assert COMMANDS[command](folder) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert TABLES[make] in said
