"""Measurements within a turn; the weights are the same with and without them."""

import itertools

import torch
from torch import Tensor

from gcn.game.objective import WeightedLoss
from gcn.game.reduction import mean_over_ranks, world_size
from gcn.game.turn import PlayerName, Turn


def logits(turn: Turn, player: PlayerName, losses: list[WeightedLoss]) -> dict[str, Tensor]:
    """In D's turn: mean logits, their gap, and how often an image has a higher logit than its reconstruction."""
    if player != "d":
        return {}
    real, fake = ([scale.detach() for scale in output.logits] for output in (turn.real, turn.fake))
    mean_real, mean_fake = turn.logit_mean(torch.clone, real), turn.logit_mean(torch.clone, fake)
    return {
        "d/logit_real": mean_real,
        "d/logit_fake": mean_fake,
        "d/logit_gap": mean_real - mean_fake,
        "d/accuracy": turn.logit_mean(lambda r, f: (r > f).float(), real, fake),
    }


def rate_and_distortion(turn: Turn, player: PlayerName, losses: list[WeightedLoss]) -> dict[str, Tensor]:
    """Estimated bpp and PSNR (dB, from the batch's mean squared error) of the training batch.

    A generator from noise has neither.
    """
    if player != "g" or not turn.out.likelihoods:
        return {}
    error = turn.mean((turn.x_hat.detach().clamp(0, 1) - turn.x).square())
    return {"bpp": turn.mean(turn.bpp.detach()), "psnr": -10 * error.clamp(min=1e-10).log10()}


def gradients_at_x_hat(turn: Turn, player: PlayerName, losses: list[WeightedLoss]) -> dict[str, Tensor]:
    """Norm of each weighted G term's gradient at x_hat, per image, and the cosines between the terms.

    A term that does not look at x_hat (the rate) has none.
    """
    if player != "g" or not turn.x_hat.requires_grad:
        return {}
    gradients: dict[str, Tensor] = {}
    for loss in losses:
        if not loss.value.requires_grad:
            continue
        (gradient,) = torch.autograd.grad(loss.value, turn.x_hat, retain_graph=True, allow_unused=True)
        if gradient is not None:
            # each process differentiates its own replica of the joint mean: see gcn.game.reduction
            gradients[loss.name] = loss.weight * gradient / world_size()
    inner = {
        pair: mean_over_ranks((gradients[pair[0]] * gradients[pair[1]]).sum()) * world_size()
        for pair in itertools.combinations_with_replacement(gradients, 2)
    }
    images = turn.x.shape[0] * world_size()
    norms = {name: inner[name, name].sqrt() for name in gradients}
    values = {f"g/grad_at_x_hat/{name}": norm * images**0.5 for name, norm in norms.items()}
    for a, b in itertools.combinations(gradients, 2):
        values[f"g/cosine/{a}-{b}"] = inner[a, b] / (norms[a] * norms[b]).clamp(min=1e-30)
    return values


INSTRUMENTS = (logits, rate_and_distortion, gradients_at_x_hat)
