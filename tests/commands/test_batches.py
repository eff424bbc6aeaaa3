"""Many images with one command, and what may go wrong on the way: bad files, odd names, full disks, no memory."""

import io
import os
import pickle
import resource
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache, partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scripting import compress, decompress, error_of, picture

from gcn.codec.container import parse
from gcn.coding import transcode
from gcn.commands import compress as files_command
from gcn.data.images import load_image
from gcn.files.targets import Job


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def loaded():
    """The function that reads a model file, which reads each file once."""
    return cache(transcode.package.load)


@pytest.fixture(autouse=True)
def models_are_loaded_once(monkeypatch, loaded):
    monkeypatch.setattr(transcode.package, "load", loaded)
    codec = transcode.model({"model": "low"})
    monkeypatch.setattr(transcode, "model", lambda options: codec)


def content(folder):
    return {path: path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def test_an_original_is_never_replaced_by_its_lossy_picture(here, capsys):
    picture(20, 20).save("photo.png")
    assert compress("photo.png") == 0
    before = content(here)
    assert "photo.png exists" in error_of(capsys, decompress("photo.gcn"))
    assert "photo.gcn exists" in error_of(capsys, compress("photo.png"))
    assert "ends in .gcn" in error_of(capsys, compress("photo.png", "-o", "out.png"))
    assert "images are not written with this ending" in error_of(
        capsys, decompress("photo.gcn", "-o", "out.gcn")
    )
    assert "would be overwritten" in error_of(
        capsys, compress("photo.gcn", "-o", "photo.gcn", "overwrite=true")
    )
    assert "exclude each other" in error_of(
        capsys, compress("photo.png", "overwrite=true", "skip_existing=true")
    )
    assert content(here) == before
    assert decompress("photo.gcn", "overwrite=true") == 0
    assert Path("photo.png").read_bytes() != before[here / "photo.png"]


def test_a_batch_goes_on_past_bad_files(here, capsys):
    Path("in").mkdir()
    for name in ("a", "c", "sub"):
        picture(16, 24).save(f"in/{name}.png")
    Path("in/b.png").write_text("no image")
    assert compress("in", "missing.png", "-o", "out") == 2
    said, wrong = capsys.readouterr()
    assert [line.split(" -> ")[0] for line in said.splitlines()[:-1]] == [
        "[1/5] in/a.png", "[3/5] in/c.png", "[4/5] in/sub.png",
    ]  # fmt: skip
    assert all(line.endswith(" s") and "bit/pixel" in line for line in said.splitlines()[:-1])
    bits = 8 * sum(len(data) for data in content("out").values())
    assert f"5 files: 3 done, 2 failed, {bits} bits, " in said.splitlines()[-1]
    assert wrong.splitlines() == ["error: in/b.png: not an image", "error: missing.png: file is missing"]
    Path("out/a.gcn").write_bytes(b"GCN damaged")
    assert decompress("out", "-o", "back") == 2
    assert "3 files: 2 done, 1 failed" in capsys.readouterr().out
    assert sorted(os.listdir("back")) == ["c.png", "sub.png"]


def test_what_exists_is_left_out_if_it_is_whole(here, capsys, monkeypatch):
    for name in "abc":
        picture(16, 24).save(f"{name}.png")
    words = ("a.png", "b.png", "c.png", "-o", "out/", "skip_existing=true")
    assert compress("a.png", "b.png", "-o", "out/") == 0
    before = content("out")
    assert compress(*words) == 0
    assert "3 files: 1 done, 2 skipped" in capsys.readouterr().out
    assert before.items() <= content("out").items()
    Path("out/a.gcn").write_bytes(before[Path("out/a.gcn")][:-1])
    picture(8, 8).save("b.png")
    assert compress(*words) == 2
    wrong = capsys.readouterr().err
    assert "out/a.gcn: exists, but is damaged; remove it, or give overwrite=true" in wrong
    assert "out/b.gcn: exists, but b.png has another size; remove it" in wrong
    other = transcode.package.load(transcode.model_path("high"))
    monkeypatch.setattr(transcode, "model", lambda options: other)
    assert compress("c.png", *words[3:]) == 2
    assert "out/c.gcn: exists, but another model wrote it; remove it" in capsys.readouterr().err
    (there := Path("out/a.gcn")).write_bytes(before[there])
    back = ("out/b.gcn", "out/c.gcn", "-o", "back/", "skip_existing=true")
    assert decompress(*back) == 0
    assert decompress("out/a.gcn", *back) == 0
    assert "3 files: 1 done, 2 skipped" in capsys.readouterr().out
    Path("back/b.png").write_bytes(Path("back/b.png").read_bytes()[:-20])
    picture(8, 8).save("back/c.png")
    assert decompress(*back) == 2
    wrong = capsys.readouterr().err
    assert "back/b.png: exists, but is not a whole image (truncated); remove it" in wrong
    assert "back/c.png: exists, but out/c.gcn has another size; remove it" in wrong


def test_several_processes_write_the_same_files(here, monkeypatch):
    """What each of them does: it unpickles its work, and has a part of the threads."""
    picture(150, 210).save("a.png")
    job = Job(Path("a.png"), Path("a.gcn"), exists=False)
    before, written = torch.get_num_threads(), set()
    try:
        for jobs in (1, 2, 4):
            torch.set_num_threads(4)
            prepare, task = pickle.loads(pickle.dumps((partial(files_command.compressor, {}, jobs), job)))
            work = prepare()
            assert torch.get_num_threads() == 4 // jobs
            assert work(task).line.startswith("a.png -> a.gcn: 210x150, ")
            written.add(Path("a.gcn").read_bytes())
            Path("a.gcn").unlink()
    finally:
        torch.set_num_threads(before)
    assert len(written) == 1


NAMES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12),
    st.binary(min_size=1, max_size=12).filter(lambda name: not {0, 47} & set(name)).map(os.fsdecode),
    st.sampled_from(["-x", "a=b", "model=low", "--help", "-", "--", "*", "caf\udce9"]),
)


