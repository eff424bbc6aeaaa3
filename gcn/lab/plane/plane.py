"""Distributions of the plane with small networks: many seeds and arms at once, trained by the production game.

Losses, terms and rules are those that train a codec. Each game is what it would be alone (a test plays one with torch's
Adam and ``nn.Linear``): seeds decide data, noise and initial weights, and games share nothing but the time it takes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gcn.errors import InputError
from gcn.game.game import Game
from gcn.game.objective import Objective, is_optimised
from gcn.game.protocols import Players
from gcn.game.reduction import Reduction
from gcn.game.rules import Alternating, Descend, Rule, update
from gcn.game.slots import Constraint
from gcn.lab.plane.distributions import SAMPLES, Distribution
from gcn.lab.plane.networks import Autoencoder, Critic, Layers, Noise
from gcn.lab.plane.paired import PairedStreams
from gcn.lab.plane.transport import wasserstein
from gcn.lab.players import Adam, Factory, hold
from gcn.losses.distortion import L1, MSE, Charbonnier

MESH = 81  # points of a side on which D is drawn
Progress = Callable[[int, int], None]  # updates done, of how many


@dataclass(frozen=True)
class PlaneRun:
    """The results of training E games.

    Attributes:
        plane: the game.
        seeds: one a game.
        steps: updates after which the games were looked at (T,), from 0 to the last.
        curves: (T, E) each: ``recovered``, ``held``, ``good`` and ``kl``
            (:class:`gcn.lab.plane.distributions.Quality`), ``logit_gap`` and ``logit_mean`` (difference and middle of
            D's mean logits on x and on x_hat, as D sees them), ``g_norm`` and ``d_norm`` (of the players' gradients on
            a fresh batch), ``mse`` (mean of (x - x_hat)²
            over coordinates; nothing to speak of for a generator that is fed noise), ``w1`` (Wasserstein-1 distance of
            samples from other data, :func:`gcn.lab.plane.transport.wasserstein`; absent where ``compared`` is 0).
        w1_of_data: the same distance of two samples of the data (E,), below which ``w1`` says nothing; None without it.
        diverged: the first of ``steps`` at which a game's numbers were not finite (E,), or -1.
        real: data (E, N, 2), the same for games of one seed.
        samples: the generators' last samples (E, N, 2), of that data where it is coded.
        mesh: coordinates of the points where D is drawn (M,), in both directions.
        logits: D's logits there (E, M, M), rows are y.
        game: the games as they were left.
        players: those who moved them, with what their optimizers remember.
    """

    plane: "Plane"
    seeds: tuple[int, ...]
    steps: Tensor
    curves: dict[str, Tensor]
    w1_of_data: Tensor | None
    diverged: Tensor
    real: Tensor
    samples: Tensor
    mesh: Tensor
    logits: Tensor
    game: Game
    players: Players


@dataclass(frozen=True)
class Plane:
    """A game in the plane: a distribution, a generator and a discriminator.

    Args:
        distribution: of the data.
        generator: ``noise`` (an ordinary GAN) or ``autoencoder`` (a codec, which has a distortion).
        width: units of a hidden layer.
        depth: hidden layers.
        activation: ``leaky``, ``relu`` or ``tanh``.
        slope: of ``leaky`` below 0.
        latent: numbers of ``noise``.
        code: numbers of the autoencoder's code.
        levels: of each of them: the rate is at most code·log2(levels) bits a point.
        batch: points of an update.
        compared: points of each sample whose Wasserstein-1 distance is measured; 0: it is not measured.
    """

    distribution: Distribution
    generator: str = "noise"
    width: int = 64
    depth: int = 2
    activation: str = "leaky"
    slope: float = 0.01
    latent: int = 8
    code: int = 2
    levels: int = 4
    batch: int = 128
    compared: int = 0

    @property
    def bits(self) -> float | None:
        """The capacity of the code in bits per point; None where nothing is coded."""
        return self.code * math.log2(self.levels) if self.generator == "autoencoder" else None

    def game(self, objective: Objective, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> Game:
        """The games of these seeds with initial weights, as one :class:`gcn.game.game.Game` with E rows."""
        if not seeds:
            raise InputError("seeds=[]: give one seed a game")
        streams = PairedStreams(seeds)

        def make(name: str, inputs: int, outputs: int) -> Layers:
            sizes = [inputs, *[self.width] * self.depth, outputs]
            return Layers(sizes, self.activation, len(seeds), streams.at("weights", name), self.slope)

        coded = self.generator == "autoencoder"
        generator = Autoencoder(make, self.code, self.levels) if coded else Noise(make, self.latent)
        return Game(generator, Critic(make), objective.fresh(), streams, Reduction(ensemble=True)).to(dtype)

    def data(self, game: Game, name: str, step: int, turn: int = 0, count: int | None = None) -> Tensor:
        """Points (E, N, 2) for a purpose, other ones in each update and turn."""
        first = game.parameters_of("g")[0]
        like = first.new_empty(len(first), count or self.batch, 2)
        return self.distribution.sample(game.streams.at(name, step, turn), like)

    def train(
        self,
        objective: Objective,
        rule: Callable[[], Rule] = Alternating,
        g_optimizer: Factory = Adam,
        d_optimizer: Factory | None = None,
        *,
        steps: int,
        seeds: Sequence[int],
        log_every: int = 100,
        d_steps: int = 1,
        constraints: Sequence[Constraint] = (),
        progress: Progress | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> PlaneRun:
        """Train one game for each seed, all at once.

        Args:
            objective: what the players pay; a weight may be a tensor (E,), hence arms can share a call, the seeds being
                repeated. Without a loss the generator learns alone, whatever the rule.
            rule: makes the update rule.
            g_optimizer: makes G's player of parameters; its lr may be a tensor (E,).
            d_optimizer: D's; by default as G's.
            steps: updates of G.
            seeds: one a game; games of one seed see the same data and noise and start from the same weights.
            log_every: updates between two measurements, which do not change the games.
            d_steps: turns of D for one of G, each on fresh data.
            constraints: on D's weights.
            progress: called after each look.
            dtype: of all numbers.

        Raises:
            InputError: ``mse`` and other distortions without an autoencoder, ``d_steps`` with a rule that moves
                both players at once, ``compared`` out of range.
        """
        for name, value in (("steps", steps), ("log_every", log_every), ("d_steps", d_steps)):
            if value < 1:
                raise InputError(f"{name}={value}: must be 1 or more")
        self._check(objective, rule(), d_steps)
        game = self.game(objective, seeds, dtype)
        g, d = g_optimizer(game.parameters_of("g")), (d_optimizer or g_optimizer)(game.parameters_of("d"))
        assert game.discriminator is not None
        hold(d, constraints, game.discriminator)
        move = rule() if objective.loss is not None else Descend()
        measured, players = Measurements(self, game), Players(g, d)
        for step in range(steps + 1):
            if step % log_every == 0 or step == steps:
                measured.take(step)
                if progress is not None:
                    progress(step, steps)
            if step < steps:
                batches = [self.data(game, "data", step, i) for i in range(d_steps)]
                update(game, move, batches, step, players)
        return measured.run(tuple(seeds), players)

    def _check(self, objective: Objective, rule: Rule, d_steps: int) -> None:
        if d_steps > 1 and not rule.several_d_steps:
            raise InputError(
                f"d_steps={d_steps}: {type(rule).__name__.lower()} moves both players at once; use d_steps=1"
            )
        if not 0 <= self.compared <= SAMPLES:
            raise InputError(
                f"compared={self.compared}: must be from 0 to {SAMPLES}, the samples that are judged"
            )
        if self.generator == "noise":
            for name, term in objective.terms.items():
                if isinstance(term, MSE | L1 | Charbonnier) and is_optimised(objective.weights[name]):
                    raise InputError(
                        f"{name}: a generator that is fed noise has no x to be compared with; use generator=autoencoder"
                    )


class Measurements:
    """Measurements of all games during a run, with streams of their own, which do not change the games.

    Args:
        plane: the game.
        game: the games.
    """

    def __init__(self, plane: Plane, game: Game) -> None:
        self.plane, self.game = plane, game
        self.real = plane.data(game, "judged", 0, count=SAMPLES)
        self.others = plane.data(game, "compared", 0, count=plane.compared) if plane.compared else None
        self.steps: list[int] = []
        self.rows: dict[str, list[Tensor]] = {}
        self.diverged = torch.full((len(self.real),), -1)

    def take(self, step: int) -> None:
        """Measure all games after ``step`` updates."""
        samples = self._samples()
        turn = self.game.turn("both", self.plane.data(self.game, "data", step), step)
        g, d = (self.game.reduce.square_norm(part).sqrt() for part in self.game.field(turn))
        real, fake = (
            turn.logit_mean(torch.clone, output.logits).detach() for output in (turn.real, turn.fake)
        )
        found = self.plane.distribution.quality(samples)._asdict() | {
            "logit_gap": real - fake, "logit_mean": (real + fake) / 2, "g_norm": g, "d_norm": d,
            "mse": (samples - self.real).square().flatten(1).mean(1),
        }  # fmt: skip
        if self.others is not None:
            found["w1"] = wasserstein(samples[:, : self.plane.compared], self.others)
        for name, values in found.items():
            self.rows.setdefault(name, []).append(values.double())
        self.steps.append(step)
        finite = samples.flatten(1).isfinite().all(1) & torch.stack([real, fake, g, d]).isfinite().all(0)
        self.diverged[~finite & (self.diverged < 0)] = step

    def run(self, seeds: tuple[int, ...], players: Players) -> PlaneRun:
        """The results of the run: all measurements, samples and logits."""
        line = torch.linspace(-1, 1, MESH, dtype=self.real.dtype) * self.plane.distribution.extent
        count = self.plane.compared
        floor = None if self.others is None else wasserstein(self.real[:, :count], self.others)
        return PlaneRun(
            self.plane, seeds, torch.tensor(self.steps), {n: torch.stack(rows) for n, rows in self.rows.items()},
            floor, self.diverged, self.real, self._samples(), line, self._judged(line), self.game, players,
        )  # fmt: skip

    @torch.no_grad()
    def _samples(self) -> Tensor:
        return self.game.generator(self.real, self.game.streams.at("judged", "noise")).x_hat

    @torch.no_grad()
    def _judged(self, line: Tensor) -> Tensor:
        assert self.game.discriminator is not None
        y, x = torch.meshgrid(line, line, indexing="ij")
        points = torch.stack([x, y], dim=-1).reshape(1, -1, 2).expand(len(self.real), -1, -1)
        (logits,) = self.game.discriminator(points).logits
        return logits.reshape(-1, len(line), len(line))
