"""Where model files lie: those that ship and those of a run folder; without torch, to refuse wrong names at once."""

import os
from collections.abc import Mapping
from pathlib import Path

from gcn.errors import InputError
from gcn.files.names import printable

SHIPPED = Path(__file__).parent / "shipped"
ENDING = ".safetensors"
OF_RUN = f"codec{ENDING}"  # in a run folder
DEFAULT_MODEL = "mid"


def shipped_files() -> list[Path]:
    """The model files that come with the package, by name."""
    return sorted(SHIPPED.glob(f"*{ENDING}"), key=lambda path: path.stem)


def model_path(name: str) -> Path:
    """The file of a model that ships, or a model file; InputError if it is neither."""
    known = SHIPPED / f"{name}{ENDING}"
    if "/" not in name and known.is_file():
        return known
    if Path(name).is_file():
        return Path(name)
    choices = ", ".join(path.stem for path in shipped_files())
    raise InputError(f"model={printable(name)}: neither a file nor one of the models that ship ({choices})")


def run_folder(name: str) -> Path:
    """A folder that scripts/train.py wrote; InputError for any other."""
    if not (Path(name) / "config.yaml").is_file():
        raise InputError(f"run={printable(name)}: not a run folder; give one that scripts/train.py wrote")
    return Path(name)


def superseded(run: Path, latents: bytes, picture: bytes) -> Path:
    """Where a run keeps a codec that it had before it was trained further."""
    return run / f"codec-{latents.hex()}-{picture.hex()}{ENDING}"


def of_run_files(run: Path) -> list[Path]:
    """The run's codec and those that it had before, as far as they are there."""
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
    """Raise InputError if a model file may not be written here: it would replace a codec of a run, or its own base."""
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