@settings(max_examples=10)
@given(names=st.sets(NAMES, min_size=1, max_size=3), encoding=st.sampled_from(["ascii", "utf-8", "latin-1"]))
def test_any_name_is_read_written_and_shown(tmp_path_factory, names, encoding):
    """``--`` ends the options; nothing that a terminal lacks is an error."""
    folder = tmp_path_factory.mktemp("names")
    for name in names:
        picture(8, 8).save(folder / f"{name}.png", "PNG")
    previous = Path.cwd()
    os.chdir(folder)
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding, "strict") for _ in "12")
    try:
        with redirect_stdout(out), redirect_stderr(err):
            assert compress("-o", "out/", "--", *(f"{name}.png" for name in names)) == 0
            assert decompress("-o", "back/", "--", *(f"out/{name}.gcn" for name in names)) == 0
            Path(f"{next(iter(names))}.png").write_text("no image")
            assert compress("-o", "bad/", "--", *(f"{name}.png" for name in names)) == 2
    finally:
        os.chdir(previous)
    for stream in (out, err):
        stream.flush()
        lines = stream.buffer.getvalue().decode(encoding).splitlines()
        assert all(line.isprintable() for line in lines)
    assert len(lines) == 1
    assert {os.fsencode(name) for name in os.listdir(folder / "back")} == {
        os.fsencode(f"{name}.png") for name in names
    }


@contextmanager
def disk_with(left):
    """Any file's writing fails after so many bytes, wherever the library that writes it is."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A noisy image and its file."""
    folder = tmp_path_factory.mktemp("prepared")
    picture(64, 64).save(folder / "a.png")
    assert compress(folder / "a.png", "model=low") == 0
    return folder


