import json
import os
import struct
import sys
import time
import types
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import script

from gcn.report import wandb_environment, wandb_file
from gcn.report.metrics_table import MetricsTable
from gcn.report.wandb_log import WandbRun

RUN = """
import sys
from pathlib import Path
from gcn.report.wandb_log import WandbRun
assert "wandb" not in sys.modules
run = WandbRun(sys.argv[1], config={"mse": 1, "terms": {"r1": {"every": 16}}})
run.log(20, {"train/g/mse": 0.001220703125 * 20, "val/psnr": None}, {"panel": Path(sys.argv[2])})
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
    process = forked(RUN, folder, panel)
    out, err = process.communicate(60)
    assert process.returncode == 0, err
    return out, err.splitlines(), time.monotonic() - started


def forked(text, folder, *words):
    """A process that executes a program of which the folder is the first word."""
    program = folder.parent / "program.py"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(text)
    return script(program, [str(folder), *map(str, words)])


def panel_file(folder):
    from PIL import Image

    Image.new("RGB", (4, 4)).save(folder / "panel.png")
    return folder / "panel.png"


def test_without_a_key_the_run_is_offline_in_its_own_folder(elsewhere):
    folder = elsewhere / "run"
    stdout, lines, _ = run_it(folder, panel_file(elsewhere))
    assert stdout == "offline\n"
    assert len(lines) == 1
    assert "no key" in lines[0]
    assert f"wandb sync {folder}/wandb/offline-run-" in lines[0]
    (written,) = [path.read_bytes() for path in folder.glob("wandb/offline-run-*/*.wandb")]
    assert (folder / "wandb_id.txt").read_text().strip().encode() in written
    assert b"0.0244140625" in written
    assert b"panel" in written
    assert not (elsewhere / "home" / ".netrc").exists()


LOGGED = """
import sys, time
from gcn.report.metrics_table import MetricsTable
from gcn.report.wandb_log import WandbRun
table, run = MetricsTable(sys.argv[1] + "/metrics.csv"), WandbRun(sys.argv[1])
rows, first, last = table.rows(), int(sys.argv[2]), int(sys.argv[3])
if rows:
    run.go_on([row for row in rows if row["step"] <= first], rows[-1]["step"], lambda step: {})
    table.resume_at(first)
for step in range(first + 1, last + 1):
    row = {"loss": 1 / step, "padding": 10.0**-step}
    table.append(step, row)
    run.log(step, row)
    time.sleep(0.0005)
if last < 500:
    print("here", flush=True)
    time.sleep(60)
