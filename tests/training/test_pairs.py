"""Every pair of knobs composes and plays, or is refused with a reason that names both.

That it composes is tried for each pair alone; pairs play several at a time, in games with twelve knobs.
"""

import copy
import itertools
from functools import cache

import pytest
from small import BESIDE, LABELS, LARGE, LARGER, ON, Small, words

from gcn.config.compose import compose
from gcn.config.offered import knobs
from gcn.config.parse import check
from gcn.errors import InputError

pytestmark = [
    pytest.mark.filterwarnings("ignore:lpips. the .* backbone has random weights"),
    pytest.mark.usefixtures("native_convolutions"),
]


@cache
def composed(said):
    return compose(words("loss=ns", said))


@pytest.fixture(scope="module")
def composition():
    return composed("")


@pytest.fixture(scope="module")
def labelled():
    return composed(f"{LABELS} {LARGE}")


def configured(composition, values):
    """The checked configuration with some knobs set, without asking Hydra again."""
    everything = copy.deepcopy(composition.values) | values
    everything["terms"]["rate"]["target_bpp"] = everything["target_bpp"]
    for name in values:
        for key, needed in BESIDE.get(name, {}).items():
            group, option = key.split(".")
            everything[group][option] = needed
    return check(composition._replace(values=everything))


PAIRS = [frozenset(pair) for pair in itertools.combinations(ON, 2)]
REFUSED = [
    {"spectral_norm", "weight_clip"}, {"relativistic", "label_smoothing"}, {"relativistic", "history"},
    {"class_entropy", "history"},
]  # fmt: skip
TOGETHER = 12


def of(names):
    """The configuration of a game in which some knobs are on."""
    data = LABELS if "class_entropy" in names else ""
    crop = LARGE if names & set(LARGER) else ""
    return configured(composed(f"{data} {crop}"), {name: ON[name] for name in ON if name in names})


def games():
    """Sets of knobs without a pair that is refused; every other pair is in one of them."""
    left, found = [pair for pair in PAIRS if pair not in REFUSED], []
    while left:
        game = set(left[0])
        while len(game) < TOGETHER:
            larger = [game | {name} for name in ON if name not in game]
            larger = [some for some in larger if not any(pair <= some for pair in REFUSED)]
            game = max(larger, key=lambda some: sum(pair <= some for pair in left))
        found.append(game)
        left = [pair for pair in left if not pair <= game]
    return found


GAMES = games()


@pytest.mark.parametrize("name", ON)
def test_every_pair_composes_or_is_refused_with_a_reason(name):
    for pair in [pair for pair in PAIRS if name == min(pair, key=list(ON).index)]:
        if pair in REFUSED:
            with pytest.raises(InputError) as refusal:
                of(pair)
            reason = str(refusal.value)
            assert all(knob in reason for knob in pair)
            assert "\n" not in reason
        else:
            of(pair)


@pytest.mark.parametrize("names", GAMES, ids=lambda names: "-".join(sorted(names)))
def test_every_pair_that_composes_plays(names):
    Small(of(names)).play(1)


def test_the_games_have_every_pair_that_is_not_refused():
    played = {frozenset(pair) for names in GAMES for pair in itertools.combinations(names, 2)}
    assert played == {pair for pair in PAIRS if pair not in REFUSED}


def test_there_are_as_many_pairs_as_there_should_be():
    assert len(list(itertools.combinations(ON, 2))) == len(knobs()) * (len(knobs()) - 1) // 2


def test_a_penalty_with_batch_normalisation_is_refused(composition):
    for name in ("r1", "r2", "gp", "dragan", "approx_r1", "roth"):
        values = copy.deepcopy(composition.values) | {name: 1.0}
        values["discriminator"]["norm"] = "batch"
        with pytest.raises(InputError, match=rf"{name}.*batch"):
            check(composition._replace(values=values))


def test_all_knobs_at_once(labelled):
    Small(
        configured(
            labelled,
            {k: v for k, v in ON.items() if k not in ("weight_clip", "label_smoothing", "history")},
        )
    ).play(1)
