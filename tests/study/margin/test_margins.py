"""Margins: the search on the grid, what a run is judged by, and arms that are stored and resumed."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_study import TINY

from gcn.config.assemble import codec as first_codec
from gcn.config.build import build
from gcn.config.parse import parse
from gcn.errors import InputError
from gcn.metrics.c2st import Classifier
from gcn.models import package
from gcn.study import design, table
from gcn.study import run as running
from gcn.study.arms import Arm, MarginPlan, Protocol
from gcn.study.design import Study
from gcn.study.executors.local import LocalExecutor
from gcn.study.margin import holding, judge, margin_arm, margins
from gcn.study.margin.judge import Reference
from gcn.study.twins import training_of

ARM = ("experiment=frozen", "rate=null", "mse=1", "loss=ns", *TINY)
PLAN = MarginPlan(
    ("mse=1", "optim.g.lr=1e-5"), ("mse=1", "optim.g.lr=1e-4"), settle=8,
    judge_train=40, judge_test=32, judge_width=4, judge_epochs=1, judges=1, classifiers=2,
    lr_lowest=1e-4, lr_octaves=1, adv_lowest=0.5, adv_octaves=1, ramp_updates=8,
)  # fmt: skip


# The search


@pytest.mark.parametrize("top", [1, 7, 44])
@pytest.mark.parametrize("method", ["grid", "bisection"])
def test_every_margin_is_found(method, top):
    for edge in range(-1, top + 1):
        found = margins.search(method, top, lambda k, edge=edge: k <= edge)
        assert found.place == edge
        assert found.monotone
        assert (found.below, found.above) == (edge == -1, edge == top)
        assert found.tried <= (top + 1 if method == "grid" else math.log2(top + 1) + 1)


@given(edge=st.integers(-1, 60), start=st.none() | st.integers(-5, 70), top=st.integers(0, 60))
def test_a_search_from_any_start_finds_what_a_bisection_finds(edge, start, top):
    asked = []

    def holds(k):
        asked.append(k)
        return k <= edge

    near = margins.search("near", top, holds, start)
    assert near[:4] == margins.search("bisection", top, lambda k: k <= edge)[:4]
    assert len(set(asked)) == len(asked) == near.tried <= 12
    assert set(asked) <= set(range(top + 1))


def test_a_start_at_the_margin_takes_three_runs():
    asked = []
    found = margins.search("near", 60, lambda k: asked.append(k) or k <= 30, start=30)
    assert (found.place, asked) == (30, [30, 32, 31])


def test_a_start_from_another_seed_saves_two_runs_of_six():
    """Two seeds whose margins have a deviation of .35 octave, anywhere on the study's grid."""
    random = np.random.default_rng(0)
    middles = random.uniform(8, 52, 2000)
    edges = np.floor(middles + margins.STEPS * 0.35 * random.standard_normal((2, 2000))).astype(int)
    runs = {"near": 0, "bisection": 0}
    for start, edge in edges.T:
        for method in runs:
            runs[method] += margins.search(method, 60, lambda k, edge=edge: k <= edge, int(start)).tried
    assert runs["near"] / 2000 == pytest.approx(3.4, abs=0.1)
    assert runs["bisection"] / 2000 == pytest.approx(6.0, abs=0.1)


def test_the_place_of_a_value_is_the_nearest():
    assert [margins.place_of(1e-5, margins.value(1e-5, k)) for k in range(61)] == list(range(61))
    assert margins.place_of(1e-5, 1.05e-5) == 0


def test_half_octaves_find_the_place_below():
    found = margins.search("halves", 8, lambda k: k <= 5)
    assert (found.place, found.tried) == (4, 5)


def test_a_grid_goes_from_coarse_to_fine():
    asked = []
    margins.search("grid", 8, lambda k: asked.append(k) or True)
    assert asked == [0, 8, 4, 2, 6, 1, 3, 5, 7]


def test_holding_again_is_not_hidden():
    found = margins.margin({0: True, 1: True, 2: False, 3: True, 4: False})
    assert (found.place, found.monotone) == (1, False)
    assert margins.margin({0: False, 1: True}).below


def test_the_grid_is_in_quarter_octaves():
    assert margins.value(1e-5, 4) == pytest.approx(2e-5)
    assert margins.value(1e-5, 0) == 1e-5


