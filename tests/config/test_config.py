"""From words to configurations: what composes, what is refused, and in which words."""

import copy
import itertools
import re
import string
from functools import cache
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn.config.compose import compose
from gcn.config.conflicts import RELATION
from gcn.config.offered import LAB, TRAIN, groups, knobs, stamp
from gcn.config.override_words import normal
from gcn.config.parse import OVERLAY, Config, check, load, parse, plan, save
from gcn.config.preflight import note
from gcn.config.reference import chosen as names_of
from gcn.config.reference import reference_of
from gcn.config.sweep import axes, jobs, probes
from gcn.errors import InputError
from gcn.schema.conf_folder import CONF
from gcn.schema.fields import declarations, paths, put
from gcn.schema.plugins import NONE

CHOICES = [(group, choice) for group, choices in groups().items() for choice in choices]
NEEDED = {
    "folder": ["data.root=somewhere"], "frozen": ["init_from=some.ckpt"],
    **{f"msillm_q{n}": ["init_from=x.safetensors", "labeller=patches"] for n in range(1, 7)},
    "oasis": ["labeller=patches", "discriminator=unet"],
    **{name: ["discriminator=autoencoder"] for name in ("ebgan", "began")},
    "projection": ["data=digits"],
    "auxiliary": ["data=digits"],
    "patches": ["loss=oasis", "discriminator=unet"],
    "vq": ["loss=oasis", "discriminator=unet", "labeller.weights=some.safetensors"],
}  # fmt: skip
EXAMPLE = {
    "relativistic": "pair",
    "spectral_norm": "true",
    "d_steps": "2",
    "weight_clip": "0.01",
    "diffaugment": "all",
    "history": "4",
}
BESIDE = {"history": ["discriminator.condition=false", "data.batch=4"]}  # what a knob needs


