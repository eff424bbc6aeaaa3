"""The grammar of `#:` declarations, and what it lets pass."""

import math

import pytest

from gcn.errors import InputError
from gcn.schema.fields import Field, declarations, nearest


@pytest.mark.parametrize(
    ("declared", "default", "good", "bad"),
    [
        ("int >= 1", None, [1, 10**9, 1e4, None], [0, 1.5, True, "1", math.nan, [1], {"a": 1}]),
        ("> 0 ; help", 1.0, [1, 0.5], [0, -1, math.inf, math.nan, "1e-4", None, False]),
        ("float in [0, 1)", 0.5, [0, 0.999], [1, -1e-9]),
        ("float in (0, 1] or null", 0.5, [1, None], [0, 1.1]),
        ("list of 2 float in [0, 1)", [0.9, 0.999], [[0, 0.5]], [[0.5], [0.5, 1], [0.5, True], 0.5, None]),
        ("list of str", [], [[], ["a"], ["a", 7]], [["a", True], "a"]),
        ("one of 32, bf16 ; why", 32, [32, "bf16"], [16, "32", "fp16", None]),
        ('one of pm1, "01"', "pm1", ["pm1", "01"], [1, "1"]),
        (">= 0 or one of adaptive ; why", 1.0, [0, 2, "adaptive"], [-1, "adaptiv", "", None, ["adaptive"]]),
        ("int in [0, 9] or one of seed, run or null", None, [0, "seed", "run", None], [10, 1.5, "or"]),
        ("bool", True, [True, False], [0, 1, "true", None]),
        ("str", None, ["a", 7, None], [True, 1.5]),
        ("> 1 < 3", 2, [2], [1, 3]),
    ],
)
def test_values(declared, default, good, bad):
    field = Field.parse(declared).beside(default)
    assert [field.accepts(value) for value in good] == [True] * len(good)
    assert [value for value in bad if field.accepts(value)] == []


def test_values_come_out_in_their_type():
    assert repr(Field.parse("float").check("a", 1)) == "1.0"
    assert repr(Field.parse("int").check("a", 1e4)) == "10000"
    assert Field.parse("str").check("a", 7) == "7"


def test_refusal_names_value_rule_and_help():
    with pytest.raises(InputError, match=r"^optim\.lr=0: must be a number > 0 \(step size\)$"):
        Field.parse("> 0 ; step size").beside(1e-3).check("optim.lr", 0)


def test_refusal_names_the_words_beside_a_range():
    with pytest.raises(InputError, match=r"^adv=-1: must be a number >= 0 or adaptive$"):
        Field.parse(">= 0 or one of adaptive").beside(1.0).check("adv", -1)


@pytest.mark.parametrize("default", [1, 0.5, True, "a", [1, 2], [0.5, 1]])
def test_a_default_alone_declares_its_type(default):
    field = Field.like(default)
    assert field.accepts(default)
    assert not field.accepts({"a": 1})
    assert not field.accepts(None)


@pytest.mark.parametrize("text", ["integer", "> x", "float in [0", "one of", "int >= 1 and more"])
def test_a_misspelt_declaration_is_refused(text, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(f"first: 1\nsecond: 2   #: {text}\n")
    with pytest.raises(InputError, match="line 2"):
        declarations(path)


def test_declarations_follow_nesting(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(
        'a:\n  b: "#: int"     #: str\n  c: [1,\n      2]   #: list of int\nd: 1  # no declaration\n'
    )
    assert {name: field.type for name, field in declarations(path).items()} == {"a.b": "str", "a.c": "int"}
    assert set(declarations(path, "a")) == {"b", "c"}


def test_nearest_sees_whole_names_and_last_parts():
    known = ["mse", "seed", "optim.g.lr", "optim.d.lr", "optim.g.clip", "terms.r1.every"]
    assert nearest("msee", known)[0] == "mse"
    assert nearest("lr", known) == ["optim.d.lr", "optim.g.lr"]
    assert nearest("term.r1.evry", known)[0] == "terms.r1.every"
    assert nearest("xyzzy", known) == []
