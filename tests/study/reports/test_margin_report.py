"""The report of a margin study, on tables whose margins are known."""

import math

import pytest
from PIL import Image

from gcn.errors import InputError
from gcn.study import design, report, table
from gcn.study.margin import margin_exponent
from gcn.study.reports import exponent_parts, margin_checks, margin_figures, margin_report
from gcn.study.reports.margin_cells import CELL, alone, cells, name_of, optimizer, rate, room, shown

LOWEST = 2.0**-20
LEVELS = {
    "stage": "0", "loss": "ns", "mse": "1", "trick": "none", "control": "none", "beta1": "0", "epsilon": "1e-8",
    "ratio": "1", "twin": "none", "search": "grid", "length": "N",
}  # fmt: skip


def runs(octaves, seed=0, method="grid", top=8, **levels):
    """Runs at 2^-20, 2^-19, …: those up to 2^octaves hold."""
    rows = []
    for k in range(top):
        h = LOWEST * 2**k
        holds = float(math.log2(h) <= octaves)
        rows.append(
            {
                "name": f"{len(rows)}{seed}{method}{octaves}{levels}", **LEVELS, **levels, "seed": seed, "axis": "lr",
                "method": method, "updates": 800 if levels.get("length") == "4N" else 200,
                "run": f"{seed}{h}{levels}", "commit": "abc",
                "verdict": "holds" if holds else "fails", "seconds": 10.0 if holds else 5.0, "h": h, "adv": 1.0,
                "holds": holds, "reach": 0.0, "b0": 0.8, "limit": 0.9,
                "judge_noise": 0.07, "judge_failed": 1.1, "bits_1": 0.8 if holds else 0.9,
                "bits_2": None, "bits_3": None,
            }
        )  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def study():
    return design.load("margin", ["data.root=x"])


@pytest.fixture(autouse=True)
def drawing(request):
    """Nothing is drawn where a test looks at no figure but its size."""
    drawn = request.node.name in ("test_margins_stand_beside_their_twins", "test_the_study_writes_it")
    request.getfixturevalue("coarse_pngs" if drawn else "empty_figures")


def said(blocks, title):
    (block,) = [block for block in blocks if block.title == title]
    return block


def test_each_judge_has_its_limit_in_octaves(study, tmp_path):
    """Bits .8 and .9 are log-losses of .2 and .1: an octave."""
    blind = [{**row, "judge_failed": math.nan} for row in runs(-17, seed=1, length="4N")]
    blocks = margin_report.blocks(study, [*runs(-17), *blind], tmp_path, tmp_path)
    assert said(blocks, "What do the judges see?").table[1] == [
        ["0", "N", "0.800", "0.900", "1.00", "0.070", "1.10"],
        ["1", "4N", "0.800", "0.900", "1.00", "0.070", "not finite"],
    ]


def test_a_seed_with_two_codecs_is_seen_in_two_settings_and_refused_in_one(study, tmp_path):
    """Another codec has another reference; a game and its twin cannot be compared then."""
    other = [{**row, "b0": 0.85} for row in runs(-16, epsilon="1e-4")]
    blocks = margin_report.blocks(study, [*runs(-17), *other], tmp_path, tmp_path)
    assert [row[2] for row in said(blocks, "What do the judges see?").table[1]] == ["0.800", "0.850"]
    twin = [{**row, "b0": 0.85} for row in runs(-14, twin="rescaled")]
    with pytest.raises(InputError, match=r"seed 0: references of 0\.8000 and 0\.8500 bits, hence two codecs"):
        margin_report.blocks(study, [*runs(-17), *twin], tmp_path, tmp_path)


