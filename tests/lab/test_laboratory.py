"""``scripts/lab.py`` from its words to its folder."""

import csv
import json
import math
import sys
from pathlib import Path

import pytest

from gcn.commands.hydra_command import main
from gcn.config.offered import LAB, stamp
from gcn.config.parse import parse


@pytest.fixture
def lab(tmp_path, monkeypatch, capfd):
    """Run the script in an empty folder, without its slow figure; returns (status, record or None, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lab.py"])
    stamp.cache_clear()

    def run(*words, folder="here", drawn=False, updates=10):
        with monkeypatch.context() as patch:
            patch.setattr("gcn.lab.examine.UPDATES", updates)
            if not drawn:
                patch.setattr("gcn.commands.lab.portrait", lambda *_: None)
            status = main([*words, f"hydra.run.dir={folder}"], root=LAB)
        _, err = capfd.readouterr()
        assert "Traceback" not in err
        path = Path(folder, "lab.json")
        return status, json.loads(path.read_text()) if path.exists() else None, err

    return run


def table(path):
    with Path(path).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_its_record_its_path_and_its_figure(lab):
    status, record, _ = lab("loss=ns", "+mse=1", drawn=True)
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
    assert len(rows) == 501
    assert [float(rows[-1][name]) for name in record["parameters"]] == record["final"]
    assert Path("here/lab.png").stat().st_size > 20_000
    assert Path("here/lab.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert not list(Path("here").glob("*.part"))


def test_without_a_distortion_it_circles(lab):
    _, record, _ = lab("loss=vanilla", "dynamics=flow", "steps=150")  # 1.2 turns
    assert (record["outcome"], record["converged"]) == ("persisting", False)
    assert record["rotation_index"] == pytest.approx(1.0)
    assert record["continuous_time"] is True


def test_the_exponent_at_rest_and_along_the_trajectory(lab):
    _, record, _ = lab("loss=ns", "+mse=1", "optimizer.lr=0.3", "steps=60", updates=60)
    assert record["exponent"] == record["exponents"][0]
    assert record["exponent"] == pytest.approx(math.log(record["spectral_radius"]), abs=1e-3)
    assert record["exponent_trajectory"]["value"] == pytest.approx(record["exponent"], abs=1e-3)
    _, record, _ = lab("loss=ns", "optimizer=adam", "steps=50", folder="adam")
    assert record["exponent"] is None
    assert record["exponent_trajectory"]["low"] < record["exponent_trajectory"]["high"]
    _, record, _ = lab("loss=ns", "dynamics=flow", "steps=20", folder="flow")
    assert record["exponent"] is record["exponent_trajectory"] is None


def test_the_lossy_game_of_the_readme(lab):
    _, record, _ = lab("game=lossy", "loss=vanilla", "+mse=0.6", "steps=20")
    assert record["eigenvalues"][0][0] == pytest.approx(0.12)  # 2m²μ² - μ
    assert record["equilibrium"] == pytest.approx([0.0, -2.4])


def test_what_has_no_spectrum_says_so(lab):
    _, record, _ = lab("loss=wgan", "+gp=1", "steps=20")
    assert record["eigenvalues"] is record["closed_form"] is record["discrete_eigenvalues"] is None
    assert "kink" in record["equilibrium_note"]


def test_phase_locus_and_film(lab, monkeypatch):
    monkeypatch.setattr("gcn.lab.sweep.SIDE", 8)
    monkeypatch.setattr("gcn.lab.sweep.POINTS", 21)
    monkeypatch.setattr("gcn.lab.figure.MESH", 7)
    status, *_ = lab("steps=20", "mse=0.5", "phase=mse", "locus=mse", "animate=true")
    assert status == 0
    for name in ("phase.png", "phase.svg", "locus.png", "locus.svg", "lab.gif"):
        assert Path("here", name).stat().st_size > 5_000, name


def test_bad_input_is_one_line_and_leaves_nothing(lab):
    for word, says in (
        ("start=[1,2,3]", "2 numbers, θ, ψ"), ("phase=mse", "set mse=1 too"), ("locus=foo", "which has adv")
    ):  # fmt: skip
        status, record, err = lab(word)
        assert (status, record) == (2, None)
        assert says in err
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert not Path("here").exists()
    assert lab("steps=3")[0] == 0  # the folder is free


@pytest.mark.usefixtures("coarse_figures")
def test_the_figure_depends_on_the_words_alone(lab, monkeypatch):
    monkeypatch.setattr("gcn.lab.figure.MESH", 7)
    for folder in ("a", "b"):
        lab("steps=20", "mse=0.5", folder=folder, drawn=True)
    for name in ("lab.svg", "lab.json", "trajectory.csv"):
        assert Path("a", name).read_bytes() == Path("b", name).read_bytes()


# games in the plane


def test_a_game_in_the_plane_leaves_curves_and_means_over_its_seeds(lab):
    words = ["game=ring", "loss=hinge", "+r1=1", "steps=20", "seeds=2", "game.width=8", "game.batch=16"]
    status, record, _ = lab(*words)
    assert status == 0
    assert (record["seeds"], record["updates"], record["diverged"]) == ([0, 1], 20, [])
    assert set(record["recovered"]) == {"mean", "half_interval", "late_mean", "each"}
    assert record["recovered"]["mean"] == pytest.approx(sum(record["recovered"]["each"]) / 2)
    rows = table("here/curves.csv")
    assert [row["seed"] for row in rows[:2]] == ["0", "1"]
    last = [float(row["good"]) for row in rows[-2:]]
    assert record["good"]["mean"] == pytest.approx(sum(last) / 2)
    assert Path("here/lab.png").stat().st_size > 20_000


def test_the_plane_begins_with_networks_and_more_updates(lab):
    status, *_ = lab("game=ring", "--cfg", "job")
    assert status == 0
    cfg = parse(["game=ring"], root=LAB)
    assert (cfg.steps, cfg.choices.optimizer, cfg.optimizer.lr) == (4000, "networks", 1e-3)
    assert parse(["game=ring", "steps=7", "optimizer=sgd"], root=LAB).choices.optimizer == "sgd"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("game=ring phase=adv", "phase"), ("game=ring animate=true", "animate"), ("seeds=2", "game=ring"),
        ("spectrum=false", "game=ring"),
        ("game=ring mse=1", "autoencoder"), ("game=ring dynamics=flow", "continuous time"),
    ],
)  # fmt: skip
def test_what_the_plane_and_numbers_do_not_share_is_refused(lab, words, says):
    status, record, err = lab(*words.split())
    assert (status, record) == (2, None)
    assert says in err
    assert err.count("\n") == 1


# what a fresh pair of eyes tried


@pytest.mark.parametrize("words", ["adv=0", "adv=0 r1=1", "mse=1 adv=0 dynamics=flow"])
def test_an_adversary_of_weight_0_still_has_a_spectrum(lab, words):
    status, record, _ = lab(*words.split(), "steps=20")
    assert status == 0
    for found, formula in zip(record["eigenvalues"], record["closed_form"], strict=True):
        assert found == pytest.approx(formula, abs=1e-9)


@pytest.mark.usefixtures("coarse_figures")
def test_a_locus_may_begin_where_nothing_is_paid(lab, monkeypatch):
    monkeypatch.setattr("gcn.lab.sweep.SIDE", 6)
    monkeypatch.setattr("gcn.lab.sweep.POINTS", 11)
    assert lab("locus=adv", "phase=adv", "steps=20")[0] == 0
    assert Path("here/locus.png").exists()


def test_one_update_is_a_run(lab):
    status, record, _ = lab("steps=1")
    assert (status, record["updates"]) == (0, 1)


def test_a_field_that_jumps_has_no_flow(lab, monkeypatch):
    monkeypatch.setattr("gcn.lab.analysis.MOST_CALLS", 400)
    flow = ["dynamics=flow", "start=[2,2]", "steps=40"]
    assert lab("loss=ns", *flow, folder="smooth")[0] == 0
    status, record, err = lab("loss=hinge", *flow)
    assert (status, record) == (2, None)
    assert "the field jumps" in err
    assert not Path("here").exists()


def test_a_penalty_with_a_kink_has_no_locus(lab):
    status, _, err = lab("gp=1", "locus=gp")
    assert status == 2
    assert "no smooth equilibrium" in err


def test_the_step_size_of_d_is_in_every_spectrum(lab):
    """-μ ± √(μ² - kp²): with k = 4 the game rotates at a μ above p."""
    _, record, _ = lab("mse=0.6", "optimizer.ratio=4", "steps=20")
    expected = [[-0.6, 0.8], [-0.6, -0.8]]
    for name in ("eigenvalues", "closed_form"):
        for found, value in zip(record[name], expected, strict=True):
            assert found == pytest.approx(value, abs=1e-9)


def test_random_noise_is_the_same_for_all_points_of_an_analysis(lab):
    _, record, _ = lab("instance_noise=0.5", "mse=0.2", "sampling=random", "samples=4096", "steps=50")
    assert record["equilibrium_note"] == ""
    exact = lab("instance_noise=0.5", "mse=0.2", "steps=50", folder="exact")[1]
    for found, value in zip(record["eigenvalues"], exact["eigenvalues"], strict=True):
        assert found == pytest.approx(value, abs=0.03)


def test_a_level_of_noise_for_each_sample_is_drawn_at_random_or_refused(lab):
    words = "instance_noise=1", "terms.instance_noise.per_image=true", "mse=0.2", "steps=20"
    status, _, err = lab(*words)
    assert status == 2
    assert (
        "per_image=true: the two-point rule has one level of noise for all samples; add sampling=random"
        in err
    )
    _, record, _ = lab(*words, "sampling=random", "samples=4096", folder="random")
    for found, value in zip(record["eigenvalues"], record["closed_form"], strict=True):
        assert found == pytest.approx(value, abs=0.03)


def test_a_far_start_has_not_converged_because_it_came_nearer(lab):
    _, record, _ = lab("start=[1e4,-1e4]")
    assert abs(record["final"][1]) > 1
    assert record["converged"] is False


def test_shuffled_pairs_are_refused(lab):
    status, _, err = lab("relativistic=pair_shuffled")
    assert status == 2
    assert "choose pair or average" in err


def test_an_adaptive_optimizer_says_that_its_spectrum_is_of_a_moment(lab):
    _, record, _ = lab("optimizer=adam", "mse=0.5", "steps=50")
    assert "frozen" in record["discrete_note"]
