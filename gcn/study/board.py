"""A study in Weights & Biases: its table as runs, with a workspace and a report that compare them.

Without a key or a server everything is written into a folder: the runs for ``wandb sync``, the views as the
JSON that would be sent. A call with a key uploads both, and what the server has already is not sent again.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gcn.cli.extras import install
from gcn.cli.invocation import as_called
from gcn.errors import InputError
from gcn.files.atomic import make_folder
from gcn.files.reading import read_json
from gcn.report.summary import plain, write_json_atomic
from gcn.report.wandb_log import INIT_TIMEOUT, why_offline
from gcn.study import design, table
from gcn.study.board_views import factors, report, workspace, write
from gcn.study.reports.answer import counted
from gcn.study.reports.contrasts import Asked, load
from gcn.study.reports.statistics import Row

FINISH_TIMEOUT = 120.0  # seconds for the server to take a run
Curves = Mapping[str, Sequence[Mapping[str, Any]]]


class Run(NamedTuple):
    """A row of the table as a W&B run: settings, history and summary."""

    told: dict[str, Any]
    points: Sequence[Mapping[str, Any]]
    ended: dict[str, Any]

    @property
    def digest(self) -> str:
        """Digest of everything that is sent."""
        return hashlib.blake2b(repr(tuple(self)).encode(), digest_size=8).hexdigest()


def show(folder: Path, out: Path, project: str, mode: str = "auto") -> None:
    """Log the table in ``folder`` and save, or write, its workspace and report.

    Args:
        folder: of ``runs.parquet`` and ``curves.parquet``; its name is that of the study.
        out: for everything that is written.
        project: of W&B, ``PROJECT`` or ``TEAM/PROJECT``.
        mode: auto, online or offline; offline in any case without a key or an answer.

    Raises:
        InputError: no table, packages are missing, ``WANDB_MODE=disabled``, or the server failed us.
    """
    try:
        import wandb
        import wandb_workspaces  # noqa: F401
    except ImportError as missing:
        raise InputError(f"{missing.name} is not installed; {install('board')}") from None
    if not table.names(folder):
        raise InputError(f"table={folder}: no table here; {as_called('run scripts/study.py first')}")
    mode = os.environ.get("WANDB_MODE", mode) if mode == "auto" else mode
    if mode == "disabled":
        raise InputError("WANDB_MODE=disabled leaves nothing to do; say mode=offline")
    stored = table.read(folder)
    plan = _plan(folder.name, factors(stored))
    rows, curves, ask = (
        counted(stored, plan.withdrawn),
        table.read_curves(folder),
        load(plan.text, plan.labels),
    )
    if "board" not in ask.content:
        raise InputError(f"table={folder}: the study {plan.name} has no view in W&B")
    make_folder(out)  # else wandb writes elsewhere
    wandb.setup(wandb.Settings(silent=True))
    why_not = why_offline(mode)
    if why_not is None:
        try:
            print(*_online(rows, curves, out, folder.name, project, ask), sep="\n")
        except Exception as error:  # wandb raises all sorts
            said = next(iter(str(error).splitlines()), "")[:200] or type(error).__name__
            raise InputError(f"W&B: {said}; run it again to resume, or with mode=offline") from error
        return
    log(runs(rows, curves, folder.name, project), out, "offline")
    entity, _, name = project.rpartition("/")
    files = write(workspace(rows, curves, entity, name, ask), report(rows, entity, name, ask), out)
    print(f"W&B: offline ({why_not}); {files[0]}, {files[1]}")
    print(
        f"to upload the runs: wandb sync {out}/wandb/offline-run-*; views and runs: this command, with a key"
    )


def _plan(name: str, columns: Sequence[str]) -> design.Study:
    """The study of this name, or the first one that has the factors of the table."""
    known = sorted(path.stem for path in (design.CONF / "study").glob("*.yaml"))
    for study in map(design.load, [name] if name in known else known):
        if name in known or set(columns) <= set(study.factors):
            return study
    raise InputError(f"{name}: no study of conf/study has the factors {', '.join(columns)}")


def runs(rows: Sequence[Row], curves: Curves, study: str, project: str) -> Iterator[Run]:
    """The runs of a table. The id is a hash of the arm's name; the group is the arm without its seed."""
    entity, _, name = project.rpartition("/")
    for row in rows:
        levels = {factor: row[factor] for factor in factors(rows) if row[factor] is not None}
        weights = {f"{f}_weight": float(v) for f, v in levels.items() if _is_number(v)}
        said = [f"{f}={v}" if _is_number(v) else v for f, v in levels.items() if v != "none"]
        told = {
            "entity": entity or None,
            "project": name,
            "id": hashlib.blake2b(row["name"].encode(), digest_size=6).hexdigest(),
            "name": f"{' '.join(said)} seed={row['seed']}",
            "group": "_".join(levels.values()),
            "job_type": study,
            "tags": [row["verdict"], *said],
            "config": {**levels, **weights, "seed": row["seed"], "words": row["words"], "arm": row["name"]},
        }
        ended = {c: v for c, v in row.items() if c not in (*levels, "name", "seed", "words")}
        yield Run(told, [_measured(point) for point in curves.get(row["name"], ())], _measured(ended))


