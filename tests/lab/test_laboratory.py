"""``scripts/lab.py`` from its words to its folder."""

import csv
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gcn.commands.hydra_command import main
from gcn.commands.lab import run
from gcn.config.offered import LAB, stamp
from gcn.config.parse import parse
from gcn.errors import InputError

pytestmark = pytest.mark.usefixtures("coarse_figures")


@pytest.fixture(autouse=True)
def few_updates(monkeypatch):
    """Exponents, which cost the most, from few updates."""
    monkeypatch.setattr("gcn.lab.examine.UPDATES", 10)


@pytest.fixture
def script(tmp_path, monkeypatch, capfd):
    """Run the script in an empty folder; returns (status, record or None, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lab.py"])
    stamp.cache_clear()

    def call(*words):
        status = main([*words, "hydra.run.dir=here"], root=LAB)
        _, err = capfd.readouterr()
        assert "Traceback" not in err
        path = Path("here", "lab.json")
        return status, json.loads(path.read_text()) if path.exists() else None, err

    return call


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """What the script does with its words once they are checked, by default without its figure; returns the record."""
    monkeypatch.chdir(tmp_path)

    def call(*words, folder="here", figure="false"):
        cfg = parse([*words, f"figure={figure}"], root=LAB)
        cfg["run_dir"] = folder
        Path(folder).mkdir(exist_ok=True)
        return run(cfg)

    return call


def table(path):
    with Path(path).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def is_drawn(path):
    """Whether ``path.png`` shows something in colour, and ``path.svg`` is the same figure in full."""
    page = np.asarray(Image.open(f"{path}.png").convert("RGB"))
    svg = Path(f"{path}.svg").read_text(encoding="utf-8")
    return (np.ptp(page, axis=2) > 30).mean() > 1e-3 and svg.startswith("<?xml") and len(svg) > 5_000


def test_a_run_leaves_its_record_its_path_and_its_figure(script, lab, monkeypatch):
    """Those of the script are, byte for byte, those of its words in another folder."""
    monkeypatch.setattr("gcn.lab.figure.MESH", 7)
    words = "loss=ns", "mse=1", "optimizer.lr=0.5", "steps=100"
    status, record, _ = script(*words)
    assert status == 0
    assert record["eigenvalues"] == [
        pytest.approx([-0.1340, 0], abs=1e-4),
        pytest.approx([-1.8660, 0], abs=1e-4),
    ]
    for found, formula in zip(record["eigenvalues"], record["closed_form"], strict=True):
        assert found == pytest.approx(formula, abs=1e-9)
    assert record["converged"] is True
    assert len(record["discrete_eigenvalues"]) == 2
    rows = table("here/trajectory.csv")
    assert len(rows) == 101
    assert [float(rows[-1][name]) for name in record["parameters"]] == record["final"]
    assert is_drawn("here/lab")
    assert not list(Path("here").glob("*.part"))
    lab(*words, folder="there", figure="true")
    for name in ("lab.svg", "lab.png", "lab.json", "trajectory.csv"):
        assert Path("here", name).read_bytes() == Path("there", name).read_bytes()


def test_without_a_distortion_it_circles(lab):
    record = lab("loss=vanilla", "dynamics=flow", "steps=60")  # half a turn
    assert (record["outcome"], record["converged"]) == ("persisting", False)
    assert record["distance"] == pytest.approx(1.0)
    assert record["rotation_index"] == pytest.approx(1.0)
    assert record["continuous_time"] is True


def test_the_exponent_at_rest_and_along_the_trajectory(lab, monkeypatch):
    monkeypatch.setattr("gcn.lab.examine.UPDATES", 60)
    record = lab("loss=ns", "mse=1", "optimizer.lr=0.3", "steps=60")
    assert record["exponent"] == record["exponents"][0]
    assert record["exponent"] == pytest.approx(math.log(record["spectral_radius"]), abs=1e-3)
    assert record["exponent_trajectory"]["value"] == pytest.approx(record["exponent"], abs=1e-3)
    monkeypatch.setattr("gcn.lab.examine.UPDATES", 10)
    record = lab("loss=ns", "optimizer=adam", "steps=20")
    assert record["exponent"] is None
    assert record["exponent_trajectory"]["low"] < record["exponent_trajectory"]["high"]
    record = lab("loss=ns", "dynamics=flow", "steps=5")
    assert record["exponent"] is record["exponent_trajectory"] is None


def test_the_lossy_game_of_the_readme(lab):
    record = lab("game=lossy", "loss=vanilla", "mse=0.6", "steps=5")
    assert record["eigenvalues"][0][0] == pytest.approx(0.12)  # 2m²μ² - μ
    assert record["equilibrium"] == pytest.approx([0.0, -2.4])


def test_what_has_no_spectrum_says_so(lab):
    record = lab("loss=wgan", "gp=1", "steps=5")
    assert record["eigenvalues"] is record["closed_form"] is record["discrete_eigenvalues"] is None
    assert "kink" in record["equilibrium_note"]


def test_phase_locus_and_film(lab, monkeypatch):
    monkeypatch.setattr("gcn.lab.sweep.SIDE", 8)
    monkeypatch.setattr("gcn.lab.sweep.POINTS", 11)
    monkeypatch.setattr("gcn.lab.figure.MESH", 7)
    lab("steps=5", "mse=0.5", "phase=mse", "locus=mse", "animate=true")
    assert is_drawn("here/phase")
    assert is_drawn("here/locus")
    assert Image.open("here/lab.gif").n_frames == 6
    assert Path("here/lab.gif").stat().st_size > 5_000


def test_bad_input_is_one_line_and_leaves_nothing(script):
    status, record, err = script("start=[1,2,3]")
    assert (status, record) == (2, None)
    assert "2 numbers, θ, ψ" in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not Path("here").exists()
    assert script("steps=3", "figure=false")[0] == 0  # the folder is free


# games in the plane


def test_a_game_in_the_plane_leaves_curves_and_means_over_its_seeds(lab, monkeypatch):
    monkeypatch.setattr("gcn.lab.plane.plane_spectrum.PRODUCTS", 10)
    monkeypatch.setattr("gcn.lab.plane.plane_spectrum.PROBES", 2)
    words = "steps=5", "seeds=2", "game.width=8", "game.batch=16", "game.compared=64"
    record = lab("game=ring", "loss=hinge", "r1=1", *words, figure="true")
    assert (record["seeds"], record["updates"], record["diverged"]) == ([0, 1], 5, [])
    assert set(record["recovered"]) == {"mean", "half_interval", "late_mean", "each"}
    assert record["recovered"]["mean"] == pytest.approx(sum(record["recovered"]["each"]) / 2)
    assert len(record["discrete_eigenvalues"]) >= 6  # of the first game
    rows = table("here/curves.csv")
    assert [row["seed"] for row in rows[:2]] == ["0", "1"]
    last = [float(row["good"]) for row in rows[-2:]]
    assert record["good"]["mean"] == pytest.approx(sum(last) / 2)
    assert is_drawn("here/lab")


def test_the_plane_begins_with_networks_and_more_updates(script):
    status, *_ = script("game=ring", "--cfg", "job")
    assert status == 0
    assert parse([], root=LAB).steps == 500
    cfg = parse(["game=ring"], root=LAB)
    assert (cfg.steps, cfg.choices.optimizer, cfg.optimizer.lr) == (4000, "networks", 1e-3)
    assert parse(["game=ring", "steps=7", "optimizer=sgd"], root=LAB).choices.optimizer == "sgd"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("phase=mse", "set mse=1 too"), ("locus=foo", "which has adv"),
        ("game=ring phase=adv", "phase"), ("game=ring animate=true", "animate"), ("seeds=2", "game=ring"),
        ("spectrum=false", "game=ring"),
        ("game=ring mse=1", "autoencoder"), ("game=ring dynamics=flow", "continuous time"),
    ],
)  # fmt: skip
def test_what_a_game_does_not_have_is_refused(lab, words, says):
    with pytest.raises(InputError, match=says) as refused:
        lab(*words.split())
    assert "\n" not in str(refused.value)
    assert not list(Path().rglob("*.*"))


# what a fresh pair of eyes tried


@pytest.mark.parametrize("words", ["adv=0", "adv=0 r1=1", "mse=1 adv=0 dynamics=flow"])
def test_an_adversary_of_weight_0_still_has_a_spectrum(lab, words):
    record = lab(*words.split(), "steps=5")
    for found, formula in zip(record["eigenvalues"], record["closed_form"], strict=True):
        assert found == pytest.approx(formula, abs=1e-9)


def test_a_locus_may_begin_where_nothing_is_paid(lab, monkeypatch):
    monkeypatch.setattr("gcn.lab.sweep.SIDE", 6)
    monkeypatch.setattr("gcn.lab.sweep.POINTS", 5)
    lab("locus=adv", "phase=adv", "steps=5")
    assert is_drawn("here/locus")
    assert is_drawn("here/phase")


def test_one_update_is_a_run(lab):
    assert lab("steps=1")["updates"] == 1


def test_a_field_that_jumps_has_no_flow(script, lab, monkeypatch):
    monkeypatch.setattr("gcn.lab.analysis.MOST_CALLS", 120)
    flow = "dynamics=flow", "start=[2,2]", "steps=10"
    lab("loss=ns", *flow, folder="smooth")
    status, record, err = script("loss=hinge", *flow, "figure=false")
    assert (status, record) == (2, None)
    assert "the field jumps" in err
    assert not Path("here").exists()


def test_a_penalty_with_a_kink_has_no_locus(lab):
    with pytest.raises(InputError, match="no smooth equilibrium"):
        lab("gp=1", "locus=gp")


def test_the_step_size_of_d_is_in_every_spectrum(lab):
    """-μ ± √(μ² - kp²): with k = 4 the game rotates at a μ above p."""
    record = lab("mse=0.6", "optimizer.ratio=4", "steps=5")
    expected = [[-0.6, 0.8], [-0.6, -0.8]]
    for name in ("eigenvalues", "closed_form"):
        for found, value in zip(record[name], expected, strict=True):
            assert found == pytest.approx(value, abs=1e-9)


def test_random_noise_is_the_same_for_all_points_of_an_analysis(lab):
    words = "instance_noise=0.5", "mse=0.2", "steps=5"
    record, exact = lab(*words, "sampling=random", "samples=4096"), lab(*words)
    assert record["equilibrium_note"] == ""
    for found, value in zip(record["eigenvalues"], exact["eigenvalues"], strict=True):
        assert found == pytest.approx(value, abs=0.03)


def test_a_level_of_noise_for_each_sample_is_drawn_at_random_or_refused(lab):
    words = "instance_noise=1", "terms.instance_noise.per_image=true", "mse=0.2", "steps=5"
    says = "per_image=true: the two-point rule has one level of noise for all samples; add sampling=random"
    with pytest.raises(InputError, match=says):
        lab(*words)
    record = lab(*words, "sampling=random", "samples=4096")
    for found, value in zip(record["eigenvalues"], record["closed_form"], strict=True):
        assert found == pytest.approx(value, abs=0.03)


def test_a_far_start_has_not_converged_because_it_came_nearer(lab):
    record = lab("start=[1e4,-1e4]", "optimizer.lr=0.5", "steps=50")
    assert record["distance"] < 0.001
    assert abs(record["final"][1]) > 1
    assert record["converged"] is False


def test_shuffled_pairs_are_refused(lab):
    with pytest.raises(InputError, match="choose pair or average"):
        lab("relativistic=pair_shuffled")


def test_an_adaptive_optimizer_says_that_its_spectrum_is_of_a_moment(lab):
    record = lab("optimizer=adam", "mse=0.5", "steps=5")
    assert "frozen" in record["discrete_note"]