def test_margins_of_a_table():
    def row(h, holds, reach=False, seed=0):
        return {
            "loss": "ns", "seed": seed, "axis": "lr", "method": "grid", "updates": 4, "h": h, "adv": 1.0,
            "holds": holds, "reach": float(reach), "seconds": 1.5,
        }  # fmt: skip

    rows = [row(4.0, 0.0), row(1.0, 1.0), row(2.0, 1.0, True), row(8.0, 1.0), row(1.0, 0.0, seed=1)]
    first, second = margins.of_rows(rows, ["loss"])
    assert (first["margin"], first["octaves"], first["monotone"], first["above"]) == (2.0, 1.0, False, False)
    assert (first["reach"], first["runs"], first["seconds"]) == (2.0, 4, 6.0)
    assert second["below"]
    assert math.isnan(second["margin"])
    assert math.isnan(second["reach"])


def test_the_ceiling_is_one_octave_below_the_twin():
    assert margins.has_ceiling(game=4.0, alone=4.75)
    assert not margins.has_ceiling(game=4.0, alone=5.0)


# What a run is judged by


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study's folder with the codecs of two seeds, and images: few, so that a part of each is held out."""
    top = tmp_path_factory.mktemp("margins")
    random = np.random.default_rng(0)
    for part, number, size in (("train", 3, (40, 40)), ("val", 2, (320, 192))):
        (top / "data" / part).mkdir(parents=True)
        for i in range(number):
            coarse = random.integers(0, 256, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(
                top / "data" / part / f"{i}.png"
            )
    for seed in (0, 1):
        untrained = first_codec(parse([*TINY, "mse=1", f"seed={seed}"])).for_coding()
        package.save(untrained, running.codec_file(top, seed), {})
    return top


@pytest.fixture(scope="module")
def protocol(folder):
    arm = (*ARM, "data=folder", f"data.root={folder / 'data'}")
    return Protocol(("x",), arm, updates=6, pool=6, val_crops=1, command="margin", margin=PLAN)


def arm_of(protocol, *said, **own):
    return Arm({"loss": "ns"}, 0, (*protocol.arm, *said, "seed=0"), False, own=own)


@pytest.fixture(scope="module")
def material(folder, protocol):
    return margin_arm.material(str(folder), protocol, 0)


@pytest.fixture
def training(material, protocol):
    return training_of(parse([*protocol.arm, "init_from=codec", "seed=0"]), material.ground)


@pytest.fixture
def usable(monkeypatch):
    """The judge of these tests learns from a dozen crops and sees nothing; its arms are trained all the same."""
    monkeypatch.setattr(Reference, "problem", None)


def test_held_out_crops_come_from_another_part_of_the_images(material, folder, protocol):
    """The right third of each of two images, 10 by 6 crops each; the latents are those of the crops."""
    kept, held = (material.judge.x[material.judge.held_out == side] for side in (False, True))
    assert (len(kept), len(held)) == (40, 32)
    images = [np.asarray(Image.open(folder / "data" / "val" / f"{i}.png")) for i in range(2)]
    for crops, columns in ((kept, range(7)), (held, range(7, 10))):
        places = [
            image[32 * i : 32 * i + 32, 32 * j : 32 * j + 32].transpose(2, 0, 1)
            for image in images for i in range(6) for j in columns
        ]  # fmt: skip
        assert all(any((crop.numpy() == place).all() for place in places) for crop in crops)
    codec = package.load(running.codec_file(folder, 0))
    assert torch.equal(codec.reconstruct(kept[:2].float() / 255).y_hat, material.judge.y_hat[:2])


def test_of_many_images_every_third_is_held_out(folder, protocol):
    class Images(list):
        pass

    class Data:
        @staticmethod
        def val_images():
            return [type("Whole", (), {"x": torch.full((1, 3, 96, 160), i / 255)}) for i in range(9)]

    codec = package.load(running.codec_file(folder, 0))
    made = judge.prepare(codec, Data, 32, PLAN, 0)
    values = {held: set(made.x[made.held_out == held].flatten().tolist()) for held in (False, True)}
    assert values == {False: {0, 1, 3, 4, 6, 7}, True: {2, 5, 8}}
    assert (int((~made.held_out).sum()), int(made.held_out.sum())) == (40, 32)


def test_large_crops_are_cut_into_tiles():
    x = torch.arange(2 * 3 * 64 * 96).view(2, 3, 64, 96)[..., :64].float()
    cut = judge.tiles(x)
    assert cut.shape == (8, 3, 32, 32)
    assert torch.equal(cut[1], x[0, :, :32, 32:])
    assert torch.equal(cut[4], x[1, :, :32, :32])
    assert judge.tiles(x[..., :48, :48]).shape == (2, 3, 48, 48)


def test_too_few_crops_are_refused(folder, protocol):
    cfg = parse([*protocol.arm, "init_from=codec"])
    codec, data = package.load(running.codec_file(folder, 0)), build(cfg, "data")
    with pytest.raises(InputError, match=r"40 crops .* and 20 to test it on, .* or a smaller data\.crop"):
        judge.prepare(codec, data, 32, dataclasses.replace(PLAN, judge_test=20), 0)


@pytest.mark.parametrize(
    ("updates", "expected"),
    [(200, [5, 10, 20, 50, 100, 150, 200]), (6, [5, 6]), (120, [5, 10, 20, 50, 100, 120])],
)
def test_looks(updates, expected):
    assert holding.looks(updates) == expected


def test_a_run_holds_at_its_limit_and_not_above(training, material, protocol):
    found = [
        holding.hold(
            training_of(parse([*protocol.arm, "init_from=codec", "seed=0"]), material.ground),
            material.judge,
            limit,
            6,
            1,
        )
        for limit in (Reference(2.0, 0.0), Reference(-1.0, 0.0), Reference(2.0, 0.5))
    ]
    assert [outcome.verdict for outcome in found] == ["holds", "fails", "holds"]
    assert [outcome.failed_at for outcome in found] == [None, 5, None]
    assert [outcome.reach for outcome in found] == [True, False, True]
    assert [row["step"] for row in found[0].rows] == [5, 6]
    assert found[0].rows[:1] == found[1].rows  # ended when it failed


def test_a_whole_run_goes_on_after_its_failure(training, material):
    outcome = holding.hold(training, material.judge, Reference(-1.0, 0.0), 6, 1, whole=True)
    assert (outcome.verdict, outcome.failed_at) == ("fails", 5)
    assert [row["step"] for row in outcome.rows] == [5, 6]


def test_a_run_that_is_not_finite_ends(material, protocol):
    cfg = parse([*protocol.arm, "init_from=codec", "seed=0", "optim.g.lr=1e30"])
    outcome = holding.hold(training_of(cfg, material.ground), material.judge, Reference(2.0, 0.0), 60, 1)
    assert (outcome.verdict, outcome.failed_at) == ("diverged", 5)
    numbers = holding.numbers(outcome, Reference(0.5, 0.1))
    assert (numbers["holds"], numbers["bits_3"]) == (0.0, None)


def test_a_judge_sees_noise(material, training):
    """A decoder with noise on its output is told from photographs, and the photographs themselves are not."""
    real = material.judge.x.float() / 255

    class Copy:
        def __init__(self, noise):
            self.noise, self.given = noise, iter(real.split(judge.PART))

        def decode(self, y_hat):
            x = next(self.given)
            return x + self.noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))

    sharp = dataclasses.replace(material.judge, options=Classifier())
    assert sharp.look(Copy(0.0), 1).bits < 0.1
    assert sharp.look(Copy(0.3), 1).bits > 0.8
    assert sharp.look(Copy(math.nan), 1) is None


