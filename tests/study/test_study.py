"""From a study's file to its table, with tiny networks."""

import dataclasses
import io
import json
import math
import shutil
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from runs import images, words
from runs import run as train

from gcn.commands.study import train as trained_by_a_worker
from gcn.errors import InputError
from gcn.report.summary import plain
from gcn.study import design, diagnostics, play, table
from gcn.study import run as running
from gcn.study.arms import Arm, Protocol
from gcn.study.design import Study
from gcn.study.executors.executor import Executor
from gcn.study.executors.local import LocalExecutor
from gcn.study.ground import prepare, words_of

TINY = (
    "generator.N=8",
    "generator.M=8",
    "discriminator.width=4",
    "discriminator.depth=2",
    "data.crop=32",
    "data.batch=2",
)


@pytest.fixture(scope="module")
def protocol(tmp_path_factory):
    data = images(tmp_path_factory.mktemp("data"), val_side=176)  # a crop of a study has 128 pixels
    arm = ("experiment=frozen", "rate=null", "optim=gan", *TINY, "data=folder", f"data.root={data}")
    return Protocol(("experiment=rd",), arm, updates=12, log_every=2, val_every=4, pool=10, val_crops=2)


@pytest.fixture(scope="module")
def codec(protocol, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    root = next(word for word in protocol.arm if word.startswith("data.root=")).split("=", 1)[1]
    train(folder / "codec-0", *words(Path(root), "loss=none steps=3 val_every=3 panel_every=3"))
    (folder / "codec-0" / "codec.safetensors").rename(running.codec_file(folder, 0))
    return folder


@pytest.fixture(scope="module")
def joint(protocol):
    words = tuple(word for word in protocol.arm if not word.startswith("experiment="))
    return dataclasses.replace(
        protocol, codec=(), arm=words
    )  # no codec= beforehand: the arms train their own


def arm(protocol, *said):
    return Arm({"loss": "ns"}, 0, (*protocol.arm, "loss=ns", *said, "seed=0"), False)


@pytest.fixture(scope="module")
def ground(protocol, codec):
    return prepare(running.codec_file(codec, 0), protocol, 0)


@pytest.fixture(scope="module")
def played(protocol, ground):
    """The result of an arm with these words, trained once."""
    return cache(lambda *said: play.play(arm(protocol, *said), ground, protocol))


def test_the_shipped_study_has_its_cells():
    study = design.load("distortion_vs_tricks")
    names = [a.name for a in study.arms]
    assert len(names) == len(set(names)) == 642
    core = study.arms[:200]
    assert {a.levels["control"] for a in core} == {"none"}
    assert {
        (a.levels["loss"], a.levels["mse"], a.levels["trick"], a.levels["heat"], a.seed) for a in core
    } == {
        (loss, mse, trick, heat, seed)
        for loss in ("ns", "vanilla", "hinge", "lsgan", "wgan")
        for mse in ("0", "1")
        for trick in ("none", "r1")
        for heat in ("comfortable", "hot")
        for seed in range(5)
    }
    assert [a.seed for a in core] == sorted(a.seed for a in core)


def test_every_level_is_a_valid_configuration():
    """Arms that have all levels of all factors between them, few of them: an arm has one of each factor."""
    from gcn.config.parse import parse

    arms = design.load("distortion_vs_tricks").arms
    left = {level for a in arms for level in a.levels.items()}
    assert len(left) == 5 + 8 + 5 + 3 + 5 + 6
    while left:
        a = max(arms, key=lambda a: len(left & a.levels.items()))
        parse([*a.words, "init_from=x"])
        left -= a.levels.items()


def test_words_are_added_to_codecs_and_arms():
    study = design.load("distortion_vs_tricks", ["generator=hyperprior"])
    assert "generator=hyperprior" in study.protocol.codec
    assert all("generator=hyperprior" in a.words for a in study.arms)
    assert study.arms[0].name != design.load("distortion_vs_tricks").arms[0].name


def test_levels_have_labels_and_keep_their_names():
    """Reports show plain names; arms, tables and words such as only.heat=hot keep the level."""
    for name in ("distortion_vs_tricks", "joint"):
        study = design.load(name)
        assert study.labels["comfortable"] == "lr 2e-4, β₁ 0"
        assert study.labels["hot"] == "lr 2e-3, β₁ .9"
        assert {arm.levels["heat"] for arm in study.arms} >= {"comfortable", "hot"}
        assert study.cannot_say
    assert list(design.load("distortion_vs_tricks").withdrawn) == [("control", "standard")]


def test_unknown_studies_and_levels(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="choose distortion_vs_tricks"):
        design.load("nothing")
    text = (design.CONF / "study" / "distortion_vs_tricks.yaml").read_text()
    (tmp_path / "study").mkdir()
    monkeypatch.setattr(design, "CONF", tmp_path)
    for old, new, said in (
        ("trick: [none, r1]", "trick: [none, r9]", "r9"),
        ("heat: [", "heet: [", "heet"),
        ("    cool: lr", "    kool: lr", "display: heat has no level kool; nearest: cool"),
    ):
        (tmp_path / "study" / "broken.yaml").write_text(text.replace(old, new))
        with pytest.raises(InputError, match=said):
            design.load("broken")


@pytest.mark.parametrize(
    ("word", "said"),
    [("updates=5", "a whole number, 6 or more"), ("times=0.5", "a whole number, 1 or more"),
     ("rate_mse=0", "a number above 0"), ("rate_mse=a", "a number above 0"), ("rate_mse=inf", "a number above 0")],
)  # fmt: skip
def test_numbers_of_a_search_are_checked_before_any_run(tmp_path, monkeypatch, word, said):
    text = (design.CONF / "study" / "margin.yaml").read_text()
    (tmp_path / "study").mkdir()
    monkeypatch.setattr(design, "CONF", tmp_path)
    (tmp_path / "study" / "own.yaml").write_text(text.replace("4N: updates=800", f"4N: {word}"))
    with pytest.raises(InputError, match=rf"own.yaml: {word}: give {said}$"):
        design.load("own", ["data.root=x"])


def test_latents_are_those_of_the_file(protocol, codec):
    from gcn.config.build import build
    from gcn.config.first_weights import load_codec
    from gcn.config.parse import parse

    ground = prepare(running.codec_file(codec, 0), protocol, 0)
    cfg = parse([*protocol.arm, f"init_from={codec / 'codec-0'}"])
    full = build(cfg, "generator")
    load_codec(full, str(codec / "codec-0"))
    out = full.reconstruct(ground.x[:3].float() / 255)
    assert torch.equal(out.y_hat, ground.frozen.y_hat[:3])
    assert torch.equal(full.reconstruct(ground.val_x).x_hat, ground.frozen.start)
    estimate = sum(
        -part.double().log2().sum() for part in full.reconstruct(ground.val_x).likelihoods.values()
    )
    assert ground.frozen.val_bpp == pytest.approx(float(estimate) / (2 * 128 * 128), rel=1e-6)
    assert ground.x.shape == (10, 3, 32, 32)
    assert ground.val_x.shape == (2, 3, 128, 128)


def test_batches_depend_on_step_and_seed_alone(protocol, codec):
    ground = prepare(running.codec_file(codec, 0), protocol, 0)
    first, again, other = ground.indices(3, 2, 0), ground.indices(3, 2, 0), ground.indices(3, 2, 1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    epoch = torch.cat([ground.indices(step, 2, 0) for step in range(5)])
    assert sorted(epoch.tolist()) == list(range(10))
    assert ground.crops(first).shape == (2, 3, 32, 32)


@pytest.mark.parametrize("turns", [1, 2])
def test_an_arm_is_the_production_game(protocol, codec, turns):
    """The updates of the frozen protocol of scripts/train.py on the same batches, one for each of D's turns."""
    from gcn.config import assemble
    from gcn.config.build import build
    from gcn.config.parse import parse
    from gcn.game.protocols import Players
    from gcn.game.streams import Streams
    from gcn.study.arm_training import ArmTraining
    from gcn.training.player import OptimizerPlayer

    ground = prepare(running.codec_file(codec, 0), protocol, 0)
    said = [f"init_from={codec / 'codec-0'}", "loss=ns", "mse=1", "r1=1", "seed=0", f"d_steps={turns}"]
    cfg = parse([*protocol.arm, *said])

    game, _ = assemble.game(cfg)
    game.streams = Streams(0)
    players = Players(*(OptimizerPlayer(assemble.optim(cfg, p).build(game.parameters_of(p))) for p in "gd"))
    arm_training = ArmTraining(cfg, ground)
    for step in range(4):
        batches = [ground.crops(ground.indices(turns * step + turn, 2, 0)) for turn in range(turns)]
        build(cfg, "dynamics")(game, batches, step, players)
        arm_training.advance()
    whole, cached = (g.generator.g_s.state_dict() for g in (game, arm_training.game))
    assert all(torch.allclose(whole[name], cached[name], atol=1e-7) for name in whole)


def test_an_arm_and_its_row(protocol, ground, played):
    result = played("mse=1")
    again = play.play(arm(protocol, "mse=1"), ground, protocol)
    assert [r["step"] for r in result["rows"]] == [0, 2, 4, 6, 8, 10, 12]
    assert result["rows"] == again["rows"]
    row = table.row(result)
    assert {r.name for r in table.RESPONSES} <= set(row)
    assert row["steps"] == 12
    assert row["psnr_loss"] == pytest.approx(result["start"]["val/psnr"] - result["end"]["val/psnr"], abs=1.0)


def test_arms_of_a_seed_begin_alike(played):
    assert played("mse=1")["start"] == played("mse=0")["start"]


def test_a_standard_gan_has_no_original_and_no_rate(joint):
    """No column, rather than a rate of 0, which would be a verdict: the rate fell to nothing."""
    words = [
        w
        for w in joint.arm
        if w.partition("=")[0] not in ("generator", "rate", "mse") and "generator." not in w
    ]
    words = (*words, "generator=dcgan", "generator.width=2", "data.crop=32")
    gan = dataclasses.replace(joint, arm=words, updates=4)
    result = play.play(arm(gan), prepare(None, gan, 0), gan)
    columns = {name for point in result["rows"] for name in point}
    assert "val/swd" in columns
    assert not {"val/bpp", "val/psnr"} & columns
    assert "rate" not in result["verdict_reason"]
    row = table.row(result)
    assert math.isfinite(row["swd"])
    assert math.isnan(row["bpp"])
    assert math.isnan(row["psnr_loss"])


def test_withdrawn_runs_are_planned_and_not_trained(tmp_path):
    study = design.load("distortion_vs_tricks")
    left = running.remaining(study, tmp_path)
    assert sum(a.standard for a in study.arms) == 30
    assert [a.name for a in left] == [a.name for a in study.arms if not a.standard]


def test_twins_are_levels_of_any_study(protocol, codec, ground, played):
    """Beside the game: nothing moves; D repeats the game of another seed."""
    arms = {
        twin: dataclasses.replace(arm(protocol, "mse=1"), own={"twin": twin}) for twin in ("still", "yoked")
    }
    assert arms["yoked"].codecs == (0, 1)
    still = play.play(arms["still"], ground, dataclasses.replace(protocol, updates=4))
    assert still["end"]["val/psnr"] == still["start"]["val/psnr"]
    yoked = play.play(
        arms["yoked"], ground, protocol, False, prepare(running.codec_file(codec, 0), protocol, 1)
    )
    game = played("mse=1")
    assert yoked["start"] == game["start"]
    assert yoked["end"] != game["end"]


def test_divergence_is_a_result(played):
    result = played("optim.g.lr=1e30", "mse=1")
    assert result["verdict"] == "diverged"
    row = table.row(result)
    assert row["unstable"] == 1
    assert row["verdict_step"] <= 12


def test_a_whole_codec_plays(joint):
    """As scripts/train.py plays it, with the rate among what G pays."""
    ground = prepare(None, joint, 0)
    result = play.play(arm(joint, "mse=1", "rate=5", "optim.g.lr=1e-2"), ground, joint)
    assert result["verdict"] == "too short to tell"
    assert result["end"]["val/bpp"] != result["start"]["val/bpp"] > 0
    assert table.row(result)["bpp"] > 0
    again = play.play(arm(joint, "mse=0", "rate=5"), ground, dataclasses.replace(joint, updates=2))
    assert again["start"] == result["start"]


def test_the_adversary_s_share(played):
    alone, weak, equal = (
        table.row(played(*said))["share"] for said in (["mse=0"], ["mse=1"], ["mse=0", "anchor=1"])
    )
    assert alone == 1
    assert 0 < weak < 1
    assert 0 < equal < 1


def test_the_diagnostics_of_an_arm(protocol, ground, played, tmp_path, monkeypatch):
    monkeypatch.setattr(diagnostics, "BASIS", 40)
    monkeypatch.setattr(diagnostics, "PROBES", 4)
    own = arm(protocol, "mse=1")
    result = play.play(own, ground, protocol, diagnose=True)
    assert result["rows"] == played("mse=1")["rows"]
    look = result["diagnostics"]
    assert 0 <= look["rotation"] <= 1
    known = [abs(im) for _, im, residual in look["eigenvalues"] if residual < 1e-3]
    assert len(known) > 5
    assert max(known) <= look["skew_norm"] * 1.01
    rows = [{"name": "x 0", "crops": diagnostics.pngs(ground.val_x)}, {"name": own.name, **look}]
    diagnostics.write(rows, tmp_path)
    diagnostics.write([{"name": "other", **look}, rows[0]], tmp_path)
    kept = {row["name"]: row for row in diagnostics.read(tmp_path)}
    assert list(kept) == ["x 0", own.name, "other"]
    assert kept["other"]["eigenvalues"] == look["eigenvalues"]
    image = np.asarray(Image.open(io.BytesIO(kept["x 0"]["crops"][1])))
    assert (image == (ground.val_x[1] * 255).round().byte().permute(1, 2, 0).numpy()).all()


def test_a_part_of_a_study():
    part = design.load(
        "distortion_vs_tricks", [], design.Choice(["core"], {"loss": ["ns"], "heat": ["hot"]}, 2)
    )
    assert len(part.arms) == 2 * 2 * 2  # r1, mse, seeds
    whole = {a.name for a in design.load("distortion_vs_tricks").arms}
    assert {a.name for a in part.arms} <= whole


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (design.Choice(["cor"]), "grids=cor: unknown; nearest: core"),
        (design.Choice(only={"los": ["ns"]}), "only.los: unknown; nearest: loss"),
        (design.Choice(only={"loss": ["hing"]}), "only.loss=hing: unknown; nearest: hinge"),
        (design.Choice(["heat"], {"loss": ["wgan"]}), "no arm is left"),
    ],
)
def test_parts_that_are_not_there(choice, said):
    with pytest.raises(InputError, match=said):
        design.load("distortion_vs_tricks", [], choice)


