"""Checks of a run before torch is imported: whether it can learn anything, and whether its paths exist.

Everything here follows from the words and the file system, so a mistake costs the user a second. What only the built
networks and the decoded images can tell is found later, by those who build them.
"""

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gcn.cli.extras import EXTRAS, install
from gcn.cli.invocation import as_called
from gcn.config.offered import groups, knobs
from gcn.config.override_words import is_hydras, key_of, normal
from gcn.config.parse import Config
from gcn.data.checks import check_apart, check_downscale, colour
from gcn.errors import InputError
from gcn.files.folders import walk
from gcn.files.names import printable
from gcn.losses.backbones import backbone_file, hub_folder
from gcn.schema.plugins import of_settings

GPU_FILES = (
    "nvidia[0-9]*",
    "dxg",
    "kfd",
    "nvhost-gpu",
    "nvgpu",
)  # in /dev, of the systems for which torch has GPUs
PHOTOS, FOLDER = "gcn.data.photos.Photos", "gcn.data.folder.Folder"
DIGITS = "gcn.data.digits.Digits"
EXAMPLE = "for instance: python scripts/train.py loss=ns mse=1"


def check_run(cfg: Config, words: Sequence[str]) -> None:
    """Raise InputError for a training that cannot begin or cannot learn.

    Args:
        cfg: the checked configuration.
        words: what the user said; without a distortion the loss must be among it.

    Raises:
        InputError: one line that says what is wrong and what to do.
    """
    if cfg.resume is None:
        check_objective(cfg)
        _refuse_silence(cfg, words)
    _check_data(cfg.data)
    if cfg.resume is None and cfg.init_from is not None:
        _check_checkpoint(Path(cfg.init_from))
    _check_files(cfg)
    _check_loggers(cfg.logger)
    _check_machine(cfg.trainer)


# What the generator learns from


def from_noise(cfg: Config) -> bool:
    """Whether the generator makes images from noise, so that there is no original and no file."""
    return cfg.choices.generator == "dcgan"  # type: ignore[no-any-return]


def check_objective(cfg: Config) -> None:
    """Raise InputError for a generator that nothing trains, in the game or in the warm-up before it."""
    counts = cfg.adv == "adaptive" or cfg.adv > 0
    adversary = cfg.loss["_target_"] is not None and counts
    known = knobs(of_settings(cfg))
    paid = [name for name, knob in known.items() if knob.trains_g and cfg.get(name)]
    if not adversary and not [name for name in paid if known[name].alone]:
        if cfg.get("rate"):
            remedy = "choose a loss, loss=ns" if counts else "let the loss count, adv=1"
            raise InputError(
                f"rate={cfg.rate:g} is the generator's only loss, and it is least if nothing is sent; set a "
                f"distortion, mse=1, or {remedy}"
            )
        why = f"{', '.join(paid)} alone make no image" if paid else "every weight is 0"
        raise InputError(
            f"the generator has nothing to learn from: {why}; set mse=1, or choose a loss with adv above 0"
        )
    distortions = [n for n in paid if known[n].alone and not known[n].needs_discriminator]
    if cfg.adv == "adaptive" and not distortions:
        raise InputError(
            "adv=adaptive: the weight is a ratio to the gradient of a distortion, and there is none; set mse=1, or "
            "give adv a number"
        )
    if cfg.warmup.steps > 0 and not distortions:
        raise InputError(
            f"warmup.steps={cfg.warmup.steps}: before the game there is no distortion to learn from; set mse=1, or "
            "warmup.steps=0"
        )


def note(cfg: Config) -> str | None:
    """The line that explains, before it begins, a run whose rate is likely to fall to nothing; None for others.

    Also of the second stage of a recipe that does not start from its first.
    """
    experiment = cfg.choices.experiment
    first = f"{experiment}_rd"
    if cfg.resume is None and cfg.init_from is None and first in groups(own=of_settings(cfg))["experiment"]:
        return (
            f"note: experiment={experiment} is a second stage and starts from random weights here; train "
            f"experiment={first} first, and give its run, init_from=RUN"
        )
    if cfg.resume is None and cfg.choices.discriminator == "auxiliary" and not cfg.get("class_entropy"):
        return (
            "note: discriminator=auxiliary without class_entropy: its logits of labels are not trained, and the labels "
            "have no influence; set class_entropy=1"
        )
    known = knobs(of_settings(cfg))
    untied = not [name for name, knob in known.items() if knob.trains_g and knob.alone and cfg.get(name)]
    if cfg.resume is None and cfg.freeze is None and cfg.get("rate") and untied:
        return (
            f"note: rate={cfg.rate:g} without a distortion: nothing ties the reconstruction to the image, and sending "
            "nothing costs least, so the rate may fall to 0; set mse=1 for a codec"
        )
    return None