def test_a_classifier_s_own_offset_is_no_noise():
    """Two looks, three classifiers far apart, whose log-losses differ by .1, .2 and .3 octaves between the looks."""
    first, second = [0.8, 0.4, 0.1], [0.8 * 2**0.1, 0.4 * 2**0.2, 0.1 * 2**0.3]
    found = judge.reference_of([[1 - loss for loss in look] for look in (first, second)], 2, delta=0.3)
    assert found.bits == pytest.approx(1 - (sum(first[:2]) + sum(second[:2])) / 4)
    assert found.noise == pytest.approx(math.sqrt((0.1**2 + 0.2**2 + 0.3**2) / 2 / 3 / 2))
    assert (found.delta, found.failed) == (0.3, None)


@pytest.mark.parametrize("bits", [0.0, 0.5, 0.85, 0.99])
def test_a_limit_is_a_share_of_the_log_loss(bits):
    """At δ = 1 octave a run fails below half of the reference's log-loss, however much the reference has."""
    found = Reference(bits, 1.0)
    assert 1 - found.limit == pytest.approx((1 - bits) / 2)
    assert 1 - found.better == pytest.approx((1 - bits) * 2)
    assert found.limit < 1


def test_a_judge_that_sees_no_failure_or_is_too_noisy_cannot_be_used():
    looks = [[0.8, 0.8], [0.8, 0.8]]
    blind = judge.reference_of(looks, 2, 0.3, failed=0.83)
    assert blind.failed == pytest.approx(math.log2(0.2 / 0.17))
    assert "do not see that a decoder has failed" in blind.problem
    assert judge.reference_of(looks, 2, 0.3, failed=0.84).problem is None
    assert judge.reference_of(looks, 2, 0.3, failed=None).problem is None, "not finite: that is seen"
    noisy = judge.reference_of([[0.8, 0.8], [0.9, 0.9]], 2, 0.3, failed=1.0)
    assert noisy.noise == pytest.approx(0.5)
    assert "chance alone" in noisy.problem


