"""The configuration that Hydra's own program has of a job, made from a composition that is kept.

``hydra.main`` composes each job from all files again, which takes a tenth of a second for each run and each job of a
sweep. What comes out differs from the composition of the job's choices in what the words of the job say, and in a few
remarks of Hydra about itself.
"""

import os
import pickle
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override, open_dict

from gcn.config.compose import Base, base_of, search_path
from gcn.config.offered import Root, groups
from gcn.config.override_words import is_hydras
from gcn.config.resolution import read_override
from gcn.config.several import is_list
from gcn.schema.plugins import NONE, Extension

_KNOWN = re.compile(r"1\.3\.")  # versions of Hydra of which this module knows what they do


@contextmanager
def composed_from_bases(root: Root, own: Extension) -> Iterator[None]:
    """Let ``hydra.main`` compose jobs from kept compositions in the block, with the same outcome; plugins: as ever."""
    by_hydra = ConfigLoaderImpl._load_configuration_impl

    def load(
        loader: ConfigLoaderImpl, config_name: str, overrides: list[str], run_mode: RunMode, **more: Any
    ) -> Any:
        of_the_program = more.get("from_shell", True)  # and not for a base
        made = (
            composed(overrides, root) if of_the_program and run_mode is RunMode.RUN and own == NONE else None
        )
        return by_hydra(loader, config_name, overrides, run_mode, **more) if made is None else made

    if _KNOWN.match(hydra.__version__):
        ConfigLoaderImpl._load_configuration_impl = load  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        ConfigLoaderImpl._load_configuration_impl = by_hydra  # type: ignore[method-assign]


def composed(words: Sequence[str], root: Root) -> DictConfig | None:
    """Hydra's configuration of the words of a job; ``None`` where Hydra must compose it, or say what is wrong."""
    offered, known = groups(root), search_path(root)
    chosen: list[Override] = []
    settings: list[Override] = []
    try:
        overrides = [read_override(word) for word in words]
        for override in overrides:
            line, name = str(override.input_line), override.key_or_group
            if override.is_sweep_override() or override.package is not None:
                return None
            if name == "hydra.searchpath" and line not in known:
                return None
            (chosen if name in offered or "/" in name else settings).append(override)
        base = base_of(tuple(str(choice.input_line) for choice in chosen), root)
        cfg = _whole(base)
        ConfigLoaderImpl._apply_overrides_to_config(settings, cfg)
    except Exception:
        return None
    _remark(cfg, overrides, base)
    return cfg


def _whole(base: Base) -> DictConfig:
    """A composition of choices with its node ``hydra``, as it is before the words of a job change it."""
    cfg, node = pickle.loads(base.cfg), pickle.loads(base.hydra)
    with flag_override(cfg, "no_deepcopy_set_nodes", True):
        cfg["hydra"] = node
    OmegaConf.clear_cache(cfg)  # of the time at which the base was made
    OmegaConf.set_struct(cfg, True)
    OmegaConf.set_readonly(cfg.hydra, False)
    return cfg


def _remark(cfg: DictConfig, overrides: Sequence[Override], base: Base) -> None:
    """Write into the node ``hydra`` what Hydra notes there about the words of a job and the process."""
    noted = cfg.hydra
    of_hydra = [override for override in overrides if is_hydras(str(override.input_line))]
    own = [override for override in overrides if override not in of_hydra]
    noted.overrides.hydra = [override.input_line for override in of_hydra]
    noted.overrides.task = [override.input_line for override in own]
    with open_dict(noted):
        for group, choice in base.choices.items():
            if is_list(group, choice):  # of which Hydra notes nothing
                noted.runtime.choices.pop(group, None)
            else:
                noted.runtime.choices[group] = choice
        for key in noted.job.env_copy:
            noted.job.env_set[key] = os.environ[key]
    noted.runtime.cwd = os.getcwd()
    how = noted.job.config.override_dirname
    noted.job.override_dirname = get_overrides_dirname(
        overrides=own, kv_sep=how.kv_sep, item_sep=how.item_sep, exclude_keys=how.exclude_keys
    )
