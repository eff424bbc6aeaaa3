"""What the numbers of an evaluation say, in sentences. Nothing is said about rates that a curve does not reach."""

import math
from collections.abc import Sequence

import numpy as np

from gcn.report.rates.record import CLASSICAL, LEARNED, EvaluationRecord, PooledRow

CLOSE = 0.1  # dB within which two codecs are called equal


def at(rows: Sequence[PooledRow], bpp: float, metric: str = "psnr") -> float:
    """A metric at a rate, linear in log(bpp) between a codec's settings; NaN outside of them."""
    points = sorted((row.bpp, row.value(metric)) for row in rows if math.isfinite(row.value(metric)))
    if not points or not points[0][0] <= bpp <= points[-1][0]:
        return math.nan
    rates, values = zip(*points, strict=True)
    return float(np.interp(math.log(bpp), np.log(rates), values))


def sentences(record: EvaluationRecord) -> list[str]:
    """One sentence for each setting of a learned codec: its PSNR, and which classical codecs it beats or loses to."""
    classical = record.series(CLASSICAL)
    said = []
    for codec, rows in record.series(LEARNED).items():
        for row in rows:
            ours = f"{codec} ({row.setting}) has {row.psnr:.2f} dB at {row.bpp:.3f} bit/pixel"
            said.append(f"{ours}{_against(row, classical)}.")
    return said


def _against(row: PooledRow, classical: dict[str, list[PooledRow]]) -> str:
    better: list[str] = []
    worse: list[str] = []
    equal: list[str] = []
    silent: list[str] = []
    for name, rows in classical.items():
        value = at(rows, row.bpp)
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
