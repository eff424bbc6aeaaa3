"""What an evaluation has measured, as it is stored: ``evaluation.json`` with everything, ``evaluation.csv`` a row for
each image."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gcn.files.atomic import write_csv
from gcn.report.summary import write_json_atomic

LEARNED, CLASSICAL, PUBLISHED = "learned", "classical", "published"


@dataclass(frozen=True)
class ImageRow:
    """One image through one setting of a codec."""

    codec: str
    setting: str
    image: str
    width: int
    height: int
    bytes: int
    bpp: float
    psnr: float
    ms_ssim: float
    extra: dict[str, float] = field(default_factory=dict)  # lpips, dists, bits by the tables, estimate


@dataclass(frozen=True)
class PooledRow:
    """All images through one setting of a codec.

    ``bpp``: all bits of all files over all pixels; ``psnr`` (dB) and ``ms_ssim``: means over images; ``swd``: sliced
    Wasserstein distance of all images together.
    """

    codec: str
    setting: str
    kind: str
    images: int
    bpp: float
    psnr: float
    ms_ssim: float = math.nan
    swd: float = math.nan
    extra: dict[str, float] = field(default_factory=dict)

    def value(self, metric: str) -> float:
        """A metric by name, NaN where it was not measured."""
        return float(getattr(self, metric) if hasattr(self, metric) else self.extra.get(metric, math.nan))


@dataclass(frozen=True)
class BDRate:
    """Bits that a codec needs more (+) or less (-) than a reference at equal PSNR, in percent, or why unknown."""

    codec: str
    reference: str
    percent: float
    reason: str | None


@dataclass(frozen=True)
class EvaluationRecord:
    """Everything that was measured on one set of images."""

    title: str
    command: str
    images: list[ImageRow]
    pooled: list[PooledRow]
    swd_floor: float
    swd_options: str
    notes: list[str]
    bd_rates: list[BDRate]

    def series(self, kind: str | None = None) -> dict[str, list[PooledRow]]:
        """Pooled rows by codec in the order of their first appearance, each by rate."""
        found: dict[str, list[PooledRow]] = {}
        for row in self.pooled:
            if kind is None or row.kind == kind:
                found.setdefault(row.codec, []).append(row)
        return {codec: sorted(rows, key=lambda row: row.bpp) for codec, rows in found.items()}


def write(record: EvaluationRecord, folder: Path) -> list[Path]:
    """Write ``evaluation.json`` and ``evaluation.csv``, each whole or not at all."""
    write_json_atomic(folder / "evaluation.json", asdict(record))
    extras = sorted({name for row in record.images for name in row.extra})
    names = ("codec", "setting", "image", "width", "height", "bytes", "bpp", "psnr", "ms_ssim")
    rows = [
        [getattr(row, name) for name in names] + [row.extra.get(name) for name in extras]
        for row in record.images
    ]
    known = [["" if _unknown(value) else value for value in row] for row in rows]
    write_csv(folder / "evaluation.csv", [[*names, *extras], *known])
    return [folder / "evaluation.json", folder / "evaluation.csv"]


def read(file: Path) -> EvaluationRecord:
    """The record of an ``evaluation.json``."""
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    content["images"] = [ImageRow(**_numbers(row)) for row in content["images"]]
    content["pooled"] = [PooledRow(**_numbers(row)) for row in content["pooled"]]
    content["bd_rates"] = [BDRate(**_numbers(row, {"reason"})) for row in content["bd_rates"]]
    return EvaluationRecord(**_numbers(content))


def markdown(rows: Sequence[PooledRow], metrics: Sequence[tuple[str, str]]) -> str:
    """A table of pooled rows; metrics are pairs (name, format)."""
    lines = [
        "| codec | setting | bpp | " + " | ".join(name for name, _ in metrics) + " |",
        "|---|---|---|" + "---|" * len(metrics),
    ]
    for row in rows:
        values = (row.value(name) for name, _ in metrics)
        shown = ["" if _unknown(v) else format(v, form) for v, (_, form) in zip(values, metrics, strict=True)]
        lines.append(f"| {row.codec} | {row.setting} | {row.bpp:.3f} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def _unknown(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _numbers(content: dict[str, Any], texts: set[str] = frozenset()) -> dict[str, Any]:  # type: ignore[assignment]
    """JSON has no NaN: null is one again, but in fields of text."""
    return {
        name: math.nan if value is None and name not in texts else value for name, value in content.items()
    }
