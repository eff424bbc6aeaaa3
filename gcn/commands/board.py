"""scripts/board.py: a study in Weights & Biases."""

from collections.abc import Sequence
from pathlib import Path

from gcn.cli.arguments import Arguments, Command
from gcn.errors import InputError
from gcn.files.atomic import check_folder

COMMAND = Command(
    name="board",
    about="Show a study in Weights & Biases: its runs, a workspace and a report.",
    examples="""
python scripts/board.py table=docs/study/first/distortion_vs_tricks
python scripts/board.py table=outputs/study/joint/table project=TEAM/gcn-study mode=online
""",
    words="""\
table: ???              #: path ; folder of a study's table, runs.parquet and curves.parquet
project: gcn-study      #: str of 1 to 128 characters without \\#?%: ; PROJECT or TEAM/PROJECT of W&B
out: outputs/board      #: path ; folder of the runs for `wandb sync`, workspace.json and report.json
mode: auto              #: one of auto, offline, online ; auto: online if there is a key and the server answers
""",
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, show)


def show(said: Arguments) -> int:
    """Log the study as the arguments say; returns the exit status."""
    project = said["project"]
    if not all(project.split("/")) or project.count("/") > 1:
        raise InputError(f"project={project}: give PROJECT or TEAM/PROJECT")
    out = check_folder("out", said["out"])
    from gcn.study import board

    board.show(Path(said["table"]), out, project, said["mode"])
    return 0