def test_an_arm_whose_judge_cannot_be_used_is_refused(protocol, folder, monkeypatch):
    monkeypatch.setattr(margin_arm.Cell, "reference", lambda cell: Reference(0.8, 0.3, failed=0.1))
    with pytest.raises(InputError, match=r"seed 0: the classifiers do not see .* take another seed"):
        margin_arm.play(arm_of(protocol), folder, protocol)


def test_an_arm_of_a_twin_asks_the_judges_of_both_seeds(protocol, folder, monkeypatch):
    def reference(cell):
        return Reference(0.8, 0.3, failed=0.1 if cell.arm.seed == 1 else None)

    monkeypatch.setattr(margin_arm.Cell, "reference", reference)
    with pytest.raises(InputError, match="seed 1: the classifiers do not see"):
        margin_arm.play(arm_of(protocol, twin="rescaled"), folder, protocol)


def test_runs_start_from_a_decoder_that_the_distortion_alone_has_settled(material, folder, protocol):
    """Its error on the training crops is less than the codec's, it is stored, and a stored one is used again."""
    plan = dataclasses.replace(protocol.margin, settle=0)
    before = margin_arm.material(str(folder), dataclasses.replace(protocol, margin=plan), 0).ground

    def error(ground):
        training = training_of(parse([*protocol.arm, "init_from=codec", "seed=0"]), ground)
        y_hat, x = ground.frozen.y_hat, ground.x.float() / 255
        return float((training.generator.decode(y_hat).detach() - x).square().mean())

    assert error(material.ground) < error(before)
    again = margin_arm.material.__wrapped__(str(folder), protocol, 0).ground
    weights = material.ground.frozen.weights
    assert all(torch.equal(again.frozen.weights[name], weights[name]) for name in weights)
    assert {name for name in weights if not torch.equal(weights[name], before.frozen.weights[name])} <= {
        name for name in weights if name.startswith("g_s.")
    }


def test_the_reference_is_judged_where_runs_are(material, protocol):
    cfg = parse([*protocol.arm, "init_from=codec", "seed=0"])
    alone, failed, again = (training_of(cfg, material.ground, "distortion_alone") for _ in range(3))
    found = holding.refer(alone, failed, material.judge, 6, 2, 1, 0.3)
    bits = []
    for updates in (5, 1):
        for _ in range(updates):
            again.advance()
        bits.append([one.bits for one in material.judge.each(again.generator, 2)])
    seen = material.judge.look(failed.generator, 1).bits
    assert found == judge.reference_of(bits, 1, 0.3, seen)
    look = material.judge.look(again.generator, 2)
    assert look.bits == pytest.approx(np.mean(bits[1]))


