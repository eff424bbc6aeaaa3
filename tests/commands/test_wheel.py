"""An installed wheel, used outside of the checkout: without extras it codes images, with those of train it trains."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scripting import picture

from gcn.cli.extras import EXTRAS

ROOT = Path(__file__).parents[2]

# An interpreter in which none of the extras is installed, as after `pip install gcn`.
BARE = f"""
import sys
from importlib.machinery import PathFinder
class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] not in {sorted({module for modules in EXTRAS.values() for module in modules})!r}:
            return super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Bare
sys.argv[0] = "gcn"
from gcn.commands.program import main
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder in which the wheel of this checkout is installed, and nothing else."""
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name in ("gcn", "conf"):  # a copy: the build leaves files behind
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", build], cwd=source, stdout=subprocess.DEVNULL, check=True
    )
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    (built,) = (source / "dist").glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-compile", "--target", site, built], check=True)
    return site


@pytest.fixture
def call(site, tmp_path):
    """Runs a command line in an empty folder, where the package is that of the wheel."""

    def call(*words):
        environment = {**os.environ, "PYTHONPATH": str(site), "WANDB_MODE": "offline"}
        return subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return call


def test_the_wheel_has_all_of_conf(site):
    def names(folder):
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    assert names(site / "gcn" / "conf") == names(ROOT / "conf")


def test_the_command_lists_its_commands(call, site):
    done = call(site / "bin" / "gcn", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "  gcn compress photo.png " in done.stdout


def test_without_extras_images_are_coded_and_what_is_missing_is_named(call, site, tmp_path):
    picture(40, 56).save(tmp_path / "a.png")
    code = BARE + (
        "import gcn\n"
        f"assert gcn.__file__.startswith({str(site)!r}), gcn.__file__\n"
        "assert main(['compress', 'a.png']) == 0\n"
        "assert main(['decompress', 'a.gcn', 'out=b.png']) == 0\n"
        "from gcn.commands.later_imports import COMPILER, is_loaded\n"
        "assert not is_loaded(COMPILER)  # whose import takes as long as torch itself\n"
        "assert main(['scan', '.', 'crop=32']) == 0\n"
        "assert main(['train', 'loss=ns', 'mse=1']) == 2\n"
        "assert main(['export', 'run=nowhere', 'out=c.safetensors']) == 2\n"
    )
    done = call(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    missing, nowhere = done.stderr.splitlines()
    assert missing == 'error: hydra is not installed, and this needs it; pip install "gcn[train]"'
    assert nowhere == "error: run=nowhere: not a run folder; give one that gcn train wrote"
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.gcn", "b.png"}


def test_a_run_becomes_a_page_by_the_templates_of_the_wheel_and_without_torch(call, site, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.csv").write_text("step,train/g/mse\n1,4.0\n2,2.0\n")
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv[0] = 'gcn'; from gcn.commands.program import main"
    )
    done = call(sys.executable, "-c", f"{code}; sys.exit(main(['report', 'run']))")
    assert (done.returncode, done.stdout, done.stderr) == (0, "run/report.html\n", "")
    page = (tmp_path / "run" / "report.html").read_text()
    for part in ("<svg viewBox", "prefers-color-scheme", '"use strict"', 'download="metrics.csv"'):
        assert part in page, part


@pytest.mark.slow
def test_the_wheel_trains(call, site, tmp_path):
    done = call(
        site / "bin" / "gcn", "train", "loss=ns", "mse=1", "steps=2", "data.crop=32", "data.batch=2",
        "data.dead_leaves=0", "data.scales=[0.35]", "logger=csv", "generator.N=8", "generator.M=8",
        "discriminator.width=4", "discriminator.depth=2", "out=run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "codec.safetensors").is_file()
    said = [line for line in done.stderr.replace("\r", "\n").splitlines() if line]
    assert [line for line in said if not line.startswith("training:")] == []  # nor do imports say anything