@pytest.fixture
def study(protocol):
    arms = [arm(protocol, f"mse={m}") for m in (0, 1)]
    bad = Arm({"loss": "ns"}, 0, (*protocol.arm, "loss=none", "mse=0"), False)  # nothing to learn from
    return Study("test", "Test", protocol, {"loss": ["ns"]}, [*arms, bad])


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers")
def test_a_study_is_played_once_and_extended(study, codec, tmp_path, capsys):
    assert running.run(study, tmp_path, LocalExecutor(running.train_task, 1), kept=codec) == 0
    assert running.codec_file(tmp_path, 0).read_bytes() == running.codec_file(codec, 0).read_bytes()
    verdicts = [r["verdict"] for r in running.finished(study, tmp_path)]
    assert verdicts[2] == "failed"
    running.file_of(tmp_path, study.arms[1]).unlink()
    before = running.file_of(tmp_path, study.arms[0]).stat().st_mtime_ns
    assert len(running.remaining(study, tmp_path)) == 1
    assert running.run(study, tmp_path, LocalExecutor(running.train_task, 1)) == 0
    assert running.file_of(tmp_path, study.arms[0]).stat().st_mtime_ns == before
    table.write(running.finished(study, tmp_path), tmp_path / "table")
    assert table.names(tmp_path / "table") == {a.name for a in study.arms}
    assert running.remaining(study, tmp_path / "elsewhere", table.names(tmp_path / "table")) == []
    looked = dataclasses.replace(study, diagnostics=frozenset({study.arms[0].name}))
    assert (
        running.run(
            looked,
            tmp_path,
            LocalExecutor(running.train_task, 1),
            None,
            table.names(tmp_path / "table"),
            tmp_path / "table",
        )
        == 0
    )
    (look,) = running.finished(looked, tmp_path, running.diagnostics_file)
    assert look["name"] == study.arms[0].name
    assert [row["name"] for row in running.shared(looked, tmp_path)] == ["x 0", "start 0"]
    capsys.readouterr()