def test_margins_stand_beside_their_twins(study, tmp_path):
    rows = [
        *runs(-17), *runs(-14, twin="rescaled"), *runs(-16, twin="recorded"), *runs(-13, twin="distortion_alone"),
        *runs(-19, mse="0"),
        *runs(-19, mse="0", trick="r1=10"), *runs(-15, trick="r1=10"),
    ]  # fmt: skip
    blocks = margin_report.blocks(study, rows, tmp_path, tmp_path)
    head, body = said(blocks, "Margins").table
    assert head == ["game", "mse=0", "mse=1"]
    assert body == [
        ["ns, beta1=0", "1.9e-06", "7.6e-06 / 6.1e-05 (room +3.0)"],
        ["ns, r1=10, beta1=0", "1.9e-06", "3.1e-05"],
    ]
    short = " ".join(said(blocks, "In short").sentences)
    assert "1 of 4 games have room for a gain (the others: 3 twin not measured yet)." in short
    assert "The distortion alone holds up to 1.2e-04 with β₁ = 0." in short
    assert "that of the twin `rescaled`: +3.0 at mse=1 (1 of 1 by 1 or more)." in short
    assert "that of the twin `recorded`: +1.0 at mse=1" in short
    assert "`yoked`" not in short
    assert said(blocks, "What do the twins bear?").table == (
        ["game", "h*", "rescaled", "recorded"],
        [["ns, mse=1, beta1=0", "7.6e-06", "6.1e-05 (+3.0)", "1.5e-05 (+1.0)"]],
    )
    assert "r1=10 changes h* by +0.0 octaves at mse=0 (0 of 1 games gain 0.5 or more); +2.0" in short
    assert (tmp_path / "bits.png").is_file()
    assert (tmp_path / "margins.png").is_file()


def test_weights_of_the_adversary_have_a_table(study, tmp_path):
    weights = [
        {**row, "axis": "adv", "adv": row["h"] * 2**20}
        for own in (
            runs(-17),
            runs(-16, seed=1),
            runs(-15, twin="rescaled"),
            runs(-15, seed=1, twin="rescaled"),
        )
        for row in own
    ]
    blocks = margin_report.blocks(study, [*runs(-17), *weights], tmp_path, tmp_path)
    assert said(blocks, "With how large a weight of the adversary?").table == (
        ["game", "a*", "twin's", "room"],
        [["ns, mse=1, beta1=0", "8, 16", "32, 32", "+1.5"]],
    )


def test_the_distortion_alone_is_compared_with_games_of_its_optimizer():
    rows = [*runs(-17), *runs(-14, epsilon="sgd"), *runs(-16, twin="distortion_alone")]
    distortion = alone(rows)
    found = {key[CELL.index("epsilon")]: distortion.get(optimizer(key)) for key in cells(rows)}
    assert found["1e-8"] is not None
    assert found["sgd"] is None


@pytest.mark.parametrize(
    ("game", "twin", "alone", "word"),
    [
        (-17, -17, None, "ceiling (twin)"),
        (-17, -16, None, "room"),
        (-17, -14, -17, "ceiling (distortion alone)"),
        (-17, None, -16, "twin not measured yet"),
        (-17, None, -17, "ceiling (distortion alone)"),
        (-17, -19, -15, "ceiling (twin)"),  # a D that reacts holds the decoder better than one that does not
        (-30, -14, -14, "end of the grid"),
        (-13, -13, -13, "end of the grid"),
        (-17, None, None, "not measured yet"),
    ],
)
def test_a_game_has_room_an_octave_below_what_needs_no_game(game, twin, alone, word):
    rows = runs(game)
    rows += [] if twin is None else runs(twin, twin="rescaled")
    rows += [] if alone is None else runs(alone, twin="distortion_alone")
    ((key, found),) = cells(rows).items()
    beside = cells(rows, "distortion_alone").values()
    assert room(found, cells(rows, "rescaled").get(key), next(iter(beside), None)).word == word


