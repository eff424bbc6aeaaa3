"""The HTML page of one training run."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from gcn.cli.invocation import as_called
from gcn.cli.quoting import command, resuming, word
from gcn.files.names import printable
from gcn.report import html
from gcn.report.charts import Chart, Series, chart, points, series
from gcn.report.run_folder import Run
from gcn.report.summary import UNITS, plain
from gcn.schema.plugins import stored_words

NEAR = 2.5  # factor between the run's rate and the ends of the chart of rates
LARGEST_DOWNLOAD = 1 << 23  # bytes of a file that the page carries
VERDICTS = ("stable", "oscillating", "diverged", "collapsed")  # with a colour of their own
CHECKPOINT = "checkpoints/last.ckpt"
FACTS = {
    "psnr": "PSNR, dB", "bpp_actual": "bits per pixel (files)", "bpp": "bits per pixel (estimate)",
    "ms_ssim": "MS-SSIM",
    "swd": "SWD", "swd_floor": "SWD of originals", "parameters": "parameters", "seconds": "seconds",
}  # fmt: skip
TEXTS = ("verdict", "verdict_step", "verdict_reason", "folder")


class Rival(NamedTuple):
    """A classical codec on the run's validation images.

    Attributes:
        title: name for readers.
        psnr: in dB, at the bits per pixel of the run's files.
        points: bits per pixel and PSNR of settings around that rate.
    """

    title: str
    psnr: float
    points: Sequence[tuple[float, float]]


class Extra(NamedTuple):
    """What the page shows that the run folder does not hold.

    Attributes:
        words: that repeat the run; None: unknown.
        rivals: classical codecs on the same images.
        notes: a line for each thing that could not be found out.
        again: words that the command which resumes the run names beside its folder.
    """

    words: Sequence[str] | None
    rivals: Sequence[Rival] = ()
    notes: Sequence[str] = ()
    again: Sequence[str] = ()


def write_run(run: Run, extra: Extra, file: Path) -> Path:
    """Write the page of a run."""
    charts = _charts(run)
    rates = _rates(run, extra)
    drawn = [*charts, *([rates] if rates else [])]
    pairs = [(one.caption, *(html.uri(png, "image/png") for png in one[1:])) for one in run.pairs]
    names = ["Verdict", "Curves", "Reconstructions", "Rate and distortion", "Configuration", "Environment",
             "Next steps", "Downloads", "Appendix"]  # fmt: skip
    return html.write(
        "run.html", file, title=f"Run {run.name}", contents=html.anchors(names), run=run,
        verdict=_verdict(run), facts=_facts(run), notes=[*run.notes, *extra.notes], charts=charts,
        data=[one.data() for one in drawn], rates=rates,
        rate_table=_rate_table(run, extra), pairs=pairs,
        panel=html.picture(run.panel, f"Panel of update {run.panel.stem.lstrip('0') or 0}") if run.panel else None,
        repeat=None if extra.words is None else as_called(command("python", "scripts/train.py", *extra.words)),
        words=extra.words, environment=_environment(run), further=_further(run, extra), downloads=_downloads(run),
        configuration=yaml.safe_dump(_plain(run.config), sort_keys=False, allow_unicode=True) if run.config else "",
        columns=_columns(run), everything=_summary_table(run.summary),
    )  # fmt: skip


def _verdict(run: Run) -> dict[str, Any]:
    known = run.verdict in VERDICTS
    reason = str(run.summary.get("verdict_reason") or "")
    if not run.summary:
        reason = f"The last row is of update {run.step}." if run.rows else "It has no row yet."
    return {"name": run.verdict, "class": run.verdict if known else "other", "reason": reason,
            "step": run.summary.get("verdict_step")}  # fmt: skip


def _facts(run: Run) -> list[tuple[str, str]]:
    found = [(title, finite(run.summary.get(name))) for name, title in FACTS.items()]
    done = [("updates", run.step), *found]
    return [
        (title, f"{value:.4g}" if isinstance(value, float) else f"{value:,}")
        for title, value in done
        if value is not None
    ]


def _charts(run: Run) -> list[Chart]:
    names = list(dict.fromkeys(name for row in run.rows for name in row))
    skip = ("grad_norm", "total", "logit_real", "logit_fake", "logit_gap", "accuracy")

    def terms(player: str) -> list[Series]:
        own = [
            n
            for n in names
            if n.startswith(f"train/{player}/") and n.count("/") == 2 and n.rsplit("/", 1)[1] not in skip
        ]
        return series((n.rsplit("/", 1)[1], points(run.rows, n)) for n in own)

    def of(**columns: str) -> list[Series]:
        return series((name.replace("_", " "), points(run.rows, column)) for name, column in columns.items())

    cosines = [(n.rsplit("/", 1)[1], points(run.rows, n)) for n in names if n.startswith("train/g/cosine/")]
    planned = [
        ("terms of G, without weights", terms("g"), True), ("terms of D, without weights", terms("d"), True),
        ("mean logits of D (high: real)", of(original="train/d/logit_real", reconstruction="train/d/logit_fake",
                                             gap="train/d/logit_gap"), False),
        ("gradient norms of the players", of(G="train/g/grad_norm", D="train/d/grad_norm"), True),
        ("learning rates", of(G="train/lr/g", D="train/lr/d"), True),
        ("PSNR, dB", of(validation="val/psnr", training="train/psnr"), False),
        ("bits per pixel", of(validation="val/bpp", training="train/bpp"), False),
        ("sliced Wasserstein distance", of(reconstructions="val/swd", originals="val/swd_floor"), False),
        ("jitter between validations, grey levels", of(jitter="val/jitter"), False),
        ("cosines of G's gradients at x_hat", series(cosines), False),
    ]  # fmt: skip
    made = (chart(f"chart-{i}", title, curves, log=log) for i, (title, curves, log) in enumerate(planned))
    return [one for one in made if one is not None]


def _measured(run: Run, extra: Extra) -> list[tuple[str, float, float]]:
    """Name, bits per pixel and PSNR of the run's codec and of classical codecs."""
    rate = finite(run.summary.get("bpp_actual"))
    if rate is None:
        return []
    own = [("this run", "psnr"), ("JPEG", "jpeg_psnr"), ("JPEG, fitted tables", "jpeg_optimised_psnr")]
    found = [(name, rate, finite(run.summary.get(key))) for name, key in own]
    rivals = [(one.title, rate, one.psnr) for one in extra.rivals if one.title not in dict(own)]
    return [(name, bpp, psnr) for name, bpp, psnr in [*found, *rivals] if psnr is not None]