def refusal(*words: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(words)
    message = str(caught.value)
    assert "\n" not in message
    assert message == message.strip()
    return message


@cache
def chosen(group: str, choice: str) -> Config:
    return parse([f"{group}={choice}", *NEEDED.get(choice, [])])


@cache
def start():
    return compose([])


def with_values(*words: str) -> Config:
    """:func:`parse` of words that change values alone, without the tenth of a second that Hydra takes."""
    values = copy.deepcopy(start().values)
    for override in OverridesParser.create().parse_overrides(list(words)):
        put(values, override.key_or_group, override.value())
    return check(start()._replace(values=values))


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_composes(group, choice):
    assert chosen(group, choice).choices[group] == choice


@pytest.mark.parametrize("word", ["mse=1", "+mse=1", "++mse=1"])
@pytest.mark.parametrize("before", [[], ["experiment=rd"], ["+experiment=rd"], ["mse=3"]])
def test_a_knob_is_set_with_and_without_plus(before, word):
    assert parse([*before, word]).mse == 1.0


@pytest.mark.parametrize(("word", "value"), [("+rate=2", 2.0), ("+d_steps=2", 2), ("rate=null", None)])
def test_knobs_with_a_default(word, value):
    assert parse([word])[word.strip("+").partition("=")[0]] == value


def test_null_is_pruned_and_zero_is_kept():
    cfg = parse(["mse=0", "r1=10", "rate=null"])
    assert (cfg.mse, cfg.r1, cfg.lpips) == (0.0, 10.0, None)
    assert set(cfg.terms) == {"mse", "r1"}


@pytest.mark.parametrize("value", ["null", "0"])
def test_instance_noise_is_off(value):
    assert "instance_noise" not in parse([f"instance_noise={value}"]).terms


def test_options_and_interpolated_options_reach_the_term():
    cfg = parse(["r1=10", "terms.r1.every=16", "target_bpp=0.25"])
    assert cfg.terms.r1.every == 16
    assert cfg.terms.rate.target_bpp == 0.25


def test_devices_reach_the_trainer():
    assert parse(["trainer=ddp", "devices=2"]).trainer.devices == 2


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("+msee=1", "mse"),
        ("msee=1", "mse"),
        ("++msee=1", "mse"),
        ("optim.g.lrr=1", "optim.g.lr"),
        ("lr=1", "optim.g.lr"),
        ("+terms.r1.evry=2", "terms.r1.every"),
        ("term.r1.every=2", "terms.r1.every"),
        ("step=2", "steps"),
        ("optm=adam", "optim"),
        ("loss=nss", "ns"),
        ("experiment=r3gam", "r3gan"),
        ("dynamics=extragradint", "extragradient"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(word, near):
    message = refusal(word)
    assert re.search(rf"nearest: .*\b{re.escape(near)}\b", message)


NAMES = sorted({*paths(parse([])), *knobs()} - {"choices"})


@settings(max_examples=50, deadline=None)
@given(name=st.sampled_from(NAMES), where=st.floats(0, 1), letter=st.sampled_from(string.ascii_lowercase))
def test_a_misspelt_name_is_never_accepted(name, where, letter):
    at = round(where * len(name))
    misspelt = name[:at] + letter + name[at:]
    if misspelt not in NAMES:
        with pytest.raises(InputError, match=re.escape(misspelt)):
            with_values(f"{misspelt}=1")


@pytest.mark.parametrize(
    "word",
    [
        *[f"mse={value}" for value in ("abc", "-1", "nan", "inf", "true", "[1]", "", "'1'")],
        *[f"d_steps={value}" for value in ("0", "1.5", "null")],
        *[f"relativistic={value}" for value in ("both", "true")],
        *[f"spectral_norm={value}" for value in ("1", "null")],
        *["weight_clip=0", "target_bpp=0", "instance_noise=-1"],
        *[f"steps={value}" for value in ("0", "abc", "null", "1.5")],
        *[
            "seed=-1",
            "adv=-1",
            "ema=1",
            "ema=0",
            "freeze=decoder",
            "log_every=0",
            "devices=0",
            "init_from=true",
        ],
        *["warmup.steps=-1", "warmup=5"],
        *[f"optim.g.lr={value}" for value in ("0", "true", "nan", "'1e-4'", "null")],
        *[f"optim.g.betas={value}" for value in ("0.5", "[0.5]", "[0.5,1]")],
        *["optim.g=3", "optim.g=null", "optim.d.clip=0", "optim.schedule.name=linear"],
        *["terms.r1.every=0", "terms.lpips.net=resnet", "terms.ms_ssim.levels=6"],
        *["terms.instance_noise.anneal=0", "terms.mse=3"],
        *["trainer.accelerator=tpu", "logger.mode=on", "logger.tags=a", "logger.wandb=1"],
        *["generator.N=0", "generator.N=64.5", "discriminator.norm=layer"],
        *["data.crop=0", "data.downscale=[0.5]"],
    ],
)
def test_wrong_types_and_ranges_are_refused_by_name(word):
    with pytest.raises(InputError, match=re.escape(word.partition("=")[0] + "=")) as caught:
        with_values(word)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words", ["dynamics=extragradient dynamics.moments=none", "loss=lsgan loss.labels=1"]
)
def test_options_of_choices_are_held_to_their_declarations(words):
    assert "must be one of" in refusal(*words.split())


def test_a_whole_node_is_held_to_its_declarations():
    assert refusal("optim.g={lr:-1}").startswith("optim.g.lr=-1: must be a number > 0")
    assert parse(["optim.g={lr:1}"]).optim.g.betas == [0.9, 0.999]


def test_numbers_as_users_write_them():
    cfg = parse(["optim.g.lr=1e-4", "steps=1e3", "mse=1", "logger.group=7"])
    assert (cfg.optim.g.lr, cfg.steps, cfg.mse, cfg.logger.group) == (1e-4, 1000, 1.0, "7")


def test_a_value_that_others_take_as_their_default_is_refused_by_the_name_that_was_said():
    sources = {
        name: field.source
        for name, field in reference_of(names_of(parse(["mse=1"]).choices), NONE, TRAIN).fields.items()
        if field.source
    }
    assert {"data.crop", "data.batch", "generator.M"} <= set(sources.values())
    for source in {*sources.values()} - {"devices", "target_bpp"}:
        for value in ("null", "0.5", "x", "-1", "{a: 1}", "[1]"):
            with pytest.raises(InputError, match=rf"^{source}(=|\.a: |: )"):
                parse(["mse=1", f"{source}={value}"])
    for words, line in (
        ("generator=dcgan data.crop=512", r"data\.crop=512: generator\.side, which has the same value where"),
        ("discriminator=projection data.classes=-1", r"data\.classes: unknown"),
        ("discriminator.side=0", r"discriminator\.side=0: must be"),
    ):
        with pytest.raises(InputError, match=f"^{line}"):
            parse(["loss=ns", *words.split()])


def test_half_precision_is_refused_with_the_reason():
    assert "unscaled" in refusal("trainer.precision=16")
    assert "unscaled" in refusal("trainer.precision=fp16")


@pytest.mark.parametrize(
    "words",
    [
        ["loss._target_=os.system"],
        ["terms.mse._target_=os.system", "mse=1"],
        ["+loss._partial_=true"],
        ["+_target_=os.system"],
        ["loss={_target_:os.system}"],
        ["_conflicts_=[]"],
        ["loss=ml", "loss._conflicts_=[]"],
        ["mse={_target_:os.system}"],
    ],
)
def test_what_is_built_cannot_be_chosen_from_outside(words):
    refusal(*words)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["~mse"], "null"),
        (["~logger"], "deleted"),
        (["dynamics=null"], "exactly one"),
        (["loss=[ns,hinge]"], "exactly one"),
        (["optim=3"], "exactly one"),
        (["mse=0,1"], "-m"),
        (["loss=ns,hinge"], "-m"),
        (["mse=range(3)"], "-m"),
        (["steps"], "settings are written name=value"),
        (["a=b=c"], "key=value"),
        (["=3"], "key=value"),
        (["mse=${nowhere}"], "nowhere"),
        (["mse=${mse}"], "mse"),
        (["mse=${oc.env:NO_SUCH_VARIABLE}"], "NO_SUCH_VARIABLE"),
        (["loss@other=ns"], "no such group"),
        (["data/photos=1"], "no such group"),
        (["hydra.foo=1"], "hydra.foo"),
        (["hydra/launcher=nowhere"], "nowhere"),
        (["data=folder"], "data.root"),
    ],
)
def test_every_other_mistake_is_one_line(words, says):
    assert says in refusal(*words)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("loss=ml relativistic=pair", "no relativistic form"),
        ("loss=lsgan loss.labels=01 relativistic=average", "labels"),
        *((f"loss={loss} label_smoothing=0.1", "no label") for loss in ("hinge", "wgan", "fgan")),
        ("rate=null target_bpp=0.2", "no rate"),
        ("rate=0 target_bpp=0.2", "positive"),
        ("freeze=encoder", "init_from"),
        ("experiment=frozen", "init_from"),
        ("weight_clip=0.01 spectral_norm=true", "no effect"),
        *[
            (f"discriminator.norm=batch {knob}=1", "batch normalisation")
            for knob in ("r1", "r2", "gp", "dragan", "approx_r1", "roth")
        ],
        ("loss=oasis discriminator=unet labeller=patches diffaugment=all", "a class for each place"),
        ("discriminator.minibatch_std=true trainer=ddp devices=2", "its own part"),
        ("discriminator.minibatch_std=true data.batch=1", "one image is 0"),
        ("history=50", "no y_hat of the batch"),
        ("discriminator.norm=virtual", "have no y_hat"),
        (
            "discriminator.norm=virtual discriminator.condition=false discriminator.minibatch_std=true",
            "compares them",
        ),
        (
            "discriminator.norm=virtual discriminator.condition=false discriminator.reference=9",
            "of the first batch",
        ),
        (
            "discriminator.norm=virtual discriminator.condition=false discriminator.side=32",
            "size of the crops",
        ),
        ("history=50 data=digits discriminator=projection discriminator.condition=false", "another label"),
        ("history=50 discriminator.condition=false data.batch=1", "half of the reconstructions"),
        ("history=5 discriminator.condition=false data.batch=6", "holds a batch or more"),
        ("discriminator.minibatch_discrimination=3 trainer=ddp devices=2", "its own part"),
        ("discriminator.minibatch_discrimination=3 data.batch=1", "no other to be compared with"),
        ("discriminator=hific discriminator.minibatch_std=true data.batch=1", "one image is 0"),
        *[
            (f"d_steps=2 dynamics={rule}", "alternating")
            for rule in ("simultaneous", "extragradient", "optimistic", "sga", "unrolled")
        ],
        *[
            (f"loss=none {name}={EXAMPLE.get(name, '0.5')}", "no discriminator")
            for name, knob in knobs().items()
            if knob.needs == "discriminator"
        ],
        ("loss=none r1=0", "no discriminator"),
        ("adv=adaptive loss=none mse=1", "no adversarial loss"),
        *[
            (f"generator=dcgan {name}={EXAMPLE.get(name, '1')}", "a generator from noise has no")
            for name, knob in knobs().items()
            if {"codec", "reference"} & set(knob.needed)
        ],
        *[
            (f"generator=dcgan {words}", reason)
            for words, reason in (
                ("freeze=encoder init_from=x", "no encoder"),
                ("loss=none", "an adversary alone"),
                ("discriminator.condition=true", "no latents"),
                ("devices=2 data.batch=4", "one process"),
                ("trainer=ddp", "one process"),
                ("ema=0.9", "generator.norm=none"),
                ("generator.side=32", "size of the crops"),
            )
        ],
        *[
            (f"adv=adaptive mse=1 {word}", "give adv a number")
            for word in ("dynamics=sga", "consensus=1", "jare=0")
        ],
    ],
)
def test_impossible_combinations_say_why(words, reason):
    message = refusal(*words.split())
    assert reason in message
    assert "=" in message.partition(":")[0]


