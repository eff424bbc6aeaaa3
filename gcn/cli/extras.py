"""The packages that only some commands need, by the extra of ``pip install "gcn[EXTRA]"`` that brings them.

Without extras gcn compresses and decompresses. ``pyproject.toml`` has the versions.
"""

from importlib.metadata import PackageNotFoundError, distribution

EXTRAS = {
    "train": (
        "compressai", "hydra", "lightning", "lpips", "matplotlib", "omegaconf", "platformdirs", "pytorch_msssim",
        "rich", "scipy", "skimage", "torchvision", "tqdm", "wandb",
    ),
    "evaluation": ("bjontegaard", "pillow_jxl", "torch_fidelity", "torchmetrics"),
    "digits": ("sklearn",),
    "sweeps": ("joblib", "optuna"),
    "study": ("pyarrow",),
    "board": ("wandb_workspaces",),
    "submitit": ("submitit",),
    "ray": ("ray",),
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow",),
}  # fmt: skip


def install(extra: str) -> str:
    """The command that installs an extra: of the installation, or of the checkout where gcn is not installed.

    There ``pip install gcn`` would bring a package of the same name, by others.
    """
    try:
        distribution("gcn")
    except PackageNotFoundError:
        return f'pip install -e ".[{extra}]"'
    return f'pip install "gcn[{extra}]"'


def remedy(missing: ImportError) -> str | None:
    """One line for a package that is not installed: its name, and the extra that brings it; None for other packages."""
    module = (missing.name or "").partition(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if module in modules), None)
    return None if extra is None else f"{module} is not installed, and this needs it; {install(extra)}"
