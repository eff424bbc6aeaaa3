"""The distributions of the plane: exact numbers on constructed samples, and what seeds decide."""

import math

import pytest
import torch

from gcn.errors import InputError
from gcn.game.streams import Streams
from gcn.lab.plane.distributions import SAMPLES, Circle, Gaussians, Grid, Line, Mixture, Ring
from gcn.lab.plane.paired import PairedStreams
from gcn.lab.plane.segments import FourLines, Spiral

ALL = (Ring, Grid, Gaussians, Line, Circle, FourLines, Spiral)


def judged(distribution, points, **options):
    return distribution.quality(torch.tensor([points], dtype=torch.float64), **options)


def test_numbers_of_the_literature():
    ring, grid = Ring(), Grid()
    assert (ring.parts, ring.std) == (8, 0.02)
    assert torch.allclose(ring.centres.norm(dim=1), torch.tensor(2.0, dtype=torch.float64))
    assert (grid.parts, grid.std) == (25, 0.05)
    assert sorted({round(float(v), 9) for v in grid.centres.flatten()}) == [-4, -2, 0, 2, 4]


def test_two_modes_by_hand():
    pair = Gaussians(distance=2.0, std=0.1)  # modes at (±1, 0), good within .3
    found = judged(pair, [(1, 0), (1.29, 0), (1.31, 0), (0, 5), (-1, 0.2)])
    assert found.recovered.tolist() == [2]
    assert found.good.tolist() == [3 / 5]
    p, q = 4 / 5, 1 / 5  # (0, 5) is as near to both: it goes to the first, at -1
    p, q = p - 1 / 5, q + 1 / 5
    assert found.kl.item() == pytest.approx(p * math.log(2 * p) + q * math.log(2 * q))
    assert judged(pair, [(1, 0), (1, 0), (-1, 0)], least=2).recovered.tolist() == [1]


def test_one_sample_recovers_a_mode_and_does_not_hold_it():
    ring = Ring()
    points = [tuple(ring.centres[0].tolist())] * 99 + [tuple(ring.centres[3].tolist())]
    found = judged(ring, points)
    assert (found.recovered.item(), found.held.item()) == (2, 1)


def test_the_extremes_of_balance():
    grid = Grid()
    each = grid.quality(grid.centres[None])
    assert (each.recovered.item(), each.held.item(), each.good.item()) == (25, 25, 1)
    assert each.kl.item() == pytest.approx(0)
    one = grid.quality(grid.centres[:1].repeat(1, 10, 1))
    assert (one.recovered.item(), one.kl.item()) == (1, pytest.approx(math.log(25)))


def test_what_is_not_finite_matches_nothing_and_disturbs_no_other_game():
    ring = Ring()
    points = torch.stack([torch.full((4, 2), torch.nan, dtype=torch.float64), ring.centres[:4]])
    points[1, 0] = torch.inf
    found = ring.quality(points)
    assert found.recovered.tolist() == [0, 3]
    assert found.good.tolist() == [0, 3 / 4]
    assert found.kl[0].isnan()
    assert found.kl[1].item() == pytest.approx(math.log(8 / 3))


def test_pieces_of_a_circle():
    circle = Circle(radius=2.0, std=0.1, parts=4)
    quarter = [(2 * math.cos(a), 2 * math.sin(a)) for a in (0.1, 0.5, 1.5, -0.1)]
    found = judged(circle, [*quarter, (2.29, 0.01), (2.31, 0.01), (0, 0)])
    assert found.recovered.tolist() == [2]  # the first quarter and the last
    assert found.good.tolist() == [5 / 7]


def test_pieces_of_a_line_and_its_ends():
    line = Line(length=4.0, angle=90.0, std=0.1, parts=4)
    found = judged(line, [(0.0, -2.29), (0.0, -2.31), (0.2, 1.5), (0.31, 0.5), (0.0, 1.9)])
    assert found.good.tolist() == [3 / 5]
    assert found.recovered.tolist() == [2]


