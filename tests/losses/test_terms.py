"""Terms: every formula against a closed form."""

import math

import pytest
import torch
from torch import nn
from turns import Linear, Quadratic, open_turn

from gcn.errors import InputError
from gcn.game.game import Game
from gcn.game.objective import Objective
from gcn.game.protocols import DiscriminatorOutput, GeneratorOutput
from gcn.game.streams import Streams
from gcn.losses.adversarial import NonSaturating, Wasserstein
from gcn.losses.constraints import SpectralNorm, WeightClip
from gcn.losses.distortion import L1, MSE, MSSSIM, Anchor, Charbonnier, Prox, Wrong
from gcn.losses.penalties import DRAGAN, GP, R1, R2, ApproximateR1, Roth
from gcn.losses.perceptual import FeatureMatching
from gcn.losses.perturbation import InstanceNoise
from gcn.losses.rate import Rate
from gcn.losses.regularizers import JARE, Consensus, GradNorm


def image(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, X_HAT = image(4, 3, 5, 5), image(4, 3, 5, 5, seed=1)
W = image(3, 5, 5, seed=2) - 0.3


# --- what G pays for distortion and rate ---


@pytest.mark.parametrize("unit", [1.0, 8.0, 20.0])
def test_an_error_of_one_unit_costs_one(unit):
    away = X + unit / 255
    assert MSE(unit)(open_turn(X, away)).item() == pytest.approx(1)
    assert L1(unit)(open_turn(X, away)).item() == pytest.approx(1)
    assert MSE(unit)(open_turn(X, X_HAT)).item() == pytest.approx(
        ((X - X_HAT) ** 2).mean().item() * 255**2 / unit**2
    )
    assert L1(unit)(open_turn(X, X_HAT)).item() == pytest.approx((X - X_HAT).abs().mean().item() * 255 / unit)


def test_distortions_look_at_reconstructions_that_are_not_clamped():
    assert MSE(255.0)(open_turn(torch.ones_like(X), 3 * torch.ones_like(X))).item() == pytest.approx(4)


def test_the_unit_of_a_distortion_is_8_grey_levels_by_default():
    away = X + 8 / 255
    assert [term()(open_turn(X, away)).item() for term in (MSE, L1)] == pytest.approx([1, 1])
    smooth = math.sqrt((8 / 255) ** 2 + 1e-6) * 255 / 8
    assert Charbonnier()(open_turn(X, away)).item() == pytest.approx(smooth, rel=1e-9)


class Doubling(nn.Module):
    """A synthesis: the image is twice the latents plus ½."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def forward(self, y_hat):
        return self.factor * y_hat


class Decoding(nn.Module):
    """A generator with given latents."""

    def __init__(self, y_hat, centre=0.5):
        super().__init__()
        self.g_s, self.y_hat, self.centre = Doubling(), y_hat, centre

    def forward(self, x, noise):
        return GeneratorOutput(self.g_s(self.y_hat) + self.centre, self.y_hat, {})


@pytest.mark.parametrize("unit", [None, 1.0, 20.0])
@pytest.mark.parametrize("centre", [0.5, 0.0])
def test_the_anchor_pulls_to_the_first_synthesis_of_the_same_latents(unit, centre):
    anchor = Anchor() if unit is None else Anchor(unit)
    generator = Decoding(image(4, 3, 5, 5, seed=5) - 0.5, centre)
    game = Game(generator, None, Objective(None, 1.0, {"anchor": (1.0, anchor)}), Streams(0)).double()
    assert anchor(game.turn("g", X, 0)).item() == 0
    assert not any(parameter.requires_grad for parameter in anchor.parameters())
    with torch.no_grad():
        generator.g_s.factor.fill_(3.0)
    value = anchor(game.turn("g", X, 0))
    assert value.item() == pytest.approx(generator.y_hat.square().mean().item() * (255 / (unit or 8)) ** 2)
    (gradient,) = torch.autograd.grad(value, generator.g_s.factor)
    assert gradient.item() == pytest.approx(2 * value.item())


def decoding(name, term, centre=0.5):
    generator = Decoding(image(4, 3, 5, 5, seed=5) - 0.5, centre)
    return generator, Game(generator, None, Objective(None, 1.0, {name: (1.0, term)}), Streams(0)).double()


@pytest.mark.parametrize("shift", [1, 3])
def test_the_wrong_target_is_the_first_output_shifted_to_the_right_with_a_mirrored_edge(shift):
    wrong = Wrong(shift=shift)
    generator, game = decoding("wrong", wrong)
    with torch.no_grad():
        generator.g_s.factor.fill_(3.0)
    first, last = 2 * generator.y_hat, 3 * generator.y_hat
    columns = [abs(column - shift) for column in range(5)]  # 3: 3, 2, 1, 0, 1
    expected = (last - first[..., columns]).square().mean().item() * (255 / 8) ** 2
    assert wrong(game.turn("g", X, 0)).item() == pytest.approx(expected)


def test_anchor_and_wrong_and_prox_are_equally_stiff():
    """The second derivative of each along the decoder's output is that of mse: 2 E y_hat² in its unit."""
    for name, term in (("anchor", Anchor()), ("wrong", Wrong()), ("prox", Prox())):
        generator, game = decoding(name, term)
        (slope,) = torch.autograd.grad(term(game.turn("g", X, 0)), generator.g_s.factor, create_graph=True)
        (stiffness,) = torch.autograd.grad(slope, generator.g_s.factor)
        expected = 2 * generator.y_hat.square().mean().item() * (255 / 8) ** 2
        assert stiffness.item() == pytest.approx(expected)


@pytest.mark.parametrize("centre", [0.5, 0.0])
def test_prox_pulls_to_the_average_of_the_synthesis_over_the_updates(centre):
    """From factor 2 to 3 to 5 at decay .75: the average is 2, 2.25, 2.9375."""
    prox = Prox(decay=0.75)
    generator, game = decoding("prox", prox, centre)
    square = generator.y_hat.square().mean().item() * (255 / 8) ** 2
    for factor, average in ((3.0, 2.0), (5.0, 2.25), (5.0, 2.9375)):
        with torch.no_grad():
            generator.g_s.factor.fill_(factor)
        value = prox(game.turn("g", X, 0))
        assert value.item() == pytest.approx((factor - average) ** 2 * square)
        (gradient,) = torch.autograd.grad(value, generator.g_s.factor)
        assert gradient.item() == pytest.approx(2 * (factor - average) * square)
        game.objective.after_update(game.turn("g", X, 0))
    game.objective.settle(game.turn("g", X, 0))
    assert prox(game.turn("g", X, 0)).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("name", "term"), [("anchor", Anchor), ("wrong", Wrong), ("prox", Prox)])
