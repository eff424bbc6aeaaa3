"""Labellers: the nearest code, files of the exact layout and others, and no trace in checkpoints."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from gcn.errors import InputError
from gcn.models.labeller import PATCHES, Labeller, Patches
from gcn.models.vq_labeller import CODEBOOK, VQ, Projected


def test_a_patch_has_the_class_of_the_nearest_mean():
    codes, x = load_file(PATCHES)["codes"].float(), torch.rand(2, 3, 20, 33)
    labels = Patches(64)(x)
    assert labels.shape == (2, 2, 4)
    assert labels.dtype == torch.int64
    for b, i, j in ((0, 0, 0), (1, 1, 3), (0, 1, 2)):
        patch = x[
            b, :, 8 * i : 8 * i + 8, 8 * j : 8 * j + 8
        ].flatten()  # colour, row, column: as pixel_unshuffle has it
        assert labels[b, i, j] == (codes - patch).square().sum(1).argmin()


def test_every_mean_patch_is_of_its_own_class():
    codes = load_file(PATCHES)["codes"].float()
    assert codes.unique(dim=0).shape == codes.shape == (64, 192)
    patches = F.pixel_shuffle(codes[:, :, None, None], 8)
    assert Patches(64)(patches).flatten().tolist() == list(range(64))


def test_it_is_frozen_saved_nowhere_and_follows_its_owner():
    labeller = Patches(64)
    owner = nn.ModuleDict({"labeller": labeller}).double()
    assert not owner.state_dict()
    assert not list(owner.parameters())
    x = torch.rand(1, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    labels = labeller(x)
    assert not labels.requires_grad
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(labeller(x), labels)


def vq_file(path, width=4, codes=16, **changes):
    torch.manual_seed(0)
    tensors = {name: torch.randn_like(t) * 0.2 for name, t in Projected(width).state_dict().items()}
    tensors[CODEBOOK] = torch.randn(codes, 8)
    tensors = {name: t for name, t in (tensors | changes).items() if t is not None}
    save_file(tensors, path)
    return tensors


def vq_by_hand(w, x):
    """The encoder by NeuralCompression's layout: residual blocks, XCiT attention at the coarsest size."""

    def norm(name, t):
        t = (t - t.mean(1, keepdim=True)) / (t.var(1, keepdim=True, unbiased=True) + 1e-3).sqrt()
        return t * w[f"{name}.gamma"] + w[f"{name}.beta"]

    def conv(name, t, **options):
        return F.conv2d(t, w[f"{name}.weight"], w[f"{name}.bias"], **options)

    def swish(t):
        return t * torch.sigmoid(t)

    def residual(name, t):
        h = conv(f"{name}.conv1", swish(norm(f"{name}.norm1", t)), padding=1)
        h = conv(f"{name}.conv2", swish(norm(f"{name}.norm2", h)), padding=1)
        return h + (conv(f"{name}.nin_shortcut", t) if f"{name}.nin_shortcut.weight" in w else t)

    def attention(name, t):
        n, c, height, width = t.shape
        qkv = torch.einsum("nchw,dc->ndhw", norm(f"{name}.norm", t), w[f"{name}.xca.qkv.weight"])
        qkv = (qkv + w[f"{name}.xca.qkv.bias"][:, None, None]).reshape(n, 3, c, -1)
        q, k, v = qkv.unbind(1)
        q, k = (s / s.norm(dim=-1, keepdim=True) for s in (q, k))
        share = torch.softmax(torch.einsum("ncp,ndp->ncd", q, k) * w[f"{name}.xca.temperature"], -1)
        mixed = torch.einsum("ncd,ndp->ncp", share, v).reshape(n, c, height, width)
        mixed = torch.einsum("nchw,dc->ndhw", mixed, w[f"{name}.xca.proj.weight"])
        return t + mixed + w[f"{name}.xca.proj.bias"][:, None, None]

    t = conv("encoder.conv_in", x, padding=1)
    for i in range(4):
        for j in range(2):
            t = residual(f"encoder.down.{i}.block.{j}", t)
            t = attention(f"encoder.down.{i}.attn.{j}", t) if i == 3 else t
        t = conv(f"encoder.down.{i}.downsample.conv", F.pad(t, (0, 1, 0, 1)), stride=2) if i < 3 else t
    t = residual("encoder.mid.2", attention("encoder.mid.1", residual("encoder.mid.0", t)))
    t = conv("encoder.conv_out", swish(norm("encoder.norm_out", t)), padding=1)
    t = conv("bottleneck_op.input_conv", t)
    return t / t.norm(dim=1, keepdim=True)


def test_the_vq_labeller_by_the_formula(tmp_path):
    path = tmp_path / "labels.safetensors"
    w, x = vq_file(path), torch.rand(2, 3, 24, 16)
    z = vq_by_hand(w, x)
    expected = (z[:, None] - w[CODEBOOK][None, :, :, None, None]).square().sum(2).argmin(1)
    assert len(expected.unique()) > 1
    assert torch.equal(VQ(str(path), 16, 4)(x), expected)


def test_keys_and_size_of_the_published_encoder():
    with torch.device("meta"):
        state = Projected(64).state_dict()
    assert len(state) == 119
    assert sum(t.numel() for t in state.values()) == 7_445_579
    shapes = {name: tuple(t.shape) for name, t in state.items()}
    assert shapes["encoder.down.3.attn.1.xca.qkv.weight"] == (768, 256)
    assert shapes["encoder.down.1.block.0.nin_shortcut.weight"] == (128, 64, 1, 1)
    assert shapes["encoder.down.0.block.0.norm1.gamma"] == (1, 64, 1, 1)
    assert shapes["encoder.mid.1.xca.temperature"] == (1, 1, 1)
    assert shapes["bottleneck_op.input_conv.weight"] == (8, 256, 1, 1)
    assert "encoder.down.3.downsample.conv.weight" not in shapes
    assert not [name for name in shapes if ".attn." in name and ".down.3." not in name]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"encoder.conv_out.bias": None}, r"encoder\.conv_out\.bias is missing"),
        ({"decoder.conv_in.bias": torch.zeros(3)}, r"decoder\.conv_in\.bias is \(3,\), and must be absent"),
        ({"encoder.conv_in.weight": torch.zeros(5, 3, 3, 3)}, r"encoder\.conv_in\.weight is \(5, 3, 3, 3\)"),
        ({CODEBOOK: torch.zeros(7, 8)}, "has 7 classes; give labeller.classes=7"),
        ({"encoder.conv_out.bias": torch.full((256,), torch.nan)}, "not finite"),
    ],
)
def test_another_file_is_refused(tmp_path, changes, says):
    path = tmp_path / "labels.safetensors"
    vq_file(path, **changes)
    with pytest.raises(InputError, match=says):
        VQ(str(path), 16, 4)


def test_no_file_and_no_safetensors_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        Patches(64, str(tmp_path / "nothing"))
    (tmp_path / "text").write_text("no tensors")
    with pytest.raises(InputError, match="not a safetensors file"):
        Patches(64, str(tmp_path / "text"))
    with pytest.raises(InputError, match=r"labeller\.classes=9: .* has 64 classes"):
        Patches(9)


def test_ties_and_one_code():
    assert Labeller(nn.PixelUnshuffle(8), torch.ones(1, 192))(torch.rand(1, 3, 8, 8)).tolist() == [[[0]]]
