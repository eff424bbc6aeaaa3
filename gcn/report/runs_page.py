"""The HTML page that compares several training runs."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gcn.report import html
from gcn.report.charts import chart, points, series
from gcn.report.run_folder import Run
from gcn.report.run_page import Extra, finite, text
from gcn.report.summary import plain
from gcn.schema.fields import at, show

COMPARED = {
    "val/psnr": "PSNR on validation images, dB", "val/bpp": "estimated bits per pixel",
    "val/swd": "sliced Wasserstein distance", "train/d/logit_gap": "logit gap",
    "train/g/grad_norm": "gradient norm of G", "train/d/grad_norm": "gradient norm of D",
    "val/jitter": "jitter between validations, grey levels",
}  # fmt: skip

LOGARITHMIC = ("train/g/grad_norm", "train/d/grad_norm", "val/swd")


def write_runs(runs: Sequence[Run], extras: Sequence[Extra], sort: str, file: Path) -> Path:
    """Write the page that compares runs, sorted by a column of its table: ``run``, a number or a changed word.

    Raises:
        ValueError: no such column.
    """
    differing = differences(extras)
    own = [dict(w.partition("=")[::2] for w in extra.words or ()) for extra in extras]
    head = ["run", "verdict", "step", *differing, "psnr", "bpp_actual", "swd", "seconds"]
    if sort not in head:
        raise ValueError(f"no column {sort}; one of {', '.join(head)}")
    rows: list[dict[str, Any]] = []
    for run, words in zip(runs, own, strict=True):
        numbers = {name: finite(run.summary.get(name)) for name in ("psnr", "bpp_actual", "swd", "seconds")}
        row = {"run": run.name, "verdict": run.verdict, "step": run.step, **numbers}
        rows.append(row | {name: words.get(name) or _default(run, name) for name in differing})
    order = sorted(range(len(runs)), key=lambda i: _order(rows[i][sort]))
    table = html.Table(head, [[text(rows[i][name]) for name in head] for i in order], label="all runs")
    charts = [
        made
        for i, (name, title) in enumerate(COMPARED.items())
        if (
            made := chart(
                f"chart-{i}",
                title,
                series((runs[n].name, points(runs[n].rows, name)) for n in order),
                log=name in LOGARITHMIC,
            )
        )
    ]
    plainly = [{name: plain(rows[i][name]) for name in head} for i in order]
    common = [
        w for w in extras[order[0]].words or () if all(e.words is not None and w in e.words for e in extras)
    ]
    return html.write(
        "runs.html", file, title=f"{len(runs)} runs", contents=html.anchors(["Table", "Curves", "Notes", "Downloads"]),
        table_content=table, sort=sort, charts=charts, data=[c.data() for c in charts], common=common,
        notes=[(runs[i].name, [*runs[i].notes, *extras[i].notes]) for i in order],
        reasons=[(runs[i].name, runs[i].verdict, str(runs[i].summary.get("verdict_reason") or "")) for i in order],
        downloads=[("runs.json", html.json_uri(plainly)), ("runs.csv", html.uri(_csv(head, plainly), "text/csv"))],
    )  # fmt: skip


def _default(run: Run, name: str) -> str | None:
    """The value of a word that a run has not changed, from its configuration."""
    choices = run.config.get("choices")
    if isinstance(choices, Mapping) and name in choices:
        return show(choices[name])
    return show(at(run.config, name)) if run.config else None


def differences(extras: Sequence[Extra]) -> list[str]:
    """Names of the changed words that are not the same in all runs."""
    own = [dict(w.partition("=")[::2] for w in extra.words or ()) for extra in extras]
    names = dict.fromkeys(name for words in own for name in words)
    return [name for name in names if len({words.get(name) for words in own}) > 1]


def _order(value: Any) -> tuple[int, float, str]:
    """Sort key: numbers by size, then texts, what is absent last; numbers in words count as numbers."""
    try:
        return (2, 0.0, "") if value is None else (0, float(value), "")
    except ValueError:
        return 1, 0.0, str(value)


def _csv(head: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([head, *([row[name] for name in head] for row in rows)])
    return buffer.getvalue().encode()
