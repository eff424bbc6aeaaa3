"""The page of a run: whole, unfinished, damaged and hostile folders; several runs; what may be replaced."""

import html
import json
import re
import shlex

import pytest
import torch
from scripting import script

from gcn.config.changed import changed_words
from gcn.config.parse import parse, save
from gcn.report.charts import chart, log_ticks, points, series, ticks
from gcn.report.panel_tiles import pairs
from gcn.report.plots import PanelRow, panel, to_pixels
from gcn.report.run_folder import read
from gcn.report.run_page import Extra, Rival, _rates
from gcn.schema.conf_folder import CONF
from gcn.study.reports.pages import page as study_page

ROWS = "step,train/g/mse,val/psnr,val/bpp\n1,4.0,,\n2,2.0,20.5,0.3\n3,nan,21.5,0.2\n"
SUMMARY = {"steps": 3, "verdict": "diverged", "verdict_step": 3, "verdict_reason": "<b>mse</b> is NaN", "psnr": 21.5,
           "bpp_actual": 0.25, "jpeg_psnr": 20.0, "environment": {"python": "3.11.1"}}  # fmt: skip


def folder(path, *words, summary=SUMMARY, rows=ROWS):
    path.mkdir(parents=True)
    save(parse(["loss=ns", "mse=1", *words]), path)
    (path / "metrics.csv").write_text(rows)
    if summary is not None:
        (path / "summary.json").write_text(json.dumps(summary))
    images = [PanelRow("<i>cat</i>", torch.rand(3, 40, 60), torch.rand(3, 40, 60))]
    panel(path / "panels" / "0000003.png", images)
    return path


def report(*words, status=0):
    assert script("report")(*map(str, words), "compare=none") == status


def test_a_run_is_one_page_that_loads_nothing_and_escapes_what_the_run_says(tmp_path):
    run = folder(tmp_path / "<script>alert(1)")
    report(run)
    page = (run / "report.html").read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "default-src 'none'" in page
    for hostile in ("<script>alert", "<b>mse</b>", "<i>cat"):
        assert hostile not in page
    assert "&lt;b&gt;mse&lt;/b&gt; is NaN" in page
    assert "scripts/train.py mse=1" in page
    assert page.count('type="range"') == 1
    for said in ("diverged", "at update 3", "3.11.1", "21.50", "20.00", 'download="metrics.csv"'):
        assert said in page, said
    links, anchors = re.findall(r'href="#([^"]+)"', page), re.findall(r'id="([^"]+)"', page)
    assert set(links) <= set(anchors)
    assert len(anchors) == len(set(anchors))


def test_the_charts_data_are_the_finite_values_of_the_table(tmp_path):
    run = folder(tmp_path / "run")
    report(run)
    data = json.loads(
        re.search(r'id="chart-data">(.*?)</script>', (run / "report.html").read_text(), re.DOTALL)[1]
    )
    found = {one["name"]: one["points"] for drawn in data for one in drawn["series"]}
    assert found["mse"] == [[1, 4], [2, 2]]
    assert found["validation"] == [[2, 0.3], [3, 0.2]]


def test_the_runs_point_lies_among_the_curves_of_classical_codecs(tmp_path):
    rivals = [
        Rival("AVIF", 25.0, [(0.05, 10.0), (0.2, 24.0), (0.3, 26.0)]),
        Rival("JPEG", 20.0, [(0.3, 21.0)]),
    ]
    drawn = _rates(read(folder(tmp_path / "run")), Extra([], rivals))
    assert {one.name: one.points for one in drawn.series} == {
        "this run": [(0.25, 21.5)], "AVIF": [(0.2, 24.0), (0.3, 26.0)], "JPEG": [(0.3, 21.0)],
    }  # fmt: skip
    assert _rates(read(tmp_path / "run"), Extra([])) is None


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("summary.json", None, "summary.json is missing"),
        ("summary.json", "{", "summary.json is damaged"),
        ("metrics.csv", None, "metrics.csv is missing"),
        ("metrics.csv", "a,b\n1,2\n", "metrics.csv is damaged"),
        ("config.yaml", None, "config.yaml is missing"),
        ("config.yaml", "a: [", "config.yaml is damaged"),
        ("config.yaml", "choices: {loss: nonsense}\n", "words of the run are unknown"),
        ("panels/0000003.png", None, "there are no reconstructions"),
        ("panels/0000003.png", "no picture", "panels/0000003.png is damaged"),
    ],
)
def test_what_is_missing_or_damaged_is_a_line_of_the_page(tmp_path, name, content, said):
    run = folder(tmp_path / "run")
    (run / name).unlink() if content is None else (run / name).write_text(content)
    report(run)
    assert said in (run / "report.html").read_text()


