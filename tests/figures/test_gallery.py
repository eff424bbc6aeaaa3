"""The figures of docs/theory.md: each is drawn, its numbers are those of the theory, bad words are refused."""

import runpy
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image
from processes import forking

import adaptive
import damping
import densities
import dimensions
import discrete_time
import drawing
import equilibria
import forces
import opening
import parting
import pulls
from damping import EQUIVALENT, measured_rates, rate_over
from dimensions import FORMULAS, SINGULAR, mode_spectra, uniform_spectra
from divergences import Fit
from gallery import FIGURES, draw
from gcn.cli.arguments import read
from gcn.errors import InputError
from gcn.lab.ensemble import play
from gcn.lab.games import Lossy, Quantiser
from small_games import LOSSES, decay, eigenvalues, ensemble, flows, numbers, repeated, roots

FOLDER = Path(__file__).parents[2] / "scripts" / "figures"
SCRIPT = runpy.run_path(str(FOLDER))


def coloured(page):
    """The share of pixels that are neither paper nor axes nor text, which are grey."""
    return (np.ptp(np.asarray(page), axis=2) > 30).mean()


def check(path):
    """A figure lies at ``path`` as PNG and as SVG."""
    page = Image.open(path.with_name(f"{path.name}.png")).convert("RGB")
    assert min(page.size) > 450
    assert page.getpixel((0, 0)) == (255, 255, 255)
    assert coloured(page) > 1e-3
    svg = path.with_name(f"{path.name}.svg").read_text(encoding="utf-8")
    assert ET.fromstring(svg).tag.endswith("svg")
    assert "date" not in svg


def test_a_figure_is_written_twice(tmp_path):
    before = dict(matplotlib.rcParams)
    folder = tmp_path / "deep" / "v1.2"
    for _ in range(2):  # an SVG changes only with its figure
        draw("piles", folder)
        check(folder / "piles")
        (folder / "piles.svg").rename(folder / f"{len(list(folder.iterdir()))}.svg")
    assert sorted(file.name for file in folder.iterdir()) == ["2.svg", "3.svg", "piles.png"]
    assert (folder / "2.svg").read_bytes() == (folder / "3.svg").read_bytes()
    assert dict(matplotlib.rcParams) == before


