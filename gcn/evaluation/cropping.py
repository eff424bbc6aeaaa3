"""Crops of all codecs at a common rate; of a whole image only a grid of errors is kept."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from gcn.evaluation.journal import Journal
from gcn.evaluation.measuring import Evaluation, Image, Measured, shown
from gcn.evaluation.settings import Setting, classical, stored
from gcn.metrics.classical import Classical, Pixels, at_rate
from gcn.report.rates.crops import Column, Crop, choose, errors
from gcn.report.rates.rate_record import LEARNED
from gcn.report.rates.rate_report import Crops

SEARCHED = 8  # images in which crops are looked for


class Matched(NamedTuple):
    """A codec at its setting nearest to the common rate."""

    title: str
    bpp: float
    setting: Setting


def matched(
    measured: Sequence[Measured], codecs: Sequence[Classical], evaluation: Evaluation, journal: Journal
) -> list[Matched]:
    """Each codec at its setting nearest to the common rate; classical codecs at any quality.

    The common rate is the middle one of the learned codecs' rates.
    """
    learned = [one for one in measured if one.setting.kind == LEARNED]
    rates = sorted(one.bpp for one in learned)
    common = rates[len(rates) // 2]
    nearest: dict[str, Measured] = {}
    for one in learned:
        known = nearest.get(one.setting.series)
        if known is None or abs(math.log(one.bpp / common)) < abs(math.log(known.bpp / common)):
            nearest[one.setting.series] = one
    found = [Matched(series, one.bpp, one.setting) for series, one in nearest.items()]
    for codec in codecs:

        def rate(value: float, codec: Classical = codec) -> float:
            return evaluation.rate(codec, value, journal)

        value, bpp = at_rate(codec.steps, rate, common)
        found.append(Matched(codec.title, bpp, classical(codec, value, evaluation.files)))
    return found


def crops(columns: Sequence[Matched], evaluation: Evaluation) -> Crops | None:
    """The crops where the codecs differ most, among the first ``SEARCHED`` images; None without a large enough image.

    Raises:
        Failure: an image can no longer be coded.
    """
    images = evaluation.usable()[:SEARCHED]
    grids: list[list] = [[] for _ in images]
    for column in columns:
        code = column.setting.load()
        for image, grid in zip(shown(images, f"crops, {column.title}"), grids, strict=True):
            decoded = evaluation.decode(image)
            grid.append(errors(stored(decoded), code(decoded).pixels))
    chosen = choose(grids)
    if not chosen:
        return None
    found = [
        Column(column.title, column.bpp, _pieces(column.setting, images, chosen, evaluation))
        for column in columns
    ]
    originals = [crop.of(stored(evaluation.decode(images[crop.image]))) for crop in chosen]
    return Crops(originals, [images[crop.image].name for crop in chosen], found)


def _pieces(
    setting: Setting, images: Sequence[Image], chosen: Sequence[Crop], evaluation: Evaluation
) -> list[Pixels]:
    code = setting.load()
    return [crop.of(code(evaluation.decode(images[crop.image])).pixels) for crop in chosen]