@pytest.mark.parametrize(
    "words",
    [
        "loss=lsgan relativistic=pair",
        "loss=none mse=1 rate=0.5 target_bpp=0.2",
        "loss=none d_steps=1",
        "discriminator.norm=instance r1=1",
        "loss=oasis discriminator=unet labeller=patches diffaugment=color",
        "freeze=encoder init_from=a.ckpt",
        "weight_clip=0.01 spectral_norm=false",
        "trainer=ddp devices=2",
    ],
)
def test_their_possible_neighbours_compose(words):
    parse(words.split())


def with_knobs(*names: str) -> Config:
    needed = {word for name in names for word in BESIDE.get(name, [])}
    return with_values(*(f"{name}={EXAMPLE.get(name, '0.5')}" for name in names), *sorted(needed))


def test_every_pair_of_knobs_composes_or_is_refused_with_a_reason():
    """Each knob alone, the pairs that are refused, and all others at once, with which each of their pairs composes."""
    for pair, reason in (
        (("label_smoothing", "relativistic"), "labels a difference"),
        (("spectral_norm", "weight_clip"), "no effect"),
        (("history", "relativistic"), "its own reconstruction"),
    ):
        with pytest.raises(InputError, match=reason):
            with_knobs(*pair)
    beside_any_discriminator = [name for name in knobs() if name != "class_entropy"]
    for name in beside_any_discriminator:
        with_knobs(name)
    for left_out in itertools.product(
        [{"relativistic"}, {"label_smoothing", "history"}], [{"spectral_norm"}, {"weight_clip"}]
    ):
        with_knobs(*(name for name in beside_any_discriminator if name not in set.union(*left_out)))


