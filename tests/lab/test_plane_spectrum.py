"""The spectrum at the end of a run in the plane, against the dense Jacobian of the same game."""

import numpy as np
import pytest
import torch

from gcn.game.objective import Objective
from gcn.game.rules import Simultaneous
from gcn.lab.plane.distributions import Gaussians
from gcn.lab.plane.plane import Plane
from gcn.lab.plane.plane_spectrum import _alone, spectrum
from gcn.lab.players import SGD
from gcn.losses.adversarial import NonSaturating
from gcn.losses.distortion import MSE
from gcn.spectrum.linearised import Linearised


@pytest.fixture(scope="module")
def run():
    plane = Plane(Gaussians(), "autoencoder", width=3, depth=1, activation="tanh", batch=16)
    objective = Objective(NonSaturating(), 1.0, {"mse": (1.0, MSE(unit=255.0))})
    return plane.train(
        objective,
        Simultaneous,
        lambda parameters: SGD(parameters, 0.05),
        steps=30,
        seeds=(3, 5),
        log_every=30,
    )


@pytest.mark.parametrize("row", [0, 1])
def test_leading_eigenvalues_are_those_of_the_dense_jacobian(run, row):
    found = spectrum(run, Simultaneous, row=row)
    game = _alone(run, row)
    dense = Linearised(game, run.plane.data(game, "data", 30), 30).dense()
    values = np.linalg.eigvals(dense.numpy())
    for (re, im), residual in zip(found["eigenvalues"], found["residuals"]["eigenvalues"], strict=True):
        assert residual < 1e-6
        assert abs(values - complex(re, im)).min() < 1e-5 * abs(values).max()
    assert found["eigenvalues"][0][0] == pytest.approx(values.real.max(), abs=1e-5)
    radius = abs(1 + 0.05 * values).max()  # of simultaneous gradient descent
    assert found["spectral_radius"] == pytest.approx(radius, rel=1e-5)
    skew = np.linalg.norm((dense - dense.T).numpy() / 2)
    symmetric = np.linalg.norm((dense + dense.T).numpy() / 2)
    assert found["rotation_index"] == pytest.approx(skew**2 / (skew**2 + symmetric**2), rel=0.5)


def test_one_of_the_games_is_taken_as_it_was_left(run):
    for row, seed in enumerate(run.seeds):
        game = _alone(run, row)
        for name, parameter in game.named_parameters():
            assert torch.equal(parameter[0], dict(run.game.named_parameters())[name][row].double()), (
                name,
                seed,
            )
