"""Writing the files of an evaluation."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gcn.files.atomic import make_folder
from gcn.report.rates.crops import SIDE, Column, Pixels, crop_figure
from gcn.report.rates.curves import rate_figures
from gcn.report.rates.page import write_page
from gcn.report.rates.rate_record import EvaluationRecord, write

CAPTIONS = {
    "rate_distortion": "Rate and distortion. Learned codecs in colour, classical ones in black and grey.",
    "rate_realism": "Rate and realism.",
}


FILES = (
    "evaluation.json", "evaluation.csv", "index.html",
    *(f"{name}.{kind}" for name in (*CAPTIONS, "crops") for kind in ("png", "svg")),
)  # fmt: skip


class Crops(NamedTuple):
    """Content of the figure of crops; see :mod:`gcn.report.rates.crops`."""

    originals: Sequence[Pixels]
    names: Sequence[str]
    columns: Sequence[Column]


def write_report(
    record: EvaluationRecord, folder: Path, crops: Crops | None = None, published: bool = False
) -> list[Path]:
    """Write tables, figures and page into a folder, the numbers first.

    Args:
        record: the numbers.
        folder: is made.
        crops: of codecs at a common rate, if there are any.
        published: draw the curves of other papers.

    Returns:
        All files. Those that an earlier report had besides are removed.
    """
    make_folder(folder)
    files = write(record, folder)
    files += rate_figures(record, folder, published)
    figures = [
        (path, CAPTIONS[path.stem]) for path in files if path.stem in CAPTIONS and path.suffix == ".png"
    ]
    if crops is not None and crops.originals:
        files += crop_figure(folder / "crops", *crops)
        said = (
            f"Crops of {SIDE} pixels at the rates nearest to a common one: in each image the place where the "
        )
        figures.append((folder / "crops.png", said + "codecs' errors differ most, found by the program."))
    files.append(write_page(record, figures, folder / "index.html"))
    for name in FILES:
        if folder / name not in files:
            (folder / name).unlink(missing_ok=True)
    return files
