"""Malformed checkpoints: what does not fit is refused in one line, before any of it is restored."""

import copy
import io
import math
import os
import zipfile

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import quickly, run, words
from torch import nn

from gcn.coding.run_codec import trained as trained_codec
from gcn.config import assemble
from gcn.config.parse import load
from gcn.config.trained import trained
from gcn.errors import InputError
from gcn.training.checkpoint import has_checkpoint, open_checkpoint
from gcn.training.restore import check

SAID = "steps=4 val_every=2 panel_every=2 checkpoint_every=2 dynamics=optimistic ema=0.9 warmup.steps=1"


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    """A run of four updates: its last checkpoint, the one before, the best."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        quickly(patch)
        run(folder, *words(data, SAID))
    return folder


@pytest.fixture(scope="module")
def module(folder):
    return assemble.module(load(folder))


@pytest.fixture(scope="module")
def sound(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def replaced(content, path, value):
    """The nest with one part replaced, or removed where ``value`` is GONE; the rest is shared."""
    name, *rest = path
    content = list(content) if isinstance(content, list) else dict(content)
    if rest:
        content[name] = replaced(content[name], rest, value)
    elif value is GONE:
        del content[name]
    else:
        content[name] = value
    return content


def part(content, path):
    for name in path:
        content = content[name]
    return content


GONE = object()
LOOP = ("loops", "fit_loop", "epoch_loop.manual_optimization.optim_step_progress", "total")
RECORD = ("callbacks", "Record")
G, D = ("optimizer_states", 0), ("optimizer_states", 1)
WEIGHT = ("state_dict", "game.generator.g_a.0.weight")
TENSORS = [
    WEIGHT, (*G, "state", 0, "exp_avg"), (*G, "state", 5, "exp_avg_sq"), (*D, "state", 2, "exp_avg"),
    (*D, "state", 0, "step"), ("gcn", "rule", "previous", 0, 0), ("gcn", "rule", "previous", 1, 3),
    ("gcn", "average", "g_s.0.weight"),
]  # fmt: skip
PARTS = [
    ("state_dict",), ("optimizer_states",), ("loops",), ("callbacks",), ("gcn",), ("global_step",),
    ("pytorch-lightning_version",), G, (*G, "state"), (*G, "state", 0), (*G, "param_groups"), (*G, "param_groups", 0),
    *[(*D, "param_groups", 0, name) for name in ("params", "lr", "betas")],
    LOOP, (*LOOP, "completed"), ("loops", "fit_loop"), RECORD, *[(*RECORD, n) for n in ("best", "before", "watchdog")],
    (*RECORD, "watchdog", "history"), (*RECORD, "watchdog", "beyond"),
    ("gcn", "rule"), ("gcn", "rule", "previous"), ("gcn", "rule", "previous", 0), ("gcn", "average"),
]  # fmt: skip
NOT_THE_TENSOR = {
    "gone": lambda t: GONE,
    "none": lambda t: None,
    "number": lambda t: 1.0,
    "smaller": lambda t: torch.zeros(1),
    "larger": lambda t: torch.zeros(*t.shape, 2),
    "empty": lambda t: torch.zeros(0),
    "double": lambda t: t.double(),
    "half": lambda t: t.half(),
    "integers": lambda t: t.int(),
    "complex": lambda t: t.to(torch.complex64),
    "nan": lambda t: torch.full_like(t, math.nan),
    "infinite": lambda t: torch.full_like(t, math.inf),
    "of one number": lambda t: torch.zeros(1, 1).expand(*t.shape, 2, 3),
    "elsewhere": lambda t: t.to("meta"),
    "sparse": lambda t: t.to_sparse(),
    "list": lambda t: [t],
}
WRONG = [
    GONE,
    None,
    -5,
    10**30,
    2.5,
    math.nan,
    True,
    "1",
    [],
    {},
    [None],
    {"a": 1},
    {0: None},
    torch.zeros(3),
]
FITS = {
    "beyond": [{}, {"a": 1}],
    "history": [{}],
    "before": [[], {}],
    "best": [2.5],
    "lr": [2.5],
}  # these are sound


def shared(states, name):
    """The states of an optimizer in which one tensor serves all parameters."""
    return {i: state | {name: states[0][name]} for i, state in states.items()}


def overlapping(tensors):
    """Tensors of which the first two of one shape have a number in common."""
    first, second = next(
        (a, b) for a in tensors for b in tensors if a < b and tensors[a].shape == tensors[b].shape
    )
    like = tensors[first]
    memory = torch.zeros(2 * like.numel() - 1)
    parts = memory[: like.numel()].view_as(like), memory[like.numel() - 1 :].view_as(like)
    return tensors | dict(zip((first, second), parts, strict=True))


SINGLE = {
    "one number for all": ((*G, "state", 0, "exp_avg"), lambda t: torch.zeros(()).expand(t.shape)),
    "transposed twice": ((*D, "state", 0, "exp_avg"), lambda t: torch.zeros(t.numel() * 2)[::2].view(t.shape)),
    "moves counted together": ((*G, "state"), lambda states: shared(states, "step")),
    "moments in one place": (
        (*G, "state", 0),
        lambda state: state | {"exp_avg": state["exp_avg_sq"]},
    ),
    "overlapping averages": (("gcn", "average"), overlapping),
    "negative squares": ((*G, "state", 0, "exp_avg_sq"), lambda t: t - 1),
    "moves": ((*G, "state", 3, "step"), lambda t: t + 1),
    "no move": ((*D, "state", 3, "step"), lambda t: t * 0),
    "a group more": ((*G, "param_groups"), lambda groups: groups * 2),
    "parameters": ((*G, "param_groups", 0, "params"), lambda numbers: numbers[:-1]),
    "other parameters": ((*G, "param_groups", 0, "params"), lambda numbers: [n + 1 for n in numbers]),
    "rate": ((*G, "param_groups", 0, "lr"), lambda lr: -lr),
    "capturable": ((*G, "param_groups", 0, "capturable"), lambda _: True),
    "not fused": ((*G, "param_groups", 0, "fused"), lambda _: False),
    "an option more": ((*G, "param_groups", 0), lambda group: {**group, "more": 1}),
    "an optimizer less": (("optimizer_states",), lambda states: states[:1]),
    "a state less": ((*G, "state"), lambda states: {k: v for k, v in states.items() if k}),
    "a state more": ((*G, "state"), lambda states: {**states, 1000: states[0]}),
    "no states": ((*G, "state"), lambda _: {}),
    "a weight more": (("state_dict",), lambda weights: {**weights, "game.more": torch.zeros(1)}),
    "schedules": (("lr_schedulers",), lambda _: [{"a": 1}]),
    "an update more": (("global_step",), lambda step: step + 1),
    "a watchdog's infinity": ((*RECORD, "watchdog", "history", "train/g/grad_norm"), lambda v: [*v, math.inf]),
    "a watchdog's text": ((*RECORD, "watchdog", "history", "train/g/grad_norm"), lambda v: [*v, "1"]),
    "a watchdog's count": ((*RECORD, "watchdog", "beyond", "train/g/grad_norm"), lambda _: -1),
    "a crop": ((*RECORD, "before"), lambda crops: {name: crop.double() for name, crop in crops.items()}),
    "a flat crop": ((*RECORD, "before"), lambda crops: [crop[0] for crop in crops.values()]),
    "names of bad images": (("callbacks",), lambda states: {**states, "BadImages": {"names": [3]}}),
    "bad images": (("callbacks",), lambda states: {**states, "BadImages": 3}),
    "digests": (("callbacks", "SameData", "validation"), lambda digests: [*digests]),
    "a digest": (("callbacks", "SameData", "training"), lambda _: 3),
    "a number of images": (("callbacks", "SameData", "training_images"), lambda _: None),
    "changes": (("callbacks", "SameData", "changes"), lambda _: "changes"),
    "a time that is a text": (("callbacks",), lambda states: {**states, "Timer": {"time_elapsed": {"train": "1"}}}),
    "a time below zero": (("callbacks",), lambda states: {**states, "Timer": {"time_elapsed": {"train": -9.0}}}),
    "no times": (("callbacks",), lambda states: {**states, "Timer": 3}),
    "crops of a Trainer's validation": (("gcn",), lambda own: {**own, "before": {"a.png": torch.zeros(3)}}),
    "no rows of a verdict": (("callbacks",), lambda states: {**states, "Verdict": {}}),
    "rows of a verdict": (("callbacks",), lambda states: judged(states, numbers=torch.zeros(2))),
    "a verdict's numbers": (("callbacks",), lambda states: judged(states, numbers=torch.ones(1, 2))),
    "a verdict's names": (("callbacks",), lambda states: judged(states, names=["step", "step"])),
    "a verdict without updates": (("callbacks",), lambda states: judged(states, names=["a", "b"])),
    "a verdict's update": (("callbacks",), lambda states: judged(states, numbers=-torch.ones(1, 2).double())),
    "a verdict's watchdog": (("callbacks",), lambda states: judged(states, watchdog={})),
    "an old version": (("pytorch-lightning_version",), lambda _: "0.9.0"),
    "another version": (("pytorch-lightning_version",), lambda _: "2.x y"),
}  # fmt: skip


def judged(states, **changed):
    """The states of callbacks with that of a Verdict of one row."""
    rows = {"numbers": torch.ones(1, 2, dtype=torch.float64), "there": torch.ones(1, 2, dtype=torch.bool)}
    own = {"watchdog": states["Record"]["watchdog"], "names": ["step", "x"], **rows}
    return {**states, "Verdict": own | changed}


def test_a_sound_checkpoint_passes(sound, module):
    check(sound, module, ["Record"])
    check(replaced(sound, ("callbacks",), judged(sound["callbacks"])), module, ["Record"])


def refused(content, module):
    with pytest.raises(ValueError, match=r"\w") as caught:
        check(content, module, ["Record"])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


# Every change of one tensor, and some of the others, which are found in different parts.
CHANGED = [(WEIGHT, change) for change in NOT_THE_TENSOR] + [
    (path, change) for path in TENSORS[1:] for change in ("gone", "smaller", "double", "nan")
]


@pytest.mark.parametrize(("path", "change"), CHANGED)
def test_a_tensor_that_is_not_of_this_run_is_refused(sound, module, path, change):
    refused(replaced(sound, path, NOT_THE_TENSOR[change](part(sound, path))), module)


@pytest.mark.parametrize("path", PARTS, ids=lambda path: "/".join(map(str, path)))
def test_a_part_of_another_kind_is_refused(sound, module, path):
    for value in WRONG:
        fits = any(type(value) is type(fit) and value == fit for fit in FITS.get(path[-1], ()))
        if not fits:
            refused(replaced(sound, path, value), module)


@pytest.mark.parametrize("case", SINGLE.values(), ids=list(SINGLE))
def test_state_out_of_its_range_is_refused(sound, module, case):
    path, change = case
    old = sound.get("lr_schedulers") if path == ("lr_schedulers",) else part(sound, path)
    refused(replaced(sound, path, change(copy.copy(old))), module)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(draw=st.data())
def test_a_check_never_ends_otherwise_than_by_yes_or_one_line(sound, module, draw):
    path, content = [], sound
    while isinstance(content, dict | list) and content and (not path or draw.draw(st.integers(0, 5))):
        names = list(content) if isinstance(content, dict) else list(range(len(content)))
        path.append(draw.draw(st.sampled_from(names)))
        content = content[path[-1]]
    value = draw.draw(
        st.sampled_from([*WRONG, nn.Parameter(torch.zeros(2)), {1: {2: {}}}, [[[]]], "x" * 1000])
    )
    said = ""
    try:
        check(replaced(sound, path, value), module, ["Record"])
    except ValueError as problem:
        said = str(problem)
    assert "\n" not in said


# --- files ---


def files(tmp_path, folder, *contents):
    """A run folder with these as last.ckpt and the one before."""
    run_folder = tmp_path / "run"
    (run_folder / "checkpoints").mkdir(parents=True)
    (run_folder / "config.yaml").write_bytes((folder / "config.yaml").read_bytes())
    for name, content in zip(("last.ckpt", "last.ckpt.previous"), contents, strict=False):
        torch.save(content, run_folder / "checkpoints" / name)
    return run_folder


@pytest.mark.usefixtures("quick")
def test_moments_smaller_than_their_parameters_never_reach_the_optimizer(sound, folder, tmp_path):
    """Fused Adam writes beyond their end: nine of ten such runs were ended by signal 11."""
    bad = replaced(sound, (*G, "state", 0, "exp_avg"), torch.zeros(1))
    hostile = files(tmp_path, folder, bad, bad)
    with pytest.raises(
        InputError, match=r"last.ckpt.previous: exp_avg of the optimizer of G, parameter 0, is"
    ) as caught:
        run(hostile, steps=6)
    assert str(caught.value).endswith("; give another checkpoint")


@pytest.mark.usefixtures("quick")
def test_the_best_checkpoint_is_named_where_the_last_ones_are_bad_and_used_where_there_are_none(
    sound, folder, tmp_path, capsys
):
    bad = replaced(sound, ("global_step",), -5)
    hostile = files(tmp_path, folder, bad, bad)
    best = hostile / "checkpoints" / "best.ckpt"
    best.write_bytes((folder / "checkpoints" / "best.ckpt").read_bytes())
    with pytest.raises(
        InputError, match=r"global_step=-5: not a number of updates; best.ckpt, of update \d+, is"
    ) as caught:
        run(hostile, steps=6)
    assert str(caught.value).endswith(f"cp {best} {best.with_name('last.ckpt')}")
    best.with_name("last.ckpt").write_bytes(best.read_bytes())
    assert run(hostile, steps=5)["steps"] == 5
    for last in best.parent.glob("last.*"):
        last.unlink()
    assert has_checkpoint(hostile)
    assert open_checkpoint(hostile)[0] == best
    assert f"{hostile}: holds no last.ckpt; using best.ckpt" in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_a_bad_last_one_is_replaced_by_a_sound_one_before_whose_lightning_counters_are_not_used(
    sound, folder, tmp_path, capsys
):
    bad = replaced(sound, (*G, "state", 0), {})
    counters = {"fit_loop": {LOOP[2]: {"total": {"completed": 4}}, "epoch_progress": "nonsense"}}
    one = files(tmp_path / "own", folder, bad, sound)
    other = files(tmp_path / "other", folder, replaced(sound, ("loops",), counters))
    assert run(one, steps=5)["steps"] == 5
    assert (
        "last.ckpt: the optimizer of G has a damaged state of parameter 0; using" in capsys.readouterr().err
    )
    run(other, steps=5)
    weights = [open_checkpoint(f)[1]["state_dict"] for f in (one, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize(
    "reader", [trained_codec, trained, lambda path: run(path, steps=6)], ids=["run=", "spectrum", "resume"]
)
def test_every_reader_refuses_an_ordinary_checkpoint_of_another_architecture(reader, sound, folder, tmp_path):
    other = replaced(sound, WEIGHT, torch.zeros(16, 3, 5, 5))
    with pytest.raises(InputError, match=r"g_a.0.weight is float32 16x3x5x5, this run's is float32 8x3x5x5"):
        reader(files(tmp_path, folder, other))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(sound, tmp_path_factory, place, bit):
    small = {name: sound[name] for name in ("global_step", "gcn")}
    memory = io.BytesIO()
    torch.save({**small, "state_dict": {"w": torch.arange(500.0)}}, memory)
    data = bytearray(memory.getvalue())
    data[int(place * len(data))] ^= 1 << bit
    file = tmp_path_factory.mktemp("flipped") / "x.ckpt"
    file.write_bytes(data)
    try:
        _, found = open_checkpoint(file)
    except InputError as problem:
        reason = str(problem)
        found = None
    if found is None:
        assert reason.startswith(f"{file}: not a ")
        return
    assert torch.equal(found["state_dict"]["w"], torch.arange(500.0))
    assert found["global_step"] == small["global_step"]


def test_an_archive_that_unpacks_to_more_than_its_size_is_refused(tmp_path):
    file = tmp_path / "bomb.ckpt"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("bomb/data/0", bytes(10**8))
    assert file.stat().st_size < 10**6
    with pytest.raises(InputError, match="not a readable checkpoint"):
        open_checkpoint(file)


def test_a_pipe_is_no_checkpoint(tmp_path):
    os.mkfifo(tmp_path / "pipe.ckpt")
    with pytest.raises(InputError, match="no checkpoint here"):
        open_checkpoint(tmp_path / "pipe.ckpt")
