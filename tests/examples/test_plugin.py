"""The example of a plugin: installed by pip, named on the command line, trained, resumed and compressed with."""

import json
import os
import signal
import subprocess
import sys

import pytest
from PIL import Image
from processes import script

from gcn.commands import hydra_command
from gcn.commands.bench import main as bench
from gcn.commands.compress import main as compress
from gcn.commands.decompress import main as decompress
from gcn.commands.instruments import main as instruments
from gcn.config import assemble
from gcn.config.parse import parse, save
from gcn.errors import Interrupted
from gcn.report.metrics_table import MetricsTable
from gcn.schema import plugins
from gcn.schema.conf_folder import CONF
from gcn.training.fit import train

SCRIPT = CONF.parent / "scripts" / "train.py"
WORDS = [
    "loss=squared_hinge", "data=stripes", "generator=lopsided", "edges=0.5", "mse=1", "data.count=2", "data.crop=32",
    "data.batch=2", "generator.N=8", "generator.decoder=8", "generator.M=8", "discriminator.width=4",
    "discriminator.depth=2", "steps=2", "trainer=cpu", "trainer.threads=1", "logger=csv",
]  # fmt: skip
NAMED = "plugins=[example]"  # the name of the entry point


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder into which pip has installed the example."""
    target = tmp_path_factory.mktemp("installed")
    source = tmp_path_factory.mktemp("source") / "plugin"
    subprocess.run(
        ["cp", "-r", CONF.parent / "examples" / "plugin", source], check=True
    )  # pip builds in the source
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    subprocess.run([*install, "--target", target, source], check=True)
    return target


@pytest.fixture
def installed(place, monkeypatch):
    monkeypatch.syspath_prepend(str(place))
    plugins.installed.cache_clear()
    yield
    plugins.installed.cache_clear()


@pytest.fixture(scope="module")
def run(place, tmp_path_factory):
    """A run of two updates, started as a user does."""
    folder = tmp_path_factory.mktemp("run") / "first"
    trained(place, folder, NAMED, *WORDS, f"out={folder}")
    return folder


def trained(place, folder, *words):
    environment = {"PYTHONPATH": os.pathsep.join([str(place), os.environ.get("PYTHONPATH", "")])}
    done = script(SCRIPT, words, environment=environment, cwd=place)
    said = done.communicate(timeout=600)
    assert done.returncode == 0, said[1]
    return json.loads((folder / "summary.json").read_text())


def test_it_is_listed_and_its_words_are_shown(installed, capfd):
    assert hydra_command.main(["--help"]) == 0
    bare = capfd.readouterr().out
    assert "plugins=[example]" in bare
    assert "squared_hinge" not in bare
    assert hydra_command.main(["--help", NAMED]) == 0
    assert {"edges=null", "lopsided,", "squared_hinge,", "stripes"} <= set(capfd.readouterr().out.split())


def test_it_trains_and_resumes_only_with_its_name(installed, place, run, capfd):
    assert (run / "codec.safetensors").exists()
    assert hydra_command.main([f"resume={run}", "steps=3"]) == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith(f": python scripts/train.py resume={run} steps=3 'plugins=[gcn_example]'\n")
    assert trained(place, run, f"resume={run}", "steps=3", NAMED)["steps"] == 3


def test_the_line_after_a_signal_is_the_whole_command_that_resumes(installed, tmp_path, monkeypatch):
    append = MetricsTable.append

    def signalling(self, step, row):
        os.kill(os.getpid(), signal.SIGTERM)
        append(self, step, row)

    monkeypatch.setattr(MetricsTable, "append", signalling)
    cfg = parse([*WORDS, NAMED, "log_every=1"])
    cfg["run_dir"] = str(tmp_path)
    save(cfg, tmp_path)
    with pytest.raises(Interrupted) as stop:
        train(assemble.plan(cfg))
    assert str(stop.value).endswith(f": python scripts/train.py resume={tmp_path} 'plugins=[gcn_example]'")


def test_benchmarks_and_instruments_open_its_codec_only_with_its_name(installed, run, tmp_path, capsys):
    small = ["codec", f"run={run}", "height=32", "width=32", "repeats=1", "threads=1"]
    assert bench(small) == 2
    assert f"scripts/bench.py {' '.join(small)} 'plugins=[gcn_example]'" in capsys.readouterr().err
    assert bench([*small, NAMED]) == 0
    assert "coder" in capsys.readouterr().out
    exact = ["exact", f"run={run}", f"images={tmp_path}"]
    assert bench([*exact, NAMED]) == 2
    assert "not a codec with a hyperprior" in capsys.readouterr().err
    model = [f"model={run / 'codec.safetensors'}", f"data.root={tmp_path}", f"out={tmp_path / 'out'}"]
    assert instruments(model) == 2
    assert "'plugins=[gcn_example]'" in capsys.readouterr().err
    assert instruments([*model, NAMED]) == 2  # the model is read, and the folder holds no images
    assert "plugins" not in capsys.readouterr().err


def test_its_codec_writes_files_only_with_its_name(installed, run, tmp_path, capfd):
    photo, file, decoded = (tmp_path / name for name in ("a.png", "a.gcn", "b.png"))
    Image.new("RGB", (40, 24), "teal").save(photo)
    assert compress([str(photo), f"out={file}", f"run={run}"]) == 2
    assert f"run={run} 'plugins=[gcn_example]'" in capfd.readouterr().err
    assert not file.exists()
    assert compress([str(photo), f"out={file}", f"run={run}", NAMED]) == 0
    model = f"model={run / 'codec.safetensors'}"
    assert decompress([str(file), f"out={decoded}", model]) == 2
    assert decompress([str(file), f"out={decoded}", model, "--plugins", "gcn_example"]) == 0
    assert Image.open(decoded).size == (40, 24)