def test_a_generator_without_a_synthesis_is_refused(name, term):
    with pytest.raises(InputError, match=rf"^{name}: this generator has no synthesis g_s"):
        open_turn(X, X_HAT, terms={name: (1.0, term())})


def test_a_shift_as_wide_as_the_crops_is_refused():
    Wrong(shift=31).check_images(32)
    with pytest.raises(InputError, match=r"^terms.wrong.shift=32: crops of 32 pixels .* choose at most 31$"):
        Wrong(shift=32).check_images(32)


def test_charbonnier():
    turn = open_turn(torch.zeros_like(X), torch.full_like(X, 0.3))
    assert Charbonnier(epsilon=0.1, unit=255.0)(turn).item() == pytest.approx(math.sqrt(0.3**2 + 0.1**2))


@pytest.mark.parametrize("levels", [1, 3, 5])
def test_ms_ssim_is_that_of_pytorch_msssim(levels):
    from pytorch_msssim import MS_SSIM

    x = nn.functional.interpolate(image(2, 3, 22, 22), size=176, mode="bilinear").float()
    noise = torch.tensor([0.02, 0.5]).reshape(2, 1, 1, 1) * torch.tensor([0.5, 1.0, 2.0]).reshape(3, 1, 1)
    x_hat = x + noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    weights = torch.tensor([0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:levels])  # Wang et al. 2003
    reference = MS_SSIM(data_range=1.0, weights=(weights / weights.sum()).tolist())(x, x_hat)
    assert MSSSIM(levels)(open_turn(x, x_hat)).item() == pytest.approx(1 - reference.item(), abs=1e-6)


