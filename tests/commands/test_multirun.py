"""Sweeps with Hydra's plug-ins, by a training that only writes its summary, and once by a real one."""

import logging
import math
import os
import sys
from pathlib import Path

import pytest
import torch
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from runs import images, words

from gcn.commands import hydra_command, multirun
from gcn.commands.train import job
from gcn.config import objective
from gcn.config.offered import LAB, TRAIN, stamp
from gcn.config.parse import load, parse
from gcn.errors import InputError
from gcn.report.metrics_table import MetricsTable

OPTUNA = ["-m", "out=there", "hydra/sweeper=optuna", "hydra.sweeper.sampler.seed=0"]


@pytest.fixture
def sweep(tmp_path, monkeypatch, capfd):
    """Runs a sweep in an empty folder; returns exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    stamp.cache_clear()
    handlers = list(logging.getLogger().handlers)

    def run(*words, train=None, root=TRAIN):
        status = hydra_command.main(words, train or toy(), root)
        return status, *capfd.readouterr()

    yield run
    logging.getLogger().handlers[:] = handlers  # Hydra's write to streams that pytest closes


def toy():
    """A training whose SWD is least at mse=2; a function of a function, which every launcher can send."""

    def train(cfg):
        import json
        import os
        from pathlib import Path

        from gcn.errors import InputError

        if cfg.seed == 13:
            raise InputError("seed=13: unlucky")
        if cfg.seed == 14:
            raise TypeError("a fault")
        if cfg.seed == 15:
            return
        rank = os.environ.get("SLURM_PROCID", "0")
        Path(cfg.run_dir, f"process{rank}").touch()
        if rank != "0":
            return
        summary = {
            "verdict": "diverged" if cfg.mse > 4 else "stable",
            "psnr": 23.4,
            "bpp": 0.25,
            "steps": cfg.steps,
        }
        Path(cfg.run_dir, "summary.json").write_text(json.dumps(summary | {"swd": (cfg.mse - 2) ** 2}))

    return train


# --- one process ---


def test_the_values_of_an_objective_are_shown(sweep):
    status, out, _ = sweep("-m", "mse=1,5", "objective=swd")
    assert status == 0
    assert [line.split("│")[-2].strip() for line in out.splitlines() if "stable" in line] == ["1"]
    assert "inf" in next(line for line in out.splitlines() if "diverged" in line)


def test_failed_jobs_are_listed_with_their_reasons(sweep):
    status, out, err = sweep("-m", "out=there", "seed=1,13,15", "mse=1")
    assert status == 2
    assert err.splitlines()[-3:] == [
        "error: job 1 (seed=13 mse=1): seed=13: unlucky",
        "error: job 2 (seed=15 mse=1): ended without summary.json",
        "error: 2 of 3 jobs failed",
    ]
    assert out.count("no summary.json") == 2
    assert sorted(path.name for path in Path("there/1").iterdir()) == [".hydra", "error.txt"]


def test_a_fault_ends_a_sweep_and_is_noted(sweep):
    with pytest.raises(TypeError, match="a fault"):
        sweep("-m", "out=there", "seed=14,1", "mse=1")
    assert Path("there/0/error.txt").read_text() == "TypeError: a fault\n"
    assert Path("there/1/summary.json").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("mse=1 objective=swd", "add -m"), ("-m mse=1,2 objective=val/swdd", "nearest: val/swd"),
        ("-m mse=null,1 loss=ns objective=train/g/mse", "does not measure it"),
        ("-m mse=interval(1,2)", "hydra/sweeper=optuna"),
        ("-m mse=1,2 devices=2", "hydra/launcher=submitit_slurm"),
    ],
)  # fmt: skip
def test_what_cannot_be_swept_is_refused_before_the_first_job(sweep, words, said):
    status, out, err = sweep(*words.split())
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert not list(Path().rglob("config.yaml"))


# --- processes of a job ---


@pytest.mark.parametrize(
    ("launcher", "tasks", "nodes", "words", "said"),
    [
        ("submitit_slurm", 2, 1, "", "would train the same run; drop both, or give trainer=ddp"),
        ("submitit_local", 2, 1, "", "would train the same run; drop both"),
        ("submitit_local", 2, 1, "devices=2", "one by one"), ("joblib", 1, 1, "trainer=ddp", "one by one"),
        ("submitit_slurm", 1, 1, "devices=2", "tasks_per_node=2 and devices=2"),
        ("submitit_slurm", 1, 2, "devices=4", "tasks_per_node=4 and devices=4"),
        ("submitit_slurm", 4, 4, "devices=4", "cannot be divided among 16"),
        ("submitit_slurm", 1, 1, "trainer=ddp", "tasks_per_node=N and devices=N"),
    ],
)  # fmt: skip
def test_a_launcher_that_starts_other_processes_than_the_run_has_is_refused(
    launcher, tasks, nodes, words, said
):
    engine = multirun.Engine(launcher, tasks=tasks, nodes=nodes)
    with pytest.raises(InputError) as refused:
        engine.check_processes(parse(["mse=1", *words.split()]))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("launcher", "tasks", "nodes", "words"),
    [
        ("submitit_slurm", 2, 1, "devices=2"), ("submitit_slurm", 2, 2, "trainer=ddp"),
        ("submitit_slurm", 1, 1, "mse=2"), ("submitit_local", 1, 1, "mse=2"),
    ],
)  # fmt: skip
def test_submitit_may_start_the_processes_of_a_run(launcher, tasks, nodes, words):
    multirun.Engine(launcher, tasks=tasks, nodes=nodes).check_processes(parse(["mse=1", words]))


# --- with the plug-ins ---


@pytest.mark.slow
def test_what_fails_in_processes_of_joblib_is_told(sweep):
    pytest.importorskip("joblib", reason="the extra sweeps is not installed")
    words = ["-m", "out=there", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "mse=1", "objective=psnr"]
    status, out, err = sweep(*words, "seed=1,13,14")
    assert status == 2
    told = [line for line in err.splitlines() if line.startswith("error: ") and "unlucky" not in line[:30]]
    assert told == [
        "error: job 1 (mse=1 seed=13): seed=13: unlucky",
        "error: job 2 (mse=1 seed=14): TypeError: a fault",
        "error: 2 of 3 jobs failed",
        "error: a fault",
    ]
    assert "in train" in err.partition("Traceback")[2]  # of the other process
    assert out.count("23.4") == 1


SBATCH = """
import os, re, subprocess, sys
text = open(sys.argv[-1]).read()
tasks = re.search(r"--ntasks-per-node=(.+)", text)[1]
about = {"JOB_ID": "7", "JOB_NODELIST": "here", "NTASKS": tasks, "NTASKS_PER_NODE": tasks, "NNODES": "1"}
for rank in range(int(tasks)):
    environment = os.environ | {f"SLURM_{key}": value for key, value in about.items()}
    environment |= {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "SLURM_NODEID": "0"}
    environment["SUBMITIT_EXECUTOR"] = "slurm"
    line = re.search(r"^srun .*", text, re.M)[0]
    hidden = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # else sbatch would wait for its tasks
    subprocess.Popen(line[line.index(sys.executable):], shell=True, env=environment, **hidden)
