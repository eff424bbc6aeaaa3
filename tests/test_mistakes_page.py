"""docs/mistakes.md: what the commands of the page answer is what the page says.

As a program it writes the answers anew: ``python tests/test_mistakes_page.py``.
"""

import contextlib
import io
import os
import shlex
import shutil
import tempfile
from pathlib import Path
from unittest import mock

from scripting import picture

from gcn.commands.program import main
from gcn.config.offered import stamp
from gcn.config.parse import parse, save

PAGE = Path(__file__).parents[1] / "docs" / "mistakes.md"
HOME = "/home/me"
START = "    $ "


def prepare(folder):
    """The files that the page's commands speak of."""
    for name in ("photo.png", "photos/photo.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        picture(40, 56).save(folder / name)
    (folder / "papers").mkdir()
    (folder / "papers" / "notes.txt").write_text("a text\n")
    (folder / "run").mkdir()
    save(parse(["loss=ns", "mse=1"]), folder / "run")
    assert answer("gcn compress photo.png") == (0, "")
    (folder / "cut.gcn").write_bytes((folder / "photo.gcn").read_bytes()[:-20])


def answer(line):
    """Exit status of a command line, and what it prints as errors."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(shlex.split(line)[1:])
    return status, err.getvalue()


def answers(lines):
    """The answer to each command line; nothing that exists may change, and no training may begin."""
    found = {}
    where = os.getcwd()
    with tempfile.TemporaryDirectory() as name, mock.patch("sys.argv", ["gcn"]):
        folder = Path(name).resolve()
        os.chdir(folder)
        try:
            prepare(folder)
            before = sorted(folder.rglob("*"))
            with mock.patch("gcn.training.fit._train", side_effect=AssertionError("a training has begun")):
                for line in lines:
                    status, said = answer(line)
                    assert status == 2, (line, status, said)
                    shutil.rmtree("outputs", ignore_errors=True)  # of a run that ended as it read its data
                    stamp.cache_clear()
                    assert sorted(folder.rglob("*")) == before, line
                    found[line] = said.replace(str(folder), HOME)
        finally:
            os.chdir(where)
    return found


def commands(text):
    return [line.removeprefix(START) for line in text.splitlines() if line.startswith(START)]


def filled(text, said):
    """The page with these answers."""
    kept = [line for line in text.splitlines() if not line.startswith("    ") or line.startswith(START)]
    lines = []
    for line in kept:
        lines.append(line)
        if line.startswith(START):
            lines += [f"    {one}" for one in said[line.removeprefix(START)].splitlines()]
    return "\n".join(lines) + "\n"


def test_each_mistake_is_answered_as_the_page_says():
    text = PAGE.read_text(encoding="utf-8")
    assert len(set(commands(text))) == len(commands(text)) >= 28
    said = answers(commands(text))
    for line, one in said.items():
        assert one.startswith("error: "), line
        assert one.count("\n") == 1, line
    assert filled(text, said) == text


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled(page, answers(commands(page))), encoding="utf-8")