@pytest.mark.parametrize("case", ["equal", "anticorrelated", "flat"])
def test_ms_ssim_has_finite_gradients_everywhere(case):
    x = image(1, 3, 64, 64).float()
    x_hat = {"equal": x, "anticorrelated": 1 - x, "flat": torch.zeros_like(x)}[case]
    turn = open_turn(x, x_hat)
    value = MSSSIM(3)(turn)
    (gradient,) = torch.autograd.grad(value, turn.x_hat)
    assert gradient.isfinite().all()
    assert value.item() == pytest.approx(0, abs=1e-6) if case == "equal" else 0 < value.item() <= 1


def test_ms_ssim_refuses_crops_that_are_too_small():
    with pytest.raises(InputError, match="too small"):
        MSSSIM(3).check_images(40)
    MSSSIM(3).check_images(41)
    for levels, smallest in ((1, 11), (2, 21), (5, 161)):
        MSSSIM(levels).check_images(smallest)
        with pytest.raises(
            InputError, match=rf"crops of {smallest - 1} pixels .* data.crop={smallest} or more$"
        ):
            MSSSIM(levels).check_images(smallest - 1)


def test_ms_ssim_has_three_levels_by_default_and_a_floor_for_negative_contrast():
    x = image(2, 3, 64, 64).float()
    turn = open_turn(x, x.flip(-1))
    assert MSSSIM()(turn).item() == MSSSIM(3)(turn).item() != MSSSIM(2)(turn).item()
    # of one constant image and one that alternates, contrast and structure vanish and leave 1e-4 to its power
    stripes = (torch.arange(64) % 2).float().expand(1, 3, 64, 64)
    assert MSSSIM(1)(open_turn(stripes, 1 - stripes)).item() == pytest.approx(1 - 1e-4, abs=1e-6)


def likelihoods(bpp):
    """Two streams of symbols whose bits for 5x5 pixels add up to the given rates, one an image."""
    bits = torch.tensor(bpp, dtype=torch.float64).reshape(-1, 1, 1, 1) * 25
    return {"y": 2 ** (-0.75 * bits / 4).expand(-1, 1, 2, 2), "z": 2 ** (-0.25 * bits)}


def test_rate_is_the_mean_of_bits_per_pixel():
    turn = open_turn(X, X_HAT, likelihoods=likelihoods([0.1, 0.2, 0.3, 1.0]))
    assert turn.bpp.tolist() == pytest.approx([0.1, 0.2, 0.3, 1.0])
    assert Rate()(turn).item() == pytest.approx(0.4)


def test_the_target_switches_the_rate_image_by_image():
    turn = open_turn(X, X_HAT, likelihoods=likelihoods([0.1, 0.2, 0.3, 1.0]))
    value = Rate(target_bpp=0.25, below=0.5)(turn).item()
    assert value == pytest.approx((0.05 + 0.1 + 0.3 + 1.0) / 4)
    assert Rate(target_bpp=0.25)(turn).item() == pytest.approx(
        (0.3 / 16 + 0.3 + 1.0) / 4
    )  # HiFiC: a sixteenth
    exact = open_turn(X, X_HAT, likelihoods={"y": torch.full((4, 1, 5, 5), 0.5, dtype=torch.float64)})
    assert exact.bpp.tolist() == [1.0] * 4
    assert Rate(target_bpp=1.0, below=0.5)(exact).item() == 0.5, "on the target is not above it"


def test_feature_matching_pulls_the_reconstruction_alone():
    turn = open_turn(X, X_HAT, Linear(W))
    value = FeatureMatching()(turn)
    assert value.item() == pytest.approx(((X - X_HAT) * W).abs().mean().item())
    (on_x,) = torch.autograd.grad(value, turn.seen_real, retain_graph=True, allow_unused=True)
    assert on_x is None
    assert torch.autograd.grad(value, turn.x_hat)[0].abs().sum() > 0


# --- what D pays ---


