"""Terms with a memory: moved once an update, the same whether they are optimised or only measured."""

import pytest
import torch
from small import Small, differing

from gcn.commands.lab import ensemble
from gcn.config.build import build
from gcn.config.offered import LAB
from gcn.config.parse import parse
from gcn.game.objective import Objective
from gcn.game.rules import update
from gcn.lab.ensemble import coordinates, play, play_on
from gcn.losses.adversarial import NonSaturating
from gcn.losses.began import BEGAN
from gcn.losses.distortion import MSE
from gcn.losses.history import History
from gcn.losses.lecam import LeCam

pytestmark = pytest.mark.usefixtures("native_convolutions")

RULES = [
    "alternating d_steps=2",
    "simultaneous",
    "extragradient",
    "optimistic",
    "sga",
    "lookahead",
    "unrolled",
]


def lecam(small):
    return small.game.objective.terms["lecam"]


def test_the_averages_are_those_of_the_outputs_after_each_update():
    """One image's worth of arithmetic: α after two updates is .9·(.1·m₁) + .1·m₂ over the weight 1 - .9²."""
    small = Small("loss=ns lecam=1 terms.lecam.decay=0.9")
    means = []
    for step in range(2):
        turn = update(small.game, small.rule, small.batches(step), step, small.players).aside()
        with torch.no_grad():
            means.append([output.logits[0].mean().item() for output in (turn.real, turn.fake)])
    term = lecam(small)
    assert term.given.item() == pytest.approx(1 - 0.9**2)
    for i, average in enumerate((term.real, term.fake)):
        assert average.item() == pytest.approx(0.09 * means[0][i] + 0.1 * means[1][i], rel=1e-4)


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_moves_the_averages_once_an_update(rule):
    name, *more = rule.split()
    small = Small(" ".join(["loss=ns lecam=1 terms.lecam.decay=0.5 dynamics=" + name, *more])).play(2)
    assert lecam(small).given.item() == pytest.approx(1 - 0.5**2)


def test_what_is_measured_is_what_would_be_optimised():
    """Weight 0 has the averages and values of a weight so small that it trains the same."""
    measured, optimised = (Small(f"loss=ns mse=1 lecam={w}").play(4) for w in (0, 1e-30))
    assert torch.equal(lecam(measured).real, lecam(optimised).real)
    assert torch.equal(lecam(measured).fake, lecam(optimised).fake)
    assert lecam(measured).given > 0


def test_a_measured_memory_leaves_the_training_as_it_is():
    absent, measured = (Small(f"loss=ns mse=1 {word}").play(4).weights() for word in ("", "lecam=0"))
    assert differing(absent, measured) == []


def test_the_first_value_is_twice_the_spread_around_the_other_class():
    """Before any update α is the present mean: E(D(x) - mean D(x_hat))² + E(D(x_hat) - mean D(x))²."""
    small = Small("loss=ns lecam=1").play(1)
    game = small.game
    turn = game.turn("d", small.batches(0)[0], 5)
    lecam(small).given.zero_(), lecam(small).real.zero_(), lecam(small).fake.zero_()
    real, fake = turn.real.logits[0], turn.fake.logits[0]
    expected = (real - fake.mean()).square().mean() + (fake - real.mean()).square().mean()
    assert torch.allclose(lecam(small)(turn), expected)


def test_the_average_of_the_decoder_moves_once_an_update_and_alike_at_weight_zero():
    averages = []
    for words in ("prox=0", "prox=1e-30", "prox=0 dynamics=extragradient", "prox=0 warmup.steps=2"):
        small = Small(f"loss=ns mse=1 terms.prox.decay=0.5 {words}")
        weight, term = small.game.generator.g_s[0].weight, small.game.objective.terms["prox"]
        expected = weight.detach().clone()
        for step in range(3):
            small.play(1, start=step)
            expected = 0.5 * expected + 0.5 * weight.detach()
        assert torch.allclose(term.average_0, expected, atol=1e-8)
        averages.append(term.average_0)
    assert torch.equal(averages[0], averages[1])


def made(*words):
    cfg = parse(words, root=LAB)
    return ensemble(cfg, build(cfg, "game"))


def test_games_of_the_lab_have_memories_of_their_own():
    game = made("game=dirac", "loss=ns", "lecam=0.5", "terms.lecam.decay=0.8")
    points = torch.tensor([[1.0, 0.5], [0.3, -0.7], [-1.0, 0.2]], dtype=torch.float64)
    together = play(game, points, 20)
    for i in range(3):
        assert torch.allclose(play(game, points[i : i + 1], 20)[:, 0], together[:, i], atol=1e-12)
    assert torch.equal(play(game, points, 20), together)  # nothing is left over from the first time


def test_the_discrete_spectrum_holds_the_averages():
    """Near its equilibrium a game of D with an offset contracts as the largest eigenvalue of the update says."""
    from gcn.lab.analysis import equilibrium
    from gcn.lab.discrete import update_map
    from gcn.lab.players import PLAIN

    game = made("game=dirac", "loss=ns", "mse=0.2", "lecam=0.5", "terms.lecam.decay=0.7")
    at = equilibrium(game).point
    eigenvalues = torch.linalg.eigvals(update_map(game, at, (0.1, 0.1), (PLAIN, PLAIN)))
    assert (
        sum(abs(value - 0.7) < 1e-6 for value in eigenvalues.tolist()) == 3
    )  # two averages and their weight
    near, players = at[None] + 1e-4 * torch.tensor([[1.0, -1.0]], dtype=torch.float64), None
    path, players = play_on(game, game.game(near), 60)
    assert players is not None
    distances = (path[:, 0] - at).norm(dim=1)
    rate = (distances[-1] / distances[20]).log() / 40
    leading = max(abs(value) for value in eigenvalues.tolist() if abs(value - 0.7) > 1e-6)
    assert rate.exp().item() == pytest.approx(leading, abs=0.01)
    assert coordinates(game.game(near)).shape == (1, 2)


@pytest.mark.parametrize("objective", [
    Objective(BEGAN()), Objective(NonSaturating(), terms={"lecam": (1.0, LeCam())}),
    Objective(NonSaturating(), fakes=History(4)),
], ids=["loss", "term", "fakes"])  # fmt: skip
def test_every_kind_of_ingredient_is_asked_for_a_memory(objective):
    assert objective.has_memory
    assert not Objective(NonSaturating(), terms={"mse": (1.0, MSE())}).has_memory
