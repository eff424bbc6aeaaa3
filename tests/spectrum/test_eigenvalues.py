import numpy as np
import pytest
import torch
from little import TINIEST, batch, game, small, vector

from gcn.losses.adversarial import NonSaturating
from gcn.losses.distortion import MSE
from gcn.losses.penalties import R1
from gcn.spectrum.eigenvalues import Krylov, leading, operator, rotation_index, skew_norm
from gcn.spectrum.linearised import Linearised


class Given:
    """A linearised game of which nothing is known but its Jacobian."""

    def __init__(self, matrix) -> None:
        self.matrix = torch.as_tensor(matrix, dtype=torch.float64)
        self.field = torch.zeros(len(self.matrix), dtype=torch.float64)

    def jvp(self, u):
        return self.matrix @ u

    def vjp(self, u):
        return self.matrix.T @ u

    def skew(self, u):
        return (self.jvp(u) - self.vjp(u)) / 2

    @property
    def linear(self):
        return operator(self.vjp, self.field)


def scattered(n=40, seed=0):
    """A matrix with well-separated leading eigenvalues of each kind: -9, 5, 1 ± 7i."""
    random = np.random.default_rng(seed)
    inner = np.diag(random.uniform(-1, 1, n))
    inner[:4, :4] = [[-9, 0, 0, 0], [0, 5, 0, 0], [0, 0, 1, 7], [0, 0, -7, 1]]
    basis = np.linalg.qr(random.standard_normal((n, n)))[0] + 0.02 * random.standard_normal((n, n))
    return basis @ inner @ np.linalg.inv(basis)


LEADERS = {"LM": [-9], "LR": [5], "LI": [1 + 7j, 1 - 7j]}


@pytest.fixture(scope="module")
def codec():
    """A linearised codec of 141 parameters whose players circle each other, and its Jacobian."""
    one = game("loss=ns adv=10 mse=0.001 rate=0.01", size=TINIEST)
    one.generator.freeze("encoder")  # fewer parameters
    linear = Linearised(one, batch(one, side=16))
    return linear, linear.dense()


def test_dense_is_the_operator(codec):
    linear, dense = codec
    u = vector(len(linear.field))
    assert torch.allclose(dense @ u, linear.jvp(u), rtol=0, atol=1e-10 * float(dense.norm()))
    assert torch.allclose(dense.T @ u, linear.vjp(u), rtol=0, atol=1e-10 * float(dense.norm()))


@pytest.mark.parametrize(("which", "expected"), LEADERS.items())
def test_both_ways_lead_to_the_leader(which, expected):
    given = Given(scattered())
    for found in (leading(given.linear, 1, which), Krylov(given.vjp, given.field, 30).leading(1, which)):
        assert found.values == pytest.approx(expected, rel=1e-6)
        assert max(found.residuals) < 1e-6
        assert (found.converged, found.asked) == (1, 1)


def test_a_pair_is_not_cut_in_half():
    given = Given(scattered())
    for found in (leading(given.linear, 2, "LM"), Krylov(given.vjp, given.field, 40).leading(2, "LM")):
        assert found.values == pytest.approx([-9, 1 + 7j, 1 - 7j])


@pytest.mark.parametrize("which", ["LM", "LR", "LI"])
def test_arpack_agrees_with_the_dense_spectrum_of_a_codec(codec, which):
    _, dense = codec
    expected = np.linalg.eigvals(dense.numpy())
    found = leading(Given(dense).linear, 4, which, basis=80)
    assert found.converged == 4
    assert max(found.residuals) < 1e-6
    order = {"LM": np.abs, "LR": np.real, "LI": lambda z: np.abs(z.imag)}[which]
    ranked = np.sort(order(expected))[::-1]
    for place, value in enumerate(found.values):
        assert order(np.array(value)) == pytest.approx(ranked[place], rel=1e-6, abs=1e-8)
        assert np.abs(expected - value).min() < 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("which", ["LM", "LR", "LI"])
def test_one_krylov_space_agrees_with_the_dense_spectrum_of_a_codec(codec, which):
    _, dense = codec
    expected = np.linalg.eigvals(dense.numpy())
    given = Given(dense)
    found = Krylov(given.vjp, given.field, 80).leading(4, which, tolerance=1e-6)
    assert found.converged == 4
    for value in found.values:
        assert np.abs(expected - value).min() < 1e-5 * np.abs(expected).max()


def test_weak_rotation_escapes_the_search_for_imaginary_parts():
    """Why real eigenvalues of the LI kind prove nothing, and why the norm of the rotation stands beside them."""
    matrix = np.diag(-np.linspace(1, 1000, 60))
    matrix[30:32, 30:32] = [[-500, 0.1], [-0.1, -500]]
    given = Given(matrix)
    assert not any(z.imag for z in leading(given.linear, 2, "LI", iterations=3, basis=10).values)
    assert Krylov(given.vjp, given.field, 10).leading(2, "LI").values == []
    assert skew_norm(given) == pytest.approx(0.1)


