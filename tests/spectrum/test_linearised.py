"""The Jacobian of a codec's game against central differences of the field that training follows."""

from collections.abc import Callable

import pytest
import torch
from compressai.layers import GDN
from little import TINIEST, batch, game, small, vector, weights
from torch import nn

from gcn.game.game import Game
from gcn.game.objective import Objective
from gcn.game.streams import Streams
from gcn.lab.games import Uniform
from gcn.losses.adversarial import NonSaturating, Wasserstein
from gcn.losses.distortion import MSE
from gcn.losses.penalties import GP, R1
from gcn.spectrum.linearised import Linearised, still

pytestmark = pytest.mark.filterwarnings("ignore:lpips. the .* backbone has random weights")

PASSES = "discriminator.condition_gradient=true"
GAMES = [
    "loss=ns",
    f"loss=ns {PASSES}",
    "loss=ns discriminator.condition=false",
    "loss=ns relativistic=pair",
]
PARTS = (
    "generator.g_a",
    "generator.entropy_bottleneck",
    "generator.g_s",
    "discriminator.condition",
    "discriminator",
)


def in_block(linear: Linearised, where: slice, seed: int = 0) -> torch.Tensor:
    u = torch.zeros_like(linear.field)
    u[where] = vector(where.stop - where.start, seed)
    return u


def agree_with_the_field(said: str, part: Callable[[str], str]) -> None:
    """Ju is a central difference of the production field, and Jᵀ is J's transpose, for a u in each part.

    ``part`` names the part of a parameter.
    """
    one = game(said, "mse=1 rate=2 r1=10")
    linear = Linearised(one, batch(one, side=16), step=3)
    assert linear.inexact == []
    u, w = vector(len(linear.field)), vector(len(linear.field), seed=1)
    scale, backward = float(linear.jvp(u).norm()), linear.vjp(w)
    for i, (name, where) in enumerate(places(linear, part).items()):
        u = in_block(linear, where, i)
        forward, expected = linear.jvp(u), linear.secant(u)
        assert (forward - expected).norm() <= 1e-4 * expected.norm() + 1e-9 * scale, name
        left, right = torch.dot(w, forward), torch.dot(backward, u)
        assert abs(left - right) <= 1e-10 * w.norm() * max(forward.norm(), 1e-6 * scale), name


def places(linear: Linearised, part: Callable[[str], str]) -> dict[str, slice]:
    """Where each part lies in a flat vector; the parameters of a part follow each other."""
    found: dict[str, slice] = {}
    for block in linear.blocks:
        name = part(block.name)
        first = found.get(name, block.where)
        assert first is block.where or first.stop == block.where.start
        found[name] = slice(first.start, block.where.stop)
    return found


def test_every_layer_against_the_production_field():
    """Where all of the chain rule is used: pairs of logits, and a condition that leads back to the encoder."""
    agree_with_the_field(f"loss=ns relativistic=pair {PASSES}", lambda name: name.rpartition(".")[0])


@pytest.mark.parametrize("said", GAMES)
def test_every_part_against_the_production_field(said):
    agree_with_the_field(said, lambda name: next(part for part in PARTS if name.startswith(part)))


@pytest.mark.parametrize(
    "said",
    [
        "loss=wgan mse=1 r2=10 instance_noise=0.1",
        "loss=ns mse=1 consensus=0.1 grad_norm=1",
        "loss=ns mse=1 spectral_norm=true",
        "loss=lsgan relativistic=average feature_matching=0 generator.residual=1",
        "loss=ns mse=1 generator.upsampling=shuffle generator.activation=simplified",
        "loss=vanilla mse=1 discriminator.norm=batch",
        "loss=ns dragan=10",
        "loss=ns mse=1 discriminator.norm=instance",
        "loss=ns lpips=1 terms.lpips.net=squeeze terms.lpips.backbone=random",
    ],
)
def test_networks_and_terms(said):
    one = game(said)
    linear = Linearised(one, batch(one, side=32 if "lpips" in said else 16), step=3)
    assert linear.inexact == []
    for player in ("g", "d"):
        own = [b.where for b in linear.blocks if b.player == player]
        u = in_block(linear, slice(own[0].start, own[-1].stop))
        forward = linear.jvp(u)
        assert torch.allclose(forward, linear.secant(u), rtol=0, atol=1e-5 * float(forward.norm()))


def test_the_hyperprior():
    one = game("generator=hyperprior generator.N=4 generator.M=4 data.crop=64 loss=ns mse=1")
    linear = Linearised(one, batch(one, side=64))
    u = vector(len(linear.field))
    assert torch.allclose(linear.jvp(u), linear.secant(u), rtol=0, atol=1e-5 * float(linear.jvp(u).norm()))


def test_the_cut_condition_is_what_a_naive_jacobian_misses():
    """D's gradient depends on the encoder through the condition, though G's gradient does not flow there."""
    one = game("loss=ns mse=1")
    x = batch(one)
    linear = Linearised(one, x)
    turn = one.turn("both", x, 0)
    field = -torch.cat([g.reshape(-1) for part in one.field(turn, create_graph=True) for g in part])
    (place,) = [b.where for b in linear.blocks if b.name == "discriminator.condition.weight"]
    u = in_block(linear, place)
    (naive,) = torch.autograd.grad(field, [next(one.generator.g_a.parameters())], u)
    assert torch.allclose(field, linear.field, rtol=0, atol=1e-15)
    assert not torch.allclose(naive.reshape(-1), linear.vjp(u)[: naive.numel()], rtol=1e-2)


