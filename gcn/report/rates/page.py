"""The HTML page of an evaluation."""

import math
from collections.abc import Sequence
from pathlib import Path

from gcn.report import html
from gcn.report.rates.rate_record import LEARNED, EvaluationRecord, ImageRow
from gcn.report.rates.rate_summary import TITLES, sentences

KINDS = {".csv": "text/csv", ".json": "application/json"}
FORMATS = {"bpp": ".3f", "psnr": ".2f", "overall_psnr": ".2f", "exact": ".0f",
           "ms_ssim": ".4f", "swd": ".4f", "swd_disjoint": ".4f", "c2st": ".3f", "c2st_low": ".3f", "c2st_high": ".3f",
           "lattice": ".2f", "fid_256": ".2f", "fid": ".2f",
           "bpp_estimate": ".3f", "bpp_tables": ".3f", "encode_seconds": ".2f", "decode_seconds": ".2f"}  # fmt: skip


def write_page(record: EvaluationRecord, figures: Sequence[tuple[Path, str]], file: Path) -> Path:
    """Write the page; ``figures`` are PNG files with their captions."""
    said = (
        "PSNR of classical codecs is interpolated between their settings, linearly in the logarithm of the rate. All"
        " rates are bytes of real files, headers included."
    )
    measured = (
        f"{_over(record)} PSNR of mean error: of the mean squared error of all images, weighed by pixels; finite unless"
        f" all are exact. SWD: {record.swd_options}; two draws of the originals are {_number(record.swd_floor, '.4f')}"
        " apart. It sees blur, noise and wrong textures, and hardly sees blocks."
    )
    floor = _number(record.swd_disjoint_floor, ".4f")
    realism = (
        "C2ST: how well a fresh classifier tells small patches from the originals', in bits: 0 cannot tell, 1 is always"
        " right; with a 95 % interval over images and classifiers. KID: kernel distance of crops, on features of random"
        " convolutions and of a network trained on degradations. SWD, different images: no image meets its original;"
        f" originals among themselves: {floor or 'not measured'}. Lattice: power at periods of 2 to 16 pixels, relative"
        " to frequencies beside them and to the originals; 1 = none. In all of them lower is better."
    )
    names = ["Summary", "Figures", "All settings", "BD-rate", "Every image", "Made by", "Downloads"]
    stored = [
        path for name in ("evaluation.csv", "evaluation.json") if (path := file.with_name(name)).exists()
    ]
    return html.write(
        "evaluation.html", file, title=record.title, sentences=sentences(record), said=said,
        contents=[one for one in html.anchors(names) if record.bd_rates or one[1] != "BD-rate"],
        figures=[html.picture(path, caption) for path, caption in figures],
        pooled=_pooled(record), remarks=[measured, realism], bd_rates=_bd_rates(record), notes=record.notes,
        images=_images(record.images), command=record.command,
        downloads=[(path.name, html.uri(path.read_bytes(), KINDS[path.suffix])) for path in stored],
    )  # fmt: skip


def _number(value: float, form: str = ".4g") -> str:
    return "" if math.isnan(value) else format(value, form) if math.isfinite(value) else "∞"


def _over(record: EvaluationRecord) -> str:
    """Sentence about the images that the means are over."""
    counts = [f"{TITLES.get(one.metric, one.metric)} {len(one.images)}" for one in record.sets]
    return f"Means are over the same images for every row ({', '.join(counts)})." if counts else ""


def _pooled(record: EvaluationRecord) -> html.Table:
    """Table with a row for each setting; a metric over fewer than all images has its own rate beside it."""
    ordered = sorted(record.pooled, key=lambda row: (row.bpp, row.codec))
    head, columns = ["codec", "setting"], [[row.codec for row in ordered], [row.setting for row in ordered]]
    for name in TITLES:
        if not any(math.isfinite(row.value(name)) for row in ordered) or (
            name == "exact" and not any(row.exact for row in ordered)
        ):
            continue
        head.append(_title(name, record))
        columns.append([_number(row.value(name), FORMATS.get(name, ".4g")) for row in ordered])
        if any(name in row.rates for row in ordered):
            head.append(f"bit/pixel of {TITLES[name]}")
            columns.append([_number(row.rate(name), ".3f") for row in ordered])
    marked = [i for i, row in enumerate(ordered) if row.kind == LEARNED]
    return html.Table(head, list(zip(*columns, strict=True)), marked, label="all settings")


def _title(metric: str, record: EvaluationRecord) -> str:
    over = next((set(one.images) for one in record.sets if one.metric == metric), set())
    scales = {row.scales for row in record.images if row.image in over}
    if metric != "ms_ssim" or len(scales) != 1:
        return TITLES[metric]
    count = scales.pop()
    return f"MS-SSIM, {count} scale{'s' if count > 1 else ''}"


def _images(rows: Sequence[ImageRow]) -> html.Table:
    extras = sorted({name for row in rows for name in row.extra})
    body = []
    for row in rows:
        numbers = [f"{row.width}×{row.height}", str(row.bytes), f"{row.bpp:.3f}", _number(row.psnr, ".2f")]
        own = [
            _number(row.ms_ssim, ".4f"),
            str(row.scales or ""),
            *(_number(row.extra.get(name, math.nan)) for name in extras),
        ]
        body.append([row.image, f"{row.codec} {row.setting}", *numbers, *own])
    head = ["image", "codec", "size", "bytes", "bit/pixel", "PSNR", "MS-SSIM", "scales"]
    titles = {**TITLES, "encode_seconds": "encode, s", "decode_seconds": "decode, s"}
    return html.Table([*head, *(titles.get(name, name) for name in extras)], body, label="every image")


def _bd_rates(record: EvaluationRecord) -> html.Table | None:
    rows = [
        [b.codec, b.reference, f"{b.percent:+.1f} %" if math.isfinite(b.percent) else b.reason or ""]
        for b in record.bd_rates
    ]
    return html.Table(["codec", "reference", "bits"], rows, label="BD-rate") if rows else None
