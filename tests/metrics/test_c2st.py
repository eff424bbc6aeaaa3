"""Classifier two-sample test: what it tells apart, what it cannot, and that it depends on nothing but its seed."""

import math

import pytest
import torch
from torch import Tensor

from gcn.data.photos import photograph
from gcn.errors import InputError
from gcn.metrics import c2st as module
from gcn.metrics.c2st import Classifier, c2st, measured

SMALL = Classifier(width=4, epochs=3, batch=64, rate=1e-2)


@pytest.fixture(scope="module")
def crops() -> Tensor:
    """288 crops (N, 3, 32, 32) of three photographs, 96 of each."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for name in ("astronaut.png", "coffee.png", "chelsea.png"):
        image = torch.tensor(photograph(name)).permute(2, 0, 1).float() / 255
        for _ in range(96):
            top, left = (int(torch.randint(side - 31, (), generator=generator)) for side in image.shape[1:])
            found.append(image[:, top : top + 32, left : left + 32])
    return torch.stack(found)


HELD_OUT = torch.arange(288) >= 192  # the third photograph


def noisy(crops: Tensor, levels: float) -> Tensor:
    noise = torch.randn(crops.shape, generator=torch.Generator().manual_seed(1))
    return crops + noise * levels / 255


def test_equal_sets_give_nothing(crops: Tensor) -> None:
    found = c2st(crops, crops.clone(), HELD_OUT, seed=0, options=SMALL)
    assert found.auc == 0.5
    assert found.bits == 0.0
    assert found.uncalibrated == pytest.approx(0, abs=1e-6)


def test_two_halves_of_one_distribution_give_nearly_nothing(crops: Tensor) -> None:
    real, fake, held_out = crops[0::2], crops[1::2], HELD_OUT[0::2]
    assert c2st(real, fake, held_out, seed=0, options=SMALL).bits < 0.05


def test_strong_noise_is_always_told(crops: Tensor) -> None:
    found = c2st(crops, noisy(crops, 24), HELD_OUT, seed=0, options=SMALL)
    assert found.auc > 0.98
    assert found.bits > 0.8


def test_only_pixels_of_a_file_count(crops: Tensor) -> None:
    generator = torch.Generator().manual_seed(1)
    hidden = crops + (torch.rand(crops.shape, generator=generator) - 0.5) * 0.9 / 255  # rounds away
    beyond = torch.where(crops == 1, 1.5, hidden)  # is clamped away
    assert c2st(crops, beyond, HELD_OUT, seed=0, options=SMALL).bits == 0.0


def test_the_seed_decides_and_no_global_generator(crops: Tensor) -> None:
    fake = noisy(crops, 8)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = c2st(crops, fake, HELD_OUT, seed=3, options=SMALL)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    again = c2st(crops, fake, HELD_OUT, seed=3, options=SMALL)
    other = c2st(crops, fake, HELD_OUT, seed=4, options=SMALL)
    assert torch.equal(first.of_crop, again.of_crop)
    assert first[:3] == again[:3]
    assert not torch.equal(first.of_crop, other.of_crop)


def test_held_out_crops_are_never_trained_on(crops: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = crops + 8 / 255
    changed = torch.where(HELD_OUT[:, None, None, None], 1 - crops, crops)
    changed[-1] = crops[-1]
    judged: list[tuple[Tensor, Tensor]] = []
    monkeypatch.setattr(module, "measured", lambda *logits: judged.append(logits))
    c2st(crops, fake, HELD_OUT, seed=0, options=SMALL)
    c2st(changed, fake, HELD_OUT, seed=0, options=SMALL)
    (first, _), (second, _) = judged
    assert torch.equal(first[-1], second[-1])  # the same classifier judges the one crop that is the same
    assert not torch.equal(first[0], second[0])


def test_crops_are_cut_into_all_their_patches() -> None:
    x = torch.arange(2 * 3 * 32 * 40).view(2, 3, 32, 40)
    patches = module._patches(x, 16)
    assert patches.shape == (2, 4, 3, 16, 16)
    assert torch.equal(patches[1, 3], x[1, :, 16:32, 16:32])


def test_bits_are_the_mean_over_crops(crops: Tensor) -> None:
    found = c2st(crops, crops + 4 / 255, HELD_OUT, seed=0, options=SMALL)
    assert found.of_crop.shape == (96,)
    assert found.bits == pytest.approx(max(0.0, float(found.of_crop.mean())))


def test_auc_and_bits_of_given_logits() -> None:
    real, fake = torch.tensor([[0.0, 1.0]]), torch.tensor([[-1.0, 0.0]])
    found = measured(real, fake)
    assert found.auc == pytest.approx((0.5 + 1 + 1 + 1) / 4)
    loss = (math.log(2) + math.log(1 + math.exp(-1))) / 2
    assert found.uncalibrated == pytest.approx(1 - loss / math.log(2), abs=1e-12)


def test_calibration_undoes_a_scale_and_an_offset() -> None:
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(4000, 1, generator=generator) + 1  # the log ratio of the two densities is 2 x
    fake = torch.randn(4000, 1, generator=generator) - 1
    right = measured(2 * real, 2 * fake)
    wrong = measured(40 * real + 7, 40 * fake + 7)
    assert wrong.uncalibrated < 0
    assert right.bits == pytest.approx(right.uncalibrated, abs=1e-3)
    assert wrong.bits == pytest.approx(right.bits, abs=1e-6)


def test_a_classifier_that_is_always_wrong_has_no_bits() -> None:
    assert measured(-torch.ones(50, 1), torch.ones(50, 1)).bits == 0.0


def test_separable_logits_are_calibrated_to_nearly_one_bit() -> None:
    real, fake = torch.linspace(1, 2, 200)[:, None], -torch.linspace(1, 2, 200)[:, None]
    assert 0.98 < measured(real, fake).bits <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, h: (x, x[:5], h), "takes real and fake crops"),
        (lambda x, h: (x[..., :8], x[..., :8], h), "smaller than a patch"),
        (lambda x, h: (x, x, torch.zeros_like(h)), "give at least 32 of each"),
        (lambda x, h: (x, x * math.nan, h), "fake crops hold values that are not finite"),
    ],
)
def test_bad_input_is_one_line(crops: Tensor, change, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        c2st(*change(crops, HELD_OUT), seed=0, options=SMALL)
    assert "\n" not in str(caught.value)


def test_the_optimizer_is_torch_s_adamw() -> None:
    own, theirs = (torch.linspace(-1, 2, 12).view(4, 3).requires_grad_() for _ in range(2))
    optimizer, reference = module._AdamW([own]), torch.optim.AdamW([theirs], weight_decay=module.DECAY)
    for k in range(20):
        rate = 0.01 * (k + 1)
        optimizer.step(torch.autograd.grad(own.pow(3).sum(), [own]), rate)
        reference.param_groups[0]["lr"] = rate
        reference.zero_grad()
        theirs.pow(3).sum().backward()
        reference.step()
    assert torch.allclose(own, theirs, atol=1e-6)


@pytest.mark.parametrize("side", [8, 12, 32])
def test_patches_of_other_sizes(crops: Tensor, side: int) -> None:
    options = Classifier(side=side, width=4, epochs=1, batch=64)
    found = c2st(crops, noisy(crops, 24), HELD_OUT, seed=0, options=options)
    assert found.auc > 0.6
