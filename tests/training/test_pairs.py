"""Every pair of knobs composes, or is refused with a reason that names both."""

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


@pytest.mark.parametrize("name", ON)
def test_every_pair_composes_or_is_refused_with_a_reason(name):
    refused = []
    for other in list(ON)[list(ON).index(name) + 1 :]:
        try:
            data = LABELS if "class_entropy" in (name, other) else ""
            crop = LARGE if {name, other} & set(LARGER) else ""
            cfg = configured(composed(f"{data} {crop}"), {name: ON[name], other: ON[other]})
        except InputError as refusal:
            refused.append((other, str(refusal)))
        else:
            Small(cfg).play(1)
    for other, reason in refused:
        assert {name, other} in (
            {"spectral_norm", "weight_clip"}, {"relativistic", "label_smoothing"}, {"relativistic", "history"},
            {"class_entropy", "history"},
        )  # fmt: skip
        assert name in reason
        assert other in reason
        assert "\n" not in reason


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
    ).play(2)
