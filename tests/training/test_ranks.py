"""Several processes play the game of one process with the joint batch: for every loss, pairing, knob and rule.

Two gloo processes are started once; they play all cases and leave what they got in files. Each test then plays its
case in this process, with the joint batch, and compares. Everything is in float64, so that what is left is rounding.
"""

import datetime
import traceback
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from processes import Forked

from gcn.config.assemble import game as assemble
from gcn.config.build import build
from gcn.config.offered import groups, knobs
from gcn.config.parse import Config, parse
from gcn.data.loader import Crops, Source, WholeImages
from gcn.game.labelled import Labelled, parts_of
from gcn.game.protocols import Players
from gcn.game.rules import Descend, update
from gcn.game.streams import Streams
from gcn.training.instruments import INSTRUMENTS
from gcn.training.player import OptimizerPlayer
from gcn.training.validate import coding_copy, evaluate

pytestmark = pytest.mark.slow

WORLD, CROP, BATCH = 2, 16, 4
SMALL = ["generator.N=8", "generator.M=8", f"data.crop={CROP}", f"data.batch={BATCH}",
         "discriminator.width=4"]  # fmt: skip
SGD, ADAM = (torch.optim.SGD, {"lr": 1e-3, "momentum": 0.9}), (torch.optim.Adam, {"lr": 1e-3})

LOSSES = ("ns", "vanilla", "lsgan", "hinge", "wgan", "fgan", "ml")
RELATIVE = LOSSES[:5]
PAIRINGS = ("pair", "pair_shuffled", "average")
KNOBS = {  # what does not exclude each other plays together: the value of each term is compared by its name
    "distances": "mse=1 l1=1 charbonnier=1 feature_matching=1 anchor=1 wrong=1 rate=2 prox=1 terms.prox.decay=0.5",
    "distances of larger images": "ms_ssim=1 terms.ms_ssim.levels=2 lpips=1 terms.lpips.backbone=random "
    "terms.lpips.net=squeeze data.crop=32",
    "target_bpp": "target_bpp=0.3 label_smoothing=0.1",
    "penalties": "r1=10 terms.r1.every=2 r2=10 gp=10 dragan=10 approx_r1=10 roth=10",
    "norms of gradients": "grad_norm=1 consensus=1 jare=1",
    "memories": "lecam=1 terms.lecam.decay=0.5 historical_averaging=1",
    "instance_noise": "instance_noise=0.1 terms.instance_noise.anneal=4 terms.instance_noise.per_image=true",
    "diffaugment": "diffaugment=all",
    "history": "history=5 discriminator.condition=false relativistic=average d_steps=2",
    "spectral_norm": "spectral_norm=true",
    "weight_clip": "weight_clip=0.05",
    "adaptive": "adv=adaptive mse=1",
    "measured": "mse=0 l1=0 r1=0 r2=0 gp=0 dragan=0 lecam=0 grad_norm=0 consensus=0 jare=0 feature_matching=0 "
    "approx_r1=0 roth=0",
    "all at once": "mse=.1 r1=.1 gp=.1 grad_norm=.1 consensus=1e-3 jare=1e-3 instance_noise=0.1 relativistic=average "
    "spectral_norm=true d_steps=2",
}
RULES = {
    "alternating, 2 turns of D": "d_steps=2",
    "alternating, 3 turns of D": "d_steps=3 r1=1",
    "simultaneous": "dynamics=simultaneous",
    "extragradient, both": "dynamics=extragradient dynamics.moments=both",
    "extragradient, update": "dynamics=extragradient dynamics.moments=update",
    "extragradient, lookahead": "dynamics=extragradient dynamics.moments=lookahead",
    "optimistic": "dynamics=optimistic",
    "lookahead": "dynamics=lookahead dynamics.k=2 d_steps=2",
    "sga": "dynamics=sga",
    "sga aligned": "dynamics=sga dynamics.align=true",
    "unrolled": "dynamics=unrolled dynamics.k=2 dynamics.step=0.1",
}
NETWORKS = {
    "rate-distortion": "loss=none mse=1",
    "lsgan 01": "loss=lsgan loss.labels=01",
    "straight through": "generator.quantisation=ste",
    "mixed quantisation": "generator.quantisation=mixed",
    "hyperprior": "generator=hyperprior",
    "instance normalisation": "discriminator.norm=instance",
    "unconditional": "discriminator.condition=false",
    "virtual normalisation": "discriminator.norm=virtual discriminator.condition=false",
    "two scales": "discriminator=multiscale discriminator.depth=1 r1=10",
    "gradient through the condition": "discriminator.condition_gradient=true",
    "hific": "discriminator=hific discriminator.width=4",
    "vqgan": "discriminator=vqgan discriminator.width=4 discriminator.norm=none",
    "projection": "data=digits discriminator=projection",
    "auxiliary classifier": "data=digits discriminator=auxiliary class_entropy=1",
    "energies": "loss=ebgan discriminator=autoencoder discriminator.width=4 pulling_away=0.1",
    "energies in equilibrium": "loss=began loss.rate=0.1 discriminator=autoencoder discriminator.width=4",
    "classes": "loss=oasis labeller=patches discriminator=unet discriminator.width=4 data.crop=64",
}
IMAGES = (1, 3, 4)  # over two processes: none for one of them, unequal shares, equal shares
MATTERS = "grad_norm=1 consensus=1 instance_noise=0.1 relativistic=average"  # to each rule, beside r1

