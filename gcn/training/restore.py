"""Checks of a checkpoint before anything is restored from it.

Everything that a run would take from the file is compared with what it belongs to, in structure, shape, type and
range: torch takes optimizer states of any shape, and a fused optimizer then writes beyond their end.

Each function raises ValueError with the reason; `gcn.training.checkpoint` puts the file's name before it.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gcn.training.restore_records import LARGEST_STEP, check_crops, check_records
from gcn.training.restore_tensors import check_apart, check_tensor

if TYPE_CHECKING:
    from gcn.training.module import GameModule, PlayerOptim

MOST_MOVES = 8  # moves that a rule may make in one update
NOT_NEGATIVE = ("exp_avg_sq", "max_exp_avg_sq", "square_avg", "sum")  # of optimizers: sums of squares
_VERSION = r"[2-9]\.\d{1,4}(\.\d{1,4}){0,2}(rc\d{1,4}|\.dev\d{1,9}|\.post\d{1,4})?"


def check(checkpoint: Mapping[str, Any], module: "GameModule", callbacks: Iterable[str] = ()) -> None:
    """Raise ValueError if a checkpoint does not fit the game that is to continue from it.

    Args:
        checkpoint: as read from the file.
        module: with its own first weights, on the CPU.
        callbacks: names of those whose state must be there.
    """
    for part in ("state_dict", "optimizer_states", "loops", "callbacks", "gcn"):
        kind = list if part == "optimizer_states" else dict
        if not isinstance(checkpoint.get(part), kind):
            raise ValueError(f"its part {part} is missing or damaged")
    step = step_of(checkpoint)
    version = checkpoint.get("pytorch-lightning_version")
    if not isinstance(version, str) or not re.fullmatch(_VERSION, version):
        raise ValueError("it is not of a version of Lightning that is known here")
    check_weights(checkpoint["state_dict"], module.state_dict())
    _check_optimizers(checkpoint["optimizer_states"], module, step)
    _check_loops(checkpoint["loops"], step)
    _check_own(checkpoint["gcn"], module, step)
    changing = [checkpoint["optimizer_states"], checkpoint["gcn"]["rule"], checkpoint["gcn"]["average"]]
    check_apart("the optimizers, the rule and the average", changing)
    for name in callbacks:
        if name not in checkpoint["callbacks"]:
            raise ValueError(f"the state of {name} is missing")
    if checkpoint.get("lr_schedulers", []) != []:
        raise ValueError("it has schedules of learning rates; a run of this project keeps none")
    check_records(checkpoint["callbacks"])


def step_of(checkpoint: Mapping[str, Any]) -> int:
    """Number of generator updates that a checkpoint has made."""
    step = checkpoint.get("global_step")
    if type(step) is not int or not 0 <= step <= LARGEST_STEP:
        raise ValueError(
            f"global_step={step if type(step) is int else type(step).__name__}: not a number of updates"
        )
    return step


def check_weights(found: Any, expected: Mapping[str, Tensor], of: str = "") -> None:
    """Raise ValueError if the weights of networks differ in names, shapes or types."""
    if not isinstance(found, Mapping):
        raise ValueError(f"{of}the weights are missing")
    for name, like in expected.items():
        if name not in found:
            raise ValueError(f"{of}{name} is missing; it is of another architecture")
        check_tensor(f"{of}{name}", found[name], like.shape, like.dtype)
    strange = [str(name) for name in found if name not in expected]
    if strange:
        raise ValueError(f"{of}{strange[0][:100]}: unknown to this run; it is of another architecture")


# --- optimizers ---


def _check_optimizers(found: list[Any], module: "GameModule", step: int) -> None:
    plan = module.training_plan
    players: list[tuple[str, PlayerOptim, int]] = [("g", plan.g, step)]
    if module.has_game:
        players.append(("d", plan.d, plan.d_steps * max(0, step - plan.warmup)))
    if len(found) != len(players):
        raise ValueError(f"it has {len(found)} optimizers, this run has {len(players)}")
    for state, (player, optim, moves) in zip(found, players, strict=True):
        parameters = module.game.parameters_of(player)  # type: ignore[arg-type]
        _check_optimizer(f"the optimizer of {player.upper()}", state, optim, parameters, moves)


def _check_optimizer(name: str, found: Any, optim: "PlayerOptim", parameters: list[Any], moves: int) -> None:
    if not isinstance(found, dict) or set(found) != {"state", "param_groups"}:
        raise ValueError(f"{name} is damaged")
    groups, states = found["param_groups"], found["state"]
    if (
        not isinstance(groups, list)
        or len(groups) != 1
        or not isinstance(groups[0], dict)
        or not isinstance(states, dict)
    ):
        raise ValueError(f"{name} is damaged")
    memory, group = _template(optim)
    _check_group(name, groups[0], {**group, "params": list(range(len(parameters)))}, optim.arguments)
    if set(states) != (set(range(len(parameters))) if moves and memory else set()):
        raise ValueError(f"{name} has states for {len(states)} of its {len(parameters)} parameters")
    steps = set()
    for i, state in states.items():
        if not isinstance(state, dict) or set(state) != set(memory):
            raise ValueError(f"{name} has a damaged state of parameter {i}")
        for part, like in memory.items():
            _check_memory(f"{part} of {name}, parameter {i},", part, state[part], like, parameters[i])
        if isinstance(state.get("step"), Tensor):
            steps.add(float(state["step"]))
    if len(steps) > 1 or any(s not in [k * moves for k in range(1, MOST_MOVES + 1)] for s in steps):
        raise ValueError(f"{name} has counted {sorted(steps)[:3]} moves, this run has made {moves}")


def _template(optim: "PlayerOptim") -> tuple[dict[str, Any], dict[str, Any]]:
    """State that this optimizer keeps of a parameter, and its options."""
    parameter = nn.Parameter(torch.zeros(2, 3))
    parameter.grad = torch.zeros(2, 3)
    optimizer = optim.build([parameter])
    optimizer.step()
    return dict(optimizer.state[parameter]), dict(optimizer.param_groups[0])


def _check_group(name: str, found: dict[Any, Any], own: dict[str, Any], given: Mapping[str, Any]) -> None:
    needed = {"params", "lr", *given}
    if not needed <= set(found) <= set(own):
        raise ValueError(f"{name} has other options than this run's")
    for option, value in found.items():
        expected = own[option]
        if option == "lr":
            if type(value) is not float or not 0 <= value < math.inf:
                raise ValueError(f"{name} has no usable learning rate")
        elif not _same(value, expected):
            raise ValueError(f"{name} has another {option} than this run's")


def _same(value: Any, expected: Any) -> bool:
    """Whether plain values are equal; a list equals a tuple."""
    if isinstance(expected, list | tuple):
        alike = isinstance(value, list | tuple) and len(value) == len(expected)
        return alike and all(_same(a, b) for a, b in zip(value, expected, strict=True))
    if expected is None or isinstance(expected, bool | str):
        return type(value) is type(expected) and value == expected
    return type(value) in (int, float) and value == expected


def _check_memory(name: str, part: str, found: Any, like: Any, parameter: Tensor) -> None:
    if not isinstance(like, Tensor):
        if type(found) is not type(like):
            raise ValueError(f"{name} is damaged")
        return
    own = tuple(like.shape) == (2, 3)  # of a parameter's shape
    check_tensor(name, found, parameter.shape if own else like.shape, parameter.dtype if own else like.dtype)
    if part in NOT_NEGATIVE and bool((found < 0).any()):
        raise ValueError(f"{name} has negative squares")


# --- what Lightning and this project add ---


def _check_loops(loops: Mapping[str, Any], step: int) -> None:
    """Lightning's counters are made anew, see ``GameModule``; the one that counts updates must agree."""
    found: Any = loops
    for name in ("fit_loop", "epoch_loop.manual_optimization.optim_step_progress", "total", "completed"):
        found = found.get(name) if isinstance(found, Mapping) else None
    if type(found) is not int or found != step:
        raise ValueError(f"its loops have counted another number of updates than global_step={step}")


