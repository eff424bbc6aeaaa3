"""The images on which all codecs are compared, and the numbers of each setting over these images.

A mean of one codec is comparable with that of another only if both are over the same images. So an image on which a
metric is infinite or undefined for one setting of one codec is in no mean of this metric: an image that JPEG keeps
exactly would have an infinite PSNR, and leaving it out of JPEG's mean alone would be in favour of one of the two.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from gcn.metrics.bd_rate import bd_rate
from gcn.metrics.fidelity import decibels
from gcn.report.rates.rate_record import CLASSICAL, LEARNED, BDRate, ImageRow, ImageSet, PooledRow

RATES = 3  # least points of a curve for a BD-rate
LISTED = 3  # settings that a reason names

SettingName = tuple[str, str]  # codec, setting


def image_set(rows: Sequence[ImageRow], metric: str) -> ImageSet:
    """The images on which a metric is a finite number for every setting; of MS-SSIM, those of equally many scales.

    Numbers of different numbers of scales do not compare: the number that most images have is taken, of equally
    frequent ones the largest.
    """
    settings = list(dict.fromkeys((row.codec, row.setting) for row in rows))
    values: dict[str, dict[SettingName, float]] = {}
    scales: dict[str, int] = {}
    for row in rows:
        values.setdefault(row.image, {})[row.codec, row.setting] = row.value(metric)
        scales[row.image] = row.scales
    left_out = {}
    for image, found in values.items():
        if reason := _reason([(name, found.get(name)) for name in settings], metric):
            left_out[image] = reason
    if metric == "ms_ssim":
        counts = Counter(scales[image] for image in values if image not in left_out)
        usual = max(counts, key=lambda count: (counts[count], count), default=0)
        for image in values:
            if image not in left_out and scales[image] != usual:
                left_out[image] = f"scales: {scales[image]}, not {usual}"
    return ImageSet(metric, [image for image in values if image not in left_out], left_out)


def _reason(found: Sequence[tuple[SettingName, float | None]], metric: str) -> str | None:
    """Reason why an image is not in the comparison."""
    missing = [name for name, value in found if value is None]
    infinite = [name for name, value in found if value is not None and math.isinf(value)]
    undefined = [name for name, value in found if value is not None and math.isnan(value)]
    if missing:
        return f"not coded by {_names(missing)}"
    if infinite:
        exact = "kept exactly" if metric == "psnr" else "infinite"
        return f"{exact} by {_names(infinite)}"
    if undefined:
        return (
            "too small or undefined" if len(undefined) == len(found) else f"undefined for {_names(undefined)}"
        )
    return None


def _names(settings: Sequence[SettingName]) -> str:
    shown = ", ".join(" ".join(name) for name in settings[:LISTED])
    more = len(settings) - LISTED
    return shown + (f" and {more} more settings" if more > 0 else "")


def pool(
    rows: Sequence[ImageRow],
    metrics: Iterable[str],
    kinds: Mapping[SettingName, str],
    of_all: Mapping[SettingName, Mapping[str, float]],
) -> tuple[list[PooledRow], list[ImageSet]]:
    """A row of means for each setting, all over the same images, and the set of these images.

    Args:
        rows: every setting has the same images.
        metrics: that are means over images, ``psnr`` and ``ms_ssim`` among them.
        kinds: of each setting, learned or classical.
        of_all: of each setting, what is measured on all images together, ``swd`` among it.
    """
    sets = [image_set(rows, metric) for metric in metrics]
    by_setting: dict[SettingName, list[ImageRow]] = {}
    for row in rows:
        by_setting.setdefault((row.codec, row.setting), []).append(row)
    return [_pooled(own, sets, kinds[name], of_all[name]) for name, own in by_setting.items()], sets


def _pooled(
    rows: Sequence[ImageRow], sets: Sequence[ImageSet], kind: str, of_all: Mapping[str, float]
) -> PooledRow:
    means, rates = {}, {}
    for one in sets:
        names = set(one.images)
        over = [row for row in rows if row.image in names]
        means[one.metric] = sum(row.value(one.metric) for row in over) / len(over) if over else math.nan
        if len(over) < len(rows):
            rates[one.metric] = _bpp(over)
    pixels = sum(row.width * row.height for row in rows)
    extra = {name: value for name, value in means.items() if name not in ("psnr", "ms_ssim")}
    error = sum(row.mse * row.width * row.height for row in rows) / pixels
    extra["overall_psnr"] = decibels(error) if error else math.nan
    if kind == LEARNED:
        for name in ("bpp_estimate", "bpp_tables"):
            extra[name] = sum(row.extra[name] * row.width * row.height for row in rows) / pixels
        for name in ("encode_seconds", "decode_seconds"):
            extra[name] = 1e6 * sum(row.extra[name] for row in rows) / pixels  # a megapixel
    extra |= {name: value for name, value in of_all.items() if name != "swd"}
    exact = sum(row.mse == 0 for row in rows)
    return PooledRow(
        rows[0].codec, rows[0].setting, kind, len(rows), _bpp(rows), means["psnr"], means["ms_ssim"],
        of_all.get("swd", math.nan), extra, rates, exact,
    )  # fmt: skip


def _bpp(rows: Sequence[ImageRow]) -> float:
    pixels = sum(row.width * row.height for row in rows)
    return 8 * sum(row.bytes for row in rows) / pixels if pixels else math.nan


def bd_rates(rows: Sequence[PooledRow]) -> list[BDRate]:
    """BD-rate of each learned codec against each classical one, over the images of the PSNR means."""
    curves: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        curves.setdefault((row.kind, row.codec), []).append((row.rate("psnr"), row.psnr))
    return [
        BDRate(codec, reference, *bd_rate(others, points, RATES))
        for (kind, codec), points in curves.items()
        for (other_kind, reference), others in curves.items()
        if kind == LEARNED and other_kind == CLASSICAL
    ]
