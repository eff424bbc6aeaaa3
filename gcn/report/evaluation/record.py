"""What an evaluation measured, and its two files: ``evaluation.json`` holds all of it, ``evaluation.csv`` a row an image.

Both are there in full or not at all. What could not be measured is null in JSON and an empty cell in CSV.
"""

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from gcn.errors import InputError
from gcn.report.summary import plain

Kind = Literal["learned", "classical", "published"]
FORMAT = "gcn evaluation 1"


@dataclass(frozen=True)
class ImageRow:
    """One image coded by one setting of a codec.

    Args:
        codec: its name; variants have names of their own ("gcn rd", "gcn gan").
        setting: of the codec ("low", "quality 30").
        image: its name, the same for all codecs.
        width, height: pixels.
        bytes: of the whole file.
        bpp: bits per pixel.
        psnr: dB.
        ms_ssim: at most 1; None where the image is too small.
        extra: whatever else was measured by its name (lpips, dists, bits_header, bits_z, bits_y).
    """

    codec: str
    setting: str
    image: str
    width: int
    height: int
    bytes: int
    bpp: float
    psnr: float
    ms_ssim: float | None
    extra: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PooledRow:
    """One setting of a codec on all images.

    Args:
        codec, setting: as in :class:`ImageRow`.
        kind: how it is drawn, and whether it is compared: published numbers never are.
        images: their number.
        bpp: all bits of all files / all pixels.
        psnr: dB, mean over images.
        ms_ssim: mean over images, at most 1.
        swd: sliced Wasserstein distance to the originals; lower is better.
        extra: the rest by name (lpips, dists, fid, kid, fid_256, kid_256, bpp_estimate, bpp_tables, encode_seconds).
    """

    codec: str
    setting: str
    kind: Kind
    images: int
    bpp: float
    psnr: float
    ms_ssim: float | None
    swd: float | None
    extra: dict[str, float] = field(default_factory=dict)


class BdRate(NamedTuple):
    """Bjøntegaard's difference of rates at equal PSNR."""

    codec: str
    reference: str
    percent: float | str
    """Bits of ``codec`` beyond those of ``reference`` in percent (negative: fewer), or why there is no such number."""


@dataclass(frozen=True)
class EvaluationRecord:
    """All that one evaluation measured.

    Args:
        title: of the page.
        command: that makes it again.
        images: a row for each codec, setting and image.
        pooled: a row for each codec and setting; their order is that of tables and comparisons.
        swd_floor: distance between two draws of patches from the same originals.
        swd_options: number of patches and projections, in words.
        notes: sentences (which metrics were skipped, and why).
        bd_rates: at equal PSNR.
    """

    title: str
    command: str
    images: list[ImageRow] = field(default_factory=list)
    pooled: list[PooledRow] = field(default_factory=list)
    swd_floor: float | None = None
    swd_options: str = ""
    notes: list[str] = field(default_factory=list)
    bd_rates: list[BdRate] = field(default_factory=list)


def write_text_atomic(path: Path, text: str) -> Path:
    """Write UTF-8 text that is either there in full or not at all: a file beside it, fsync, then one rename.

    Names of files may hold bytes that are no text (lone surrogates): they are written as ``\\udc80``, in JSON an
    escape that is read back exactly.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    with temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return path


# JSON


def write_record(path: Path, record: EvaluationRecord) -> Path:
    """Write the record as JSON; NaN and infinities, which JSON does not have, become null."""
    content = {"format": FORMAT, **plain(asdict(record))}
    return write_text_atomic(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def read_record(path: Path) -> EvaluationRecord:
    """The record that :func:`write_record` wrote. A null is None where that is allowed, else NaN.

    Raises:
        InputError: the file is missing or is no record.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError("another format")
        lists = {
            "images": [_row(ImageRow, row) for row in content.pop("images")],
            "pooled": [_row(PooledRow, row) for row in content.pop("pooled")],
            "bd_rates": [BdRate(*row) for row in content.pop("bd_rates")],
        }
        return EvaluationRecord(**content, **lists)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as reason:
        raise InputError(f"{path}: not an evaluation ({reason}); scripts/evaluate.py writes them") from None


def _row(cls: Any, values: Mapping[str, Any]) -> Any:
    needed = {item.name for item in fields(cls) if item.type in (float, int)}
    full = {name: math.nan if value is None and name in needed else value for name, value in values.items()}
    full["extra"] = {name: math.nan if value is None else value for name, value in values["extra"].items()}
    if cls is PooledRow and full["kind"] not in get_args(Kind):
        raise ValueError(f"kind {full['kind']!r}")
    return cls(**full)


# CSV


def extra_names(rows: Sequence[ImageRow] | Sequence[PooledRow]) -> list[str]:
    """Names of what was measured beside the fixed columns, in the order of their appearance."""
    return list(dict.fromkeys(name for row in rows for name in row.extra))


def write_images_csv(path: Path, rows: Sequence[ImageRow]) -> Path:
    """One line for each codec, setting and image; the extra measurements are the last columns.

    Raises:
        ValueError: an extra measurement has the name of a fixed column.
    """
    fixed, extra = _fixed(), extra_names(rows)
    if clash := set(fixed) & set(extra):
        raise ValueError(f"extra measurements named like columns: {', '.join(sorted(clash))}")
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow([*fixed, *extra])
    for row in rows:
        table.writerow(
            [_cell(getattr(row, name)) for name in fixed] + [_cell(row.extra.get(name)) for name in extra]
        )
    return write_text_atomic(path, buffer.getvalue())


def read_images_csv(path: Path) -> list[ImageRow]:
    """The rows of :func:`write_images_csv`: floats exactly; an empty cell is None or absent."""
    with path.open(encoding="utf-8", newline="") as file:
        return [_image(line) for line in csv.DictReader(file)]


def _image(line: Mapping[str, str]) -> ImageRow:
    fixed = _fixed()
    values: dict[str, Any] = {name: line[name] for name in fixed}
    for name in ("width", "height", "bytes"):
        values[name] = int(values[name])
    for name in ("bpp", "psnr"):
        values[name] = float(values[name])
    values["ms_ssim"] = float(values["ms_ssim"]) if values["ms_ssim"] else None
    extra = {name: float(text) for name, text in line.items() if name not in fixed and text}
    return ImageRow(**values, extra=extra)


def _fixed() -> list[str]:
    return [item.name for item in fields(ImageRow) if item.name != "extra"]


def _cell(value: Any) -> str:
    if hasattr(value, "item"):  # scalars of numpy and torch
        value = value.item()
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)
