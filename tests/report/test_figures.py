import math
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from processes import Forked

from gcn.metrics.stability import Verdict
from gcn.report.colour_scales import coloured
from gcn.report.plots import PanelRow, panel, to_pixels
from gcn.report.run_curves import curves


def image(height, width, seed=0):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def page(path):
    return np.array(Image.open(path).convert("RGB"))


def find(tile, where):
    """All places (row, column) at which a tile stands in a page, pixel for pixel."""
    height, width = tile.shape[:2]
    corners = np.argwhere((where[: -height + 1, : -width + 1] == tile[0, 0]).all(-1))
    return [(y, x) for y, x in corners if np.array_equal(where[y : y + height, x : x + width], tile)]


@pytest.mark.parametrize("d_map", [None, torch.zeros(3, 4)])
def test_tiles_are_the_pixels_of_the_images(tmp_path, d_map):
    rows = [
        PanelRow(
            f"image {seed}", image(200, 256, seed), image(200, 256, seed + 10) * 1.6 - 0.3, d_map, 25.0, 0.27
        )
        for seed in range(2)
    ]
    drawn = page(panel(tmp_path / "deep" / "panel.png", rows, "step 7"))
    for row in rows:
        assert len(find(to_pixels(row.x), drawn)) == 1
        assert len(find(to_pixels(row.x_hat), drawn)) == 1


def test_pixels_are_clamped_and_rounded():
    x = torch.tensor([-1.0, 0.5, 2.0]).view(3, 1, 1)
    assert to_pixels(x).tolist() == [[[0, 128, 255]]]


def test_small_images_are_magnified_by_a_whole_number(tmp_path):
    x = image(64, 48)
    drawn = page(panel(tmp_path / "panel.png", [PanelRow("a", x, x)]))
    assert len(find(to_pixels(x).repeat(3, 0).repeat(3, 1), drawn)) == 2


def test_images_of_different_sizes_share_a_panel(tmp_path):
    rows = [
        PanelRow("a", image(256, 192), image(256, 192, 1)),
        PanelRow("b", image(100, 256, 2), image(100, 256, 3)),
    ]
    drawn = page(panel(tmp_path / "panel.png", rows))
    assert all(len(find(to_pixels(part), drawn)) == 1 for row in rows for part in (row.x, row.x_hat))


def test_the_error_has_a_fixed_scale(tmp_path):
    """An error of 8 grey levels looks the same beside an error of 64 as alone."""
    x = torch.full((3, 192, 192), 100 / 255)
    small, large = PanelRow("small", x, x + 8 / 255), PanelRow("large", x, x + 64 / 255)
    alone, beside = page(panel(tmp_path / "a.png", [small])), page(panel(tmp_path / "b.png", [small, large]))
    right = slice(12 + 2 * 202 + 10, 12 + 2 * 202 + 180)
    assert np.array_equal(alone[60:200, right], beside[60:200, right])
    assert len(np.unique(alone[60:200, right].reshape(-1, 3), axis=0)) == 1


def test_logits_have_a_fixed_symmetric_scale(tmp_path):
    x = torch.zeros(3, 192, 192)
    logits = torch.tensor([[0.0, 4.0], [-4.0, 40.0]])
    drawn = page(panel(tmp_path / "a.png", [PanelRow("a", x, x, logits)]))
    tile = drawn[34 : 34 + 192, 12 + 3 * 202 : 12 + 3 * 202 + 192].astype(int)
    zero, real, fake, beyond = (tile[y, x] for y, x in ((48, 48), (48, 144), (144, 48), (144, 144)))
    assert zero.min() > 240  # white
    assert real[2] > real[0]  # blue
    assert fake[0] > fake[2]  # red
    assert np.array_equal(beyond, real)


def test_a_panel_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one row"):
        panel(tmp_path / "panel.png", [])


def record(steps):
    rng = np.random.default_rng(0)
    names = [
        "train/g/mse", "train/g/adv", "train/d/adv", "train/g/total", "train/d/logit_real",
        "train/d/logit_fake",
        "train/d/logit_gap", "train/g/grad_norm", "train/d/grad_norm", "train/psnr", "train/g/cosine/mse-adv",
        "val/psnr", "val/bpp", "val/swd", "val/jitter",
    ]  # fmt: skip
    return [{"step": 10 * k} | {name: float(rng.normal()) for name in names} for k in range(steps)]


VERDICT = Verdict("diverged", 10, "train/g/total ran away, " + "which takes many words to explain " * 6, {})