@pytest.mark.parametrize("grid", [1, 4])
def test_penalties_of_a_linear_discriminator(grid):
    """½‖w‖² for R1 and R2, (‖w‖ - 1)² for GP and DRAGAN, whatever the number of patches."""
    square = W.square().sum().item()
    turn = open_turn(X, X_HAT, Linear(W, grid), player="d")
    assert R1()(turn).item() == pytest.approx(square / 2, abs=1e-12)
    assert R2()(turn).item() == pytest.approx(square / 2, abs=1e-12)
    for term in (GP(), DRAGAN()):
        assert term(turn).item() == pytest.approx((math.sqrt(square) - 1) ** 2, abs=1e-9)
    assert GP(target=0.0)(turn).item() == pytest.approx(square, abs=1e-9)


def test_the_gradient_of_a_penalty():
    """∇_w of γ/2‖w‖² is γw, of (‖w‖ - 1)² it is 2(‖w‖ - 1)w/‖w‖."""
    turn = open_turn(X, X_HAT, Linear(W), loss=Wasserstein(), terms={"r1": (10.0, R1())}, player="d")
    (gradient,) = turn.game.gradient("d", turn)
    assert torch.allclose(gradient, 10 * W - (X - X_HAT).mean(0), atol=1e-12)
    turn = open_turn(X, X_HAT, Linear(W), loss=Wasserstein(), terms={"gp": (10.0, GP())}, player="d")
    (gradient,) = turn.game.gradient("d", turn)
    expected = 20 * (W.norm() - 1) * W / W.norm() - (X - X_HAT).mean(0)
    assert torch.allclose(gradient, expected, atol=1e-9)


def test_penalties_are_taken_where_they_say():
    """With ∇D(x) = Ax: R1 at x, R2 at x_hat, GP between them, DRAGAN on the upper side of x."""
    matrix = image(75, 75, seed=4) / 20
    matrix = matrix + matrix.T
    turn = open_turn(X, X_HAT, Quadratic(matrix), player="d")

    def at(points):
        return points.flatten(1) @ matrix

    assert R1()(turn).item() == pytest.approx(0.5 * at(X).square().sum(1).mean().item())
    assert R2()(turn).item() == pytest.approx(0.5 * at(X_HAT).square().sum(1).mean().item())
    share = turn.stream("gp").uniform(X[:, 0, 0, 0]).reshape(-1, 1, 1, 1)
    assert len(set(share.flatten().tolist())) == len(X)
    between = at(share * X + (1 - share) * X_HAT)
    assert GP()(turn).item() == pytest.approx((between.norm(dim=1) - 1).square().mean().item())
    around = at(X + 0.5 * X.std(correction=0) * turn.stream("dragan").uniform(X))
    assert DRAGAN()(turn).item() == pytest.approx((around.norm(dim=1) - 1).square().mean().item())


def test_the_zero_centred_penalty_on_interpolates():
    """λ E‖A(εx + (1-ε)x_hat)‖² for ∇D(x) = Ax, and 2λw for a linear D; also where D is constant."""
    matrix = image(75, 75, seed=4) / 20
    turn = open_turn(X, X_HAT, Quadratic(matrix + matrix.T), player="d")
    share = turn.stream("gp").uniform(X[:, 0, 0, 0]).reshape(-1, 1, 1, 1)
    between = (share * X + (1 - share) * X_HAT).flatten(1) @ (matrix + matrix.T)
    assert GP(target=0.0)(turn).item() == pytest.approx(between.square().sum(1).mean().item())
    for w in (W, 0 * W):
        terms = {"gp": (10.0, GP(target=0.0))}
        turn = open_turn(X, X_HAT, Linear(w), loss=Wasserstein(), terms=terms, player="d")
        (gradient,) = turn.game.gradient("d", turn)
        assert torch.allclose(gradient, 20 * w - (X - X_HAT).mean(0), atol=1e-12)


