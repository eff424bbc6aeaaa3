"""``scripts/spectrum.py`` on runs that ``scripts/train.py`` would make."""

import json
import re
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from runs import images, killed_at, quickly, run, words

from gcn.commands import spectrum
from gcn.commands.spectrum_record import Request, arms, switched
from gcn.config.trained import crops, trained
from gcn.errors import InputError
from gcn.report.spectra import spectra
from gcn.spectrum.eigenvalues import skew_norm

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of the trainer
    pytest.mark.usefixtures("coarse_figures"),
]
QUICK = ["images=2", "k=2", "basis=4", "probes=2"]
LEAST = ["images=2", "k=1", "basis=3", "probes=1"]
SMALL = "steps=2 val_every=2 data.crop=16 generator.N=4 generator.M=4 discriminator.depth=1"
TWO_PLAYERS = "r1=10 rate=null"
BY_DESCENT = (
    "optim=sgd optim.g.lr=1e-5 optim.g.momentum=0.9 optim.d.lr=1e-3 "
    "r1=10 discriminator.depth=2 discriminator.norm=instance"
)
FILES = {"spectrum.json", "spectrum.png", "spectrum.svg"}


@pytest.fixture(scope="module", autouse=True)
def _few_products():
    """The norm of the rotation, which has tests of its own, from three products: else it costs more than all others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gcn.commands.spectrum_record.skew_norm", partial(skew_norm, basis=3))
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def made(tmp_path_factory, data):
    """Run folders by what was said, each trained once."""
    folders = {}

    def make(*said):
        if said not in folders:
            folders[said] = tmp_path_factory.mktemp("run") / "it"
            with pytest.MonkeyPatch.context() as patch:
                quickly(patch)
                run(folders[said], *words(data, SMALL, *said))
        return folders[said]

    return make


@pytest.fixture
def a_run(made):
    return made(TWO_PLAYERS)


@pytest.fixture
def undrawn_spectra(monkeypatch):
    """No figure, where what is asked for is the record."""
    monkeypatch.setattr("gcn.commands.spectrum_record.spectra", lambda *_: None)


def record_of(folder):
    return json.loads((folder / "spectrum.json").read_text(encoding="utf-8"))


def test_from_the_run_to_its_spectrum(a_run, undrawn_spectra, tmp_path, capsys):
    assert spectrum.main([f"checkpoint={a_run}", f"out={tmp_path}", *QUICK]) == 0
    record, said = record_of(tmp_path), capsys.readouterr().out
    assert set(record["without"]) == {"adv", "mse", "r1"}
    for numbers in (record, *record["without"].values()):
        assert [len(pair) for pair in numbers["eigenvalues"]] == [2] * len(numbers["eigenvalues"])
        real = [re for re, _ in numbers["eigenvalues"]]
        assert real == sorted(real, reverse=True)
        moduli = [abs(complex(*pair)) for pair in numbers["discrete_eigenvalues"]]
        assert moduli[0] == numbers["spectral_radius"] == max(moduli)
        for kind in ("eigenvalues", "largest", "rotating", "discrete_eigenvalues"):
            assert len(numbers["residuals"][kind]) == len(numbers[kind])
            assert 0 <= numbers["converged"][kind][0] <= numbers["converged"][kind][1] == 2
        assert 0 <= numbers["rotation_index"]["value"] <= 1
        assert numbers["rotation_index"]["probes"] == 2
        g, d, both = (numbers["field_norm"][part] for part in ("g", "d", "all"))
        assert both == pytest.approx((g**2 + d**2) ** 0.5)
    assert record["closed_form"] is None
    assert record["inexact"] == []
    assert max(record["finite_differences"].values()) < 1e-3
    assert (record["step"], record["images"], record["rule"]) == (2, 2, "alternating")
    assert record["words"] | {"out": ""} == {
        "images": 2, "k": 2, "basis": 4, "probes": 2, "seed": 0, "factor": None, "out": ""
    }  # fmt: skip
    assert sum(record["parameters"].values()) > 1000
    assert "proves nothing about convergence" in said
    assert said.count(" s\n") == 1 + 3 * 4  # a line for each piece of work, with its seconds


@pytest.fixture(scope="module")
def alone(made, coarsely, tmp_path_factory):
    """A copy of a run without a game, with the results that lie in the run folder by default."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    shutil.copytree(made("loss=none"), folder)
    with coarsely():
        assert spectrum.main([f"checkpoint={folder}", *LEAST]) == 0
    return folder


