"""A full disk or too little memory ends a run in one line that says how to go on, and the run goes on from there."""

import errno
import resource
from contextlib import contextmanager

import pytest
import torch
from runs import assert_same_run, run, words

from gcn.data.loader import Crops
from gcn.errors import InputError, is_memory_error
from gcn.files import atomic
from gcn.report.metrics_table import MetricsTable
from gcn.training.failure import explained
from gcn.training.record import Record

OFTEN = "steps=4 val_every=2 panel_every=2 checkpoint_every=2"


@contextmanager
def no_file_larger_than(size):
    """A limit of the operating system, which fails a write as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def refusal_of(folder, *said):
    with pytest.raises(InputError) as refusal:
        run(folder, *said)
    line = str(refusal.value)
    assert "\n" not in line
    return line


def test_the_command_that_goes_on_names_what_the_user_adds(tmp_path):
    (tmp_path / "metrics.csv").touch()
    with pytest.raises(InputError) as refused, explained(tmp_path, str, lambda: True, ["plugins=[mine]"]):
        full()
    assert str(refused.value).endswith(
        f"go on with: python scripts/train.py resume={tmp_path} 'plugins=[mine]'"
    )


@pytest.mark.usefixtures("quick")
def test_any_file_that_cannot_be_written(reference, data, tmp_path, monkeypatch):
    """One run, for which each of its files in turn cannot be written, and which goes on after each."""
    said = words(data, OFTEN)
    move, append = atomic._move, MetricsTable._append
    place = tmp_path / "metrics.csv"

    def moving(partial, target, overwrite):
        full() if target == place else move(partial, target, overwrite)

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "_move", moving)
        line = refusal_of(tmp_path, *said)
    assert line.startswith(f"{place}: cannot be written (No space left on device)")
    assert not list(tmp_path.rglob("*.partial"))  # and before its first row there is nothing to go on with

    with no_file_larger_than(20_000):
        line = refusal_of(tmp_path)
    best = tmp_path / "checkpoints" / "best.ckpt"
    assert line == (
        f"{best}: cannot be written (File too large); free or choose another place; "
        f"then go on with: python scripts/train.py resume={tmp_path}"
    )
    assert list(best.parent.iterdir()) == []

    def appending(self, line):
        full() if line.startswith(b"3,") else append(self, line)

    for name in ("checkpoints/last.ckpt", "a row of metrics.csv", "codec.safetensors", "summary.json"):
        place = tmp_path / name.removeprefix("a row of ")
        with monkeypatch.context() as patch:
            if name.startswith("a row"):
                patch.setattr(MetricsTable, "_append", appending)
            else:
                patch.setattr(atomic, "_move", moving)
            line = refusal_of(tmp_path)
        assert line.startswith(f"{place}: cannot be written (No space left on device)")
        assert line.endswith(f"; then go on with: python scripts/train.py resume={tmp_path}")
        assert not list(tmp_path.rglob("*.partial"))
    run(tmp_path)
    assert_same_run(tmp_path, reference)


@pytest.mark.usefixtures("quick")
def test_a_folder_that_is_gone(data, tmp_path, monkeypatch):
    def gone(self, *args):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(tmp_path / "gone.png"))

    monkeypatch.setattr(Crops, "sample", gone)
    assert refusal_of(tmp_path, *words(data, OFTEN)).startswith(f"{tmp_path}/gone.png: ")


def allocate(*args, **kwargs):
    """What torch says on the CPU."""
    torch.empty(1 << 60, dtype=torch.uint8)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("owner", "name", "said"), [
    ("gcn.training.module.GameModule", "_laid_out", "give a smaller data.batch than 2, or a smaller data.crop than 32"),
    ("gcn.training.record.Record", "_validate", "the validation takes validation images as a whole; give smaller ones"),
    ("gcn.training.fit", "with_files", "the evaluation takes validation images as a whole; give smaller ones"),
])  # fmt: skip
def test_too_little_memory_names_what_to_make_smaller(owner, name, said, data, tmp_path, monkeypatch):
    monkeypatch.setattr(f"{owner}.{name}", allocate)
    line = refusal_of(tmp_path, *words(data, "steps=1"))
    assert line.startswith("out of memory (tried to allocate 1152921504606846976 bytes): ")
    assert said in line


def test_what_counts_as_too_little_memory():
    assert is_memory_error(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB."))
    assert is_memory_error(MemoryError())
    assert is_memory_error(OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert not is_memory_error(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


@pytest.mark.usefixtures("quick")
def test_an_error_of_the_program_stays_one(data, tmp_path, monkeypatch):
    def wrong(*args):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Record, "_validate", wrong)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        run(tmp_path, *words(data, "steps=1"))
