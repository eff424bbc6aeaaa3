"""Draw the figures of the theory: ``python scripts/figures.py [NAME …] [out=docs/figures/theory]``."""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from gcn.cli.terminal import guarded
from gcn.files.names import printable

OUT = "docs/figures/theory"
PROCESSES = 2
LONGEST_FIRST = ("adam", "circles", "lossy", "wrong_point", "non_saturating", "same_spectrum")


def main(words: list[str]) -> int:
    return guarded(lambda: work(words))


def work(words: list[str]) -> int:
    from gcn.lab.gallery import FIGURES

    if {"-h", "--help"} & set(words):
        print(
            f"{__doc__}\n\nEach figure is NAME.png and NAME.svg in the folder out; without a name all are drawn:"
        )
        print(
            "\n".join(f"  {name:16}{(draw.__doc__ or '').splitlines()[0]}" for name, draw in FIGURES.items())
        )
        return 0
    names, out = parse(words, list(FIGURES))
    begin = time.monotonic()
    draw_all(names, out)
    print(printable(f"{len(names)} figures in {out}, {time.monotonic() - begin:.0f} s"))
    return 0


def parse(words: Sequence[str], known: Sequence[str]) -> tuple[list[str], Path]:
    """Names of figures, all where none is given, and the folder, which is made."""
    from gcn.errors import InputError
    from gcn.schema.fields import suggestion

    out, names = OUT, list[str]()
    for word in words:
        if word.startswith("out="):
            out = word.removeprefix("out=")
        elif word in known:
            names.append(word)
        else:
            raise InputError(f"{word}: no such figure; {suggestion(word, known)}")
    if not out:
        raise InputError("out=: give a folder")
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise InputError(f"out={out}: no folder that can be written to ({problem.strerror})") from problem
    return list(dict.fromkeys(names)) or list(known), Path(out)


def draw_all(names: Sequence[str], out: Path) -> None:
    """Draw figures in two processes, the longest first, and print a line as each is done."""
    import torch

    from gcn.lab.gallery import draw

    order = sorted(names, key=lambda name: (name not in LONGEST_FIRST, names.index(name)))
    workers = min(PROCESSES, len(order))
    with ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:  # one thread: tensors are too small for more
        running = {pool.submit(draw, name, out): name for name in order}
        for done in as_completed(running):
            print(f"{running[done]:16}{done.result():6.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