@pytest.mark.slow
def test_arms_are_trained_by_jobs(study, codec, played, tmp_path, monkeypatch):
    """The same results as in this process, bit for bit."""
    pytest.importorskip("submitit", reason="the extra submitit is not installed")
    from gcn.study.executors.jobs import JobExecutor

    monkeypatch.setattr(shutil, "which", lambda command: None)  # no SLURM
    arms = dataclasses.replace(study, arms=study.arms[1:2])
    assert (
        running.run(arms, tmp_path, JobExecutor(trained_by_a_worker, tmp_path / "jobs", 1), kept=codec) == 0
    )
    (trained,) = running.finished(arms, tmp_path)
    assert study.arms[1].name == trained["name"] == played("mse=1")["name"]
    assert trained["rows"] == json.loads(json.dumps(plain(played("mse=1"))))["rows"]


def test_an_arm_whose_worker_was_lost_is_a_failed_run(protocol, tmp_path):
    task = (arm(protocol), protocol, str(tmp_path), True)
    study = Study("s", "title", protocol, {"loss": ["ns"]}, [task[0]], frozenset({task[0].name}))
    for part in ("arms", "closer"):
        (tmp_path / part).mkdir()
    assert running._lost(task, "killed by signal 9 (SIGKILL)") == (task[0].name, "failed")
    (found,) = running.finished(study, tmp_path)
    assert "lost twice" in found["verdict_reason"]
    assert "killed by signal 9" in found["verdict_reason"]
    assert running.remaining(study, tmp_path) == []
    running.file_of(tmp_path, task[0]).write_text('{"verdict": "stable"}')
    running._lost(task, "its node failed")  # when the result had been written
    assert next(running.finished(study, tmp_path))["verdict"] == "stable"


