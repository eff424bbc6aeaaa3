"""The command line in process, with a trainer that does nothing, and three times as users start it."""

import json
import logging
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.errors import MissingConfigException

from gcn.cli.quoting import resuming, word
from gcn.commands import hydra_command
from gcn.commands.reservation import refuse_used, reserved, unused_removed
from gcn.config.hydra_errors import one_line_errors
from gcn.config.knobs import HEADINGS
from gcn.config.offered import LAB, TRAIN, groups, knobs, stamp
from gcn.config.parse import load, parse, save
from gcn.config.preflight import check_run, note
from gcn.errors import BrokenOff, InputError
from gcn.schema.conf_folder import CONF

SUMMARY = json.dumps({"verdict": "stable", "psnr": 23.4, "bpp": 0.25})
SCRIPT = CONF.parent / "scripts" / "train.py"


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """The configurations that were trained, one after the other, in an empty folder of one process's life."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    stamp.cache_clear()
    seen = []

    def train(cfg):
        if cfg.seed == 13:
            raise InputError("seed=13: unlucky")
        if cfg.seed == 14:
            raise KeyboardInterrupt
        seen.append(cfg)
        Path(cfg.run_dir, "summary.json").write_text(
            json.dumps({"verdict": "stable", "psnr": 23.4, "bpp": 0.25})
        )

    train.seen = seen
    handlers = list(logging.getLogger().handlers)
    yield train
    logging.getLogger().handlers[:] = handlers  # Hydra's write to streams that pytest closes


def run(train, capfd, *words):
    status = hydra_command.main(words, train)
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    return status, out, err


def test_a_run_has_its_folder_and_configuration(trained, capfd):
    assert run(trained, capfd, "loss=hinge", "+mse=1")[0] == 0
    (cfg,) = trained.seen
    assert (cfg.choices.loss, cfg.mse) == ("hinge", 1.0)
    assert Path(cfg.run_dir) == Path("outputs", stamp()).resolve()
    assert load(Path(cfg.run_dir)).mse == 1.0


def test_a_chosen_folder_and_a_used_one(trained, capfd):
    assert run(trained, capfd, "hydra.run.dir=a folder/here", "mse=1")[0] == 0
    assert Path(trained.seen[0].run_dir) == Path("a folder/here").resolve()
    status, _, err = run(trained, capfd, "hydra.run.dir=a folder/here", "mse=1")
    assert (status, len(trained.seen)) == (2, 1)
    assert err.startswith("error: a folder/here: holds a run")


@pytest.mark.parametrize("name", ["summary.json", "curves.png", "panels/mine.png", "codec.safetensors"])
def test_a_run_does_not_replace_what_no_run_has_written(trained, capfd, name):
    mine = Path("here", name)
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    status, _, err = run(trained, capfd, "hydra.run.dir=here", "mse=1")
    assert (status, trained.seen, mine.read_text()) == (2, [], "mine")
    assert err.startswith(f"error: here: holds {Path(name).parts[0]}, which is of no run")


def test_a_refused_run_removes_nothing_that_it_has_not_made(trained, capfd):
    Path("here").mkdir()
    Path("here/train.log").write_text("mine")
    assert run(trained, capfd, "hydra.run.dir=here", "mse=1", "seed=13")[0] == 2
    assert Path("here/train.log").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["mse=1", "mse=2"], "mse=1 and mse=2"),
        (["+mse=1", "++mse=2"], "mse=1 and mse=2"),
        (["loss=ns", "mse=1", "loss=hinge"], "loss=ns and loss=hinge"),
        (["mse=1", "optim.g.lr=1", "optim.g.lr=1"], "optim.g.lr=1 and optim.g.lr=1"),
        (["-m", "mse=1,2", "seed=0,1", "mse=3"], "mse=1,2 and mse=3"),
        (["resume=a", "resume=b"], "resume=a and resume=b"),
    ],
)
def test_a_word_given_twice_is_refused(trained, capfd, words, named):
    status, _, err = run(trained, capfd, *words)
    assert (status, trained.seen) == (2, [])
    assert err.startswith(f"error: {named}: ")
    assert err.endswith(" is given twice; drop one of them\n")


def touch(folder, *names):
    for path in (Path(folder, name) for name in names):
        path.parent.mkdir(exist_ok=True)
        path.touch()


def test_a_refused_run_leaves_no_folder_behind(trained, capfd):
    def refusing(cfg):
        touch(cfg.run_dir, "train.log", "mlflow.db", "tensorboard/events")
        raise InputError("no image")

    assert run(refusing, capfd, "mse=1")[0] == 2
    assert run(refusing, capfd, "out=here", "mse=1")[0] == 2
    assert list(Path().iterdir()) == []
    assert run(trained, capfd, "mse=1")[0] == 0
    assert len(list(Path("outputs").glob("*-*-*/*/config.yaml"))) == 1


@pytest.mark.parametrize(
    ("before", "written"),
    [
        ([], ["train.log", "metrics.csv"]),
        ([], ["wandb/run"]),  # W&B's process still writes
        (["mine.txt"], ["train.log"]),
    ],
)
def test_a_refused_run_keeps_a_folder_with_results_or_with_files_of_others(
    before, written, tmp_path, monkeypatch
):
    def refused():
        with reserved(Path("here"), ["mse=1"], swept=False):
            touch("here", *written)
            raise InputError("no image")

    monkeypatch.chdir(tmp_path)
    touch("here", ".hydra", *before)
    with pytest.raises(InputError, match="no image"):
        refused()
    assert all(Path("here", name).exists() for name in before + written)


@pytest.mark.parametrize("before", ["outputs/mine", "outputs"])
def test_a_refused_run_keeps_the_folders_above_its_own_that_were_there_before(before, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(before).mkdir(parents=True)
    own = Path("outputs/2026-01-02/03-04-05-abc")
    with unused_removed(own):
        own.mkdir(parents=True)
        own.rmdir()
    assert sorted(map(str, Path().rglob("*"))) == sorted({"outputs", before})


def test_resume(trained, capfd):
    run(trained, capfd, "hydra.run.dir=here", "mse=3", "steps=10")
    record = Path("here/.hydra/overrides.yaml").read_text()
    assert run(trained, capfd, "resume=here", "steps=20")[0] == 0
    cfg = trained.seen[1]
    assert (cfg.mse, cfg.steps, cfg.resume, cfg.run_dir) == (3.0, 20, "here", str(Path("here").resolve()))
    assert Path("here/.hydra/overrides.yaml").read_text() == record
    assert (load(Path("here")).steps, load(Path("here")).resume) == (20, None)


@pytest.mark.parametrize(("problem", "steps"), [(InputError, 10), (BrokenOff, 20)])
def test_a_resume_that_is_refused_leaves_the_runs_own_words(trained, capfd, problem, steps):
    run(trained, capfd, "hydra.run.dir=here", "mse=3", "steps=10")

    def ended(cfg):
        raise problem("the reason")

    assert run(ended, capfd, "resume=here", "steps=20")[::2] == (2, "error: the reason\n")
    assert load(Path("here")).steps == steps


@pytest.mark.parametrize(
    "words",
    [
        ["msee=1"], ["loss=nss"], ["steps"], ["--bad"], ["--info=nothing"], ["--config-dir=nowhere"],
        ["--config-name=other"], ["--config-path=other"], ["hydra.mode=MULTIRUN"], ["mse=0,1"], ["seed=13", "mse=1"],
        ["-m", "mse=0,-1"], ["-m", "loss=ns,nss"], ["-m", "trainer=ddp"], ["-m", "resume=here"],
        ["--cfg", "job", "msee=1"], ["--cfg", "everything"], ["--info", "config", "msee=1"],
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_2(trained, capfd, words):
    status, _, err = run(trained, capfd, *words)
    assert status == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert trained.seen == []
    assert not list(Path().rglob("config.yaml"))


def test_a_sweep_has_a_folder_for_each_job_and_one_summary_and_stays_off_used_folders(
    trained, capfd, monkeypatch
):
    """The name of its folder may be any. Hydra composes each job once."""
    composed, own = [], ConfigLoaderImpl.load_sweep_config

    def counted(*args, **kwargs):
        composed.append(kwargs["sweep_overrides"] if kwargs else args[-1])
        return own(*args, **kwargs)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", counted)
    words = ["-m", word("hydra.sweep.dir", "it's [1], ü"), "loss=ns,hinge", "mse=0,1", "steps=7"]
    status, out, _ = run(trained, capfd, *words)
    assert status == 0
    jobs = [("ns", 0), ("ns", 1), ("hinge", 0), ("hinge", 1)]
    assert [(cfg.choices.loss, cfg.mse, cfg.steps) for cfg in trained.seen] == [(*job, 7) for job in jobs]
    assert [words[:3] for words in composed] == [[f"loss={a}", f"mse={b}", "steps=7"] for a, b in jobs]
    folders = [Path("it's [1], ü", str(number)).resolve() for number in range(4)]
    assert [Path(cfg.run_dir) for cfg in trained.seen] == folders
    assert all(Path(folder, "config.yaml").exists() for folder in folders)
    assert out.count("stable") == 4
    assert "loss=hinge mse=1" in out
    status, _, err = run(trained, capfd, *words)
    assert (status, len(trained.seen)) == (2, 4)
    assert "it's [1], ü/0: holds a run" in err


def test_several_processes_are_not_swept(trained, capfd):
    assert "one by one" in run(trained, capfd, "-m", "trainer=ddp", "mse=0,1")[2]


def test_interruption(trained, capfd):
    status, _, err = run(trained, capfd, "seed=14", "hydra.run.dir=here", "mse=1")
    assert (status, err) == (130, "interrupted before the first checkpoint of here\n")
    Path("here/checkpoints").mkdir()
    Path("here/checkpoints/last.ckpt").touch()
    status, _, err = run(trained, capfd, "resume=here")
    assert err == "interrupted; continue with: python scripts/train.py resume=here\n"


# Each name alone is in tests/cli/test_quoting.py.
AWKWARD = [
    "a blank/Prüfung, 1/it's/a=b/[x]/{a:1}/$x \\'/a:b/(a)/caf\udce9/a\nb",
    " both ",
    "7",
]


@pytest.mark.parametrize("name", AWKWARD)
def test_a_run_in_a_folder_of_any_name_is_resumed_by_the_printed_words(trained, capfd, name):
    if name is AWKWARD[0]:
        assert run(trained, capfd, word("hydra.run.dir", name), "mse=1")[0] == 0
        assert Path(trained.seen.pop().run_dir) == Path(name).resolve()
    else:
        Path(name).mkdir()
        save(parse(["mse=1"]), Path(name))
    status, _, err = run(trained, capfd, word("hydra.run.dir", name), "mse=1")
    assert (status, resuming(name) in err) == (2, True)
    assert run(trained, capfd, word("resume", name), "steps=20")[0] == 0
    assert [Path(cfg.run_dir) for cfg in trained.seen] == [Path(name).resolve()]


def test_a_folder_that_hydra_cannot_work_in_is_named(trained, capfd, monkeypatch):
    for said in (["hydra.run.dir='\\${x}'"], ["-m", "hydra.sweep.dir='\\${'", "mse=0,1"]):
        status, _, err = run(trained, capfd, *said)
        assert (status, err.count("\n"), "${ in its name; rename it" in err) == (2, 1, True)
    Path("in ${here").mkdir()
    monkeypatch.chdir("in ${here")
    assert "rename it" in run(trained, capfd)[2]


def test_processes_that_others_start_need_a_common_folder(trained, capfd, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "give out=FOLDER" in run(trained, capfd)[2]
    monkeypatch.setenv("RANK", "0")
    assert run(trained, capfd, "hydra.run.dir=here", "trainer=ddp", "mse=1")[0] == 0
    monkeypatch.setenv("RANK", "1")
    assert run(trained, capfd, "hydra.run.dir=here", "trainer=ddp", "mse=1")[0] == 0, (
        "the folder holds rank 0's run"
    )


def test_hydras_own_views(trained, capfd):
    status, out, _ = run(trained, capfd, "--cfg", "job", "loss=hinge", "mse=2")
    assert (status, "mse: 2" in out, "Hinge" in out) == (0, True, True)
    status, out, _ = run(trained, capfd, "--info", "defaults", "loss=hinge")
    assert (status, "loss/hinge" in out) == (0, True)
    assert trained.seen == []


@pytest.mark.parametrize(
    ("line", "offered"), [("loss=", "loss=hinge"), ("optim.g.", "optim.g.lr="), ("ms", "mse=")]
)
def test_completion(trained, capfd, monkeypatch, line, offered):
    monkeypatch.setenv("COMP_LINE", f"python train.py {line}")
    assert offered in run(trained, capfd, "-sc", "query=bash")[1].split()


def test_help_shows_every_knob_group_and_setting(trained, capfd):
    status, out, _ = run(trained, capfd, "--help")
    assert status == 0
    for name in [*knobs(), *groups(), "steps", "warmup.steps", "seed"]:
        assert f"\n  {name}=" in out, name
    for heading in (*HEADINGS.values(), "Groups", "Settings"):
        assert f"\n{heading}\n" in out, heading
    assert max(map(len, out.splitlines())) <= 110


def script(tmp_path, *words, code=""):
    """Status, output, errors and seconds of CPU time of a command line in a process of its own, on any terminal."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    command = [sys.executable, *(["-c", code] if code else [str(SCRIPT)]), *words]
    environment = {**os.environ, "PYTHONPATH": str(CONF.parent), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    return done.returncode, done.stdout, done.stderr, seconds


def test_errors_and_help_come_at_once(tmp_path):
    status, out, err, _ = script(tmp_path, "msee=1")
    assert (status, out, err) == (2, "", "error: msee: unknown; nearest: mse, seed\n")
    status, out, err, seconds = script(tmp_path, "--help")
    assert (status, err) == (0, "")
    *_, hydra = script(tmp_path, code="import hydra, hydra.core.override_parser.overrides_parser")
    assert seconds < 7 * hydra, "about 4 times; with torch it would be 10"
    assert list(tmp_path.iterdir()) == []


def test_help_and_errors_do_without_torch(tmp_path):
    code = """
import sys
from gcn.commands.hydra_command import main
refused = [line.split() for line in (
    "mse=-1", "data.crop=65", "", "mse=1 data=folder data.root=/nowhere", "mse=1 init_from=/nowhere",
    "mse=1 data.background=plaid", "mse=1 data.downscale=[0.9,0.2]", "mse=1 lpips=1 terms.lpips.backbone=/nowhere",
)]
statuses = [main(words, None) for words in (["--help"], ["--cfg", "job"], *refused)]
print(statuses, [name for name in ("torch", "lightning", "numpy") if name in sys.modules], file=sys.stderr)
"""
    assert "[0, 0, 2, 2, 2, 2, 2, 2, 2, 2] []" in script(tmp_path, code=code)[2]


# --- what is refused at once, and what is explained ---


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "add mse=1"), (["steps=10"], "add mse=1"), (["r1=1"], "add mse=1"), (["seed=0,1", "-m"], "add mse=1"),
        (["loss=none"], "the generator's only loss"), (["adv=0"], "adv=1"),
        (["loss=none", "mse=0"], "the generator's only loss"), (["loss=none", "rate=null"], "nothing to learn from"),
        (["loss=none", "rate=null", "anchor=1"], "nothing to learn from"),
        (["mse=1", "steps=5", "warmup.steps=5"], "warmup.steps=5 steps=5"),
        (["loss=ns", "warmup.steps=5"], "no distortion to learn from"),
        (["mse=1", "data.crop=65"], "multiple of 16"),
        (["mse=1", "generator=hyperprior", "data.crop=8"], "multiple of"),
        (["mse=1", "ms_ssim=1", "data.crop=32"], "larger crops"), (["lpips=1", "data.crop=16"], "terms.lpips.net=vgg"),
        (["lpips=1", "terms.lpips.weights=nowhere.pth"], "no such file"),
        (["mse=1", "devices=3"], "data.batch=8 devices=3"),
        (["mse=1", "devices=2", "discriminator.norm=batch"], "statistics of its own part"),
        (["mse=1", "data=folder", "data.root=nowhere"], "nowhere does not exist"),
        (["mse=1", "data=folder", "data.root=empty"], "empty holds no image"),
        (["mse=1", "data=folder", "data.root=file"], "not a folder"),
        (["mse=1", "data=folder", "data.root=texts"], "texts holds no image"),
        (["mse=1", "data=folder", "data.root="], "must be a path"), (["mse=1", "init_from="], "must be a path"),
        (["mse=1", "data=folder", "data.root=~/x"], "'~/x'"),
        (["mse=1", "loss=none", "warmup.steps=5"], "no game to warm up for"),
        (["mse=1", "discriminator.latent_channels=5"], "drop discriminator.latent_channels"),
        (["mse=1", "discriminator.latent_channels=500"], "drop discriminator.latent_channels"),
        (["resume=full", "data=folder", "data.root=full"], "data=folder: a resumed run keeps its configuration"),
        (["mse=1", "data=folder", "data.root=full", "data.val_root=nowhere"], "nowhere does not exist"),
        (["mse=1", "init_from=nowhere"], "nowhere does not exist"),
        (["mse=1", "init_from=empty"], "holds no checkpoint"), (["resume=nowhere"], "no config.yaml"),
        (["mse=1", "hydra.run.dir=file"], "file is not a folder"),
        (["mse=1", "hydra.run.dir=file/below"], "file is not a folder"),
        (["mse=1", "hydra.run.dir=/proc/x"], "/proc/x: cannot be written"),
        (["mse=1", f"hydra.run.dir={'n' * 256}"], "too long"),
        (["mse=1", "hydra.sweep.dir=file", "-m"], "file is not a folder"),
    ],
)  # fmt: skip
def test_what_cannot_begin_or_cannot_learn_is_refused_at_once(trained, capfd, words, said):
    Path("empty").mkdir()
    Path("full").mkdir()
    Path("texts").mkdir()
    for name in ("file", "full/picture.png", "texts/notes.txt"):
        Path(name).touch()
    status, _, err = run(trained, capfd, *words)
    assert (status, err.count("\n"), trained.seen) == (2, 1, []), err
    assert err.startswith("error: ")
    assert said in err


