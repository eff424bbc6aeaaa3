"""The game of a checkpoint in float64, with its rule and optimizers, ready for a spectrum."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gcn.config import assemble
from gcn.config.build import build
from gcn.config.parse import Config, load
from gcn.errors import InputError
from gcn.game.game import Game
from gcn.game.labelled import Batch, parts_of, with_images
from gcn.game.protocols import Players
from gcn.game.rules import Descend, Rule
from gcn.game.slots import Constraint
from gcn.game.turn import PlayerName
from gcn.schema.plugins import NONE, Extension
from gcn.spectrum.update_map import LinearPlayer, in_double
from gcn.training.checkpoint import checkpoint_files, open_checkpoint
from gcn.training.module import GameModule
from gcn.training.player import OptimizerPlayer
from gcn.training.restore import check

KEPT = 64  # batches, which every copy of an update asks for


@dataclass(frozen=True)
class Trained:
    """A checkpoint's game in float64, with its rule and its optimizers."""

    cfg: Config
    game: Game
    step: int
    playing: bool
    constraints: Sequence[Constraint]
    checkpoint: Mapping[str, Any]

    @property
    def parameters(self) -> dict[str, int]:
        """Number of parameters of each player."""
        players: tuple[PlayerName, ...] = ("g", "d") if self.playing else ("g",)
        return {player: sum(p.numel() for p in self.game.parameters_of(player)) for player in players}

    def rule(self) -> Rule:
        """The update rule with its memory."""
        if not self.playing:
            return Descend()
        rule: Rule = build(self.cfg, "dynamics")
        rule.load_state_dict(in_double(self.checkpoint["gcn"]["rule"]))
        return rule

    def players(self, factor: float | None) -> tuple[LinearPlayer, LinearPlayer]:
        """The optimizers with their preconditioners frozen."""
        g = self._player("g", 0, factor)
        return (g, self._player("d", 1, factor)) if self.playing else (g, g)

    def _player(self, player: PlayerName, place: int, factor: float | None) -> LinearPlayer:
        saved, parameters = self.checkpoint["optimizer_states"][place], self.game.parameters_of(player)
        group, states = saved["param_groups"][0], [saved["state"].get(i, {}) for i in range(len(parameters))]
        lr = group["lr"] if factor is None else factor * self.cfg.optim[player].lr
        clip = self.cfg.optim[player].clip
        if self.cfg.optim["_target_"] == "torch.optim.SGD":
            kept, lr = group["momentum"], float(group["lr"])
            buffers = [state.get("momentum_buffer") for state in states]  # None without momentum
            moments = [
                torch.zeros_like(p) if b is None else b.double()
                for p, b in zip(parameters, buffers, strict=True)
            ]
            return LinearPlayer(parameters, lr, kept, 1.0, moments, clip)
        if group.get("weight_decay") or group.get("amsgrad") or "betas" not in group:
            raise InputError(
                f"optim: the update's spectrum knows Adam and SGD, not {self.cfg.optim['_target_']}"
            )
        if not all("exp_avg_sq" in state for state in states):
            raise InputError(f"the optimizer of {player.upper()} has not moved yet; give a later checkpoint")
        one, two = group["betas"]
        scales = [
            (s["exp_avg_sq"].double() / (1 - two ** float(s["step"]))).sqrt() + group["eps"] for s in states
        ]
        momentum = [s["exp_avg"].double() for s in states]
        return LinearPlayer(parameters, [lr / scale for scale in scales], one, 1 - one, momentum, clip)

    def training(self, factor: float | None) -> "TrainedTraining":
        """The training that goes on from the checkpoint, in float64, with learning rates that stay as they are.

        Args:
            factor: learning rates as a share of the schedule's peak; None: as in the last update.
        """
        g = self._optimizer_player("g", 0, factor)
        d = self._optimizer_player("d", 1, factor) if self.playing else g
        return TrainedTraining(self, Players(g, d))

    def _optimizer_player(self, player: PlayerName, place: int, factor: float | None) -> OptimizerPlayer:
        options = assemble.optim(self.cfg, player)
        optimizer = options.build(self.game.parameters_of(player))
        saved = deepcopy(self.checkpoint["optimizer_states"][place])  # torch would share step counts
        optimizer.load_state_dict(saved)
        if factor is not None:
            optimizer.param_groups[0]["lr"] = factor * options.arguments["lr"]

        def constrain() -> None:
            assert self.game.discriminator is not None
            for constraint in self.constraints:
                constraint.after_step(self.game.discriminator)

        return options.player(optimizer, after=constrain) if player == "d" else options.player(optimizer)

    def remarks(self) -> list[tuple[str, str]]:
        """Lines about what the linearised update leaves out or averages."""
        remarks = [
            (type(c).__name__, "the constraint after D's updates is left out of the update")
            for c in self.constraints
            if type(c).after_step is not Constraint.after_step
        ]
        for name, term in self.game.objective.terms.items():
            if term.every > 1 and self.game.objective.weights[name]:
                remarks.append((name, f"lazy: its mean over {term.every} updates is paid at each"))
        return remarks