def test_a_run_with_classes_of_the_user_is_shown_when_they_are_named(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(CONF.parent / "examples" / "plugin"))
    run = folder(tmp_path / "run", "plugins=[gcn_example]", "loss=squared_hinge", "edges=0.5")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").touch()
    report(run)
    bare = html.unescape((run / "report.html").read_text())
    assert "it was made with plugins=[gcn_example]; give that to this command as well" in bare
    assert "edges=0.5" not in bare.partition("config.yaml")[0]
    report(run, "plugins=[gcn_example]")
    page = html.unescape((run / "report.html").read_text())
    assert "it was made with" not in page
    for word in ("loss=squared_hinge", "edges=0.5", f"resume={run} 'plugins=[gcn_example]'"):
        assert word in page


def test_the_command_that_resumes_names_callbacks_and_where_loggers_write(tmp_path):
    kind = "lightning.pytorch.callbacks.EarlyStopping"
    early = f"callbacks.early={{_target_: {kind}, monitor: val/psnr, mode: max}}"
    run = folder(tmp_path / "run", early, "logger=tensorboard", "logger.tensorboard.save_dir=elsewhere")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").touch()

    def resumes():
        report(run)
        page = html.unescape((run / "report.html").read_text())
        (line,) = {text for text in re.findall(r">([^<>]*resume=[^<>]*)", page) if str(run) in text}
        return shlex.split(line.strip())[2:]

    said = resumes()
    assert said[0] == f"resume={run}"
    assert parse(said).callbacks == {"early": {"_target_": kind, "monitor": "val/psnr", "mode": "max"}}
    assert "logger.tensorboard.save_dir=elsewhere" in said
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(
        text.replace(kind, "os.system")
    )  # of a stranger: no callback, so not shown
    assert resumes() == [f"resume={run}"]


def test_several_runs_are_sorted_and_show_the_words_that_differ(tmp_path):
    folder(tmp_path / "a", "seed=3", "optim.g.lr=0.001", summary=SUMMARY | {"psnr": 30})
    folder(tmp_path / "b", "seed=10", "optim.g.lr=0.001")
    folder(tmp_path / "c", "seed=3", "r1=2", "optim.g.lr=0.001", summary=None)
    report(tmp_path, "sort=psnr")
    page = (tmp_path / "report.html").read_text()
    head, *body = re.findall(r"<tr[^>]*>(.*?)</tr>", page, re.DOTALL)
    assert re.findall(r">([^<]+)</th>", head)[:5] == ["run", "verdict", "step", "seed", "r1"]
    assert [re.search(r"<td>(.*?)</td>", row)[1] for row in body] == ["b", "a", "c"]
    assert "not finished" in page
    assert [re.findall(r"<td>(.*?)</td>", row)[3:5] for row in body] == [
        ["10", "null"],
        ["3", "null"],
        ["3", "2"],
    ]
    report(tmp_path, "sort=nonsense", status=2)


