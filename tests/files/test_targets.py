"""Which output belongs to which input: nothing that exists is replaced unasked, and no input ever."""

import os
import socket
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn.errors import InputError
from gcn.files.folders import files_below, walk
from gcn.files.targets import Kind, plan


def only_gcn(target):
    if target.suffix != ".gcn":
        raise InputError(f"{target}: give a name that ends in .gcn")


KIND = Kind({".png", ".jpg"}, "images", ".gcn", only_gcn)


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def planned(*words, output=None, **options):
    return [
        (str(job.source), str(job.target))
        for job in plan([str(word) for word in words], output, KIND, **options)
    ]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_stands_for_its_images_and_keeps_its_structure(here):
    touch(
        *(
            Path(name)
            for name in ("in/b.png", "in/a.JPG", "in/sub/deep/c.png", "in/notes.txt", "in/.hidden.png")
        )
    )
    assert planned("in") == [
        ("in/a.JPG", "in/a.gcn"), ("in/b.png", "in/b.gcn"), ("in/sub/deep/c.png", "in/sub/deep/c.gcn"),
    ]  # fmt: skip
    expected = [
        ("in/a.JPG", "out/a.gcn"), ("in/b.png", "out/b.gcn"), ("in/sub/deep/c.png", "out/sub/deep/c.gcn"),
    ]  # fmt: skip
    assert planned("in", output="out") == planned("in/", output="out/") == expected
    assert not Path("out").exists()
    assert planned("in/b.png", "in/sub", output="new/place") == [
        ("in/b.png", "new/place/b.gcn"), ("in/sub/deep/c.png", "new/place/deep/c.gcn"),
    ]  # fmt: skip
    assert planned("in/b.png", output="new/") == [("in/b.png", "new/b.gcn")]
    assert planned("in/b.png", output="in/sub") == [("in/b.png", "in/sub/b.gcn")]


@pytest.mark.skipif(not hasattr(os, "seteuid") or os.geteuid() != 0, reason="needs to become another user")
def test_what_may_not_be_looked_at_costs_no_other_file(here):
    """One file in a closed folder, or behind a link into one, is an error of that file."""
    os.chmod(here, 0o777)
    touch(Path("in/a.png"), Path("in/listed/b.png"), Path("closed/c.png"))
    Path("in/link.png").symlink_to(here / "closed" / "c.png")
    os.chmod("in/listed", 0o644)
    os.chmod("closed", 0o600)
    for above in [*here.parents][:4]:
        above.chmod(above.stat().st_mode | 0o011)
    os.seteuid(65534)
    try:
        assert [source for source, _ in planned("in", output="out")] == [
            "in/a.png", "in/link.png", "in/listed/b.png",
        ]  # fmt: skip
    finally:
        os.seteuid(0)


def refused(here, said, *words, **options):
    before = sorted(here.rglob("*"))
    with pytest.raises(InputError) as caught:
        planned(*words, **options)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(here.rglob("*")) == before


def test_an_output_that_exists_is_refused_whatever_it_is(here):
    touch(Path("a.png"), Path("b.png"), Path("c.png"), Path("b.gcn"), Path("c.gcn"))
    refused(
        here, "b.gcn exists (the first of 2 outputs that do); give overwrite=true", "a.png", "b.png", "c.png"
    )
    assert [job.exists for job in plan(["a.png", "b.png"], None, KIND, may_exist=True)] == [False, True]
    Path("link.gcn").symlink_to("b.gcn")
    refused(here, "link.gcn exists", "a.png", output="link.gcn")
    Path("astray.gcn").symlink_to("nowhere.gcn")
    assert planned("a.png", output="astray.gcn") == [("a.png", "astray.gcn")]
    Path("d.gcn").mkdir()
    assert planned("a.png", output="d.gcn") == [("a.png", "d.gcn/a.gcn")]
    touch(Path("d.png"))
    refused(here, "d.gcn is a folder", "d.png", may_exist=True)
    os.mkfifo("pipe.gcn")
    Path("device.gcn").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.gcn")
    for name in ("pipe", "device", "socket"):
        refused(here, "is a device, a pipe or a socket", "a.png", output=f"{name}.gcn", may_exist=True)
        refused(here, f"{name}.gcn: a device, a pipe or a socket", f"{name}.gcn", "no.png", output="new/")


