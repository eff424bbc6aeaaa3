import pytest
import torch
from turns import Linear, open_turn

from gcn.game.streams import Stream
from gcn.losses.adversarial import NonSaturating
from gcn.losses.diffaugment import DiffAugment
from gcn.losses.perceptual import FeatureMatching

POLICIES = ("color", "translation", "cutout")


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def augmented(policies, x, key="any", **processes):
    return DiffAugment(policies)(x, Stream((key,), **processes), 0)


def test_colours_change_as_in_the_paper():
    """The authors' brightness, saturation and contrast, on v = 2x - 1 in [-1, 1], an image at a time."""
    x, stream = images(6, 3, 5, 4), Stream(("any",)).child("color")
    draws = [
        stream.child(name).uniform(torch.zeros(6, 1, 1, 1)).flatten().double()
        for name in ("brightness", "saturation", "contrast")
    ]
    for image, seen, b, s, c in zip(x, augmented("color", x), *draws, strict=True):
        v = 2 * image - 1 + (b - 0.5)
        grey = v.mean(0)
        v = (v - grey) * (2 * s) + grey
        v = (v - v.mean()) * (c + 0.5) + v.mean()
        assert torch.allclose(seen, (v + 1) / 2, atol=1e-12)


def test_translations_are_all_shifts_of_up_to_an_eighth_with_grey_behind():
    x = images(1, 3, 16, 8).expand(600, -1, -1, -1)
    padded = torch.full((3, 20, 10), 0.5, dtype=torch.float64)
    padded[:, 2:18, 1:9] = x[0]
    shifts = {(i, j): padded[:, i : i + 16, j : j + 8] for i in range(5) for j in range(3)}
    counts = dict.fromkeys(shifts, 0)
    for seen in augmented("translation", x):
        (found,) = [place for place, shifted in shifts.items() if torch.equal(shifted, seen)]
        counts[found] += 1
    assert min(counts.values()) > 15  # of 40 expected
    assert max(counts.values()) < 75


@pytest.mark.parametrize(
    ("side", "holes"),
    [
        (
            8,
            {(0, 2), (0, 3), (0, 4), (1, 5), (2, 6), (3, 7), (4, 8), (5, 8), (6, 8)},
        ),  # 4 pixels, where they fit
        (6, {(0, 2), (0, 3), (1, 4), (2, 5), (3, 6), (4, 6)}),  # 3 pixels
    ],
)
def test_holes_are_of_half_a_side_around_any_centre(side, holes):
    x = images(400, 3, side, side)
    rows, columns = set(), set()
    for image, seen in zip(x, augmented("cutout", x), strict=True):
        cut = (seen == 0.5).all(0)
        top, left = (int(cut.any(dim).int().argmax()) for dim in (1, 0))
        bottom, right = top + int(cut.any(1).sum()), left + int(cut.any(0).sum())
        assert cut[top:bottom, left:right].all()
        assert torch.equal(seen[:, ~cut], image[:, ~cut])
        rows.add((top, bottom))
        columns.add((left, right))
    assert rows == columns == holes


@pytest.mark.parametrize("chosen", [*POLICIES, "color_cutout", "all"])
def test_policies_follow_one_another(chosen):
    x = images(3, 3, 16, 16)
    expected = x
    for name in POLICIES if chosen == "all" else chosen.split("_"):
        expected = augmented(name, expected)
    assert torch.equal(augmented(chosen, x), expected)
    assert not torch.equal(expected, x)


def test_first_and_second_derivatives():
    x = images(1, 3, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augmented("all", x), x)
    assert torch.autograd.gradgradcheck(lambda x: augmented("all", x).pow(3), x)


def test_an_image_and_its_reconstruction_share_the_draw():
    x = images(4, 3, 16, 16)
    terms = {"feature_matching": (1.0, FeatureMatching())}
    w = images(3, 16, 16, seed=1)
    turn = open_turn(x, x, Linear(w), NonSaturating(), terms, perturbations=[DiffAugment("all")])
    assert torch.equal(turn.seen_real, turn.seen_fake)
    assert FeatureMatching()(turn).item() == 0  # D's features of x and x_hat are those of the same places
    assert not torch.equal(turn.seen_real, x)
    after = turn.next("g")
    assert not torch.equal(after.seen_real, turn.seen_real)  # a turn of its own draws afresh
    assert torch.equal(after.seen_real, after.seen_fake)


def test_the_generator_s_gradient_passes_through_the_augmentation():
    """Of a linear D on shifted and cut images it is w, shifted back, and 0 at pixels that D is not given."""
    x_hat, w = images(8, 3, 16, 16), images(3, 16, 16, seed=1)
    turn = open_turn(
        x_hat, x_hat, Linear(w), NonSaturating(), perturbations=[DiffAugment("translation_cutout")]
    )
    (felt,) = torch.autograd.grad(turn.fake.logits[0].sum(), turn.x_hat)
    seen = turn.seen_fake.detach()
    for i in range(8):
        places = (seen[i] != 0.5).all(0)
        assert 0 < places.sum() < 256
        assert torch.equal(felt[i][felt[i] != 0].sort().values, w[:, places].flatten().sort().values)
        assert int((felt[i] == 0).all(0).sum()) == 256 - int(places.sum())


def test_two_processes_draw_what_one_draws():
    x = images(4, 3, 16, 16)
    parts = [augmented("all", part, rank=rank, world=2) for rank, part in enumerate(x.chunk(2))]
    # the sums of a mean may be ordered differently for two images and for four
    assert torch.allclose(torch.cat(parts), augmented("all", x), rtol=0, atol=1e-12)


def test_half_precision_gets_the_same_draw():
    x = images(4, 3, 16, 16).bfloat16()
    assert torch.allclose(augmented("all", x).double(), augmented("all", x.double()), rtol=0, atol=1e-6)