def test_a_frozen_encoder_leaves_the_decoder_and_the_discriminator():
    one = game("loss=ns mse=1 generator.quantisation=ste")
    one.generator.freeze("encoder")
    linear = Linearised(one, batch(one))
    assert {b.name.split(".")[1] for b in linear.blocks if b.player == "g"} == {"g_s"}
    assert linear.inexact == []
    u = vector(len(linear.field))
    assert torch.allclose(linear.jvp(u), linear.secant(u), rtol=0, atol=1e-5 * float(linear.jvp(u).norm()))


@pytest.mark.parametrize(("said", "playing"), [("loss=none mse=1", True), ("loss=ns mse=1", False)])
def test_without_an_adversary_the_jacobian_is_symmetric(said, playing):
    one = game(said, size=TINIEST)
    linear = Linearised(one, batch(one, side=16), playing=playing)
    assert {b.player for b in linear.blocks} == {"g"}
    assert linear.field.any()
    for seed in range(3):
        u = vector(len(linear.field), seed)
        forward, backward = linear.jvp(u), linear.vjp(u)
        assert torch.allclose(forward, backward, rtol=0, atol=1e-10 * float(forward.norm()))


def test_an_ensemble_of_one():
    """Closed form at the equilibrium: [[-2μ, p], [-p, -γ]] with p = ½ and a high logit for real."""
    one, x = small(NonSaturating(), (0.0, 0.0), {"mse": (0.3, MSE(unit=255.0)), "r1": (0.7, R1())})
    expected = torch.tensor([[-0.6, 0.5], [-0.5, -0.7]], dtype=torch.float64)
    assert torch.allclose(Linearised(one, x).dense(), expected, atol=1e-12)


def test_nothing_is_changed():
    one = game("loss=ns mse=1 spectral_norm=true discriminator.norm=batch")
    one.generator.eval()
    modes, before = [m.training for m in one.modules()], weights(one)
    linear = Linearised(one, batch(one))
    linear.secant(linear.jvp(linear.field))
    assert [m.training for m in one.modules()] == modes
    assert all(torch.equal(a, b) for a, b in zip(before, weights(one), strict=True))
    assert all(p.grad is None for p in one.parameters())


def test_modes_come_back_after_an_error():
    one = game("loss=ns")
    one.observing = True
    with still(one):
        assert not any(m.training for m in one.modules())
        assert not one.observing
    with pytest.raises(KeyError), still(one):
        raise KeyError
    assert one.training
    assert one.observing


# what is not exact


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("loss=ns mse=1 r1=10 rate=1 charbonnier=1", []),
        ("loss=hinge", ["adv"]),
        ("loss=hinge relativistic=pair l1=0", ["adv"]),
        (
            "l1=1 ms_ssim=1 terms.ms_ssim.levels=1 feature_matching=1 gp=10",
            ["feature_matching", "l1", "ms_ssim"],
        ),
        ("target_bpp=0.5", ["rate"]),
        ("generator.quantisation=ste", ["generator"]),
        ("generator.quantisation=mixed", ["generator"]),
    ],
)
def test_what_is_not_exact_is_named(said, named):
    one = game(said)
    assert sorted(name for name, _ in Linearised(one, batch(one)).inexact) == named


def test_points_between_real_and_fake_belong_to_the_generator():
    """With D = wx² the field of a penalty between x and x_hat depends on θ, and the graph says so."""
    one, x = small(Wasserstein(), (0.5, 1.0), {"gp": (1.0, GP())}, Uniform())
    linear = Linearised(one, x)
    theta = torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert linear.jvp(theta).tolist() == pytest.approx(linear.secant(theta).tolist(), rel=1e-6)
    without = Linearised(*small(Wasserstein(), (0.5, 1.0), {}, Uniform()))
    assert linear.jvp(theta)[1] != pytest.approx(without.jvp(theta)[1].item(), rel=0.1)


def test_third_derivatives_of_a_norm_do_not_exist():
    one = game("loss=ns r1=10 discriminator.norm=instance")
    linear = Linearised(one, batch(one))
    with pytest.raises(RuntimeError, match="3rd"):
        linear.vjp(linear.field)


class Old(nn.Module):
    """A generator with CompressAI's own GDN, whose parameters are bounded from below."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = GDN(3)

    def forward(self, x, noise):
        out = self.norm(x)
        return type("Out", (), {"x_hat": out, "y_hat": None, "likelihoods": {}})()


def test_active_lower_bounds_are_named():
    bounded = Game(Old(), None, Objective(None, terms={"mse": (1.0, MSE())}), Streams(0)).double()
    x = batch(bounded, side=8)
    gamma = bounded.generator.norm.gamma
    with torch.no_grad():
        gamma.fill_(0.1)
    assert Linearised(bounded, x).inexact == []
    with torch.no_grad():
        gamma[0, 1] = -1.0
    ((name, reason),) = Linearised(bounded, x).inexact
    assert name == "generator.norm.gamma_reparam.lower_bound"
    assert "generator.norm.gamma" in reason
