"""A new knob is one file."""

import pytest

from gcn.config.knobs import read, scan
from gcn.errors import InputError


def write(folder, name, text):
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def test_a_file_is_a_knob(tmp_path):
    text = "help: a\nchanges: discriminator loss\nkind: weight\ntarget: a.B\noptions:\n  decay: 0.99  #: in [0, 1)\n"
    write(tmp_path / "knob", "lecam", text)
    knob = scan(tmp_path / "knob")["lecam"]
    assert knob.node == {"_target_": "a.B", "decay": 0.99}
    assert [knob.present(value) for value in (None, 0.0, 1.0)] == [False, True, True]
    assert not knob.declared["decay"].accepts(1)


def test_a_setting_states_its_own_absence(tmp_path):
    text = "help: a\nchanges: discriminator weights\nkind: setting\ntype: bool\nabsent: false\n"
    knob = read(write(tmp_path / "knob", "a", text))
    assert (knob.start, knob.present(True), knob.present(False)) == (False, True, False)
    with pytest.raises(InputError):
        knob.check(0)


@pytest.mark.parametrize("line", ["chioces: [a]", "off: 1", "kind: wait", "changes: nothing"])
def test_mistakes_in_a_knobs_file_are_named(tmp_path, line):
    key = line.partition(":")[0]
    lines = [
        kept
        for kept in ("help: a", "changes: discriminator loss", "kind: weight")
        if not kept.startswith(key)
    ]
    with pytest.raises(InputError, match=r"a\.yaml"):
        read(write(tmp_path / "knob", "a", "\n".join([*lines, line])))


def test_a_group_may_not_share_a_knobs_name(tmp_path):
    write(tmp_path / "knob", "mse", "help: a\nchanges: generator loss\nkind: weight\n")
    (tmp_path / "mse").mkdir()
    with pytest.raises(InputError, match="rename"):
        scan(tmp_path / "knob")
