"""Metrics of learned features, with random weights of the same architectures where weights are needed.

Their numbers are no LPIPS, DISTS or FID: they come by ``published=False`` and are called ``other_...``.
"""

import hashlib
import math
import socket
import sys
import warnings
from functools import cache

import pytest
import torch
from torchmetrics.functional.image import dists
from torchvision.models import alexnet, vgg16

from gcn.errors import InputError
from gcn.losses.perceptual import BACKBONES
from gcn.metrics import learned as module
from gcn.metrics.feature_sets import frechet, kernel
from gcn.metrics.learned import FEWEST, INCEPTION, Learned, resolve

FILES = {"LPIPS": BACKBONES["alex"].file, "DISTS": BACKBONES["vgg"].file, "FID and KID": INCEPTION}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("something tries to download")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr("urllib.request.urlopen", refuse)


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def eight(x):
    return (x * 255).round().to(torch.uint8)


def features(learned, images):
    """One image after the other, as an evaluation sees them."""
    return [learned.features(eight(x), len(images)) for x in images]


def of_sets(learned, xs, x_hats):
    return learned.of_sets(features(learned, xs), features(learned, x_hats))


# What is there


def test_nothing_there_is_a_line_for_each(tmp_path):
    learned = resolve(tmp_path)
    assert learned.pairs == {}
    assert learned.features(eight(drawn(3, 300, 300)), 1) is None
    assert learned.of_sets([], []) == {}
    assert learned.remarks([]) == []
    assert len(learned.notes) == 3
    for note, (name, file) in zip(learned.notes, FILES.items(), strict=True):
        assert note.startswith(f"{name} left out: ")
        assert note.endswith(f"/{file} at {tmp_path / file}")
        assert "\n" not in note


def test_the_default_place_is_torch_s_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert str(tmp_path / "hub" / "checkpoints") in resolve().notes[0]


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        resolve(tmp_path / "none")


@pytest.mark.parametrize("file", FILES.values())
def test_weights_that_are_not_the_published_ones_are_refused(tmp_path, file):
    """Of whatever architecture, and before anything of the file is unpickled."""
    (tmp_path / file).write_bytes(b"")
    with pytest.raises(InputError, match="not the published weights") as caught:
        resolve(tmp_path)
    message = str(caught.value)
    assert str(tmp_path / file) in message
    assert hashlib.sha256().hexdigest()[:8] in message
    assert file[-12:-4] in message


def test_the_published_weights_are_known_by_the_checksum_in_their_name(tmp_path):
    content = b"weights"
    path = tmp_path / f"network-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    path.write_bytes(content)
    module._check(path, "url")
    path.write_bytes(content + b"!")
    with pytest.raises(InputError):
        module._check(path, "url")


@pytest.mark.parametrize("content", [b"", b"no weights", {"a": torch.zeros(1)}, [torch.zeros(1)]])
@pytest.mark.parametrize("file", FILES.values())
def test_a_file_that_is_no_such_network(tmp_path, file, content):
    torch.save(content, tmp_path / file)
    if isinstance(content, bytes):
        (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError, match=file) as caught:
        resolve(tmp_path, published=False)
    assert "\n" not in str(caught.value)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("code of a weights file was run",))


@pytest.mark.parametrize("file", FILES.values())
def test_weights_with_code_are_not_run(tmp_path, file):
    torch.save({"a": Bomb()}, tmp_path / file)
    with pytest.raises(InputError, match=file):
        resolve(tmp_path, published=False)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("FID and KID", "torch_fidelity.feature_extractor_inceptionv3"),
        ("DISTS", "torchmetrics.functional.image"),
    ],
)
def test_a_package_that_is_not_installed_is_a_line_too(tmp_path, monkeypatch, name, package):
    (tmp_path / FILES[name]).touch()
    monkeypatch.setitem(sys.modules, package, None)
    (note,) = (line for line in resolve(tmp_path, published=False).notes if line.startswith(name))
    assert "pip install 'gcn[evaluation]'" in note


# Sets, with features that need no network


def averages(images):
    """12 features of an image, where FID takes 2048: the plumbing is the same."""
    cells = torch.nn.functional.adaptive_avg_pool2d(images.double(), 2)
    return torch.nn.functional.pad(cells.flatten(1), (0, module.DIMENSIONS - 12))


def test_sets_of_patches_state_their_number_and_how_little_they_mean():
    xs, x_hats = ([drawn(3, 512, 520, seed=s), drawn(3, 200, 600, seed=s + 1)] for s in (0, 5))
    learned = Learned({}, averages, [])
    found = of_sets(learned, xs, x_hats)
    assert set(found) == {"fid_256", "kid_256", "patches_256"}
    assert found["patches_256"] == 5
    corners = [(0, 0), (0, 256), (256, 0), (256, 256), (128, 128)]
    real, fake = (
        averages(torch.stack([(x[0] * 255).round()[:, t : t + 256, l : l + 256] for t, l in corners]))
        for x in (xs, x_hats)
    )
    assert found["fid_256"] == pytest.approx(frechet(real, fake), rel=1e-9)
    assert found["kid_256"] == pytest.approx(kernel(real, fake), rel=1e-9)
    remarks = learned.remarks(features(learned, xs))
    assert any("fid_256 rests on 5 patches" in line and "means little" in line for line in remarks)
    assert any("whole images left out: 2 images" in line for line in remarks)


