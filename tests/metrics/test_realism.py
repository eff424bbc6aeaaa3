import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from gcn.metrics.realism import (
    ROUNDING,
    Slicing,
    _distance,
    compare,
    compare_disjoint,
    describe,
    expand,
    laplacian_pyramid,
    real_floor,
    sliced_wasserstein,
)

FEW = Slicing(directions=64)


def photo(height, width, seed=0):
    """Noise with a falling spectrum, in [0, 1]: every level of the pyramid has something to show."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.zeros(1, 3, height, width)
    for scale in (1, 2, 4, 8):
        size = (max(1, height // scale), max(1, width // scale))
        image += scale * F.interpolate(
            torch.rand(1, 3, *size, generator=generator), (height, width), mode="bilinear"
        )
    return (image / 15)[0]


def blurred(x, sigma_taps=5):
    return F.avg_pool2d(x[None], sigma_taps, 1, sigma_taps // 2)[0]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90))
def test_the_pyramid_sums_up_to_the_image(height, width):
    x = photo(height, width)[None].double()
    *bands, low = laplacian_pyramid(x, 4)
    for band in reversed(bands):
        low = band + expand(low, band.shape[-2:])
    torch.testing.assert_close(low, x)


def test_a_constant_image_has_empty_bands():
    *bands, low = laplacian_pyramid(torch.full((1, 3, 64, 64), 0.3), 3)
    assert len(bands) == 2
    assert all(band.abs().max() < 1e-6 for band in bands)
    torch.testing.assert_close(low, torch.full_like(low, 0.3))


def test_equal_images_have_distance_zero():
    xs = [photo(64, 80), photo(33, 50, 1)]
    result = sliced_wasserstein(xs, xs, seed=0, options=FEW)
    assert set(result) == {"level_0", "level_1", "level_2", "mean"}
    assert all(value == 0 for value in result.values())


def test_the_seed_is_the_only_source_of_randomness():
    xs = [photo(48, 64)]
    noisy = [xs[0] + 0.1 * torch.randn(xs[0].shape, generator=torch.Generator().manual_seed(1))]
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = sliced_wasserstein(xs, noisy, seed=3, options=FEW)
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(5)
    assert sliced_wasserstein(xs, noisy, seed=3, options=FEW) == first
    assert sliced_wasserstein(xs, noisy, seed=4, options=FEW) != first


def test_more_blur_and_more_noise_are_farther_away():
    xs = [photo(96, 96, seed) for seed in range(4)]
    noise = [torch.randn(x.shape, generator=torch.Generator().manual_seed(i)) for i, x in enumerate(xs)]

    def mean(x_hats):
        return sliced_wasserstein(xs, x_hats, seed=0, options=FEW)["mean"]

    assert 0 < mean([blurred(x, 3) for x in xs]) < mean([blurred(x, 7) for x in xs])
    assert (
        0
        < mean([x + 0.02 * n for x, n in zip(xs, noise, strict=True)])
        < mean([x + 0.1 * n for x, n in zip(xs, noise, strict=True)])
    )


def test_blur_shows_on_the_finest_level_first():
    xs = [photo(96, 96, seed) for seed in range(4)]
    result = sliced_wasserstein(xs, [blurred(x, 3) for x in xs], seed=0, options=FEW)
    assert result["level_0"] > 3 * result["level_2"]


def test_a_shift_in_one_dimension_is_measured_exactly():
    """One-pixel patches of one channel: W1 of a shift by c is c, in standard deviations."""
    x = photo(16, 16)[:1] * 0.5
    result = sliced_wasserstein([x], [x + 0.1], seed=0, options=Slicing(patch=1, patches=4096, levels=1))
    assert result["mean"] == pytest.approx(0.1 / x.std().item(), rel=0.05)


def test_the_floor_lies_between_equality_and_blur():
    xs = [photo(96, 96, seed) for seed in range(4)]
    floor = real_floor(xs, seed=0, options=FEW)["mean"]
    assert 0 < floor < sliced_wasserstein(xs, [blurred(x, 7) for x in xs], seed=0, options=FEW)["mean"]


def test_images_without_room_for_a_patch():
    tiny = [torch.rand(3, 5, 9)]
    assert math.isnan(sliced_wasserstein(tiny, tiny, seed=0)["mean"])
    both = [*tiny, photo(20, 20)]
    assert sliced_wasserstein(both, both, seed=0)["mean"] == 0


def test_lists_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="pairwise"):
        sliced_wasserstein([photo(16, 16)], [photo(16, 17)], seed=0)
    with pytest.raises(ValueError, match="pairwise"):
        sliced_wasserstein([], [], seed=0)


@pytest.mark.parametrize("n", [1, 2, 1001])
def test_along_a_line_it_is_scipy_s_wasserstein_distance_to_a_millionth(n):
    a, b = (torch.randn(n, 1, generator=torch.Generator().manual_seed(seed)) ** 3 for seed in (0, 1))
    found = _distance(a, b, torch.Generator().manual_seed(2), directions=3)
    assert found == pytest.approx(wasserstein_distance(a[:, 0].numpy(), b[:, 0].numpy()), rel=1e-6)


def test_in_space_it_is_the_mean_of_scipy_s_distances_along_the_axes_to_a_millionth():
    a, b = (torch.randn(50, 4, generator=torch.Generator().manual_seed(seed)) + seed for seed in (0, 1))
    axes = torch.randn(4, 9, generator=torch.Generator().manual_seed(2))
    lines = [((a @ axis).numpy(), (b @ axis).numpy()) for axis in (axes / axes.norm(dim=0)).T]
    expected = sum(wasserstein_distance(*line) for line in lines) / 9
    assert _distance(a, b, torch.Generator().manual_seed(2), 9) == pytest.approx(expected, rel=1e-6)


def test_flat_images_are_measured_in_deviations_of_the_rounding_to_8_bits():
    """They have none of their own to divide by."""
    flat = torch.full((3, 64, 64), 100 / 255)
    found = sliced_wasserstein([flat], [flat + 1 / 255], seed=0)
    assert found["level_0"] == pytest.approx(0, abs=1e-3)
    assert 0 < found["mean"] < 12**0.5
    assert real_floor([flat], seed=0)["mean"] == pytest.approx(0, abs=1e-3)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 255), st.integers(0, 255))
def test_the_distance_of_any_flat_images_is_at_most_that_of_black_and_white(height, width, a, b):
    x, y = (torch.full((3, height, width), value / 255) for value in (a, b))
    mean = sliced_wasserstein([x], [y], seed=0, options=FEW)["mean"]
    assert math.isnan(mean) if min(height, width) < 7 else 0 <= mean <= 7 * 3**0.5 / ROUNDING


def test_a_channel_of_one_value_does_not_outweigh_the_others():
    red = photo(96, 96) * torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)
    moved = red.clone()
    moved[1] += 1 / 255
    assert sliced_wasserstein([red], [moved], seed=0)["mean"] < 3


def test_one_by_one_they_are_what_they_are_together():
    xs = [photo(64, 80), photo(33, 50, 1), photo(9, 9, 2)]
    x_hats = [blurred(x) for x in xs]
    seen = [[describe(x, i, 0, FEW) for i, x in enumerate(images)] for images in (xs, x_hats)]
    assert compare(*seen, 3, 0, FEW) == sliced_wasserstein(xs, x_hats, 0, FEW)


def test_the_numbers_of_ordinary_images_are_those_that_studies_have_stored():
    xs = [photo(96, 96, seed) for seed in range(2)]
    found = sliced_wasserstein(xs, [blurred(x, 3) for x in xs], seed=0, options=FEW)
    assert found["mean"] == pytest.approx(0.13473143676916757, rel=1e-6)


def test_disjoint_sets_are_the_images_of_even_and_odd_index():
    x = [describe(photo(64, 64, seed), seed, 0, FEW) for seed in range(4)]
    y = [describe(blurred(photo(64, 64, seed)), seed, 0, FEW) for seed in range(4)]
    ways = [compare(x[::2], y[1::2], 3, 0, FEW)["mean"], compare(x[1::2], y[::2], 3, 0, FEW)["mean"]]
    assert compare_disjoint(x, y, 3, 0, FEW) == pytest.approx(sum(ways) / 2)


def test_a_disjoint_distance_does_not_follow_the_paired_error():
    x = [describe(photo(64, 64, seed), seed, 0, FEW) for seed in range(8)]
    assert compare(x, x, 3, 0, FEW)["mean"] == 0
    assert compare_disjoint(x, x, 3, 0, FEW) > 0.01  # the floor: other images
    with pytest.raises(ValueError, match="two images or more"):
        compare_disjoint(x[:1], x[:1], 3, 0, FEW)


def test_halves_may_have_other_numbers_and_sizes_of_images():
    sides = (64, 80, 64, 32, 40)
    x = [describe(photo(side, side, seed), seed, 0, FEW) for seed, side in enumerate(sides)]
    assert {len(patches) for patches in x} == {2, 3}
    assert math.isfinite(compare_disjoint(x, x, 3, 0, FEW))
