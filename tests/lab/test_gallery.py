"""The gallery: every figure is written twice, its numbers are those of the theory, the script refuses what it must."""

import runpy
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from gcn.lab.ensemble import play
from gcn.lab.gallery import (
    FIGURES,
    adaptive,
    damping,
    dimensions,
    discrete,
    drawing,
    equilibria,
    losses,
    opening,
    pulls,
)
from gcn.lab.gallery.adaptive import adam_paths
from gcn.lab.gallery.damping import EQUIVALENT, measured_rates, rate_over
from gcn.lab.gallery.dimensions import FORMULAS, SINGULAR, mode_spectra, uniform_spectra
from gcn.lab.gallery.drawing import field
from gcn.lab.gallery.games import LOSSES, arena, decay, eigenvalues, flows, numbers, repeated, roots

CHEAP = ("uniform", "relativistic", "missing_square")
SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "figures.py"))


def check(path):
    """A figure lies at ``path`` as PNG and as SVG."""
    page = Image.open(path.with_name(f"{path.name}.png")).convert("RGB")
    assert min(page.size) > 450
    assert len(page.getcolors(2**24)) > 100
    svg = path.with_name(f"{path.name}.svg").read_text(encoding="utf-8")
    assert ET.fromstring(svg).tag.endswith("svg")
    assert "<dc:date>" not in svg


@pytest.mark.parametrize("name", CHEAP)
def test_a_figure_is_written_twice(tmp_path, name):
    before = dict(matplotlib.rcParams)
    path = tmp_path / "deep" / name
    assert FIGURES[name](path) == path
    assert sorted(file.name for file in path.parent.iterdir()) == [f"{name}.png", f"{name}.svg"]
    assert dict(matplotlib.rcParams) == before
    check(path)


