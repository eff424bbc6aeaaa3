"""The files of an evaluation."""

from collections.abc import Sequence
from pathlib import Path

from gcn.files.atomic import make_folder
from gcn.report.rates.crops import SIDE, Column, Pixels, choose, crop_figure
from gcn.report.rates.curves import rate_figures
from gcn.report.rates.page import write_page
from gcn.report.rates.record import EvaluationRecord, write

CAPTIONS = {
    "rate_distortion": "Rate and distortion. Learned codecs in colour, classical ones in black and grey.",
    "rate_realism": "Rate and realism.",
}


def write_report(
    record: EvaluationRecord,
    folder: Path,
    originals: Sequence[Pixels],
    names: Sequence[str],
    columns: Sequence[Column],
    published: bool = False,
) -> list[Path]:
    """Write table, figures and page into a folder.

    Args:
        record: the numbers.
        folder: is made.
        originals, names: images (H, W, 3) for the crops.
        columns: codecs at a common rate, with a picture for each original.
        published: draw the curves of other papers.

    Returns:
        All files.
    """
    make_folder(folder)
    files = write(record, folder)
    files += rate_figures(record, folder, published)
    figures = [
        (path, CAPTIONS[path.stem]) for path in files if path.stem in CAPTIONS and path.suffix == ".png"
    ]
    crops = choose(originals, columns) if columns else []
    if crops:
        files += crop_figure(folder / "crops", originals, names, columns, crops)
        said = (
            f"Crops of {SIDE} pixels at the rates nearest to a common one: in each image the place where the "
        )
        figures.append((folder / "crops.png", said + "codecs' errors differ most, found by the program."))
    return [*files, write_page(record, figures, folder / "index.html")]