# what the authors of conf/ promise


@pytest.mark.parametrize("root", [TRAIN, LAB], ids=["train", "lab"])
def test_every_setting_that_a_user_may_change_declares_its_values(root):
    """Whatever is chosen: a leaf of the composition is a knob, or has a ``#:`` beside its default in conf/."""
    start = compose([], root=root).choices
    offered = {group: choices for group, choices in groups(root).items() if group != OVERLAY}
    chosen = [  # the first choice of every group, the second of every group …: each choice is among them
        start | {group: choices[number % len(choices)] for group, choices in offered.items()}
        for number in range(max(map(len, offered.values())))
    ]
    for choices in [start, *chosen]:
        reference = reference_of(names_of(choices), NONE, root)
        undeclared = set(paths(reference.values)) - set(reference.fields) - set(knobs())
        assert not undeclared, choices


def test_conditions_of_conflicts_name_what_exists():
    known = {*paths(parse([])), *knobs(), *groups(), *groups(LAB)}
    known |= {f"terms.{name}.{option}" for name, knob in knobs().items() for option in knob.options}
    for group, choice in CHOICES:
        known |= set(paths(chosen(group, choice)))
    files = [path for path in CONF.rglob("*.yaml") if path.parent.name != OVERLAY]
    for path in files:
        content = yaml.safe_load(path.read_text()) or {}
        for entry in [*content.get("_conflicts_", []), *content.get("conflicts", [])]:
            assert set(entry) == {"with", "because"}, path
            assert set(entry["with"]) <= known, path
            for wanted in entry["with"].values():
                relation = RELATION.fullmatch(str(wanted))
                assert relation or not str(wanted).startswith(("<", ">", "no ")), wanted
                assert relation is None or relation[2] in known or float(relation[2])


