"""Sentences about the numbers of an evaluation, within the range of rates that a curve has."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from gcn.report.rates.rate_record import CLASSICAL, LEARNED, EvaluationRecord, PooledRow

CLOSE = 0.1  # dB within which two codecs are called equal
NAMED = 5  # images named for each reason; the rest is counted
TITLES = {
    "bpp": "bit/pixel", "psnr": "PSNR", "overall_psnr": "PSNR of mean error", "ms_ssim": "MS-SSIM", "swd": "SWD",
    "lpips": "LPIPS", "dists": "DISTS", "fid_256": "FID/256", "kid_256": "KID/256", "fid": "FID", "kid": "KID",
    "swd_disjoint": "SWD, different images", "c2st": "C2ST, bits", "c2st_low": "from", "c2st_high": "to",
    "kid_random": "KID, random", "kid_trained": "KID, trained", "lattice": "lattice",
    "exact": "exact images", "bpp_estimate": "estimate", "bpp_tables": "by tables",
    "encode_seconds": "encode, s/MP", "decode_seconds": "decode, s/MP",
}  # fmt: skip


def at(rows: Sequence[PooledRow], bpp: float, metric: str = "psnr") -> float:
    """A metric at a rate, linear in log(bpp) between a codec's settings; NaN outside, or where one is not finite.

    Both the metric and its rates are over the images that the metric is compared on.
    """
    points = sorted((row.rate(metric), row.value(metric)) for row in rows)
    if not all(math.isfinite(number) for point in points for number in point):
        return math.nan
    if not points or not points[0][0] <= bpp <= points[-1][0]:
        return math.nan
    rates, values = zip(*points, strict=True)
    return float(np.interp(math.log(bpp), np.log(rates), values))


def sentences(record: EvaluationRecord) -> list[str]:
    """A sentence for each setting of a learned codec, after one about the images if these are not all.

    It says its PSNR, and which classical codecs it beats or loses to, unless no PSNR can be compared.
    """
    classical = record.series(CLASSICAL)
    said = caveats(record)
    for codec, rows in record.series(LEARNED).items():
        for row in rows:
            if math.isfinite(row.psnr):
                ours = f"{codec} ({row.setting}) has {row.psnr:.2f} dB at {row.rate('psnr'):.3f} bit/pixel"
                said.append(f"{ours}{_against(row, classical)}.")
            else:
                said.append(f"{codec} ({row.setting}) has {row.bpp:.3f} bit/pixel.")
    return said


def caveats(record: EvaluationRecord) -> list[str]:
    """A sentence for each metric about images that are left out of its means, with the reasons."""
    said = []
    if record.failed:
        total = len(record.failed) + len({row.image for row in record.images})
        said.append(
            f"{len(record.failed)} of {total} images failed and are in no number: {_named(record.failed)}."
        )
    for one in record.sets:
        if one.left_out:
            total = len(one.images) + len(one.left_out)
            over = f"is a mean over {len(one.images)} of {total} images, the same for every codec"
            name = TITLES.get(one.metric, one.metric)
            said.append(
                f"{name} {over if one.images else 'is not compared'}; left out: {_named(one.left_out)}."
            )
    return said


def _named(reasons: Mapping[str, str]) -> str:
    """Names with reasons, those of equal reasons together, the first few by name."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(name)
    parts = []
    for reason, names in by_reason.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        parts.append(f"{', '.join(names[:NAMED])}{more} ({reason})")
    return "; ".join(parts)


def _against(row: PooledRow, classical: dict[str, list[PooledRow]]) -> str:
    better: list[str] = []
    worse: list[str] = []
    equal: list[str] = []
    silent: list[str] = []
    for name, rows in classical.items():
        value = at(rows, row.rate("psnr"))
        if math.isnan(value):
            silent.append(name)
            continue
        group = equal if abs(value - row.psnr) <= CLOSE else better if value < row.psnr else worse
        group.append(f"{name} ({value:.2f})")
    parts = [
        f"{verb} {_join(names)}"
        for verb, names in (("beats", better), ("equals", equal), ("loses to", worse))
        if names
    ]
    if silent:
        parts.append(f"{_join(silent)} {'does' if len(silent) == 1 else 'do'} not reach this rate")
    return (": it " if better or equal or worse else ": ") + "; ".join(parts) if parts else ""


def _join(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