def _refuse_silence(cfg: Config, words: Sequence[str]) -> None:
    """Raise InputError for a whole codec trained without a distortion, unless the user has named the loss."""
    said = {key_of(word) for word in normal(words) if not is_hydras(word)}
    distortions = [name for name, knob in knobs(of_settings(cfg)).items() if knob.trains_g and knob.alone]
    if (
        cfg.freeze is None
        and not from_noise(cfg)  # there is no image to be tied to
        and not said & {"loss", "experiment"}
        and all(cfg[name] is None for name in distortions)
    ):
        raise InputError(
            f"no distortion is given, so nothing ties the reconstruction to the image; add mse=1, {as_called(EXAMPLE)} "
            "(loss=ns alone trains without one)"
        )


# Places and machines


def _check_data(data: Config) -> None:
    check_downscale(data.get("downscale"))
    if "background" in data:
        colour(data.background)
    if "root" not in data:
        if data["_target_"] == PHOTOS and find_spec("skimage") is None:
            raise InputError(f"data=photos needs scikit-image: {install('train')}, or use data=folder")
        if data["_target_"] == DIGITS and find_spec("sklearn") is None:
            raise InputError(f"data=digits needs scikit-learn: {install('digits')}, or use data=photos")
        return
    if data["_target_"] != FOLDER:  # a plugin's, which checks its own
        return
    places = {f"data.{name}": data[name] for name in ("root", "val_root") if data[name] is not None}
    for option, given in places.items():
        path = Path(given).expanduser()
        shown = f"{option}={printable(path)}"
        if not os.path.exists(path):  # False also for names that no file can have
            raise InputError(f"{shown} does not exist: give a folder of images")
        if not path.is_dir():
            raise InputError(f"{shown} is not a folder: give the folder that holds the images")
        if not os.access(path, os.R_OK | os.X_OK):
            raise InputError(f"{shown} may not be read: change its permissions, or give another folder")
        if not _has_image(path):
            raise InputError(f"{shown} holds no image: give a folder of images")
    if len(places) == 2:
        check_apart(*(Path(given).expanduser() for given in places.values()))


def _has_image(folder: Path) -> bool:
    from gcn.data.images import EXTENSIONS  # with numpy and Pillow, which help and other errors do without

    return any(path.suffix.lower() in EXTENSIONS for path in walk(folder))  # ends with the first


def _check_checkpoint(path: Path) -> None:
    shown = f"init_from={printable(path)}"
    if not os.path.exists(path):
        raise InputError(f"{shown} does not exist: give a run folder, a checkpoint or a model file")
    files = [path / "checkpoints" / name for name in ("last.ckpt", "last.ckpt.previous")]
    if path.is_dir() and not any(file.is_file() for file in files):
        raise InputError(
            f"{shown} holds no checkpoint: give a run folder with checkpoints/last.ckpt, or a .ckpt file"
        )


def _check_files(cfg: Config) -> None:
    """Raise InputError for files of terms and of the labeller that do not exist."""
    for option in ("file", "weights"):
        file = cfg.labeller.get(option)
        if file is not None and not os.path.isfile(file):
            raise InputError(
                f"labeller.{option}={printable(file)}: no such file; give the file of the labeller"
            )
    lpips: Any = cfg.terms.get("lpips", {})
    for option in ("weights", "backbone"):
        file = lpips.get(option)
        if file not in (None, "random") and not os.path.isfile(file):
            raise InputError(
                f"terms.lpips.{option}={printable(file)}: no such file; give the file of the weights"
            )
    if lpips and lpips.get("backbone") != "random":
        backbone_file(lpips.net, lpips.backbone, hub_folder())


def _check_loggers(logger: Config) -> None:
    """Raise InputError for a logger whose package is not installed; its choice, package and extra have one name."""
    for name, node in logger.items():
        if isinstance(node, Config) and name in EXTRAS and find_spec(name) is None:
            raise InputError(
                f"logger={name}: {name} is not installed, and this needs it; {install(name)}, or choose logger=csv"
            )


def _check_machine(trainer: Config) -> None:
    if trainer.accelerator == "gpu" and sys.platform == "linux":
        if not any(path for pattern in GPU_FILES for path in Path("/dev").glob(pattern)):
            raise InputError("trainer=gpu: this machine has no GPU; use trainer=cpu or trainer=auto")