def test_margins_are_compared_within_seeds():
    """A twin that was measured with one seed of three stands beside that seed's game."""
    rows = [row for seed, octaves in enumerate((-19, -17, -15)) for row in runs(octaves, seed=seed)]
    (game,) = cells(rows).values()
    (twin,) = cells([*rows, *runs(-16, seed=0, twin="rescaled")], "rescaled").values()
    assert game.less(twin) == 3
    assert shown(game) == "1.9e-06, 7.6e-06, 3.1e-05"
    beyond = cells([*rows, *runs(-13, seed=3)])
    (game,) = beyond.values()
    assert shown(game) == "≥ 1.5e-05"  # of four seeds the mean
    assert room(game, twin, None).word == "room"  # the seed whose game is at the grid's end has no twin


def test_what_holds_again_above_its_margin_is_named():
    rows = runs(-17)
    rows[-1] |= {"holds": 1.0, "verdict": "holds"}
    (text,) = margin_checks.monotone(cells([*rows, *runs(-17, mse="0")]))
    assert text.startswith("1 of 2 whole grids, in quarter octaves,")
    assert text.endswith("A higher value holds again in: ns, mse=1, beta1=0.")


def test_four_times_the_updates_tell_a_threshold_from_a_drift():
    rows = [*runs(-15), *runs(-15, length="4N"), *runs(-15, mse="0"), *runs(-17, mse="0", length="4N")]
    sentences, (_, body) = margin_checks.longer(cells(rows), cells(rows, length="4N"))
    assert {row[0]: row[-2:] for row in body} == {
        "ns, mse=1, beta1=0": ["+0.0", "threshold"],
        "ns, mse=0, beta1=0": ["-2.0", "drift"],
    }
    assert sentences[1].endswith("threshold's 0 in 1 of 2 games.")


def test_spread_over_seeds_is_in_octaves():
    rows = [row for seed, octaves in enumerate((-15, -16, -17)) for row in runs(octaves, seed=seed)]
    (text,) = margin_checks.spread(cells(rows))
    assert "1.00 octaves" in text


def test_a_ramp_and_a_bisection_are_compared_with_whole_grids():
    """Ramps one octave above the grids, one of them three; and a grid in which a bisection ends at another value."""
    rows = [row for k in range(10) for row in runs(-20 + k % 7, mse=str(k))]
    for k in range(10):
        (last,) = runs(-1, mse=str(k), method="ramp", top=1)
        rows.append({**last, "h": 2.0 ** (-19 + k % 7 + 2 * (k == 4))})
    said_of = margin_checks.methods(rows)
    assert said_of[0].startswith(
        "A bisection among the runs of a whole grid ends at the grid's margin in 10 of 10 grids"
    )
    assert "lie +1.0 octaves" in said_of[1]
    assert "beyond that is +2.0 octaves (ns, mse=4, beta1=0)" in said_of[1]
    hole = runs(-17)
    for row in hole:
        row["holds"] = float(row["h"] in (2.0**-20, 2.0**-17, 2.0**-16))
    assert (
        "in 0 of 1 grids, after 3 runs in place of 8. At another value: ns, mse=1, beta1=0."
        in margin_checks.methods(hole)[0]
    )


def test_the_cost_of_a_search_is_the_sum_of_its_runs():
    rows = [*runs(-17), *runs(-17, seed=1), *runs(-15, twin="rescaled", method="bisection", top=3)]
    assert margin_checks.cost(rows, [{"seconds": 40.0}])[1] == [
        ["grid", "none", "N", "2", "8.0", "10 s", "5 s", "60 s"],
        ["bisection", "rescaled", "N", "1", "3.0", "10 s", "", "30 s"],
        ["exponent", "none", "N", "1", "1.0", "", "", "40 s"],
    ]


# Exponents


def exponents(**of):
    """Rows of exponents: mse and beta1 to the numbers of ``exponent_parts.NAMES``."""
    return [
        {
            **LEVELS,
            "mse": mse,
            "beta1": beta1,
            "seed": 0,
            **dict(zip(exponent_parts.NAMES, numbers, strict=True)),
        }
        for (mse, beta1), numbers in of["of"].items()
    ]