@pytest.mark.parametrize("step", [1.0, 1e-3])
def test_approximated_r1_of_a_linear_discriminator(step):
    """½E(w·n)² and its gradient E(w·n)n for the drawn n, whatever the step; on average over n it is R1."""
    n = open_turn(X, X_HAT, player="d").stream("approx_r1").normal(X)
    along = (W * n).flatten(1).sum(1)
    terms = {"approx_r1": (10.0, ApproximateR1(step=step))}
    turn = open_turn(X, X_HAT, Linear(W, grid=2), loss=Wasserstein(), terms=terms, player="d")
    value = turn.game.objective.terms["approx_r1"](turn)
    assert value.item() == pytest.approx(0.5 * along.square().mean().item(), rel=1e-9)
    (gradient,) = turn.game.gradient("d", turn)
    expected = 10 * (along.reshape(-1, 1, 1, 1) * n).mean(0) - (X - X_HAT).mean(0)
    assert torch.allclose(gradient, expected, atol=1e-8)
    many = X[:1].expand(20_000, -1, -1, -1)
    turn = open_turn(many, many, Linear(W), player="d")
    assert ApproximateR1(step=step)(turn).item() == pytest.approx(R1()(turn).item(), rel=0.04)


def test_approximated_r1_tends_to_the_slope_along_its_direction():
    """For D = ½x·A·x it is ½E(n·Ax + h/2·n·An)², which tends to ½E(n·∇D)² as h → 0."""
    matrix = image(75, 75, seed=4) / 20
    matrix = matrix + matrix.T
    turn = open_turn(X, X_HAT, Quadratic(matrix), player="d")
    n = turn.stream("approx_r1").normal(X).flatten(1)
    slope, bend = (n * (X.flatten(1) @ matrix)).sum(1), (n * (n @ matrix)).sum(1)
    limit = 0.5 * slope.square().mean().item()
    distances = []
    for h in (0.5, 0.05, 0.0005):
        turn = open_turn(X, X_HAT, Quadratic(matrix), player="d")
        value = ApproximateR1(step=h)(turn).item()
        assert value == pytest.approx(0.5 * (slope + h / 2 * bend).square().mean().item(), rel=1e-8)
        distances.append(abs(value - limit) / limit)
    assert distances[0] > 10 * distances[2]
    assert distances[2] < 1e-2


class OnceDifferentiable(Linear):
    """The linear discriminator by an operation that has no second derivative."""

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, images, w):
            ctx.save_for_backward(images, w)
            return (images * w).flatten(1).sum(1)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, gradient):
            images, w = ctx.saved_tensors
            gradient = gradient.reshape(-1, 1, 1, 1)
            return gradient * w, (gradient * images).sum(0)

    def forward(self, images, cond):
        return DiscriminatorOutput((self.Product.apply(images, self.w).reshape(-1, 1, 1, 1),))


def test_approximated_r1_needs_no_second_derivative():
    """Its gradient is right where the operation has a first derivative alone; there that of R1 lacks γw."""
    for term, lacks in ((ApproximateR1(), 0 * W), (R1(), W)):
        once, twice = (
            open_turn(X, X_HAT, discriminator, Wasserstein(), {"penalty": (1.0, term)}, player="d")
            for discriminator in (OnceDifferentiable(W), Linear(W))
        )
        (found,), (full,) = (turn.game.gradient("d", turn) for turn in (once, twice))
        assert torch.allclose(full - found, lacks, atol=1e-9)


def test_the_penalty_of_roth_weighs_each_gradient_by_the_error_of_d():
    """½E[(1-σ(q))²‖Ax‖²] + ½E[σ(q)²‖Ax_hat‖²], q = ½x·A·x."""
    matrix = image(75, 75, seed=4) / 100 - 0.005
    matrix = matrix + matrix.T
    expected = 0.0
    for points, label in ((X.flatten(1), 1.0), (X_HAT.flatten(1), 0.0)):
        slopes = points @ matrix
        error = label - 1 / (1 + (-0.5 * (points * slopes).sum(1)).exp())
        assert error.abs().max() > error.abs().min() + 1e-4  # the images have weights of their own
        expected += 0.5 * (error.square() * slopes.square().sum(1)).mean().item()
    turn = open_turn(X, X_HAT, Quadratic(matrix), player="d")
    assert Roth()(turn).item() == pytest.approx(expected, rel=1e-9)
    constant = open_turn(X, X_HAT, Linear(0 * W), player="d")
    assert Roth()(constant).item() == 0


def test_one_centred_penalties_are_finite_for_a_constant_discriminator():
    turn = open_turn(X, X_HAT, Linear(0 * W), loss=Wasserstein(), terms={"gp": (1.0, GP())}, player="d")
    (gradient,) = turn.game.gradient("d", turn)
    assert gradient.isfinite().all()