@pytest.fixture
def coarse(monkeypatch, coarse_pngs):
    """Nothing is played or measured game by game: whether a figure can be drawn does not depend on the numbers.

    These have tests of their own, below.
    """

    def straight(starts, rows):
        return torch.linspace(1, 0.5, rows, dtype=torch.float64)[:, None, None] * starts

    def straight_flow(game, starts, duration, dt=0.1):
        return np.linspace(0, duration, 6), straight(starts, 6)

    def straight_play(game, starts, steps, every=1):
        return straight(starts, 1 + steps // every)

    def spectra(game, games=1):
        return roots(-np.linspace(0.1, 2, games), np.full(games, -1.0))

    for module in (damping, dimensions, equilibria, opening):
        monkeypatch.setattr(module, "flows", straight_flow)
    for module in (equilibria, forces, opening, parting, discrete_time):
        monkeypatch.setattr(module, "play", straight_play)
    for module in (damping, opening):
        monkeypatch.setattr(module, "eigenvalues", spectra)
    monkeypatch.setattr(pulls, "spectrum_of", lambda method, weight: spectra(None)[0])
    monkeypatch.setattr(
        adaptive, "adam_paths", lambda: np.ones((101, len(adaptive.BETAS), len(adaptive.ARMS)))
    )
    monkeypatch.setattr(densities, "fit_gaussian", lambda *_: Fit(0.0, 1.0, 1.0))
    monkeypatch.setattr(discrete_time, "growth", lambda rule, mu, h: np.linspace(-1, 1, len(mu)))
    monkeypatch.setattr(equilibria, "resting", lambda game, after=None: numbers(0.0, -1.0))
    monkeypatch.setattr(equilibria, "abscissa", lambda game: -0.1)
    monkeypatch.setattr(equilibria, "settled_offsets", lambda _, *by: np.ones([len(values) for values in by]))
    monkeypatch.setattr(forces, "force", lambda name, kind: 1.0)
    monkeypatch.setattr(forces, "critical_weight", forces.force)
    monkeypatch.setattr(forces, "long_flow", lambda game, starts, times: straight(starts, len(times)))
    monkeypatch.setattr(opening, "UPDATES", 15)
    monkeypatch.setattr("gcn.lab.examine.UPDATES", 10)
    monkeypatch.setattr(parting, "exponent_of", lambda case: 0.01)


@pytest.mark.slow
@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_can_be_drawn(tmp_path, name):
    draw(name, tmp_path)
    page = Image.open(tmp_path / f"{name}.png").convert("RGB")
    assert coloured(page) > 1e-3


# the numbers that the figures show


@pytest.mark.parametrize("method", EQUIVALENT)
@pytest.mark.parametrize("mu", [0.2, 0.9])
def test_four_methods_have_one_spectrum(method, mu):
    found = eigenvalues(ensemble("ns", **EQUIVALENT[method](mu, 0.5)))
    assert found == pytest.approx(roots(-np.array([mu]), np.array([mu**2 - 0.25])), abs=1e-9)


def test_rates_of_trajectories_are_those_of_the_slow_mode(monkeypatch):
    monkeypatch.setattr(
        damping, "flows", lambda game, starts, duration, dt: flows(game, starts, duration, 0.3)
    )
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


@pytest.mark.parametrize("loss", ["ns", "vanilla"])
def test_in_a_lossy_game_d_keeps_a_slope(loss):
    """At the ends of the figure's range of weights."""
    for mu in (0.05, 1.0):
        slope = -2 * mu * equilibria.M / equilibria.P
        game = ensemble(loss, Lossy(equilibria.M), mse=mu)
        assert equilibria.resting(game).tolist() == pytest.approx([0, slope], abs=1e-8)
        mean = -mu - 0.5 * (0.25 if loss == "ns" else -0.25) * slope**2
        first = roots(np.array([mean]), np.array([mean**2 - equilibria.P**2]))[0, 0]
        assert equilibria.abscissa(game) == pytest.approx(first.real, abs=1e-6)


def test_a_quantised_gaussian_ends_at_the_right_variance():
    small = Quantiser(equilibria.CELLS)
    theta = small.energy**-0.5
    for mu in (0.25, 2.0):
        found = equilibria.resting(ensemble("wgan", small, mse=mu)).tolist()
        assert found == pytest.approx([theta, mu * (theta - 1) / theta], abs=1e-8)


def test_offsets_of_a_one_centred_penalty_are_those_of_the_formula(monkeypatch):
    """Newton's method finds the equilibrium long before the game settles."""
    monkeypatch.setattr(equilibria, "play", lambda game, starts, steps, every: play(game, starts, 100, 100))
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
    alone, pair, average, total = (forces.force(name, kind) for kind in forces.PAIRINGS)
    doubled = 2 if name == "lsgan" else 1
    assert (pair, average, total) == pytest.approx((doubled * alone, doubled * alone, 2 * doubled * alone))
    assert forces.critical_weight(name, "average") == pytest.approx(average, abs=1e-5)


@pytest.mark.parametrize("rule", discrete_time.MADE)
def test_critical_step_sizes_played_and_in_closed_form(rule):
    """The measured growth is the closed one, and where there is a formula for the critical step it changes its sign."""
    mu = np.array([0.1, 0.25, 1.0, 2.0])
    found = discrete_time.critical(rule, mu)
    if found is not None:
        around = discrete_time.closed_growth(rule, mu, np.concatenate([0.99 * found, 1.01 * found]))
        assert (np.diagonal(around[: len(mu)]) < 0).all()
        assert (np.diagonal(around[len(mu) :]) > 0).all()
    weights, steps = np.meshgrid(mu, [0.15, 0.6, 1.1, 1.7, 3.1])
    played = discrete_time.growth(rule, numbers(*weights.ravel()), numbers(*steps.ravel()))
    closed = discrete_time.closed_growth(rule, mu, steps[:, 0]).ravel()
    slow = abs(closed) < 0.4
    assert slow.sum() >= 8
    assert played[slow] == pytest.approx(closed[slow], abs=0.01)
    assert (np.sign(played) == np.sign(closed)).all()


def test_the_flow_of_the_bilinear_game_circles_and_descent_does_not(monkeypatch):
    monkeypatch.setattr(discrete_time, "UPDATES", 40)
    ends = {name: float(drawing.radius(path)[-1]) for name, path in discrete_time.bilinear_paths().items()}
    grown = 1.01 ** (discrete_time.UPDATES / 2)
    assert ends["flow"] == pytest.approx(1, abs=1e-5)
    assert ends["simultaneous"] == pytest.approx(grown, rel=1e-9)
    assert ends["alternating"] == pytest.approx(1, abs=0.06)
    assert ends["extragradient"] == pytest.approx(0.9901 ** (discrete_time.UPDATES / 2), rel=1e-9)
    assert ends["optimistic"] == pytest.approx(ends["extragradient"], rel=0.05)


def test_several_players_move_their_shares_as_they_would_alone():
    """Nine Adams at once: a player's games are those that it would play by itself."""
    together = adaptive.adam_paths(steps=30, every=30)[-1]
    for i in (0, len(adaptive.BETAS) - 1):
        mse, r1 = (numbers(*values) for values in zip(*adaptive.ARMS.values(), strict=True))
        alone = partial(adaptive.Adam, lr=adaptive.LR, betas=adaptive.BETAS[i])
        game = replace(ensemble("ns", mse=mse, r1=r1), optimizer=alone)
        path = adaptive.play(game, repeated((1.0, 1.0), len(mse)), 30)[-1]
        assert together[i] == pytest.approx(drawing.radius(path), rel=1e-12)


def test_the_flow_converges_at_fourth_order_and_decay_reads_its_rate():
    game, start = ensemble("ns", mse=1.0), repeated((1e-4, 1e-4), 1)
    times, fine = flows(game, start, 20.0, 0.4)
    _, coarse = flows(game, start, 20.0, 0.8)
    assert coarse[-1].numpy() == pytest.approx(fine[-1].numpy(), rel=1e-4)
    assert decay(times, drawing.radius(fine)) == pytest.approx([1 - 0.75**0.5], abs=2e-4)


def test_the_long_flow_is_the_flow():
    game, starts = ensemble("ns"), repeated((1.0, 1.0), 2) * numbers(0.5, 2.0)[:, None]
    found = forces.long_flow(game, starts, np.array([0.0, 2.0, 4.0]))
    assert found.numpy() == pytest.approx(flows(game, starts, 4.0, 0.2)[1][::10].numpy(), abs=1e-4)


# the script


def run(*words):
    return SCRIPT["main"](words)


@pytest.mark.usefixtures("coarse")
def test_the_script_draws_what_it_is_asked_for_and_replaces_it_only_on_request(tmp_path, capfd, monkeypatch):
    monkeypatch.setitem(SCRIPT["main"].__globals__, "get_context", lambda _: forking())
    assert run("piles", f"out={tmp_path}") == 0
    assert {file.name for file in tmp_path.iterdir()} == {"piles.png", "piles.svg"}
    assert capfd.readouterr().out.startswith("piles")
    assert run("piles", "uniform", "-o", str(tmp_path)) == 2
    assert "piles.png exists (the first of 2 outputs that do); give overwrite=true" in capfd.readouterr().err
    assert not (tmp_path / "uniform.png").exists()


def test_where_existing_figures_are_replaced(tmp_path, monkeypatch):
    def planned(*words):
        return SCRIPT["planned"](read(SCRIPT["COMMAND"], words))

    here = SCRIPT["OUT"]
    assert (here / "piles.png").exists()
    assert planned("piles", "piles") == (["piles"], here)
    monkeypatch.chdir(here.parents[2])
    assert planned("piles", "out=docs/figures/theory")[0] == ["piles"]
    (tmp_path / "costs.svg").touch()
    with pytest.raises(InputError, match=r"costs\.svg exists"):
        planned(f"out={tmp_path}")
    assert planned(f"out={tmp_path}", "overwrite=true") == (list(FIGURES), tmp_path)


def test_help_names_every_figure(capfd):
    assert run("--help") == 0
    assert set(capfd.readouterr().out.split()) >= FIGURES.keys()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("circle",), "circle: no such figure; nearest: circles"),
        (("uniform", "nothing_like_it"), "nothing_like_it: no such figure"),
        (("ot=here",), "ot: unknown; nearest: out"),
        (("out=",), "out=: must be a path"),
        (("out=a", "-o", "b"), "out= was given twice"),
        (("overwrite=maybe",), "overwrite=maybe: must be true or false"),
        ((f"out={__file__}",), "not a folder"),
        ((f"out={__file__}/below",), "not a folder"),
    ],
)
def test_the_script_refuses_in_one_line(words, message, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_nothing_heavy_is_imported_before_the_words_are_checked():
    code = (
        "import runpy, sys\n"
        f"runpy.run_path({str(FOLDER)!r})\n"
        "print(sorted({'torch', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