def test_the_residuals_are_those_of_the_eigenvectors():
    """A Krylov space too small to converge: its residuals are still |Az - λz|/|λ|."""
    given, u = Given(scattered()), np.random.default_rng(0).standard_normal(40)
    krylov = Krylov(given.jvp, given.field, 6)
    space = np.linalg.qr(np.stack([np.linalg.matrix_power(given.matrix.numpy(), i) @ u for i in range(6)]).T)[
        0
    ]
    values, vectors = np.linalg.eig(space.T @ given.matrix.numpy() @ space)
    residuals = np.linalg.norm(given.matrix.numpy() @ space @ vectors - space @ vectors * values, axis=0)
    expected = np.array(sorted((abs(z), r / abs(z)) for z, r in zip(values, residuals, strict=True)))
    assert np.array(sorted((abs(z), r) for z, r in krylov.found)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_small_matrices_are_solved_exactly(n):
    given = Given(torch.diag(torch.arange(1.0, n + 1)))
    expected = [float(i) for i in range(n, 0, -1)]
    assert leading(given.linear, n).values == pytest.approx(expected)
    assert Krylov(given.jvp, given.field, 99).leading(n).values == pytest.approx(expected)


def test_a_double_eigenvalue_counts_twice():
    given = Given(torch.diag(torch.tensor([2.0, 2.0, 1.0])))
    assert leading(given.linear, 3).values == pytest.approx([2, 2, 1])


def test_nothing_at_all():
    given = Given(torch.zeros(30, 30))
    assert leading(given.linear, 2, "LR").values == [0, 0]
    assert Krylov(given.jvp, given.field, 10).leading(2, "LR").values == [0]
    assert rotation_index(given, 4).value == 0
    assert skew_norm(given) == 0


def test_what_does_not_converge_is_counted():
    """A cluster, one restart: ARPACK gives up, and says how far it came."""
    given = Given(np.diag(np.linspace(0.99, 1, 300)))
    found = leading(given.linear, 6, "LR", iterations=1, basis=14)
    assert found.asked == 6
    assert found.converged == len(found.values) < 6
    assert Krylov(given.jvp, given.field, 8).leading(6, "LR", tolerance=1e-9).converged < 6


def test_the_same_seed_gives_the_same_numbers():
    given = Given(scattered())
    assert leading(given.linear, 3, seed=1) == leading(given.linear, 3, seed=1)
    assert Krylov(given.vjp, given.field, 9, seed=1).found == Krylov(given.vjp, given.field, 9, seed=1).found
    assert (
        rotation_index(given, 3, seed=1)
        == rotation_index(given, 3, seed=1)
        != rotation_index(given, 3, seed=2)
    )


# rotation


def test_rotation_index_of_a_matrix():
    given = Given(np.random.default_rng(3).standard_normal((30, 30)) + 2 * np.eye(30))
    skew, symmetric = (given.matrix - given.matrix.T) / 2, (given.matrix + given.matrix.T) / 2
    expected = float(skew.square().sum() / (skew.square().sum() + symmetric.square().sum()))
    few, many = rotation_index(given, 20), rotation_index(given, 2000)
    for found in (few, many):
        assert abs(found.value - expected) < 4 * found.standard_error
    assert many.standard_error == pytest.approx(few.standard_error / 10, rel=0.5)
    assert many.standard_error < 0.01


def test_the_standard_error_is_the_spread_of_independent_estimates():
    given = Given(scattered())
    found = [rotation_index(given, 40, seed) for seed in range(60)]
    spread = np.std([f.value for f in found], ddof=1)
    assert np.mean([f.standard_error for f in found]) == pytest.approx(spread, rel=0.3)


def test_the_dirac_gan_is_all_rotation_and_a_distortion_is_none():
    def index(loss, terms=None):
        return rotation_index(Linearised(*small(loss, terms=terms)), 8).value

    assert index(NonSaturating()) == pytest.approx(1)
    assert index(None, {"mse": (1.0, MSE(unit=255.0))}) == 0
    mu, gamma = 0.3, 0.7
    terms = {"mse": (mu, MSE(unit=255.0)), "r1": (gamma, R1())}
    assert index(NonSaturating(), terms) == pytest.approx(0.5 / (0.5 + 4 * mu**2 + gamma**2))


def test_the_norm_of_the_rotation_bounds_every_imaginary_part(codec):
    linear, dense = codec
    rotation = (dense - dense.T) / 2
    assert torch.allclose(linear.skew(linear.field), rotation @ linear.field, rtol=1e-9, atol=1e-12)
    found = skew_norm(Given(dense), basis=60)
    assert found == pytest.approx(np.linalg.norm(rotation, 2), rel=1e-4)
    assert np.abs(np.linalg.eigvals(dense).imag).max() <= found * (1 + 1e-6)
