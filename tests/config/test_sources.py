"""Hydra's configuration files, read by libyaml and kept, are what Hydra and OmegaConf read."""

import os
import time
from pathlib import Path

import hydra
import pytest
import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource as OfFiles
from hydra._internal.core_plugins.importlib_resources_config_source import (
    ImportlibResourcesConfigSource as OfPackages,
)
from hydra._internal.core_plugins.structured_config_source import StructuredConfigSource as OfNodes
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError
from omegaconf import OmegaConf

from gcn.config.compose import declare
from gcn.config.sources import (
    FileConfigSource,
    ImportlibResourcesConfigSource,
    StructuredConfigSource,
    load,
)
from gcn.files.reading import yaml_loader
from gcn.schema import fields
from gcn.schema.conf_folder import CONF

FILES = [*sorted(CONF.rglob("*.yaml")), *sorted((Path(hydra.__file__).parent / "conf").rglob("*.yaml"))]
STRANGE = [
    "", "# nothing\n", "~\n", "word\n", "3\n", "[a, {b: 1}]\n", "a: 1e-4\nb: 1_0.5\nc: 2001-01-01\nd: 0o17\n",
    "a: &x {b: [1, 2]}\nc: *x\n", "a: é ☃ 😀\n", "a: ${b}\nb: ???\n", "a: |\n  two\n  lines\nb: 'it''s'\n",
    "a: 1\na: 2\n", "a: {b: 1, b: 2}\n", "a: [1\n", "a: b: c\n", "a: *nowhere\n", "\ta: 1\n",
    "a: !!python/name:os.system\n", "a: !own 1\n", "on: yes\n1: 2\n", "a: <<\n", "a: ${\n", "- ${oc.env:HOME}\n",
    "a: 1\n---\nb: 2\n", "a: \x07\n", "a: %x\n",
]  # fmt: skip


def nodes(node):
    """Nodes in their order with their classes and declared types."""
    if OmegaConf.is_dict(node) and isinstance(node._content, dict):
        return OmegaConf.get_type(node), [(key, nodes(child)) for key, child in node._content.items()]
    if OmegaConf.is_list(node) and isinstance(node._content, list):
        return [nodes(child) for child in node._content]
    return type(node).__name__, node._value(), node._metadata.ref_type, node._metadata.optional


def outcome(read, path):
    """Nodes, or the error and its whole message."""
    try:
        return nodes(read(path))
    except Exception as error:
        return type(error).__name__, str(error)


def ours(path):
    return load(path)[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-3:]))
def test_every_file_is_as_omegaconf_reads_it(path, monkeypatch):
    assert outcome(ours, path) == outcome(OmegaConf.load, path)
    found = fields.declared(path.read_text(encoding="utf-8"), str(path))
    monkeypatch.setattr(fields, "_LOADER", yaml.SafeLoader)
    assert found == fields.declared(path.read_text(encoding="utf-8"), str(path))


@pytest.mark.parametrize("libyaml", [True, False])
@pytest.mark.parametrize("text", STRANGE)
def test_strange_files_too_and_what_is_wrong_is_said_in_the_same_words(text, libyaml, tmp_path, monkeypatch):
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(yaml, "__with_libyaml__", yaml.__with_libyaml__ and libyaml)
    yaml_loader.cache_clear()
    assert outcome(ours, path) == outcome(OmegaConf.load, path)
    yaml_loader.cache_clear()


def test_hydra_reads_with_them():
    """Also after Hydra has registered its plugins, of which its own sources are some."""
    Plugins.instance()
    for scheme, source in (
        ("file", FileConfigSource),
        ("pkg", ImportlibResourcesConfigSource),
        ("structured", StructuredConfigSource),
    ):
        assert SourcesRegistry.instance().resolve(scheme) is source


FILES_OF_CONF = (FileConfigSource, OfFiles, f"file://{CONF}")
FILES_OF_HYDRA = (ImportlibResourcesConfigSource, OfPackages, "pkg://hydra.conf")
NODES = (StructuredConfigSource, OfNodes, "structured://")


@pytest.mark.parametrize(
    ("sources", "name"),
    [
        *((FILES_OF_CONF, name) for name in ("train", "loss/ns", "experiment/rd", "optim/hific.yaml")),
        *((FILES_OF_HYDRA, name) for name in ("hydra/job_logging/default", "hydra/help/default.yaml")),
        *((NODES, name) for name in ("hydra/config", "knobs.yaml")),
    ],
)
def test_a_result_is_hydras_and_the_callers_own(sources, name):
    declare()

    def result(source):
        found = source("main", where).load_config(name)
        return {**vars(found), "config": nodes(found.config)}

    ours, of_hydra, where = sources
    OmegaConf.update(ours("main", where).load_config(name).config, "added", 1, force_add=True)
    assert result(ours) == result(of_hydra)


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (FILES_OF_CONF, r"Config not found : .*/conf/loss/nothing\.yaml"),
        (FILES_OF_HYDRA, r"Config not found : loss/nothing\.yaml"),
        (NODES, r"Structured config not found loss/nothing\.yaml"),
    ],
)
def test_a_missing_file_is_hydras_error(sources, said):
    *classes, where = sources
    for source in classes:
        with pytest.raises(ConfigLoadError, match=said):
            source("main", where).load_config("loss/nothing")


def test_a_content_is_the_callers_own_and_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("# @package here\na: [1]\n")
    content, header = load(path)
    content.a.append(2)
    header.clear()
    assert load(path) == (OmegaConf.create({"a": [1]}), {"package": "here"})
    path.write_text("a: [3]\n")
    os.utime(path, ns=(0, time.time_ns() + 10**9))  # a clock may be too coarse for two writes
    assert load(path) == (OmegaConf.create({"a": [3]}), {"package": None})