class Elsewhere(Executor):
    """A worker whose files do not arrive here."""

    workers, about = 1, "elsewhere"

    def start(self, task):
        self.name = task[0].name
        return 0

    def ended(self):
        return {0: (self.name, "stable")}

    def stop(self):
        self.name = None


def test_results_that_do_not_arrive_end_the_study(joint, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "LAG", 0.1)
    study, executor = Study("s", "title", joint, {"loss": ["ns"]}, [arm(joint)], frozenset()), Elsewhere()
    with pytest.raises(InputError, match="give an out= that all machines share"):
        running.run(study, tmp_path, executor)
    assert executor.name is None


def test_a_table_is_extended(played, tmp_path):
    results = [played(f"mse={m}") for m in (0, 1)]
    table.write(results[:1], tmp_path)
    old = pq.read_table(tmp_path / "runs.parquet").drop_columns(["share"])
    pq.write_table(old, tmp_path / "runs.parquet")  # of an earlier version, which did not measure it
    table.write(results[1:], tmp_path)
    assert [r["share"] for r in table.read(tmp_path)] == [None, table.row(results[1])["share"]]
    rows, curves = table.read(tmp_path), table.read_curves(tmp_path)
    assert [r["name"] for r in rows] == [r["name"] for r in results]
    for result in results:
        points = curves[result["name"]]
        assert [p["step"] for p in points] == [r["step"] for r in result["rows"]]
        assert points[-1]["val/swd"] == pytest.approx(result["rows"][-1]["val/swd"], rel=1e-6)


