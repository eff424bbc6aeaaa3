"""Run folders of strangers, and of earlier versions: what is taken from their config.yaml, and what is refused."""

import json
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from gcn.config.parse import Config, as_text, load, parse, save
from gcn.config.stored import started_in
from gcn.errors import InputError
from gcn.schema.conf_folder import CONF
from gcn.schema.fields import at, paths, put
from gcn.schema.plugins import Extension

WORDS = [
    "loss=hinge",
    "mse=2",
    "r1=10",
    "target_bpp=0.5",
    "data=folder",
    "data.root=somewhere",
    "trainer=cpu",
]
OWN = parse(WORDS)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    save(OWN, folder)
    return folder


def changed(run, change):
    """The run folder with a configuration that ``change`` has changed."""
    content = OWN.plain()
    change(content)
    (run / "config.yaml").write_text(json.dumps(content))  # which YAML reads too
    return run


def refused(call, *arguments):
    """The one line of a refusal that comes within a second."""
    started = time.process_time()
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert time.process_time() - started < 1
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return str(caught.value)


def test_a_configuration_is_read_as_it_was_written(run):
    save(OWN, run)
    assert load(run) == OWN
    for group in ("generator", "data", "optim"):
        assert load(run, group) == Config({group: OWN[group]})


def test_the_text_of_a_configuration_is_that_of_omegaconf():
    texts = [
        "true",
        "1e-4",
        "",
        " ",
        "é ☃ 😀 " * 30,
        "a: b",
        "#x",
        "- a",
        "a\nb",
        "\\${b}",
        "???",
        "null",
        "0o17",
        "\t",
    ]
    shared = [0.5, 1e-4, 1, True, None]
    cfg = Config({"a": shared, "b": {"c": shared, "d": [{"e": []}], "f": {}}, "resume": None, "texts": texts})
    assert as_text(cfg) == OmegaConf.to_yaml(OmegaConf.create(cfg.plain()))


def test_a_split_by_the_seed_is_stored_as_its_number(tmp_path):
    for words in (["seed=7", "data.split=seed"], ["data.split=seed", "seed=7"], ["seed=3", "data.split=7"]):
        save(parse([*WORDS, *words]), tmp_path)
        assert load(tmp_path, "data").data.split == 7
    with pytest.raises(
        InputError, match=r"^data\.split=sead: must be an integer >= 0 and <= 1e\+15, seed or null"
    ):
        parse([*WORDS, "data.split=sead"])


def test_a_class_that_has_moved_since_is_the_one_of_today(run):
    def move(content):
        content["generator"]["_target_"] = "gcn.old.Factorized"
        content["terms"]["r1"]["_target_"] = "gcn.penalties.R1"
        del content["loss"]["_target_"]

    assert load(changed(run, move)) == OWN


def test_an_option_that_is_newer_than_the_run_has_its_default_and_one_line_says_so(run, capsys):
    def older(content):
        del content["discriminator"]["norm"], content["choices"]["discriminator"], content["anchor"]

    assert load(changed(run, older)) == OWN
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2] for line in said] == [
        f"has no {name}; the default of conf/ is used" for name in ("anchor", "discriminator.norm")
    ]


HOSTILE = {
    "generator": [{"_target_": "torch.load", "f": "evil.pt", "weights_only": False}, 3, None, [], "tiny"],
    "generator._target_": ["torch.load", "os.system", "gcn.models.hyperprior.Hyperprior", None, 3, {"a": 1}],
    "generator.extra": [1, {"_target_": "torch.load"}],
    "generator.N": [10**9, 10**400, 0, -1, 1.5, "64", True, None, [64], {"_target_": "torch.load"}, float("nan")],
    "generator.kernel": [4, "5", 10**9],
    "generator.gain": [float("inf"), "2.0", 0, -1],
    "generator._partial_": [True],
    "generator._args_": [["x"]],
    "terms.r1._target_": ["torch.load"],
    "terms.r1.every": [0, "1"],
    "terms.nothing": [{"_target_": "torch.load"}],
    "terms": [None, [], 3],
    "loss._target_": ["builtins.eval"],
    "optim._target_": ["subprocess.Popen", "torch.optim.SGD"],
    "optim.g.lr": ["0.001", float("nan"), -1, [1]],
    "optim.g.betas": [0.5, [0.5], [0.5, 2], ["a", "b"]],
    "data._target_": ["pathlib.Path"],
    "data.batch": [10**9],
    "dynamics.strength": [1],
    "steps": ["10", 0, 10**12, None],
    "seed": [-1, 10**30],
    "mse": ["1", -1, {"_target_": "torch.load"}],
    "spectral_norm": [1, None],
    "relativistic": ["both"],
    "choices": [None, [], "tiny"],
    "choices.loss": ["none", "../../evil", "ns,hinge", "${oc.env:HOME}", None, 3, ["ns"], "_hidden", "ns\nhinge"],
    "choices.elsewhere": ["ns"],
    "choices.experiment": [3],
    "_target_": ["torch.load"],
    "nothing": [1],
    "hydra": [{"run": {"dir": "elsewhere"}}],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in HOSTILE for value in HOSTILE[name]])
