"""How every command reads its words: ``name=value`` in any order, each declared in a table, from which help is printed.

A table is a yaml text like the files of ``conf/``: name, default and, behind ``#:``, what the word may be
(:mod:`gcn.schema.fields`). A default of ``???`` must be given, one of ``null`` may be left out:

    files: ???              #: list of path ; images, and folders of images
    out: null               #: path ; file or folder of the output
    jobs: 1                 #: int in [1, 256] ; processes

``series.NAME`` stands for every word that begins with ``series.``. A value is taken as it stands; those of a list are
separated by commas, and the longest part that names an existing file is one value, commas and all.
"""

import difflib
import os
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from gcn.cli.terminal import SMALLER, guarded
from gcn.errors import InputError
from gcn.schema.fields import MISSING, Field, declared, show, suggestion

WIDTH = 110
SPELLINGS = {"o": "out", "output": "out", "hydra.run.dir": "out"}
PLACEHOLDERS = {"path": "PATH", "int": "N", "float": "NUMBER"}


class Command(NamedTuple):
    """What a command is called with.

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
        """Print the help, or check the words and do the work; returns the exit status."""

        def called() -> int:
            if {"-h", "--help"} & set(words[: words.index("--")] if "--" in words else words):
                print(self.help(), end="")
                return 0
            return work(read(self, words))

        return guarded(called, self.smaller)

    def table(self) -> dict[str, tuple[Any, Field]]:
        """Default and field of each word."""
        defaults = yaml.safe_load(self.words)
        fields = declared(self.words, f"the words of {self.name}")
        return {name: (default, fields[name].beside(default)) for name, default in defaults.items()}

    def help(self) -> str:
        """What ``--help`` prints."""
        return layout(self.about, self.examples, {"Words": self.columns()}) + self.more + self._spellings()

    def columns(self) -> str:
        """Its words with their ranges, a line each."""
        return columns(self._rows())

    def _spellings(self) -> str:
        short = "-o PATH is out=PATH, and " if "out" in self.table() else ""
        return f"\n{short}--NAME VALUE is NAME=VALUE; what stands behind -- is no option.\n"

    def _rows(self) -> Iterator[tuple[str, str]]:
        for name, (default, field) in self.table().items():
            given = default not in (None, MISSING)
            value = show(default).strip("[]") if given else PLACEHOLDERS.get(str(field.type), "TEXT")
            remarks = [rule(field), *(["required"] if default == MISSING else [])]
            remarks += [f"{name}= may be left out"] if name in self.bare else []
            yield f"{name}={value}", f"{field.help} ({'; '.join(remarks)})"


class Arguments(dict[str, Any]):
    """The checked value of every word, its default where it was not given.

    Attributes:
        said: the words that were given, as they stood on the command line.
    """

    said: dict[str, str]


def read(command: Command, words: Sequence[str]) -> Arguments:
    """The values that words give to a command.

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
            raise InputError(f"{name}= is missing ({table[name][1].help}); see --help")
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
    """The parts of ``a,b``, each once; the longest part that names an existing file is one, with its commas."""
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
    """The entry of the table that a name belongs to; the name itself where there is none."""
    families = (key for key in table if name.startswith(_family(key) or "=") and name != _family(key))
    return name if name in table else next(families, name)


def _bare(
    command: Command, table: Mapping[str, tuple[Any, Field]], words: list[str], said: Mapping[str, str]
) -> dict[str, Any]:
    """The values of the words without a name."""
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
    """The value of a text. An empty one is refused, but a list that has a default may be emptied."""
    if text == "null" and field.nullable:
        return None
    parts = listed(text) if field.listed else [text]
    if not any(parts) and (not field.listed or default in (None, MISSING)):
        raise field.refusal(name, text)
    values = [_typed(part, field) for part in parts]
    return field.check(name, values if field.listed else values[0])


def _typed(text: str, field: Field) -> Any:
    """The number or truth value that a text stands for, or the text."""
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
    """The help of a command: what it does, examples, then sections by their headings."""
    parts = [f"Examples\n{textwrap.indent(examples.strip(), '  ')}\n"]
    parts += [f"{heading}\n{text}" for heading, text in sections.items()]
    return "\n".join([f"{about.strip()}\n", *parts])


def columns(rows: Iterable[tuple[str, str]]) -> str:
    """Lines of two columns, the right one wrapped."""
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
    """What a field asks for; null is seen from the default that stands beside it."""
    return str(field).removesuffix(" or null")


class Words(NamedTuple):
    """What was said: options by name, files, and the argument of ``-o``."""

    options: dict[str, str]
    files: list[str]
    output: str | None


def parse(words: Sequence[str], known: Mapping[str, str], usage: str) -> Words:
    """Split the words of a command line.

    Args:
        words: as typed.
        known: options and what they are for; an unknown one is refused with the nearest of these.
        usage: a line for the error message.

    Raises:
        InputError: an unknown or doubled option, an empty name, or ``-o`` without a file.
    """
    options: dict[str, str] = {}
    files: list[str] = []
    output = None
    rest = iter(words)
    for word in rest:
        name, sign, value = word.partition("=")
        if word == "--":
            files += rest
        elif word in ("-o", "--output"):
            if output is not None:
                raise InputError(f"{word} was given twice")
            output = next(rest, None)
            if not output:
                raise InputError(f"{word} needs a file behind it; usage: {usage}")
        elif word.startswith(("-o", "--output=")):
            raise InputError(f"{word}: give -o and the name as two words, -o FILE")
        elif word.startswith("-"):
            raise InputError(f"{word} is unknown; a file of that name goes behind --; usage: {usage}")
        elif sign and (name in known or _family_of(name) in known):
            if name in options:
                raise InputError(f"{name}= was given twice")
            options[name] = value
        elif sign and "/" not in name and not os.path.exists(word):
            near = difflib.get_close_matches(name, known, 3) or list(known)
            raise InputError(f"{name}= is unknown; did you mean {', '.join(f'{n}=' for n in near)}?")
        else:
            files.append(word)
    if "" in files:
        raise InputError(f"an input file has an empty name; usage: {usage}")
    return Words(options, files, output)


def _family_of(name: str) -> str:
    """``series.NAME`` stands for all options that begin with ``series.``."""
    return f"{name.partition('.')[0]}.NAME"


def choice(option: str, value: str) -> bool:
    """What an option says that is true or false; InputError for other words."""
    if value not in ("true", "false"):
        raise InputError(f"{option}={value}: give true or false")
    return value == "true"


def run(
    words: Sequence[str],
    known: Mapping[str, str],
    usage: str,
    about: str,
    work: Callable[[Words], int],
    smaller: str = SMALLER,
) -> int:
    """Parse and do the work; returns the exit status (:func:`gcn.cli.terminal.guarded`). ``--help`` needs no imports.

    Args:
        words: of the command line.
        known: options and what they are for.
        usage: a line.
        about: what the command does, a line.
        work: does it, and returns the status.
        smaller: what the user can do when memory runs out.
    """

    def command() -> int:
        said = list(words)
        if {"-h", "--help"} & set(said[: said.index("--")] if "--" in said else said):
            lines = (f"  {name + '=':<14} {what}" for name, what in known.items())
            print("\n".join([about, "", f"usage: {usage}", "", *lines]))
            return 0
        return work(parse(said, known, usage))

    return guarded(command, smaller)
