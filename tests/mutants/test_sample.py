"""The sample of mutants is the same for everyone, and the score counts what it says."""

import sys
from collections import Counter

import pytest

pytest.importorskip("cosmic_ray", reason="part of the extra `dev`")
import sample

SCHEDULE = sample.Group("schedule", ("gcn/training/schedule.py",), ())


@pytest.fixture(scope="module")
def places():
    return sample.mutants(SCHEDULE)


def test_wilsons_interval():
    assert sample.wilson(90, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    assert sample.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert sample.wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert sample.wilson(0, 0) == (0.0, 1.0)


def test_a_sample_is_drawn_by_its_seed():
    first, again, other = (sample.sample([SCHEDULE], 12, 1, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == 12
    assert len({(m.line, m.column, m.end) for m in first}) == 12, "one mutant of a place"
    assert len(sample.sample([SCHEDULE], 1, 10_000, 1)) == len(sample.mutants(SCHEDULE))


def test_a_mutant_is_one_change_of_one_line(places):
    text = (sample.ROOT / "gcn/training/schedule.py").read_text(encoding="utf-8").splitlines()
    for found in list(places.values())[::5]:
        for mutant in found[:2]:
            changed = mutant.source().splitlines()
            compile(mutant.source(), mutant.file, "exec")
            assert sum(a != b for a, b in zip(text, changed, strict=True)) == 1, mutant


def test_annotations_and_imports_of_the_type_checker_are_left_alone(tmp_path, monkeypatch):
    code = tmp_path / "code.py"
    code.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import os as system\n    X = 1 + 2\n"
        "def f(a: int | None, b=1) -> int | str:\n    c: int | None = b\n    return c\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(sample, "ROOT", tmp_path)
    found = [m for ms in sample.mutants(sample.Group("g", ("code.py",), ())).values() for m in ms]
    assert {m.change() for m in found} == {
        f"def f(a: int | None, b=1) -> int | str:  =>  def f(a: int | None, b={value}) -> int | str:"
        for value in (" 2", " 0")
    }


def test_tests_of_a_statement_are_those_that_execute_it(tmp_path, monkeypatch):
    (tmp_path / "code.py").write_text(
        "X = 1\ndef f(a):\n    return (\n        a + 1\n    )\n", encoding="utf-8"
    )
    monkeypatch.setattr(sample, "ROOT", tmp_path)
    clean = sample.Clean({}, {"code.py": {"1": [""], "2": [""], "4": ["t.py::one"]}})
    inside = sample.Mutant("g", "code.py", "NumberReplacer", 2, 4, 12, (4, 13))
    assert clean.tests_of(inside) == {"t.py::one"}
    assert clean.tests_of(inside._replace(line=1)) is None, "an import executes it: every test may see it"
    assert sample.Clean({}, {}).tests_of(inside) is None


@pytest.mark.slow
def test_a_change_is_noticed_or_survives(tmp_path, monkeypatch):
    """Two places of a tiny project, one of them tested."""
    (tmp_path / "code.py").write_text("def f(a):\n    return a + 1\n\ndef g(a):\n    return a + 2\n", "utf-8")
    (tmp_path / "test_code.py").write_text(
        "from code import f, g\n\ndef test_f():\n    assert f(3) == 4\n\ndef test_g():\n    assert g(0) > 0\n",
        encoding="utf-8",
    )
    for name in ("code", "test_code"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sample, "ROOT", tmp_path)
    group = sample.Group("g", ("code.py",), ("test_code.py",))
    result, clean = sample.measure(group, 60)
    assert not result.killed
    assert set(clean.seconds) == {"test_code.py::test_f", "test_code.py::test_g"}
    chosen = [m for found in sample.mutants(group).values() for m in found if m.operator == "NumberReplacer"]
    ended = {m.change(): sample.run(group, 60, m, clean, Counter()) for m in chosen}
    assert {change: result.killed for change, result in ended.items()} == {
        "return a + 1  =>  return a + 2": True, "return a + 1  =>  return a + 0": True,
        "return a + 2  =>  return a + 3": False, "return a + 2  =>  return a + 1": False,
    }  # fmt: skip
    killers = {result.by for result in ended.values()}
    assert killers == {"test_code.py::test_f", ""}
