"""Lightning's loggers in a run: every row of metrics.csv once, also after a kill, and failures of one line."""

import csv

import pytest
from runs import checkpoint, differences, killed_at, run, words

from gcn.config.parse import parse
from gcn.config.preflight import check_run
from gcn.errors import InputError
from gcn.training.loggers import send, started

pytest.importorskip("tensorboard")
from lightning.pytorch.loggers import TensorBoardLogger

SAID = "steps=4 val_every=2 panel_every=4 checkpoint_every=2"


def scalars(folder):
    """What TensorBoard shows of a folder: pairs (update, value) by name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [(s.step, s.value) for s in events.Scalars(name)] for name in events.Tags()["scalars"]}


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def shown(name, folder):
    return [
        (int(row["step"]), pytest.approx(float(row[name]), rel=1e-6)) for row in rows(folder) if row[name]
    ]


def test_tensorboard_has_each_row_once_also_after_a_kill(data, tmp_path, quick):
    folder, plain = tmp_path / "run", tmp_path / "plain"
    killed_at(3, folder, *words(data, SAID), "logger=[csv,tensorboard]")
    run(folder)
    seen = scalars(folder / "tensorboard")
    for name in ("train/g/mse", "train/d/grad_norm", "val/psnr", "val/jitter"):
        assert seen[name] == shown(name, folder)
    assert [step for step, _ in seen["train/g/mse"]] == [1, 2, 3, 4]
    assert "mse: 1.0" in (folder / "tensorboard" / "hparams.yaml").read_text()
    run(plain, *words(data, SAID))
    assert list(differences(checkpoint(folder)["state_dict"], checkpoint(plain)["state_dict"])) == []


def test_a_logger_that_fails_says_so_once_and_the_others_go_on(tmp_path, capsys):
    class Full(TensorBoardLogger):
        def log_metrics(self, metrics, step=None):
            raise OSError("No space left\non device")

    options = {"save_dir": "{folder}", "name": "a", "version": "{run}", "sub_dir": None}
    full, sound = started("mine", Full, options, tmp_path), started("b", TensorBoardLogger, options, tmp_path)
    send([full, sound], [{"step": 1, "x": 2.0, "y": None}, {"step": 3, "x": 4.0}])
    sound.finalize("success")
    assert capsys.readouterr().err == (
        "logger=mine: stopped logging (OSError: No space left on device); metrics.csv has the numbers\n"
    )
    assert scalars(tmp_path / "a" / tmp_path.name) == {"x": [(1, 2.0), (3, 4.0)]}


def test_a_logger_that_refuses_its_arguments_is_named(tmp_path):
    with pytest.raises(
        InputError, match=r"^logger=mine: cannot start \(TypeError: .*; mend logger\.mine\.…$"
    ):
        started("mine", TensorBoardLogger, {}, tmp_path)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_package_is_named_with_its_extra_before_anything_is_imported(name, monkeypatch):
    monkeypatch.setattr("gcn.config.preflight.find_spec", lambda module: None)
    said = ["mse=1", f"logger=[csv,{name}]", "data=folder", "data.root=tests"]
    monkeypatch.setattr("gcn.config.preflight._check_data", lambda data: None)
    with pytest.raises(InputError, match=rf"^logger={name}: {name} is not installed.*\[{name}\]"):
        check_run(parse(said), said)


def test_mlflow_has_the_rows(tmp_path):
    pytest.importorskip("mlflow")
    from lightning.pytorch.loggers import MLFlowLogger

    options = dict(parse(["mse=1", "logger=mlflow"]).logger.mlflow)
    assert options.pop("_target_").endswith("MLFlowLogger")
    logger = started("mlflow", MLFlowLogger, options, tmp_path)
    send([logger], [{"step": 2, "train/psnr": 20.0}], {"mse": 1})
    history = logger.experiment.get_metric_history(logger.run_id, "train/psnr")
    assert [(value.step, value.value) for value in history] == [(2, 20.0)]
    assert (tmp_path / "mlflow.db").is_file()
