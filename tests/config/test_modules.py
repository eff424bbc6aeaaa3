"""A module from a checkpoint alone, of a Trainer or of a run; nothing in the file decides what is built."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml

import gcn
from gcn.errors import InputError, NotNamed
from gcn.schema.conf_folder import CONF

PHOTOS = [
    "steps=2", "data=photos", "data.crop=32", "data.batch=2", "generator.N=8", "generator.M=8", "discriminator.width=4",
    "discriminator.depth=2",
]  # fmt: skip
GAME = ["loss=hinge", "mse=1", "r1=1", "dynamics=optimistic", "ema=0.5", "seed=3", *PHOTOS]


def saved(path: Path, module) -> dict:
    """A checkpoint of a module before its first update, in Lightning's form."""
    named = module.game.generator.named_parameters()
    module.average = {name: p.detach() + 1 for name, p in named if p.requires_grad}
    own = {"epoch_loop.manual_optimization.optim_step_progress": {"total": {"completed": 0}}}
    optimizers = [optimizer.state_dict() for optimizer in module.configure_optimizers()]
    content = {
        "state_dict": module.state_dict(), "optimizer_states": optimizers, "loops": {"fit_loop": own}, "callbacks": {},
        "global_step": 0, "pytorch-lightning_version": "2.6.6", "lr_schedulers": [],
    }  # fmt: skip
    module.on_save_checkpoint(content)
    torch.save(content, path)
    return content


@pytest.fixture(scope="module")
def module():
    module, _ = gcn.build(GAME)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.5)  # other weights than those that the seed gives
    return module


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_checkpoint_alone_gives_the_module(module, tmp_path):
    content = saved(tmp_path / "a.ckpt", module)
    assert "_target_" in content["gcn"]["config"]
    loaded = gcn.GameModule.load_from_checkpoint(tmp_path / "a.ckpt")
    assert same(loaded.state_dict(), module.state_dict())
    assert same(loaded.average, module.average)
    assert loaded.training_plan == module.training_plan
    assert type(loaded.rule) is type(module.rule)
    assert loaded.game.objective.weights == module.game.objective.weights
    assert loaded.config.plain() == module.config.plain()
    assert loaded.to("meta").device.type == "meta"


@pytest.mark.parametrize("place", ["checkpoints/last.ckpt", "."])
def test_a_checkpoint_of_a_run_has_its_configuration_beside_it(place, module, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    content = saved(tmp_path / "checkpoints" / "last.ckpt", module)
    (tmp_path / "config.yaml").write_text(content["gcn"].pop("config"))
    torch.save(content, tmp_path / "checkpoints" / "last.ckpt")
    assert same(gcn.GameModule.load_from_checkpoint(tmp_path / place).state_dict(), module.state_dict())
    shutil.move(tmp_path / "config.yaml", tmp_path / "other.yaml")
    with pytest.raises(
        InputError, match=r"last\.ckpt: holds no configuration, .*; give game=, rule= and training="
    ):
        gcn.GameModule.load_from_checkpoint(tmp_path / place)


def test_a_class_that_the_file_names_is_not_used(module, tmp_path):
    content = saved(tmp_path / "a.ckpt", module)
    stated = content["gcn"]["config"]
    said = yaml.safe_load(stated)["loss"]["_target_"]
    for other, reason in (("os.system", "not the class of the run's choice"), ("elsewhere.Hinge", None)):
        content["gcn"]["config"] = stated.replace(said, other)
        torch.save(content, tmp_path / "b.ckpt")
        if reason is None:  # the name of the choice's class in another module: the class is that of conf/
            loss = gcn.GameModule.load_from_checkpoint(tmp_path / "b.ckpt").game.objective.loss
            assert f"{type(loss).__module__}.{type(loss).__name__}" == said
        else:
            with pytest.raises(InputError, match=reason):
                gcn.GameModule.load_from_checkpoint(tmp_path / "b.ckpt")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &x 1\nb: *x", "aliases and anchors"), ("seed: !!python/name:os.system", "tags"),
        ("seed: ${oc.env:HOME}", "interpolations"), ("seed: 1", "not the configuration of a run"),
        ("x" * 70000, "more than 65536"), ("[", "a.ckpt: "), ("choices: {loss: other}", "no such choice"),
    ],
)  # fmt: skip
def test_a_forged_configuration_is_refused_in_one_line(text, reason, module, tmp_path):
    content = saved(tmp_path / "a.ckpt", module)
    content["gcn"]["config"] = text
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(InputError, match=reason) as refusal:
        gcn.GameModule.load_from_checkpoint(tmp_path / "a.ckpt")
    assert "\n" not in str(refusal.value)


def test_weights_of_another_game_are_refused(module, tmp_path):
    content = saved(tmp_path / "a.ckpt", module)
    content["gcn"]["config"] = content["gcn"]["config"].replace("depth: 2", "depth: 3")
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(InputError, match=r"a\.ckpt: the checkpoint cannot be used: .*another architecture"):
        gcn.GameModule.load_from_checkpoint(tmp_path / "a.ckpt")


def test_plugins_are_named_again(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(CONF.parent / "examples" / "plugin"))
    own, _ = gcn.build(["plugins=[gcn_example]", "loss=squared_hinge", "mse=1", "ema=0.5", *PHOTOS])
    saved(tmp_path / "a.ckpt", own)
    with pytest.raises(NotNamed, match="loss=squared_hinge"):
        gcn.GameModule.load_from_checkpoint(tmp_path / "a.ckpt")
    loaded = gcn.GameModule.load_from_checkpoint(tmp_path / "a.ckpt", plugins=["gcn_example"])
    assert same(loaded.state_dict(), own.state_dict())
    assert type(loaded.game.objective.loss) is type(own.game.objective.loss)
