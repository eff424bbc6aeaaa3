"""A study of the user's own, with levels of the user's own: the planner hands what the user named to every arm."""

import sys

import pytest

from gcn.config.parse import parse
from gcn.errors import InputError
from gcn.schema.conf_folder import CONF
from gcn.schema.plugins import extension
from gcn.study import design, lab_arm
from gcn.study.play import words_of
from gcn.study.run import config_dir

STUDY = """
title: Edges
protocol:
  codec: [experiment=rd]
  arm: [freeze=encoder, rate=null]
  updates: 2
  log_every: 1
  val_every: 2
  pool: 8
  val_crops: 1
factors:
  loss: {own: loss=squared_hinge, ns: loss=ns}
  term: {none: "", edges: edges=1}
grids:
  all: {loss: [own, ns], term: [none, edges], seeds: 1}
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(CONF.parent / "examples" / "plugin"))
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "mine.yaml").write_text(STUDY)
    return extension(["gcn_example"], str(tmp_path))


def test_every_arm_and_the_codec_have_what_the_user_named(own, tmp_path):
    study = design.load("mine", own=own)
    assert len(study.arms) == 4
    for arm in study.arms:
        cfg = parse([*words_of(arm, False), "init_from=codec"], study.protocol.extra)
        assert cfg.plugins == ["gcn_example"]
        assert ("edges" in cfg.terms) == (arm.levels["term"] == "edges")
    assert "plugins=[gcn_example]" in study.protocol.codec
    assert config_dir(study.protocol) == [f"--config-dir={tmp_path}"]
    assert study.text == tmp_path / "study" / "mine"


def test_arms_of_the_lab_get_the_flags(own, tmp_path, monkeypatch):
    study = design.load("mine", own=own)
    seen = []
    monkeypatch.setattr(lab_arm.subprocess, "run", lambda command, **_: seen.append(command) or sys.exit(3))
    with pytest.raises(SystemExit):
        lab_arm.play(study.arms[0], tmp_path / "arm", config_dir(study.protocol))
    assert seen[0][-1] == f"--config-dir={tmp_path}"
    assert "plugins=[gcn_example]" in seen[0]


def test_a_twin_that_needs_a_margin_is_refused_where_none_is_searched(own, tmp_path):
    text = STUDY.replace("edges: edges=1", "edges: twin=rescaled")
    (tmp_path / "study" / "mine.yaml").write_text(text)
    with pytest.raises(
        InputError, match=r"twin=rescaled: repeats a game below its margin, .* choose twin=yoked"
    ):
        design.load("mine", own=own)


def test_without_the_names_there_is_no_such_study(own, tmp_path):
    with pytest.raises(InputError, match=r"^study=mine: unknown"):
        design.load("mine")
    (tmp_path / "study" / "modes.yaml").write_text(STUDY)
    with pytest.raises(InputError, match="there is a study modes already"):
        design.load("modes", own=own)


def test_the_arms_of_gcn_keep_their_names():
    """Their files and rows are found again by a digest of their words."""
    study = design.load("modes")
    assert not any("plugins" in word for arm in study.arms for word in arm.words)
