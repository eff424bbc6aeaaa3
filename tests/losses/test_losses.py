"""Adversarial losses: every number by hand, and a high logit means real."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from turns import logits_turn

from gcn.errors import InputError
from gcn.lab.strengths import force
from gcn.losses.adversarial import (
    DIVERGENCES,
    EBGAN,
    FGAN,
    LSGAN,
    Hinge,
    MaximumLikelihood,
    NonSaturating,
    Relativistic,
    Vanilla,
    Wasserstein,
)
from gcn.losses.began import BEGAN
from gcn.losses.label_smoothing import LabelSmoothing

PAIRINGS = ("pair", "pair_shuffled", "average")
LOSSES = {
    "ns": NonSaturating, "vanilla": Vanilla, "ml": MaximumLikelihood, "hinge": Hinge, "wgan": Wasserstein,
    "lsgan": LSGAN, "lsgan01": lambda: LSGAN("01"), "fgan": FGAN,
    "ebgan": lambda: EBGAN(1.0), "began": lambda: BEGAN(k=0.5),
}  # fmt: skip
RELATIVE = [name for name in LOSSES if name not in {"ml", "lsgan01", "fgan", "ebgan", "began"}]
REAL, FAKE = [2.0, 0.0], [-1.0, 2.0]
# pair: a = (3, -2), b = -a; average: the means are 1 (real) and ½ (fake), a = (1.5, -.5), b = (-2, 1)

# softplus: sp(-2) = .1269280110, sp(0) = .6931471806, sp(-1) = .3132616875, sp(2) = 2.1269280110, …
VALUES = {  # (loss, pairing): D pays, G pays
    ("ns", None): (1.630132445, 0.720094849),  # ½(sp(-2) + sp(0)) + ½(sp(-1) + sp(2)); ½(sp(1) + sp(-2))
    ("ns", "pair"): (1.087757681, 1.587757681),  # ½(sp(-3) + sp(2)); ½(sp(3) + sp(-2))
    ("ns", "average"): (0.653919990, 1.153919990),
    ("vanilla", None): (1.630132445, -1.220094849),
    ("vanilla", "pair"): (1.087757681, -1.087757681),
    ("vanilla", "average"): (0.653919990, -0.653919990),
    ("ml", None): (1.630132445, -3.878467770),  # -(exp(-1) + exp(2))/2
    ("hinge", None): (2.0, -0.5),
    ("hinge", "pair"): (1.5, 2.0),  # G keeps its relus: ½(½(4 + 0) + ½(4 + 0))
    ("hinge", "average"): (0.875, 1.5),
    ("wgan", None): (-0.5, -0.5),
    ("wgan", "pair"): (-0.5, 0.5),
    ("wgan", "average"): (-0.5, 0.5),
    ("lsgan", None): (2.75, 1.25),  # ¼(1 + 1) + ¼(0 + 9); ¼(4 + 1)
    ("lsgan", "pair"): (6.5, 8.5),  # ½·½((3 - 1)² + (-2 - 1)²)·2; ½·½((3 + 1)² + (-2 + 1)²)·2
    ("lsgan", "average"): (1.875, 3.875),
    ("fgan", None): (0.125, -1.125),  # -(2 + 0)/2 + ½((¼ - 1) + (1 + 2)); minus the second part
    ("ebgan", None): (0.5, -0.5),  # -(2 + 0)/2 + ½(relu(1 - 1) + relu(1 + 2)); -(-1 + 2)/2
    ("began", None): (-0.75, -0.5),  # -(2 + 0)/2 + ½·½(-1 + 2); -(-1 + 2)/2
    ("lsgan01", None): (1.75, 1.25),  # ¼(1 + 1) + ¼(1 + 4)
}


def played(name, pairing=None):
    loss = LOSSES[name]()
    return loss if pairing is None else Relativistic(pairing).wrap(loss)


@pytest.mark.parametrize(("name", "pairing"), VALUES)
def test_value(name, pairing):
    loss, turn = played(name, pairing), logits_turn(REAL, FAKE)
    expected = VALUES[name, pairing]
    assert (loss.d_loss(turn).item(), loss.g_loss(turn).item()) == pytest.approx(expected, abs=1e-9)


def test_the_table_of_values_is_complete():
    assert {n for n, p in VALUES if p is None} == set(LOSSES)
    assert {n for n, p in VALUES if p == "pair"} == {n for n, p in VALUES if p == "average"} == set(RELATIVE)


@pytest.mark.parametrize("name", RELATIVE)
def test_shuffled_pairs_are_pairs_with_a_fixed_permutation_of_the_reconstructions(name):
    real, fake = torch.arange(8.0), torch.linspace(-3, 3, 8)
    turn = logits_turn(real, fake)
    loss = played(name, "pair_shuffled")
    order = turn.stream("pair_shuffled").permutation(8)
    assert sorted(order.tolist()) == list(range(8))
    assert order.tolist() != list(range(8))
    paired = logits_turn(real, fake[order])
    for role in ("d_loss", "g_loss"):
        expected = getattr(played(name, "pair"), role)(paired)
        torch.rand(7)  # the state of the global generator is of no consequence
        assert torch.equal(getattr(loss, role)(turn), expected)


def test_relativistic_means_run_over_images_and_patches():
    real = torch.arange(8.0).reshape(2, 1, 2, 2)
    fake = -real
    turn = logits_turn(real, fake)
    (a,), (b,) = played("wgan", "average").differences(turn)
    assert torch.equal(a, real.double() + 3.5)
    assert torch.equal(b, fake.double() - 3.5)
    (a,), (b,) = played("wgan", "pair").differences(turn)
    assert torch.equal(a, 2 * real.double())
    assert torch.equal(b, -a)


logits = st.lists(st.floats(-20, 20), min_size=4, max_size=4)


@pytest.mark.parametrize(("name", "pairing"), list(itertools.product(RELATIVE, PAIRINGS)))
@settings(max_examples=10, deadline=None)
@given(real=logits, fake=logits, shift=st.floats(-50, 50))
def test_relativistic_losses_ignore_what_is_added_to_all_logits(name, pairing, real, fake, shift):
    loss = played(name, pairing)
    here, there = logits_turn(real, fake), logits_turn([t + shift for t in real], [t + shift for t in fake])
    for role in ("d_loss", "g_loss"):
        assert getattr(loss, role)(there).item() == pytest.approx(getattr(loss, role)(here).item(), abs=1e-9)


@pytest.mark.parametrize(("name", "pairing"), [*VALUES, *((name, "pair_shuffled") for name in RELATIVE)])
def test_a_high_logit_means_real(name, pairing):
    """Where the classes are level, D pulls real up and fake down, and G pulls fake up."""
    loss = played(name, pairing)
    turn = logits_turn([0.1, 0.2], [0.2, 0.1])
    on_real, on_fake = torch.autograd.grad(loss.d_loss(turn), (turn.real.logits[0], turn.fake.logits[0]))
    assert (on_real < 0).all()
    assert (on_fake > 0).all()
    (on_fake,) = torch.autograd.grad(loss.g_loss(turn), turn.fake.logits[0])
    assert (on_fake < 0).all()


@pytest.mark.parametrize("name", RELATIVE)
def test_relativistic_gradients_flow_through_the_means(name):
    """D and G pull the two classes with equal force: the gradient of a shift of all logits is 0."""
    turn = logits_turn(REAL, FAKE)
    for pairing, role in itertools.product(PAIRINGS, ("d_loss", "g_loss")):
        loss = getattr(played(name, pairing), role)(turn)
        on_real, on_fake = torch.autograd.grad(loss, (turn.real.logits[0], turn.fake.logits[0]))
        assert on_real.sum().item() == pytest.approx(-on_fake.sum().item(), abs=1e-12)


@pytest.mark.parametrize("name", ["ml", "lsgan01", "ebgan", "began"])
@pytest.mark.parametrize("pairing", PAIRINGS)
def test_losses_without_a_relativistic_form_say_so(name, pairing):
    with pytest.raises(InputError, match="no relativistic form"):
        Relativistic(pairing).wrap(LOSSES[name]())


F_DIVERGENCES = {  # name: f(u), and the domain of f* as logits
    "kl": lambda u: torch.xlogy(u, u),
    "reverse_kl": lambda u: -u.log(),
    "pearson": lambda u: (u - 1) ** 2,
    "hellinger": lambda u: (u.sqrt() - 1) ** 2,
    "js": lambda u: torch.xlogy(u, u) - (u + 1) * ((u + 1) / 2).log(),
    "tv": lambda u: (u - 1).abs() / 2,
}


def test_all_divergences_are_compared_with_their_definitions():
    assert set(F_DIVERGENCES) == set(DIVERGENCES)


@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_the_loss_on_a_reconstruction_is_the_conjugate(name):
    """f*(s) = sup over u > 0 of su - f(u) at s = g(t), where -s is the loss on a real image."""
    u = torch.cat((torch.linspace(1e-4, 20, 200_001), torch.linspace(20, 400, 100_001))).double()
    for t in (-1.5, 0.0, 0.7, 2.0):
        logit, loss = torch.tensor(t, dtype=torch.float64, requires_grad=True), FGAN(name)
        value = loss.fake(logit)
        conjugate = (-loss.real(logit).detach() * u - F_DIVERGENCES[name](u)).max()
        assert value.item() == pytest.approx(conjugate.item(), abs=2e-4 if name == "tv" else 1e-6)
        assert loss.generator(logit).item() == -value.item()


@pytest.mark.parametrize("name", [name for name in F_DIVERGENCES if name != "tv"])
def test_at_its_best_logits_d_s_loss_is_minus_the_divergence(name):
    """D's optimum has g(t) = f'(p/q): the bound is the divergence there, and its gradient is 0."""
    p, q = (torch.tensor(v, dtype=torch.float64) for v in ([0.2, 0.3, 0.5], [0.4, 0.4, 0.2]))
    log = (p / q).log()
    best = {"kl": 1 + log, "reverse_kl": log, "pearson": 2 * (p / q - 1), "hellinger": log / 2, "js": log}[
        name
    ]
    loss, t = FGAN(name), best.requires_grad_()
    paid = (p * loss.real(t)).sum() + (q * loss.fake(t)).sum()
    assert -paid.item() == pytest.approx((q * F_DIVERGENCES[name](p / q)).sum().item(), rel=1e-12)
    assert torch.autograd.grad(paid, t)[0].abs().max() < 1e-12


def test_saturated_logits_give_the_total_variation():
    p, q = (torch.tensor(v, dtype=torch.float64) for v in ([0.2, 0.3, 0.5], [0.4, 0.4, 0.2]))
    t = 40 * (p - q).sign()
    paid = (p * FGAN("tv").real(t)).sum() + (q * FGAN("tv").fake(t)).sum()
    assert -paid.item() == pytest.approx((p - q).abs().sum().item() / 2, rel=1e-12)


@pytest.mark.parametrize("name", [*LOSSES, *(f"fgan {name}" for name in DIVERGENCES)])
def test_forces_of_the_closed_forms_are_derivatives_of_the_loss(name):
    loss = FGAN(name.split()[1]) if " " in name else LOSSES[name]()
    known = force(loss)
    t = torch.tensor(known.level, dtype=torch.float64, requires_grad=True)

    def slopes(function):
        value = function(t)
        (first,) = torch.autograd.grad(value, t, create_graph=True)
        second = torch.autograd.grad(first, t)[0].item() if first.requires_grad else 0.0
        return first.item(), second

    (real, real2), (fake, fake2), (g, g2) = map(slopes, (loss.real, loss.fake, loss.generator))
    assert real == pytest.approx(-fake / (loss.k if name == "began" else 1))  # nothing moves the logit
    assert (known.d, known.g) == pytest.approx((fake, -g))
    assert known.curvature == known.curvature_of_bias == pytest.approx(real2 + fake2)
    assert known.curvature_of_g == pytest.approx(g2)
    if known.level:
        t = torch.zeros((), dtype=torch.float64, requires_grad=True)
        assert (known.d_at_zero, known.g_at_zero) == pytest.approx(
            (slopes(loss.fake)[0], -slopes(loss.generator)[0])
        )


def test_a_smoothed_label_of_real_is_the_cross_entropy_with_this_label():
    """Value and gradient of -E[(1-ε) log σ(t) + ε log(1 - σ(t))] on real; fake and G's loss have hard labels."""
    epsilon, turn = 0.1, logits_turn(REAL, FAKE)
    t, fake = turn.real.logits[0], turn.fake.logits[0]
    entropy = -((1 - epsilon) * t.sigmoid().log() + epsilon * (1 - t.sigmoid()).log()).mean()
    for name in ("ns", "vanilla", "ml"):
        loss = LabelSmoothing(epsilon).wrap(LOSSES[name]())
        value = loss.d_loss(turn)
        assert value.item() == pytest.approx((entropy - (1 - fake.sigmoid()).log().mean()).item(), abs=1e-12)
        # ½(.9 sp(-2) + .1 sp(2) + sp(0)) + ½(sp(-1) + sp(2)): by ε·mean(t) above the hard label
        assert value.item() == pytest.approx(VALUES[name, None][0] + epsilon * 1.0, abs=1e-9)
        on_real, on_fake = torch.autograd.grad(value, (t, fake))
        assert torch.allclose(on_real, (t.sigmoid() - (1 - epsilon)) / 2, atol=1e-12)
        assert torch.allclose(on_fake, fake.sigmoid() / 2, atol=1e-12)
        assert loss.g_loss(turn).item() == pytest.approx(VALUES[name, None][1], abs=1e-9)


