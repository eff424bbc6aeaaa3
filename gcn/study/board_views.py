"""The workspace and the report of a study in Weights & Biases, as code.

What is drawn follows from the table's columns, so that a response that is added there has its panel here.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gcn.report.summary import write_json_atomic
from gcn.study import table
from gcn.study.reports.contrasts import Asked
from gcn.study.reports.statistics import Row

# A column stands in the first section of which a word is in its name.
SECTIONS = {
    "Stability": ("swd", "jitter", "logit_gap", "unstable", "last_to_best"),
    "Distortion and rate": ("psnr", "bpp"),
    "Gradient norms": ("grad", "share"),
    "Further columns": ("",),
}
AT_A_GLANCE = ("unstable", "jitter", "swd", "psnr_loss")
DESCRIBING = ("verdict", "verdict_step", "verdict_reason", "steps", "seconds")  # of a run: no panel
SPREAD: dict[str, Any] = {"groupby_aggfunc": "mean", "groupby_rangefunc": "stddev"}  # over the seeds
MOST = 100  # lines or bars of a panel


def factors(rows: Sequence[Row]) -> list[str]:
    """Columns of the table between an arm's name and its seed."""
    return list(table.levels(rows[0]))


def _lines(columns: Sequence[str]) -> dict[str, Any]:
    import wandb_workspaces.reports.v2 as wr

    return {
        c: wr.LinePlot(title=c, x="step", y=[c], log_y="grad" in c, max_runs_to_show=MOST, **SPREAD)
        for c in columns
    }


def _bars(columns: Sequence[str]) -> dict[str, Any]:
    import wandb_workspaces.reports.v2 as wr

    titles = {response.name: response.title for response in table.RESPONSES}
    how = {"orientation": "v", "max_bars_to_show": MOST, **SPREAD}
    return {c: wr.BarPlot(title=titles.get(c, c), metrics=[c], **how) for c in columns}


def _parallel(rows: Sequence[Row]) -> Any:
    import wandb_workspaces.reports.v2 as wr

    responses = [wr.SummaryMetric(c) for c in AT_A_GLANCE if c in rows[0]]
    axes: list[Any] = [*map(wr.Config, factors(rows)), *responses]
    columns = [wr.ParallelCoordinatesPlotColumn(metric=axis, display_name=axis.name) for axis in axes]
    return wr.ParallelCoordinatesPlot(columns=columns, title="From factors to responses")


def _filter(rows: Sequence[Row], compared: Sequence[str], at: Mapping[str, str]) -> str:
    """These levels, and "none" of every other factor that is not compared and has such a level."""
    rest = [f for f in factors(rows) if f not in (*compared, *at) and any(row[f] == "none" for row in rows)]
    found = {**at, **dict.fromkeys(rest, "none")}
    return " and ".join(f"Config('{factor}') = '{level}'" for factor, level in found.items())


def workspace(
    rows: Sequence[Row],
    curves: Mapping[str, Sequence[Mapping[str, Any]]],
    entity: str,
    project: str,
    ask: Asked,
) -> Any:
    """A workspace of ``wandb_workspaces``: the ``SECTIONS``, runs grouped by ``GROUPED``."""
    import wandb_workspaces.workspaces as ws

    drawn = dict.fromkeys(c for points in curves.values() for c in points[0] if c != "step")
    known = (*factors(rows), "name", "seed", "words", *DESCRIBING)
    panels: dict[str, list[Any]] = {name: [] for name in SECTIONS}
    for column, panel in (_lines(list(drawn)) | _bars([c for c in rows[0] if c not in known])).items():
        panels[next(name for name, words in SECTIONS.items() if any(w in column for w in words))].append(
            panel
        )
    sections = [ws.Section(name=name, panels=own, is_open=True) for name, own in panels.items() if own]
    grouped = [factor for factor in ask.content["board"]["grouped"] if factor in factors(rows)]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=ask.content["board"]["title"],
        sections=[*sections, ws.Section(name="All factors", panels=[_parallel(rows)])],
        settings=ws.WorkspaceSettings(x_axis="step", max_runs=MOST),
        runset_settings=ws.RunsetSettings(
            groupby=[ws.Config(factor) for factor in grouped], filters=_filter(rows, grouped, {})
        ),
        auto_generate_panels=False,
    )


def report(rows: Sequence[Row], entity: str, project: str, ask: Asked, online: bool = False) -> Any:
    """A report of ``wandb_workspaces``: the question, then a grid for each comparison.

    Online, run sets name their project, whose number the server is asked; else they are of the report's own.
    """
    import wandb_workspaces.reports.v2 as wr

    where: dict[str, Any] = {"entity": entity, "project": project} if online else {}

    def grid(groups: Sequence[str], free: Sequence[str], panels: Sequence[Any]) -> Any:
        apart = ask.found(rows) if ask.factor not in groups else []
        keys, sets = [f"config.{factor}" for factor in groups], []
        for name, at in [(ask.label(level), {ask.factor: level}) for level in apart] or [("all", {})]:
            sets.append(wr.Runset(**where, name=name, groupby=keys, filters=_filter(rows, free, at)))
        return wr.PanelGrid(runsets=sets, panels=list(panels))

    blocks: list[Any] = [wr.P(ask.question), wr.TableOfContents()]
    for title, compared in ask.content["board"]["compared"].items():
        if set(compared) <= set(factors(rows)):
            panels = _lines(("val/swd", "val/jitter")) | _bars([c for c in AT_A_GLANCE if c in rows[0]])
            blocks += [wr.H1(title), grid(compared, compared, list(panels.values()))]
    blocks += [wr.H1("All factors"), grid((), factors(rows), [_parallel(rows)])]
    blocks += [wr.H1("Limits"), wr.UnorderedList(items=list(ask.content["limits"]))]
    about = "Mean and deviation over seeds; generated from the table of the study."
    title = ask.content["board"]["title"]
    return wr.Report(
        entity=entity, project=project, title=title, description=about, blocks=blocks, width="fluid"
    )


def write(workspace: Any, report: Any, out: Path) -> list[Path]:
    """``workspace.json`` and ``report.json``: what ``save`` would send, for which there is no public name."""
    files = []
    for name, kind, view in (("workspace", "project-view", workspace), ("report", "runs", report)):
        model = view._to_model()
        spec = json.loads(model.spec.model_dump_json(by_alias=True, exclude_none=True))
        said = {"displayName": model.display_name, "projectName": view.project, "type": kind, "spec": spec}
        write_json_atomic(out / f"{name}.json", said)
        files.append(out / f"{name}.json")
    return files
