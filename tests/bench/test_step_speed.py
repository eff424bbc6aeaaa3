"""The benchmark of an update: its contenders train the same game, and its table says what was compared."""

import multiprocessing

import pytest
import torch

from gcn.bench import step_contenders, step_speed
from gcn.errors import InputError

SMALL = [
    "generator.N=8",
    "generator.M=8",
    "discriminator.width=8",
    "discriminator.depth=2",
    "data.crop=32",
    "data.batch=2",
]


@pytest.fixture(autouse=True)
def _full_precision(monkeypatch):
    monkeypatch.setattr(step_contenders, "precision", lambda: "32")
    monkeypatch.setattr(step_contenders, "device", lambda: "cpu")
    monkeypatch.setattr(
        torch.backends.mkldnn, "enabled", False
    )  # oneDNN takes most of the time of small networks


@pytest.mark.parametrize(
    "words",
    [
        ["loss=ns", "mse=1"],
        ["loss=hinge", "mse=1", "relativistic=pair", "instance_noise=0.1", "d_steps=2", "spectral_norm=true"],
    ],
    ids=["ns", "hinge with tricks"],
)
def test_the_plain_loop_trains_as_gcn_does(words):
    loops = [
        make([*words, *SMALL, "optim.schedule.name=constant"], 32, 2)
        for make in (step_contenders.ours, step_contenders.plain)
    ]
    first = [p.detach().clone() for p in loops[0].game.parameters()]
    for loop in loops:
        for number in range(3):
            loop.step(number)
    moved = 0.0
    for name, before, a, b in zip(
        dict(loops[0].game.named_parameters()),
        first,
        *(loop.game.parameters() for loop in loops),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")
        moved = max(moved, (a - before).abs().max().item())
    assert moved > 1e-4


def test_another_rule_can_be_compared_with_alternating_updates():
    words = ["loss=ns", "mse=1", "dynamics=unrolled", "dynamics.k=2", *SMALL]
    loops = [
        make(chosen, 32, 2)
        for make, chosen in (
            (step_contenders.alternating, words),
            (step_contenders.ours, [word for word in words if "dynamics" not in word]),
        )
    ]
    for loop in loops:
        loop.step(0)
    for a, b in zip(*(loop.game.parameters() for loop in loops), strict=True):
        assert torch.equal(a, b)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("generator", ["tiny", "hyperprior"])
def test_compressai_s_codec_has_the_same_size_and_trains(generator):
    words = [f"generator={generator}", *(word for word in SMALL if word != "data.crop=32"), "data.crop=64"]
    loop, own = step_contenders.compressai(words, 64, 2), step_contenders.ours(words, 64, 2)
    sizes = [sum(p.numel() for p in one.game.parameters_of("g")) for one in (loop, own)]
    if generator == "tiny":
        assert sizes[0] == sizes[1]  # CompressAI's hyper networks are larger
    before = [p.detach().clone() for p in loop.game.parameters_of("g")]
    loop.step(0)
    changed = [not torch.equal(a, b) for a, b in zip(before, loop.game.parameters_of("g"), strict=True)]
    assert sum(changed) > len(changed) // 2


def test_operations_are_those_of_the_convolutions():
    conv = torch.nn.Conv2d(3, 8, 5, bias=False)
    counted = step_contenders.floating_point_operations(lambda _: conv(torch.zeros(2, 3, 12, 12)))
    assert counted == 2 * (2 * 8 * 8 * 8) * (3 * 5 * 5)  # a multiplication and an addition for each tap


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["generator.residual=1"], "CompressAI has no such generator"),
        (["loss=none", "mse=1"], "needs a loss"),
        (["dynamics=extragradient"], "no dynamics but alternating"),
    ],
)
def test_what_a_plain_loop_cannot_train_is_refused(words, said):
    make = step_contenders.compressai if "residual" in words[0] else step_contenders.plain
    with pytest.raises(InputError, match=said):
        make([*words, *SMALL], 32, 2)


def test_a_bad_word_is_refused_before_a_process_starts():
    for words, against, said in (
        (["mse=one"], ["plain"], "mse=one"),
        (["data.crop=64"], ["plain"], "give crop= and batch="),
        (["loss=ns"], ["naive"], "against=naive: choose of alternating, plain, compressai"),
    ):
        with pytest.raises(InputError, match=said):
            step_speed.bench(words, [64], [8], against, 1, 1, 1)


def test_the_table_names_each_contender_and_the_machine_s_best(capsys, monkeypatch):
    forked = multiprocessing.get_context("fork")  # a fresh process would import torch again
    monkeypatch.setattr(step_speed.multiprocessing, "get_context", lambda _: forked)
    monkeypatch.setitem(step_contenders.MATRIX, "cpu", 64)
    step_speed.bench(["loss=ns", "mse=1", *SMALL[:4]], [32], [1], ["plain"], 1, 1, 1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"loss=ns mse=1 {' '.join(SMALL[:4])}, crops of 32 pixels, batch 1"
    assert [line.split()[0] for line in lines[2:5]] == ["gcn", "plain", "floor"]
    assert lines[2].split()[4] == "1.00"
    assert all(float(line.split()[1]) > 0 for line in lines[2:5])
