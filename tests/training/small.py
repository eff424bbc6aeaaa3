"""Small games from real configurations, driven without Lightning."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gcn.config.assemble import game as assemble
from gcn.config.build import build
from gcn.config.parse import Config, parse
from gcn.game.labelled import Batch, Labelled, parts_of
from gcn.game.protocols import Players
from gcn.game.rules import update
from gcn.training.instruments import INSTRUMENTS
from gcn.training.player import OptimizerPlayer

WORDS = [
    "generator.N=8", "generator.M=8", "discriminator.width=4", "discriminator.depth=2", "data.crop=16",
    "data.batch=2", "terms.lpips.net=squeeze", "terms.lpips.backbone=random", "terms.ms_ssim.levels=2",
]  # fmt: skip

# A value of each knob that switches it on.
ON = {
    "mse": 1.0, "l1": 1.0, "charbonnier": 1.0, "anchor": 1.0, "prox": 1.0, "wrong": 1.0, "ms_ssim": 1.0, "lpips": 1.0,
    "feature_matching": 1.0, "rate": 2.0, "grad_norm": 1.0, "r1": 10.0, "r2": 10.0, "gp": 10.0, "dragan": 10.0,
    "approx_r1": 10.0, "roth": 1.0, "lecam": 1.0, "historical_averaging": 1.0, "consensus": 0.1, "jare": 0.1,
    "target_bpp": 0.5, "instance_noise": 0.1, "spectral_norm": True, "weight_clip": 0.05, "d_steps": 2,
    "relativistic": "pair", "pulling_away": 1.0, "diffaugment": "all", "label_smoothing": 0.1,
    "class_entropy": 1.0, "history": 3,
}  # fmt: skip

LABELS = "data=digits discriminator=auxiliary"  # what class_entropy needs
BESIDE = {"history": {"discriminator.condition": False}}  # what a knob needs
LARGER, LARGE = ("ms_ssim", "lpips"), "data.crop=32"  # terms that need larger crops
CLASSES = "loss=oasis discriminator=unet labeller=patches data.crop=64"


def on(name: str) -> str:
    """The words of a command line that switch a knob on."""
    own = {name: ON[name], **BESIDE.get(name, {})}
    return " ".join(f"{key}={str(value).lower()}" for key, value in own.items())


def words(*said: str) -> list[str]:
    """The words of a command line, with those that make the networks small."""
    own = [word for text in said for word in text.split()]
    if any(word.startswith("class_entropy=") for word in own):
        own = [*LABELS.split(), *own]
    if any(word.partition("=")[0] in LARGER for word in own):
        own = [LARGE, *own]
    lacks = ["discriminator.depth=2"] if "discriminator=unet" in own else []
    return [*(word for word in WORDS if word not in lacks), *own]


class Small:
    """A small game with its players.

    Args:
        cfg: the configuration, as a checked one or as the words of a command line.
        player: class of the players.
    """

    def __init__(self, cfg: Config | str, player: type[OptimizerPlayer] = OptimizerPlayer) -> None:
        self.cfg = cfg = parse(words(cfg)) if isinstance(cfg, str) else cfg
        self.game, self.constraints = assemble(cfg)
        self.rule = build(cfg, "dynamics")
        self.game.instruments = list(INSTRUMENTS)
        g = player(torch.optim.Adam(self.game.parameters_of("g"), 1e-3, betas=(0.5, 0.9)))
        d = g
        if self.game.discriminator is not None:
            parameters = self.game.parameters_of("d")
            d = player(torch.optim.Adam(parameters, 1e-3, betas=(0.5, 0.9)), after=self._constrain)
        self.players = Players(g, d)

    def _constrain(self) -> None:
        for constraint in self.constraints:
            constraint.after_step(self.game.discriminator)

    def batches(self, step: int) -> Sequence[Batch]:
        """The batches of one update, with labels where the data have some."""
        size = self.cfg.data.batch * self.cfg.d_steps
        generator = torch.Generator().manual_seed(step)
        crop = self.cfg.data.crop
        batch: Batch = torch.rand(size, 3, crop, crop, generator=generator)
        if "classes" in self.cfg.data:
            batch = Labelled(batch, torch.randint(self.cfg.data.classes, (size,), generator=generator))
        return parts_of(batch, self.cfg.d_steps)

    def play(self, updates: int, observe_every: int = 1, start: int = 0) -> "Small":
        """Some updates; what was observed must be finite."""
        for step in range(start, start + updates):
            observe = step % observe_every == 0
            update(self.game, self.rule, self.batches(step), step, self.players, observe=observe)
            for name, value in self.game.values.items():
                assert value.isfinite().all(), f"update {step}: {name} = {value}"
        return self

    def weights(self) -> dict[str, Tensor]:
        """Copies of all parameters and buffers of both networks."""
        state = self.game.state_dict()
        return {k: v.detach().clone() for k, v in state.items() if not k.startswith("objective.")}


def differing(a: dict[str, Tensor], b: dict[str, Tensor]) -> list[str]:
    """Names of the tensors that are not bit-identical."""
    assert a.keys() == b.keys()
    return [name for name in a if not torch.equal(a[name], b[name])]