run.finish({})
"""


@pytest.mark.slow
def test_after_kill_9_the_files_of_wandb_hold_each_row_once(elsewhere):
    """The killed process has rows beyond the checkpoint that the second one goes on from."""
    folder = elsewhere / "run"
    folder.mkdir()
    lost = 0
    for first, last in ((0, 300), (270, 500)):
        process = forked(LOGGED, folder, first, last)
        if last < 500:
            while process.said() != "here\n":
                assert process.poll() is None, process.said("err")
                time.sleep(0.05)
            process.kill()
        assert process.wait(60) == (0 if last == 500 else -9)
        held = [step for file in folder.glob("wandb/offline-run-*/*.wandb") for step in steps_of(file)]
        assert len(held) == len(set(held))
        lost += last - len(held)
    assert lost > 0  # else nothing was tested
    assert sorted(held) == [row["step"] for row in MetricsTable(folder / "metrics.csv").rows()]
    assert sorted(held) == list(range(1, 501))


def steps_of(file):
    return list(wandb_file._steps(file.read_bytes()))


def written(contents):
    """What W&B writes."""
    data = bytearray(b":W&B" + b"\xe1\xbe\x00")
    for content in contents:
        at, first = 0, True
        while first or at < len(content):
            left = 32768 - len(data) % 32768
            if left < 7:
                data += bytes(left)
                continue
            piece = content[at : at + left - 7]
            at += len(piece)
            kind = (1 if first else 4) if at == len(content) else (2 if first else 3)
            data += struct.pack("<IHB", zlib.crc32(bytes([kind]) + piece), len(piece), kind) + piece
            first = False
    return data


@given(
    lengths=st.lists(st.integers(0, 100_000), max_size=6),
    cut=st.integers(0, 400_000),
    flipped=st.integers(0, 400_000) | st.none(),
)
def test_a_torn_or_damaged_file_gives_what_is_whole_before_that_place(lengths, cut, flipped):
    contents = [bytes([i + 1]) * n for i, n in enumerate(lengths)]
    data = written(contents)
    assert list(wandb_file.records(bytes(data))) == contents
    if flipped is not None and flipped < len(data):
        data[flipped] ^= 1
    found = list(wandb_file.records(bytes(data[:cut])))
    assert found == contents[: len(found)]


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
    run.go_on([], 1, lambda step: {})
    run.finish({})
    assert run.mode == "disabled"
    assert not (elsewhere / "run").exists()


class Fake(types.ModuleType):
    """Stands for wandb: what it is asked for in ``inits``, what it is sent in ``rows``."""

    def __init__(self, fails=()):
        super().__init__("wandb")
        self.fails, self.inits, self.rows, self.summary = fails, [], [], {}
        self.settings, self.id = types.SimpleNamespace(base_url="http://127.0.0.1:9", sync_dir="here"), "id"

    def Settings(self, **_):
        return types.SimpleNamespace(update_from_env_vars=lambda _: None)

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


def test_a_variable_that_fails_twice_is_said_once(elsewhere, fake, monkeypatch, capsys):
    """W&B reads its variables when it is set up, and again for a run."""
    wandb = fake()
    monkeypatch.setenv("WANDB_SERVICE", "junk")

    def read(what):
        def reading(*arguments, **options):
            if "WANDB_SERVICE" in os.environ:
                raise RuntimeError("Failed to parse WANDB_SERVICE")
            return what(*arguments, **options)

        return reading

    monkeypatch.setattr(wandb, "setup", read(wandb.setup))
    monkeypatch.setattr(wandb, "init", read(wandb.init))
    assert WandbRun(elsewhere / "run").mode == "offline"
    said = capsys.readouterr().err
    assert said.startswith(
        "W&B: offline (Failed to parse WANDB_SERVICE; its variables in the environment cannot be used);"
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


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("wandb/settings", "[default]\nbase_url = http://them.example\n"),
        ("wandb_id.txt", "../../elsewhere"),
        ("wandb_id.txt", "a" * 65),
        ("wandb_id.txt", "*"),
        ("wandb_id.txt", ""),
    ],
)
def test_a_strangers_folder_names_no_server_and_no_place(elsewhere, fake, capsys, name, text):
    wandb, file = fake(), elsewhere / "run" / name
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert WandbRun(elsewhere / "run").mode == "disabled"
    assert wandb.inits == []
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert name.rpartition("/")[2] in err


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


@pytest.mark.parametrize(
    ("name", "value"),
    [("WANDB_DISABLED", "true"), ("WANDB_DISABLED", "1"), ("WANDB_MODE", "disabled")],
)
def test_what_switches_wandb_off_is_honoured_and_said(name, value, elsewhere, monkeypatch, capsys):
    monkeypatch.setenv(name, value)
    assert WandbRun(elsewhere / "run").mode == "disabled"
    assert capsys.readouterr().err == f"W&B: off ({name}={value}); metrics.csv has the numbers\n"
    assert not (elsewhere / "run").exists()


UNUSABLE = {
    "WANDB_API_KEY": ("abc", "40"),
    "WANDB_MODE": ("junk", "should be"),
    "WANDB_PROJECT": ("a/b", "cannot contain"),
    "WANDB_TAGS": ("x" * 65 + ",y", "64 characters"),
    "WANDB_BASE_URL": ("junk", "URL"),
    "WANDB_ENTITY": ("a b/c", "letters"),
    "WANDB_RUN_GROUP": ("g" * 129, "128"),
    "WANDB_INIT_TIMEOUT": ("soon", "number"),
    "WANDB_CACHE_DIR": ("/dev/null/cache", "cannot be made"),
    "WANDB_IDENTITY_TOKEN_FILE": ("/nowhere", "no such file"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_variable_is_named_with_the_reason_and_taken_out(name, elsewhere, monkeypatch):
    value, reason = UNUSABLE[name]
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("WANDB_NOTES", "as they are")
    (line,) = wandb_environment.take_out_unusable(elsewhere)
    assert line.startswith(f"{name} is unusable: ")
    assert reason in line
    assert "\n" not in line
    assert os.environ.get(name) in (None, str(elsewhere / "wandb"))
    assert os.environ["WANDB_NOTES"] == "as they are"
    assert wandb_environment.take_out_unusable(elsewhere) == []


@pytest.mark.slow
def test_with_unusable_variables_the_run_is_logged_offline(elsewhere, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT", "WANDB_TAGS"):
        monkeypatch.setenv(name, UNUSABLE[name][0])
    monkeypatch.setenv("WANDB__SKIP_TRANSACTION_LOG", "true")  # refused with the others only
    monkeypatch.setenv("HOME", "/dev/null")  # where W&B cannot write
    stdout, lines, _ = run_it(elsewhere / "run", panel_file(elsewhere))
    assert stdout == "offline\n"
    assert len(lines) == 1
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT", "WANDB_TAGS"):
        assert f"{name} is unusable" in lines[0]
    (file,) = (elsewhere / "run").glob("wandb/offline-run-*/*.wandb")
    assert steps_of(file) == [20]


def test_rows_that_wandb_has_are_not_sent_again(elsewhere, fake, monkeypatch):
    wandb = fake()
    run = WandbRun(elsewhere / "run")
    monkeypatch.setattr("gcn.report.wandb_log.steps_in_folder", lambda *_: {10})
    monkeypatch.setattr("gcn.report.wandb_log.steps_on_server", lambda *_: {30, 40})
    run.go_on([{"step": step, "a": step} for step in (10, 20, 30)], 40, lambda step: {})
    for step in (40, 50):
        run.log(step, {"a": step})
    assert [row["step"] for row in wandb.rows] == [20, 50]


def test_where_wandb_does_not_say_what_it_has_nothing_is_sent_twice(elsewhere, fake, monkeypatch, capsys):
    def silent(*_):
        raise ConnectionError("no answer")

    wandb = fake()
    run = WandbRun(elsewhere / "run")
    monkeypatch.setattr("gcn.report.wandb_log.steps_on_server", silent)
    run.go_on([{"step": 10, "a": 1}], 20, lambda step: {})
    for step in (20, 30):
        run.log(step, {"a": step})
    assert [row["step"] for row in wandb.rows] == [30]
    assert capsys.readouterr().err == (
        "W&B: what was logged before is unknown (no answer); rows before the stop may be missing\n"
    )


CONTENT = """
import sys
from pathlib import Path
import torch
from gcn.report.plots import PanelRow, panel
from gcn.report.wandb_log import WandbRun
folder = Path(sys.argv[1])
panel(folder / "panels" / "0000020.png", [PanelRow("cat", torch.rand(3, 16, 16), torch.rand(3, 16, 16))])
(folder / "codec.safetensors").write_bytes(b"weights")
run = WandbRun(folder, config={"mse": 1}, tags=["loss=hinge", "data.root=" + "x" * 60, "loss=hinge"])
run.log(20, {"val/psnr": 20.0})
run.finish({"psnr": 20.0})
print(run.mode)
"""


def test_the_log_has_versions_group_images_and_the_codec(elsewhere):
    from wandb.proto.wandb_internal_pb2 import Record

    folder = elsewhere / "2026-01-02" / "03-04-05" / "0"
    folder.mkdir(parents=True)
    (folder.parent / "multirun.yaml").touch()
    out, err = forked(CONTENT, folder).communicate(60)
    assert out == "offline\n", err
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    found = [Record.FromString(content) for content in wandb_file.records(file.read_bytes())]
    (run,) = (one.run for one in found if one.HasField("run") and one.run.tags)
    assert (run.run_group, list(run.tags)) == (
        "2026-01-02/03-04-05",
        ["loss=hinge", "data.root=" + "x" * 53 + "…"],
    )
    environment = next(json.loads(i.value_json) for i in run.config.update if i.key == "environment")
    assert environment["torch"]
    axes = {one.metric.name: one.metric for one in found if one.HasField("metric")}
    assert axes["val/psnr"].step_metric == "step"
    assert axes["val/psnr"].summary.max
    logged = {item.key or "/".join(item.nested_key) for one in found for item in one.history.item}
    assert any(name.startswith("val/images/") for name in logged)
    artifacts = [
        one.request.log_artifact.artifact if one.HasField("request") else one.artifact for one in found
    ]
    (codec,) = (one for one in artifacts if one.type == "model")
    assert [entry.path for entry in codec.manifest.contents] == ["codec.safetensors"]
