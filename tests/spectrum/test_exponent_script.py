"""``scripts/exponent.py`` on a run that ``scripts/train.py`` would make."""

import json
import shutil

import pytest
import torch
from runs import copied_at, images, quickly, run, words

from gcn.commands import exponent
from gcn.config.trained import trained
from gcn.game.rules import update

pytestmark = pytest.mark.filterwarnings("ignore")  # of the trainer
QUICK = ["updates=2", "align=1", "every=1", "directions=2", "distances=1e-5"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def a_run(tmp_path_factory, data):
    """A run of 6 updates, and what it had written after the first 4."""
    folder = tmp_path_factory.mktemp("run")
    said = "steps=6 val_every=6 checkpoint_every=4 r1=10 d_steps=2 optim.schedule.name=constant"
    with pytest.MonkeyPatch.context() as patch:
        quickly(patch)
        copied_at(5, patch, folder / "6", folder / "4")
        run(folder / "6", *words(data, said))
    return folder


def test_from_the_run_to_its_exponents(a_run, tmp_path, capsys):
    assert exponent.main([f"run={a_run / '4'}", f"out={tmp_path}", *QUICK]) == 0
    record, said = json.loads((tmp_path / "exponent.json").read_text()), capsys.readouterr().out
    for name in ("exponent", "exponent_g", "exponent_d", "share_of_the_game"):
        assert record[name]["low"] < record[name]["value"] < record[name]["high"]
    assert record["share_of_the_game"]["value"] == pytest.approx(
        record["exponent"]["value"] - max(record["exponent_g"]["value"], record["exponent_d"]["value"])
    )
    assert record["leading"][0] == record["exponent"]
    assert len(record["leading"]) == 2
    assert [one["epsilon"] for one in record["distances"]] == [1e-3, 1e-5]
    assert set(record["function_space"]["all"]) == {"x_hat", "logits"}
    assert (record["step"], record["updates"], record["updates_made"]) == (4, 2, 1 + 3 * (1 + 2 + 2 + 3))
    assert record["exponent_per_learning_rate"] == pytest.approx(
        record["exponent"]["value"] / record["learning_rates"]["g"]
    )
    assert "Λ_G" in said
    assert f"written: {tmp_path}/exponent.json" in said


def test_the_training_that_is_measured_is_the_run_s_own(a_run):
    """After two further updates it stands where the longer run stands, but for the noise that float64 draws."""
    of, longer = trained(a_run / "4"), trained(a_run / "6")
    start = [p.detach().clone() for p in of.game.parameters()]
    training = of.training(None)
    for step in (4, 5):
        update(training.game, training.rule, training.batches(step), step, training.players)
    triples = zip(start, of.game.parameters(), longer.game.parameters(), strict=True)
    moved = [torch.cat([(a - b).detach().flatten(), (c - b).detach().flatten()]) for b, a, c in triples]
    here, there = (
        torch.cat([m.tensor_split(2)[0] for m in moved]),
        torch.cat([m.tensor_split(2)[1] for m in moved]),
    )
    assert (here - there).norm() < 0.2 * there.norm()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (["run=RUN", "epsilon=1"], "epsilon=1: must be a number > 0 and <= 0.1"),
        (["run=RUN", "updates=4"], "updates=4: too few for an interval with every=5; use 10 or more"),
        (["run=RUN", "out=RUN/config.yaml"], "cannot write there"),
        (["run=nowhere"], "nowhere: no checkpoint here"),
        (["run=FRESH"], "the optimizer of D has states for 0 of its"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(a_run, said, reason, tmp_path, capsys):
    for name in ("RUN", "FRESH"):
        shutil.copytree(a_run / "4", tmp_path / name)
    file = tmp_path / "FRESH" / "checkpoints" / "last.ckpt"
    content = torch.load(file, weights_only=True)
    content["optimizer_states"][1]["state"] = {}
    torch.save(content, file)
    for name in ("RUN", "FRESH"):
        said = [word.replace(name, str(tmp_path / name)) for word in said]
    before = sorted(tmp_path.rglob("*"))
    assert exponent.main(said) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert reason in err
    assert sorted(tmp_path.rglob("*")) == before


def test_an_interruption_writes_nothing(a_run, tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("gcn.commands.exponent_record.measure", interrupted)
    assert exponent.main([f"run={a_run / '4'}", f"out={tmp_path / 'out'}", *QUICK]) == 130
    assert "nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
