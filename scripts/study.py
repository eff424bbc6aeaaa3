"""Plan, play, resume and report a study: ``scripts/study.py study=distortion_vs_tricks``."""

import sys
from pathlib import Path
from typing import Any

from gcn.words import Words, choice, folder, run

USAGE = (
    "python scripts/study.py study=NAME [workers=N] [minutes=M] [out=FOLDER] [data=folder data.root=DIR] …"
)
OPTIONS = {
    "study": "file of conf/study",
    "out": "folder of codecs and arms [outputs/study/NAME]; a folder that is there is gone on with",
    "workers": "arms that are played at once, a thread each [all cores]",
    "minutes": "stop after so long; the next call goes on",
    "table": "folder of table and codecs [OUT/table]; runs that it holds are not played again",
    "report": "folder of the report [OUT/report]; false: none",
    "play": "false: the report of the stored table alone",
    "data": "photos or folder, as in training",
    "data.root": "folder of training images",
    "generator": "another generator, as in training",
}


def work(words: Words) -> int:
    import os

    from gcn.errors import InputError
    from gcn.study import design, report, table

    options = dict(words.options)
    if "study" not in options or words.files or words.output:
        raise InputError(f"usage: {USAGE}")
    name = options.pop("study")
    out = folder("out", options.pop("out", f"outputs/study/{name}"))
    workers, minutes = options.pop("workers", str(os.cpu_count() or 1)), options.pop("minutes", None)
    if not workers.isdigit() or int(workers) < 1:
        raise InputError(f"workers={workers}: give a whole number of at least 1")
    if minutes is not None and not minutes.replace(".", "", 1).isdigit():
        raise InputError(f"minutes={minutes}: give a number")
    place = folder("table", options.pop("table", str(out / "table")))
    shown, playing = options.pop("report", str(out / "report")), choice("play", options.pop("play", "true"))
    target = None if shown == "false" else folder("report", shown)
    study = design.load(name, [f"{key}={value}" for key, value in options.items()])
    if playing:
        _play(study, out.absolute(), int(workers), minutes, place)
    elif not table.names(place):
        raise InputError(f"table={place}: no table here; play the study first")
    if target is not None:
        print(report.write(study, place, target)[1])
    return 0


def _play(study: Any, out: Path, workers: int, minutes: str | None, place: Path) -> None:
    from gcn.study import run as play
    from gcn.study import table

    limit = None if minutes is None else float(minutes)
    left = play.run(study, out, workers, limit, table.names(place), place)
    files = table.write(play.finished(study, out), place)
    play.keep_codecs(out, place)
    print(f"{left} of {len(study.arms)} arms are left; {files[0]}")


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], OPTIONS, USAGE, "A factorial study of the game.", work))
