"""The folder ``conf/`` with all configuration: inside of the package if it is installed, beside it in a checkout."""

from pathlib import Path


def conf_folder(package: Path) -> Path:
    """Path of ``conf/`` for a package in that folder: ``gcn/conf`` of an installed wheel, else the checkout's."""
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


PACKAGE = Path(__file__).resolve().parents[1]
CONF = conf_folder(PACKAGE)