def test_a_strangers_configuration_is_refused_in_one_line(run, name, value):
    changed(run, lambda content: put(content, name, value))
    assert refused(load, run).startswith(f"{run}/config.yaml: ")


CLASSES = {
    name
    for path in CONF.rglob("*.yaml")
    for name in re.findall(r"^ *(?:_target_|target): ([\w.]+)$", path.read_text(), re.M)
}
LEAVES = sorted(
    {*paths(OWN.plain()), *(f"{group}._target_" for group in ("loss", "generator", "optim", "data"))}
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("torch.load"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("_target_") | st.text(max_size=9), inner),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(LEAVES), value=ANYTHING)
def test_whatever_a_configuration_says_the_classes_are_those_of_conf(run, name, value):
    changed(run, lambda content: put(content, name, value))
    said = ""
    try:
        found = load(run)
    except InputError as problem:
        said = str(problem)
    else:
        assert set(targets(found)) <= CLASSES
        assert type(at(found, name)) in (type(at(OWN, name)), type(None), str, float, int)
    assert "\n" not in said


def targets(node):
    if isinstance(node, dict):
        for key, value in sorted(node.items()):
            yield from ([value] if value else []) if key == "_target_" else targets(value)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)
FILES = {
    "bomb": BOMB,
    "recursive alias": "choices: &a {loss: *a}\n",
    "anchor": "choices: &a {}\n",
    "merge": "choices: &a {}\nloss:\n  <<: *a\n",
    "tag": "choices: !!python/object/apply:os.system [true]\n",
    "plain tag": "choices: {}\nsteps: !!int 3\n",
    "interpolation": "choices: {loss: '${oc.env:HOME}'}\n",
    "deep": "choices: " + "{a: " * 5000 + "1" + "}" * 5000,
    "deep lists": "choices: " + "[" * 20000,
    "large": "choices: {}\n" + "a: 1\n" * 10**6,
    "doubled": "choices: {}\nsteps: 1\nsteps: 2\n",
    "several": "choices: {}\n---\nchoices: {}\n",
    "list": "[1, 2]\n",
    "text": "choices\n",
    "number": "3\n",
    "truth": "true\n",
    "empty": "",
    "number as name": "choices: {}\n3: 4\n",
    "digits": "choices: {}\nsteps: " + "9" * 10000,
    "broken": "choices: {\n",
    "control": "choices: {}\nsteps: \x00\n",
}


@pytest.mark.parametrize("text", FILES.values(), ids=list(FILES))
def test_a_file_that_no_run_has_written_is_refused_within_a_second(text, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    assert refused(load, tmp_path).startswith(f"{tmp_path}/config.yaml: ")
    refused(parse, [f"resume={tmp_path}"])


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\x00\x01")
    assert "UTF-8" in refused(load, tmp_path)
    (tmp_path / "config.yaml").unlink()
    (tmp_path / "config.yaml").mkdir()
    assert "no such file" in refused(load, tmp_path)


def test_a_choice_from_a_folder_of_ones_own_needs_that_folder(run, tmp_path):
    (tmp_path / "optim").mkdir()
    (tmp_path / "optim" / "mine.yaml").write_text("defaults: [adam]\ng: {lr: 0.5}\n")
    own = parse([*WORDS, "optim=mine"], str(tmp_path))
    save(own, run)
    assert f"made with --config-dir={tmp_path}" in refused(load, run)
    assert load(run, own=Extension(config_dir=str(tmp_path))) == own
    assert load(run, "generator") == Config({"generator": own.generator})
    assert parse([f"resume={run}"], str(tmp_path)).optim.g.lr == 0.5


def test_a_folder_of_ones_own_names_classes_of_the_declared_kinds_alone(tmp_path):
    nodes = [
        ("optim", "{_target_: torch.load, g: {lr: 1}, d: {lr: 1}}"),
        ("optim", "{_target_: subprocess.Popen}"),
        ("loss", "{_target_: torch.nn.Linear}"),
        ("generator", "{_target_: gcn.models.factorized.Factorized, M: 8, inner: {_target_: torch.load}}"),
        ("generator", "{_target_: gcn.losses.adversarial.Hinge, M: 8}"),
    ]
    for number, (group, node) in enumerate(nodes):
        (tmp_path / group).mkdir(exist_ok=True)
        (tmp_path / group / f"mine{number}.yaml").write_text(node)
    for number, (group, _) in enumerate(nodes):
        assert "_target_=" in refused(parse, [f"{group}=mine{number}"], str(tmp_path))


def test_hydras_record_cannot_take_long(run, tmp_path):
    (tmp_path / ".hydra").mkdir()
    record = tmp_path / ".hydra" / "hydra.yaml"
    record.write_text("hydra: {runtime: {cwd: /a/b}, run: {dir: '${now:%H}'}}")
    assert str(started_in(tmp_path)) == "/a/b"
    merges = [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 9)]
    record.write_text("\n".join(["a0: &a0 {x: 1}", *merges]))  # 9^8 entries
    begun = time.process_time()
    assert str(started_in(tmp_path)) == "."
    assert time.process_time() - begun < 1