@pytest.mark.slow
def test_the_same_words_give_the_same_numbers(made, alone, tmp_path):
    file = made("loss=none") / "checkpoints" / "last.ckpt"
    assert spectrum.main([f"checkpoint={file}", f"out={tmp_path}", *LEAST]) == 0
    folders = (alone, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    one, other = (record_of(folder) for folder in folders)
    assert {k: v for k, v in one.items() if k not in ("checkpoint", "words")} == {
        k: v for k, v in other.items() if k not in ("checkpoint", "words")
    }
    for name in ("spectrum.png", "spectrum.svg"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_by_default_the_results_lie_in_the_run_folder(alone):
    """A run without a game: the generator alone, and no rotation."""
    assert {path.name for path in alone.iterdir()} >= FILES
    record = record_of(alone)
    assert set(record["parameters"]) == {"g"}
    assert set(record["without"]) == {"mse", "rate"}
    assert record["rotation_index"]["value"] == pytest.approx(0, abs=1e-12)
    assert record["skew_norm"] == pytest.approx(0, abs=1e-6)
    assert record["rule"] == "descend"


@pytest.fixture
def two_arms(monkeypatch):
    """Spectra with all terms and without the first; each further arm is another game of the same kind."""
    monkeypatch.setattr("gcn.commands.spectrum_record.arms", lambda of: arms(of)[:2])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("said", "inexact"),
    [
        ("dynamics=extragradient relativistic=pair generator.quantisation=mixed", {"generator"}),
        ("d_steps=2 r1=10 terms.r1.every=4 weight_clip=0.1", {"WeightClip", "r1"}),
    ],
)
@pytest.mark.usefixtures("undrawn_spectra", "two_arms")
def test_other_games(made, tmp_path, said, inexact):
    assert spectrum.main([f"checkpoint={made(said)}", f"out={tmp_path}", *LEAST]) == 0
    assert {name for name, _ in record_of(tmp_path)["inexact"]} == inexact


@pytest.mark.usefixtures("undrawn_spectra", "two_arms")
def test_a_frozen_encoder_leaves_the_decoder_and_the_discriminator(made, tmp_path):
    first = made("loss=none")
    second = made("dynamics=optimistic optim=gan instance_noise=0.1 freeze=encoder", f"init_from={first}")
    moved = tmp_path / "elsewhere"
    shutil.copytree(second, moved)
    assert spectrum.main([f"checkpoint={moved}", *LEAST]) == 0
    record = record_of(moved)
    assert set(record["finite_differences"]) == {"generator.g_s", "discriminator"}
    assert record["inexact"] == []


def test_before_the_game_begins_there_is_none(data, undrawn_spectra, tmp_path, monkeypatch):
    quickly(monkeypatch)
    said = "steps=3 warmup.steps=2 r1=1 checkpoint_every=1"
    killed_at(2, tmp_path / "run", *words(data, SMALL, said))
    assert spectrum.main([f"checkpoint={tmp_path / 'run'}", f"out={tmp_path}", *LEAST]) == 0
    record = record_of(tmp_path)
    assert set(record["parameters"]) == {"g"}
    assert set(record["without"]) == {"mse", "rate"}


def test_the_game_is_that_of_the_checkpoint(a_run):
    of = trained(a_run)
    content = torch.load(a_run / "checkpoints" / "last.ckpt", weights_only=True)
    for name, tensor in of.game.state_dict().items():
        assert torch.equal(tensor, content["state_dict"][f"game.{name}"].to(tensor.dtype))
    g, d = of.players(None)
    state = content["optimizer_states"][1]["state"][0]
    rate = content["optimizer_states"][1]["param_groups"][0]["lr"]
    v = state["exp_avg_sq"].double() / (1 - 0.999**2)
    assert torch.allclose(d.precondition[0], rate / (v.sqrt() + 1e-8), rtol=1e-12)
    assert torch.allclose(d.moves[0], d.precondition[0] * state["exp_avg"].double(), rtol=1e-12)
    assert (d.beta, d.gain, d.clip, g.clip) == (0.9, pytest.approx(0.1), None, 1.0)
    (peak,) = {
        float((a / b).max()) * 2e-4 / rate
        for a, b in [(of.players(0.5)[1].precondition[0], d.precondition[0])]
    }
    assert peak == pytest.approx(0.5 * (2e-4 / rate) ** 2)


def test_crops_depend_on_the_seed_alone(a_run):
    cfg = trained(a_run).cfg
    assert torch.equal(crops(cfg, 3, 1), crops(cfg, 3, 1))
    assert not torch.equal(crops(cfg, 3, 1), crops(cfg, 3, 2))
    assert crops(cfg, 3, 1).shape == (3, 3, 16, 16)


def test_gradient_descent_is_linearised_as_torch_makes_it(made):
    folder = made(BY_DESCENT)
    states = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["optimizer_states"][0][
        "state"
    ]
    for player, lr, kept in zip(trained(folder).players(None), (1e-5, 1e-3), (0.9, 0.0), strict=True):
        before = player.parameters[0].detach().clone()
        player.step([torch.ones_like(p) for p in player.parameters])
        memory = kept * states[0]["momentum_buffer"].double() if kept else 0.0
        expected = before - lr * (memory + torch.ones_like(before))
        assert torch.allclose(player.parameters[0], expected, rtol=0, atol=1e-12)


def test_terms_are_switched_off_for_a_while(a_run):
    of = trained(a_run)
    objective = of.game.objective
    objective.terms["r1"].every = 4
    before = dict(objective.weights)
    with switched(of.game, "mse"):
        assert objective.weights == before | {"mse": 0.0}
        assert objective.terms["r1"].every == 1
    with switched(of.game, "adv"):
        assert objective.adv == 0
        assert objective.weights == before
    assert (objective.adv, objective.weights, objective.terms["r1"].every) == (1.0, before, 4)


# bad input


@pytest.fixture(scope="module")
def places(made, tmp_path_factory):
    """A run, and copies of it in which one thing is wrong each, by name."""
    top = tmp_path_factory.mktemp("places")
    places = {name: top / name for name in ("RUN", "ELSEWHERE", "OTHER", "BROKEN", "FRESH", "WEIGHED")}
    for folder in places.values():
        shutil.copytree(made(TWO_PLAYERS), folder)
    (places["ELSEWHERE"] / "config.yaml").unlink()
    config = (places["OTHER"] / "config.yaml").read_text()
    (places["OTHER"] / "config.yaml").write_text(re.sub(r"'?N'?: \d", "'N': 5", config))
    config = (places["WEIGHED"] / "config.yaml").read_text()
    (places["WEIGHED"] / "config.yaml").write_text(config.replace("\nadv: 1.0\n", "\nadv: adaptive\n"))
    for name in ("BROKEN", "FRESH"):
        file = places[name] / "checkpoints" / "last.ckpt"
        content = torch.load(file, weights_only=True)
        if name == "BROKEN":
            content["state_dict"]["game.generator.g_a.0.weight"].fill_(float("nan"))
        else:
            content["optimizer_states"][1]["state"] = {}
        torch.save(content, file)
    return places


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (["chekpoint=x"], "chekpoint: unknown; see --help"),
        (["images=4"], "run= is missing"),
        (["checkpoint=RUN", "verbose"], "verbose: not readable; write key=value"),
        (["checkpoint=RUN", "images=0"], "images=0: must be an integer >= 1"),
        (["checkpoint=RUN", "k=two"], "k=two: must be an integer >= 1"),
        (["checkpoint=RUN", "factor=inf"], "factor=inf"),
        (["checkpoint=RUN", "basis=5"], "basis=5: too few products for k=6; use 8 or more"),
        (["checkpoint=RUN", "out=RUN/config.yaml"], "cannot write there"),
        (["checkpoint=nowhere"], "nowhere: no checkpoint here"),
        (["checkpoint=RUN/config.yaml"], "not a readable checkpoint"),
        (["checkpoint=ELSEWHERE/checkpoints/last.ckpt"], "no run folder"),
        (["checkpoint=OTHER"], "this run's is float32 5x3x5x5"),
        (["checkpoint=BROKEN"], "has numbers that are not finite"),
        (["checkpoint=WEIGHED"], "adv=adaptive: a spectrum needs the derivative of this weight"),
        (["checkpoint=FRESH"], "the optimizer of D has states for 0 of its"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(places, said, reason, capsys):
    for name, folder in places.items():
        said = [word.replace(name, str(folder)) for word in said]
    before = sorted(places["RUN"].parent.rglob("*"))
    assert spectrum.main(said) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert reason in err
    assert sorted(places["RUN"].parent.rglob("*")) == before


def test_derivatives_that_torch_does_not_have_are_refused(made, tmp_path, capsys):
    assert spectrum.main([f"checkpoint={made(BY_DESCENT)}", f"out={tmp_path / 'out'}", *LEAST]) == 2
    assert "torch cannot differentiate" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_interruption_writes_nothing(a_run, tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("gcn.commands.spectrum_record.rotation_index", interrupted)
    assert spectrum.main([f"checkpoint={a_run}", f"out={tmp_path / 'out'}", *LEAST]) == 130
    assert "nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# the figure


def a_record(**changed):
    numbers = {
        "field_norm": {"all": 1.0}, "eigenvalues": [[0.5, 3.0], [0.5, -3.0]], "largest": [[-40.0, 0.0]],
        "rotating": [[0.5, 3.0], [0.5, -3.0]], "discrete_eigenvalues": [[1.01, 0.0]], "skew_norm": 4.0,
        "rotation_index": {"value": 0.2, "standard_error": 0.01, "probes": 4}, "spectral_radius": 1.01,
        "residuals": {
            "eigenvalues": [1e-5] * 2, "largest": [1e-9], "rotating": [1e-5] * 2, "discrete_eigenvalues": [0.1]
        },
    } | changed  # fmt: skip
    tolerance = dict.fromkeys(numbers["residuals"], 1e-2)
    rest = {"step": 6, "images": 2, "rule": "alternating", "tolerance": tolerance}
    return numbers | rest | {"without": {"mse": numbers, "adv": numbers}}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"discrete_eigenvalues": [[1.0, 0.0]], "eigenvalues": [[0.0, 0.0]] * 2, "rotating": [[0.0, 0.0]] * 2},
        {
            "discrete_eigenvalues": [[-6.5, 0.0]], "rotating": [[0.0, 2e4], [0.0, -2e4]],
            "rotation_index": {"value": 0.0, "standard_error": None, "probes": 1},
        },
    ],
)  # fmt: skip
def test_the_figure_is_drawn(changed, tmp_path):
    """Each part with usual numbers, and with those that its axes and its text have cases for."""
    png, svg = spectra(tmp_path / "one", a_record(**changed))
    assert (png.name, svg.name) == ("one.png", "one.svg")
    assert svg.stat().st_size > 5000
    assert (np.ptp(np.asarray(Image.open(png).convert("RGB")), axis=2) > 30).mean() > 1e-3  # coloured


def test_a_figure_that_is_of_no_spectrum_is_not_replaced(tmp_path):
    (tmp_path / "spectrum.png").write_text("mine")
    asked = Request(tmp_path, images=4, k=6, basis=60, probes=16, seed=0, factor=None, out=tmp_path)
    with pytest.raises(InputError, match=r"holds spectrum\.png, which is of no spectrum"):
        asked.check()
    (tmp_path / "spectrum.json").touch()
    asked.check()
