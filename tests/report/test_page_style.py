"""Contrast of the pages' colours, computed from their style sheet in both colour schemes."""

import re
from pathlib import Path

import pytest

import gcn.report

CSS = (Path(gcn.report.__file__).parent / "templates" / "page.css").read_text()
NEEDED = 4.5  # WCAG 2.2, level AA, for text of any size


def declared(text):
    return dict(re.findall(r"(--[a-z]\w*):\s*(#[0-9a-f]+)", text))


LIGHT = declared(CSS[: CSS.index("@media")])
DARK = LIGHT | declared(
    re.search(r"@media screen and \(prefers-color-scheme: dark\) \{(.*?)\n\}", CSS, re.DOTALL)[1]
)
SCHEMES = {"light": LIGHT, "dark": DARK}
RULES = re.findall(r"([^{}]+)\{([^{}]*)\}", CSS)


def luminance(colour):
    digits = colour.lstrip("#")
    digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def texts():
    """Colour and background of each rule that sets a colour of text; without a background both of the page."""
    for selector, body in RULES:
        colour = re.search(r"(?<![\w-])color:\s*(var\(--\w+\)|#\w+)", body)
        if colour:
            back = re.search(r"(?<![\w-])background:\s*(var\(--\w+\)|#\w+)", body)
            for behind in [back[1]] if back else ["var(--back)", "var(--soft)"]:
                yield selector.strip(), colour[1], behind


def value(colour, scheme):
    return scheme[colour[4:-1]] if colour.startswith("var") else colour


def test_black_on_white_has_the_contrast_of_the_definition():
    assert contrast("#000", "#fff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(
        4.48, abs=0.005
    )  # the well-known grey that just fails


@pytest.mark.parametrize("scheme", SCHEMES)
def test_texts_have_enough_contrast(scheme):
    found = {pair: contrast(*(value(one, SCHEMES[scheme]) for one in pair[1:])) for pair in texts()}
    assert len(found) > 10
    assert {pair: ratio for pair, ratio in found.items() if ratio < NEEDED} == {}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_curves_have_enough_contrast(scheme):
    colours = {name: value for name, value in SCHEMES[scheme].items() if re.fullmatch(r"--c\d", name)}
    assert len(colours) == 8
    assert {n: c for n, c in colours.items() if contrast(c, SCHEMES[scheme]["--back"]) < NEEDED} == {}


def test_paper_is_white_whatever_the_screen_prefers():
    """Printing with a dark screen would waste ink and be hard to read: the dark scheme is for screens alone."""
    assert [found for found in re.findall(r"@media ([^{]*)", CSS) if "dark" in found] == [
        "screen and (prefers-color-scheme: dark) "
    ]
