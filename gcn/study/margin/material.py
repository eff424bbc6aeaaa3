"""What all runs of a seed share in a margin study: its data, the decoder that they start from, and their judge."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import load_file, save_file

from gcn.config.build import build
from gcn.config.parse import parse
from gcn.files.atomic import make_folder, replacing
from gcn.models import package
from gcn.schema.plugins import of_settings
from gcn.study.arms import Protocol
from gcn.study.ground import Ground, prepare
from gcn.study.margin import judge
from gcn.study.margin.judge import Judge
from gcn.study.twins import training_of

ALONE = "distortion_alone"


class Material(NamedTuple):
    """Data of a seed, and the judge of its runs."""

    ground: Ground
    judge: Judge


@cache
def material(folder: str, protocol: Protocol, seed: int) -> Material:
    """Data and judge of a seed whose codec lies in the folder; runs start from the settled decoder of this codec."""
    from gcn.study.run import codec_file

    assert protocol.margin is not None
    model = codec_file(Path(folder), seed)
    cfg = parse([*protocol.arm, "init_from=codec", f"seed={seed}"], protocol.extra)
    codec = package.load(model, of_settings(cfg))
    judging = judge.prepare(codec, build(cfg, "data"), cfg.data.crop, protocol.margin, seed)
    return Material(_settled(prepare(model, protocol, seed), Path(folder), protocol, seed), judging)


def _settled(ground: Ground, folder: Path, protocol: Protocol, seed: int) -> Ground:
    """The ground with a decoder that was trained on by distortion alone, its learning rate falling to zero.

    A codec's decoder is not the best one for its own frozen latents. Runs that hardly move would stay as far from the
    reference as the codec is, and count as failed; from a settled decoder they hold.
    """
    assert protocol.margin is not None
    assert ground.frozen is not None
    updates = protocol.margin.settle
    if not updates:
        return ground
    words = [*protocol.arm, *protocol.margin.settling, f"seed={seed}", "init_from=codec"]
    file = make_folder(folder / "runs") / f"start-{digest((*words, seed), protocol)}.safetensors"
    if not file.is_file():
        training = training_of(parse(words, protocol.extra), ground, ALONE)
        training.settle(updates)
        own = {
            name: value.contiguous()
            for name, value in training.generator.state_dict().items()
            if name.startswith("g_s.")
        }
        with replacing(file) as partial:
            save_file(own, partial)
    return ground.starting_from(load_file(file))


def digest(key: tuple[Any, ...], protocol: Protocol) -> str:
    """Name of a run: a hash of all that decides its result but the program."""
    assert protocol.margin is not None
    judged = protocol.margin.judged()
    said = (key, protocol.codec, protocol.pool, protocol.val_crops, judged)
    return hashlib.blake2b(repr(said).encode(), digest_size=6).hexdigest()