@pytest.mark.parametrize(
    "rows",
    [record(300), [{"step": k, "train/g/mse": 10.0 ** (10 * k)} for k in range(20)]],
    ids=["long", "enormous"],
)
@pytest.mark.filterwarnings("error")
def test_curves_of_any_record_have_room(tmp_path, rows):
    path = curves(tmp_path / "run" / "curves.png", rows, VERDICT)
    assert page(path).std() > 0


@pytest.mark.parametrize(
    "rows",
    [
        [],
        record(1),
        [
            {"step": 1, "train/g/mse": math.nan, "val/psnr": None, "train/g/grad_norm": 0.0},
            {"step": 2, "val/psnr": math.inf, "train/g/grad_norm": 0.0},
        ],
    ],
    ids=["nothing", "one row", "nan and zeros"],
)
@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("coarse_figures")
def test_curves_of_records_with_little_to_draw(tmp_path, rows):
    path = curves(tmp_path / "run" / "curves.png", rows, VERDICT)
    assert page(path).std() > 0


@pytest.fixture
def figure(tmp_path, monkeypatch):
    """Draws rows and gives the figure of matplotlib as it was written."""
    kept = []

    def keep(figure, path):
        kept.append(figure)
        return path

    def draw(rows, verdict=None):
        monkeypatch.setattr("gcn.report.run_curves.save_png", keep)
        curves(tmp_path / "curves.png", rows, verdict)
        return kept.pop()

    return draw


def test_a_curve_is_drawn_where_its_values_are(figure):
    rows = [
        {"step": k, "train/d/logit_real": 1.0 if k < 2 else math.nan, "val/bpp": 0.1 * k} for k in range(4)
    ]
    *plots, rate = figure(rows).axes[:7]
    (logits,) = plots[1].lines
    assert logits.get_xydata().tolist() == [[0, 1], [1, 1]]
    assert rate.lines[0].get_ydata().tolist() == [row["val/bpp"] for row in rows]
    assert {axes.get_xlim() for axes in (*plots, rate)} == {plots[0].get_xlim()}  # one range of updates


def test_names_of_curves_cover_none_of_them(figure):
    drawn = figure(
        [{"train/g/a_distortion_with_a_long_name": float(k)} | row for k, row in enumerate(record(2))]
    )
    drawn.draw_without_rendering()
    legends = [axes.get_legend() for axes in drawn.axes if axes.get_legend()]
    assert len(legends) == 4
    whole = drawn.bbox
    for legend in legends:
        own, plot = legend.get_window_extent(), legend.axes.get_window_extent()
        assert own.x0 >= plot.x1 - 1
        assert own.x1 <= whole.x1
        for other in drawn.axes:
            assert other is legend.axes or not own.overlaps(other.get_window_extent())


def test_the_step_of_a_failure_is_marked(figure):
    rows = record(20)
    failed = figure(rows, Verdict("diverged", 110, "a term ran away", {}))
    stable = figure(rows, Verdict("stable", 110, "nothing went wrong", {}))
    marks = [
        [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"] for axes in failed.axes
    ]
    assert marks == [[110]] * 6 + [[]] * 2  # the axes on the right have none of their own
    assert not [line for axes in stable.axes for line in axes.lines if line.get_linestyle() == ":"]
    assert failed.get_suptitle() == "diverged, step 110: a term ran away"


def test_the_colours_are_those_of_matplotlib():
    from matplotlib import colormaps

    at = np.linspace(-0.1, 1.1, 999)
    for name, far in (("magma", 0), ("RdBu", 1)):
        theirs = colormaps[name](at, bytes=True)[..., :3].astype(int)
        assert abs(coloured(at, name).astype(int) - theirs).max() <= far


LATE = ("matplotlib", "rich", "wandb", "lightning", "hydra")


def panel_without_them(path):
    """Import the project again where these libraries cannot be imported, and draw a panel."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("gcn", *LATE)]:
        del sys.modules[name]
    sys.modules.update(dict.fromkeys(LATE))
    import gcn.report.summary
    import gcn.report.wandb_log  # noqa: F401
    from gcn.report.plots import PanelRow, panel

    x = torch.zeros(3, 32, 32)
    panel(path, [PanelRow("a", x, x, torch.zeros(2, 2))])


def test_a_panel_is_drawn_without_matplotlib_which_is_imported_late(tmp_path):
    drawing = Forked(panel_without_them, str(tmp_path / "panel.png"))
    _, problem = drawing.communicate(300)
    assert drawing.returncode == 0, problem
    assert (tmp_path / "panel.png").is_file()
