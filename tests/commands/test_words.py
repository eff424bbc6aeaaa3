"""All commands read their words alike: help, nearest names, ranges, other spellings, empty values."""

import importlib
import inspect
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gcn.cli.arguments import Command, listed, read
from gcn.commands import hydra_command
from gcn.commands.bench import BENCHMARKS, MODULES
from gcn.commands.help import FOLDER
from gcn.config.offered import LAB, TRAIN
from gcn.errors import InputError
from gcn.schema.fields import at, declarations

ROOT = Path(__file__).parents[2]
COMMANDS = (
    "bench",
    "board",
    "compress",
    "convert",
    "decompress",
    "evaluate",
    "export",
    "features",
    "instruments",
    "labeller",
    "margin",
    "methods",
    "registered",
    "scan",
    "exponent",
    "spectrum",
    "study",
    "table",
)


HYDRAS = {"train": TRAIN, "lab": LAB}
ALL = (*COMMANDS, *HYDRAS)


def command(name):
    return importlib.import_module(f"gcn.commands.{name}").COMMAND


def run(name, *words):
    if name in HYDRAS:
        return hydra_command.main(words, lambda cfg: pytest.fail("work has begun"), HYDRAS[name])
    return importlib.import_module(f"gcn.commands.{name}").main(words)


def words_of(name):
    """Default and field of the words that a command declares."""
    if name not in HYDRAS:
        return command(name).table()
    content = yaml.safe_load(HYDRAS[name].file.read_text(encoding="utf-8"))
    fields = declarations(HYDRAS[name].file)
    return {"out": (None, FOLDER)} | {
        w: (at(content, w), f.beside(at(content, w))) for w, f in fields.items()
    }


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not list(tmp_path.iterdir()), "a refused command leaves nothing behind"


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_has_examples_first_and_every_word_with_its_range(here, name, flag, capsys):
    assert run(name, flag) == 0
    lines = capsys.readouterr().out.splitlines()
    about, empty, heading, example, *_ = lines
    assert about.endswith(".")
    assert (empty, heading) == ("", "Examples")
    assert example.startswith(f"  python scripts/{name}.py")
    text = " ".join(" ".join(lines).split())
    for word, (_, field) in words_of(name).items():
        assert any(line.startswith(f"  {word}=") for line in lines), word
        assert f"({str(field).removesuffix(' or null')}" in text, word
    assert max(map(len, lines)) <= 110


# A word that is nearly right, one of the command's words with a value outside of its range, and what is said.
REFUSED = {
    "bench": ("nam=lab", "name", "name=labs", "must be one of lab, coder, codec, exact, study, step"),
    "board": ("tabel=x", "table", "table=x mode=later", "mode=later: must be one of auto, offline, online"),
    "compress": ("modle=low", "model", "x.png jobs=257", "jobs=257: must be an integer >= 1 and <= 256"),
    "convert": (
        "accept_licence=x",
        "accept_license",
        "x out=y overwrite=1",
        "overwrite=1: must be true or false",
    ),
    "decompress": ("job=2", "jobs", "x.gcn jobs=1.5", "jobs=1.5: must be an integer >= 1 and <= 256"),
    "evaluate": ("compar=jpeg", "compare", "data=photo", "data=photo: must be one of photos, folder"),
    "export": ("bse=x", "base", "run=x out=y half=1", "half=1: must be true or false"),
    "features": ("stps=5", "steps", "x images=3", "images=3: must be an integer >= 4"),
    "instruments": ("ladder=x", "ladders", "seeds=1", "seeds=1: must be an integer >= 2"),
    "labeller": ("clases=5", "classes", "x classes=1", "classes=1: must be an integer >= 2 and <= 4096"),
    "margin": ("update=5", "updates", "updates=3", "updates=3: must be an integer >= 6"),
    "methods": ("tabel=x", "table", "table=", "table=: must be a path"),
    "registered": ("margin=x", "margins", "simulate=5", "simulate=5: must be an integer >= 10"),
    "scan": ("crp=5", "crop", "x bad_share=2", "bad_share=2: must be a number >= 0 and <= 1"),
    "lab": ("phas=mse", "phase", "steps=0", "steps=0: must be an integer >= 1"),
    "exponent": ("update=3", "updates", "run=x epsilon=1", "epsilon=1: must be a number > 0 and <= 0.1"),
    "spectrum": ("image=3", "images", "run=x factor=-1", "factor=-1: must be a number >= 0"),
    "study": ("grid=a", "grids", "study=joint workers=0", "workers=0: must be an integer >= 1"),
    "table": ("setings=a", "settings", "run=", "run=: must be a path"),
    "train": ("msee=1", "mse", "mse=-1", "mse=-1: must be a number >= 0"),
}