def test_a_lazy_penalty_is_paid_at_every_kth_update_with_k_times_the_weight():
    for step in range(7):
        terms = {"r1": (10.0, R1(every=3))}
        turn = open_turn(X, X_HAT, Linear(W), loss=Wasserstein(), terms=terms, step=step, player="d")
        losses = {loss.name: loss.weight for loss in turn.game.objective.losses(turn, "d")}
        assert losses == ({"adv": 1.0, "r1": 30.0} if step % 3 == 0 else {"adv": 1.0})
        measured = turn.game.objective.measure(turn, "d")  # what is not paid is still to be seen in the log
        assert {name: v.item() for name, v in measured.items()} == (
            {} if step % 3 == 0 else {"r1": pytest.approx(W.square().sum().item() / 2)}
        )


def test_penalties_refuse_batch_normalisation():
    class Normalised(Linear):
        def __init__(self):
            super().__init__(W)
            self.norm = nn.BatchNorm2d(3)

    for term in (R1(), R2(), GP(), DRAGAN(), ApproximateR1(), Roth()):
        with pytest.raises(InputError, match="batch"):
            open_turn(X, X_HAT, Normalised(), terms={"p": (1.0, term)})


NEEDY = {"r1": R1, "r2": R2, "gp": GP, "dragan": DRAGAN, "approx_r1": ApproximateR1, "roth": Roth,
         "feature_matching": FeatureMatching, "grad_norm": GradNorm, "consensus": Consensus, "jare": JARE}  # fmt: skip


@pytest.mark.parametrize("name", NEEDY)
def test_what_looks_at_the_discriminator_sleeps_while_there_is_no_game(name):
    """In the warm-up nothing of it is paid, and with a weight of 0 nothing is measured."""
    terms = {name: (1.0, NEEDY[name]()), "l1": (1.0, L1())}
    for weight in (1.0, 0.0):
        terms[name] = (weight, terms[name][1])
        game = open_turn(X, X_HAT, Linear(W), NonSaturating(), terms).game
        turn = game.turn("g", X, 0, playing=False)
        assert [loss.name for loss in game.objective.losses(turn, "g")] == ["l1"]
        assert game.objective.losses(turn, "d") == []
        assert game.objective.measure(turn, "g") == game.objective.measure(turn, "d") == {}


# --- what both pay ---


class Mixed(nn.Module):
    """Two parameters and a nonlinear dependence on the image, so that nothing vanishes by accident."""

    def __init__(self):
        super().__init__()
        self.w, self.b = nn.Parameter(W.clone()), nn.Parameter(torch.tensor(0.2, dtype=torch.float64))

    def forward(self, images, cond):
        score = (images * self.w).sum((1, 2, 3)) + self.b * images.square().sum((1, 2, 3))
        return DiscriminatorOutput(((score / 10).tanh().reshape(-1, 1, 1, 1),))


def mixed_turn(**terms):
    return open_turn(X, X_HAT, Mixed(), loss=NonSaturating(), terms={"mse": (0.5, MSE(100.0)), **terms})


def by_hand(x_hat, w, b):
    """Losses of mixed_turn as functions of all parameters: (L_G, L_D's adversarial part)."""

    def discriminate(t):
        return (((t * w).sum((1, 2, 3)) + b * t.square().sum((1, 2, 3))) / 10).tanh()

    sp = nn.functional.softplus
    loss_g = sp(-discriminate(x_hat)).mean() + 0.5 * 2.55**2 * (x_hat - X).square().mean()
    return loss_g, sp(-discriminate(X)).mean() + sp(discriminate(x_hat)).mean()


def gradients_by_hand():
    leaves = [t.clone().requires_grad_() for t in (X_HAT, W, torch.tensor(0.2, dtype=torch.float64))]
    loss_g, loss_d = by_hand(*leaves)
    (g,) = torch.autograd.grad(loss_g, leaves[:1], create_graph=True)
    d = torch.autograd.grad(loss_d, leaves[1:], create_graph=True)
    norms = g.square().sum(), sum(t.square().sum() for t in d)
    assert min(norms) > 1e-4  # there is something to compare
    return leaves, *norms, (loss_g, loss_d)


