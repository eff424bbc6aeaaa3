"""How every command reads its words: ``name=value`` in any order, each declared in a table, from which help is printed.

A table is a yaml text like the files of ``conf/``: name, default and, behind ``#:``, what the word may be
(:mod:`gcn.schema.fields`). A default of ``???`` must be given, one of ``null`` may be left out:

    files: ???              #: list of path ; images, and folders of images
    out: null               #: path ; file or folder of the output
    jobs: 1                 #: int in [1, 256] ; processes

``series.NAME`` stands for every word that begins with ``series.``. A value is taken as it stands; those of a list are
separated by commas, and the longest part that names an existing file is one value, commas and all.
"""

import os
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from gcn.cli.invocation import as_called, called
from gcn.cli.terminal import SMALLER, guarded
from gcn.errors import InputError
from gcn.schema.fields import MISSING, Field, declared, show, suggestion

WIDTH = 110
SPELLINGS = {"o": "out", "output": "out", "hydra.run.dir": "out"}
PLACEHOLDERS = {"path": "PATH", "int": "N", "float": "NUMBER"}


class Command(NamedTuple):
    """A command: its description, examples, arguments with their ranges, and the function that does the work.

    Attributes:
        name: of the script.
        about: what it does, a line.
        examples: lines of its help, without indentation.
        words: table of its words.
        bare: words whose name may be left out, in this order; the last one, if it is a list, takes all the rest.
        spellings: older names of words.
        smaller: what the user can do when memory runs out.
        more: sections of the help behind the words.
    """

    name: str
    about: str
    examples: str
    words: str
    bare: tuple[str, ...] = ()
    spellings: Mapping[str, str] = {}
    smaller: str = SMALLER
    more: str = ""

    def run(self, words: Sequence[str], work: Callable[["Arguments"], int]) -> int:
        """Print the help, or check the arguments and do the work; returns the exit status."""

        def checked() -> int:
            if {"-h", "--help"} & set(words[: words.index("--")] if "--" in words else words):
                print(self.help(), end="")
                return 0
            return work(read(self, words))

        return guarded(checked, self.smaller, (*called(self.name), *words))

    def table(self) -> dict[str, tuple[Any, Field]]:
        """Default and field of each argument, by name."""
        defaults = yaml.safe_load(self.words)
        fields = declared(self.words, f"the words of {self.name}")
        return {name: (default, fields[name].beside(default)) for name, default in defaults.items()}

    def help(self) -> str:
        """The text of ``--help``."""
        return (
            layout(self.about, self.examples, {"Words": self.columns()})
            + as_called(self.more)
            + self._spellings()
        )

    def columns(self) -> str:
        """The arguments with their ranges, one line each."""
        return columns(self._rows())

    def _spellings(self) -> str:
        short = "-o PATH is out=PATH, and " if "out" in self.table() else ""
        return f"\n{short}--NAME VALUE is NAME=VALUE; words after -- are never options.\n"

    def _rows(self) -> Iterator[tuple[str, str]]:
        for name, (default, field) in self.table().items():
            given = default not in (None, MISSING)
            value = show(default).strip("[]") if given else PLACEHOLDERS.get(str(field.type), "TEXT")
            remarks = [rule(field), *(["required"] if default == MISSING else [])]
            remarks += [f"{name}= may be left out"] if name in self.bare else []
            yield f"{name}={value}", f"{field.help} ({'; '.join(remarks)})"


class Arguments(dict[str, Any]):
    """The checked value of each argument, or its default.

    Attributes:
        said: the words that were given, as they stood on the command line.
    """

    said: dict[str, str]


def read(command: Command, words: Sequence[str]) -> Arguments:
    """The checked arguments of a command, from the words of its command line.

    Raises:
        InputError: a word that is unknown, doubled, missing or out of its range.
    """
    table, bare = command.table(), list[str]()
    said: dict[str, str] = {}
    for name, value in _pairs(command, table, words):
        if not name:
            bare.append(value)
        elif name in said:
            raise InputError(f"{name}= was given twice")
        else:
            said[name] = value
    found = Arguments({name: default for name, (default, _) in table.items() if not _family(name)})
    for name, text in said.items():
        found[name] = _checked(name, text, *table[_key(name, table)])
    found.said = {name: text for name, text in said.items() if found[name] is not None}
    found |= _bare(command, table, bare, said)
    for name, value in found.items():
        if value == MISSING:
            raise InputError(f"{name}= is missing ({as_called(table[name][1].help)}); see --help")
    return found


