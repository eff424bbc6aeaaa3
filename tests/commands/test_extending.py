"""docs/extending.md shows the code as it is, and its commands run."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from small import Small

from gcn.commands.lab import ensemble
from gcn.config.build import build
from gcn.config.offered import LAB
from gcn.config.parse import parse
from gcn.lab.examine import examine

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
EXCERPTS = re.findall(r"^`([\w/.]+)`\n\n```\w+\n(.*?)\n```$", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = [shlex.split(line) for line in re.findall(r"^    python (.*)$", PAGE, re.MULTILINE)]


def test_excerpts_stand_in_their_files():
    assert len(EXCERPTS) == 9
    for file, text in EXCERPTS:
        assert text in (ROOT / file).read_text(encoding="utf-8"), file


def of(script):
    """The words of the page's commands with gcn's own classes; tests/examples has those of a plugin."""
    own = [words for file, *words in COMMANDS if file == f"scripts/{script}.py"]
    return [words for words in own if not any(word.startswith("plugins=") for word in words)]


@pytest.mark.parametrize("words", of("train"), ids=" ".join)
def test_the_codec_trains_as_shown(words, monkeypatch):
    monkeypatch.setattr(
        torch.backends.mkldnn, "enabled", False
    )  # it takes most of the time of small networks
    small = Small(
        " ".join(words).replace("discriminator.scales=2", "discriminator.scales=2 discriminator.depth=1")
    )
    before = small.weights()
    after = small.play(3).weights()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert {"generator", "discriminator"} <= moved


@pytest.mark.parametrize("words", of("lab"), ids=" ".join)
def test_the_lab_plays_as_shown(words, monkeypatch):
    monkeypatch.setattr("gcn.lab.examine.UPDATES", 10)  # of exponents, which are compared with nothing here
    cfg = parse(words, root=LAB)
    made = ensemble(cfg, build(cfg, "game"))
    record = examine(made, 60, cfg.start, continuous=False).record()
    (largest, *_) = (abs(complex(*value)) for value in record["discrete_eigenvalues"])
    assert 0.5 < largest < 1
    assert record["discrete_period"] == made.period == (5 if "dynamics=lookahead" in words else 1)
