"""Help and errors name the form by which the user called, and scripts, program and package have the same commands."""

import ast
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from gcn.cli import extras
from gcn.cli.extras import EXTRAS, remedy
from gcn.cli.invocation import as_called, called, starting
from gcn.cli.quoting import resuming
from gcn.commands import program
from gcn.schema.conf_folder import conf_folder

ROOT = Path(__file__).parents[2]
CORE = {"torch", "numpy", "PIL", "constriction", "safetensors", "yaml"}
OF_TORCH = {"jinja2"}  # which torch needs


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("scripts/compress.py", ("python", "scripts/train.py")),
        ("/usr/local/bin/gcn", ("gcn", "train")),
        ("Scripts/gcn.exe", ("gcn", "train")),
        ("/somewhere/gcn/__main__.py", ("python", "-m", "gcn", "train")),
        ("/somewhere/pytest", ("python", "scripts/train.py")),  # of a checkout
    ],
)
def test_the_form_of_the_call(path, form, monkeypatch):
    monkeypatch.setattr(sys, "argv", [path, "loss=ns"])
    assert called("train") == form
    assert resuming("runs/a") == f"{' '.join(form)} resume=runs/a"
    script = form[1].startswith("scripts")
    assert (
        as_called("written by scripts/train.py")
        == f"written by {'scripts/train.py' if script else ' '.join(form)}"
    )
    assert as_called("python scripts/train.py loss=ns") == f"{' '.join(form)} loss=ns"


def test_another_process_has_the_same_package(monkeypatch):
    monkeypatch.setattr(sys, "path", ["/nowhere"])
    assert starting("lab") == [sys.executable, "-P", "-m", "gcn", "lab"]
    monkeypatch.setattr(sys, "path", ["", "/nowhere"])
    assert starting("lab") == [sys.executable, "-m", "gcn", "lab"]


def test_every_script_is_a_command_and_every_command_a_script():
    assert {path.stem for path in (ROOT / "scripts").glob("*.py")} == {*program.COMMANDS, *program.PROJECT}


def test_the_program_answers_in_one_line(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gcn"])
    assert program.main(["copress"]) == 2
    assert (
        capsys.readouterr().err
        == "error: copress: no such command; nearest: compress, decompress; see gcn --help\n"
    )
    assert program.main([]) == program.main(["-h"]) == program.main(["--version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 110


def test_conf_is_found_beside_the_package_and_inside(tmp_path):
    assert conf_folder(tmp_path / "gcn") == tmp_path / "conf"
    (tmp_path / "gcn" / "conf").mkdir(parents=True)
    assert conf_folder(tmp_path / "gcn") == tmp_path / "gcn" / "conf"


def test_every_import_is_of_the_core_or_of_an_extra():
    modules = set()
    for path in (ROOT / "gcn").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add((node.module or "").partition(".")[0])
    optional = {module for names in EXTRAS.values() for module in names}
    assert modules - sys.stdlib_module_names - {"gcn"} <= CORE | OF_TORCH | optional
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(EXTRAS) <= set(declared["optional-dependencies"])
    assert len(declared["dependencies"]) == len(CORE)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    assert remedy(ModuleNotFoundError(name="json.nothing")) is None
    assert (
        remedy(ModuleNotFoundError(name="ray.util"))
        == 'ray is not installed, and this needs it; pip install "gcn[ray]"'
    )
    monkeypatch.setattr(extras, "distribution", distribution_of_none)
    assert extras.install("ray") == 'pip install -e ".[ray]"'


def distribution_of_none(name):
    raise PackageNotFoundError(name)


def test_the_lock_agrees_with_the_constraints():
    def versions(name):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        found = [line.removesuffix(" \\").split("==") for line in lines if re.match(r"[A-Za-z]", line)]
        return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in found}

    lock, constraints = versions("requirements.lock"), versions("constraints.txt")
    assert {name: lock[name] for name in lock.keys() & constraints.keys()} == {
        name: constraints[name] for name in lock.keys() & constraints.keys()
    }
    assert {"torch", "compressai", "lightning"} <= lock.keys() & constraints.keys()