@pytest.mark.parametrize(("labels", "label", "constant"), [("pm1", 0.8, 0.18), ("01", 0.9, 0.045)])
def test_a_smoothed_label_of_least_squares_is_a_moved_target(labels, label, constant):
    """½[.9(t - 1)² + .1(t - f)²] is ½(t - label)² and ½·.09·(1 - f)², f the label of fake."""
    t = torch.linspace(-3, 3, 7, dtype=torch.float64)
    smoothed = LabelSmoothing(0.1).wrap(LSGAN(labels)).real(t)
    assert torch.allclose(smoothed, 0.5 * (t - label).square() + constant, atol=1e-12)


def test_the_optimal_logit_under_a_smoothed_label_is_bounded_by_that_label():
    """log((1-ε)p/(εp + q)) is where (1-ε)p·f1' + (εp + q)·f2' vanishes; without reconstructions it is log((1-ε)/ε)."""
    loss = LabelSmoothing(0.2).wrap(NonSaturating())
    p = torch.tensor([0.5, 0.3, 0.2, 0.7], dtype=torch.float64)
    q = torch.tensor([0.1, 0.6, 0.3, 0.0], dtype=torch.float64)
    t = (0.8 * p / (0.2 * p + q)).log().requires_grad_()
    (slope,) = torch.autograd.grad((p * loss.real(t) + q * loss.loss.fake(t)).sum(), t)
    assert torch.allclose(slope, torch.zeros_like(slope), atol=1e-12)
    assert t[-1].item() == pytest.approx(torch.tensor(0.8 / 0.2).log().item())


@pytest.mark.parametrize("loss", [Hinge(), Wasserstein(), FGAN(), Relativistic("pair").wrap(LSGAN())])
def test_losses_without_labels_refuse_to_smooth_them(loss):
    with pytest.raises(
        InputError, match=r"^label_smoothing=0.1: .* has no label of two classes .* use ns, vanilla"
    ):
        LabelSmoothing(0.1).wrap(loss)
