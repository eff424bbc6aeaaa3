"""Paths of model files: those of the package and those of run folders. Needs no torch, to refuse wrong names early."""

import os
from collections.abc import Mapping
from pathlib import Path

from gcn.cli.invocation import as_called
from gcn.errors import InputError
from gcn.files.names import printable

SHIPPED = Path(__file__).parent / "shipped"
ENDING = ".safetensors"
OF_RUN = f"codec{ENDING}"  # in a run folder
DEFAULT_MODEL = "mid"


def shipped_files() -> list[Path]:
    """Paths of the model files of the package, by name."""
    return sorted(SHIPPED.glob(f"*{ENDING}"), key=lambda path: path.stem)


def model_path(name: str) -> Path:
    """Path of a model of the package or of a model file; raises InputError if it is neither."""
    known = SHIPPED / f"{name}{ENDING}"
    if "/" not in name and known.is_file():
        return known
    if Path(name).is_file():
        return Path(name)
    choices = ", ".join(path.stem for path in shipped_files())
    raise InputError(f"model={printable(name)}: neither a file nor one of the models that ship ({choices})")


def run_folder(name: str) -> Path:
    """The folder if scripts/train.py wrote it; raises InputError otherwise."""
    if not (Path(name) / "config.yaml").is_file():
        raise InputError(
            f"run={printable(name)}: not a run folder; {as_called('give one that scripts/train.py wrote')}"
        )
    return Path(name)


def superseded(run: Path, latents: bytes, picture: bytes) -> Path:
    """Path at which a run keeps the codec that it had before it was trained further."""
    return run / f"codec-{latents.hex()}-{picture.hex()}{ENDING}"


def of_run_files(run: Path) -> list[Path]:
    """Paths of a run's codec and of its earlier codecs, as far as they exist."""
    return [path for path in (run / OF_RUN, *sorted(run.glob(f"codec-*{ENDING}"))) if path.is_file()]


def check_named(options: Mapping[str, str]) -> None:
    """Raise InputError if ``model=`` or ``run=`` names nothing, or both are given."""
    if "model" in options and "run" in options:
        raise InputError("model= and run= exclude each other: both name a codec")
    if "run" in options:
        run_folder(options["run"])
    elif "model" in options:
        model_path(options["model"])


def check_export(target: Path, run: Path, base: Path | None) -> None:
    """Raise InputError if a model file may not be written here: it would replace a run's codec or its own base."""
    real = Path(os.path.realpath(target))  # a link would replace what it leads to
    inside = (real.parent / "config.yaml").is_file()
    if inside and (real.name == OF_RUN or real.name.startswith("codec-")):
        raise InputError(f"{printable(target)}: the codec of a run, which its files need; give another name")
    if real.suffix != ENDING:
        raise InputError(
            f"{printable(target)}: a link to {printable(real)}, no model file; give another name"
        )
    if base is None:
        return
    if not base.is_file():
        raise InputError(f"base={printable(base)}: no such model file")
    if target.exists() and target.samefile(base):
        raise InputError(f"base={printable(base)}: would be overwritten; give another name behind -o")