def test_whole_images_from_a_hundred_on():
    xs = [drawn(3, 20, 20 + i % 3, seed=i) for i in range(FEWEST)]
    x_hats = [x.flip(0) * 0.9 for x in xs]
    learned = Learned({}, averages, [])
    found = of_sets(learned, xs, x_hats)
    assert set(found) == {"fid", "kid"}
    assert found["fid"] > 0
    remarks = learned.remarks(features(learned, xs))
    assert any(f"fid rests on {FEWEST} images" in line for line in remarks)
    assert any("0 patches" in line for line in remarks)
    assert of_sets(learned, xs[1:], x_hats[1:]) == {}


def test_a_large_image_counts_with_so_many_patches_at_equal_distances(monkeypatch):
    """What is kept of an image is of bounded size."""
    monkeypatch.setattr("gcn.metrics.feature_sets.MOST", 3)
    learned = Learned({}, averages, [])
    wide = torch.arange(12).repeat_interleave(256).expand(3, 256, -1).to(torch.uint8)
    found = learned.features(wide, 1)
    assert len(found.whole) == 0
    assert found.patches[:, 0].tolist() == [0, 4, 8]


# Networks of random weights


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory):
    """Untrained networks under the names of the published files."""
    folder = tmp_path_factory.mktemp("random")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, make in (("LPIPS", alexnet), ("DISTS", vgg16)):
            torch.save(classifier(make), folder / FILES[name])
        torch.save(untrained_inception().state_dict(), folder / INCEPTION)
    return folder


def classifier(make):
    """State of an untrained network; zeros, which take no room in a file, in the layers that no metric uses."""
    with torch.device("meta"):
        network = make(weights=None)
    network.features.to_empty(device="cpu")
    for weight in network.features.parameters():
        torch.nn.init.kaiming_normal_(weight) if weight.dim() > 1 else torch.nn.init.zeros_(weight)
    zero = torch.zeros(())
    return {name: zero.expand(t.shape) if t.is_meta else t for name, t in network.state_dict().items()}


@cache
def untrained_inception():
    from torch_fidelity import feature_extractor_inceptionv3

    class Blank(feature_extractor_inceptionv3.FeatureExtractorInceptionV3):
        def load_state_dict(self, *_, **__):
            return None

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(feature_extractor_inceptionv3.torch, "load", lambda *_, **__: {})
        return Blank("inception-v3-compat", ["2048"], feature_extractor_weights_path="none").eval()


@pytest.fixture(scope="module")
def learned(random_weights):
    before = dists.vgg16
    learned = resolve(random_weights, published=False)
    assert dists.vgg16 is before
    return learned


@pytest.mark.slow
def test_random_weights_pass_only_by_an_explicit_wish_and_are_named(random_weights, learned):
    with pytest.raises(InputError, match="not the published weights"):
        resolve(random_weights)
    assert learned.notes == []
    x, y = drawn(3, 256, 512), drawn(3, 256, 512, seed=1)
    assert set(learned.of_pair(x[:, :99, :99], x[:, :99, :99])) == {"other_lpips", "other_dists"}
    real, fake = features(learned, [x]), features(learned, [y.square()])
    found = learned.of_sets(real, real)
    assert set(found) == {"other_fid_256", "other_kid_256", "other_patches_256"}
    assert found["other_patches_256"] == 2
    different = learned.of_sets(real, fake)["other_fid_256"]
    assert abs(found["other_fid_256"]) < different / 100  # features of random weights hardly vary
    assert any("other_fid_256 rests on 2 patches" in line for line in learned.remarks(real))


@pytest.mark.slow
def test_networks_of_random_weights_tell_images_apart(learned):
    x, other = drawn(3, 100, 110), drawn(3, 100, 110, seed=1)
    same, different = learned.of_pair(x, x), learned.of_pair(x, other)
    for name, value in same.items():
        assert value == pytest.approx(0, abs=1e-5), name
        assert different[name] > value + 1e-4, name
    assert all(math.isnan(value) for value in learned.of_pair(x[:, :10, :10], x[:, :10, :10]).values())


@pytest.mark.slow
def test_lpips_with_random_weights_is_that_of_its_package_to_a_millionth(random_weights, learned):
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips uses torchvision's former arguments
        theirs = lpips.LPIPS(net="alex", pretrained=True, pnet_rand=True, verbose=False)
    stored = torch.load(random_weights / FILES["LPIPS"], weights_only=True)
    slices = theirs.net.state_dict()
    theirs.net.load_state_dict({name: stored[f"features.{name.split('.', 1)[1]}"] for name in slices})
    x, other = drawn(3, 70, 90), drawn(3, 70, 90, seed=1)
    with torch.no_grad():
        expected = float(theirs(2 * x[None] - 1, 2 * other[None] - 1))
    found = learned.of_pair(x, other)["other_lpips"]
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_inception_features_are_those_of_torch_fidelity(learned):
    images = (drawn(2, 3, 80, 90) * 255).to(torch.uint8)
    features = learned.inception(images)
    assert features.dtype == torch.float64
    assert torch.allclose(features, untrained_inception()(images)[0].double(), atol=1e-6)
