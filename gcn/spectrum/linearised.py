"""A game linearised at one point: its field, and the field's Jacobian as an operator on vectors.

v(w) = -[∇_θ L_G ; ∇_ψ L_D] on one batch and one draw of the noise. Whether two players circle each other is written in
the eigenvalues of v's Jacobian J: a game of one potential has a symmetric J and real ones. A dense J of a network does
not fit anywhere; Jᵀu is one backward pass through the field's graph, and :mod:`gcn.spectrum.eigenvalues` needs no more.

Away from v = 0 a spectrum says how the field bends here, and proves nothing about convergence.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gcn.game.game import Game
from gcn.game.labelled import Batch
from gcn.game.objective import is_optimised
from gcn.game.turn import PlayerName, Turn

# Where automatic differentiation of the field is not its derivative, by the class of a loss or of a term.
REMARKS = {
    "Hinge": "a kink where |D| = 1",
    "FeatureMatching": "D's features of x are a target without gradient, and the absolute value has a kink",
    "L1": "a kink where x_hat = x",
    "MSSSIM": "a kink where contrast meets its floor",
}


class Block(NamedTuple):
    """One parameter: its name in the game, its player, its slice of the flat vector."""

    name: str
    player: PlayerName
    where: slice


@contextmanager
def still(game: Game) -> Iterator[None]:
    """Keep power iterations, batch statistics and observation switched off in the block; restored afterwards."""
    modes = [(module, module.training) for module in game.modules()]
    observing, game.observing = game.observing, False
    game.eval()
    try:
        yield
    finally:
        game.observing = observing
        for module, mode in modes:
            module.training = mode


class Linearised:
    """A game's field and its Jacobian at the point where the game stands, on one batch, with one draw of the noise.

    The graph of the field is kept: as long as this object is used no parameter may be moved in place. The Jacobian is
    that of the field which training follows, also where a condition without gradient hides y_hat's dependence on the
    encoder from each player: y_hat is then a variable of its own, and the chain rule brings its derivative back. What
    else may separate the two is listed in ``inexact``. Piecewise linear activations are not: J is exact almost
    everywhere there, and :meth:`secant` measures how far that carries.

    Args:
        game: one game; of an ensemble, J is block-diagonal.
        x: the batch (B, 3, H, W), with labels or without, in the type of the parameters.
        step: names the noise, and the update whose terms are paid.
        playing: false while there is no adversary.

    Attributes:
        field: v (n,), G's part first.
        blocks: the parts of a flat vector.
        inexact: names of parts and terms where J is not exact, each with the reason.
    """

    def __init__(self, game: Game, x: Batch, step: int = 0, playing: bool = True) -> None:
        self.game, self.x, self.step, self.playing = game, x, step, playing
        self.players = players_of(game, playing)
        self.parameters = [p for player in self.players for p in game.parameters_of(player)]
        self.blocks = _blocks(game, self.players)
        self._y_hat: Tensor | None = None
        self._condition: Tensor | None = None
        with still(game), _active_bounds(game) as bounds:
            turn = self._turn()
            self._free_condition(turn)
            self._live = self._field(turn, create_graph=True)
        self.field = self._live.detach()
        self.inexact = [*_remarks(game, playing), *bounds]
        self._pulled: tuple[Tensor, Tensor] | None = None

    def _turn(self) -> Turn:
        name = "both" if len(self.players) > 1 else "g"
        return self.game.turn(name, self.x, self.step, playing=self.playing)

    def _field(self, turn: Turn, create_graph: bool) -> Tensor:
        gradients = [self.game.gradient(p, turn, create_graph, retain_graph=True) for p in self.players]
        return -torch.cat([g.reshape(-1) for gradient in gradients for g in gradient])

    def _free_condition(self, turn: Turn) -> None:
        y_hat, condition = turn.out.y_hat, turn.condition
        if (
            condition is not None
            and y_hat is not None
            and y_hat.requires_grad
            and not condition.requires_grad
        ):
            self._y_hat, self._condition = y_hat, condition.clone().requires_grad_()
            turn.condition = self._condition

    def _pull(self, u: Tensor, create_graph: bool = False) -> Tensor:
        """Jᵀu; with a graph it can be differentiated for u."""
        if not self._live.requires_grad:
            return torch.zeros_like(u)
        condition = [] if self._condition is None else [self._condition]
        pulled = _gradient(self._live, [*self.parameters, *condition], u, create_graph)
        if self._y_hat is not None:
            through = _gradient(self._y_hat, self.parameters, pulled.pop(), create_graph)
            pulled = [a + b for a, b in zip(pulled, through, strict=True)]
        return torch.cat([part.reshape(-1) for part in pulled])

    def vjp(self, u: Tensor) -> Tensor:
        """Jᵀu of (n,): one backward pass."""
        return self._pull(u).detach()

    def jvp(self, u: Tensor) -> Tensor:
        """Ju of (n,): Jᵀp is linear in p, and its derivative for p along u is Ju."""
        if self._pulled is None:
            probe = torch.zeros_like(self.field, requires_grad=True)
            self._pulled = probe, self._pull(probe, create_graph=True)
        probe, pulled = self._pulled
        if not pulled.requires_grad:
            return torch.zeros_like(u)
        return _gradient(pulled, [probe], u, create_graph=False)[0]

    def secant(self, u: Tensor, size: float = 1e-6) -> Tensor:
        """[v(w + εu) - v(w - εu)] / 2ε with ε = size/|u|: central differences of the production field, in float64."""
        epsilon = size / float(u.norm())
        ends = []
        with still(self.game):
            for sign in (1, -1):
                with _displaced(self.parameters, sign * epsilon * u):
                    ends.append(self._field(self._turn(), create_graph=False).detach())
        return (ends[0] - ends[1]) / (2 * epsilon)

    def dense(self) -> Tensor:
        """J (n, n), a backward pass a row: for small games."""
        return torch.stack([self.vjp(unit) for unit in torch.eye(len(self.field)).to(self.field)])

    def skew(self, u: Tensor) -> Tensor:
        """Au of (n,), A = (J - Jᵀ)/2: the rotation."""
        return (self.jvp(u) - self.vjp(u)) / 2


def players_of(game: Game, playing: bool = True) -> tuple[PlayerName, ...]:
    """The players that move: G alone where there is no discriminator."""
    return ("g", "d") if playing and game.parameters_of("d") else ("g",)


def _blocks(game: Game, players: Sequence[PlayerName]) -> list[Block]:
    names, blocks, start = {p: name for name, p in game.named_parameters()}, [], 0
    for player in players:
        for parameter in game.parameters_of(player):
            blocks.append(Block(names[parameter], player, slice(start, start + parameter.numel())))
            start += parameter.numel()
    return blocks


def _gradient(outputs: Tensor, inputs: Sequence[Tensor], vector: Tensor, create_graph: bool) -> list[Tensor]:
    return list(
        torch.autograd.grad(
            outputs, inputs, vector.view_as(outputs), retain_graph=True, create_graph=create_graph,
            allow_unused=True, materialize_grads=True,
        )
    )  # fmt: skip


@contextmanager
def _displaced(parameters: Sequence[Tensor], offset: Tensor) -> Iterator[None]:
    """Move the parameters by a flat offset in the block, without touching graphs that hold them."""
    before = [p.detach().clone() for p in parameters]
    parts = offset.split([p.numel() for p in parameters])
    try:
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.data += part.view_as(parameter)
        yield
    finally:
        for parameter, value in zip(parameters, before, strict=True):
            parameter.data.copy_(value)


# where the Jacobian is not exact


def _remarks(game: Game, playing: bool) -> list[tuple[str, str]]:
    found = []
    proxy = getattr(game.generator, "quantisation", "noise")
    if proxy != "noise" and not getattr(game.generator, "encoder_frozen", False):
        found.append(
            ("generator", f"quantisation={proxy}: rounding has another derivative than its stand-in")
        )
    loss, weights = game.objective.loss, game.objective.weights
    paid = {name: term for name, term in game.objective.terms.items() if is_optimised(weights[name])}
    parts = {"adv": getattr(loss, "loss", loss)} if playing and loss is not None else {}
    for name, part in (parts | paid).items():
        if type(part).__name__ in REMARKS:
            found.append((name, REMARKS[type(part).__name__]))
        elif getattr(part, "target_bpp", None) is not None:
            found.append((name, "a jump of the weight where an image meets target_bpp"))
    return found


@contextmanager
def _active_bounds(game: Game) -> Iterator[list[tuple[str, str]]]:
    """List of CompressAI's bounds that are active in the block's forward passes: their double backward is wrong."""
    found: list[tuple[str, str]] = []
    modules = dict(game.named_modules())

    def watch(name: str) -> Callable[..., None]:
        def look(bound: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if not torch.equal(inputs[0], output):  # raised to the bound somewhere
                owner = _owner(name, modules)
                names = ", ".join(n for n, _ in modules[owner].named_parameters(prefix=owner))
                remark = (name, f"a LowerBound is active: second derivatives are wrong for {names}")
                if remark not in found:
                    found.append(remark)

        return look

    hooks = [
        module.register_forward_hook(watch(name))
        for name, module in modules.items()
        if type(module).__name__ == "LowerBound"
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _owner(name: str, modules: dict[str, nn.Module]) -> str:
    """Name of the nearest enclosing module that has parameters."""
    while name and not any(True for _ in modules[name].parameters()):
        name = name.rpartition(".")[0]
    return name
