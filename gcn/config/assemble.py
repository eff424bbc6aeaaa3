"""A training run built from its configuration: networks first, then the objective, then the data.

Each network is initialised from its own random stream, so that a change of one (or of a term with weights of its own)
leaves the others' initial weights as they were.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import Logger

from gcn.config.build import arguments, build, nodes, objective, present_terms
from gcn.config.changed import changed_words
from gcn.config.destinations import words_again
from gcn.config.first_weights import load_codec, load_players
from gcn.config.lightning_words import NO_BAR
from gcn.config.parse import Config
from gcn.config.preflight import check_objective
from gcn.errors import InputError
from gcn.game.game import Game
from gcn.game.slots import Constraint
from gcn.game.streams import Streams
from gcn.models.codec import Codec
from gcn.schema.kinds import resolve
from gcn.schema.plugins import of_settings
from gcn.training.checkpoint import has_checkpoint
from gcn.training.fit import PASSED_ON, Machine, Plan
from gcn.training.loggers import started
from gcn.training.module import GameModule, PlayerOptim, Training
from gcn.training.record import Intervals
from gcn.training.schedule import Schedule
from gcn.training.user_callbacks import built


@contextmanager
def seeded(seed: int, name: str) -> Iterator[None]:
    """Make initial weights inside the block depend on the seed and the network's name alone."""
    with torch.random.fork_rng(devices=[]):
        digest = blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
        # of the processor alone: torch.manual_seed would seed those of accelerators too, which nothing puts back
        torch.default_generator.manual_seed(int.from_bytes(digest, "little") >> 1)
        yield


def codec(cfg: Config) -> Codec:
    """The configured codec with its initial weights."""
    generator = _new_codec(cfg)
    if cfg.init_from is not None:
        load_codec(generator, cfg.init_from, of_settings(cfg))
    return _fixed(generator, cfg)


def _new_codec(cfg: Config) -> Codec:
    """The configured codec with weights of the seed; nothing is loaded or frozen yet."""
    with seeded(cfg.seed, "generator"):
        generator: Codec = build(cfg, "generator")
    return generator


def _fixed(generator: Codec, cfg: Config) -> Codec:
    """The same generator, set to have no gradients for what is not trained; what is frozen has its final weights."""
    if cfg.freeze is not None:
        generator.freeze(cfg.freeze)
    for parameter in generator.parts()["aux"]:
        parameter.requires_grad_(False)  # quantiles are found by bisection, never by gradient
    return generator


def game(cfg: Config, generator: torch.nn.Module | None = None) -> tuple[Game, list[Constraint]]:
    """The game and the constraints on D; ``generator`` replaces the configured codec."""
    new: Codec | None = None
    if generator is None:
        generator = new = _new_codec(cfg)
    discriminator = None
    if cfg.loss["_target_"] is not None:
        with seeded(cfg.seed, "discriminator"):
            discriminator = build(cfg, "discriminator")
            discriminator.check_input(cfg.data.crop, cfg.data.crop)
    with seeded(cfg.seed, "terms"):
        present = present_terms(cfg)
    paid, constraints = objective(cfg, present, cfg.data.crop)
    if discriminator is not None:
        with seeded(cfg.seed, "constraints"):
            for constraint in constraints:
                constraint.prepare(discriminator)
    if new is not None:
        if cfg.init_from is not None:
            load_players(new, discriminator, cfg.init_from, cfg.init_discriminator, of_settings(cfg))
        _fixed(new, cfg)
    check_objective(cfg)
    labeller = build(cfg, "labeller") if discriminator is not None else None
    return Game(generator, discriminator, paid, Streams(cfg.seed), labeller=labeller), constraints


def optim(cfg: Config, player: str) -> PlayerOptim:
    """Optimizer class, arguments and gradient clipping of a player."""
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in cfg.optim[player].items() if k != "clip"}
    return PlayerOptim(
        resolve("optim", cfg.optim["_target_"], of_settings(cfg).packages), options, cfg.optim[player].clip
    )


def module(cfg: Config, kind: type[GameModule] = GameModule) -> GameModule:
    """The LightningModule of the configured game; ``kind`` is its class."""
    players, constraints = game(cfg)
    training = Training(
        steps=cfg.steps, d_steps=cfg.d_steps, warmup=cfg.warmup.steps, log_every=cfg.log_every, ema=cfg.ema,
        g=optim(cfg, "g"), d=optim(cfg, "d"), schedule=Schedule(**cfg.optim.schedule),
    )  # fmt: skip
    return kind(players, build(cfg, "dynamics"), training, constraints)


def wandb_options(cfg: Config) -> dict[str, Any] | None:
    """Options of the W&B log, or None without one; its tags are the user's and the changed words."""
    if not cfg.logger.get("wandb"):
        return None
    words = changed_words(cfg.plain(), of_settings(cfg))
    others = ("wandb", *nodes(cfg.logger))
    tags = [*cfg.logger["tags"], *(word for word in words if not word.startswith("logger"))]
    return {name: option for name, option in cfg.logger.items() if name not in others} | {"tags": tags}


def loggers(cfg: Config) -> list[Logger]:
    """Lightning's loggers of the configured run."""
    packages, folder, resumed = of_settings(cfg).packages, Path(cfg.run_dir), cfg.resume is not None
    return [
        started(name, resolve(f"logger.{name}", node["_target_"], packages), arguments(node), folder, resumed)
        for name, node in nodes(cfg.logger).items()
    ]


def callbacks(cfg: Config) -> list[L.Callback]:
    """The Lightning callbacks that the user adds."""
    found, packages = [], of_settings(cfg).packages
    for name, node in cfg.callbacks.items():
        kind: type[L.Callback] = resolve(f"callbacks.{name}", node["_target_"], packages)
        if issubclass(kind, ProgressBar):
            raise InputError(f"callbacks.{name}: {NO_BAR}")
        found.append(built(name, kind, arguments(node), Path(cfg.run_dir)))
    return found


def plan(cfg: Config) -> Plan:
    """The :class:`gcn.training.fit.Plan` of the configured run."""
    resumed = cfg.resume is not None and has_checkpoint(Path(cfg.resume))
    own = Config({**cfg, "init_from": None}) if resumed else cfg  # its checkpoint holds all weights
    machine = cfg.trainer
    return Plan(
        folder=Path(cfg.run_dir),
        module=module(own),
        data=build(cfg, "data"),
        seed=cfg.seed,
        often=Intervals(cfg.val_every, cfg.panel_every, cfg.checkpoint_every),
        machine=Machine(
            machine.accelerator, machine.devices, str(machine.precision), machine.channels_last,
            machine.get("strategy") == "ddp", machine.threads,
            {name: machine[name] for name in PASSED_ON if machine[name] is not None},
        ),
        wandb=wandb_options(cfg),
        config=cfg.plain(),
        resume=cfg.resume is not None,
        loggers=loggers(cfg),
        callbacks=callbacks(cfg),
        again=words_again(cfg),
    )  # fmt: skip