U = torch.linspace(0, 1 - 1e-9, 997, dtype=torch.float64)


def test_points_of_the_spiral_lie_on_it_at_equal_lengths():
    spiral = Spiral(radius=3.0, turns=1.5, inner=0.2)
    points = spiral.place(U)
    t = points.norm(dim=1) / 3
    dense = torch.linspace(0.2, 1, 20_001, dtype=torch.float64)
    exact = torch.view_as_real(torch.polar(3 * dense, 2 * math.pi * 1.5 * dense))
    assert torch.cdist(points, exact).min(1).values.max() < 2e-3
    assert (t[0].item(), t[-1].item()) == pytest.approx((0.2, 1.0), abs=1e-6)
    a = 2 * math.pi * 1.5  # arc length of r = 3t at the angle at: 3/2 (t√(1 + a²t²) + asinh(at)/a)
    length = 1.5 * (t * (1 + (a * t) ** 2).sqrt() + torch.asinh(a * t) / a)
    share = (length - length[0]) / (length[-1] - length[0])
    assert (share - U).abs().max() < 2e-3


def test_points_of_the_four_lines_lie_on_them_in_equal_shares():
    lines = FourLines(length=2.0, spacing=0.5)
    points = lines.place(U)
    heights, counts = points[:, 1].unique(return_counts=True)
    assert heights.tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert counts.max() - counts.min() <= 1
    assert (points[:, 0].min().item(), points[:, 0].max().item()) == pytest.approx((-1, 1), abs=0.01)


@pytest.mark.parametrize("make", [FourLines, Spiral])
def test_a_point_beside_a_segment_is_located_there(make):
    """The distance of a displaced point is the displacement, and the piece is that of the number it was made from."""
    distribution = make()
    points = distribution.place(U)
    direction = distribution.place(U[1:]) - distribution.place(U[:-1])
    normal = torch.stack([-direction[:, 1], direction[:, 0]], dim=1) / direction.norm(dim=1, keepdim=True)
    inside = direction.norm(dim=1) < 0.1  # both points are on one of the lines
    distance, piece = distribution.locate((points[:-1] + 0.1 * normal)[inside])
    assert distance.numpy() == pytest.approx(0.1, abs=1e-3)
    of_number = (U[:-1] * distribution.parts).long()[inside]
    assert ((piece - of_number).abs() <= 1).all()  # 1: where the normal of a bend crosses into the next piece
    assert (piece == of_number).double().mean() > 0.9


@pytest.mark.parametrize("make", ALL)
def test_data_match_their_own_distribution(make):
    distribution = make()
    sample = distribution.sample(PairedStreams([0]).at("data"), torch.empty(1, SAMPLES, 2))
    found = distribution.quality(sample)
    assert found.recovered.item() == found.held.item() == distribution.parts
    # χ² in two dimensions around a mode, in one beside a curve
    expected = 1 - math.exp(-4.5) if isinstance(distribution, Mixture) else math.erf(3 / math.sqrt(2))
    assert found.good.item() == pytest.approx(expected, abs=0.01)
    assert found.kl.item() < 0.02
    assert sample.abs().max() < distribution.extent


@pytest.mark.parametrize("make", ALL)
def test_a_seed_decides_whatever_else_is_played(make):
    distribution = make()
    many = distribution.sample(PairedStreams([3, 5, 3]).at("data", 7), torch.empty(3, 16, 2))
    assert torch.equal(many[0], many[2])
    assert not torch.equal(many[0], many[1])
    alone = distribution.sample(Streams(5).at("data", 7), torch.empty(16, 2))
    assert torch.equal(many[1], alone)


def test_a_permutation_of_games_is_refused():
    with pytest.raises(InputError, match="relativistic=pair_shuffled"):
        PairedStreams([0, 1]).at("pair_shuffled").permutation(2)
