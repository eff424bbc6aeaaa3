"""Draw the figures of docs/theory.md: ``python scripts/figures [NAME ...] [out=FOLDER]``."""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from gallery import FIGURES, MODULES, draw, one_thread
from gcn.cli.arguments import Arguments, Command
from gcn.errors import InputError
from gcn.files.atomic import check_folder, make_folder
from gcn.files.names import printable
from gcn.files.targets import refuse_existing
from gcn.schema.fields import suggestion

OUT = Path(__file__).resolve().parents[2] / "docs" / "figures" / "theory"
PROCESSES = 2
LONGEST_FIRST = ("adam", "circles", "lossy", "wrong_point", "non_saturating", "same_spectrum")
COMMAND = Command(
    name="figures",
    about="Draw the figures of docs/theory.md, each as NAME.png and NAME.svg.",
    examples="""
python scripts/figures                                   # all of them, where docs/theory.md has them
python scripts/figures circles lossy out=figures         # two of them, elsewhere
""",
    words="""\
names: []               #: list of str ; figures, from the list below; all of them without a name
out: null               #: path ; folder; without it docs/figures/theory, where figures of these names are replaced
overwrite: false        #: ; replace figures that exist in another folder
""",
    bare=("names",),
    more="\nFigures\n" + "".join(f"  {' '.join(m.figures):<38} {m.about}\n" for m in MODULES.values()),
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, figures)


def figures(said: Arguments) -> int:
    """Do what the words say; returns the exit status."""
    names, out = planned(said)
    begin = time.monotonic()
    draw_all(names, out)
    print(printable(f"{len(names)} figures in {out}, {time.monotonic() - begin:.0f} s"))
    return 0


def planned(said: Arguments) -> tuple[list[str], Path]:
    """Names of figures and their folder; InputError for an unknown name or a file that exists."""
    for name in said["names"]:
        if name not in FIGURES:
            raise InputError(f"{name}: no such figure; {suggestion(name, FIGURES)}")
    names = list(dict.fromkeys(said["names"])) or list(FIGURES)
    out = OUT if said["out"] is None else check_folder("out", said["out"])
    if not (said["overwrite"] or out.resolve() == OUT):
        refuse_existing(
            [out / f"{name}.{kind}" for name in names for kind in ("png", "svg")], "or another out="
        )
    return names, out


def draw_all(names: Sequence[str], out: Path) -> None:
    """Draw figures in two processes, the longest first, and print a line as each is done."""
    make_folder(out)
    order = sorted(names, key=lambda name: (name not in LONGEST_FIRST, names.index(name)))
    workers = min(PROCESSES, len(order))
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=one_thread) as pool:
        running = {pool.submit(draw, name, out): name for name in order}
        for done in as_completed(running):
            print(f"{running[done]:22}{done.result():6.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
