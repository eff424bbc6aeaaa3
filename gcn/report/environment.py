"""Versions, commit and kind of machine of this process, for the record of a run."""

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGES = ("gcn", "torch", "lightning", "compressai", "numpy", "pillow")


def environment() -> dict[str, str]:
    """Names and versions as short texts; ``commit`` only where the package lies in a git checkout.

    A ``+`` behind the commit: tracked files were changed.
    """
    import torch

    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    found |= {name: version for name in PACKAGES if (version := _version(name))}
    found["machine"] = (
        torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {os.cpu_count()} logical cores"
    )
    found["threads"] = str(torch.get_num_threads())
    return found | ({"commit": own} if (own := commit()) else {})


@cache
def commit() -> str | None:
    """Short name of the commit that this package is checked out at; None outside of a git checkout.

    Asked for once: the code that runs is that of the beginning.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        name = _git(root, "rev-parse", "--short=12", "HEAD")
        return name + "+" * bool(_git(root, "status", "--porcelain", "-uno")) if name else None
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, timeout=5, check=True)
    return done.stdout.strip()


@cache
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