def test_what_an_ingredient_changes_is_its_mean_over_pairs():
    rows = exponents(
        of={
            ("0", "0"): (0.10, 0.01, 0.09, 0.01), ("1", "0"): (0.02, 0.01, 0.00, 0.01),
            ("0", "0.9"): (0.08, 0.08, 0.01, 0.00), ("1", "0.9"): (0.04, 0.03, None, math.nan),
        }
    )  # fmt: skip
    games = cells([*runs(-19, mse="0"), *runs(-16)])
    _, changes, _ = exponent_parts.blocks(exponent_parts.means(rows), games, [], "here")
    assert changes.table[1] == [
        ["mse 0 → 1", "2", "-0.060 [-0.080, -0.040]", "-0.025 [-0.050, +0.000]", "-0.090 [-0.090, -0.090]",
         "+0.000 [+0.000, +0.000]", "+3.0 [+3.0, +3.0]"],
        ["beta1 0 → 0.9", "2", "+0.000 [-0.020, +0.020]", "+0.045 [+0.020, +0.070]", "-0.080 [-0.080, -0.080]",
         "-0.010 [-0.010, -0.010]", ""],
    ]  # fmt: skip
    assert "mse=0: D alone has a larger exponent than G alone in 1 of 2 games." in changes.sentences
    assert "mse=1: D alone has a larger exponent than G alone in 0 of 1 games." in changes.sentences


def test_exponents_are_ranked_against_margins():
    """Eight games of one weight, of which a larger exponent has the smaller margin."""
    levels = [
        (loss, epsilon, ratio) for loss in ("ns", "wgan") for epsilon in ("a", "b") for ratio in ("1", "2")
    ]
    names = [dict(zip(("loss", "epsilon", "ratio"), level, strict=True)) for level in levels]
    games = cells([row for k, name in enumerate(names) for row in runs(-20 + k % 7, **name)])
    falling = {key: {"exponent": -found.mean} for key, found in games.items()}
    over_all, within = exponent_parts.relation(falling, games, "at low rates")
    assert "predicts h*" in over_all
    assert "-1.00 [-1.00, -1.00] at mse=1" in within
    constant = {key: {"exponent": 0.0} for key in falling}
    assert "does not predict h*" in exponent_parts.relation(constant, games, "here")[0]
    (few,) = exponent_parts.relation(dict(list(falling.items())[:3]), games, "here")
    assert few == "Both Λ and h* are known of 3 games; a rank correlation needs 8."
    assert set(games) <= {key for key in falling if len(key) == len(CELL)}


# Figures and the page


def test_figures_fit_a_page_of_1280_pixels(tmp_path):
    """Seven weights, nine tricks, three seeds, whole grids and bisections."""
    weights = ("0", "0.01", "0.03", "0.1", "0.3", "1", "3")
    rows = [row for mse in weights for row in runs(-17, mse=mse, top=9)]
    rows += [
        row for k in range(9) for row in runs(-17, trick=f"r1={k}", method="bisection", seed=1 + k % 2, top=4)
    ]
    file = margin_figures.bits(rows, tmp_path / "bits")
    assert Image.open(file).width <= 1280
    games = cells(rows)
    assert Image.open(margin_figures.beside(games, {}, {}, tmp_path / "margins")).width <= 1280
    assert (
        Image.open(margin_figures.against(dict.fromkeys(games, 0.1), games, "at 1e-4", tmp_path / "e")).width
        <= 1280
    )


def test_an_arm_that_failed_is_named_and_stops_nothing(study, tmp_path):
    lost = dict.fromkeys(runs(-17)[0]) | LEVELS | {"name": "lost", "seed": 1, "verdict": "failed"}
    lost |= {"verdict_reason": "killed by signal 9", "seconds": math.nan, "holds": math.nan}
    blocks = margin_report.blocks(study, [*runs(-17), lost], tmp_path, tmp_path)
    assert "Not trained: lost (killed by signal 9)." in said(blocks, "What was run").sentences
    assert [row[3] for row in said(blocks, "Cost").table[1]] == ["1"]
    assert said(blocks, "What this study may not say").sentences == study.cannot_say


