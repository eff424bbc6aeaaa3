"""Types and ranges of settings, declared in the yaml files next to the defaults.

A default says most of it: where ``lr: 1.0e-3`` stands, a number may stand. The rest is a comment that begins
with ``#:``

    lr: 1.0e-3              #: > 0 ; step size
    betas: [0.9, 0.999]     #: list of 2 float in [0, 1)
    clip: null              #: float > 0 ; largest norm of the gradient
    moments: both           #: one of both, lookahead, update
    adv: 1.0                #: >= 0 or one of adaptive
    init_from: null         #: path ; checkpoint to start from
    project: gcn            #: str of 1 to 128 characters without /\\#?%:

so that whoever reads the yaml reads the rule, and whoever adds an option adds no code. Each part is optional:

    [list of [n]] [float|int|bool|str|path|address] [> a|>= a|< a|<= a|in [a, b)|one of a, b, c]
    [of m to n characters] [without characters] [or one of a, b, c] [or null] [; help]

A null default is nullable, and needs a type to be checked at all; ``or null`` makes others so. A path is a string that
names a file or a folder; a run folder remembers where it is, whatever the working directory is later. An address is a
string that says where something is sent or kept; see gcn/config/destinations.py. NaN, infinity and
numbers with which nothing can be computed (1e300) are refused everywhere, true and false are no numbers, a quoted
number is a string, and a float without a fraction (1e4) is an integer where one is asked for.
"""

import difflib
import math
import operator
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from gcn.errors import InputError

