"""One page that shows all of an evaluation and needs nothing beside it."""

import base64
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from gcn.report.evaluation.record import EvaluationRecord, ImageRow, PooledRow
from gcn.report.evaluation.summary import sentences

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881 }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; line-height: 1.2 } h2 { font-size: 1.15rem; margin-top: 2.2rem }
p, li { max-width: 46rem } small, figcaption { opacity: .75; font-size: .85rem }
figure { margin: 1rem 0; background: #fff; color: #222; padding: .6rem; border-radius: .4rem; overflow-x: auto }
figure img { max-width: 100%; height: auto; display: block }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left }
tr.learned td { background: var(--soft); font-weight: 600 }
code { background: var(--soft); padding: .1rem .3rem; border-radius: .2rem; overflow-wrap: anywhere }
"""
META = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
TITLES = {
    "bpp": "bit/pixel", "psnr": "PSNR", "ms_ssim": "MS-SSIM", "swd": "SWD", "lpips": "LPIPS", "dists": "DISTS",
    "fid_256": "FID/256", "kid_256": "KID/256", "fid": "FID", "kid": "KID", "bpp_estimate": "estimate",
    "bpp_tables": "by tables", "encode_seconds": "encode, s/MP", "decode_seconds": "decode, s/MP",
}  # fmt: skip
FORMATS = {"bpp": ".3f", "psnr": ".2f", "ms_ssim": ".4f", "swd": ".4f", "fid_256": ".2f", "fid": ".2f",
           "bpp_estimate": ".3f", "bpp_tables": ".3f", "encode_seconds": ".2f", "decode_seconds": ".2f"}  # fmt: skip


def write_page(record: EvaluationRecord, figures: Sequence[tuple[Path, str]], file: Path) -> Path:
    """Write the page; ``figures`` are PNG files, inlined, with their captions."""
    parts = [
        f"<h1>{escape(record.title)}</h1>",
        f"<ul>{''.join(f'<li>{escape(s)}</li>' for s in sentences(record))}</ul>",
        "<p><small>PSNR of classical codecs is interpolated between their settings, linearly in the logarithm of the "
        "rate. All rates are bytes of real files, headers included.</small></p>",
        *(_figure(path, caption) for path, caption in figures),
        "<h2>All settings</h2>",
        f'<div class="wide">{_pooled(record.pooled)}</div>',
        f"<p><small>PSNR and MS-SSIM: means over images. SWD: {escape(record.swd_options)}; two draws of the "
        f"originals are {_number(record.swd_floor, '.4f')} apart.</small></p>",
        _bd_rates(record),
        *(f"<p><small>{escape(note)}</small></p>" for note in record.notes),
        f"<details><summary>Every image</summary><div class=wide>{_images(record.images)}</div></details>",
        f"<h2>Made by</h2><p><code>{escape(record.command)}</code></p>",
    ]
    head = f"{META}<title>{escape(record.title)}</title><style>{STYLE}</style>"
    page = f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(parts)}</body></html>\n"
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(page, encoding="utf-8")
    partial.replace(file)
    return file


def _figure(path: Path, caption: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    image = f'<img alt="{escape(caption, quote=True)}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def _number(value: float, form: str = ".4g") -> str:
    return format(value, form) if math.isfinite(value) else ""


def _table(head: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    titles = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        f'<tr class="{escape(kind)}">{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for kind, cells in rows
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def _pooled(rows: Sequence[PooledRow]) -> str:
    names = [name for name in TITLES if any(math.isfinite(row.value(name)) for row in rows)]
    ordered = sorted(rows, key=lambda row: (row.bpp, row.codec))
    body = [
        (row.kind, [row.codec, row.setting, *(_number(row.value(n), FORMATS.get(n, ".4g")) for n in names)])
        for row in ordered
    ]
    return _table(["codec", "setting", *(TITLES[name] for name in names)], body)


def _images(rows: Sequence[ImageRow]) -> str:
    extras = sorted({name for row in rows for name in row.extra})
    body = []
    for row in rows:
        numbers = [f"{row.width}×{row.height}", str(row.bytes), f"{row.bpp:.3f}", _number(row.psnr, ".2f")]
        own = [_number(row.ms_ssim, ".4f"), *(_number(row.extra.get(name, math.nan)) for name in extras)]
        body.append(("", [row.image, f"{row.codec} {row.setting}", *numbers, *own]))
    head = [
        "image",
        "codec",
        "size",
        "bytes",
        "bit/pixel",
        "PSNR",
        "MS-SSIM",
        *(TITLES.get(n, n) for n in extras),
    ]
    return _table(head, body)


def _bd_rates(record: EvaluationRecord) -> str:
    if not record.bd_rates:
        return ""
    rows = [
        ("", [b.codec, b.reference, f"{b.percent:+.1f} %" if math.isfinite(b.percent) else b.reason or ""])
        for b in record.bd_rates
    ]
    said = "Bits at equal PSNR relative to the reference (Bjøntegaard, pchip); negative is better."
    return f"<h2>BD-rate</h2><p><small>{said}</small></p>{_table(['codec', 'reference', 'bits'], rows)}"
