"""scripts/report.py: one run or several as a self-contained HTML page."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gcn.cli.arguments import Arguments, Command
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.schema.plugins import WORDS, Extension, of_words, stored_words

if TYPE_CHECKING:
    from gcn.metrics.classical import Classical
    from gcn.report.run_folder import Run
    from gcn.report.run_page import Extra, Rival

FILE = "report.html"
COMMAND = Command(
    name="report",
    about="Write one HTML page about a run, or a page that compares several runs.",
    examples="""
python scripts/report.py outputs/DATE/RUN                  the page is outputs/DATE/RUN/report.html
python scripts/report.py multirun/DATE/TIME sort=psnr      all runs below a folder, on one page
python scripts/report.py runs/a runs/b out=comparison.html
""",
    words="""\
run: ???                #: list of path ; run folders of scripts/train.py, or folders with runs below them
out: null               #: path ; the page, by default report.html in the folder that was given
sort: run               #: str ; column of the table of several runs: run, verdict, step, psnr, … or a changed word
compare: [avif]         #: list of str ; codecs beside JPEG in one run's rate-distortion chart: avif, webp, …; or none
overwrite: false        #: ; replace a file that is no such page; a page of this command is always replaced
"""
    + WORDS,
    bare=("run",),
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, show)


def show(said: Arguments) -> int:
    """Write the page that the arguments describe; returns the exit status."""
    from gcn.metrics.classical import chosen
    from gcn.report import html, run_folder, run_page, runs_page

    given = [Path(name) for name in said["run"]]
    for folder in given:
        if not folder.is_dir():
            raise InputError(f"{printable(folder)}: no such folder; give the folder of a run")
    folders = list(dict.fromkeys(run for folder in given for run in run_folder.below(folder)))
    if said["out"] is None and len(given) > 1:
        raise InputError(
            "out= is missing: name the page of several folders, for instance out=comparison.html"
        )
    file = Path(said["out"]) if said["out"] is not None else given[0] / FILE
    html.check_page(file, said["overwrite"])
    compared = [] if said["compare"] == ["none"] else said["compare"]
    rivals = chosen([*compared, "jpeg"] if compared else [])
    runs, own = [run_folder.read(folder) for folder in folders], of_words(said.said)
    if len(runs) == 1:
        extra = _extra(runs[0], rivals, own)._replace(again=_again(runs[0], own))
        run_page.write_run(runs[0], extra, file)
    else:
        try:
            runs_page.write_runs(runs, [_extra(run, [], own) for run in runs], said["sort"], file)
        except ValueError as problem:
            raise InputError(f"sort={printable(said['sort'])}: {problem}") from None
    print(printable(file))
    return 0


def _extra(run: "Run", compared: Sequence["Classical"], own: Extension) -> "Extra":
    """Changed words, and classical codecs at the rate of the run's files on its validation images."""
    from gcn.config.changed import changed_words
    from gcn.report.run_page import Extra

    words, notes, rivals = None, [], []
    try:
        missing = [one for one in stored_words(run.config) if one not in stored_words(own.settings)]
        if missing:
            raise InputError(f"it was made with {' '.join(missing)}; give that to this command as well")
        words = [*stored_words(run.config), *changed_words(run.config, own)] if run.config else None
    except InputError as problem:
        notes.append(f"The words of the run are unknown: {problem}.")
    rate = run.summary.get("bpp_actual")
    if words is not None and compared and isinstance(rate, int | float) and rate > 0:
        try:
            rivals = _rivals(run.folder, rate, compared, own)
        except (InputError, OSError) as problem:
            notes.append(f"{', '.join(codec.title for codec in compared)}: not measured ({problem}).")
    return Extra(words, rivals, notes)


def _again(run: "Run", own: Extension) -> list[str]:
    """Words that resume the run beside its folder, shown and never used; of plugins alone where it cannot be read."""
    from gcn.config.destinations import words_again
    from gcn.config.lightning_words import CALLBACKS, checked_callbacks
    from gcn.config.parse import load

    try:
        checked_callbacks(run.config.get(CALLBACKS), own.packages)
        return words_again(load(run.folder, own=own), run.config)
    except InputError:
        return stored_words(run.config)


def _rivals(folder: Path, rate: float, compared: Sequence["Classical"], own: Extension) -> list["Rival"]:
    """Codecs on a run's validation images, at rates near that of the run; those that reach it alone."""
    import math

    from gcn.config.build import build
    from gcn.config.parse import load
    from gcn.metrics.classical import points_near, psnr_at
    from gcn.report.run_page import Rival

    images = [image.x[0] for image in build(load(folder, own=own), "data").val_images()]
    found = []
    for codec in compared:
        points = points_near(codec, images, rate)
        if math.isfinite(psnr := psnr_at(points, rate)):
            title = "JPEG, fitted tables" if codec.name == "jpeg" else codec.title
            found.append(Rival(title, psnr, [(point.bpp, point.psnr) for point in points]))
    return found
