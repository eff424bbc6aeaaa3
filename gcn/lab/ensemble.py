"""A small game as the production :class:`gcn.game.game.Game`, and thousands of them trained at once."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from scipy.linalg import hadamard
from torch import Tensor, nn

from gcn.game.game import Game
from gcn.game.objective import Objective, is_optimised
from gcn.game.protocols import DiscriminatorOutput, GeneratorOutput, Players
from gcn.game.reduction import Reduction
from gcn.game.rules import Alternating, Rule, update
from gcn.game.slots import Constraint, Perturbation
from gcn.game.streams import Stream, Streams
from gcn.lab.games import SmallGame
from gcn.lab.players import SGD, Factory, hold
from gcn.lab.strengths import Strengths


class TwoPoint(Stream):
    """Noise by quadrature: ±1 for a normal number, on several copies of the samples.

    The signs are columns of a Hadamard matrix, one for each coordinate of real and of fake samples: the noise has mean
    0, variance 1 and no correlation, so that spectra are exact without a single random number. Uniform numbers are
    midpoints.
    """

    @staticmethod
    def copies(dimensions: int) -> int:
        """Number of copies of the samples: a power of two above twice the dimensions."""
        return 1 << (2 * dimensions).bit_length()

    def child(self, *key: int | str) -> "TwoPoint":
        return TwoPoint((*self.key, *key))

    def normal(self, like: Tensor) -> Tensor:
        games, samples, dimensions = like.shape
        copies = self.copies(dimensions)
        first = 1 if self.key[-1] == "real" else 1 + dimensions
        signs = torch.from_numpy(hadamard(copies)[:, first : first + dimensions]).to(like)
        return signs.repeat_interleave(samples // copies, dim=0).expand(games, -1, -1)

    def uniform(self, like: Tensor) -> Tensor:
        n = like.shape[1]
        middle = (torch.arange(n, dtype=like.dtype) + 0.5) / n
        return middle.reshape(1, n, *[1] * (like.dim() - 2)).expand_as(like)


class Quadrature(Streams):
    """The streams of a game without random numbers."""

    def __init__(self) -> None:
        super().__init__(0)

    def at(self, *key: int | str) -> Stream:
        return TwoPoint(key)


class Generator(nn.Module):
    """The generators of E small games, with parameters ``theta`` (E, n)."""

    def __init__(self, small: SmallGame, theta: Tensor) -> None:
        super().__init__()
        self.small, self.theta = small, nn.Parameter(theta.clone())

    def forward(self, x: Tensor, noise: Stream) -> GeneratorOutput:
        """Reconstructions of x (E, B, d), same shape."""
        x_hat = self.small.decode(self.theta, x)
        return GeneratorOutput(x_hat.clone())  # decode may give a view of θ, which the update moves


class Discriminator(nn.Module):
    """The discriminators of E small games, with parameters ``psi`` (E, m)."""

    condition_gradient = True

    def __init__(self, small: SmallGame, psi: Tensor) -> None:
        super().__init__()
        self.small, self.psi = small, nn.Parameter(psi.clone())

    def forward(self, images: Tensor, cond: Tensor | None = None) -> DiscriminatorOutput:
        """Logits of images (E, B, d)."""
        return DiscriminatorOutput((self.small.discriminate(self.psi, images),))


class Common(Stream):
    """Random numbers that all games of an ensemble share, so that they differ in nothing but their points."""

    def child(self, *key: int | str) -> "Common":
        return Common((*self.key, *key))

    def normal(self, like: Tensor) -> Tensor:
        return super().normal(like[:1]).expand_as(like)

    def uniform(self, like: Tensor) -> Tensor:
        return super().uniform(like[:1]).expand_as(like)

    def common_uniform(self, like: Tensor) -> Tensor:
        return super().common_uniform(like[:1]).expand_as(like)


class CommonStreams(Streams):
    """Streams of random numbers that all games of an ensemble share."""

    def at(self, *key: int | str) -> Stream:
        return Common((self.seed, *key))


@dataclass(frozen=True)
class GameEnsemble:
    """A small game with its objective, rule and optimizers.

    Args:
        small: the game.
        objective: what the players pay; a weight may be a tensor (E,), one value a game.
        rule: makes the update rule.
        optimizer: makes a player of parameters.
        d_optimizer: the same for D where it differs.
        d_steps: turns of D for one of G.
        constraints: on D's weights.
        streams: random numbers; by default there is no chance.
        copies: of the samples, which share random noise; None: as many as quadrature needs.
    """

    small: SmallGame
    objective: Objective
    rule: Callable[[], Rule] = Alternating
    optimizer: Factory = SGD
    d_optimizer: Factory | None = None
    d_steps: int = 1
    constraints: tuple[Constraint, ...] = ()
    streams: Streams = field(default_factory=Quadrature)
    copies: int | None = None

    @property
    def strengths(self) -> Strengths:
        """The parameters of the closed forms, see :class:`gcn.lab.strengths.Strengths`."""
        return Strengths.of(self.objective)

    @property
    def period(self) -> int:
        """Updates after which the training repeats itself: those of the rule and of lazy terms together."""
        return math.lcm(self.rule().period, self.lazy_period)

    @property
    def lazy_period(self) -> int:
        """Updates after which the objective repeats itself, where lazy terms are optimised at some updates only."""
        lazy = [
            self.objective.terms[name].every
            for name, weight in self.objective.weights.items()
            if is_optimised(weight)
        ]
        return math.lcm(1, *lazy)

    @property
    def split(self) -> int:
        """Number of G's coordinates in a point."""
        return len(self.small.theta)

    def game(self, points: Tensor) -> Game:
        """The games at ``points`` (E, n + m), θ followed by ψ, as one :class:`gcn.game.game.Game` of E rows."""
        generator = Generator(self.small, points[:, : self.split])
        discriminator = Discriminator(self.small, points[:, self.split :])
        return Game(
            generator,
            discriminator,
            self.objective.fresh(),
            self.streams,
            Reduction(ensemble=True),
            self.small.reals,
        ).to(points.dtype)

    def batch(self, games: int) -> Tensor:
        """The samples of each game (E, B, d), with copies where noise on them needs these."""
        source = self.small.source()
        chance = len(self.objective.perturbations) or self.objective.fakes is not None
        if chance or any(t.has_noise for t in self.objective.terms.values()):
            source = source.repeat(self.copies or TwoPoint.copies(source.shape[1]), 1)
        return source.expand(games, *source.shape)

    def players(self, game: Game) -> Players:
        """The optimizers of G and D; D's constraints are applied after each of its steps."""
        g = self.optimizer(game.parameters_of("g"))
        d = (self.d_optimizer or self.optimizer)(game.parameters_of("d"))
        assert game.discriminator is not None
        hold(d, self.constraints, game.discriminator)
        return Players(g, d)

    def velocity(self, points: Tensor) -> Tensor:
        """The field (-∇_θ L_G, -∇_ψ L_D) at points (E, n + m), the same shape; its mean over a period of lazy terms."""
        return self.field(len(points), points.dtype)(points)

    def field(self, games: int, dtype: torch.dtype = torch.float64) -> Callable[[Tensor], Tensor]:
        """:meth:`velocity` at points (``games``, n + m), as a function that makes its game only once."""
        game = self.game(torch.zeros(games, len(self.small.names), dtype=dtype))
        batch, period = self.batch(games), self.lazy_period
        parameters = [*game.parameters_of("g"), *game.parameters_of("d")]

        def velocity(points: Tensor) -> Tensor:
            with torch.no_grad():
                for parameter, values in zip(
                    parameters, points.tensor_split([self.split], dim=1), strict=True
                ):
                    parameter.copy_(values)
            total = torch.zeros_like(points)
            for step in range(period):
                g, d = game.field(game.turn("both", batch, step))
                total -= torch.cat([part.detach().reshape(games, -1) for part in (*g, *d)], dim=1)
            return total / period

        return velocity

    def jacobian(self, points: Tensor) -> Tensor:
        """The field's Jacobian at points (E, N), by automatic differentiation: (E, N, N)."""
        return torch.stack([self._jacobian(points, step) for step in range(self.lazy_period)]).mean(0)

    def _jacobian(self, points: Tensor, step: int) -> Tensor:
        game = self.game(points)
        turn = game.turn("both", self.batch(len(points)), step)
        field = [part for gradient in game.field(turn, create_graph=True) for part in gradient]
        parameters = [*game.parameters_of("g"), *game.parameters_of("d")]
        rows = []
        for part in field:
            for column in range(part.shape[1]):
                if not part.requires_grad:  # a player whose loss depends on no parameter
                    rows.append(points.new_zeros(points.shape))
                    continue
                gradients = torch.autograd.grad(
                    -part[:, column].sum(), parameters, retain_graph=True, materialize_grads=True
                )
                rows.append(torch.cat([gradient.reshape(len(points), -1) for gradient in gradients], dim=1))
        return torch.stack(rows, dim=1).detach()

    def with_weights(self, weights: Mapping[str, Any]) -> "GameEnsemble":
        """The same ensemble with other weights, numbers or tensors (E,), of its terms."""
        terms = {
            name: (weights.get(name, w), self.objective.terms[name])
            for name, w in self.objective.weights.items()
        }
        adv = weights.get("adv", self.objective.adv)
        perturbations = cast(Iterable[Perturbation], self.objective.perturbations)
        changed = Objective(self.objective.loss, adv, terms, perturbations, self.objective.fakes)
        return replace(self, objective=changed)


def coordinates(game: Game) -> Tensor:
    """Points (E, N) of games: G's parameters and then D's."""
    parameters = [*game.parameters_of("g"), *game.parameters_of("d")]
    return torch.cat([p.detach().reshape(len(p), -1) for p in parameters], dim=1)


def play(ensemble: GameEnsemble, points: Tensor, steps: int, every: int = 1) -> Tensor:
    """Train from ``points`` (E, N); returns trajectories (T, E, N): the start, then a row every ``every`` updates."""
    return play_on(ensemble, ensemble.game(points), steps, every)[0]


def play_on(ensemble: GameEnsemble, game: Game, steps: int, every: int = 1) -> tuple[Tensor, Players]:
    """Train an existing game as :func:`play` does; also returns the optimizers with their memory."""
    players, rule = ensemble.players(game), ensemble.rule()
    batches = [ensemble.batch(len(coordinates(game)))] * ensemble.d_steps
    path = [coordinates(game)]
    for step in range(steps):
        update(game, rule, batches, step, players)
        if (step + 1) % every == 0 or step + 1 == steps:
            path.append(coordinates(game))
    return torch.stack(path), players