class TrainedTraining:
    """A run's training in float64 after its checkpoint, on the run's own data from there on.

    See :class:`gcn.spectrum.displaced_copies.Training`.

    Args:
        of: the checkpoint.
        players: the optimizers of both; twice the same one before the game begins.
    """

    def __init__(self, of: Trained, players: Players) -> None:
        self.game, self.rule, self.players, self.step = of.game, of.rule(), players, of.step
        data = build(of.cfg, "data", workers=0)
        self._crops = data.train_loader(seed=of.cfg.seed, steps=1, d_steps=of.cfg.d_steps).crops
        self._turns = of.cfg.d_steps
        self._kept: dict[int, Batch] = {}

    def batches(self, step: int) -> Sequence[Batch]:
        """The run's batches of an update, one (B, 3, P, P) for each of D's turns, float64."""
        if step not in self._kept:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[step] = self._crops[step]
        return parts_of(with_images(self._kept[step], Tensor.double), self._turns)


def run_of(path: Path) -> Path:
    """The run folder that a checkpoint belongs to."""
    return path if path.is_dir() else path.absolute().parent.parent


def trained(path: Path, own: Extension = NONE) -> Trained:
    """The game of a checkpoint; ``path`` is a run folder, or a file in RUN/checkpoints.

    Args:
        path: of the checkpoint.
        own: what the user adds, where the run has something of it.

    Raises:
        InputError: no run folder, no checkpoint, one of another game, or weights that are not finite.
    """
    cfg, module, checkpoint = restored(path, own)
    game, constraints, step = module.game, module.constraints, checkpoint["global_step"]
    playing = game.objective.loss is not None and step >= cfg.warmup.steps
    return Trained(cfg, game.double(), step, playing, constraints, checkpoint)


def restored(path: Path, own: Extension = NONE) -> tuple[Config, GameModule, dict[str, Any]]:
    """Configuration, module with its weights, and content of a checkpoint; arguments and errors as of `trained`."""
    if not path.is_file():
        checkpoint_files(path)
    else:
        open_checkpoint(path)  # any other file is told as such, and not by its folder
    cfg = Config({**load(run_of(path), own=own), "init_from": None})  # all weights are in the checkpoint
    module = assemble.module(cfg)
    _, checkpoint = open_checkpoint(path, lambda found: check(found, module))
    module.game.load_state_dict({k.removeprefix("game."): v for k, v in checkpoint["state_dict"].items()})
    return cfg, module, checkpoint


def crops(cfg: Config, images: int, seed: int) -> Batch:
    """A batch of the run's own training crops (B, 3, P, P), with their labels where the data have some, float64."""
    data = build(cfg, "data", batch=images, workers=0)
    return with_images(next(iter(data.train_loader(seed=seed, steps=1))), Tensor.double)