# Cases that remember something from update to update, beside rules with Adam, make two.
REMEMBER = [
    "knob distances", "knob penalties", "knob memories", "knob instance_noise", "knob history", "knob spectral_norm",
    "knob weight_clip", "knob all at once", "network energies in equilibrium",
    *(f"rule {rule} with terms on gradients" for rule in ("extragradient, both", "optimistic", "lookahead")),
]  # fmt: skip

CASES: dict[str, tuple[str, Any]] = {f"loss {name}": (f"loss={name}", SGD) for name in LOSSES}
CASES |= {f"{loss} pair": (f"loss={loss} relativistic=pair", SGD) for loss in RELATIVE}
CASES |= {f"ns {pairing}": (f"loss=ns relativistic={pairing}", SGD) for pairing in PAIRINGS}
CASES |= {f"knob {name}": (words, SGD) for name, words in KNOBS.items()}
CASES |= {f"rule {name}": (f"{words} mse=1", ADAM) for name, words in RULES.items()}
REMEMBER += [f"rule {name}" for name in RULES]
CASES |= {  # of rules that differ in an option alone, one
    f"rule {name} with terms on gradients": (f"{RULES[name]} {MATTERS} r1=1", SGD)
    for name in (
        "alternating, 2 turns of D", "simultaneous", "extragradient, both", "optimistic", "lookahead", "sga aligned",
    )
}  # fmt: skip
CASES["rule unrolled with terms on gradients"] = (  # it refuses consensus
    f"{RULES['unrolled']} grad_norm=1 instance_noise=0.1 relativistic=average r1=1",
    SGD,
)
CASES |= {f"network {name}": (words, SGD) for name, words in NETWORKS.items()}


def test_every_knob_loss_rule_and_discriminator_is_among_the_cases():
    assert set(REMEMBER) <= set(CASES)
    said = {word for words, _ in CASES.values() for word in words.split()}
    assert {word.partition("=")[0] for word in said} >= set(knobs())
    for group, default in (("loss", "ns"), ("dynamics", "alternating"), ("discriminator", "patch")):
        assert said | {f"{group}={default}"} >= {f"{group}={choice}" for choice in groups()[group]}, group


@cache
def configured(words: str = "") -> Config:
    layers = ["discriminator.depth=2"] if "discriminator=unet" not in words else []
    return parse([*SMALL, *layers, *words.split()])


def batches(cfg, rank: int, world: int) -> Crops:
    """Crops of noise: what there is to see differs from image to image."""
    images = np.random.default_rng(0).integers(0, 256, (7, 72, 80, 3), dtype=np.uint8)
    return Crops(
        [Source(list(images))], crop=cfg.data.crop, seed=cfg.seed, batch=BATCH, d_steps=cfg.d_steps,
        rank=rank, world=world,
    )  # fmt: skip


def labelled(x: torch.Tensor) -> Labelled:
    """Images with a class each, which follows from the image: it is the same in any number of processes."""
    return Labelled(x, (x.mean((1, 2, 3)) * 1e6).long() % 10)


def updates_of(name: str) -> int:
    return 2 if name in REMEMBER else 1


