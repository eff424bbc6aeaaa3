import itertools

import pytest
import torch

from gcn.errors import InputError
from gcn.game.protocols import DiscriminatorOutput
from gcn.models.discriminator import MinibatchStd, Patch
from gcn.models.multiscale import MultiScale


def patch(**options):
    defaults = {
        "width": 4,
        "depth": 3,
        "condition": True,
        "condition_gradient": False,
        "latent_channels": 5,
        "norm": "none",
    }
    torch.manual_seed(0)
    return Patch(**(defaults | options))


GRID = itertools.product((1, 4), (1, 2, 3, 5), (True, False), ("none", "instance", "batch"))


@pytest.mark.parametrize(("width", "depth", "condition", "norm"), list(GRID))
def test_any_width_depth_condition_and_norm(width, depth, condition, norm):
    discriminator = patch(width=width, depth=depth, condition=condition, norm=norm)
    discriminator.check_input(64, 32)
    for cond in (torch.randn(2, 5, 4, 2), None) if not condition else (torch.randn(2, 5, 4, 2),):
        judgement = discriminator(torch.rand(2, 3, 64, 32), cond)
        assert isinstance(judgement, DiscriminatorOutput)
        halvings = min(depth, 3)
        assert judgement.logits[0].shape == (2, 1, 64 // 2**halvings, 32 // 2**halvings)
        assert [f.shape[1] for f in judgement.features] == [width * min(2**i, 8) for i in range(depth)]
        assert judgement.logits[0].isfinite().all()


def test_hific_s_size():
    discriminator = Patch(64, 4, True, False, 220, "none")
    assert sum(p.numel() for p in discriminator.parameters()) == 2_800_797


@pytest.mark.parametrize("condition_gradient", [False, True])
def test_gradient_through_the_condition(condition_gradient):
    """D itself cuts nothing: whether G feels the condition is up to the turn."""
    discriminator = patch(condition_gradient=condition_gradient)
    x, y_hat = torch.rand(1, 3, 32, 32, requires_grad=True), torch.randn(1, 5, 2, 2, requires_grad=True)
    discriminator(x, y_hat).logits[0].sum().backward()
    assert x.grad.abs().sum() > 0
    assert y_hat.grad.abs().sum() > 0
    assert discriminator.condition.weight.grad.abs().sum() > 0


def test_the_condition_matters():
    discriminator, x = patch(), torch.rand(1, 3, 32, 32)
    assert not torch.equal(
        discriminator(x, torch.zeros(1, 5, 2, 2)).logits[0],
        discriminator(x, torch.ones(1, 5, 2, 2)).logits[0],
    )
    with pytest.raises(ValueError, match="y_hat"):
        discriminator(x, None)


def test_logits_are_full_precision_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        judgement = patch()(torch.rand(1, 3, 32, 32), torch.randn(1, 5, 2, 2))
    assert judgement.logits[0].dtype == torch.float32
    assert (
        patch().double()(torch.rand(1, 3, 32, 32).double(), torch.randn(1, 5, 2, 2).double()).logits[0].dtype
        == torch.float64
    )


@pytest.mark.parametrize(("options", "size"), [({"depth": 3}, 4), ({"depth": 3, "norm": "instance"}, 8)])
def test_crops_too_small_are_refused(options, size):
    with pytest.raises(InputError, match="larger crops"):
        patch(**options).check_input(size, 64)


@pytest.mark.parametrize(("norm", "size"), [("none", 8), ("instance", 16)])
def test_the_smallest_crop_that_is_accepted_works(norm, size):
    discriminator = patch(norm=norm, depth=4)
    discriminator.check_input(size, size)
    assert discriminator(torch.rand(2, 3, size, size), torch.randn(2, 5, 1, 1)).logits[0].isfinite().all()


def test_several_scales_are_patch_discriminators_of_averaged_copies():
    torch.manual_seed(0)
    several = MultiScale(3, 4, 2, True, False, 5, "none")
    x, y_hat = torch.rand(2, 3, 64, 48), torch.randn(2, 5, 4, 3)
    output = several(x, y_hat)
    assert [tuple(logits.shape) for logits in output.logits] == [(2, 1, 16, 12), (2, 1, 8, 6), (2, 1, 4, 3)]
    assert len(output.features) == 6
    half = torch.nn.functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
    assert torch.equal(output.logits[0], several.scales[0](x, y_hat).logits[0])
    assert torch.equal(output.logits[1], several.scales[1](half, y_hat).logits[0])
    assert torch.allclose(
        several(torch.ones_like(x), y_hat).logits[2],
        several.scales[2](torch.ones(2, 3, 16, 12), y_hat).logits[0],
    )


def test_the_smallest_scale_limits_the_images():
    several = MultiScale(3, 4, 3, False, False, 5, "none")
    several.check_input(29, 32)  # 8 pixels after two halvings that round up
    with pytest.raises(InputError, match="needs images of 8 pixels or more, not 8x7"):
        several.check_input(28, 32)


def test_the_deviation_of_two_images_is_half_their_distance():
    a, b = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for count in (1, 3):  # every variance is ((a - b)/2)², however often the pair is repeated
        pair = torch.stack([a, b] * count)
        seen = MinibatchStd()(pair)
        assert torch.equal(seen[:, :3], pair)
        assert seen.shape == (2 * count, 4, 4, 5)
        expected = (((a - b) / 2).square() + 1e-8).sqrt().mean().expand(2 * count, 4, 5)
        assert torch.allclose(seen[:, 3], expected, rtol=1e-12, atol=0)


def test_the_deviation_has_second_derivatives_where_all_images_are_equal():
    """s = √(v + ε), v = Σ(x_i - mean)²/B: at v = 0 the gradient is 0, the Hessian that of v over 2√ε."""

    def deviation(values):
        return MinibatchStd()(values.reshape(3, 1, 1, 1))[0, 1, 0, 0]

    equal = torch.full((3,), 0.7, dtype=torch.float64)
    expected = (torch.eye(3, dtype=torch.float64) - 1 / 3) / 3 / 1e-4
    hessian = torch.autograd.functional.hessian(deviation, equal)
    assert torch.allclose(hessian, expected, rtol=1e-6, atol=1e-6)
    assert torch.autograd.functional.jacobian(deviation, equal).abs().max() < 1e-10


@pytest.mark.parametrize(("depth", "condition"), [(1, False), (3, True)])
def test_a_deviation_that_is_not_weighed_changes_nothing(depth, condition):
    plain = patch(depth=depth, condition=condition)
    given = patch(depth=depth, condition=condition, minibatch_std=True)
    before, after = plain.state_dict(), given.state_dict()
    wider = [
        name
        for (name, old), new in zip(before.items(), after.values(), strict=True)
        if old.shape != new.shape
    ]
    assert wider == [f"hidden.{depth - 1}.0.weight"]
    for (_, old), (_, new) in zip(before.items(), after.items(), strict=True):
        new.zero_()
        new[:, : old.shape[1]].copy_(old) if old.dim() == 4 else new.copy_(old)
    x, y_hat = torch.rand(2, 3, 32, 32), torch.randn(2, 5, 2, 2)
    for old, new in zip(plain(x, y_hat).features, given(x, y_hat).features, strict=True):
        assert torch.allclose(old, new, rtol=1e-5, atol=1e-6)
    assert torch.allclose(plain(x, y_hat).logits[0], given(x, y_hat).logits[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("minibatch_std", [False, True])
def test_only_with_the_deviation_do_logits_depend_on_the_other_images(minibatch_std):
    discriminator, (a, b, c) = (
        patch(condition=False, minibatch_std=minibatch_std),
        torch.rand(3, 1, 3, 32, 32),
    )
    beside_b, beside_c = (discriminator(torch.cat((a, other))).logits[0][0] for other in (b, c))
    assert torch.equal(beside_b, beside_c) is not minibatch_std


def test_the_deviation_is_computed_in_full_precision_under_autocast():
    x = 100 + torch.rand(4, 3, 8, 8)  # bfloat16 resolves 0.5 here
    with torch.autocast("cpu", torch.bfloat16):
        seen = MinibatchStd()(x.bfloat16())
    assert seen.dtype == torch.bfloat16
    expected = (x.bfloat16().double().var(0, correction=0) + 1e-8).sqrt().mean()
    assert seen[0, 3, 0, 0].item() == pytest.approx(expected.item(), rel=2**-8)