print("Submitted batch job 7")
"""
SACCT = """
import os, time
state = "RUNNING" if time.time() - os.path.getmtime(__file__) < 300 else "FAILED"  # seconds: no test waits for ever
print(f"JobID|State|NodeList\\n7|{state}|here")
"""


@pytest.mark.slow
def test_slurm_starts_the_processes_of_a_job(sweep, tmp_path, monkeypatch):
    """SLURM's commands are replaced by ones that start the tasks on this machine."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="the extra sweeps is not installed")
    for name, text in (("sbatch", SBATCH), ("sacct", SACCT), ("srun", "")):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!{sys.executable}\n{text}")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    tasks = ["hydra/launcher=submitit_slurm", "hydra.launcher.tasks_per_node=2"]
    status, out, err = sweep("-m", "out=there", *tasks, "trainer=ddp", "devices=2", "mse=4", "objective=swd")
    assert (status, err) == (0, "")
    assert "│ 4 " in out
    assert {"process0", "process1", "config.yaml", "summary.json"} <= {
        p.name for p in Path("there/0").iterdir()
    }


@pytest.mark.slow
def test_optuna_trains_and_every_number_that_is_offered_is_measured(sweep, tmp_path, monkeypatch):
    pytest.importorskip("optuna", reason="the extra sweeps is not installed")
    monkeypatch.setattr(
        torch.backends.mkldnn, "enabled", False
    )  # it takes most of the time of small networks
    data = images(tmp_path / "data")
    own = ["steps=2", "val_every=1", "panel_every=2", "l1=0", "mse=interval(1,2)", "loss=ns"]
    said = [*(word for word in words(data) if word != "mse=1"), *own]
    status, _, _ = sweep(*OPTUNA, "hydra.sweeper.n_trials=1", "objective=val/swd", *said, train=job)
    assert status == 0
    found = yaml.safe_load(Path("there/optimization_results.yaml").read_text())
    assert found["best_value"] == objective.value(["val/swd"], Path("there/0"))
    offered = objective.offered(load(Path("there/0")))
    assert all(math.isfinite(number) for number in objective.value(offered, Path("there/0")))
    columns = MetricsTable(Path("there/0/metrics.csv")).columns
    assert {name for name in columns if name.startswith("val/")} <= set(offered)