def test_delta_is_the_same_for_all_seeds_and_b0_is_each_seed_s_own(protocol, folder):
    """Runs with another limit are other runs; the judge's check trains at the highest rate of the search."""
    other = dataclasses.replace(protocol, margin=dataclasses.replace(PLAN, delta=0.25))
    found = {}
    for plan, seeds in ((protocol, (0, 1)), (other, (0,))):
        arms = [dataclasses.replace(arm_of(plan), seed=s, words=(*plan.arm, f"seed={s}")) for s in seeds]
        found[plan] = [margin_arm.Cell(arm, folder, plan, lambda *_: None).reference() for arm in arms]
    assert [one.delta for one in found[protocol] + found[other]] == [0.3, 0.3, 0.25]
    assert found[protocol][0].bits != found[protocol][1].bits
    assert found[other][0].bits == found[protocol][0].bits
    assert other.margin.judged() != protocol.margin.judged()


def test_a_ramp_rises_by_its_octaves_and_stops_where_it_fails(training, material):
    before = training.players.g.optimizer.param_groups[0]["lr"]
    outcome, factor = holding.ramp(training, material.judge, Reference(2.0, 0.0), 8, 2, 1)
    assert [row["step"] for row in outcome.rows] == [2, 4, 6, 8]
    assert [row["learning_rate"] for row in outcome.rows] == pytest.approx([2**0.5, 2, 2**1.5, 4])
    assert (outcome.verdict, factor) == ("holds", pytest.approx(4))
    assert training.players.g.optimizer.param_groups[0]["lr"] == pytest.approx(4 * before)


def test_a_ramp_fails_at_two_looks_in_succession(training, material):
    outcome, factor = holding.ramp(training, material.judge, Reference(-1.0, 0.0), 8, 2, 1)
    assert (outcome.verdict, outcome.failed_at, factor) == ("fails", 4, 0.0)


# Arms