def counted(fit_loop: Mapping[str, Any], step: int) -> dict[str, Any]:
    """The state of Lightning's fit loop in the midst of a run's one epoch, after ``step`` updates.

    Args:
        fit_loop: the state of a loop that has not begun.
        step: number of updates.
    """
    begun = dict.fromkeys(("ready", "started", "processed"), step) | {"completed": max(0, step - 1)}
    made = {"ready": step, "completed": step}
    epoch = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
    progress = {
        "epoch_loop.batch_progress": begun,
        "epoch_loop.manual_optimization.optim_step_progress": made,
    }
    state = {**fit_loop, "epoch_loop.state_dict": {"_batches_that_stepped": max(0, step - 1)}}
    for name, counts in {**progress, "epoch_progress": epoch}.items():
        state[name] = {**fit_loop[name], "total": dict(counts), "current": dict(counts)}
    return state


def _check_own(found: Mapping[str, Any], module: "GameModule", step: int) -> None:
    if set(found) - {"before", "config"} != {"rule", "average"}:
        raise ValueError("the rule's memory or the average of the weights is missing")
    if not isinstance(found.get("config", ""), str):
        raise ValueError("its configuration is no text")
    check_crops(found.get("before", {}))
    memory, fresh = found["rule"], module.rule.state_dict()
    if not isinstance(memory, dict) or set(memory) != set(fresh):
        raise ValueError("the rule's memory is of another rule")
    playing = module.has_game and step > module.training_plan.warmup
    for name, value in memory.items():
        if fresh[name] is not None:
            if not _same(type(value).__name__, type(fresh[name]).__name__) or isinstance(value, list | dict):
                raise ValueError(f"{name} of the rule is damaged")
        elif value is not None or playing:
            _check_moves(f"{name} of the rule", value, module)
    average, plan = found["average"], module.training_plan
    if plan.ema is None:
        if average is not None:
            raise ValueError("it has averaged weights; this run keeps none")
    else:
        named = module.game.generator.named_parameters()
        check_weights(average, {n: p for n, p in named if p.requires_grad}, "averaged ")


def _check_moves(name: str, found: Any, module: "GameModule") -> None:
    """Raise ValueError unless there is a tensor for each parameter of G, and of D."""
    players = [module.game.parameters_of("g"), module.game.parameters_of("d")]
    if not isinstance(found, list) or [len(p) if isinstance(p, list) else -1 for p in found] != [
        len(p) for p in players
    ]:
        raise ValueError(f"{name} is missing, or of other networks")
    for own, tensors in zip(players, found, strict=True):
        for i, (parameter, value) in enumerate(zip(own, tensors, strict=True)):
            check_tensor(f"{name}, parameter {i},", value, parameter.shape, parameter.dtype)
