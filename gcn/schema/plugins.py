"""Packages of classes, and folders of configurations, that a user adds to those of gcn.

Both are named on the command line: ``plugins=[mypackage]`` and ``--config-dir=FOLDER``. A run folder remembers which
they were, but the names that it holds are shown and never used.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from gcn.errors import InputError
from gcn.files.names import printable

GROUP = "gcn.plugins"  # of entry points: NAME = "PACKAGE"
SETTING, FOLDER = "plugins", "config_dir"  # keys of a configuration
WORDS = """\
plugins: null           #: str ; [A,B]: packages of your own whose classes may be built, as in the training
config_dir: null        #: path ; folder of your own configurations, as in the training
"""  # of the commands that use a run folder or a model file
_PACKAGE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_LONGEST = 200  # characters of a name that is shown


class Extension(NamedTuple):
    """What a user adds to gcn; made from the words of a command line alone.

    Attributes:
        packages: whose classes may be built. A folder ``conf`` inside of one is a folder of configurations.
        config_dir: a further folder of configurations, Hydra's ``--config-dir``.
    """

    packages: tuple[str, ...] = ()
    config_dir: str | None = None

    @property
    def conf(self) -> tuple[Path, ...]:
        """The folders ``conf`` of the packages."""
        return tuple(folder for package in self.packages for folder in _conf_of(package))

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders of configurations: those of the packages, then the user's own."""
        return (*self.conf, *([] if self.config_dir is None else [Path(self.config_dir).resolve()]))

    @property
    def words(self) -> list[str]:
        """The words of a command line that name the extension."""
        packages = [f"{SETTING}=[{','.join(self.packages)}]"] if self.packages else []
        return packages + ([] if self.config_dir is None else [f"--config-dir={self.config_dir}"])

    @property
    def settings(self) -> dict[str, Any]:
        """The extension as entries of a configuration; what is absent has none."""
        packages = {SETTING: list(self.packages)} if self.packages else {}
        return packages | ({} if self.config_dir is None else {FOLDER: str(Path(self.config_dir).resolve())})


NONE = Extension()


def extension(names: Sequence[str], config_dir: str | None = None) -> Extension:
    """The extension that a command line names.

    Args:
        names: of packages, or of entry points in the group ``gcn.plugins``.
        config_dir: folder of configurations.

    Raises:
        InputError: what is no package's name, or a package that is not installed.
    """
    return Extension(tuple(dict.fromkeys(_package(name) for name in names)), config_dir)


def named(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names in the word ``plugins=[a,b]`` (or ``plugins=a,b``), and the other words.

    Raises:
        InputError: the word was given twice.
    """
    own = [word for word in words if word.lstrip("+").startswith(f"{SETTING}=")]
    if len(own) > 1:
        raise InputError(f"{SETTING}= was given twice; write {SETTING}=[a,b]")
    return [name for word in own for name in names(word.partition("=")[2])], [
        w for w in words if w not in own
    ]


def names(text: str | None) -> list[str]:
    """The names of ``[a,b]`` or ``a,b``; none of null."""
    parts = ("" if text in (None, "null") else str(text)).strip("[]").split(",")
    return [name for part in parts if (name := part.strip(" '\""))]


def of_settings(settings: Mapping[str, Any]) -> Extension:
    """The extension of a configuration that :mod:`gcn.config.parse` made, which has it from the command line."""
    return Extension(tuple(settings.get(SETTING, ())), settings.get(FOLDER))


def of_words(words: Mapping[str, str]) -> Extension:
    """The extension that the words of a command name, as they stand on its command line; see ``WORDS``."""
    return extension(names(words.get(SETTING)), words.get(FOLDER))


def stored_words(settings: Mapping[str, Any]) -> list[str]:
    """The words that name the extension with which a run was started, from its untrusted folder; for display alone.

    What is no list of packages' names, or no printable path, is left out.
    """
    names, folder = settings.get(SETTING), settings.get(FOLDER)
    words = []
    if isinstance(names, list) and names and all(isinstance(n, str) and _PACKAGE.fullmatch(n) for n in names):
        words.append(f"{SETTING}=[{','.join(names)}]")
    if isinstance(folder, str) and folder.isprintable():
        words.append(f"--config-dir={folder}")
    return [word for word in words if len(word) <= _LONGEST]


@cache
def installed() -> dict[str, str]:
    """The installed plugins, which none but the user switches on: name of the entry point to its package."""
    return {point.name: point.value for point in sorted(entry_points(group=GROUP))}


def _package(name: Any) -> str:
    package = installed().get(str(name), name)
    if not isinstance(package, str) or not _PACKAGE.fullmatch(package):
        raise InputError(
            f"{SETTING}={printable(str(name))}: not the name of a package; write {SETTING}=[mypackage]"
        )
    try:
        found = find_spec(package) is not None
    except Exception as problem:  # a package around it is imported, and that may raise anything
        raise InputError(
            f"{SETTING}={name}: cannot be imported ({said(problem)}); mend it, or drop it"
        ) from None
    if not found:
        others = f" (installed plugins: {', '.join(installed())})" if installed() else ""
        raise InputError(
            f"{SETTING}={name}: no such package here; pip install it, or name its folder in PYTHONPATH{others}"
        )
    return package


def _conf_of(package: str) -> list[Path]:
    """The folder ``conf`` of a package, which is not imported for it; none if there is none."""
    spec = find_spec(package)
    places = [] if spec is None else spec.submodule_search_locations or []
    return [folder for place in places if (folder := Path(place, "conf")).is_dir()]


def said(problem: BaseException) -> str:
    """Kind and message of an error in one printable line."""
    return printable(" ".join(f"{type(problem).__name__}: {problem}".split()))[:_LONGEST]