@pytest.mark.usefixtures("usable")
def test_an_arm_is_stored_and_resumed(protocol, folder, tmp_path, monkeypatch):
    for seed in (0, 1):
        running.codec_file(tmp_path, seed).symlink_to(running.codec_file(folder, seed))
    arm = arm_of(protocol, method="grid")
    said = []
    runs = margin_arm.play(arm, tmp_path, protocol, lambda text, stored: said.append(stored))
    assert said == [False] * 5
    assert [run["responses"]["h"] for run in runs] == pytest.approx([1e-4 * 2 ** (k / 4) for k in range(5)])
    ratio = [word for word in runs[4]["words"] if word.startswith("optim.d.lr")]
    assert ratio == ["optim.d.lr=0.0002"]  # optim=gan: D as fast as G
    (tmp_path / "runs" / f"{runs[2]['facts']['run']}.json").unlink()
    said.clear()
    again = margin_arm.play(arm, tmp_path, protocol, lambda text, stored: said.append(stored))
    assert sorted(said) == [False] + [True] * 4
    for one, other in zip(runs, again, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    monkeypatch.setattr(margin_arm, "training_of", None)  # a search of the same runs trains none
    shared = margin_arm.play(arm_of(protocol, method="bisection"), tmp_path, protocol)
    assert {run["facts"]["run"] for run in shared} <= {run["facts"]["run"] for run in runs}
    table.write(runs, tmp_path / "table")
    (found,) = margins.of_rows(table.read(tmp_path / "table"), ["loss"])
    assert found["runs"] == 5


@pytest.mark.usefixtures("usable")
def test_a_search_from_a_start_has_it_in_its_rows(protocol, folder):
    arm = dataclasses.replace(arm_of(protocol, method="near"), start=1.9e-4)
    runs = margin_arm.play(arm, folder, protocol)
    assert {run["facts"]["start"] for run in runs} == {1.9e-4}
    assert any(run["responses"]["h"] == pytest.approx(2e-4) for run in runs)  # the place nearest to the start
    assert arm.name == arm_of(protocol, method="near").name


def test_a_twin_and_a_longer_run_are_other_runs(protocol, folder):
    arms = [arm_of(protocol), arm_of(protocol, twin="yoked"), arm_of(protocol, updates="7")]
    cells = [margin_arm.Cell(a, folder, protocol, lambda text, stored: None) for a in arms]
    for cell in cells:
        cell.holds(1e-4)
    results = [cell.runs[1e-4] for cell in cells]
    assert len({result["facts"]["run"] for result in results}) == 3
    first = [result["rows"][0] for result in results]
    assert first[0] == first[2] != first[1]
    assert [arm.codecs for arm in arms] == [(0,), (0, 1), (0,)]


def test_a_weight_is_searched_at_an_eighth_of_the_distortion_s_edge(protocol, folder, monkeypatch):
    def holds_always(cell):
        return Reference(2.0, 0.0)

    monkeypatch.setattr(margin_arm.Cell, "reference", holds_always)
    cell = margin_arm.Cell(
        arm_of(protocol, axis="adv", method="bisection"), folder, protocol, lambda *_: None
    )
    cell.search()
    assert cell.edge == pytest.approx(margins.value(1e-4, 4))
    for adv, result in cell.runs.items():
        assert result["responses"]["h"] == pytest.approx(cell.edge / 8)
        assert result["responses"]["adv"] == adv
        assert f"adv={adv:.6g}" in result["words"]
    assert len(cell.runs) <= 3


def test_arms_that_are_compared_have_one_rate_for_their_weights(protocol, folder, monkeypatch):
    """The weight ``rate_mse`` of the distortion decides it, not the arm's own, nor a control in its place.

    They share the runs that find it.
    """
    edges = []
    monkeypatch.setattr(margin_arm.Cell, "holds", lambda cell, value: edges.append(cell) or cell.axis == "lr")
    plain = dataclasses.replace(protocol, arm=tuple(word for word in protocol.arm if word != "mse=1"))
    for words in ("mse=1", "mse=0.01", "mse=0", "prox=0.5", "mse=0.3"):
        arm = arm_of(plain, axis="adv", method="bisection", rate_mse="0.3")
        arm = dataclasses.replace(arm, words=(*arm.words, words))
        margin_arm.Cell(arm, folder, plain, lambda *_: None).search()
    alone = [cell for cell in edges if cell.twin == "distortion_alone"]
    assert {(cell.cfg.mse, cell.cfg.prox or 0) for cell in alone} == {(0.3, 0)}
    assert len({cell.arm.words for cell in alone}) == 1


@pytest.mark.usefixtures("usable")
def test_a_stored_run_of_another_codec_is_not_searched_with_new_ones(protocol, fresh, monkeypatch):
    limited(monkeypatch, 2)
    arm = arm_of(protocol, method="grid")
    margin_arm.play(arm, fresh, protocol)
    monkeypatch.setattr(margin_arm.Cell, "reference", lambda cell: Reference(0.9, 0.0))
    with pytest.raises(
        InputError,
        match=r"seed 0: the stored run \w+ has a reference of 1.0000 bits, .* 0.9000, hence another",
    ):
        margin_arm.play(arm, fresh, protocol)


def limited(monkeypatch, *places):
    """Let runs of a seed hold up to its place of the grid, by the rate in their words; returns what was trained."""
    trained = []

    def hold(training, *_):
        trained.append(training)
        rate = training.cfg.optim.g.lr
        edge = margins.value(PLAN.lr_lowest, places[training.cfg.seed % len(places)])
        held = "holds" if rate < edge * 1.01 else "fails"
        row = {"step": 6, "psnr": 20.0, "bits": 0.5, "auc": 0.5}
        return holding.Outcome(held, held, None, [row], False, 1.0)

    monkeypatch.setattr(margin_arm.holding, "hold", hold)
    monkeypatch.setattr(margin_arm.Cell, "reference", lambda cell: Reference(1.0, 0.0))
    return trained


@pytest.fixture
def fresh(folder, tmp_path):
    """A folder with the codecs and no runs."""
    for seed in (0, 1):
        running.codec_file(tmp_path, seed).symlink_to(running.codec_file(folder, seed))
    return tmp_path


@pytest.mark.parametrize(("twin", "edges"), [("recorded", (4, 3)), ("rescaled", (3, 4))])
def test_the_game_that_a_twin_repeats_is_an_octave_below_both_margins(
    protocol, fresh, monkeypatch, twin, edges
):
    """And D moves as much faster as the twin's G, if it is rescaled; no run of the games is trained twice."""
    trained = limited(monkeypatch, *edges)
    for seed in (0, 1):
        game = dataclasses.replace(arm_of(protocol, method="bisection"), seed=seed)
        game = dataclasses.replace(game, words=(*protocol.arm, f"seed={seed}"))
        margin_arm.play(game, fresh, protocol)
    of_the_game = len(trained)
    runs = margin_arm.play(arm_of(protocol, twin=twin, method="grid"), fresh, protocol)
    lowered, *twins = trained[of_the_game:]
    recorded = margins.value(PLAN.lr_lowest, 3 - 4)
    assert (lowered.cfg.seed, lowered.cfg.optim.g.lr) == (1, pytest.approx(recorded))
    assert len(twins) == len(runs) == 5
    for one in twins:
        assert (one.other.cfg.seed, one.other.cfg.optim.g.lr) == (1, pytest.approx(recorded))
        scale = one.cfg.optim.g.lr / recorded if twin == "rescaled" else 1
        assert one.scale == pytest.approx(scale, rel=1e-4)  # words have six digits
    assert {run["facts"]["recorded"] for run in runs} == {recorded}


def test_a_twin_of_a_weight_repeats_a_game_at_a_lower_weight(protocol, fresh, monkeypatch):
    """All weights hold, so the highest is the game's margin; the rates of both seeds are those of their edges."""
    trained = limited(monkeypatch, 99)
    runs = margin_arm.play(arm_of(protocol, twin="rescaled", axis="adv", method="bisection"), fresh, protocol)
    twins = [one for one in trained if hasattr(one, "other")]
    assert {one.other.cfg.adv for one in twins} == {0.5}  # an octave below 1, the grid's end
    assert {one.scale for one in twins} == {1.0}
    assert {run["facts"]["recorded"] for run in runs} == {0.5}


def test_a_recorded_game_holds(protocol, fresh, monkeypatch):
    """Where holding is not monotone below the margin the game is recorded lower; without any it is refused."""
    limited(monkeypatch, 3)
    cell = margin_arm.Cell(arm_of(protocol, twin="recorded"), fresh, protocol, lambda *_: None)
    known = margin_arm.Cell.holds
    gap = margins.value(PLAN.lr_lowest, -1)
    monkeypatch.setattr(margin_arm.Cell, "holds", lambda c, v: known(c, v) and v != gap)
    assert cell.recording.value == margins.value(PLAN.lr_lowest, -5)
    monkeypatch.setattr(margin_arm.Cell, "holds", lambda c, v: known(c, v) and v > gap)
    again = margin_arm.Cell(arm_of(protocol, twin="recorded"), fresh, protocol, lambda *_: None)
    with pytest.raises(InputError, match="the game of seed 1 does not hold below its margin"):
        again.search()


def test_a_ramp_with_a_recorded_game_is_refused(protocol, folder):
    cell = margin_arm.Cell(
        arm_of(protocol, twin="rescaled", method="ramp"), folder, protocol, lambda *_: None
    )
    with pytest.raises(InputError, match="twin=rescaled repeats a game at a constant one"):
        cell.search()


def test_a_ramp_of_a_weight_is_refused(protocol, folder):
    cell = margin_arm.Cell(arm_of(protocol, axis="adv", method="ramp"), folder, protocol, lambda *_: None)
    with pytest.raises(InputError, match="raises learning rates; with axis=adv give another method"):
        cell.search()


@pytest.mark.usefixtures("usable")
def test_a_study_of_margins_has_a_table(protocol, folder, tmp_path):
    arms = [arm_of(protocol, method="ramp"), arm_of(protocol, twin="yokd")]
    study = Study("margin", "Margins", protocol, {"loss": ["ns"]}, arms)
    assert running.train_codecs(study, tmp_path, [0], folder)
    for arm in running.remaining(study, tmp_path):
        running.train_task((arm, protocol, str(tmp_path), False))
    assert running.remaining(study, tmp_path) == []
    table.write(running.finished(study, tmp_path), tmp_path / "table")
    good, bad = table.read(tmp_path / "table")
    assert (good["method"], good["verdict"]) == ("ramp", "holds")
    assert bad["verdict"] == "failed"
    assert "twin=yokd: unknown; nearest: yoked" in bad["verdict_reason"]


@pytest.mark.usefixtures("usable")
def test_searches_whose_runs_are_in_a_table_from_elsewhere_are_done(protocol, folder, tmp_path, monkeypatch):
    arm, twin = (arm_of(protocol, method="bisection", **own) for own in ({}, {"twin": "yoked"}))
    first = dataclasses.replace(arm, levels={"loss": "ns", "twin": "none"})
    second = dataclasses.replace(twin, levels={"loss": "ns", "twin": "yoked"})
    results = margin_arm.play(first, folder, protocol)
    table.write(results, tmp_path / "table")
    study = Study("margin", "Margins", protocol, {"loss": ["ns"], "twin": ["none", "yoked"]}, [first, second])
    monkeypatch.setattr(margin_arm, "training_of", None)  # nothing can be trained from here on

    def left(study, kept, out):
        executor = LocalExecutor(running.train_task, 1)
        return running.run(study, tmp_path / out, executor, minutes=0, kept=kept)

    for seed in (0, 1):  # of the twin, which is left
        (tmp_path / "here").mkdir(exist_ok=True)
        running.codec_file(tmp_path / "here", seed).symlink_to(running.codec_file(folder, seed))
    assert left(study, tmp_path / "table", "here") == 1
    assert [arm.levels["twin"] for arm in running.remaining(study, tmp_path / "here")] == ["yoked"]
    table.write(running.finished(study, tmp_path / "here"), tmp_path / "again")
    for read in (table.read, table.read_curves):
        assert repr(read(tmp_path / "again")) == repr(read(tmp_path / "table"))  # NaN: not looked at

    alone = dataclasses.replace(study, arms=[first])
    table.write(results[1:], tmp_path / "part")
    other = dataclasses.replace(protocol, updates=7)
    for kept, changed in (
        (tmp_path / "part", alone),
        (tmp_path / "table", dataclasses.replace(alone, protocol=other)),
    ):
        out = f"not {kept.name}"
        (tmp_path / out).mkdir()
        running.codec_file(tmp_path / out, 0).symlink_to(running.codec_file(folder, 0))
        assert left(changed, kept, out) == 1


@pytest.mark.parametrize("run", ["../../elsewhere", "/tmp/elsewhere", "3906cc8910b", "3906cc8910b6\n"])
def test_a_table_of_strangers_writes_no_file_elsewhere(protocol, tmp_path, run):
    result = {
        "name": "a", "levels": {"loss": "ns"}, "seed": 0, "facts": {"run": run, "commit": "x"}, "verdict": "holds",
        "verdict_reason": "", "words": ["mse=1"], "rows": [{"step": 6}], "responses": {"h": 1e-4, "holds": 1.0},
    }  # fmt: skip
    table.write([result], tmp_path / "table")
    study = Study("margin", "Margins", protocol, {"loss": ["ns"]}, [arm_of(protocol, method="bisection")])
    with pytest.raises(InputError, match=r"is no run of a study of margins; give another table"):
        running.run(
            study, tmp_path / "out", LocalExecutor(running.train_task, 1), minutes=0, kept=tmp_path / "table"
        )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"arms", "closer"}
    assert {path.name for path in tmp_path.iterdir()} == {"out", "table"}


def test_an_optimizer_of_another_scale_has_its_own_grid(protocol, folder, monkeypatch):
    tried = []
    monkeypatch.setattr(margin_arm.Cell, "holds", lambda cell, value: tried.append(value) or value < 5e-3)
    cell = margin_arm.Cell(
        arm_of(protocol, method="grid", times="32"), folder, protocol, lambda text, stored: None
    )
    assert cell.search().place == 2
    assert sorted(tried) == pytest.approx([32e-4 * 2 ** (k / 4) for k in range(5)])
    assert cell.game(1).lr_lowest == cell.lr_lowest == pytest.approx(32e-4)


def test_the_shipped_study_has_its_cells():
    study = design.load("margin", ["data.root=x"])
    assert len([a for a in study.arms if a.levels["stage"] == "0" and a.levels["search"] == "grid"]) >= 24
    left = {level for a in study.arms for level in a.levels.items()}
    assert {a.seed for a in study.arms if a.levels["search"] == "near"} == {
        2
    }  # further ones start from these
    while left:  # few arms that have all levels between them
        a = max(study.arms, key=lambda a: len(left & a.levels.items()))
        parse([*a.words, "init_from=codec"])
        left -= a.levels.items()
