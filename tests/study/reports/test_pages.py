"""Sections of a report as Markdown and as a page."""

from PIL import Image

from gcn.study.reports.pages import Block, page


def test_marks_of_markdown_are_elements_and_other_stars_stay(tmp_path):
    said = "h* of `a*b*c` is *the margin*, <b>, 2*3*4"
    text = page("Title", "Question?", [Block("In short", [said])], tmp_path / "index.html").read_text()
    assert "<li>h* of <code>a*b*c</code> is <em>the margin</em>, &lt;b&gt;, 2*3*4</li>" in text


def test_a_figure_has_the_size_on_paper_that_it_was_drawn_in(tmp_path):
    for name, dpi in (("fine", 192), ("plain", 0)):
        Image.new("RGB", (960, 480)).save(tmp_path / f"{name}.png", **({"dpi": (dpi, dpi)} if dpi else {}))
    figures = [(tmp_path / "fine.png", "fine"), (tmp_path / "plain.png", "plain")]
    text = page("T", "Q", [Block("B", figures=figures)], tmp_path / "index.html").read_text()
    assert 'width="480" height="240"' in text
    assert 'width="960" height="480"' in text