def spelled(
    words: Sequence[str], named: Callable[[str], bool], switches: Sequence[str] = ()
) -> Iterator[str]:
    """The words with ``--name value`` and ``-o value`` written as ``name=value``, as far as the name is one.

    Args:
        words: of the command line.
        named: whether a name is one of the command's.
        switches: names that need no value behind them, for true.
    """
    rest = iter(words)
    for word in rest:
        if word == "--":
            yield from (word, *rest)
            return
        name, sign, value = word.lstrip("-").partition("=")
        name = SPELLINGS.get(name, name.replace("-", "_"))
        if not re.match(r"--\w|-o(=|$)", word) or not named(name):
            yield word
            continue
        if not sign and name in switches:
            value = "true"
        elif not sign and not (value := next(rest, "")):
            raise InputError(f"{word} needs a value behind it; or write {name}=VALUE")
        yield f"{name}={value}"


def listed(text: str | None) -> list[str]:
    """The parts of ``a,b``, each once; a part that names an existing file may contain commas."""
    parts, found = (text or "").split(","), list[str]()
    while parts:
        lengths = range(len(parts), 1, -1)
        length = next((n for n in lengths if os.path.exists(",".join(parts[:n]))), 1)
        found.append(",".join(parts[:length]))
        parts = parts[length:]
    return list(dict.fromkeys(part for part in found if part))


def _pairs(command: Command, table: Mapping[str, Any], words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names and values of the words; a word without a name has an empty one."""
    others = {**SPELLINGS, **command.spellings}
    switches = [name for name, (_, field) in table.items() if field.type == "bool"]
    ended = False
    for word in spelled(words, lambda name: others.get(name, name) in table, switches):
        name, sign, value = word.lstrip("+").partition("=")
        name = others.get(name, name)
        if ended or word == "--":
            if ended:
                yield "", word
            ended = True
        elif word.startswith("-"):
            behind = "; what begins with - and is no option goes behind --" if command.bare else ""
            raise InputError(f"{word}: unknown; {suggestion(word.lstrip('-'), table)}{behind}")
        elif sign and _key(name, table) in table:
            yield name, value
        elif sign and not (command.bare and ("/" in name or os.path.exists(word))):
            raise InputError(f"{name}: unknown; {suggestion(name, table)}")
        elif command.bare:
            yield "", word
        else:
            raise InputError(f"{word}: not readable; write key=value; {suggestion(word, table)}")


def _family(name: str) -> str:
    """``series.`` of ``series.NAME``."""
    return name.removesuffix("NAME") if name.endswith(".NAME") else ""


def _key(name: str, table: Mapping[str, Any]) -> str:
    """The name in the table that an argument belongs to; the argument's own name if there is none."""
    families = (key for key in table if name.startswith(_family(key) or "=") and name != _family(key))
    return name if name in table else next(families, name)


def _bare(
    command: Command, table: Mapping[str, tuple[Any, Field]], words: list[str], said: Mapping[str, str]
) -> dict[str, Any]:
    """Values of the arguments without a name."""
    found: dict[str, Any] = {}
    for name in command.bare:
        field = table[name][1]
        if not words or (name in said and not field.listed):
            continue
        if name in said:
            raise InputError(f"{name}= was given twice")
        own, words = (words, []) if field.listed else (words[:1], words[1:])
        if "" in own:
            raise field.refusal(name, "")
        found[name] = field.check(name, own if field.listed else own[0])
    if words:
        raise InputError(f"{words[0]}: one word too many; see --help")
    return found


def _checked(name: str, text: str, default: Any, field: Field) -> Any:
    """The value of an argument's text. Empty text is refused, except for a list that has a default."""
    if text == "null" and field.nullable:
        return None
    parts = listed(text) if field.listed else [text]
    if not any(parts) and (not field.listed or default in (None, MISSING)):
        raise field.refusal(name, text)
    values = [_typed(part, field) for part in parts]
    return field.check(name, values if field.listed else values[0])


def _typed(text: str, field: Field) -> Any:
    """The number or truth value that a text represents, or the text."""
    if field.type == "bool" and text in ("true", "false"):
        return text == "true"
    if field.type in ("bool", "int", "float") and text.isascii() and text == text.strip():
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
    return text


def layout(about: str, examples: str, sections: Mapping[str, str]) -> str:
    """The help of a command: description, examples, then sections with their headings."""
    parts = [f"Examples\n{textwrap.indent(examples.strip(), '  ')}\n"]
    parts += [f"{heading}\n{text}" for heading, text in sections.items()]
    return as_called("\n".join([f"{about.strip()}\n", *parts]))


def columns(rows: Iterable[tuple[str, str]]) -> str:
    """Text in lines of two columns, the right one wrapped."""
    return "".join(
        textwrap.fill(
            f"  {left:<23} {right}",
            WIDTH,
            subsequent_indent=26 * " ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        + "\n"
        for left, right in rows
    )


def rule(field: Field) -> str:
    """Type and range of a field in words; null is explained by the default beside it."""
    return str(field).removesuffix(" or null")
