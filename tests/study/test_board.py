"""A study in W&B, read back from the files that ``wandb sync`` would send."""

import io
import json
import os
import subprocess
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import pytest
from scripting import script

from gcn.errors import InputError
from gcn.study import board, board_views, design, table
from gcn.study.reports import contrasts

pytestmark = pytest.mark.filterwarnings("ignore:Pydantic V1 style")  # theirs
SCRIPT = Path(__file__).parents[2] / "scripts" / "board.py"
LEVELS = {"loss": "ns", "mse": "0.1", "trick": "none", "pairing": "none", "heat": "hot", "control": "none"}


def result(seed=0, verdict="stable", points=4, **levels):
    of = LEVELS | levels
    rows = [
        {"step": 50 * i, "val/swd": 0.5 / (1 + i), "val/jitter": None, "train/g/grad_norm": float("nan")}
        for i in range(points)
    ]
    return {
        "name": f"{'_'.join(of.values())}_{seed}_0123abcd", "levels": of, "seed": seed, "verdict": verdict,
        "verdict_reason": "so it is", "words": ["loss=ns", f"seed={seed}"], "rows": rows, "steps": 200,
    }  # fmt: skip


RESULTS = (
    result(),
    result(seed=1, verdict="oscillating"),
    result(verdict="failed", points=0, mse="0", trick="r1", heat="comfortable"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table") / "small_study"
    table.write(RESULTS, folder)
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A home without a key, and a network without an answer."""
    home = str(tmp_path_factory.mktemp("home"))
    return {"HOME": home, "XDG_CONFIG_HOME": home, "WANDB_BASE_URL": "http://127.0.0.1:9"}


@contextmanager
def at_home(environment):
    """This process has the environment, and no other variables of W&B."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        yield patch


@pytest.fixture(scope="module")
def logged(place, environment, tmp_path_factory):
    """The folder of a first call, and what it said."""
    out = tmp_path_factory.mktemp("board") / "out"
    with at_home(environment), redirect_stdout(io.StringIO()) as said:
        assert script("board")(f"table={place}", f"out={out}", "project=team/games") == 0
    return out, said.getvalue()


@pytest.fixture
def alone(environment):
    """The same for calls from this process, which ask for offline or a fake."""
    with at_home(environment) as patch:
        patch.delenv("WANDB_BASE_URL")
        yield


def records(file):
    """The records of a ``.wandb`` file: LevelDB's log, blocks of 32 KiB behind a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = file.read_bytes(), 7, b""
    while at < len(data):
        if (rest := 32768 - at % 32768) < 7:
            at += rest  # padding
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # full or last
            yield Record.FromString(whole)
            whole = b""


def offline(out, arm):
    """What the file of an arm holds: the run, its history and its summary."""
    found = list(records(next(out.glob(f"wandb/offline-run-*/run-{identity(arm)}.wandb"))))
    (run,) = [r.run for r in found if r.WhichOneof("record_type") == "run"]
    history = [values(r.history.item) for r in found if r.WhichOneof("record_type") == "history"]
    updates = [values(r.summary.update) for r in found if r.WhichOneof("record_type") == "summary"]
    return run, history, {name: value for update in updates for name, value in update.items()}


def values(items):
    return {item.key or item.nested_key[0]: json.loads(item.value_json) for item in items}


def identity(arm):
    rows = [r for r in (table.row(one) for one in RESULTS) if r["name"] == arm["name"]]
    return next(board.runs(rows, {}, "any", "any")).told["id"]


def test_a_run_says_which_arm_it_is_and_what_became_of_it(logged):
    out, said = logged
    run, history, summary = offline(out, RESULTS[1])
    assert (run.entity, run.project, run.job_type) == ("team", "games", "small_study")
    assert run.run_group == "ns_0.1_none_none_hot_none"
    assert list(run.tags) == ["oscillating", "ns", "mse=0.1", "hot"]
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert {**LEVELS, "mse_weight": 0.1, "seed": 1, "words": "loss=ns seed=1"}.items() <= config.items()
    assert [(row["step"], row["val/swd"]) for row in history] == [
        (50 * i, pytest.approx(0.5 / (1 + i))) for i in range(4)
    ]
    assert not any({"val/jitter", "train/g/grad_norm"} & row.keys() for row in history)  # not measured
    assert (summary["verdict"], summary["unstable"]) == ("oscillating", 1.0)
    assert summary["swd"] == pytest.approx(0.125)
    assert "jitter" not in summary
    assert "3/3" in said
    assert "no key" in said
    assert f"wandb sync {out}/wandb/offline-run-*" in said


def test_a_run_without_history_is_logged(logged):
    run, history, summary = offline(logged[0], RESULTS[2])
    assert (run.run_group, history) == ("ns_0_r1_none_comfortable_none", [])
    assert summary["verdict"] == "failed"


def test_seeds_share_a_group_and_nothing_else(place):
    first, second, other = board.runs(table.read(place), table.read_curves(place), "s", "p")
    assert first.told["group"] == second.told["group"] != other.told["group"]
    assert len({run.told["id"] for run in (first, second, other)}) == 3
    assert first.told["id"] == identity(RESULTS[0])


def test_a_second_call_logs_what_is_new(logged, place, alone, tmp_path, capsys):
    out, _ = logged
    before = sorted(out.glob("wandb/offline-run-*"))
    assert len(before) == 3
    board.show(place, out, "team/games", "offline")
    assert "3 runs, 3 logged already" in capsys.readouterr().out
    assert sorted(out.glob("wandb/offline-run-*")) == before

    changed = tmp_path / place.name
    table.write([result(verdict="collapsed"), *RESULTS[1:]], changed)
    board.show(changed, out, "team/games", "offline")
    assert "3 runs, 2 logged already" in capsys.readouterr().out
    assert len(list(out.glob("wandb/offline-run-*"))) == 3
    assert offline(out, RESULTS[0])[2]["verdict"] == "collapsed"


class Fake:
    """A run of which the server has ``step`` rows."""

    def __init__(self, step):
        self.step, self.summary, self.rows, self.fails = step, {}, [], False

    def define_metric(self, *_, **__):
        pass

    def log(self, row):
        self.rows.append(row)

    def finish(self):
        if self.fails:
            raise TimeoutError("the server\nis slow")


def test_an_interrupted_call_goes_on_and_the_server_gets_no_row_twice(place, tmp_path, monkeypatch):
    server = Fake(step=3)
    monkeypatch.setattr("wandb.init", lambda **told: server)
    runs = list(board.runs(table.read(place), table.read_curves(place), "s", "p"))
    board.log(runs[:1], tmp_path, "online")
    assert [row["step"] for row in server.rows] == [150]
    server.fails = True
    with pytest.raises(TimeoutError):
        board.log(runs[:2], tmp_path, "online")
    assert list(json.loads((tmp_path / "wandb" / "logged.json").read_text())["online"]) == [
        runs[0].told["id"]
    ]


def test_a_server_that_fails_is_one_line(place, tmp_path, monkeypatch, alone):
    server = Fake(step=0)
    server.fails = True
    monkeypatch.setattr("wandb.init", lambda **told: server)
    monkeypatch.setattr(board, "why_offline", lambda mode: None)
    with pytest.raises(InputError, match=r"^W&B: the server; run it again to resume"):
        board.show(place, tmp_path, "p", "online")


def test_online_the_views_are_saved_in_place_of_the_last_ones(place, tmp_path, monkeypatch, alone, capsys):
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    saved = []

    def save(view):
        saved.append((type(view).__name__, getattr(view, "id", "") or getattr(view, "_internal_name", "")))
        if isinstance(view, wr.Report):
            view.id = view.id or "abc"
        else:
            view._internal_name = view._internal_name or "nw-xyz-v"
        return view

    def from_url(url):
        view = ws.Workspace(entity="team", project="games", sections=[])
        view._internal_name = f"nw-{url.rpartition('=')[2]}-v"
        return view

    for view in (wr.Report, ws.Workspace):
        monkeypatch.setattr(view, "save", save)
        monkeypatch.setattr(view, "url", property(lambda view: f"https://w/{type(view).__name__}?nw=xyz"))
    monkeypatch.setattr(ws.Workspace, "from_url", from_url)
    monkeypatch.setattr(
        "wandb_workspaces.reports.v2.interface.execute_graphql", lambda *_: {"project": {"internalId": "7"}}
    )
    monkeypatch.setattr("wandb_workspaces.reports.v2.interface._get_api", lambda: None)
    monkeypatch.setattr("wandb.Api", lambda: None, raising=False)
    monkeypatch.setattr("wandb.init", lambda **told: Fake(step=0))
    monkeypatch.setattr(board, "why_offline", lambda mode: None)
    for _ in range(2):
        board.show(place, tmp_path, "team/games", "auto")
    assert saved == [("Workspace", ""), ("Report", ""), ("Workspace", "nw-xyz-v"), ("Report", "abc")]
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "https://w/Workspace?nw=xyz",
        "https://w/Report?nw=xyz",
    ]
    (grid, *_) = grids(json.loads((tmp_path / "report.json").read_text()))
    assert grid["runSets"][0]["project"]["name"] == "games"


def filters(run_set):
    return {one["key"]["name"]: one["value"] for one in run_set["filters"]["filters"]}


def grouping(run_set):
    return [key["name"] for key in run_set["grouping"]]


def grids(report):
    return [block["metadata"] for block in report["spec"]["blocks"] if block["type"] == "panel-grid"]


def test_the_workspace_has_sections_and_groups(logged):
    view = json.loads((logged[0] / "workspace.json").read_text())
    assert (view["projectName"], view["type"]) == ("games", "project-view")
    section = view["spec"]["section"]
    panels = {
        one["name"]: [m for panel in one["panels"] for m in panel["config"].get("metrics", ())]
        for one in section["panelBankConfig"]["sections"]
    }
    assert {"val/swd", "val/jitter", "train/d/logit_gap", "unstable", "swd"} <= set(panels["Stability"])
    assert {"val/psnr", "val/bpp", "psnr_loss"} <= set(panels["Distortion and rate"])
    assert {"train/g/grad_norm", "train/d/grad_norm"} <= set(panels["Gradient norms"])
    drawn = {metric for own in panels.values() for metric in own}
    assert {*table.CURVES, *(response.name for response in table.RESPONSES)} == drawn
    (run_set,) = section["runSets"]
    assert grouping(run_set) == ["loss.value", "mse.value", "trick.value", "heat.value"]
    assert filters(run_set) == {"pairing": "none", "control": "none"}


def test_the_report_compares_at_each_heat(logged):
    view = json.loads((logged[0] / "report.json").read_text())
    text = json.dumps(view["spec"]["blocks"])
    assert view["displayName"] == "Distortion against tricks"
    assert "stabilise the game" in text
    weight, tricks, *_, everything = grids(view)
    assert [(s["name"], filters(s)["heat"]) for s in tricks["runSets"]] == [
        ("lr 2e-4, β₁ 0", "comfortable"),
        ("lr 2e-3, β₁ .9", "hot"),
    ]
    assert grouping(tricks["runSets"][0]) == ["loss.value", "mse.value", "trick.value"]
    assert "trick" not in filters(tricks["runSets"][0])
    assert filters(weight["runSets"][1]) == {"heat": "hot", "pairing": "none", "control": "none"} | (
        {"trick": "none"}
    )
    kinds = {panel["viewType"] for panel in weight["panelBankSectionConfig"]["panels"]}
    assert kinds == {"Run History Line Plot", "Bar Chart"}
    (parallel,) = everything["panelBankSectionConfig"]["panels"]
    axes = [column["accessor"] for column in parallel["config"]["columns"]]
    assert axes[:2] == ["config:loss.value", "config:mse.value"]
    assert "summary:unstable" in axes


def test_a_new_column_has_its_panel(place):
    plan = design.load("distortion_vs_tricks")
    ask = contrasts.load(plan.text, plan.labels)
    rows = [{**row, "rotation": 1.0} for row in table.read(place)]
    spec = (
        board_views.workspace(rows, table.read_curves(place), "", "p", ask)
        ._to_model()
        .model_dump_json(by_alias=True)
    )
    assert '"metrics":["rotation"]' in spec


@pytest.mark.parametrize(("words", "says"), [
    ([], "table= is missing"),
    (["table=nowhere"], "no table here"),
    (["table=nowhere", "mode=later"], "mode=later: must be one of auto, offline, online"),
    (["table=nowhere", "project=a/b/c"], "project=a/b/c: give"),
    (["table=nowhere", "projekt=a"], "projekt: unknown; nearest: project"),
    (["table=nowhere", f"out={SCRIPT}"], "is not a folder"),
])  # fmt: skip
def test_bad_words_are_one_line(words, says, alone, capsys):
    assert script("board")(*words) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_disabled_is_said(place, tmp_path, alone, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with pytest.raises(InputError, match="mode=offline"):
        board.show(place, tmp_path / "out", "p")
    assert not (tmp_path / "out").exists()


def test_help_needs_no_imports():
    code = (
        "import runpy, sys; sys.argv = ['board.py', '--help']\n"
        f"try: runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'wandb', 'torch', 'pyarrow', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Examples\n  python scripts/board.py" in done.stdout