def same(found, expected):
    assert all(torch.allclose(f, e, atol=1e-10, rtol=1e-8) for f, e in zip(found, expected, strict=True))


def test_grad_norm_is_the_square_of_the_discriminators_gradient():
    leaves, _, d, (loss_g, _) = gradients_by_hand()
    turn = mixed_turn(grad_norm=(2.0, GradNorm()), r1=(3.0, R1()))  # the penalty is no part of it
    assert GradNorm()(turn).item() == pytest.approx(d.item(), rel=1e-9)
    same(turn.game.gradient("g", turn), torch.autograd.grad(loss_g + 2 * d, leaves[:1]))


def test_consensus_is_paid_by_both():
    leaves, g, d, (loss_g, loss_d) = gradients_by_hand()
    turn = mixed_turn(consensus=(2.0, Consensus()))
    value = turn.game.objective.terms["consensus"](turn).item()
    assert value == pytest.approx(0.5 * (g + d).item(), rel=1e-9)
    on_g, on_d = turn.game.field(turn)
    same(on_g, torch.autograd.grad(loss_g + g + d, leaves[:1], retain_graph=True))
    same(on_d, torch.autograd.grad(loss_d + g + d, leaves[1:]))


def test_jare_charges_each_player_with_the_others_gradient():
    leaves, g, d, (loss_g, loss_d) = gradients_by_hand()
    turn = mixed_turn(jare=(2.0, JARE()))
    on_g, on_d = turn.game.field(turn)
    same(on_g, torch.autograd.grad(loss_g + d, leaves[:1], retain_graph=True))
    same(on_d, torch.autograd.grad(loss_d + g, leaves[1:]))


def test_what_is_measured_is_what_would_be_paid():
    """A weight of 0 reports the value that a weight would charge, gradients of penalties in it included."""
    paid, measured = (
        mixed_turn(r1=(3.0, R1()), **{name: (weight, term()) for name, term in ON_GRADIENTS.items()})
        for weight in (1.0, 0.0)
    )
    for player in ("g", "d"):
        losses = {c.name: c.value.item() for c in paid.game.objective.losses(paid, player)}
        values = measured.game.objective.measure(measured, player)
        assert set(values) == {name for name in losses if name in ON_GRADIENTS}
        for name, value in values.items():
            assert value.item() == pytest.approx(losses[name], rel=1e-9), name


ON_GRADIENTS = {"consensus": Consensus, "jare": JARE, "grad_norm": GradNorm}


# --- what D sees ---


def test_instance_noise_has_its_sigma_and_anneals_to_nothing():
    noise = InstanceNoise(0.2, anneal=100)
    turn = open_turn(torch.zeros(8, 3, 32, 32), torch.zeros(8, 3, 32, 32))
    for step, sigma in ((0, 0.2), (50, 0.1), (75, 0.05)):
        seen = noise(turn.x, turn.stream("any"), step)
        assert seen.std().item() == pytest.approx(sigma, rel=0.02)
        assert seen.mean().item() == pytest.approx(0, abs=0.01)
    for step in (100, 1000):
        assert noise(turn.x, turn.stream("any"), step) is turn.x
    assert InstanceNoise(0.2).level(10**9) == InstanceNoise(0.2, anneal=1).level(0) == 0.2


def test_instance_noise_may_have_a_level_for_each_image():
    """The noise divided by the image's level u·σ is the noise that all share a level; u is uniform in [0, 1]."""
    x = torch.zeros(2000, 3, 8, 8)
    stream = open_turn(x[:1], x[:1]).stream("any")
    noise = InstanceNoise(0.4, anneal=100, per_image=True)(x, stream.child(0), 50)
    same = InstanceNoise(0.2)(x, stream.child(0), 0)
    levels = (noise / same).flatten(1)
    assert torch.allclose(levels, levels[:, :1].expand_as(levels), atol=1e-4)
    u = levels[:, 0].sort().values
    assert (u - (torch.arange(2000) + 0.5) / 2000).abs().max() < 0.04  # Kolmogorov's distance, 1.8/√2000
    assert noise.square().mean().item() == pytest.approx(
        InstanceNoise(0.2, per_image=True).variance, rel=0.05
    )
    assert InstanceNoise(0.3).variance == pytest.approx(0.09)