def test_every_knob_has_a_line_of_help():
    for knob in knobs().values():
        assert knob.help, knob.name
        assert len(knob.help) < 80, knob.name


@pytest.mark.parametrize(
    ("name", "weight", "target"),
    [("balance", 1.0, 0.3), ("lo", 2.0, 0.14), ("mi", 1.0, 0.3), ("hi", 0.5, 0.45), ("lo_rd", 2.0, 0.14)],
)
def test_hific_weights(name, weight, target):
    """0.075/32·MSE₂₅₅ against 0.15·adversarial, LPIPS and λ·bpp, in units of the adversarial weight."""
    cfg = parse([f"experiment=hific_{name}"])
    assert cfg.mse == pytest.approx(0.075 / 32 * cfg.terms.mse.unit**2 / 0.15)
    assert cfg.lpips == pytest.approx(1 / 0.15, rel=1e-3)
    assert cfg.rate == pytest.approx(weight / 0.15, rel=1e-3)
    assert cfg.target_bpp == target
    assert cfg.optim.schedule.name == "step"
    if name != "balance":
        assert cfg.rate * cfg.terms.rate.below * 0.15 == pytest.approx(2**-6, rel=1e-4)
        assert cfg.terms.rate.early_target * 0.14 == pytest.approx(0.2, rel=1e-4)


def test_the_weights_of_other_systems_in_units_of_their_adversarial_weight():
    """MSE of [0, 1] is MSE in units of 8 grey levels over (255/8)²; VQGAN's L1 is of pixels in [-1, 1]."""
    grey = (255 / 8) ** 2
    msillm = parse(["experiment=msillm_q3", "init_from=x", "labeller=patches"])
    assert (msillm.mse, msillm.lpips) == (pytest.approx(150 / 0.008 / grey, rel=1e-4), 1 / 0.008)
    dcvic = parse(["experiment=dcvic_balance"])
    assert (dcvic.mse, dcvic.lpips) == (pytest.approx(50 / 0.01 / grey, rel=1e-4), 1 / 0.01)
    vqgan = parse(["experiment=vqgan_balance"])
    assert vqgan.lpips / vqgan.l1 == pytest.approx(1 / (2 * 8 / 255), rel=1e-3)


@pytest.mark.parametrize("name", ["lo", "mi", "hi"])
def test_a_second_stage_from_random_weights_is_remarked(name):
    remark = note(parse([f"experiment=hific_{name}"]))
    assert f"experiment=hific_{name}_rd first" in remark
    assert note(parse([f"experiment=hific_{name}", "init_from=x"])) is None


# folders, sweeps, resume


def test_run_folders_are_unique_to_the_process():
    assert plan([]).folder == Path("outputs", stamp())
    first = stamp()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d-[0-9a-f]{6}", first)
    assert stamp.__wrapped__()[-6:] != first[-6:]  # as in another process
    assert plan(["hydra.run.dir=here"]).folder == Path("here")
    assert plan(["hydra.sweep.dir=there"], number=3).job == Path("there", "3")


def test_sweeps_expand_as_hydra_does():
    assert jobs(axes(["loss=ns,hinge", "mse=0,1", "steps=10"])) == [
        ["loss=ns", "mse=0", "steps=10"],
        ["loss=ns", "mse=1", "steps=10"],
        ["loss=hinge", "mse=0", "steps=10"],
        ["loss=hinge", "mse=1", "steps=10"],
    ]
    assert jobs(axes(["seed=range(2)", "optim.g.betas=[0,0.9],[0.5,0.9]"]))[1] == [
        "seed=0",
        "optim.g.betas=[0.5,0.9]",
    ]


def test_values_of_which_a_sweeper_chooses_are_tried_alone_and_beside_others():
    found = axes(["loss=ns,hinge", "mse=interval(1,3)", "steps=10"], intervals=True)
    assert probes(found)[1] == [
        ["steps=10", "loss=hinge"],
        ["steps=10", "mse=1.0", "loss=hinge"],
        ["steps=10", "mse=3.0", "loss=hinge"],
    ]
    assert len(probes(found)) == 4
    assert probes(axes(["mse=1"])) == [[["mse=1"]]]


def test_plus_is_dropped_from_all_but_hydras_own_keys():
    words = ["+mse=1", "++mse=1", "+hydra.job.env_set.A=1", "hydra.run.dir=a"]
    assert normal(words) == ["mse=1", "mse=1", "+hydra.job.env_set.A=1", "hydra.run.dir=a"]


