"""The published study: what its pages say, and that the numbers quoted elsewhere are those of the stored table."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from gcn.study import design, report, table
from gcn.study.reports import answer, contrasts, training_report
from gcn.study.reports.statistics import matching

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "docs" / "study"
FOLDER = STUDY / "first"
STUDIES = ("distortion_vs_tricks", "bsds500", "joint")
PAGES = [FOLDER / name / "README.md" for name in STUDIES]
# Claims that the runs do not support, and words that hide what was varied.
WITHDRAWN = (
    "and not the truth", "does more than damp", "does not optimise", "add nothing", "hot step", "comfortable", "spring",
    "step size, ", "resolved", "standard GAN: latents", "3613", "holds in sign", "played", "173 collapsed",
)  # fmt: skip


@pytest.fixture(scope="module")
def study():
    return design.load("distortion_vs_tricks")


@pytest.fixture(scope="module")
def ask(study):
    return contrasts.load(study.text, study.labels)


@pytest.fixture(scope="module")
def rows(study):
    return answer.counted(table.read(FOLDER / "distortion_vs_tricks"), study.withdrawn)


@pytest.fixture(scope="module")
def points():
    return table.read_curves(FOLDER / "distortion_vs_tricks")


def text(file):
    """What a reader sees: no inlined pictures, one blank between words."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", file.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "page", [*PAGES, FOLDER / "README.md", STUDY / "README.md", ROOT / "README.md"], ids=str
)
def test_no_page_makes_a_withdrawn_claim(page):
    said = text(page)
    if page == ROOT / "README.md":
        said = said[said.index("## The studies") : said.index("## The theory")]
    said = said.replace("heat=comfortable", "")  # the level of the tables, where its meaning is explained
    assert [claim for claim in WITHDRAWN if claim in said] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_page_says_what_its_study_may_not_say(page):
    said = text(page)
    assert "What this study may not say" in said
    name = "joint" if page.parent.name == "joint" else "distortion_vs_tricks"
    for sentence in design.load(name).cannot_say:
        assert sentence.split(".")[0] in said.replace("&quot;", '"')


def test_the_first_figure_is_realism_against_the_adversary_s_share():
    said = (FOLDER / "distortion_vs_tricks" / "README.md").read_text(encoding="utf-8")
    assert re.search(r"\]\((\w+\.png)\)", said)[1] == "share.png"


@pytest.mark.slow
@pytest.mark.usefixtures("coarse_pngs")
@pytest.mark.parametrize("part", ["a failed run", "no compared setting"])
def test_any_part_of_a_table_has_a_report(study, rows, points, tmp_path, part):
    """A study that is reported while it runs, or in part."""
    chosen = {
        "no compared setting": [row for row in rows if row["heat"] in ("cool", "warm")][:8],
        "a failed run": [
            {**r, "verdict": "failed", "swd": None, "psnr_loss": None, "share": None} for r in rows[:1]
        ],
    }[part]
    table._write({r["name"]: r for r in chosen}, {r["name"]: points[r["name"]] for r in chosen}, tmp_path)
    files = report.write(study, tmp_path, tmp_path / "report")
    assert "What this study may not say" in text(files[1])


def test_the_stored_rows_follow_from_the_stored_curves(rows, points):
    """The responses of every tenth run, computed again."""
    for stored in rows[::10]:
        result = table._result(stored, points[stored["name"]])
        again = table.row(result)
        for name in ("logit_gap", "swd", "share", "gradient_ratio", "bpp"):
            assert again[name] == pytest.approx(stored[name], rel=1e-5, nan_ok=True), (stored["name"], name)


@pytest.mark.parametrize("name", STUDIES)
def test_the_significance_that_is_stated_is_that_of_the_largest_table(name, ask):
    found = training_report._power(contrasts.questions(answer.counted(table.read(FOLDER / name), {}), ask))
    least = stats.t.isf(0.025 / found["contrasts"], found["most_seeds"] - 1) / math.sqrt(found["most_seeds"])
    assert (
        f"A first place among {found['contrasts']} contrasts with {found['most_seeds']} seeds takes an effect of"
        f" {least:.1f} standard deviations"
    ) in text(FOLDER / name / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_report_begins_with_why_it_is_superseded(page):
    said = page.read_text(encoding="utf-8")
    assert re.findall("^## (.*)", said, re.MULTILINE)[0] == "Superseded"


def test_results_of_the_first_study_are_repeated_nowhere(rows, points, ask):
    """Numbers of its table stand in its own pages alone."""
    first, second = "comfortable", "hot"
    lost = [
        answer.median(matching(rows, {**ask.plain, "mse": "0", "heat": heat}), "psnr_loss")
        for heat in (first, second)
    ]
    assert np.isfinite(lost).all()
    anchored = [row for row in rows if row["heat"] in ask.settings and row["loss"] in ("ns", "hinge", "wgan")]

    def stable(of, **levels):
        return answer.stable(of, ask, levels)

    correlation = answer.correlations(rows, points, ask)[0]
    results = [
        f"{len(rows)} runs",
        f"{lost[0]:.1f} dB",
        f"{lost[1]:.1f} dB",
        f"{stable(rows, mse='1', heat=first)} runs",
        f"{stable(rows, mse='1', heat=second)} runs",
        f"{stable(anchored, control='anchor')} runs",
        f"ρ = {answer.number(correlation.rho)}",
    ]
    others = [ROOT / "README.md", STUDY / "README.md", *(ROOT / "docs").glob("*.md")]
    found = {(page.name, result) for page in others for result in results if result in text(page)}
    assert found == set()
    assert not any(
        "first/" in picture for page in others for picture in re.findall(r"!\[[^]]*\]\(([^)]*)", text(page))
    )
