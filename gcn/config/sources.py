"""Configuration files as Hydra reads them, parsed by libyaml and kept for the life of a process.

Hydra opens a file of ``conf/`` several times for each composition, and the YAML parser that OmegaConf uses is written
in Python. The classes here are registered with Hydra as the sources of files on the disk, of files of packages (its own
configuration) and of registered nodes, in place of Hydra's own, which have the same names; where another program has
begun to use Hydra before, Hydra's own stay, and compositions are slower.
"""

import copy
import os
import pickle
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource as OfFiles
from hydra._internal.core_plugins.importlib_resources_config_source import (
    ImportlibResourcesConfigSource as OfPackages,
)
from hydra._internal.core_plugins.structured_config_source import StructuredConfigSource as OfNodes
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, ListConfig, OmegaConf

from gcn.files.reading import yaml_loader

HEADER = 512  # characters, in which Hydra looks for the package that a file is for


class FileConfigSource(OfFiles):
    """Hydra's source of files on the disk with the same results; a file is parsed again when it has changed."""

    def load_config(self, config_path: str) -> ConfigResult:
        """The content and the header of a file; raises ``hydra.plugins.config_source.ConfigLoadError`` without one."""
        path = os.path.realpath(os.path.join(self.path, self._normalize_file_name(config_path)))
        if not os.path.exists(path):
            return super().load_config(config_path)
        return _result(self, Path(path))


class ImportlibResourcesConfigSource(OfPackages):
    """Hydra's source of files of packages with the same results; a file is parsed again when it has changed."""

    def load_config(self, config_path: str) -> ConfigResult:
        """The content and the header of a file; raises ``hydra.plugins.config_source.ConfigLoadError`` without one."""
        path = resources.files(self.path).joinpath(self._normalize_file_name(config_path))
        if not isinstance(path, Path) or not path.exists():  # of a package in an archive, or none
            return super().load_config(config_path)
        return _result(self, path)


class StructuredConfigSource(OfNodes):
    """Hydra's source of registered nodes with the same results."""

    def load_config(self, config_path: str) -> ConfigResult:
        """A copy of a node; raises ``hydra.plugins.config_source.ConfigLoadError`` without one."""
        node = self.store._load(self._normalize_file_name(config_path))
        try:
            config = pickle.loads(pickle.dumps(node.node))
        except (
            pickle.PicklingError
        ):  # of a class whose module Hydra has executed twice, as in a launcher's process
            config = copy.deepcopy(node.node)
        return ConfigResult(
            config=config,
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider if node.provider is None else node.provider,
            header={"package": node.package},
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> "StructuredConfigSource":
        """Itself: Hydra copies its sources for each composition, with all nodes that are registered."""
        return self


def _result(source: ConfigSource, path: Path) -> ConfigResult:
    config, header = load(path)
    return ConfigResult(
        config=config, path=f"{source.scheme()}://{source.path}", provider=source.provider, header=header
    )


def register() -> None:
    """Let Hydra read with the classes of this module; without effect where its own are in use already."""
    for source in (FileConfigSource, ImportlibResourcesConfigSource, StructuredConfigSource):
        SourcesRegistry.instance().register(source)


def load(path: Path) -> tuple[DictConfig | ListConfig, dict[str, str | None]]:
    """The content of a YAML file as ``OmegaConf.load`` returns it, and Hydra's header of it; both are the caller's own.

    Raises:
        yaml.YAMLError: no YAML; the message is that of PyYAML's own parser.
    """
    read = _state(path)
    for files in _noted:
        files.add(read)
    config, header = _loaded(*read)
    return pickle.loads(config), dict(header)


Read = tuple[Path, int, int]  # a file with the time of its last change and its size
_noted: list[set[Read]] = []


@contextmanager
def noting() -> Iterator[set[Read]]:
    """The files that are read in the block, by Hydra too."""
    files: set[Read] = set()
    _noted.append(files)
    try:
        yield files
    finally:
        _noted.pop()


def unchanged(files: Collection[Read]) -> bool:
    """Whether the files of :func:`noting` are as they were; False where Hydra reads with its own class, unnoted."""
    try:
        ours = SourcesRegistry.instance().resolve("file") is FileConfigSource
        return ours and all(_state(path) == (path, *state) for path, *state in files)
    except OSError:
        return False


def _state(path: Path) -> Read:
    found = path.stat()
    return path, found.st_mtime_ns, found.st_size


@cache
def _loaded(path: Path, _changed: int, _size: int) -> tuple[bytes, dict[str, str | None]]:
    text = path.read_text(encoding="utf-8")
    # Pickled, for Hydra changes what it is given, and copy.deepcopy takes four times as long.
    return pickle.dumps(_parsed(path, text)), ConfigSource._get_header_dict(text[:HEADER])


def _parsed(path: Path, text: str) -> DictConfig | ListConfig:
    try:
        content = yaml.load(text, Loader=yaml_loader())
    except yaml.YAMLError:
        content = None
    if not isinstance(content, dict | list):  # nothing, or something wrong, which OmegaConf explains
        return OmegaConf.load(path)
    return OmegaConf.create(content)