@pytest.fixture
def coarse(monkeypatch):
    """Few points a curve: whether a figure is written does not depend on them; its numbers are tested below."""

    def rough(game, starts, duration, dt=0.1):
        return flows(game, starts, duration, max(dt, duration / 40))

    def short(game, starts, steps, every=1):
        return play(game, starts, -(-steps // (20 * every)) * every, every)

    def sparse(*arguments, density=1.0, **options):
        field(*arguments, density=0.15, **options)

    monkeypatch.setattr(drawing, "field", sparse)

    for module in (damping, dimensions, equilibria, opening):
        monkeypatch.setattr(module, "flows", rough)
    for module in (equilibria, losses):
        monkeypatch.setattr(module, "play", short)
    monkeypatch.setattr(adaptive, "adam_paths", lambda: adam_paths(steps=1000))
    monkeypatch.setattr(opening, "UPDATES", 50)
    monkeypatch.setattr(discrete, "SIDE", 20)
    monkeypatch.setattr(losses, "DURATION", 40.0)


@pytest.mark.slow
@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("name", [name for name in FIGURES if name not in CHEAP])
def test_the_rest_of_the_gallery_is_written(tmp_path, name):
    check(FIGURES[name](tmp_path / name))


def test_an_svg_changes_only_with_its_figure(tmp_path):
    for name in ("a", "b"):
        FIGURES["uniform"](tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_every_figure_is_named_by_its_function():
    assert all(draw.__name__ == name for name, draw in FIGURES.items())


# the numbers that the figures show


@pytest.mark.parametrize("method", EQUIVALENT)
@pytest.mark.parametrize("mu", [0.2, 0.9])
def test_four_methods_have_one_spectrum(method, mu):
    found = eigenvalues(arena("ns", **EQUIVALENT[method](mu, 0.5)))
    assert found == pytest.approx(roots(-np.array([mu]), np.array([mu**2 - 0.25])), abs=1e-9)


def test_rates_of_trajectories_are_those_of_the_slow_mode():
    weights = np.array([0.2, 0.4, 1.0, 2.0, 4.0])
    expected = weights - np.sqrt(np.maximum(weights**2 - 0.25, 0))
    assert measured_rates("ns", weights.tolist()) == pytest.approx(expected, rel=0.02)


def test_a_penalty_makes_an_overdamped_distortion_nine_times_faster():
    slow, fast = rate_over(numbers(2.0, 2.0), numbers(0.0, 0.5))
    assert slow == pytest.approx(0.0635, abs=5e-5)
    assert fast == pytest.approx(0.573, abs=5e-4)


@pytest.mark.parametrize("psi", [-1.0, 0.0, 1.0])
def test_what_the_generator_pays_for_the_norm_of_a_gradient_is_a_distortion(psi):
    theta = np.array([-1.3, 0.4, 2.0])
    points = numbers(*theta, *np.full(3, psi)).reshape(2, 3).T
    paid = pulls.paid("grad_norm", 1.7, points).numpy()
    assert paid == pytest.approx(1.7 * (theta / (1 + np.exp(-psi * theta))) ** 2, rel=1e-12)


@pytest.mark.parametrize("method", ["consensus", "jare", "sga"])
def test_what_damps_both_players_leaves_the_rotation(method):
    assert pulls.spectrum_of(method, 8.0) == pytest.approx([-2 + 0.5j, -2 - 0.5j], abs=1e-6)


def test_the_additions_pull_where_the_figure_says():
    at = numbers(0.01, 0.02)[None]
    added = {method: pulls.addition(method, at)[0].numpy() for method in pulls.WEIGHTS}
    expected = {"mse": (-0.5, 0), "grad_norm": (-0.5, 0), "r1": (0, -0.5)}
    for method, found in added.items():
        assert found / at[0].numpy() == pytest.approx(expected.get(method, (-0.25, -0.25)), abs=0.02), method


def test_offsets_of_a_one_centred_penalty_are_those_of_the_formula():
    penalty, weights = np.array([0.3, 2.0]), np.array([0.5, 1.5])
    expected = 2 * penalty[:, None] / (1 + 4 * penalty[:, None] * weights)
    assert equilibria.settled_offsets("wgan", penalty, weights) == pytest.approx(expected, abs=1e-8)


def test_modes_are_games_of_their_own_and_the_kernel_feels_the_penalty_alone():
    weights = np.array([0.3, 1.5])
    spectra, kernel = mode_spectra(weights)
    expected = np.stack([roots(-weights, weights**2 - s**2) for s in SINGULAR], axis=1)
    assert spectra == pytest.approx(expected, abs=1e-9)
    assert kernel == pytest.approx([0, 0])
    assert mode_spectra(weights, gamma=0.4)[1] == pytest.approx([-0.4, -0.4])


@pytest.mark.parametrize("method", FORMULAS)
def test_the_uniform_example(method):
    mean, square, end, _ = FORMULAS[method]
    weights = np.array([0.4, 1.3]) * end
    assert uniform_spectra(method, weights) == pytest.approx(roots(mean(weights), square(weights)), abs=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_forces_of_relativistic_losses_and_their_critical_weights(name):
    alone, pair, average, total = (losses.force(name, kind) for kind in losses.PAIRINGS)
    doubled = 2 if name == "lsgan" else 1
    assert (pair, average, total) == pytest.approx((doubled * alone, doubled * alone, 2 * doubled * alone))
    assert losses.critical_weight(name, "average") == pytest.approx(average, abs=1e-5)


@pytest.mark.parametrize("rule", discrete.MADE)
def test_critical_step_sizes_played_and_in_closed_form(rule):
    """The measured growth is the closed one, and where there is a formula for the critical step it changes its sign."""
    mu = np.array([0.1, 0.25, 1.0, 2.0])
    found = discrete.critical(rule, mu)
    if found is not None:
        around = discrete.closed_growth(rule, mu, np.concatenate([0.99 * found, 1.01 * found]))
        assert (np.diagonal(around[: len(mu)]) < 0).all()
        assert (np.diagonal(around[len(mu) :]) > 0).all()
    weights, steps = np.meshgrid(mu, [0.15, 0.6, 1.1, 1.7, 3.1])
    played = discrete.growth(rule, numbers(*weights.ravel()), numbers(*steps.ravel()))
    closed = discrete.closed_growth(rule, mu, steps[:, 0]).ravel()
    slow = abs(closed) < 0.4
    assert slow.sum() >= 8
    assert played[slow] == pytest.approx(closed[slow], abs=0.01)
    assert (np.sign(played) == np.sign(closed)).all()


def test_the_flow_of_the_bilinear_game_circles_and_descent_does_not():
    ends = {name: float(drawing.radius(path)[-1]) for name, path in discrete.bilinear_paths().items()}
    grown = 1.01 ** (discrete.UPDATES / 2)
    assert ends["flow"] == pytest.approx(1, abs=1e-5)
    assert ends["simultaneous"] == pytest.approx(grown, rel=1e-9)
    assert ends["alternating"] == pytest.approx(1, abs=0.06)
    assert max(ends["extragradient"], ends["optimistic"]) < 0.23


def test_several_players_move_their_shares_as_they_would_alone():
    """Nine Adams at once: a player's games are those that it would play by itself."""
    together = adaptive.adam_paths(steps=60, every=60)[-1]
    for i in (0, len(adaptive.BETAS) - 1):
        betas = adaptive.BETAS[i]
        mse, r1 = (numbers(*values) for values in zip(*adaptive.ARMS.values(), strict=True))
        game = arena("ns", mse=mse, r1=r1).moved_by(lambda p, b=betas: adaptive.Adam(p, adaptive.LR, b))
        path = adaptive.play(game, repeated((1.0, 1.0), len(mse)), 60)[-1]
        assert together[i] == pytest.approx(drawing.radius(path), rel=1e-12)


def test_the_flow_converges_at_fourth_order_and_decay_reads_its_rate():
    game, start = arena("ns", mse=2.0), repeated((1e-4, 1e-4), 1)
    times, fine = flows(game, start, 20.0, 0.05)
    _, coarse = flows(game, start, 20.0, 0.2)
    assert coarse[-1].numpy() == pytest.approx(fine[-1].numpy(), rel=1e-4)
    assert decay(times, drawing.radius(fine)) == pytest.approx([0.0635], abs=2e-4)


# the script


def run(*words):
    return SCRIPT["main"](list(words))


def test_the_script_draws_what_it_is_asked_for(tmp_path, capfd):
    assert run("uniform", f"out={tmp_path}") == 0
    check(tmp_path / "uniform")
    out, err = capfd.readouterr()
    assert out.startswith("uniform")
    assert "Traceback" not in err


def test_help_names_every_figure(capfd):
    assert run("--help") == 0
    out = capfd.readouterr().out
    assert all(name in out for name in FIGURES)


@pytest.mark.parametrize(
    "words",
    [
        ("circle",),
        ("uniform", "nothing_like_it"),
        ("out=",),
        (f"out={__file__}",),
        (f"out={__file__}/below",),
    ],
)
def test_the_script_refuses_in_one_line(words, capfd):
    assert run(*words) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