def play(
    cfg: Config, optimizer, updates: int, rank: int = 0, world: int = 1
) -> dict[str, dict[str, torch.Tensor]]:
    """Some updates of a game: parameters before and after, and everything that was observed on the way."""
    game, constraints = assemble(cfg)
    game.double().streams = Streams(cfg.seed, rank, world)
    game.instruments = list(INSTRUMENTS)

    def constrain() -> None:
        for constraint in constraints:
            constraint.after_step(game.discriminator)

    kind, options = optimizer
    g = OptimizerPlayer(kind(game.parameters_of("g"), **options))
    d = (
        OptimizerPlayer(kind(game.parameters_of("d"), **options), after=constrain)
        if game.discriminator
        else g
    )
    rule = build(cfg, "dynamics") if game.discriminator else Descend()
    data, values = batches(cfg, rank, world), {}
    before = {name: tensor.detach().clone() for name, tensor in game.state_dict().items()}
    for step in range(updates):
        batch = labelled(data[step].double()) if "classes" in cfg.data else data[step].double()
        update(game, rule, parts_of(batch, cfg.d_steps), step, Players(g, d), observe=True)
        values |= {f"{step} {name}": value.detach().clone() for name, value in game.values.items()}
        values |= {f"{step} norm": g.norms[-1], f"{step} norm of d": d.norms[-1]}
    return {"before": before, "after": game.state_dict(), "values": values}


def validated(cfg: Config, number: int, rank: int = 0, world: int = 1) -> dict[str, Any]:
    """What is measured on whole images, and their names in order."""
    random = np.random.default_rng(1)
    sizes = [(96, 112 + 16 * i) for i in range(number)]
    images = [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    whole = WholeImages(images, [f"{i}.png" for i in range(number)], rank, world)
    codec = coding_copy(assemble(cfg)[0].generator, None)
    evaluation = evaluate(codec, whole, torch.device("cpu"), files=True)
    return evaluation.values | {"names": [image.name for image in evaluation.images]}


def process(rank: int, folder: str, configurations: dict[str, Config]) -> None:
    """One of the two processes: plays every case, and goes on where one fails."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        f"file://{folder}/meeting",
        rank=rank,
        world_size=WORLD,
        timeout=datetime.timedelta(seconds=60),
    )
    results: dict[str, Any] = {}
    for name, (words, optimizer) in CASES.items():
        try:
            results[name] = play(configurations[words], optimizer, updates_of(name), rank, WORLD)
        except Exception:  # reported by the test of this case
            results[name] = traceback.format_exc()
    for number in IMAGES:
        results[f"{number} images"] = validated(configurations[""], number, rank, WORLD)
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> list[dict[str, Any]]:
    """What each process got, by case."""
    folder = tmp_path_factory.mktemp("ranks")
    configurations = {words: configured(words) for words in {"", *(words for words, _ in CASES.values())}}
    processes = [Forked(process, rank, str(folder), configurations) for rank in range(WORLD)]
    for one in processes:
        _, err = one.communicate(timeout=600)
        assert one.returncode == 0, err
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(WORLD)]  # twice as fast


@pytest.mark.parametrize("name", CASES)
def test_two_processes_play_the_joint_game(name, played):
    first, second = (results[name] for results in played)
    assert not isinstance(first, str), first
    assert not isinstance(second, str), second
    words, optimizer = CASES[name]
    alone = play(configured(words), optimizer, updates_of(name))
    for key, tensor in first["after"].items():
        torch.testing.assert_close(
            second["after"][key], tensor, rtol=0, atol=0, msg=f"{key}: replicas differ"
        )
    size, error = 0.0, 0.0
    for key, start in alone["before"].items():
        torch.testing.assert_close(first["before"][key], start, rtol=0, atol=0)
        if start.is_floating_point() and start.numel():
            size = max(size, float((alone["after"][key] - start).abs().max()))
            error = max(error, float((alone["after"][key] - first["after"][key]).abs().max()))
    assert size > 0, "nothing has moved"
    assert error <= 1e-10 * size, f"{error:.2g} of {size:.2g}"
    assert first["values"].keys() == second["values"].keys() == alone["values"].keys()
    for key, value in alone["values"].items():
        assert value.isfinite().all(), key
        for other in (first, second):
            torch.testing.assert_close(
                other["values"][key],
                value,
                rtol=1e-9,
                atol=1e-12,
                check_dtype=False,
                msg=lambda m, k=key: f"{k}: {m}",
            )


@pytest.mark.parametrize("number", IMAGES)
def test_validation_counts_every_image_once(number, played):
    alone = validated(configured(), number)
    for results in played:
        assert results[f"{number} images"] == alone