def test_a_run_without_a_distortion_is_explained_in_one_line_before_it_begins(trained, capfd):
    status, _, err = run(trained, capfd, "loss=ns")
    assert (status, err.count("\n"), len(trained.seen)) == (0, 1, 1)
    assert err.startswith("note: rate=5.5 without a distortion")
    check_run(parse(["mse=0"]), ["mse=0"])
    assert note(parse(["mse=0"])) == err.strip()


def test_the_control_arm_of_a_frozen_codec_needs_no_distortion_and_no_explanation(trained, capfd):
    Path("codec.ckpt").touch()
    frozen = ["freeze=encoder", "init_from=codec.ckpt", "rate=null"]
    assert run(trained, capfd, "loss=ns", *frozen)[::2] == (0, "")
    for words in (["loss=wgan", "mse=0"], ["experiment=frozen", "mse=null"]):
        cfg = parse([*words, *frozen])
        check_run(cfg, [*words, *frozen])
        assert note(cfg) is None


# --- Hydra's flags ---


@pytest.mark.parametrize(
    "line",
    [
        "-m mse=0,1 --cfg job", "--cfg job --info", "--package loss mse=1", "--cfg job --package nothing",
        "--cfg hydra --package nothing",
               "--pack loss", "--resolve mse=1", "-r -m mse=0,1", "-c", "-i loss=ns", "-sc", "-sc query=nothing",
        "--experimental-rerun x", "-m mse=interval(0,1)", "-m mse=range(0,1,0)", "-m mse=choice()",
        "-m seed=range(0,1000000000) mse=1",
        "-m mse=0,1 hydra.sweep.subdir=x", "-m hydra.sweeper.params.mse=1,2 mse=1",
        "-m +hydra.sweeper.params={mse:'1,2'} mse=1", "hydra=x mse=1", "++hydra.mode=MULTIRUN mse=1",
        "hydra.nothing=1 mse=1",
        "hydra.run.dir=[a] mse=1", "hydra.searchpath=[/nowhere] mse=1", "experiment=null mse=1",
        "+hydra.callbacks.x._target_=os.system mse=1", "hydra.output_subdir=/proc/x/y mse=1", "-- -x",
    ],
)  # fmt: skip
def test_a_flag_that_cannot_be_followed_is_one_line(trained, capfd, line):
    status, _, err = run(trained, capfd, *line.split())
    assert (status, err.count("\n"), trained.seen) == (2, 1, []), err
    assert err.startswith("error: ")


