"""All methods of the project, read from its configuration: what each is, where it comes from, where its code is.

A row is a level of the factor ``method`` in ``conf/study/methods.yaml``, or a file of ``conf/loss``, ``conf/knob``,
``conf/dynamics`` or ``conf/discriminator`` that no level uses. So a new file has a row without being named anywhere.

* **Which word a row is about**: the last word of a level that sets a group or a knob, ``gp=10`` of ``loss=wgan gp=10``;
  else its last word, ``discriminator.norm=batch``. The words before it are company.
* **Formula**: the first line of the docstring of the class that the word's file builds, and a block of formulas
  below it; where the docstring has a table with a row of the chosen option (``kl``), that row. For an option of a
  network, the help of the option. A text of the study's ``display`` comes before both.
* **Source**: the papers that this text names, else those of the whole docstring or of the file's comments.
* **Test**: the file that mirrors the class's module if it names the class; else the file that names the class most
  often in the folder that mirrors the module's and in ``tests/theory``; else in all of ``tests``. Where none names the
  class, the word counts.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gcn.config.knobs import Knob
from gcn.config.offered import knobs
from gcn.files.reading import read_yaml
from gcn.schema.conf_folder import CONF
from gcn.schema.fields import declarations

FILE = CONF / "study" / "methods.yaml"
PLAIN = "plain"  # the level to which all others are compared
GROUPS = {
    "loss": "losses",
    "dynamics": "rules",
    "discriminator": "networks",
}  # and the sections of their files
KNOBS = {  # sections of knobs, by what they change
    "generator loss": "distortions",
    "both losses": "both",
    "discriminator loss": "discriminator",
    "discriminator input": "discriminator",
    "discriminator weights": "discriminator",
    "discriminator updates": "discriminator",
}
DEFAULTS = {"discriminator": "patch"}  # whose options a word such as discriminator.norm= is
SETTINGS = {"adv": "gcn.losses.adaptive.AdaptiveWeight"}  # of conf/train.yaml
ALTERNATING = "gcn.game.rules.Alternating"  # what a knob without a class is an argument of
PAPER = re.compile(
    r"([A-Z][\w-]+(?: et al\.| (?:and|&) [A-Z][\w-]+(?: [A-Z][\w-]+)?)?),? \(?((?:18|19|20)\d\d)(,? arXiv [\d.]+\d)?"
)
OWN = "A control"  # in docstrings of terms that this project made for comparison, and nobody has published


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Attributes:
        name: of the level, or of the file without a level.
        section: a grid of the study.
        words: of the command line; none for the plain game.
        formula: what it computes, in a line.
        source: papers, by authors and year.
        code: the class's file in the repository, ``gcn/losses/penalties.py``.
        class_name: its name.
        test: a file of ``tests``; empty without a checkout.
        measured: it is a level of the study.
    """

    name: str
    section: str
    words: tuple[str, ...]
    formula: str
    source: str
    code: str
    class_name: str
    test: str
    measured: bool


def catalogue(root: Path) -> list[Method]:
    """All methods in the order of the study's sections; ``root`` is the checkout, for its tests."""
    content = read_yaml(FILE)
    levels, used = content["factors"]["method"], set[tuple[str, str]]()
    rows = dict[str, list[Method]]()
    for section, grid in content["grids"].items():
        names = [name for name in grid["method"] if name != PLAIN or section == "losses"]
        further = content["not_measured"].get(section, {})
        rows[section] = [
            _method(name, section, tuple(levels[name].split()), content, root, name not in further)
            for name in (*names, *further)
        ]
    for words in levels.values():
        used |= {(key, value) for key, _, value in (word.partition("=") for word in words.split())}
    for section, name, word in _files(used, set(content["not_a_row"])):
        rows[section].append(_method(name, section, (word,), content, root, False))
    return [row for section in rows.values() for row in section]


def _files(used: set[tuple[str, str]], left_out: set[str]) -> Iterator[tuple[str, str, str]]:
    """Section, name and word of each file of the configuration that no level uses."""
    for group, section in GROUPS.items():
        for path in sorted((CONF / group).glob("*.yaml")):
            if (group, path.stem) not in used and path.stem not in left_out:
                yield section, path.stem, f"{group}={path.stem}"
    known = {key for key, _ in used}
    for name, knob in knobs().items():
        if name not in known and name not in left_out:
            yield KNOBS[knob.changes], name, f"{name}={_first(knob)}"


def _first(knob: Knob) -> str:
    """A value that switches a knob on."""
    if knob.choices:
        return str(knob.choices[0])
    return "true" if knob.type == "bool" else "1"