def test_no_input_is_an_output_by_any_name(here):
    touch(Path("a.gcn"), Path("b.png"))
    Path("link.gcn").symlink_to("a.gcn")
    os.link("a.gcn", "hard.gcn")
    for output in ("a.gcn", "./a.gcn", f"{here}/a.gcn", "link.gcn", "hard.gcn"):
        refused(here, "would be overwritten", "a.gcn", output=output, may_exist=True)
    refused(here, "would be overwritten", "a.gcn", "b.png", output=str(here), may_exist=True)


def test_two_inputs_with_one_output_are_refused(here):
    touch(*(Path(name) for name in ("a.png", "a.jpg", "x/a.png", "y/a.png", "b.gcn")))
    refused(here, "two inputs would become", "a.png", "a.jpg")
    for again in ("a.png", "./a.png", f"{here}/a.png"):
        refused(here, "a.png is given twice", "a.png", again)
    refused(here, "x/a.png and y/a.png; rename one", "x", "y", output="out")
    Path("z").symlink_to("x")
    refused(here, "z/a.png is given twice", "x/a.png", "z/a.png")
    os.link("b.gcn", "c.gcn")  # as on a disk that does not tell upper from lower case: two names, one file
    touch(Path("b.png"), Path("c.png"))
    refused(here, "two inputs would become c.gcn", "b.png", "c.png", may_exist=True)


def test_names_that_contradict_or_cannot_be_written(here):
    touch(Path("a.png"), Path("b.png"), Path("empty/notes.txt"), Path("file"))
    refused(here, "no input file")
    refused(here, "ends in .gcn", "a.png", output="out.png")
    refused(here, "ends in .gcn", "a.png", output="out")
    Path("link.gcn").symlink_to("b.png")  # what is replaced is b.png
    refused(here, "ends in .gcn", "a.png", output="link.gcn", may_exist=True)
    refused(here, "nowhere: no such folder", "a.png", output="nowhere/a.gcn")
    refused(here, "one.gcn: not a folder, and 2 files go there", "a.png", "b.png", output="one.gcn")
    refused(here, "is not a folder", "a.png", "b.png", output="file")
    refused(here, "out=file/below: ", "a.png", "b.png", output="file/below")
    refused(here, "empty: no images in this folder", "empty")


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20)
BYTES = st.binary(min_size=1, max_size=20).filter(lambda name: not {0, 47} & set(name)).map(os.fsdecode)


@settings(max_examples=25)
@given(names=st.sets(NAMES | BYTES, max_size=6).map(lambda names: names - {".", ".."}))
def test_any_names_give_distinct_new_outputs(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("any")
    sources = [folder / f"{name}.png" for name in names]
    touch(*sources)
    if not sources:
        return
    jobs = plan([str(source) for source in sources], None, KIND)
    assert len({job.target for job in jobs}) == len(sources)
    assert not any(job.target.exists() for job in jobs)
    visible = [source for source in sources if not source.name.startswith(".")]
    assert files_below(folder) == sorted(visible, key=lambda path: path.parts)


def test_thousands_of_names_take_no_time(here):
    names = [f"in/{number}.png" for number in range(4000)]
    Path("in").mkdir()
    for name in names:
        os.close(os.open(name, os.O_CREAT))
    start = time.process_time()
    assert len(plan(names, None, KIND)) == 4000
    assert time.process_time() - start < 2


@pytest.mark.skipif(not os.path.exists("/proc/self/mounts"), reason="no folders of the kernel on this system")
def test_no_walk_over_files_leaves_the_folder_for_the_whole_machine(here):
    touch(Path("top/in/a.png"), Path("beside/b.png"), Path("c.png"))
    for name, target in {
        "up": "..",
        "itself": ".",
        "root": "/",
        "process": "/proc/self/root",
        "kernel": "/sys",
    }.items():
        Path("top", name).symlink_to(target)
    Path("top/linked").symlink_to("../beside")
    start = time.process_time()
    assert files_below(Path("top")) == [Path("top/in/a.png"), Path("top/linked/b.png")]
    for name in ("/", "/proc", "/sys", "/proc/self", "/proc/self/root", "top/root", "top/kernel"):
        with pytest.raises(
            InputError, match=f"^{name}: (the whole|a folder of the) .*system.*; give the folder that"
        ):
            next(walk(Path(name)))
    assert time.process_time() - start < 1