def _is_number(level: str) -> bool:
    return level.replace(".", "", 1).isdigit()


def _measured(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in plain(values).items() if value is not None}


def log(runs: Iterable[Run], out: Path, mode: str) -> None:
    """Log the runs that are not yet logged in this mode; if interrupted, only the current run is lost."""
    wanted, logged = list(runs), _logged(out)
    left = [run for run in wanted if logged[mode].get(run.told["id"]) != run.digest]
    print(f"{len(wanted)} runs, {len(wanted) - len(left)} logged already", flush=True)
    begun = said = time.monotonic()
    for done, run in enumerate(left, start=1):
        _log_one(run, out, mode)
        logged[mode][run.told["id"]] = run.digest
        write_json_atomic(_record(out), logged)
        now = time.monotonic()
        if now - said > 1 or done == len(left):
            rest = (now - begun) / done * (len(left) - done)
            print(f"{done}/{len(left)}  {run.told['config']['arm']}  ({rest:.0f} s left)", flush=True)
            said = now


def _log_one(run: Run, out: Path, mode: str) -> None:
    import wandb

    if mode == "offline":  # what was cut short, or is of an older table
        for stale in (out / "wandb").glob(f"offline-run-*-{run.told['id']}"):
            shutil.rmtree(stale)
    settings = wandb.Settings(
        silent=True, console="off", disable_git=True, save_code=False, disable_code=True,
        # it was not trained here and now
        x_save_requirements=False, x_disable_stats=True, x_disable_meta=True, x_disable_machine_info=True,
        init_timeout=INIT_TIMEOUT, finish_timeout=FINISH_TIMEOUT, finish_timeout_raises=True,
    )  # fmt: skip
    how: dict[str, Any] = {"dir": out, "mode": mode, "resume": "allow", "settings": settings}
    log = wandb.init(**run.told, **how)
    log.define_metric("step")
    log.define_metric("*", step_metric="step")
    for point in run.points[log.step :]:  # the server says how many it has
        log.log(dict(point))
    log.summary.update(run.ended)
    log.finish()


def _record(out: Path) -> Path:
    """File with the runs and views that have been logged, stored beside them."""
    return out / "wandb" / "logged.json"


def _logged(out: Path) -> dict[str, dict[str, str]]:
    empty: dict[str, dict[str, str]] = {"offline": {}, "online": {}, "views": {}}
    return read_json(_record(out)) if _record(out).is_file() else empty


def _online(
    rows: Sequence[Row],
    curves: Curves,
    out: Path,
    study: str,
    project: str,
    ask: Asked,
) -> tuple[str, str]:
    """Log the runs, save the views in place of those of the last call; returns the views' addresses."""
    import wandb
    import wandb_workspaces.workspaces as ws

    log(runs(rows, curves, study, project), out, "online")
    entity, _, name = project.rpartition("/")
    entity = entity or wandb.Api().default_entity or ""
    board, paper = workspace(rows, curves, entity, name, ask), report(rows, entity, name, ask, online=True)
    write(board, paper, out)
    logged = _logged(out)
    views = logged["views"] if logged["views"].get("project") == f"{entity}/{name}" else {}
    if "workspace" in views:
        new, board = board, ws.Workspace.from_url(views["workspace"])
        board.sections, board.runset_settings = new.sections, new.runset_settings
    paper.id = views.get("report", "")
    urls = board.save().url, paper.save().url
    logged["views"] = {"project": f"{entity}/{name}", "workspace": urls[0], "report": paper.id}
    write_json_atomic(_record(out), logged)
    return urls
