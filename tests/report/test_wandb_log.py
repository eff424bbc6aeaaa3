import os
import subprocess
import sys
import time
import types

import pytest

from gcn.report.wandb_log import WandbRun

RUN = """
import sys
from gcn.report.wandb_log import WandbRun
assert "wandb" not in sys.modules
run = WandbRun(sys.argv[1], config={"mse": 1, "terms": {"r1": {"every": 16}}})
run.skip_until(10)
for step in (10, 20):
    run.log(step, {"train/g/mse": 0.001220703125 * step, "val/psnr": None})
run.image(20, "panel", sys.argv[2])
run.finish({"verdict": "stable", "psnr": None, "indicators": {"period": None}})
print(run.mode)
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A home without a key, and a network without an answer."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    return tmp_path


def run_it(folder, panel):
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(folder), str(panel)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr.splitlines(), time.monotonic() - started


def panel_file(folder):
    from PIL import Image

    Image.new("RGB", (4, 4)).save(folder / "panel.png")
    return folder / "panel.png"


def test_without_a_key_the_run_is_offline_in_its_own_folder(elsewhere):
    folder = elsewhere / "run"
    for _ in range(2):  # once more: a resumed run
        stdout, lines, _ = run_it(folder, panel_file(elsewhere))
        assert stdout == "offline\n"
        assert len(lines) == 1
        assert "no key" in lines[0]
        assert f"wandb sync {folder}/wandb/offline-run-" in lines[0]
    written = [path.read_bytes() for path in folder.glob("wandb/offline-run-*/*.wandb")]
    run_id = (folder / "wandb_id.txt").read_text().strip().encode()
    assert len(written) == 2
    for data in written:
        assert run_id in data
        assert b"0.0244140625" in data  # the row of step 20
        assert b"0.01220703125" not in data  # that of step 10 was skipped
        assert b"panel" in data
    assert not (elsewhere / "home" / ".netrc").exists()


def test_a_key_without_a_network_is_offline_soon(elsewhere, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    stdout, lines, seconds = run_it(elsewhere / "run", panel_file(elsewhere))
    assert stdout == "offline\n"
    assert "does not answer" in lines[0]
    assert len(lines) == 1
    assert seconds < 40


def test_disabled_does_nothing_at_all(elsewhere, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setitem(sys.modules, "wandb", None)  # an import would raise
    run = WandbRun(elsewhere / "run")
    run.log(1, {"a": 1.0})
    run.image(1, "panel", "nowhere.png")
    run.finish({})
    assert run.mode == "disabled"
    assert not (elsewhere / "run").exists()


class Fake(types.ModuleType):
    """Stands for wandb: what it is asked for in ``inits``, what it is sent in ``rows``."""

    def __init__(self, fails=()):
        super().__init__("wandb")
        self.fails, self.inits, self.rows, self.summary = fails, [], [], {}
        self.settings = types.SimpleNamespace(base_url="http://127.0.0.1:9", sync_dir="here")

    def Settings(self, **_):
        return None

    def setup(self, *_):
        return self

    def teardown(self):
        pass

    def login(self, **_):
        return True

    def init(self, **options):
        self.inits.append(options)
        if options["mode"] in self.fails:
            raise RuntimeError(f"{options['mode']} failed\nat length")
        return self

    def define_metric(self, *_, **__):
        pass

    def log(self, row):
        if "log" in self.fails:
            raise BrokenPipeError("service died")
        self.rows.append(row)

    def finish(self):
        pass


@pytest.fixture
def fake(elsewhere, monkeypatch):
    def install(*fails, reachable=True):
        module = Fake(fails)
        monkeypatch.setitem(sys.modules, "wandb", module)
        monkeypatch.setattr("gcn.report.wandb_log._reachable", lambda _: reachable)
        return module

    return install


def test_a_key_and_a_network_are_online(elsewhere, fake, capsys):
    wandb = fake()
    run = WandbRun(elsewhere / "run", project="study", group="sweep", tags=["a"])
    assert run.mode == "online"
    assert capsys.readouterr().err == ""
    (options,) = wandb.inits
    assert (options["project"], options["group"], options["name"], options["resume"]) == (
        "study",
        "sweep",
        "run",
        "allow",
    )
    run.log(3, {"a": 1.0})
    assert wandb.rows == [{"a": 1.0, "step": 3}]


def test_a_server_that_refuses_leads_offline(elsewhere, fake, capsys):
    wandb = fake("online")
    assert WandbRun(elsewhere / "run").mode == "offline"
    assert [options["mode"] for options in wandb.inits] == ["online", "offline"]
    assert (
        capsys.readouterr().err == "W&B: offline (online failed); to upload the run later: wandb sync here\n"
    )


@pytest.mark.parametrize(("environment", "mode", "becomes"), [
    ("offline", "auto", "offline"),
    ("disabled", "auto", "disabled"),
    ("disabled", "online", "online"),
    (None, "disabled", "disabled"),
    (None, "offline", "offline"),
])  # fmt: skip
def test_the_users_word_comes_before_the_environments(
    elsewhere, fake, monkeypatch, environment, mode, becomes
):
    fake()
    if environment is not None:
        monkeypatch.setenv("WANDB_MODE", environment)
    assert WandbRun(elsewhere / "run", mode=mode).mode == becomes


@pytest.mark.parametrize("failing", [("online", "offline"), ("log",)])
def test_failures_become_one_line(elsewhere, fake, capsys, failing):
    fake(*failing)
    run = WandbRun(elsewhere / "run")
    for step in range(5):
        run.log(step, {"a": 1.0})
    run.finish({})
    assert run.mode == "disabled"
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "metrics.csv" in err


def test_rows_before_the_resume_are_not_sent_again(elsewhere, fake):
    wandb = fake()
    run = WandbRun(elsewhere / "run")
    run.skip_until(20)
    for step in (10, 20, 30):
        run.log(step, {"a": step})
    assert [row["step"] for row in wandb.rows] == [30]