def _rates(run: Run, extra: Extra) -> Chart | None:
    own = _measured(run, extra)[:1]
    if not own or not extra.rivals:  # a chart of one rate says less than the table
        return None
    rate = own[0][1]
    near = [
        (one.title, [(bpp, psnr) for bpp, psnr in one.points if rate / NEAR <= bpp <= rate * NEAR])
        for one in extra.rivals
    ]
    curves = series([(name, [(bpp, psnr)]) for name, bpp, psnr in own] + near)
    return chart("chart-rates", "PSNR in dB", curves, axis="bits per pixel")


def _rate_table(run: Run, extra: Extra) -> html.Table | None:
    rows = [[name, f"{bpp:.3f}", f"{psnr:.2f}"] for name, bpp, psnr in _measured(run, extra)]
    return (
        html.Table(["codec", "bits per pixel", "PSNR, dB"], rows, marked=(0,), label="rate and PSNR")
        if rows
        else None
    )


def _environment(run: Run) -> html.Table | None:
    found = run.summary.get("environment")
    rows = [(str(k), text(v)) for k, v in found.items()] if isinstance(found, Mapping) else []
    for name, title in (("precision", "precision"), ("seconds", "seconds of training")):
        if name in run.summary:
            rows.append((title, text(run.summary[name])))
    return html.Table(["part", "value"], rows, texts=True, label="environment") if rows else None


def _further(run: Run, extra: Extra) -> list[tuple[str, str]]:
    """What can be done next, with its command; only what the folder holds the files for."""
    where = run.folder.resolve()
    own = f"run={where}"
    named = stored_words(run.config)  # shown, never used
    commands = [("Resume the training", resuming(where, *extra.again))] if run.file(CHECKPOINT) else []
    if run.file("codec.safetensors"):
        coding = {
            "Compress an image": ["scripts/compress.py", own, *named, "photo.png", "out=photo.gcn"],
            "Compare with other codecs": [
                "scripts/evaluate.py",
                own,
                *named,
                "data=folder",
                "data.root=FOLDER",
            ],
        }
        commands += [(what, as_called(command("python", *words))) for what, words in coding.items()]
    if run.file(CHECKPOINT):
        spectrum = as_called(command("python", "scripts/spectrum.py", word("run", where), *named))
        commands.append(("Compute eigenvalues of the game", spectrum))
    return commands


def _downloads(run: Run) -> list[tuple[str, str]]:
    found = []
    kinds = {"metrics.csv": "text/csv", "summary.json": "application/json", "config.yaml": "text/plain"}
    for name, kind in kinds.items():
        path = run.folder / name
        if path.is_file() and path.stat().st_size <= LARGEST_DOWNLOAD:
            found.append((name, html.uri(path.read_bytes(), kind)))
    if run.rows:
        rows = json.loads(json.dumps(plain(run.rows)))
        found.append(("metrics.json", html.json_uri(rows)))
    return found


def _columns(run: Run) -> html.Table | None:
    """Least, greatest and last value of each column of the metrics."""
    names = list(dict.fromkeys(name for row in run.rows for name in row if name != "step"))
    rows = []
    for name in names:
        values = [row[name] for row in run.rows if row.get(name) is not None]
        finite = [v for v in values if math.isfinite(v)]
        ends = [f"{f:.4g}" for f in (min(finite), max(finite), finite[-1])] if finite else ["", "", ""]
        rows.append([printable(name), str(len(values)), *ends])
    return (
        html.Table(["column", "values", "least", "greatest", "last"], rows, label="all columns")
        if rows
        else None
    )


def _summary_table(summary: Mapping[str, Any]) -> html.Table | None:
    flat = {**summary, **{f"indicators.{k}": v for k, v in (summary.get("indicators") or {}).items()}} if isinstance(
        summary.get("indicators"), Mapping) else dict(summary)  # fmt: skip
    rows = [
        [printable(k), "not measured" if v is None else text(v), UNITS.get(k, "")]
        for k, v in flat.items() if k not in TEXTS and not isinstance(v, Mapping)
    ]  # fmt: skip
    return (
        html.Table(["name", "value", "unit"], rows, texts=True, label="the whole summary") if rows else None
    )


def _plain(content: Any) -> Any:
    return {str(k): _plain(v) for k, v in content.items()} if isinstance(content, Mapping) else content


def finite(value: Any) -> float | None:
    """The value if it is a finite number, else None."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if known else None


def text(value: Any) -> str:
    """The value as a cell of a table; None is empty."""
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else printable(str(value))