@pytest.mark.parametrize(
    ("choice", "package"),
    [
        ("hydra/launcher=joblib", '"gcn[sweeps]"'), ("hydra/launcher=submitit_slurm", '"gcn[sweeps]"'),
        ("hydra/sweeper=optuna", '"gcn[sweeps]"'), ("hydra/sweeper=ax", "hydra-ax-sweeper"),
    ],
)  # fmt: skip
def test_a_missing_plug_in_is_named_with_what_brings_it(choice, package):
    group, _, name = choice.partition("=")
    with pytest.raises(InputError) as refused, one_line_errors():
        raise MissingConfigException("missing", f"{group}/{name}", ["basic"])
    assert str(refused.value) == f"{choice}: needs a package that is not installed; pip install {package}"


FREE = "free or choose another place\n"


@pytest.mark.parametrize(
    ("problem", "status", "said"),
    [
        (OSError(28, "No space left on device"), 2, f"standard output: No space left on device; {FREE}"),
        (OSError(5, "Input/output error", "a.png"), 2, f"a.png: Input/output error; {FREE}"),
        (MemoryError(), 2, "out of memory; close other programs, or use smaller images\n"),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_what_ends_a_job_is_one_line_and_none_of_hydras(problem, status, said, trained, capfd, monkeypatch):
    def train(cfg):
        raise problem

    monkeypatch.setattr("gcn.cli.terminal._abandon", lambda stream: None)  # pytest's own
    assert run(train, capfd, "mse=1") == (status, "", said and f"error: {said}")


def test_what_ends_a_job_of_a_sweep_ends_no_other(trained, capfd):
    """The machine, or a bad job, which is seed 13."""
    failures = {
        1: OSError(28, "No space left on device", "there"),
        2: MemoryError(),
        3: RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    }

    def train(cfg):
        if cfg.seed in failures:
            raise failures[cfg.seed]
        trained(cfg)

    status, out, err = run(train, capfd, "-m", "mse=1", "seed=1,2,3,13,4", "out=here")
    assert (status, [cfg.seed for cfg in trained.seen], "Error executing" in err) == (2, [4], False)
    reasons = {
        1: f"there: No space left on device; {FREE}",
        **dict.fromkeys((2, 3), "out of memory; close other"),
        13: "seed=13: unlucky",
    }
    for number, (seed, why) in enumerate(reasons.items()):
        assert f"error: job {number} (mse=1 seed={seed}): {why}" in err
        assert Path(f"here/{number}/error.txt").read_text().startswith(why)
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        "error"
    ] * 9  # two of each job, and their number
    assert out.count("no summary") == 4


def test_a_full_disk_at_hydras_own_record_names_the_folder(trained, capfd, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hydra.core.utils._save_config", full)
    status, _, err = run(trained, capfd, "mse=1", "out=here")
    assert (status, trained.seen) == (2, [])
    assert err.endswith("here: cannot be written (No space left on device); free or choose another place\n")


def test_a_plug_in_that_no_extra_brings_is_refused_before_the_first_job(trained, capfd):
    status, _, err = run(trained, capfd, "-m", "hydra/sweeper=nevergrad", "mse=0,1")
    assert (status, trained.seen) == (2, [])
    assert "pip install hydra-nevergrad-sweeper" in err


@pytest.mark.parametrize(
    "line", ["--cfg job -p loss", "--hydra-help mse=1", "--info all mse=1", "-c all --resolve"]
)
def test_a_view_begins_no_run(trained, capfd, line):
    status, out, err = run(trained, capfd, *line.split())
    assert (status, err, trained.seen, list(Path().iterdir())) == (0, "", [], [])
    assert out


def test_a_sweep_over_all_choices_of_a_group(trained, capfd):
    assert run(trained, capfd, "-m", "trainer=glob(c*)", "mse=1")[0] == 0
    assert [cfg.choices.trainer for cfg in trained.seen] == ["cpu"]


def test_a_pattern_over_choices_of_the_lab_is_answered_by_the_choices(trained, capfd):
    assert hydra_command.main(["-m", "game=glob([bi*,di*])"], trained, LAB) == 2
    assert "give game=bilinear,dirac" in capfd.readouterr().err


# --- how a command ends ---


def test_a_fault_of_the_program_is_not_taken_for_bad_input(trained):
    def faulty(cfg):
        raise TypeError("a fault")

    with pytest.raises(TypeError, match="a fault"):
        hydra_command.main(["mse=1"], faulty)


def test_a_reader_that_has_gone_ends_a_run_without_a_word_about_its_folder(trained, capfd):
    def told(cfg):
        raise BrokenPipeError

    assert hydra_command.main(["mse=1"], told) == 141
    assert "cannot be written" not in capfd.readouterr().err


def test_a_run_that_is_terminated_before_its_first_update_says_so(trained, capfd):
    def terminated(cfg):
        os.kill(os.getpid(), signal.SIGTERM)

    status, _, err = run(terminated, capfd, "mse=1")
    assert (status, err.count("\n")) == (143, 1)
    assert err.startswith("interrupted before the first checkpoint")


# --- jobs that a cluster starts again ---


@pytest.mark.parametrize("variable", ["SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT"])
def test_a_run_that_was_killed_is_taken_up_where_a_cluster_counts_a_restart(tmp_path, monkeypatch, variable):
    cfg = parse(["mse=1"])
    save(cfg, tmp_path)
    monkeypatch.setenv(variable, "0")
    with pytest.raises(InputError, match="holds a run"):
        refuse_used(cfg, tmp_path, TRAIN)
    monkeypatch.setenv(variable, "1")
    assert refuse_used(cfg, tmp_path, TRAIN)


def test_a_requeued_job_takes_up_its_run_with_the_same_command(trained, capfd, monkeypatch):
    words = ["mse=1", "steps=9", "hydra.run.dir=here"]
    assert run(trained, capfd, *words)[0] == 0
    Path("here/summary.json").unlink()  # it was killed
    monkeypatch.setenv("SLURM_RESTART_COUNT", "0")
    assert "holds a run" in run(trained, capfd, *words)[2]
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert run(trained, capfd, *words)[0] == 0
    assert [cfg.resume for cfg in trained.seen] == [None, str(Path("here").resolve())]
    assert trained.seen[1].steps == 9
    status, _, err = run(trained, capfd, *words, "r1=1")
    assert (status, "r1=1: the run in here has null" in err) == (2, True)
    Path("here/summary.json").write_text(json.dumps({"steps": 9, "verdict": "stable"}))
    status, out, _ = run(trained, capfd, *words)
    assert (status, len(trained.seen), "here: the run is complete" in out) == (0, 2, True)


def test_a_requeued_job_takes_up_a_run_that_was_resumed_with_other_words(
    trained, capfd, monkeypatch, tmp_path
):
    first = ["mse=1", "steps=9", "data.workers=0", "out=here"]
    assert run(trained, capfd, *first)[0] == 0
    anew = [
        "data.workers=1", "val_every=3", "checkpoint_every=2", "trainer=cpu",
        "logger=tensorboard", f"logger.tensorboard.save_dir={tmp_path}", "logger.tensorboard.name=a",
    ]  # fmt: skip
    assert run(trained, capfd, "resume=here", *anew)[0] == 0
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert run(trained, capfd, *first) == (0, "", "")
    last = trained.seen[-1]
    assert (last.data.workers, last.steps, last.mse) == (0, 9, 1)  # said again
    assert (last.val_every, last.checkpoint_every) == (3, 2)  # said last
    assert last.choices.trainer == "cpu"
    assert last.choices.logger == "wandb"  # the default, for the folder cannot say where tensorboard writes
    status, _, err = run(trained, capfd, *first, "seed=1")
    assert (status, "seed=1: the run in here has 0" in err) == (2, True)


def test_a_requeued_job_that_had_not_begun_begins(trained, capfd, monkeypatch):
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    assert run(trained, capfd, "mse=1", "hydra.run.dir=here")[0] == 0
    assert trained.seen[0].resume is None
    assert "begins a new run" in run(trained, capfd, "mse=1")[2]
