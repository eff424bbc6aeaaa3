"""What a run leaves in W&B beside its rows: validation images, the codec, the sweep's name, tags."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gcn.files.names import printable
from gcn.report.panel_tiles import pairs

SWEEP_FILE = "multirun.yaml"  # that Hydra writes into the folder of a sweep
CODEC = "codec.safetensors"
LONGEST_TAG = 64  # characters that W&B takes


def sweep_of(folder: Path) -> str | None:
    """Name of the sweep that a run folder is part of, as ``DATE/TIME``; None for a single run."""
    above = folder.resolve().parent
    if not (above / SWEEP_FILE).is_file():
        return None
    return printable(f"{above.parent.name}/{above.name}")[-128:]


def shortened(tags: Sequence[str]) -> list[str]:
    """Tags as W&B takes them: without repetitions; longer ones are cut and end in an ellipsis."""
    cut = (tag if len(tag) <= LONGEST_TAG else tag[: LONGEST_TAG - 1] + "…" for tag in map(printable, tags))
    return list(dict.fromkeys(cut))


def add_table(run: Any, folder: Path) -> None:
    """Log the images of the last panel as the table ``val/images``: caption, original, reconstruction."""
    import wandb
    from PIL import Image

    panels = sorted((folder / "panels").glob("*.png"))
    found = pairs(panels[-1]) if panels else []
    if not found:
        return
    rows = [
        [
            one.caption,
            *(wandb.Image(Image.open(io.BytesIO(png))) for png in (one.original, one.reconstruction)),
        ]
        for one in found
    ]
    table = wandb.Table(columns=["image", "original", "reconstruction"], data=rows)
    run.log({"val/images": table})


def add_codec(run: Any, folder: Path) -> None:
    """Log the trained codec as an artifact of type ``model``, if the run has left one."""
    import wandb

    if not (folder / CODEC).is_file():
        return
    artifact = wandb.Artifact(f"codec-{run.id}", type="model")
    artifact.add_file(str(folder / CODEC))
    run.log_artifact(artifact)
