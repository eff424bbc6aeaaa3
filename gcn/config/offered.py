"""What a command line can choose: roots of the configuration, their groups and choices, and the knobs."""

import secrets
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

from gcn.config.knobs import Knob, scan
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.schema.conf_folder import CONF
from gcn.schema.plugins import FOLDER, NONE, Extension

KNOBS = "knob"  # the folder of the knobs, which is no group of choices


class Root(NamedTuple):
    """The configuration of one command: a file of ``conf/`` and the folders that hold its groups.

    Attributes:
        name: of the file and of the script.
        folders: where the groups are, later ones add choices to earlier ones.
        record: the file that ends a run.
        columns: what of it the summary of a sweep shows.
    """

    name: str
    folders: tuple[Path, ...]
    record: str
    columns: tuple[str, ...]

    @property
    def file(self) -> Path:
        """Path of the root's yaml file."""
        return CONF / f"{self.name}.yaml"


TRAIN = Root("train", (CONF,), "summary.json", ("verdict", "psnr", "bpp"))
LAB = Root("lab", (CONF, CONF / "lab"), "lab.json", ("outcome", "converged", "rotation_index"))


@cache
def stamp() -> str:
    """Name of this process's run folder: time and a random part, so that runs of the same second differ."""
    return datetime.now().strftime("%Y-%m-%d/%H-%M-%S-") + secrets.token_hex(3)


@cache
def knobs(own: Extension = NONE) -> dict[str, Knob]:
    """All knobs by name, those of the user's folders included; raises InputError for a name that is taken."""
    found = scan(CONF / KNOBS) if own == NONE else dict(knobs())
    for folder in own.folders:
        for name, knob in scan(folder / KNOBS).items():
            file = printable(folder / KNOBS / f"{name}.yaml")
            if name in found:
                raise InputError(f"{file}: there is a knob {name} already; rename the file")
            if name in taken():
                raise InputError(f"{file}: {name} is a word of the command line already; rename the file")
            found[name] = knob
    return dict(sorted(found.items()))


@cache
def taken() -> frozenset[str]:
    """Top-level names of the configurations but for knobs, so that no knob may have one of them."""
    files = [yaml.safe_load(root.file.read_text(encoding="utf-8")) for root in (TRAIN, LAB)]
    return frozenset(
        {"out", "objective", "choices", "run_dir", FOLDER}.union(
            *files, *(groups(root) for root in (TRAIN, LAB))
        )
    )


@cache
def groups(root: Root = TRAIN, own: Extension = NONE) -> dict[str, list[str]]:
    """Choices of each group that the root's defaults list names, from all its folders and the user's.

    A file whose name begins with an underscore is what several choices build on, and no choice itself.

    Raises:
        InputError: two folders have a choice of the same name, of which Hydra would use one without a word.
    """
    names = sorted(name for entry in defaults_of(root) for name in entry if is_group(root, name))
    found: dict[str, dict[str, Path]] = {name: {} for name in names}
    for folder in (*root.folders, *own.folders):
        for name in names:
            for path in sorted((folder / name).glob("*.yaml")):
                before = found[name].setdefault(path.stem, path)
                if before is not path and folder in own.folders:
                    raise InputError(
                        f"{printable(path)}: there is a {name}={path.stem} already, in {printable(before.parent)}; "
                        "rename the file"
                    )
    return {name: sorted(c for c in choices if not c.startswith("_")) for name, choices in found.items()}


def is_group(root: Root, name: str) -> bool:
    """Whether a name is that of a group in one of the root's folders."""
    return any((folder / name).is_dir() for folder in root.folders)


@cache
def defaults_of(root: Root) -> list[dict[str, str | None]]:
    """The groups of a root's defaults list with their default choices."""
    defaults = yaml.safe_load(root.file.read_text(encoding="utf-8"))["defaults"]
    return [entry for entry in defaults if isinstance(entry, dict)]