@pytest.fixture(scope="module", params=["gcn", "png", "jpg", "webp", "tif", "bmp", "ppm"])
def whole(request, prepared):
    """The whole output in a format, and the command that writes it."""
    compressed = (compress, "a.png", "model=low")
    command, source, *model = compressed if request.param == "gcn" else (decompress, "a.gcn")
    file = prepared / f"whole.{request.param}"
    assert command(prepared / source, *model, "-o", file) == 0
    return file, lambda *words: command(prepared / source, *model, *words)


@settings(max_examples=8)
@given(data=st.data())
def test_a_full_disk_is_one_line_and_leaves_what_was_there(whole, tmp_path_factory, data):
    file, command = whole
    target = tmp_path_factory.mktemp("full") / f"out{file.suffix}"
    existed = data.draw(st.booleans())
    if existed:
        target.write_bytes(b"what was there")
    out, err = io.StringIO(), io.StringIO()
    left = data.draw(st.integers(0, file.stat().st_size - 1))
    with redirect_stdout(out), redirect_stderr(err), disk_with(left):
        assert command("-o", target, "overwrite=true") == 2, left
    said = err.getvalue()
    assert said.count("\n") == 1
    assert f"{target}: cannot be written (File too large)" in said
    assert os.listdir(target.parent) == ([target.name] if existed else [])
    assert not existed or target.read_bytes() == b"what was there"


@pytest.mark.parametrize(
    "problem",
    [
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes."),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_too_little_memory_says_what_to_do(here, capsys, monkeypatch, problem):
    for name in "ab":
        picture(8, 8).save(f"{name}.png")
    answers = iter([problem])
    to_bytes = transcode.to_bytes

    def once(*arguments):
        for answer in answers:
            raise answer
        return to_bytes(*arguments)

    monkeypatch.setattr(transcode, "to_bytes", once)
    assert compress("a.png", "b.png") == 2
    said, wrong = capsys.readouterr()
    assert wrong == f"error: a.png: out of memory; {files_command.SMALLER}\n"
    assert "2 files: 1 done, 1 failed" in said
    assert not Path("a.gcn").exists()


def test_a_file_that_appears_meanwhile_stays(here, capsys, monkeypatch):
    picture(8, 8).save("a.png")
    to_bytes = transcode.to_bytes

    def meanwhile(*arguments):
        Path("a.gcn").write_bytes(b"mine")
        return to_bytes(*arguments)

    monkeypatch.setattr(transcode, "to_bytes", meanwhile)
    assert "a.gcn exists" in error_of(capsys, compress("a.png"))
    assert Path("a.gcn").read_bytes() == b"mine"


def test_a_link_stays_one_and_its_file_is_written(here):
    picture(8, 8).save("a.png")
    Path("far").mkdir()
    Path("new.gcn").symlink_to("far/new.gcn")
    Path("far/old.gcn").write_bytes(b"old")
    Path("old.gcn").symlink_to("far/old.gcn")
    assert compress("a.png", "-o", "new.gcn") == 0
    assert compress("a.png", "-o", "old.gcn", "overwrite=true") == 0
    for name in ("new.gcn", "old.gcn"):
        assert Path(name).is_symlink()
        parse(Path("far", name).read_bytes())
    assert decompress("old.gcn") == 0
    assert load_image("old.png").shape == (8, 8, 3)


@pytest.mark.parametrize("command", [compress, decompress])
def test_what_is_no_file_is_not_waited_for(here, capsys, command):
    os.mkfifo("pipe.gcn")
    for name in ("pipe.gcn", "/dev/zero"):
        assert "a device, a pipe or a socket; give" in error_of(capsys, command(name, "-o", "out/"))


def test_the_disk_of_the_terminal_may_be_full(here, monkeypatch, capfd):
    picture(8, 8).save("a.png")
    with open("/dev/full", "w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        assert compress("a.png") == 2
    assert (
        capfd.readouterr().err
        == "error: standard output: No space left on device; free or choose another place\n"
    )


def test_a_single_channel_stays_one(here):
    Image.new("L", (9, 9), 77).save("a.png")
    assert compress("a.png") == 0
    assert decompress("a.gcn", "overwrite=true") == 0
    assert Image.open("a.png").mode == "L"