def refused(capsys, name, *words):
    status = run(name, *words)
    out, err = capsys.readouterr()
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    return err.removeprefix("error: ")


@pytest.mark.parametrize("name", ALL)
def test_a_wrong_name_is_answered_by_the_nearest_and_a_wrong_value_by_its_range(here, name, capsys):
    word, near, line, says = REFUSED[name]
    assert refused(capsys, name, word).startswith(f"{word.partition('=')[0]}: unknown; nearest: {near}")
    assert says in refused(capsys, name, *line.split())
    assert "-x: unknown" in refused(capsys, name, "-x")


@pytest.mark.parametrize("name", COMMANDS)
def test_an_empty_value_and_a_word_given_twice_are_refused(here, name, capsys):
    for word, (default, field) in command(name).table().items():
        if not (field.listed and default):  # a list that has a default may be emptied
            said = word.replace("NAME", "one")
            assert refused(capsys, name, f"{said}=").startswith(f"{said}=: must be")
    assert "given twice" in refused(capsys, name, f"{word}=1", f"{word}=1")


@pytest.mark.parametrize("name", [name for name in COMMANDS if "out" in command(name).table()])
def test_out_has_its_other_spellings(name):
    words = {
        "study": ["study=x"],
        "export": ["run=x"],
        "exponent": ["run=x"],
        "spectrum": ["run=x"],
        "board": ["table=x"],
        "features": ["x"],
        "labeller": ["x"],
        "convert": ["x"],
    }.get(name, [])
    words += ["x"] if "files" in command(name).bare else []
    for said in (
        ["out=a b,c"],
        ["-o", "a b,c"],
        ["--out=a b,c"],
        ["--output", "a b,c"],
        ["hydra.run.dir=a b,c"],
    ):
        assert read(command(name), [*words, *said])["out"] == "a b,c"
    for said in (["out=a", "-o", "b"], ["-o"], ["-o", ""]):
        with pytest.raises(InputError):
            read(command(name), [*words, *said])


@pytest.mark.parametrize("name", HYDRAS)
@pytest.mark.parametrize(
    "line",
    ["out=", "-o", "--out=", "hydra.run.dir=", "hydra.run.dir=''", "-m out=", "-m hydra.sweep.dir=", "out=a -o b",
     "out=a hydra.run.dir=b", "steps="],
)  # fmt: skip
def test_an_empty_or_a_second_folder_of_a_run_is_refused(here, name, line, capsys):
    said = refused(capsys, name, "mse=1", *line.split())
    assert any(part in said for part in ("=: must be a", "needs a value behind it", "given twice"))


