"""The codecs with CompressAI's layers compute what CompressAI's own models do."""

import math

import pytest
import torch
from compressai.models import FactorizedPrior, MeanScaleHyperprior, ScaleHyperprior
from generators import build

THEIRS = {
    "bmshj2018": ScaleHyperprior,
    "mbt2018": MeanScaleHyperprior,
    "bmshj2018_factorized": FactorizedPrior,
}
PEDESTAL = 2.0**-36


def ours_of(name, theirs, N, M):
    """Our codec with the weights of CompressAI's; only GDN's are parametrised otherwise."""
    ours = build(name, N=N, M=M, speed=1.0)
    target, state = ours.state_dict(), dict(theirs.named_parameters())
    assert len(state) == len(list(ours.parameters()))
    for key, p in state.items():
        head, _, last = key.rpartition(".")
        if last == "beta":
            beta = p.clamp(min=math.sqrt(1e-6 + PEDESTAL)).square() - PEDESTAL
            target[f"{head}.b"] = (beta - 1e-6).clamp(min=0).sqrt()
        elif last == "gamma":
            target[f"{head}.g"] = (p.clamp(min=2.0**-18).square() - PEDESTAL).clamp(min=0).sqrt()
        else:
            assert target[key].shape == p.shape
            target[key] = p
    ours.load_state_dict(target)
    return ours


@pytest.fixture(params=THEIRS)
def pair(request):
    torch.manual_seed(0)
    N, M = 8, 6
    theirs = THEIRS[request.param](N, M)
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(0.05 * torch.randn(p.shape))
    theirs = theirs.double().eval()
    return ours_of(request.param, theirs, N, M).double().eval(), theirs


@torch.no_grad()
def test_networks_are_compressai_s(pair):
    ours, theirs = pair
    x = torch.rand(2, 3, 64, 128).double()
    y = theirs.g_a(x)
    torch.testing.assert_close(ours.g_a(x - ours.centre), y)
    torch.testing.assert_close(ours.g_s(y) + ours.centre, theirs.g_s(y))
    if hasattr(theirs, "h_a"):
        given = y.abs() if type(theirs) is ScaleHyperprior else y
        z = theirs.h_a(given)
        torch.testing.assert_close(ours.hyper_latents(y), z)
        predicted = theirs.h_s(z)
        scale, mean = predicted.chunk(2, 1) if predicted.shape != y.shape else (predicted, 0 * y)
        torch.testing.assert_close(ours.split(ours.h_s(z)), (mean, scale))


@torch.no_grad()
def test_likelihoods_are_compressai_s(pair):
    """Of the rounded latents, with CompressAI's medians; both in one pass."""
    ours, theirs = pair
    x = torch.rand(1, 3, 64, 64).double()
    wanted = theirs(x)
    y = ours.g_a(x)
    z = ours.hyper_latents(y) if hasattr(ours, "h_a") else y
    medians = theirs.entropy_bottleneck.quantiles[:, 0, 1][:, None, None]
    z_hat = torch.round(z - medians) + medians
    density = ours.entropy_bottleneck.likelihood(z_hat)
    if not hasattr(ours, "h_a"):
        assert torch.allclose(density, wanted["likelihoods"]["y"], atol=2e-9)
        torch.testing.assert_close(ours.g_s(z_hat), wanted["x_hat"])
        return
    mean, raw = ours.split(ours.h_s(z_hat))
    y_hat = torch.round(y - mean) + mean
    likelihood = ours.gaussian_conditional.likelihood_of_raw(y_hat, mean, raw)
    assert torch.allclose(density, wanted["likelihoods"]["z"], atol=2e-9)
    assert torch.allclose(likelihood, wanted["likelihoods"]["y"], atol=2e-9)
    torch.testing.assert_close(ours.g_s(y_hat), wanted["x_hat"])


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("mbt2018", {(128, 192): 7_028_003, (192, 320): 17_561_699}),
        ("bmshj2018", {(128, 192): 5_075_843, (192, 320): 11_816_323}),
        ("bmshj2018_factorized", {(128, 192): 2_998_147, (192, 320): 7_030_531}),
    ],
)
def test_sizes_are_compressai_s(name, sizes):
    for (N, M), wanted in sizes.items():
        with torch.device("meta"):
            codec = build(name, N=N, M=M)
        assert sum(p.numel() for p in codec.parameters()) == wanted