@pytest.fixture
def run(tmp_path):
    cfg = parse(["loss=hinge", "mse=2", "steps=100", "trainer=cpu", "trainer.threads=3", "data.crop=32"])
    save(cfg, tmp_path)
    return tmp_path


def test_a_configuration_survives_its_file(run):
    cfg = load(run)
    assert cfg == parse(
        ["loss=hinge", "mse=2", "steps=100", "trainer=cpu", "trainer.threads=3", "data.crop=32"]
    )
    assert not list(run.glob("*.part"))


def test_resume_keeps_everything_but_what_may_change(run):
    planned = plan([f"resume={run}", "steps=3000", "logger=csv", "trainer.precision=bf16"])
    cfg, before = planned.config, load(run)
    assert planned.folder == run
    assert (cfg.steps, cfg.logger, cfg.choices.logger) == (3000, {"wandb": False}, "csv")
    assert cfg.trainer.precision == "bf16"
    assert cfg.trainer.threads == 3
    same = set(before) - {"steps", "logger", "trainer", "choices", "resume"}
    assert {key: cfg[key] for key in same} == {key: before[key] for key in same}


def test_resume_with_other_devices(run):
    cfg = parse([f"resume={run}", "trainer=ddp", "devices=2"])
    assert (cfg.trainer.strategy, cfg.trainer.devices, cfg.devices) == ("ddp", 2, 2)


@pytest.mark.parametrize("word", ["mse=1", "loss=ns", "optim.g.lr=1", "experiment=rd"])
def test_resume_refuses_what_would_be_another_run(run, word):
    assert word.partition("=")[0] in refusal(f"resume={run}", word)


def test_a_resumed_run_stays_in_its_folder(run):
    assert refusal(f"resume={run}", "hydra.run.dir=elsewhere").startswith(
        "out: a resumed run stays in its folder"
    )


def test_resume_of_nothing(tmp_path):
    assert "no config.yaml" in refusal(f"resume={tmp_path}")


def test_config_is_plain():
    plain = parse(["loss=hinge"]).plain()
    kinds = {type(value) for value in _everything(plain)}
    assert kinds <= {dict, list, str, int, float, bool, type(None)}
    with pytest.raises(AttributeError):
        _ = Config(plain).no_such_key


def _everything(node):
    yield node
    if isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _everything(value)


def test_a_folder_of_ones_own_is_held_to_the_same_rules(tmp_path):
    folder = tmp_path / "experiment"
    folder.mkdir()
    (folder / "mine.yaml").write_text("# @package _global_\nmse: 2\n")
    (folder / "typo.yaml").write_text("# @package _global_\nmsee: 2\n")
    (folder / "evil.yaml").write_text("# @package _global_\nloss: {_target_: os.system}\n")
    (folder / "broken.yaml").write_text("# @package _global_\nmse: [\n")
    assert parse(["experiment=mine"], str(tmp_path)).mse == 2.0
    for name in ("typo", "evil", "broken"):
        with pytest.raises(InputError):
            parse([f"experiment={name}"], str(tmp_path))


ODD_NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.sampled_from(
        ["null", "1e300", "-1e300", "1e400", "1e-400", "-0", "0x10", "1_000", "007", "''", "[1]", "[]"]
    ),
    st.integers(-3, 3).map(lambda power: f"1e{100 * power}"),
)


@settings(max_examples=50)
@given(name=st.sampled_from(sorted(paths(parse(["loss=ns", "mse=1"]).plain()))), value=ODD_NUMBERS)
def test_any_number_gives_a_configuration_or_one_line(name, value):
    said = ""
    try:
        parse(["loss=ns", "mse=1", f"{name}={value}"])
    except InputError as refused:
        said = str(refused)
    assert "\n" not in said
    assert len(said) < 1000


NULLABLE = [
    name
    for name, field in declarations(CONF / "optim" / "adam.yaml").items()
    if field.nullable or name.endswith("clip")
]


@pytest.mark.parametrize("name", NULLABLE)
def test_a_documented_off_value_beside_a_number_is_taken(name):
    """A number as default does not forbid null where the declaration allows it."""
    assert NULLABLE
    value = parse(["loss=ns", "mse=1", f"optim.{name}=null"])
    for part in f"optim.{name}".split("."):
        value = value[part]
    assert value is None