MISSING = "???"  # OmegaConf's mark of a value that the user must give
NAMES = {
    "float": "a number",
    "int": "an integer",
    "bool": "true or false",
    "str": "a string",
    "path": "a path",
    "address": "a string",
}
TEXTS = dict.fromkeys(("str", "path", "address"), "str")  # types whose values are strings
LARGEST = {"float": 1e30, "int": 1e15}  # numbers of 32 bits, whose squares are still numbers of 64
COMPARISONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's parser, where PyYAML has it
_REFERENCE = re.compile(r"\$\{(?:oc\.select:)?([\w.]+)(?:,[^{}]*)?\}")
_GRAMMAR = re.compile(
    r"""(?P<listed>list\ of(\ (?P<length>\d+))?)?\s*
        (?P<type>float|int|bool|str|path|address)?\s*
        (of\ (?P<shortest>\d+)\ to\ (?P<longest>\d+)\ characters)?\s*
        (without\ (?P<without>[^\s;]+))?\s*
        (in\ (?P<open>[\[(])(?P<low>[^,]+),\s*(?P<high>[^\])]+)(?P<close>[\])])
         |one\ of\ (?P<choices>.+?)
         |(?P<bounds>([<>]=?\s*\S+\s*)+?))?\s*
        (or\ one\ of\ (?P<words>.+?))?\s*
        (?P<nullable>or\ null)?\s*
        (;\s*(?P<help>.*))?""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Field:
    """Type, range and help of one setting.

    Attributes:
        type: ``float``, ``int``, ``bool``, ``str``, ``path``, ``address``; ``None``: any scalar.
        bounds: pairs (comparison, number) that all hold.
        choices: the only values allowed, if there are any.
        words: values that are allowed beside those of the type and its range.
        listed: a list of such values.
        length: of the list, if it is fixed.
        characters: least and largest number of characters of a string.
        without: characters that may not be in a string.
        nullable: null is a value.
        help: one line for the user.
        source: dotted name of the setting from which the default is taken (``${data.crop}``), if there is one.
    """

    type: str | None = None
    bounds: tuple[tuple[str, float], ...] = ()
    choices: tuple[Any, ...] = ()
    words: tuple[str, ...] = ()
    listed: bool = False
    length: int | None = None
    characters: tuple[int, int] | None = None
    without: str = ""
    nullable: bool = False
    help: str = ""
    source: str = ""

    @classmethod
    def parse(cls, text: str) -> "Field":
        """The field of a declaration in the grammar above; raises ValueError for anything else."""
        match = _GRAMMAR.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"not a declaration of values: {text!r}")
        part = match.groupdict()
        bounds = [
            (sign, float(number)) for sign, number in re.findall(r"([<>]=?)\s*(\S+)", part["bounds"] or "")
        ]
        if part["low"]:
            bounds.append((">=" if part["open"] == "[" else ">", float(part["low"])))
            bounds.append(("<=" if part["close"] == "]" else "<", float(part["high"])))
        return cls(
            type=part["type"],
            bounds=tuple(bounds),
            choices=tuple(yaml.safe_load(f"[{part['choices'] or ''}]")),
            words=tuple((part["words"] or "").replace(",", " ").split()),
            listed=part["listed"] is not None,
            length=int(part["length"]) if part["length"] else None,
            characters=(int(part["shortest"]), int(part["longest"])) if part["shortest"] else None,
            without=part["without"] or "",
            nullable=part["nullable"] is not None,
            help=part["help"] or "",
        )

    @classmethod
    def like(cls, default: Any) -> "Field":
        """The field that a default value implies for the values that may replace it."""
        if isinstance(default, list):
            kinds = {type(value).__name__ for value in default}
            kind = "float" if kinds == {"int", "float"} else kinds.pop() if len(kinds) == 1 else None
            return cls(type=kind if kind in NAMES else None, listed=True)
        kind = type(default).__name__
        return cls(type=kind if kind in NAMES and default != MISSING else None, nullable=default is None)

    def beside(self, default: Any) -> "Field":
        """The declaration, completed by the type of the default."""
        like = Field.like(default)
        return replace(
            self,
            type=self.type or (None if self.choices else like.type),
            listed=self.listed or like.listed,
            nullable=self.nullable or like.nullable,
        )

    def __str__(self) -> str:
        """Type and range in words, for messages."""
        if self.choices:
            text = f"one of {', '.join(map(str, self.choices))}"
        else:
            text = NAMES.get(self.type or "", "a plain value")
            text += " and".join(f" {sign} {number:g}" for sign, number in self.bounds)
            text += " of {} to {} characters".format(*self.characters) if self.characters else ""
            text += f" without any of {self.without}" if self.without else ""
        if self.listed:
            text = f"a list{f' of {self.length}' if self.length else ''}, each {text}"
        *others, last = [text, *self.words, *(["null"] if self.nullable else [])]
        return f"{', '.join(others)} or {last}" if others else last

    def check(self, name: str, value: Any) -> Any:
        """The value in its type, an integer as a float for instance; raises InputError if it is out of range."""
        if value is None and self.nullable:
            return None
        if isinstance(value, str) and value in self.words:
            return value
        if not self.listed:
            return self._scalar(name, value, value)
        if not isinstance(value, list) or self.length not in (None, len(value)):
            raise self.refusal(name, value)
        return [self._scalar(name, entry, value) for entry in value]

    def accepts(self, value: Any) -> bool:
        """Whether :meth:`check` accepts the value."""
        try:
            self.check("", value)
        except InputError:
            return False
        return True

    def _scalar(self, name: str, value: Any, whole: Any) -> Any:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        largest = LARGEST.get(str(self.type), math.inf)
        if number and math.inf > abs(value) > largest:
            raise InputError(
                f"{name}={_short(show(whole))}: too large to compute with; give at most {largest:g}"
            )
        if (number and not _finite(value)) or value is None or isinstance(value, dict | list):
            raise self.refusal(name, whole)
        if self.choices:
            if not any(value == choice and type(value) is type(choice) for choice in self.choices):
                raise self.refusal(name, whole)
            return value
        if self.type == "float" and number:
            value = float(value)
        elif self.type == "int" and number and float(value).is_integer():
            value = int(value)  # steps=1e4
        elif self.type in TEXTS and isinstance(value, int) and number:
            value = str(value)  # logger.group=7
        elif self.type is not None and type(value).__name__ != TEXTS.get(self.type, self.type):
            raise self.refusal(name, whole)
        if isinstance(value, str) and not self._fits(value):
            raise self.refusal(name, whole)
        if not all(COMPARISONS[sign](value, bound) for sign, bound in self.bounds):
            raise self.refusal(name, whole)
        return value

    def _fits(self, text: str) -> bool:
        least, most = self.characters or (int(self.type == "path"), len(text))  # an empty path is no folder
        return least <= len(text.strip()) and len(text) <= most and not set(text) & set(self.without)

    def refusal(self, name: str, value: Any) -> InputError:
        """The InputError for a value that is out of range."""
        return InputError(f"{name}={show(value)}: must be {self}" + (f" ({self.help})" if self.help else ""))


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of more digits than any float has
        return False


def show(value: Any) -> str:
    """A value as it is written on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, str) and _looks_like_a_number(value):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{show(entry)}" for key, entry in value.items()) + "}"
    return f"[{','.join(map(show, value))}]" if isinstance(value, list) else str(value)