@pytest.mark.parametrize(
    ("words", "run"),
    [
        (["out=it's, ${1}"], None), (["out=a, [b]"], "a, [b]"), (["-o", "it's"], "it's"), (["--out", "7"], "7"),
        (["hydra.run.dir='a, b'"], "a, b"), (["-m", "out=a,b"], "a,b/0"), (["+out=here"], "here"),
    ],
)  # fmt: skip
def test_the_folder_of_a_run_is_taken_as_it_stands(words, run, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    seen = []
    handlers = list(logging.getLogger().handlers)

    def train(cfg):
        seen.append(Path(cfg.run_dir))
        Path(cfg.run_dir, "summary.json").write_text("{}")

    status = hydra_command.main(["mse=1", *words], train)
    logging.getLogger().handlers[:] = handlers
    assert (status, seen) == ((2, []) if run is None else (0, [tmp_path / run]))
    capfd.readouterr()


def test_benchmarks_take_the_words_of_their_tables():
    for name, one in BENCHMARKS.items():
        bench = importlib.import_module(f"gcn.bench.{MODULES[name]}").bench
        assert list(inspect.signature(bench).parameters) == list(one.table())


WORDS = Command(
    "any",
    "About.",
    "example",
    """\
files: ???     #: list of path ; what is read
size: 2        #: int >= 1 ; of it
share: null    #: float in [0, 1] ; of it
kind: a        #: one of a, b ; of it
loud: false    #: ; or not
names: [x]     #: list of str ; of it
more.NAME: null  #: list of path ; others
max_pixels: 5  #: int ; of it
""",
    bare=("files",),
    spellings={"old": "kind"},
)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("f", "size", 2), ("f size=1e1", "size", 10), ("size=3 f", "size", 3), ("f +size=3", "size", 3),
        ("f share=.5", "share", 0.5), ("f share=null", "share", None), ("f loud=true", "loud", True),
        ("--loud f", "loud", True), ("f --max-pixels 7", "max_pixels", 7), ("f old=b", "kind", "b"),
        ("f names=", "names", []), ("f names=y,x,y", "names", ["y", "x"]), ("f more.red=a,b", "more.red", ["a", "b"]),
        ("f g", "files", ["f", "g"]), ("files=f,g", "files", ["f", "g"]), ("a/b=c", "files", ["a/b=c"]),
        ("-- -x size=3 --", "files", ["-x", "size=3", "--"]), ("-- --help", "files", ["--help"]),
    ],
)  # fmt: skip
def test_values(line, name, value):
    assert read(WORDS, line.split())[name] == value


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "files= is missing (what is read); see --help"), ("f size=²", "size=²: must be an integer >= 1"),
        ("f size=", "size=: must be an integer"), ("f share=nan", "share=nan: must be a number"),
        ("f share=1e400", "must be a number"), ("f size=true", "size=true: must be an integer"),
        ("f loud=yes", "loud=yes: must be true or false"), ("f kind=c", "kind=c: must be one of a, b"),
        ("f more.red=", "more.red=: must be"), ("f size=1 --size 2", "size= was given twice"),
        ("f old=a kind=b", "kind= was given twice"), ("f --size", "--size needs a value behind it"),
        ("f -oX", "-oX: unknown"), ("f siz=1", "siz: unknown; nearest: size"), ("f --siz=1", "nearest: size"),
        ("f more.=a", "more.: unknown; nearest: more.NAME"),
    ],
)  # fmt: skip
def test_refusals(line, says):
    with pytest.raises(InputError) as caught:
        read(WORDS, line.split())
    assert says in str(caught.value)


def test_a_command_without_bare_words_says_how_they_are_written():
    with pytest.raises(InputError, match="out: not readable; write key=value; nearest: out"):
        read(command("export"), ["out"])


def test_a_list_takes_the_longest_name_that_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a,b").mkdir()
    Path("c,d,e").touch()
    assert listed("a,b,c") == ["a,b", "c"]
    assert listed("x,a,b,c,d,e") == ["x", "a,b", "c,d,e"]
    assert listed("a,,a") == ["a"]
    assert read(command("evaluate"), ["run=a,b"])["run"] == ["a,b"]


@pytest.mark.slow
def test_help_and_refusals_need_neither_torch_nor_numpy(tmp_path):
    """Nor Hydra, but for the margin, whose words are those of training."""
    names = sorted(COMMANDS, key="margin".__eq__)
    code = (
        "import importlib, sys\n"
        f"for name, line in {[(name, REFUSED[name][2]) for name in names]!r}:\n"
        "    main = importlib.import_module('gcn.commands.' + name).main\n"
        "    assert (main(['--help']), main(line.split())) == (0, 2), name\n"
        "    heavy = {'torch', 'numpy', 'lightning'} | ({'hydra'} if name != 'margin' else set())\n"
        "    assert not heavy & set(sys.modules), name\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_script_hands_its_words_over(name):
    text = (ROOT / "scripts" / f"{name}.py").read_text(encoding="utf-8")
    assert "from gcn.commands.program import run" in text
    assert f'sys.exit(run("{name}", sys.argv[1:]))' in text
