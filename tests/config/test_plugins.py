"""Packages and folders of the user's own: what the command line names is built, and what a run folder names is not."""

import json
import sys
from pathlib import Path

import pytest

from gcn.commands.help import help_text
from gcn.config.build import build
from gcn.config.offered import LAB, groups, knobs
from gcn.config.parse import load, parse, save
from gcn.errors import InputError, NotNamed
from gcn.schema.conf_folder import CONF
from gcn.schema.fields import put
from gcn.schema.kinds import resolve
from gcn.schema.plugins import NONE, Extension, extension, names, stored_words

EXAMPLE = CONF.parent / "examples" / "plugin"
PLUGIN = "plugins=[gcn_example]"
OWN = ["loss=squared_hinge", "data=stripes", "generator=lopsided", "edges=0.5", "mse=1"]


@pytest.fixture(autouse=True)
def package(monkeypatch):
    """The example's package can be imported, as if it were installed."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in ("gcn_example", "mine")]:
        del sys.modules[name]


@pytest.fixture
def run(tmp_path):
    """A run folder that uses the plugin."""
    folder = tmp_path / "run"
    folder.mkdir()
    save(parse([*OWN, PLUGIN]), folder)
    return folder


def refusal(call, *arguments, **named):
    with pytest.raises(InputError) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_the_user_names_is_built():
    cfg = parse([*OWN, PLUGIN])
    assert cfg.plugins == ["gcn_example"]
    for place, name in {"loss": "SquaredHinge", "terms.edges": "Edges", "generator": "Lopsided"}.items():
        assert type(build(cfg, place)).__name__ == name
    assert type(build(cfg, "data", count=1)).__name__ == "Stripes"


@pytest.mark.parametrize(
    "word", ["plugins=[gcn_example]", "plugins=gcn_example", "+plugins=[gcn_example,gcn_example]"]
)
def test_a_package_may_be_written_as_a_list_or_alone(word):
    assert parse([*OWN, word]) == parse([*OWN, PLUGIN])
    assert names("[a, 'b']") == names("a,b") == ["a", "b"]
    assert names("[]") == names("null") == names(None) == []


def test_without_the_word_nothing_of_it_is_known():
    assert "no such choice" in refusal(parse, ["loss=squared_hinge", "mse=1"])
    assert "edges" in refusal(parse, ["edges=1", "mse=1"])
    before = sorted(knobs())
    parse([*OWN, PLUGIN])
    assert sorted(knobs()) == before
    assert parse(["mse=1"]) == parse(["mse=1", "plugins=[]"])


def test_ranges_needs_and_conflicts_of_ones_own_hold():
    assert refusal(parse, [*OWN, PLUGIN, "edges=-1"]).startswith("edges=-1: must be a number >= 0")
    assert "[1, 1024]" not in refusal(parse, [*OWN, PLUGIN, "generator.decoder=0"])
    assert "multiple of 16" in refusal(parse, [*OWN, PLUGIN, "data.crop=40"])
    assert "not of images" in refusal(parse, [PLUGIN, "edges=1"], root=LAB)
    assert parse([PLUGIN, "loss=squared_hinge"], root=LAB).choices.loss == "squared_hinge"


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("plugins=[gcn_exampel]", "plugins=gcn_exampel: no such package here; pip install it"),
        ("plugins=[a-b]", "plugins=a-b: not the name of a package"),
        ("plugins=[../evil]", "plugins=../evil: not the name of a package"),
        ("plugins=[broken.inside]", "plugins=broken.inside: cannot be imported (ZeroDivisionError: "),
    ],
)
def test_a_package_that_cannot_be_used_is_named(word, reason, tmp_path, monkeypatch):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "__init__.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert refusal(parse, ["mse=1", word]).startswith(reason)
    assert "twice" in refusal(parse, ["mse=1", "plugins=[a]", "plugins=[b]"])


def test_a_module_that_fails_is_named_when_its_class_is_built(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("import nothing_of_this_name")
    monkeypatch.syspath_prepend(str(tmp_path))
    said = refusal(resolve, "loss", "mine.Loss", ["mine"])
    assert said.startswith("loss._target_=mine.Loss: its module cannot be imported (ModuleNotFoundError: ")
    assert "there is no such class" in refusal(
        resolve, "loss", "gcn_example.ingredients.Nothing", ["gcn_example"]
    )
    assert "there is no such class" in refusal(resolve, "loss", "gcn_example.nothing.Loss", ["gcn_example"])


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("loss", "gcn_example.ingredients.Edges"),  # of another kind
        ("loss", "gcn_example.ingredients.relu"),  # a function
        (
            "loss",
            "gcn_example.ingredients.Adversarial",
        ),  # defined in gcn, where it is allowed, but named elsewhere
        ("data", "gcn_example.ingredients.np.load"),
        ("elsewhere", "gcn_example.ingredients.Edges"),
    ],
)
def test_a_plugin_adds_classes_of_the_declared_kinds_alone(place, target):
    if target.endswith("Adversarial"):
        assert resolve(place, target, ["gcn_example"]).__name__ == "Adversarial"
    else:
        assert f"{place}._target_={target}: " in refusal(resolve, place, target, ["gcn_example"])
    said = refusal(resolve, place, target)
    assert ("name it: plugins=[gcn_example]" in said) == (place != "elsewhere")


def test_a_folder_brings_knobs_and_choices_and_the_help_shows_them(tmp_path):
    for group, name, text in [
        ("knob", "ripples", "help: squared error, twice\nchanges: generator loss\nkind: weight\n"
         "target: gcn.losses.distortion.MSE\noptions:\n  unit: 4.0   #: > 0 ; grey levels\nneeds: reference\n"),
        ("loss", "bent", "_target_: gcn.losses.adversarial.Hinge\n"),
    ]:  # fmt: skip
        (tmp_path / group).mkdir()
        (tmp_path / group / f"{name}.yaml").write_text(text)
    own = Extension(config_dir=str(tmp_path))
    cfg = parse(["loss=bent", "ripples=0.5", "terms.ripples.unit=2"], str(tmp_path))
    assert (cfg.ripples, cfg.terms.ripples.unit, cfg.config_dir) == (0.5, 2.0, str(tmp_path))
    assert "terms.ripples.unit=0: must be" in refusal(
        parse, ["ripples=1", "terms.ripples.unit=0"], str(tmp_path)
    )
    shown = help_text(own=own)
    assert "ripples=null" in shown
    assert "bent" in shown
    assert "squared_hinge" in help_text(own=extension(["gcn_example"]))
    assert "ripples" not in help_text()


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("knob/mse.yaml", "there is a knob mse already"),
        ("knob/steps.yaml", "steps is a word of the command line already"),
        ("knob/loss.yaml", "loss is a word of the command line already"),
        ("knob/game.yaml", "game is a word of the command line already"),
        ("loss/ns.yaml", "there is a loss=ns already"),
    ],
)
def test_a_name_that_is_taken_is_refused(file, reason, tmp_path):
    (tmp_path / file).parent.mkdir()
    text = (CONF / "knob" / "mse.yaml").read_text() if "knob" in file else (CONF / file).read_text()
    (tmp_path / file).write_text(text)
    said = refusal(parse, ["mse=1"], str(tmp_path))
    assert said.startswith(f"{tmp_path / file}: {reason}")
    assert said.endswith("rename the file")


def test_no_file_names_plugins(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "sly.yaml").write_text("# @package _global_\nplugins: [gcn_example]\n")
    assert "only the command line can name plugins" in refusal(parse, ["experiment=sly"], str(tmp_path))


def test_a_run_is_read_with_its_plugins_named_again(run):
    own = extension(["gcn_example"])
    assert load(run, own=own) == parse([*OWN, PLUGIN])
    assert parse([f"resume={run}", PLUGIN, "steps=9"]).steps == 9
    assert load(run, "generator", own).generator == parse([*OWN, PLUGIN]).generator
    for only in (None, "generator"):
        with pytest.raises(NotNamed) as caught:
            load(run, only)
        assert caught.value.words == (PLUGIN,)
        assert f"it was made with {PLUGIN}" in str(caught.value)


def test_a_knob_of_ones_own_is_missed_too(tmp_path):
    save(parse(["edges=1", "mse=1", PLUGIN]), tmp_path)
    with pytest.raises(NotNamed, match=r"edges: unknown"):
        load(tmp_path)


HOSTILE = ["os", "gcn_example", "gcn_exampel", "../evil", "a\nb", "x" * 10**4, 3, None, ["os"], {"a": 1}]


@pytest.mark.parametrize("said", [HOSTILE, *([name] for name in HOSTILE), "os", 3, None, {"a": "os"}])
def test_a_hostile_folder_names_nothing(said, tmp_path, monkeypatch):
    """Plugins in a run folder are neither looked for nor imported, and change nothing of the configuration."""
    monkeypatch.setattr("gcn.schema.plugins.find_spec", pytest.fail)
    own = parse(["loss=hinge", "mse=2"])
    content = own.plain() | {"plugins": said, "config_dir": str(EXAMPLE / "gcn_example" / "conf")}
    (tmp_path / "config.yaml").write_text(json.dumps(content))
    assert load(tmp_path) == own
    assert load(tmp_path, "loss").loss == own.loss
    assert "gcn_example" not in sys.modules


def test_a_class_of_a_plugin_in_a_hostile_folder_is_not_used(tmp_path):
    own = parse(["loss=hinge", "mse=2", "generator=tiny"])
    for name, target in {
        "loss._target_": "gcn_example.ingredients.SquaredHinge",
        "generator._target_": "gcn_example.ingredients.Lopsided",
    }.items():
        content = own.plain() | {"plugins": ["gcn_example"]}
        put(content, name, target)
        (tmp_path / "config.yaml").write_text(json.dumps(content))
        for extra in (NONE, extension(["gcn_example"])):
            assert "not the class of the run's choice" in refusal(load, tmp_path, own=extra)
    assert "gcn_example" not in sys.modules


def test_only_printable_names_of_packages_are_shown_of_a_folder():
    assert stored_words({"plugins": ["a", "b.c"], "config_dir": "/x"}) == [
        "plugins=[a,b.c]",
        "--config-dir=/x",
    ]
    for said in (["a b"], ["a\nb"], ["$(rm)"], ["x" * 300], "a", None, [3], []):
        assert stored_words({"plugins": said, "config_dir": "a\nb"}) == []


def test_a_folder_of_a_package_is_one_of_the_users(tmp_path):
    assert extension(["gcn_example"]).folders == (EXAMPLE / "gcn_example" / "conf",)
    assert extension([], str(tmp_path)).folders == (Path(tmp_path).resolve(),)
    assert "stripes" in groups(own=extension(["gcn_example"]))["data"]
