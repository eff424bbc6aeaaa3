"""The trained codec of a run folder.

Its tables are computed once, stored in ``codec.safetensors`` and read from there ever after: files that it wrote can be
read with these tables and no others. Packages that only training needs are imported when a checkpoint is read.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from gcn.cli.invocation import as_called
from gcn.errors import InputError
from gcn.files.atomic import refuse_links
from gcn.models import package
from gcn.models.codec import Codec
from gcn.models.places import OF_RUN, run_folder
from gcn.schema.plugins import NONE, Extension

if TYPE_CHECKING:
    from torch import Tensor


def of_run(run: Path, own: Extension = NONE) -> Codec:
    """The trained codec of a run folder, ready to code; with averaged weights where the run has them.

    It is read from ``codec.safetensors`` in the folder, whatever checkpoints came later; where there is none, it is
    written first.

    Args:
        run: the folder.
        own: what the user adds, where the run has something of it.

    Raises:
        InputError: not a run folder, or without a checkpoint.
    """
    target = run_folder(str(run)) / OF_RUN
    if not target.is_file():
        codec = trained(run, own=own)
        if not os.access(run, os.W_OK):
            return codec
        refuse_links(run)
        try:
            package.save(codec, target, {"run": run.name, "steps": _steps(run)}, overwrite=False)
        except InputError:
            if not target.is_file():  # another process may have written it meanwhile, and files with it
                raise
    return package.load(target, own)


def kept(run: Path, own: Extension = NONE) -> str | None:
    """Write a run's codec into its folder before it writes files; returns a remark about the codec's age.

    Raises:
        InputError: as for :func:`of_run`; the folder is read-only, so the tables of the files would be lost.
    """
    target = run_folder(str(run)) / OF_RUN
    if not target.is_file():
        of_run(run, own)
    if not target.is_file():
        raise InputError(
            f"run={run}: this folder is read-only, and the tables of the files could not be kept in it; write a model"
            f" file with {as_called('scripts/export.py')} and give model=FILE"
        )
    from gcn.report.metrics_table import MetricsTable

    steps = package.card(target).about.get("steps")
    try:
        rows = MetricsTable(run / "metrics.csv").rows()
    except InputError:  # damaged, and of no use for coding
        return None
    if steps is None or not rows or rows[-1]["step"] <= steps:
        return None
    return (
        f"run={run}: its codec is of update {steps}, and the run has {rows[-1]['step']};"
        f" {as_called('scripts/export.py')} writes the codec of the last checkpoint as a model file"
    )


def for_export(run: Path, half: bool = False, own: Extension = NONE) -> Codec:
    """The codec of a run's last checkpoint, with the tables of ``codec.safetensors`` where that is the same codec."""
    stored = run_folder(str(run)) / OF_RUN
    if half or not stored.is_file():
        return trained(run, half, own)
    from gcn.training.checkpoint import has_checkpoint

    steps = package.card(stored).about.get("steps")
    current = steps is None or not has_checkpoint(run) or steps == _steps(run)
    return package.load(stored, own) if current else trained(run, own=own)


def _steps(run: Path) -> int:
    from gcn.training.checkpoint import open_checkpoint

    return open_checkpoint(run)[1]["global_step"]


def trained(run: Path, half: bool = False, own: Extension = NONE) -> Codec:
    """The codec of a run's last checkpoint, with fresh tables.

    Args:
        run: the folder.
        half: round the weights to half precision first.
        own: what the user adds, where the run has something of it.
    """
    from gcn.config.build import build
    from gcn.config.first_weights import load_codec
    from gcn.config.parse import load

    codec = build(load(run, "generator", own), "generator")
    if not isinstance(codec, Codec):
        raise InputError(
            f"run={run}: its generator makes images from noise and codes none; give the run of a codec"
        )
    load_codec(codec, str(run))
    try:
        return (package.rounded(codec) if half else codec).for_coding()
    except FloatingPointError as problem:
        raise InputError(f"run={run}: {problem}") from None


def discriminator_of(run: Path, own: Extension = NONE) -> dict[str, "Tensor"]:
    """Weights by name of the discriminator in a run's last checkpoint.

    Raises:
        InputError: not a run folder, without a checkpoint, or trained without a discriminator.
    """
    from gcn.config.trained import restored

    discriminator = restored(run, own)[1].game.discriminator
    if discriminator is None:
        raise InputError(f"run={run}: was trained without a discriminator; drop discriminator=true")
    return discriminator.state_dict()
