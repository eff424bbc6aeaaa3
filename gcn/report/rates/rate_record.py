"""What an evaluation has measured, as it is stored: ``evaluation.json`` with everything, ``evaluation.csv`` a row for
each image."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gcn.errors import InputError
from gcn.files.atomic import write_csv
from gcn.files.names import printable
from gcn.files.reading import read_json
from gcn.report.summary import write_json_atomic

LARGEST = 2**28  # bytes of evaluation.json; a row of an image has 600
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
    extra: dict[str, float] = field(
        default_factory=dict
    )  # lpips, dists, seconds, bits by tables and estimate
    mse: float = math.nan  # grey levels²; 0: the image came back exactly, and its PSNR is infinite
    scales: int = 0  # of MS-SSIM
    codec_id: str = ""  # of weights and tables, or of the library, with the setting
    image_id: str = ""  # of the pixels

    def value(self, metric: str) -> float:
        """A metric by name; NaN where it was not measured."""
        return float(getattr(self, metric) if hasattr(self, metric) else self.extra.get(metric, math.nan))


@dataclass(frozen=True)
class PooledRow:
    """All images through one setting of a codec.

    ``bpp``: all bits of all files over all pixels; ``psnr`` (dB) and ``ms_ssim``: means over the images of their
    `ImageSet`, the same for every row; ``swd``: sliced Wasserstein distance of all images together; ``exact``: images
    that came back without any error. ``rates``: bit/pixel over the images of a metric, where these are not all.
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
    rates: dict[str, float] = field(default_factory=dict)
    exact: int = 0

    def value(self, metric: str) -> float:
        """A metric by name, NaN where it was not measured."""
        return float(getattr(self, metric) if hasattr(self, metric) else self.extra.get(metric, math.nan))

    def rate(self, metric: str) -> float:
        """Bits per pixel over the images that the mean of a metric is over."""
        return self.rates.get(metric, self.bpp)


@dataclass(frozen=True)
class ImageSet:
    """The images that a metric's means are over, at every setting of every codec, and why others are not."""

    metric: str
    images: list[str]
    left_out: dict[str, str] = field(default_factory=dict)


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
    sets: list[ImageSet] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # images that are in no number, and why
    swd_disjoint_floor: float = math.nan  # of photographs, with different images on the two sides

    def series(self, kind: str | None = None) -> dict[str, list[PooledRow]]:
        """Pooled rows by codec, in the order of first appearance, each sorted by rate."""
        found: dict[str, list[PooledRow]] = {}
        for row in self.pooled:
            if kind is None or row.kind == kind:
                found.setdefault(row.codec, []).append(row)
        return {codec: sorted(rows, key=lambda row: row.bpp) for codec, rows in found.items()}


NAMES = ("codec", "setting", "image", "width", "height", "bytes", "bpp", "mse", "psnr", "ms_ssim", "scales")
IDS = ("codec_id", "image_id")


def cells(row: ImageRow, extras: Sequence[str]) -> list[Any]:
    """A row of ``evaluation.csv``: ``NAMES``, extras, ``IDS``. Empty: not measured; ``inf``: PSNR of an exact image."""
    values = [getattr(row, name) for name in NAMES] + [row.extra.get(name) for name in extras]
    values += [getattr(row, name) for name in IDS]
    return [
        "" if value is None or (isinstance(value, float) and math.isnan(value)) else value for value in values
    ]


def from_cells(content: Mapping[str, str], extras: Sequence[str]) -> ImageRow:
    """The row of :func:`cells`, by column; raises ValueError or KeyError for other cells."""
    numbers = {name: float(content[name] or "nan") for name in ("bpp", "mse", "psnr", "ms_ssim")}
    counts = {name: int(content[name]) for name in ("width", "height", "bytes", "scales")}
    texts = {name: content[name] for name in ("codec", "setting", "image", *IDS)}
    extra = {name: float(content[name] or "nan") for name in extras}
    return ImageRow(**texts, **counts, **numbers, extra=extra)  # type: ignore[arg-type]


def write(record: EvaluationRecord, folder: Path) -> list[Path]:
    """Write ``evaluation.json`` and ``evaluation.csv``, each whole or not at all."""
    write_json_atomic(folder / "evaluation.json", asdict(record))
    extras = sorted({name for row in record.images for name in row.extra})
    rows = (cells(row, extras) for row in record.images)
    write_csv(folder / "evaluation.csv", [[*NAMES, *extras, *IDS], *rows])
    return [folder / "evaluation.json", folder / "evaluation.csv"]


def read(file: Path) -> EvaluationRecord:
    """The record in an ``evaluation.json``; raises InputError for any other file."""
    content = read_json(file, LARGEST)
    try:
        content["images"] = [_exact(ImageRow(**_numbers(row))) for row in content["images"]]
        content["pooled"] = [PooledRow(**_numbers(row)) for row in content["pooled"]]
        content["sets"] = [ImageSet(**one) for one in content["sets"]]
        content["bd_rates"] = [BDRate(**_numbers(row, {"reason"})) for row in content["bd_rates"]]
        return EvaluationRecord(**_numbers(content))
    except (KeyError, TypeError, AttributeError) as problem:
        raise InputError(f"{printable(file)}: not the record of an evaluation ({problem})") from None


def _exact(row: ImageRow) -> ImageRow:
    """The row with the infinite PSNR of an exact image, which JSON cannot store."""
    return replace(row, psnr=math.inf) if row.mse == 0 else row


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
    """Fields of a stored row: null becomes NaN, which JSON lacks, except in fields of text."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            found[name] = _numbers(value)
        else:
            found[name] = math.nan if value is None and name not in texts else value
    return found
