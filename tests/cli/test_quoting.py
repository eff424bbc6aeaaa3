"""What is printed to go on with can be pasted, whatever a folder is called."""

import os
import shlex
import subprocess
import sys
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from gcn.cli.quoting import command, nested, resuming, value, word

NAMES = [
    "plain", "outputs/2026-01-02/03-04-05-abc", "a blank", "Prüfung", "a,b", "it's", "a=b", "[1]", "{a:1}", "$x",
    "${x}", "\\${x}", "\\\\${x", "${", "back\\", "back\\\\", "\\'", "a:b", '"', "'", "' '", " before", "after ",
    "7", "1e5", "007", "1_000", "true", "Null", "nan", "-inf", "???", "~", "-m", "--help", "a#b", "a;b", "a&b", "*",
    "?", "!x", "(a)", "50%", "日本", "\N{ZERO WIDTH SPACE}", "choice(1,2)", "a@b", "+x", "\t",
    " both ", "Prüfung, 1", "$x \\'", "[x]", "a\nb", "caf\udce9",
]  # fmt: skip
SPECIAL = st.sampled_from("' \"\\$ {}[](),=:~@+-#;&*?!%|<>`.0123eE_truNl/äé日")
names = st.one_of(
    st.lists(SPECIAL, min_size=1, max_size=12).map("".join),
    st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=8),
)


def understood(said: str) -> Any:
    """What Hydra and OmegaConf make of a word: the value that a configuration holds in the end."""
    (override,) = OverridesParser.create().parse_overrides([said])
    assert not override.is_sweep_override()
    return OmegaConf.to_container(OmegaConf.create({"resume": override.value()}), resolve=True)["resume"]


@pytest.mark.parametrize("name", NAMES)
def test_the_names_that_people_use(name):
    check(name)


@given(names)
@settings(max_examples=150)
@example("a\\'b\\")
def test_a_printed_command_names_exactly_its_folder(name):
    check(name)


def check(name: str) -> None:
    assert os.path.normpath(understood(word("resume", name))) == os.path.normpath(name)
    line = resuming(name)
    assert line.isprintable()
    if name.isprintable():
        assert shlex.split(line) == ["python", "scripts/train.py", word("resume", name)]


def test_a_name_that_needs_no_quotes_has_none():
    assert resuming("outputs/2026-01-02/run-1") == "python scripts/train.py resume=outputs/2026-01-02/run-1"


def test_a_shell_gives_back_every_name_with_bytes_that_no_terminal_shows():
    """Line breaks, control characters and names that are not UTF-8, through bash itself."""
    odd = ["caf\udce9", "two\nlines", "\x1b[31m", "\x7f", "\udce9's \\", "a\N{ZERO WIDTH SPACE}b"]
    said = [word("resume", name) for name in [*odd, *NAMES]]
    line = command("printf", r"%s\0", *said)
    assert line.isprintable()
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True, timeout=20)
    assert [os.fsdecode(part) for part in done.stdout.split(b"\0")[:-1]] == said
    for name, given_back in zip([*odd, *NAMES], said, strict=True):
        assert os.path.normpath(understood(given_back)) == os.path.normpath(name)


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.sampled_from([0.5, 1e-9, -2e30]), names),
        lambda part: st.lists(part, max_size=3) | st.dictionaries(st.sampled_from("abc"), part, max_size=3),
        max_leaves=6,
    ).filter(lambda node: "???" not in str(node))
)
@settings(max_examples=60)
def test_nested_values_are_read_as_they_were_given(node):
    said = f"callbacks.a={nested({'_target_': 'b.C', 'x': node})}"
    assert said.startswith("callbacks.a={_target_: b.C, x: ")
    assert understood(said) == {"_target_": "b.C", "x": node}


def test_numbers_and_words_of_the_grammar_stay_texts():
    assert [value(text) for text in ("7", "1e5", "true", "null")] == ["'7'", "'1e5'", "'true'", "'null'"]


def test_a_command_is_printed_without_hydra_and_torch():
    code = "import sys, gcn.cli.quoting; assert not {'hydra', 'torch', 'omegaconf'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