def test_the_discriminator_its_penalties_and_the_generator_see_one_draw():
    seen = []

    class Watching(Linear):
        def forward(self, images, cond):
            seen.append(images.detach())
            return super().forward(images, cond)

    terms = {"r1": (1.0, R1()), "r2": (1.0, R2())}
    turn = open_turn(X, X_HAT, Watching(W), NonSaturating(), terms, perturbations=[InstanceNoise(0.3)])
    turn.game.field(turn)
    assert len(seen) == 2  # one look at x and one at x_hat serve the loss of D, that of G and both penalties
    fake, real = seen  # G is asked first
    noise = [real - X, fake - X_HAT]
    assert all(n.std().item() == pytest.approx(0.3, rel=0.1) for n in noise)
    assert not torch.allclose(*noise, atol=0.1)
    assert torch.equal(turn.seen_real.detach(), real)
    after = turn.next("g")
    assert not torch.equal(after.seen_real, turn.seen_real)  # a turn of its own draws afresh
    repeated = open_turn(X, X_HAT, Watching(W), NonSaturating(), terms, perturbations=[InstanceNoise(0.3)])
    assert torch.equal(repeated.seen_real, turn.seen_real)  # and the draws are those of the step


# --- on D ---


def test_weight_clip():
    critic = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 1))
    before = {n: p.detach().clone() for n, p in critic.named_parameters()}
    WeightClip(0.05).after_step(critic)
    for name, parameter in critic.named_parameters():
        assert torch.equal(parameter, before[name].clamp(-0.05, 0.05)), name


def test_spectral_norm_makes_the_largest_singular_value_one():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv2d(3, 8, 4), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(32, 1))
    SpectralNorm().prepare(critic)
    for _ in range(200):  # the power iteration's error falls with the ratio of the two largest
        critic(torch.rand(1, 3, 7, 7))
    critic.eval()
    for layer in (critic[0], critic[1], critic[3]):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-3)


def test_spectral_norm_switched_off_changes_nothing():
    critic = nn.Conv2d(3, 8, 4)
    SpectralNorm(on=False).prepare(critic)
    assert set(critic.state_dict()) == {"weight", "bias"}


# --- conversions to the weights of others; docs/objective.md holds the table ---


def per_unit_of(adversarial, mse_255=0.0, mse_01=0.0):
    """Our weight of the mse for a published weight of squared error of grey levels or of [0, 1]."""
    return (mse_255 * 255**2 + mse_01) / adversarial / MSE().scale


def test_conversion_of_hific():
    assert per_unit_of(0.15, mse_255=0.075 * 2**-5) == pytest.approx(1, abs=1e-12)
    assert round(1 / 0.15, 2) == 6.67  # of the LPIPS


def test_conversion_of_ms_illm():
    assert per_unit_of(0.008, mse_01=150) == pytest.approx(18.5, abs=0.05)
    assert round(1 / 0.008, 9) == 125  # of the LPIPS


@pytest.mark.parametrize("lmbda", [0.0018, 0.013, 0.18])
@pytest.mark.parametrize("rate", [1.0, 2.5])
def test_conversion_of_compressai(lmbda, rate):
    """λ·255²·MSE + bpp times ``rate`` is mse = 64·λ·rate."""
    assert per_unit_of(1 / rate, mse_255=lmbda) == pytest.approx(64 * lmbda * rate)


@pytest.mark.parametrize(
    ("step", "expected"), [(9, 0.5 * (0.05 + 0.1 + 0.15 + 1.0) / 4), (10, (0.05 + 0.1 + 0.3 + 1.0) / 4)]
)
def test_the_first_updates_have_another_target_and_another_weight(step, expected):
    turn = open_turn(X, X_HAT, likelihoods=likelihoods([0.1, 0.2, 0.3, 1.0]), step=step)
    rate = Rate(target_bpp=0.25, below=0.5, early=10, early_target=1.4, early_weight=0.5)
    assert rate(turn).item() == pytest.approx(expected)
