"""The block of docs/one_update.md, run as it stands there, makes the updates of the trainer."""

import re
from pathlib import Path

import lightning as L
import pytest
import torch
from small import differing, words
from torch.nn.functional import softplus
from torch.utils.data import DataLoader

from gcn.config import assemble
from gcn.config.parse import Config, parse
from gcn.training.module import GameModule

PAGE = Path(__file__).parents[2] / "docs" / "one_update.md"
UPDATES = 3


def the_block() -> str:
    """The one block of Python on the page."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return block


@pytest.fixture(scope="module")
def cfg() -> Config:
    """The command of the page with small networks, for few updates."""
    command = re.search(r"scripts/train\.py (.*)", PAGE.read_text(encoding="utf-8"))
    assert command is not None
    return parse(words(command[1], f"steps={UPDATES} log_every=1"))


@pytest.fixture(scope="module")
def images(cfg) -> torch.Tensor:
    shape = UPDATES * cfg.data.batch, 3, cfg.data.crop, cfg.data.crop
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def begun(cfg: Config) -> GameModule:
    """The game before its first update; D takes everything for real, so that losses of other forms differ."""
    module = assemble.module(cfg)
    with torch.no_grad():
        module.game.discriminator.head.bias.fill_(2)
    return module


@pytest.fixture(scope="module")
def trained(cfg, images, tmp_path_factory) -> dict[str, torch.Tensor]:
    """The weights after the trainer's updates."""
    module = begun(cfg)
    trainer = L.Trainer(
        max_epochs=1, max_steps=UPDATES, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path_factory.mktemp("run"),
    )  # fmt: skip
    trainer.fit(module, DataLoader(images, batch_size=cfg.data.batch))
    assert trainer.global_step == UPDATES
    return module.game.state_dict()


def unrolled(cfg: Config, images: torch.Tensor, block: str) -> dict[str, torch.Tensor]:
    """The weights after as many updates by a block of code."""
    module = begun(cfg)
    plan, game = module.training_plan, module.game
    names = {"torch": torch, "softplus": softplus}
    exec(block, names)
    adam_g, adam_d = module.configure_optimizers()
    for step, x in enumerate(images.chunk(UPDATES)):
        for adam, options in ((adam_g, plan.g.arguments), (adam_d, plan.d.arguments)):
            adam.param_groups[0]["lr"] = options["lr"] * plan.schedule.factor(step, plan.steps)
        noise = game.streams.at("update", step, 0).child("quantisation").child("y")
        side = cfg.data.crop // game.generator.downsampling
        uniform = noise.uniform(torch.empty(len(x), cfg.generator.M, side, side))
        names["update"](game.generator, game.discriminator, adam_g, adam_d, x, uniform)
    return game.state_dict()


def test_the_page_makes_the_updates_of_the_trainer(cfg, images, trained):
    by_hand = unrolled(cfg, images, the_block())
    first = begun(cfg).game.state_dict()
    moved = differing(first, trained)
    assert any(name.startswith("generator.") for name in moved)
    assert any(name.startswith("discriminator.") for name in moved)
    for name, weights in trained.items():
        torch.testing.assert_close(
            by_hand[name], weights, rtol=0, atol=1e-6, msg=lambda said, n=name: f"{n}: {said}"
        )


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("10 * r1", "1 * r1"),
        ("mean() / 2", "mean()"),
        ("1 * mse", "2 * mse"),
        ("5.5 * bpp", "11 * bpp"),
        ("softplus(-D(x_hat", "-softplus(D(x_hat"),
        ("x_hat.detach(), latents", "x_hat.detach(), 0.9 * latents"),
        ("clip_grad_norm_(G.parameters(), 1.0)", "clip_grad_norm_(G.parameters(), 0.5)"),
    ],
)
def test_a_changed_line_makes_other_updates(cfg, images, trained, line, changed):
    """The comparison above sees every ingredient of the command."""
    block = the_block()
    assert block.count(line) == 1
    by_hand = unrolled(cfg, images, block.replace(line, changed))
    gap = max(
        (by_hand[name] - weights).abs().max().item() for name, weights in trained.items() if weights.numel()
    )
    assert gap > 1e-5