def test_optuna_finds_the_better_value(sweep):
    pytest.importorskip("optuna", reason="the extra sweeps is not installed")
    status, out, _ = sweep(*OPTUNA, "hydra.sweeper.n_trials=3", "objective=swd", "mse=2,5", "seed=1,13")
    best = yaml.safe_load(Path("there/optimization_results.yaml").read_text())
    failed = sum(Path(f"there/{i}/error.txt").exists() for i in range(3))
    assert status == (2 if failed else 0)
    assert best["best_params"] == {"mse": 2, "seed": 1}
    assert best["best_value"] == 0
    assert yaml.safe_load(Path("there/multirun.yaml").read_text())["hydra"]["overrides"]["task"]
    assert "mse=2 seed=1" in out


def test_optuna_with_two_objectives_and_a_diverged_run(sweep):
    pytest.importorskip("optuna", reason="the extra sweeps is not installed")
    status, _, _ = sweep(*OPTUNA, "hydra.sweeper.n_trials=1", "objective=[swd,psnr]", "mse=interval(4.5,5)")
    assert status == 0
    found = yaml.safe_load(Path("there/optimization_results.yaml").read_text())["solutions"]
    assert [one["values"] for one in found] == [[float("inf"), float("-inf")]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("objective=swd mse=1 hydra.sweep.subdir=x", "hydra.sweep.subdir"),
        ("objective=psnr mse=1 hydra.sweeper.direction=minimize", "higher is better for psnr"),
        ("objective=swd mse=1 hydra.sweeper.storage=sqlite:///x.db", "drop it (each run is kept in its folder)"),
    ],
)  # fmt: skip
def test_what_optuna_cannot_improve_is_refused(words, said):
    pytest.importorskip("optuna", reason="the extra sweeps is not installed")
    goals, others = objective.named(words.split())
    with pytest.raises(InputError) as refused:
        multirun.Engine(sweeper=multirun.OPTUNA).prepared(others, goals, TRAIN)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("mse=1", "give objective="), ("objective=swd mse=interval(1,2) loss=ns,nss", "loss=nss"),
        ("objective=swd mse=1 optim.g.lrr=interval(1,2)", "optim.g.lrr: unknown"),
    ],
)  # fmt: skip
def test_what_no_job_can_begin_with_is_refused_before_optuna_chooses(sweep, words, said):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="the extra sweeps is not installed")
    status, out, err = sweep(*OPTUNA, *words.split())
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert said in err


def test_a_sweeper_is_no_choice_of_the_lab(sweep):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="the extra sweeps is not installed")
    assert "no number to improve" in sweep(*OPTUNA, "mse=1", root=LAB)[2]
