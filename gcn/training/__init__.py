"""Training of games by Lightning."""

from gcn.training.later_imports import install

install()
