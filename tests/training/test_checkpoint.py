"""A checkpoint is the old one or the new one, and never runs code."""

import os
import pickle
import signal

import pytest
import torch

from gcn.errors import InputError
from gcn.files.atomic import remove_partials
from gcn.training.checkpoint import AtomicCheckpointIO, has_checkpoint, open_checkpoint

IO = AtomicCheckpointIO()


def content(step):
    return {"gcn": {}, "global_step": step, "state_dict": {"w": torch.full((1000,), float(step))}}


@pytest.fixture
def last(tmp_path):
    """A run folder's last checkpoint, of step 1."""
    path = tmp_path / "checkpoints" / "last.ckpt"
    IO.save_checkpoint(content(1), path)
    return path


def load_checkpoint(path):
    return open_checkpoint(path)[1]


def files(path):
    return sorted(file.name for file in path.parent.iterdir())


def test_the_previous_one_is_kept(last, tmp_path):
    IO.save_checkpoint(content(2), last)
    assert files(last) == ["last.ckpt", "last.ckpt.previous"]
    assert torch.load(last.with_name("last.ckpt.previous"), weights_only=True)["global_step"] == 1
    file, read = open_checkpoint(tmp_path)
    assert (file, read["global_step"]) == (last, 2)
    assert torch.equal(read["state_dict"]["w"], torch.full((1000,), 2.0))


@pytest.mark.parametrize("call", ["torch.save", "os.fsync", "os.replace"])
def test_a_failure_leaves_the_old_one_and_nothing_else(call, last, tmp_path, monkeypatch):
    def failing(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(call, failing)
    with pytest.raises(InputError, match="no space"):
        IO.save_checkpoint(content(2), last)
    monkeypatch.undo()
    assert load_checkpoint(tmp_path)["global_step"] == 1
    assert set(files(last)) <= {"last.ckpt", "last.ckpt.previous"}


@pytest.mark.parametrize("call", ["torch.save", "os.fsync", "os.link", "os.replace"])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("links", [True, False])
def test_a_process_killed_anywhere_leaves_a_whole_one(call, moment, links, last, tmp_path, monkeypatch):
    module, name = {"torch": torch, "os": os}[call.partition(".")[0]], call.partition(".")[2]
    original = getattr(module, name)

    def dying(*args):
        if moment == "after":
            original(*args)
        os.kill(os.getpid(), signal.SIGKILL)

    def refusing(*args):
        raise OSError("hard links are not supported")

    child = os.fork()
    if child == 0:
        os.link = os.link if links else refusing
        setattr(module, name, dying)
        IO.save_checkpoint(content(2), last)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    _, read = open_checkpoint(tmp_path)
    assert read["global_step"] in (1, 2)
    assert torch.equal(read["state_dict"]["w"], torch.full((1000,), float(read["global_step"])))
    remove_partials(tmp_path)  # as every run does that takes up a folder
    IO.save_checkpoint(content(3), last)  # as if nothing had happened
    assert load_checkpoint(tmp_path)["global_step"] == 3
    assert files(last) == ["last.ckpt", "last.ckpt.previous"]


def test_without_hard_links_the_previous_one_is_kept_too(last, tmp_path, monkeypatch):
    def refusing(*args):
        raise OSError("hard links are not supported")

    monkeypatch.setattr("os.link", refusing)
    IO.save_checkpoint(content(2), last)
    assert files(last) == ["last.ckpt", "last.ckpt.previous"]
    assert load_checkpoint(tmp_path)["global_step"] == 2


def test_a_missing_last_one_is_replaced_by_the_previous_one(last, tmp_path):
    IO.save_checkpoint(content(2), last)
    last.unlink()
    assert has_checkpoint(tmp_path)
    assert load_checkpoint(tmp_path)["global_step"] == 1


def test_a_damaged_last_one_is_replaced_by_the_previous_one_in_one_line(last, tmp_path, capsys):
    IO.save_checkpoint(content(2), last)
    last.write_bytes(last.read_bytes()[:-500])
    file, read = open_checkpoint(tmp_path)
    assert (file.name, read["global_step"]) == ("last.ckpt.previous", 1)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"{last}: not a readable checkpoint")
    assert said[0].endswith("using last.ckpt.previous")


class Code:
    """Would run a command when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("kind", ["code", "pickle", "text", "empty", "truncated", "foreign", "list"])
def test_junk_is_refused_in_one_line(kind, tmp_path, recwarn):
    file, mark = tmp_path / "junk.ckpt", tmp_path / "mark"
    match kind:
        case "code":
            torch.save(content(1) | {"x": Code(mark)}, file)
        case "pickle":
            file.write_bytes(pickle.dumps(Code(mark)))
        case "text":
            file.write_text("not a checkpoint\n" * 100)
        case "empty":
            file.touch()
        case "truncated":
            torch.save(content(1), file)
            os.truncate(file, 2000)
        case "foreign":
            torch.save({"state_dict": {}}, file)
        case "list":
            torch.save([1, 2], file)
    with pytest.raises(InputError, match=f"^{file}: not a .*; give another checkpoint$") as refusal:
        load_checkpoint(file)
    assert "\n" not in str(refusal.value)
    assert not mark.exists()
    assert not recwarn.list


@pytest.mark.parametrize("path", ["", "nothing", "nothing.ckpt"])
def test_no_checkpoint(path, tmp_path):
    assert not has_checkpoint(tmp_path)
    with pytest.raises(InputError, match="no checkpoint here; give a run folder"):
        load_checkpoint(tmp_path / path)
