"""Metrics of learned features, with random weights of the same architectures where weights are needed."""

import math
import warnings

import numpy as np
import pytest
import scipy.linalg
import torch
from torchvision.models import alexnet, vgg16

from gcn.errors import InputError
from gcn.losses.perceptual import BACKBONES
from gcn.metrics.bd_rate import bd_rate
from gcn.metrics.learned import INCEPTION, frechet, inception_features, kernel, patches, resolve


def drawn(n, d=6, shift=0.0, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).double() + shift


def test_the_frechet_distance_is_scipy_s():
    a, b = drawn(50), drawn(60, shift=0.5, seed=1) * 1.5
    one, two = a.numpy(), b.numpy()
    s1, s2 = np.cov(one.T), np.cov(two.T)
    root = scipy.linalg.sqrtm(s1 @ s2).real
    expected = ((one.mean(0) - two.mean(0)) ** 2).sum() + np.trace(s1 + s2 - 2 * root)
    assert frechet(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)


def test_the_kernel_distance_is_the_u_statistic():
    a, b = drawn(40), drawn(40, shift=0.3, seed=1)

    def k(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    one, two, n = a.numpy(), b.numpy(), 40
    inner = [(k(x, x).sum() - np.trace(k(x, x))) / (n * (n - 1)) for x in (one, two)]
    assert kernel(a, b) == pytest.approx(sum(inner) - 2 * k(one, two).mean(), rel=1e-9)


@pytest.mark.parametrize(
    ("size", "count"), [((255, 999), 0), ((256, 256), 1), ((512, 768), 6 + 2), ((384, 384), 2)]
)
def test_patches_are_a_grid_and_the_grid_shifted(size, count):
    image = torch.arange(size[0] * size[1]).reshape(1, *size).expand(3, -1, -1)
    found = list(patches(image))
    assert len(found) == count
    assert all(patch.shape == (3, 256, 256) for patch in found)
    assert len({patch[0, 0, 0].item() for patch in found}) == count


def test_nothing_there_is_a_line_for_each(tmp_path):
    learned = resolve(tmp_path)
    assert learned.pairs == {}
    assert learned.of_sets([torch.rand(3, 300, 300)], [torch.rand(3, 300, 300)]) == {}
    assert len(learned.notes) == 3
    for note, file in zip(
        learned.notes, (BACKBONES["alex"].file, BACKBONES["vgg"].file, INCEPTION), strict=True
    ):
        assert str(tmp_path / file) in note


def test_the_default_place_is_torch_s_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert str(tmp_path / "checkpoints") in resolve().notes[0]


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        resolve(tmp_path / "none")


@pytest.mark.parametrize("file", [BACKBONES["alex"].file, BACKBONES["vgg"].file, INCEPTION])
def test_a_file_that_is_something_else(tmp_path, file):
    torch.save({"a": torch.zeros(1)}, tmp_path / file)
    with pytest.raises(InputError, match=file):
        resolve(tmp_path)


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory):
    """Untrained networks under the names of the published files: their numbers are no LPIPS, DISTS or FID."""
    folder = tmp_path_factory.mktemp("random")
    torch.manual_seed(0)
    torch.save(alexnet(weights=None).state_dict(), folder / BACKBONES["alex"].file)
    torch.save(vgg16(weights=None).state_dict(), folder / BACKBONES["vgg"].file)
    torch.save(untrained_inception().state_dict(), folder / INCEPTION)
    return folder


def untrained_inception():
    from torch_fidelity import feature_extractor_inceptionv3 as module

    class Blank(module.FeatureExtractorInceptionV3):
        def load_state_dict(self, *_, **__):
            return None

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(module.torch, "load", lambda *_, **__: {})
        return Blank("inception-v3-compat", ["2048"], feature_extractor_weights_path="none")


@pytest.mark.slow
def test_networks_of_random_weights_tell_images_apart(random_weights):
    learned = resolve(random_weights)
    assert learned.notes == []
    x = torch.rand(3, 260, 270, generator=torch.Generator().manual_seed(0))
    other = torch.rand(3, 260, 270, generator=torch.Generator().manual_seed(1))
    same, different = learned.of_pair(x, x), learned.of_pair(x, other)
    assert set(same) == {"lpips", "dists"}
    for name, value in same.items():
        assert value == pytest.approx(0, abs=1e-5), name
        assert different[name] > value + 1e-4, name
    assert math.isnan(learned.of_pair(x[:, :10, :10], x[:, :10, :10])["lpips"])


@pytest.mark.slow
def test_fid_of_patches_counts_them(random_weights):
    learned = resolve(random_weights)
    x = torch.rand(3, 512, 512, generator=torch.Generator().manual_seed(0))
    found = learned.of_sets([x], [x])
    assert found["patches_256"] == 5
    assert found["fid_256"] == pytest.approx(0, abs=1e-6)
    assert set(found) == {"fid_256", "kid_256", "patches_256"}


@pytest.mark.slow
def test_inception_features_are_those_of_torch_fidelity(random_weights):
    images = torch.randint(
        0, 256, (3, 3, 80, 90), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    network = untrained_inception()
    network.load_state_dict(torch.load(random_weights / INCEPTION, weights_only=True))
    features = inception_features(str(random_weights / INCEPTION))(images)
    assert torch.allclose(features, network.eval()(images)[0].double(), atol=1e-6)


CURVE = [(0.1, 30.0), (0.2, 33.0), (0.4, 36.0), (0.8, 39.0)]


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.1])
def test_bd_rate_of_a_shifted_curve_is_the_shift(factor):
    found = bd_rate(CURVE, [(bpp * factor, quality) for bpp, quality in CURVE])
    assert found.percent == pytest.approx(100 * (factor - 1), abs=1e-9)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (CURVE[:3], "at least 4"),
        ([(bpp, quality + 20) for bpp, quality in CURVE], "share no quality"),
        ([(bpp, 30 - bpp) for bpp, _ in CURVE], "does not grow"),
    ],
)
def test_bd_rate_says_why_there_is_none(other, said):
    found = bd_rate(CURVE, other)
    assert math.isnan(found.percent)
    assert said in found.reason
