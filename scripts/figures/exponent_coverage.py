"""How often an interval of an exponent holds the rate of its training; the table of docs/exponent.md (half an hour)."""

import sys
from typing import Any

import torch
from scipy.stats import t as student
from torch import Tensor

from gcn.config import assemble
from gcn.config.build import build
from gcn.config.parse import Config, parse
from gcn.game.protocols import Players
from gcn.game.rules import update
from gcn.game.streams import Streams
from gcn.spectrum.displaced_copies import Copies

WORDS = [
    "generator.N=4",
    "generator.M=4",
    "generator.kernel=3",
    "discriminator.width=2",
    "discriminator.depth=2",
    "data.crop=32",
    "data.batch=2",
    "loss=ns",
    "mse=1",
    "optim.g.lr=1e-3",
    "optim.d.lr=1e-3",
    "optim.g.betas=[0,0.99]",
    "optim.d.betas=[0,0.99]",
]
BEFORE, EVERY, STRETCHES = 150, 5, 124  # updates before, of a stretch, and the number of stretches
COUNTED = (8, 12, 20, 30)  # stretches of a measurement


class Training:
    """A small training in float64, as `Copies` takes it."""

    def __init__(self, cfg: Config, data: Any) -> None:
        torch.manual_seed(cfg.seed)
        self.game, _ = assemble.game(cfg)
        self.game.double()
        self.game.streams = Streams(cfg.seed)
        self.rule = build(cfg, "dynamics")
        g, d = (assemble.optim(cfg, name) for name in "gd")
        self.players = Players(
            g.player(g.build(self.game.parameters_of("g"))), d.player(d.build(self.game.parameters_of("d")))
        )
        self.crops = data.train_loader(seed=cfg.seed, steps=1, d_steps=1).crops
        self.step = 0

    def batches(self, step: int) -> tuple[Tensor, ...]:
        """The batch of an update."""
        return (self.crops[step].double(),)


def rates(seed: int) -> Tensor:
    """Rates per update of successive stretches, float64."""
    cfg = parse([*WORDS, f"seed={seed}"])
    training = Training(cfg, build(cfg, "data", workers=0))
    for step in range(BEFORE):
        update(training.game, training.rule, training.batches(step), step, training.players)
        training.step += 1
    copies = Copies(training, EVERY)
    copies.add("all", 1e-3, 1, 0)
    for _ in range(STRETCHES):
        copies.advance()
    return torch.stack(copies.families[0].lengths)[:, 0] / EVERY


def coverage(found: list[Tensor], counted: int, groups: int, level: float) -> float:
    """Share of measurements of so many stretches whose interval holds the mean of all stretches."""
    held, tried = 0, 0
    for own in found:
        for part in own.split(counted):
            if len(part) < counted:
                continue
            means = torch.stack([group.mean() for group in part.tensor_split(groups)])
            half = student.ppf((1 + level) / 2, groups - 1) * means.std() / groups**0.5
            held += bool((part.mean() - own.mean()).abs() <= half)
            tried += 1
    return held / tried


def main() -> None:
    """Measure and print."""
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
    found = []
    for seed in seeds:
        found.append(rates(seed))
        print(f"seed {seed}: {float(found[-1].mean()):.4f} per update", flush=True)
    print(
        "| updates measured | ten groups, 95 % | five groups, 95 % | five groups, 99 % |\n|---|---|---|---|"
    )
    for counted in COUNTED:
        ten = f"{coverage(found, counted, 10, 0.95):.0%}" if counted >= 10 else ""
        five = " | ".join(f"{coverage(found, counted, 5, level):.0%}" for level in (0.95, 0.99))
        print(f"| {counted * EVERY} | {ten} | {five} |")


if __name__ == "__main__":
    main()
