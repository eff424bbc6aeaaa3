"""A study in Weights & Biases: ``scripts/board.py table=docs/study/distortion_vs_tricks``."""

import sys
from pathlib import Path

from gcn.cli.arguments import Words, run
from gcn.files.atomic import check_folder

USAGE = "python scripts/board.py table=DIR [project=gcn-study] [out=outputs/board] [mode=auto|offline|online]"
OPTIONS = {
    "table": "folder of a study's table, runs.parquet and curves.parquet",
    "project": "of W&B: PROJECT or TEAM/PROJECT [gcn-study]",
    "out": "folder of the runs for `wandb sync`, workspace.json and report.json [outputs/board]",
    "mode": "auto: online with a key and an answer; offline; online [auto]",
}


def work(words: Words) -> int:
    from gcn.errors import InputError

    options = words.options
    if "table" not in options or words.files or words.output:
        raise InputError(f"usage: {USAGE}")
    mode, project = options.get("mode", "auto"), options.get("project", "gcn-study")
    if mode not in ("auto", "offline", "online"):
        raise InputError(f"mode={mode}: give auto, offline or online")
    if not all(project.split("/")) or project.count("/") > 1 or set(project) & set("\\#?%:"):
        raise InputError(f"project={project}: give PROJECT or TEAM/PROJECT, without \\ # ? % :")
    place, out = Path(options["table"]), check_folder("out", options.get("out", "outputs/board"))
    from gcn.study import board

    board.show(place, out, project, mode)
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], OPTIONS, USAGE, "The W&B view of a study: runs, workspace, report.", work))
