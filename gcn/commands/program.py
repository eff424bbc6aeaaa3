"""The command ``gcn NAME WORDS…``: a table of all commands. ``scripts/NAME.py`` calls the same code.

A command's module is imported when it is called, so that the list of commands takes no time.
"""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import gcn
from gcn.cli.invocation import program
from gcn.cli.terminal import guarded
from gcn.errors import InputError

COMMANDS = {
    "compress": "compress images to .gcn files, with a model that ships or the codec of a run",
    "decompress": "decode .gcn files to images",
    "train": "train a generative compression network",
    "evaluate": "rate, distortion and realism of codecs on whole images, as a page",
    "export": "write the codec of a run as a model file",
    "convert": "published weights of other projects as a model file",
    "scan": "say which images of a folder training can use",
    "report": "one run or several as an HTML page",
    "table": "print verdicts and numbers of runs as a table",
    "lab": "train a small game of the theory, with its eigenvalues",
    "spectrum": "eigenvalues of a trained codec's game",
    "exponent": "how fast small differences grow in a run's training",
    "margin": "the largest learning rate at which a game still works",
    "study": "plan, train, resume and report a study",
    "labeller": "sort image patches into classes, the labels of loss=oasis",
    "board": "show a study in Weights & Biases",
}
PROJECT = {
    "methods": "write the table of all methods, docs/methods.md",
    "registered": "decide the registered contrasts of the margin study, or simulate them",
    "instruments": "validate the metrics of realism on degraded photographs",
    "features": "train the network of patch features that comes with the package",
    "bench": "measure what code costs",
}  # for pages and files of the repository itself; of use in a checkout


def main(words: Sequence[str] | None = None) -> int:
    """Run ``gcn NAME WORDS…``; returns the exit status. The words are by default those of the command line."""
    words = sys.argv[1:] if words is None else words
    return guarded(lambda: _main(words))


def run(name: str, words: Sequence[str]) -> int:
    """Run the command of that name; returns the exit status."""

    def work() -> int:
        if name in ("train", "lab"):
            from gcn.commands.hydra_command import main as hydra_main
            from gcn.config.offered import LAB, TRAIN

            return hydra_main(words, root=LAB if name == "lab" else TRAIN)
        return import_module(f"gcn.commands.{name}").main(words)  # type: ignore[no-any-return]

    return guarded(work)


def _main(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(help_text(), end="")
        return 0
    if words[0] == "--version":
        print(f"gcn {gcn.__version__}")
        return 0
    if words[0] in COMMANDS or words[0] in PROJECT:
        return run(words[0], words[1:])
    from gcn.schema.fields import suggestion

    known = [*COMMANDS, *PROJECT]
    raise InputError(f"{words[0]}: no such command; {suggestion(words[0], known)}; see {_name()} --help")


def help_text() -> str:
    """The text of ``gcn --help``: all commands with a line each."""
    name = _name()
    return f"""\
Generative compression networks: train them, measure their stability, compress images with them.

Examples
  {name} compress photo.png                      photo.gcn beside it
  {name} train loss=ns mse=1                     train on photographs that come with scikit-image
  {name} compress --help                         the words of a command

Commands
{_lines(COMMANDS)}
Commands for the repository itself, to be run in a checkout
{_lines(PROJECT)}
{name} --version prints the version. In a checkout python scripts/NAME.py is {name} NAME.
"""


def _name() -> str:
    return " ".join(program() or ("gcn",))


def _lines(commands: Mapping[str, str]) -> str:
    return "".join(f"  {name:<12} {about}\n" for name, about in commands.items())
