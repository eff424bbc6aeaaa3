"""The part of the build that pyproject.toml cannot describe: the folder conf/ is packaged as gcn.conf."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["gcn*"]), "gcn.conf"], package_dir={"gcn.conf": "conf"})