def test_refusals_and_what_may_be_replaced(tmp_path, capsys):
    report(tmp_path, status=2)
    assert "no run in or below" in capsys.readouterr().err
    run = folder(tmp_path / "run")
    report(run, run / "panels", status=2)
    (run / "report.html").write_text("mine")
    report(run, status=2)
    assert "is no report" in capsys.readouterr().err
    assert (run / "report.html").read_text() == "mine"
    report(run, "overwrite=true")
    report(run)
    study_page("Study", "Is a study a report?", [], run / "report.html")
    report(run, status=2)
    assert "is no report" in capsys.readouterr().err
    (tmp_path / "link.html").symlink_to(run / "config.yaml")
    kept = (run / "config.yaml").read_bytes()
    for name in ("run/config.yaml", "photo.png", "page", "link.html"):
        report(run, f"out={tmp_path / name}", "overwrite=true", status=2)
        assert "the report is a page; give a name that ends in .html\n" in capsys.readouterr().err
    assert (run / "config.yaml").read_bytes() == kept


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["loss=hinge", "mse=0.5", "r1=10", "terms.r1.every=16", "optim.g.lr=0.0003"],
        ["generator=factorized", "discriminator=multiscale", "seed=7", "dynamics=lookahead", "logger=csv"],
        ["generator.M=48", "generator.N=32"],
        ["logger.name='a, b'", "logger.tags=[one,two]"],
    ],
)
def test_the_changed_words_give_the_same_configuration(tmp_path, words):
    first = parse(words)
    again = parse(changed_words(first.plain()))
    assert {k: v for k, v in again.items() if k != "run_dir"} == {
        k: v for k, v in first.items() if k != "run_dir"
    }


def test_a_value_that_follows_from_another_is_no_changed_word():
    assert changed_words(parse(["generator.M=48"]).plain()) == ["generator.M=48"]


def test_a_panel_gives_back_its_images_exactly(tmp_path):
    x, x_hat = torch.rand(3, 200, 210), torch.rand(3, 200, 210)
    (found,) = pairs(panel(tmp_path / "panel.png", [PanelRow("cat", x, x_hat, psnr=20.0)]))
    import io

    import numpy as np
    from PIL import Image

    assert found.caption == "cat   20.00 dB"
    for image, png in ((x, found.original), (x_hat, found.reconstruction)):
        assert (np.asarray(Image.open(io.BytesIO(png))) == to_pixels(image)).all()


def test_a_long_curve_is_thinned_and_keeps_its_extremes():
    rows = [{"step": i, "v": 1.0 + (i == 777) * 9 - (i == 4321) * 5} for i in range(5000)]
    found = points(rows, "v")
    assert len(found) <= 600
    assert {(777.0, 10.0), (4321.0, -4.0)} <= set(found)


def test_ticks_are_round_and_a_chart_of_one_point_can_be_drawn():
    assert ticks(0, 1) == [0, 0.5, 1.0]
    assert ticks(-1.1, 1.1) == [-1, 0, 1]
    assert ticks(-4.6e22, 4.6e22) == pytest.approx([-4e22, -2e22, 0, 2e22, 4e22])
    assert log_ticks(0.3, 2700) == pytest.approx([1, 10, 100, 1000])
    assert log_ticks(80, 900) == pytest.approx([100, 200, 500])
    assert log_ticks(0.98, 1.01) == pytest.approx([0.98, 0.99, 1, 1.01])
    one = chart("c", "<t>", series([("a", [(3.0, 0.0)]), ("nothing", [])]), log=True)
    assert not one.log
    assert len(one.series) == 1
    assert "&lt;t&gt;" in one.svg


def test_a_divergence_does_not_hide_the_other_curves_and_is_named():
    usual = [(float(i), float(i % 5)) for i in range(20)]
    gone = [(0.0, 1.0), (1.0, -4e22)]
    one = chart("c", "logit gap", series([("a", usual), ("b", gone)]))
    assert one.limits == (0, 4)
    assert one.beyond == "Leaves the range of the linear scale: b (to -4.0e+22)."
    heights = re.findall(r"[\d.]+,([\d.]+)", one.svg)
    assert heights
    assert all(0 <= float(y) <= 300 for y in heights)
    assert chart("c", "logit gap", series([("a", usual)])).limits is None


def test_a_curve_keeps_its_colour_where_others_have_no_points():
    assert [(one.name, one.colour) for one in series([("a", []), ("b", [(1.0, 1.0)])])] == [("b", 1)]