class SlowTraining:
    """A training of a codec that needs longer than the time that is left."""

    def __init__(self, command):
        self.command, self.stopped = command, False

    def wait(self, timeout=None):
        assert self.stopped or timeout is not None
        if not self.stopped:
            raise running.subprocess.TimeoutExpired(self.command, timeout)
        return 143

    def terminate(self):
        self.stopped = True


def test_the_minutes_of_a_study_include_its_codecs(protocol, tmp_path, monkeypatch, capsys):
    started = []
    monkeypatch.setattr(
        running.subprocess, "Popen", lambda command: started.append(SlowTraining(command)) or started[-1]
    )
    study = Study("s", "title", protocol, {"loss": ["ns"]}, [arm(protocol)], frozenset())
    assert running.run(study, tmp_path, LocalExecutor(running.train_task, 1), minutes=0.01) == 1
    assert [training.stopped for training in started] == [True]
    assert "run the command again to resume the codec of seed 0" in capsys.readouterr().out
    assert running.run(study, tmp_path, LocalExecutor(running.train_task, 1), minutes=0) == 1
    assert len(started) == 1  # the time was up before


def test_no_arm_begins_when_the_time_is_up(protocol, codec):
    study = Study("s", "title", protocol, {"loss": ["ns"]}, [arm(protocol)], frozenset())
    assert running.run(study, codec, LocalExecutor(running.train_task, 1), minutes=0) == 1


def test_a_training_in_float64_goes_on_as_the_original_does(protocol, codec):
    """With the same weights, optimizer states and batches; the original is left alone."""
    from gcn.config.parse import parse
    from gcn.study.arm_training import ArmTraining

    ground = prepare(running.codec_file(codec, 0), protocol, 0)
    smooth = ["optim.g.eps=1e-3", "optim.d.eps=1e-3"]  # else Adam makes large moves of roundings
    words = words_of(arm(protocol, "mse=1", "lecam=1", "dynamics=optimistic", *smooth), joint=False)
    training = ArmTraining(parse(words), ground)
    for _ in range(2):
        training.advance()
    before = [p.detach().clone() for p in training.game.parameters()]
    double = training.doubled()
    assert all(p.dtype == torch.float64 for p in double.game.parameters())
    for each in (training, double):
        each.advance()
    assert double.step == training.step == 3
    for old, p, q in zip(before, training.game.parameters(), double.game.parameters(), strict=True):
        moved = (p - old).norm()
        assert (p - q).norm() <= 1e-3 * moved + 1e-7
