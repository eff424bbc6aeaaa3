"""The contenders of ``bench.py step``: one update of the same game as gcn makes it, and as a plain loop does.

A plain loop is what most public trainers of GAN codecs are: every turn makes its own forward pass of the generator and
judges originals and reconstructions, G's turn computes D's gradients as well and throws them away, all in fp32, with an
Adam that loops over the tensors. Losses, networks and random numbers are those of the game.
"""

import resource
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from gcn.config.assemble import game
from gcn.config.modules import build_game
from gcn.config.parse import parse
from gcn.errors import InputError
from gcn.game.game import Game
from gcn.game.objective import total_of
from gcn.game.protocols import GeneratorOutput, Players
from gcn.game.rules import Alternating, update
from gcn.game.streams import Stream
from gcn.models.factorized import Factorized
from gcn.models.hyperprior import Hyperprior
from gcn.training.module import GameModule, PlayerOptim
from gcn.training.precision import LIGHTNING, resolve

Step = Callable[[int], object]
MATRIX = {"cpu": 2048, "cuda": 8192}  # side of the matrix product that measures the machine's peak
BF16 = LIGHTNING["bf16"]


class Loop(NamedTuple):
    """A game, and the function that makes the update of a given number."""

    game: Game
    step: Step


def device() -> str:
    """Where the updates are made: the GPU, if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def precision() -> str:
    """``32`` or ``bf16``, as a training chooses it here."""
    return resolve("auto", device() == "cuda")


def _arithmetic() -> AbstractContextManager[Any]:
    return torch.autocast(device(), torch.bfloat16, enabled=precision() == "bf16")


def _batch(module: GameModule, crop: int, batch: int) -> tuple[Tensor, ...]:
    drawn = torch.rand(
        module.training_plan.d_steps * batch, 3, crop, crop, generator=torch.Generator().manual_seed(0)
    )
    return module._laid_out(drawn.to(device())).chunk(module.training_plan.d_steps)


def ours(words: Sequence[str], crop: int, batch: int) -> Loop:
    """The update of ``scripts/train.py``, without data, logs and validations."""
    module = build_game(words)
    module.to(device())
    plan, batches = module.training_plan, _batch(module, crop, batch)
    g = plan.g.player(plan.g.build(module.game.parameters_of("g")))
    d = (
        plan.d.player(plan.d.build(module.game.parameters_of("d")), after=module._constrain)
        if module.has_game
        else g
    )

    def step(number: int) -> None:
        rule = module.rule if module.has_game else module.warm_rule
        with _arithmetic():
            update(
                module.game, rule, batches, number, Players(g, d), plan.schedule.factor(number, plan.steps)
            )

    return Loop(module.game, step)


class _Counter(TorchDispatchMode):
    """Counts by torch's formulas. Its ``FlopCounterMode`` fails where autograd.grad takes a gradient of a leaf."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def floating_point_operations(step: Step) -> int:
    """Multiplications and additions of the convolutions and matrix products of an update."""
    with _Counter() as counter:
        step(0)
    return counter.total


def product() -> tuple[Step, int]:
    """A matrix product in the arithmetic of :func:`ours`, and its multiplications and additions."""
    side, kind = MATRIX[device()], torch.bfloat16 if precision() == "bf16" else torch.float32
    a, b = (torch.ones(side, side, dtype=kind, device=device()) for _ in range(2))
    return lambda _: a @ b, 2 * side**3


def alternating(words: Sequence[str], crop: int, batch: int) -> Loop:
    """The update of :func:`ours` by ``dynamics=alternating``, whatever the rule of ``words``."""
    others = [word for word in words if not word.lstrip("+").startswith(("dynamics=", "dynamics."))]
    return ours([*others, "dynamics=alternating"], crop, batch)


def plain(words: Sequence[str], crop: int, batch: int) -> Loop:
    """A plain loop on the networks of the game."""
    module = build_game([*words, "trainer.channels_last=false"])
    return _plain(module, module.game, crop, batch)


def compressai(words: Sequence[str], crop: int, batch: int) -> Loop:
    """A plain loop on CompressAI's codec of the same architecture.

    Raises:
        InputError: CompressAI has no such architecture.
    """
    module = build_game([*words, "trainer.channels_last=false"])
    other = _of_compressai(module.codec)
    return _plain(module, game(parse(words), other)[0], crop, batch)


