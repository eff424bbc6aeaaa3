"""One page that shows all of an evaluation."""

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from gcn.report import html
from gcn.report.rates.record import LEARNED, EvaluationRecord, ImageRow, PooledRow
from gcn.report.rates.summary import sentences

TITLES = {
    "bpp": "bit/pixel", "psnr": "PSNR", "ms_ssim": "MS-SSIM", "swd": "SWD", "lpips": "LPIPS", "dists": "DISTS",
    "fid_256": "FID/256", "kid_256": "KID/256", "fid": "FID", "kid": "KID", "bpp_estimate": "estimate",
    "bpp_tables": "by tables", "encode_seconds": "encode, s/MP", "decode_seconds": "decode, s/MP",
}  # fmt: skip
FORMATS = {"bpp": ".3f", "psnr": ".2f", "ms_ssim": ".4f", "swd": ".4f", "fid_256": ".2f", "fid": ".2f",
           "bpp_estimate": ".3f", "bpp_tables": ".3f", "encode_seconds": ".2f", "decode_seconds": ".2f"}  # fmt: skip


def write_page(record: EvaluationRecord, figures: Sequence[tuple[Path, str]], file: Path) -> Path:
    """Write the page; ``figures`` are PNG files with their captions."""
    said = (
        "PSNR of classical codecs is interpolated between their settings, linearly in the logarithm of the rate. All"
        " rates are bytes of real files, headers included."
    )
    measured = (
        f"PSNR and MS-SSIM: means over images. SWD: {record.swd_options}; two draws of the originals are"
        f" {_number(record.swd_floor, '.4f')} apart. It sees blur, noise and wrong textures, and hardly sees blocks."
    )
    parts = [
        f"<ul>{''.join(f'<li>{escape(s)}</li>' for s in sentences(record))}</ul>",
        html.small(said),
        *(html.figure(path, caption) for path, caption in figures),
        "<h2>All settings</h2>",
        _pooled(record.pooled),
        html.small(measured),
        _bd_rates(record),
        *map(html.small, record.notes),
        f"<details><summary>Every image</summary>{_images(record.images)}</details>",
        f"<h2>Made by</h2><p><code>{escape(record.command)}</code></p>",
    ]
    return html.write(record.title, parts, file)


def _number(value: float, form: str = ".4g") -> str:
    return format(value, form) if math.isfinite(value) else ""


def _pooled(rows: Sequence[PooledRow]) -> str:
    names = [name for name in TITLES if any(math.isfinite(row.value(name)) for row in rows)]
    ordered = sorted(rows, key=lambda row: (row.bpp, row.codec))
    body = [
        [row.codec, row.setting, *(_number(row.value(n), FORMATS.get(n, ".4g")) for n in names)]
        for row in ordered
    ]
    head = ["codec", "setting", *(TITLES[name] for name in names)]
    return html.table(head, body, (row.kind == LEARNED for row in ordered))


def _images(rows: Sequence[ImageRow]) -> str:
    extras = sorted({name for row in rows for name in row.extra})
    body = []
    for row in rows:
        numbers = [f"{row.width}×{row.height}", str(row.bytes), f"{row.bpp:.3f}", _number(row.psnr, ".2f")]
        own = [_number(row.ms_ssim, ".4f"), *(_number(row.extra.get(name, math.nan)) for name in extras)]
        body.append([row.image, f"{row.codec} {row.setting}", *numbers, *own])
    head = ["image", "codec", "size", "bytes", "bit/pixel", "PSNR", "MS-SSIM"]
    return html.table([*head, *(TITLES.get(name, name) for name in extras)], body)


def _bd_rates(record: EvaluationRecord) -> str:
    if not record.bd_rates:
        return ""
    rows = [
        [b.codec, b.reference, f"{b.percent:+.1f} %" if math.isfinite(b.percent) else b.reason or ""]
        for b in record.bd_rates
    ]
    said = "Bits at equal PSNR relative to the reference (Bjøntegaard, pchip); negative is better."
    return f"<h2>BD-rate</h2>{html.small(said)}{html.table(['codec', 'reference', 'bits'], rows)}"