def test_seeds_that_were_searched_in_different_ways_are_all_counted():
    rows = [*runs(-17), *runs(-15, seed=2, method="bisection"), *runs(-13, method="bisection")]
    (found,) = cells(rows).values()
    assert found.octaves == {0: -17, 2: -15}


def test_a_bisection_is_finer_than_every_second_value():
    """And whether holding is monotone is still read from the whole grid."""
    rows = [*runs(-17, method="halves"), *runs(-15, method="bisection")]
    (found,) = cells(rows).values()
    assert (found.mean, found.methods) == (-15, {0: "bisection"})
    (text,) = margin_checks.monotone(cells(rows, methods=margin_checks.WHOLE))
    assert text.startswith("1 of 1 whole grids, in half octaves,")


def test_a_grid_is_preferred_to_a_bisection_and_its_own_margin_below_the_grid_is_said():
    rows = [*runs(-17), *runs(-15, method="bisection"), *runs(-30, mse="0")]
    found = cells(rows)
    by_name = {name_of(key): one for key, one in found.items()}
    assert by_name["ns, mse=1, beta1=0"].mean == -17
    more = cells([*rows, *runs(-13, seed=2, method="bisection"), *runs(-15, seed=3, method="near")])
    assert next(iter(more.values())).octaves == {0: -17, 2: -13, 3: -15}
    assert by_name["ns, mse=0, beta1=0"].points == [(-20, "below")]
    assert rate(by_name["ns, mse=0, beta1=0"].mean) == "below the grid"


def test_learning_rates_of_plain_sgd_are_not_mixed_with_those_of_adam(study, tmp_path):
    rows = [*runs(-17), *runs(-16, loss="wgan"), *runs(-14, epsilon="sgd")]
    sentences = said(margin_report.blocks(study, rows, tmp_path, tmp_path), "In short").sentences
    assert f"mse=1: h* is from {rate(-17)} to {rate(-16)} in 2 games, over their seeds." in sentences
    assert f"mse=1, plain SGD in place of Adam: h* is {rate(-14)} in 1 game, over their seeds." in sentences


def test_what_is_not_measured_names_its_command(study, tmp_path):
    blocks = margin_report.blocks(study, runs(-17), tmp_path, tmp_path)
    grids = [
        word
        for block in blocks
        for text in block.sentences
        for word in text.split()
        if word.startswith("grids=")
    ]
    assert {word.strip("`;").removeprefix("grids=") for word in grids} >= {
        "stage0_held_twins",
        "stage0_alone",
        "stage0_exponents",
    }
    for word in grids:
        design.load("margin", ["data.root=x"], design.Choice([word.strip("`;").removeprefix("grids=")]))


def test_the_study_writes_it(study, tmp_path):
    place = tmp_path / "table"
    rows = [{**row, "curve": []} for row in (*runs(-17), *runs(-15, twin="rescaled"))]
    import pyarrow
    from pyarrow import parquet

    place.mkdir()
    parquet.write_table(
        pyarrow.Table.from_pylist([{k: v for k, v in row.items() if k != "curve"} for row in rows]),
        place / "runs.parquet",
    )
    margin_exponent.write(
        [
            {
                **LEVELS,
                "name": f"{k}",
                "mse": mse,
                "seed": 0,
                "h": 1e-4,
                "seconds": 1.0,
                **dict.fromkeys(exponent_parts.NAMES, 0.1 * k),
            }
            for k, mse in enumerate(("0", "1"))
        ],
        place,
    )
    files = report.write(study, place, tmp_path / "report")
    assert {file.name for file in files} >= {"README.md", "index.html", "bits.png"}
    page = (tmp_path / "report/README.md").read_text(encoding="utf-8")
    assert "room +2.0" in page
    assert "| ns, mse=1, beta1=0 | 0.100 | 0.100 | 0.100 | 0.100 |" in page
    assert table.read(place)
