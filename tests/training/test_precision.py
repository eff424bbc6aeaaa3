"""Penalties and gradients of gradients under bf16 autocast."""

import pytest
import torch
from torch import nn
from turns import open_turn

from gcn.game.protocols import DiscriminatorOutput
from gcn.losses.adversarial import NonSaturating
from gcn.losses.penalties import DRAGAN, GP, R1, R2, ApproximateR1, Roth
from gcn.losses.regularizers import JARE, Consensus, GradNorm

PENALTIES = {"r1": R1, "r2": R2, "gp": GP, "dragan": DRAGAN, "approx_r1": ApproximateR1, "roth": Roth}


class Convolutions(nn.Module):
    """A smooth critic, in which everything depends on everything."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 8, 4, stride=2), nn.Linear(8, 1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))

    def forward(self, images, cond):
        hidden = torch.tanh(self.first(images))
        return DiscriminatorOutput((self.second(hidden.movedim(1, -1)).movedim(-1, 1),), (hidden,))


def turn_of(terms, loss=None):
    generator = torch.Generator().manual_seed(1)
    x, x_hat = (torch.rand(2, 3, 16, 16, generator=generator) for _ in range(2))
    return open_turn(x, x_hat, Convolutions(), loss, terms)


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_and_their_gradients_are_those_of_full_precision(name):
    """Also the second derivatives: under autocast the double backward of a layer would be rounded."""
    results = []
    for autocast in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            turn = turn_of({name: (1.0, PENALTIES[name]())})
            gradient = turn.input_gradient("real")
            assert gradient.dtype == torch.float32
            value = turn.game.objective.terms[name](turn)
            parameters = turn.game.parameters_of("d")
            results.append([value, *turn.differentiate(value, parameters, False, False)])
            assert value.dtype == torch.float32
    for full, mixed in zip(*results, strict=True):
        assert torch.allclose(full, mixed, rtol=1e-5, atol=1e-7)


def test_logits_and_losses_are_float_although_the_networks_run_in_bf16():
    with torch.autocast("cpu", torch.bfloat16):
        turn = turn_of({}, NonSaturating())
        assert turn.fake.features[0].dtype == torch.bfloat16
        assert turn.fake.logits[0].dtype == torch.float32
        assert turn.game.objective.loss.d_loss(turn).dtype == torch.float32


@pytest.mark.parametrize("term", [Consensus, JARE, GradNorm])
def test_norms_of_gradients_work_in_mixed_precision(term):
    fields = []
    for autocast in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            turn = turn_of({"term": (1.0, term()), "r1": (1.0, R1())}, NonSaturating())
            g, d = turn.game.field(turn)
            fields.append(torch.cat([t.flatten() for t in [*g, *d]]))
            assert all(t.dtype == torch.float32 for t in [*g, *d])
    assert torch.allclose(*fields, rtol=0.1, atol=0.03 * fields[0].abs().max().item())