def _short(text: str) -> str:
    return text if len(text) < 40 else f"{text[:20]}…"


def _looks_like_a_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def declarations(path: Path, below: str = "") -> dict[str, Field]:
    """The ``#:`` comments of a yaml file: dotted path of the setting to its field.

    Args:
        path: the file.
        below: only what stands under this top-level key, with paths that start there.
    """
    state = path.stat()
    fields = _declarations(path, state.st_mtime_ns, state.st_size)
    if not below:
        return dict(fields)
    return {
        name.removeprefix(f"{below}."): field
        for name, field in fields.items()
        if name.startswith(f"{below}.")
    }


@cache
def _declarations(path: Path, _changed: int, _size: int) -> Mapping[str, Field]:
    """A file is read again when it has changed, for many choices share it and PyYAML is slow."""
    return declared(path.read_text(encoding="utf-8"), str(path))


def declared(text: str, where: str) -> dict[str, Field]:
    """The ``#:`` comments of a yaml text: dotted name of the setting to its field; ``where`` names it in errors."""
    lines, fields = text.splitlines(), {}
    for name, node in _leaves(yaml.compose(text, Loader=_LOADER)):
        end = node.end_mark
        comment = re.match(r"\s*#:(.*)", lines[end.line][end.column :]) if end.line < len(lines) else None
        if comment:
            try:
                fields[name] = replace(Field.parse(comment[1]), source=_source(node))
            except ValueError as error:
                raise InputError(f"{where}, line {end.line + 1}: {error}") from None
    return fields


def _source(node: yaml.Node) -> str:
    reference = _REFERENCE.fullmatch(str(node.value))
    return reference[1] if reference else ""


def _leaves(node: yaml.Node | None, prefix: str = "") -> Iterator[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _leaves(value, f"{prefix}.{key.value}" if prefix else str(key.value))
    elif node is not None:
        yield prefix, node


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known dotted names most similar to a name, as a whole or in their last part."""
    leaf = name.rpartition(".")[2]

    def likeness(other: str) -> float:
        whole = difflib.SequenceMatcher(None, name, other).ratio()
        last = difflib.SequenceMatcher(None, leaf, other.rpartition(".")[2]).ratio()
        return max(whole, 0.95 * last)

    scored = sorted(((likeness(other), other) for other in set(known)), key=lambda pair: (-pair[0], pair[1]))
    return [other for score, other in scored[:count] if score >= max(0.6, scored[0][0] - 0.15)]


def suggestion(name: str, known: Iterable[str], otherwise: str = "see --help") -> str:
    """Text after an unknown name: similar names, or ``otherwise``."""
    near = nearest(name, known)
    return f"nearest: {', '.join(near)}" if near else otherwise


def at(tree: Mapping[str, Any], name: str) -> Any:
    """The value under a dotted name; None if there is none."""
    value: Any = tree
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def put(tree: dict[str, Any], name: str, value: Any) -> None:
    """Set the value under a dotted name."""
    *parents, leaf = name.split(".")
    for part in parents:
        tree = tree.setdefault(part, {})
    tree[leaf] = value


def paths(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted names of all settings in a configuration."""
    for key, value in tree.items():
        if not str(key).startswith("_"):
            name = f"{prefix}.{key}" if prefix else str(key)
            if isinstance(value, dict):
                yield from paths(value, name)
            else:
                yield name
