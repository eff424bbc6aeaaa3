"""From configurations to objects: only what is asked for, only what is trusted."""

import sys
from importlib import import_module

import pytest

from gcn.config.build import build, present_terms
from gcn.config.offered import groups, knobs
from gcn.config.parse import parse
from gcn.errors import InputError
from gcn.schema.conf_folder import CONF
from gcn.schema.kinds import KINDS


def test_weights_and_settings_that_are_there():
    cfg = parse(
        ["mse=1", "r1=0", "terms.r1.every=4", "instance_noise=0.1", "relativistic=pair", "spectral_norm=true"]
    )
    present = {name: (weight, term) for name, weight, term in present_terms(cfg)}
    assert {name: weight for name, (weight, _) in present.items()} == {
        **{"instance_noise": None, "relativistic": None, "spectral_norm": None},
        **{"mse": 1.0, "r1": 0.0, "rate": 5.5},
    }
    assert present["r1"][1].every == 4
    assert present["instance_noise"][1].sigma == 0.1
    assert present["relativistic"][1].pairing == "pair"


def test_what_is_absent_is_not_even_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "gcn.losses.perceptual", raising=False)
    present_terms(parse(["mse=1"]))
    assert "gcn.losses.perceptual" not in sys.modules


@pytest.mark.parametrize("name", [name for name, knob in knobs().items() if knob.target and name != "lpips"])
def test_every_knob_builds(name):
    values = {"relativistic": "pair", "spectral_norm": "true", "diffaugment": "all", "history": "50"}
    beside = {
        "history": ["discriminator.condition=false"],
        "class_entropy": ["data=digits", "discriminator=auxiliary"],
    }
    words = [f"{name}={values.get(name, '0.5')}", *beside.get(name, [])]
    assert name in [present.name for present in present_terms(parse(words))]


@pytest.mark.parametrize(("group", "choice"), [(g, c) for g in ("loss", "dynamics") for c in groups()[g]])
def test_every_loss_and_rule_builds(group, choice):
    energies = {name: ["discriminator=autoencoder"] for name in ("ebgan", "began")}
    needed = {"oasis": ["discriminator=unet", "labeller=patches"], **energies}
    others = needed.get(choice, [])
    assert (build(parse([f"{group}={choice}", *others]), group) is None) == (choice == "none")


@pytest.mark.parametrize(
    ("place", "target"),
    [
        *[("loss", target) for target in (
            "os.getcwd", "torch.load", "gcn.losses.adversarial.nn.Linear", "gcn.losses.adversarial.nothing",
            "gcn.losses.nothing.Hinge", "gcn.losses.distortion.MSE", "gcn.losses..adversarial.Hinge", "Hinge", 7, True,
        )],
        *[("generator", target) for target in (
            "torch.load", "torch.hub.load", "torch.nn.Linear", "gcn.models.package.load", "gcn.models.blocks.GDN",
            "gcn.models.discriminator.Patch", "gcn.models.codec.torch.load",
        )],
        *[("optim", target) for target in ("os.system", "torch.load", "torch.optim.lr_scheduler.StepLR")],
        ("terms.mse", "gcn.losses.adversarial.Hinge"),
        ("terms.mse", "gcn.game.slots.nn.Module"),
        ("dynamics", "gcn.game.rules.contextmanager"),
        ("data", "gcn.data.images.decode"),
        ("elsewhere", "gcn.losses.adversarial.Hinge"),
    ],
)  # fmt: skip
def test_nothing_but_classes_of_the_kind_that_belongs_there_is_built(place, target):
    node = {"_target_": target}
    content = {"terms": {"mse": node}} if place == "terms.mse" else {place: node}
    with pytest.raises(InputError, match=f"^{place}._target_={target}: "):
        build(content, place)


def test_kinds_are_checked_at_every_depth():
    with pytest.raises(InputError, match=r"^generator.extra.deep._target_=torch.load: nothing is built here"):
        build(
            {
                "generator": {
                    "_target_": "gcn.models.factorized.Factorized",
                    "extra": {"deep": {"_target_": "torch.load"}},
                }
            },
            "generator",
        )


@pytest.mark.parametrize("kind", KINDS)
def test_all_declared_kinds_exist(kind):
    for base in KINDS[kind].bases:
        module, _, name = base.rpartition(".")
        assert isinstance(getattr(import_module(module), name), type)


def test_a_constructors_refusal_is_the_users():
    lpips = {"_target_": "gcn.losses.perceptual.LPIPS", "net": "squeeze", "backbone": "/nowhere"}
    with pytest.raises(InputError, match=r"terms\.lpips\.backbone=/nowhere"):
        build({"terms": {"lpips": lpips}}, "terms.lpips")


def test_targets_exist_where_they_are_named():
    for name, knob in knobs().items():
        if knob.target:
            module = knob.target.rpartition(".")[0]
            assert (CONF.parent / (module.replace(".", "/") + ".py")).exists(), name
