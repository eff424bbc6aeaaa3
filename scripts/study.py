"""Plan, train, resume and report a study: ``scripts/study.py study=distortion_vs_tricks``."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gcn.cli.arguments import Words, choice, run
from gcn.files.atomic import check_folder

USAGE = "python scripts/study.py study=NAME [minutes=M] [only.FACTOR=LEVELS] [data=folder data.root=DIR] …"
OPTIONS = {
    "study": "file of conf/study",
    "out": "folder of codecs and arms [outputs/study/NAME]; what it holds already is not trained again",
    "grids": "some of the study's grids, separated by commas [all]",
    "only.NAME": "some levels of a factor: only.loss=ns,wgan",
    "seeds": "the first so many [all]",
    "workers": "arms that are trained at once, a thread each [all cores]",
    "minutes": "stop after so many minutes, codecs included; run the command again to resume",
    "table": "folder of table and codecs [OUT/table]; runs that it holds are not trained again",
    "report": "folder of the report [OUT/report]; false: none",
    "play": "false: no training, only the report of the stored table",
    "rejudge": "true: verdicts and responses of the stored runs anew from their stored curves [false]",
    "data": "photos or folder, as in training",
    "data.root": "folder of training images",
    "generator": "another generator, as in training",
}


def work(words: Words) -> int:
    import os

    from gcn.cli.quoting import word
    from gcn.errors import InputError
    from gcn.study import design, report, table

    options = dict(words.options)
    if "study" not in options or words.files or words.output:
        raise InputError(f"usage: {USAGE}")
    name = options.pop("study")
    out = check_folder("out", options.pop("out", f"outputs/study/{name}"))
    workers, minutes = options.pop("workers", str(os.cpu_count() or 1)), options.pop("minutes", None)
    seeds = options.pop("seeds", None)
    for key, said in (("workers", workers), ("seeds", seeds)):
        if said is not None and (not said.isdecimal() or int(said) < 1):
            raise InputError(f"{key}={said}: give a whole number of at least 1")
    if minutes is not None and not minutes.replace(".", "", 1).isdecimal():
        raise InputError(f"minutes={minutes}: give a number")
    shown, playing = options.pop("report", str(out / "report")), choice("play", options.pop("play", "true"))
    place = Path(options.pop("table", str(out / "table")))
    if playing:  # otherwise it is only read
        check_folder("table", place)
    target = None if shown == "false" else check_folder("report", shown)
    again = choice("rejudge", options.pop("rejudge", "false"))
    only = {key.removeprefix("only."): options.pop(key).split(",") for key in list(options) if "only." in key}
    grids = [grid for grid in options.pop("grids", "").split(",") if grid]
    part = design.Choice(grids, only, None if seeds is None else int(seeds))
    further = [word(key, value) for key, value in options.items()]

    def planned() -> design.Study:
        return design.load(name, further, part, table.read(place) if table.names(place) else ())

    study = planned()  # before a folder is made
    if again and study.protocol.command != "train":
        raise InputError("rejudge=true: verdicts of this study are not made from curves; drop it")
    if playing:
        _play(planned, out.absolute(), int(workers), minutes, place)
    elif not table.names(place):
        raise InputError(f"table={place}: no table here; train the study's arms first")
    if playing and not table.names(place):
        return 0  # nothing to report yet
    study = planned()
    if again:
        changed = table.judge_again(place, study.protocol.updates)
        print(f"{place}: verdicts changed: {len(changed)}")
    if target is not None:
        print(report.write(study, place, target)[1])
    return 0


def _play(planned: Callable[[], Any], out: Path, workers: int, minutes: str | None, place: Path) -> None:
    """Train what is left. Runs of a scan decide levels of further arms, which are planned when they are there."""
    from gcn.files.atomic import make_folder
    from gcn.files.lock import only_writer
    from gcn.study import closer, table
    from gcn.study import run as play

    ends = None if minutes is None else time.monotonic() + 60 * float(minutes)
    with only_writer(make_folder(out)):  # a second study in the folder would play the same arms
        study = planned()
        while True:
            limit = None if ends is None else max(0.0, (ends - time.monotonic()) / 60)
            left = play.run(study, out, workers, limit, table.names(place), place)
            results = list(play.finished(study, out))
            if not results and not table.names(place):
                print(
                    f"{left} of {len(study.arms)} arms are left, and none is finished; run the command again to resume"
                )
                return
            file = table.write(results, place)[0]
            looks = list(play.finished(study, out, play.closer_file))
            closer.write([*(play.shared(study, out) if looks else []), *looks], place)
            play.keep_codecs(out, place)
            further = planned()
            if left or {arm.name for arm in further.arms} <= {arm.name for arm in study.arms}:
                break
            study = further
    print(f"{left} of {len(study.arms)} arms are left; {file}")


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], OPTIONS, USAGE, "A factorial study of the game.", work))
