"""LPIPS: the package's own values, finite gradients, weights from files, nothing in checkpoints."""

import lpips
import pytest
import torch
from torch import nn
from turns import open_turn

from gcn.errors import InputError
from gcn.losses.perceptual import BACKBONES, LPIPS, _untrained

pytestmark = pytest.mark.filterwarnings("ignore:lpips. the .* backbone has random weights")


def images(seed, size=32):
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module", params=["alex", "squeeze"])
def net(request):
    return request.param


@pytest.fixture(scope="module")
def term(net):
    torch.manual_seed(0)
    return LPIPS(net, backbone="random")


def test_values_are_those_of_the_package(term):
    (network,) = term._hidden
    x, x_hat = images(0), images(1) * 1.4 - 0.2
    expected = lpips.LPIPS.forward(network, x, x_hat, normalize=True).flatten()
    assert torch.allclose(term.distance(x, x_hat), expected, rtol=1e-5)
    assert term(open_turn(x, x_hat)).item() == pytest.approx(expected.mean().item(), rel=1e-5)


@pytest.mark.parametrize("case", ["equal", "flat", "apart"])
def test_gradients_are_finite(term, case):
    x = images(0)
    x, x_hat = {"equal": (x, x), "flat": (0 * x, 0 * x), "apart": (x, images(1))}[case]
    turn = open_turn(x, x_hat)
    value = term(turn)
    (gradient,) = torch.autograd.grad(value, turn.x_hat, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), turn.game.generator.x_hat)
    assert gradient.isfinite().all()
    assert second.isfinite().all()
    assert (value.item() == 0) == (case != "apart")


def test_the_packages_own_gradient_is_not_a_number_where_all_features_vanish():
    features = torch.zeros(1, 4, 2, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(lpips.normalize_tensor(features).sum(), features)
    assert gradient.isnan().all()
    (gradient,) = torch.autograd.grad(LPIPS._unit(LPIPS, features).sum(), features)
    assert gradient.isfinite().all()


def test_the_network_is_frozen_in_eval_mode_and_not_in_checkpoints(term):
    holder = nn.ModuleDict({"lpips": term}).train()
    assert not list(holder.parameters())
    assert not holder.state_dict()
    holder.load_state_dict({}, strict=True)
    (network,) = term._hidden
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    holder.double()
    assert next(network.parameters()).dtype == torch.float64  # it follows its term, to a device as well
    holder.float()


@pytest.mark.parametrize(("net", "cached"), [("alex", True), ("squeeze", False)])
def test_the_backbone_comes_from_a_file(tmp_path, monkeypatch, net, cached):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    file = folder / BACKBONES[net].file if cached else tmp_path / "mine.pth"
    network = _untrained(net, None)
    stored = {f"features.{name.split('.', 1)[1]}": t for name, t in network.net.state_dict().items()}
    torch.save({**stored, "classifier.1.weight": torch.zeros(3)}, file)  # as torchvision publishes them
    term, x, x_hat = LPIPS(net, backbone=None if cached else str(file)), images(0), images(1)
    expected = lpips.LPIPS.forward(network.eval(), x, x_hat, normalize=True).flatten()
    assert torch.allclose(term.distance(x, x_hat), expected, rtol=1e-5)


def test_missing_and_wrong_files_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    where = tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    with pytest.raises(InputError) as refusal:
        LPIPS("alex")
    assert str(where) in str(refusal.value)
    assert "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth" in str(refusal.value)
    (tmp_path / "text").write_text("no weights")
    torch.save({"classifier.1.weight": torch.zeros(3)}, tmp_path / "other.pth")
    wrong = [
        ({"backbone": str(tmp_path / "nowhere")}, "missing"),
        ({"backbone": str(tmp_path / "text")}, "not a readable file"),
        ({"backbone": str(tmp_path / "other.pth")}, "not the weights of this network"),
        ({"backbone": "random", "weights": str(tmp_path / "nowhere")}, "no such file"),
        ({"backbone": "random", "weights": str(tmp_path / "other.pth")}, "not the linear layers"),
    ]
    for arguments, reason in wrong:
        with pytest.raises(InputError, match=reason) as refusal:
            LPIPS("squeeze", **arguments)
        assert "\n" not in str(refusal.value)


def test_random_weights_are_announced():
    with pytest.warns(UserWarning, match="random weights") as said:
        LPIPS("squeeze", backbone="random")
    assert [warning.filename for warning in said] == [__file__], "it points at the caller"


def test_crops_that_are_too_small_are_refused(term):
    with pytest.raises(InputError, match="too small"):
        term.check_images(term.smallest - 1)
    term.check_images(term.smallest)
    assert term.distance(images(0, term.smallest), images(1, term.smallest)).isfinite().all()
    with pytest.raises(RuntimeError, match="too small"):  # torch's own words
        term.distance(images(0, term.smallest - 1), images(1, term.smallest - 1))