def _method(
    name: str, section: str, words: tuple[str, ...], content: Mapping[str, Any], root: Path, measured: bool
) -> Method:
    said = words or ("loss=ns",)
    own = next((word for word in reversed(said) if "." not in word.partition("=")[0]), said[-1])
    target, help_text, comments = _described(own)
    docstring = inspect.cleandoc(target.__doc__ or "")
    options = [word.partition("=")[2].strip('"') for word in said]
    shown = content.get("display", {}).get("method", {}).get(name, help_text)
    formula = shown or _row_of(docstring, options) or _summary(docstring)
    papers = papers_of(formula) or papers_of(docstring) or papers_of(comments)
    source = "; ".join(papers) or ("a control of this project" if OWN in " ".join(docstring.split()) else "")
    test = test_of(target, own.partition("=")[0], root)
    return Method(
        name,
        section,
        words,
        _without_papers(formula),
        source,
        _place(target),
        target.__name__,
        test,
        measured,
    )


def _described(word: str) -> tuple[type, str, str]:
    """The class behind a word; a text that describes the word better than the class, or ""; comments of its file."""
    key, _, value = word.partition("=")
    group, _, option = key.partition(".")
    if key in SETTINGS:
        return _class(SETTINGS[key]), "", ""
    if key in knobs():
        knob, comments = knobs()[key], _comments(CONF / "knob" / f"{key}.yaml")
        return _class(knob.target or ALTERNATING), "" if knob.target else knob.help, comments
    file = CONF / group / f"{DEFAULTS[group] if option else value}.yaml"
    content, comments = _loaded(file), _comments(file)
    if option:
        return _class(content["_target_"]), declarations(file)[option].help, comments
    parent = None if "_target_" in content else content["defaults"]
    if parent:  # another size of a network
        content = _loaded(CONF / group / f"{parent[0]}.yaml")
    return _class(content["_target_"]), comments if parent else "", comments


def _loaded(file: Path) -> dict[str, Any]:
    return OmegaConf.to_container(OmegaConf.load(file))  # type: ignore[return-value]


def _class(path: str) -> type:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)  # type: ignore[no-any-return]


def _comments(file: Path) -> str:
    """The comments of a yaml file, without the commands in them."""
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return " ".join(
        line.lstrip("# ") for line in lines if line.startswith("# ") and not line.startswith("#  ")
    )


def _summary(docstring: str) -> str:
    """The first line of a docstring, and the block of formulas below its first paragraph, if there is one."""
    first, *others = re.split(r"\n\s*\n", docstring)
    line = first.splitlines()[0].rstrip(".")
    if others and others[0].startswith("    ") and not set(others[0]) & set("─►│"):
        return f"{line}: {'; '.join(line.strip() for line in others[0].splitlines())}"
    return line


def _row_of(docstring: str, options: list[str]) -> str:
    """The row of a table in a docstring whose first cell is one of these values, with the names of its columns."""
    tables = re.findall(
        r"^[= ]{8,}\n((?:.*\n)+?)[= ]{8,}$(?:\n((?:.+\n)*?)[= ]{8,}$)?", docstring, re.MULTILINE
    )
    for head, body in tables:
        names = re.split(r"\s{2,}", head.strip()) if body else []
        for row in (body or head).splitlines():
            value, *cells = re.split(r"\s{2,}", row.strip())
            if value in options:
                named = [f"{n} = {c}" for n, c in zip(names[1:], cells, strict=True)] if names else cells
                return "; ".join(named)
    return ""


def papers_of(text: str) -> list[str]:
    """The papers that a text names, as "Mescheder et al. 2018", in order and each once."""
    found = PAPER.findall(" ".join(text.split()))
    return list(dict.fromkeys(f"{authors} {year}{arxiv}" for authors, year, arxiv in found))


def _without_papers(text: str) -> str:
    """A text without the parentheses that name papers."""
    return re.sub(rf" ?\([^()]*(?:{PAPER.pattern})[^()]*\)", "", text).strip().rstrip(".")


def _place(target: type) -> str:
    """File of a class in the repository."""
    file = Path(inspect.getfile(target))
    return str(file.relative_to(Path(inspect.getfile(import_module("gcn"))).parents[1]))


def test_of(target: type, word: str, root: Path) -> str:
    """The test file of a class and its word, by the rule of this module; empty where no test names either."""
    module = target.__module__.split(".")[1:]
    mirror = root / "tests" / "/".join(module[:-1]) / f"test_{module[-1]}.py"
    if mirror.is_file() and target.__name__ in mirror.read_text(encoding="utf-8"):
        return str(mirror.relative_to(root))
    near = (f"tests/{'/'.join(module[:-1])}/", "tests/theory/")
    for name in (target.__name__, word):
        named = re.compile(rf"\b{name}\b")  # slower by far than to see that a text has no such letters
        counts = {file: len(named.findall(text)) for file, text in _tests(root).items() if name in text}
        for folders in (near, ("tests/",)):
            own = {file: count for file, count in counts.items() if count and file.startswith(folders)}
            if own:
                return max(own, key=own.__getitem__)
    return ""


@cache
def _tests(root: Path) -> dict[str, str]:
    files = sorted((root / "tests").rglob("test_*.py"))
    return {str(file.relative_to(root)): file.read_text(encoding="utf-8") for file in files}