class _CompressAI(nn.Module):
    """One of CompressAI's models as a generator; its noise comes from torch's own generator."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not name.endswith("quantiles"))

    def forward(self, x: Tensor, noise: Stream) -> GeneratorOutput:
        """x_hat (B, 3, H, W) and the likelihoods of x (B, 3, H, W)."""
        latents: list[Tensor] = []
        hook = self.model.g_s.register_forward_pre_hook(lambda _, given: latents.append(given[0]))  # type: ignore[union-attr,operator]
        found = self.model(x)
        hook.remove()
        return GeneratorOutput(found["x_hat"], latents[0], found["likelihoods"])


def _of_compressai(codec: nn.Module) -> nn.Module:
    options = getattr(codec, "architecture", {})
    same = {"kernel": 5, "activation": "gdn", "residual": 0, "upsampling": "transposed"}
    if not isinstance(codec, Factorized | Hyperprior) or any(
        options[name] != value for name, value in same.items()
    ):
        raise InputError(
            "against=compressai: CompressAI has no such generator; compare with generator=tiny, or drop it"
        )
    from compressai.models import FactorizedPrior, MeanScaleHyperprior

    kind = FactorizedPrior if isinstance(codec, Factorized) else MeanScaleHyperprior
    return _CompressAI(kind(options["N"], options["M"]))


def _plain(module: GameModule, players: Game, crop: int, batch: int) -> Loop:
    if not (module.has_game and isinstance(module.rule, Alternating)):
        raise InputError(
            "the plain loop knows no dynamics but alternating, and needs a loss; drop these words"
        )
    players.to(device())
    plan, batches = module.training_plan, _batch(module, crop, batch)
    parameters = {"g": players.parameters_of("g"), "d": players.parameters_of("d")}
    moves = {"g": _looped(plan.g, parameters["g"]), "d": _looped(plan.d, parameters["d"])}

    def turn(player: str, number: int, x: Tensor, which: int) -> None:
        opened = players.turn(player, x, number, which)
        if player == "d":
            out = opened.out
            opened.out = out._replace(
                x_hat=out.x_hat.detach(), y_hat=None if out.y_hat is None else out.y_hat.detach()
            )
        _ = opened.real  # D judges originals in G's turn too, where nothing is made of it
        total = total_of(players.objective.losses(opened, player))  # type: ignore[arg-type]
        for every in parameters.values():
            for parameter in every:
                parameter.grad = None
        total.backward()
        moves[player](plan.schedule.factor(number, plan.steps))
        if player == "d":
            module._constrain()

    def step(number: int) -> None:
        for which, x in enumerate(batches):
            turn("d", number, x, which)
        turn("g", number, batches[-1], len(batches) - 1)

    return Loop(players, step)


def _looped(optim: PlayerOptim, parameters: list[nn.Parameter]) -> Callable[[float], None]:
    optimizer = optim.optimizer(parameters, **optim.arguments, fused=False, foreach=False)  # type: ignore[call-arg]

    def move(factor: float) -> None:
        optimizer.param_groups[0]["lr"] = factor * optim.arguments["lr"]
        if optim.clip is not None:
            nn.utils.clip_grad_norm_(parameters, optim.clip)
        optimizer.step()

    return move


CONTENDERS = {"gcn": ours, "alternating": alternating, "plain": plain, "compressai": compressai}


def serve(pipe: Any, name: str, words: Sequence[str], crop: int, batch: int, threads: int) -> None:
    """The work of a contender's process.

    It sends the floating-point operations of its step (0 where they are not counted), or what refuses it. Then it makes
    as many updates as each number that it receives says and sends the seconds of one. The number 0 ends it, and is
    answered by the process's largest memory in bytes.

    Args:
        pipe: a connection of :func:`multiprocessing.Pipe`.
        name: a key of ``CONTENDERS``, or ``floor``.
        words, crop, batch: what is trained, on images of ``crop`` pixels.
        threads: of torch.
    """
    torch.set_num_threads(threads)
    try:
        if name == "floor":
            step, work = product()
        else:
            step = CONTENDERS[name](words, crop, batch).step
            work = floating_point_operations(step) if name == "gcn" else 0
    except (InputError, RuntimeError) as problem:  # torch's errors of memory are RuntimeErrors
        pipe.send(problem if isinstance(problem, InputError) else InputError(f"{name}: {problem}"))
        return
    pipe.send(work)
    number = 1
    while updates := pipe.recv():
        pipe.send(_seconds(step, range(number, number + updates)) / updates)
        number += updates
    pipe.send(_largest_memory())


def _seconds(step: Step, numbers: range) -> float:
    """Seconds of the updates: of all processors where there is no GPU, else from begin to end."""
    clock = time.perf_counter if device() == "cuda" else time.process_time
    begun = clock()
    for number in numbers:
        step(number)
    if device() == "cuda":
        torch.cuda.synchronize()
    return clock() - begun


def _largest_memory() -> int:
    if device() == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 2**10)
