"""scripts/methods.py: the page docs/methods.md from the configuration, the lab and the stored runs."""

from collections.abc import Sequence
from pathlib import Path

from gcn.cli.arguments import Arguments, Command
from gcn.errors import InputError
from gcn.files.atomic import write_text

COMMAND = Command(
    name="methods",
    about="Write the table of all methods: source, formula, code, test, small game, margins on a codec.",
    examples="""
python scripts/methods.py                                into docs/methods.md
""",
    words="""\
table: docs/study/methods        #: path ; folder of the runs of study=methods
out: docs/methods.md             #: path ; file
""",
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, work)


def work(said: Arguments) -> int:
    """Write the page as the arguments say; returns the exit status."""
    out = Path(said["out"])
    if not (Path("tests").is_dir() and Path("conf").is_dir()):
        raise InputError(
            "no folders tests and conf here: the table names the tests of a checkout; call it there"
        )
    write_text(out, text(Path.cwd(), Path(said["table"])))
    print(out)
    return 0


def text(root: Path, table: Path) -> str:
    """The text of the page; ``root`` is the checkout, ``table`` the folder of the runs, which may not exist yet."""
    from gcn.commands.method_spectra import DISTORTION, RATE, STEPS, STRENGTH, leading
    from gcn.files.reading import read_yaml
    from gcn.study import table as runs
    from gcn.study.methods import catalogue, methods_page

    methods = catalogue.catalogue(root)
    spectra = {method.name: (leading(method), leading(method, DISTORTION)) for method in methods}
    rows = runs.read(table) if runs.names(table) else []
    settings = {"rate": RATE, "strength": STRENGTH, "distortion": DISTORTION, "steps": STEPS}
    return methods_page.page(methods, spectra, rows, read_yaml(catalogue.FILE), settings)
