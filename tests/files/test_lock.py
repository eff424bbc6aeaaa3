"""Two processes never write into one run folder at the same time."""

import contextlib
import errno
import fcntl
import os
import signal
import time

import pytest

from gcn.commands import hydra_command, study
from gcn.errors import InputError
from gcn.files.lock import LOCK_FILE, only_writer


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder until it is killed, with a child of its own; yields its process id."""
    ready, told = os.pipe()
    process = os.fork()
    if process == 0:
        with only_writer(tmp_path):
            child = os.fork()  # as a loading process, which outlives its parent by a few seconds
            if child == 0:
                signal.alarm(20)
            else:
                os.write(told, b"%d" % child)
            while True:
                time.sleep(1)
    child = int(os.read(ready, 20))
    yield process
    for number in (process, child):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def test_a_second_process_is_refused_and_told_who_is_writing(holder, tmp_path):
    with pytest.raises(InputError) as refusal, only_writer(tmp_path):
        pass
    said = str(refusal.value)
    assert said.startswith(f"{tmp_path}: process {holder} on ")
    assert " since 2" in said
    assert "\n" not in said


def test_a_second_resume_is_refused_before_it_changes_anything(holder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py"])
    folder = tmp_path / "run"
    assert hydra_command.main([f"hydra.run.dir={folder}", "mse=1"], lambda cfg: None) == 0
    config = (folder / "config.yaml").read_bytes()
    (tmp_path / LOCK_FILE).rename(folder / LOCK_FILE)
    for words in (["steps=7", f"resume={folder}"], [f"hydra.run.dir={tmp_path / 'link'}", "mse=1"]):
        (tmp_path / "link").mkdir(exist_ok=True)  # a folder in which another process has just begun
        if not (tmp_path / "link" / LOCK_FILE).exists():
            os.link(folder / LOCK_FILE, tmp_path / "link" / LOCK_FILE)
        assert hydra_command.main(words, lambda cfg: pytest.fail("trained")) == 2
        assert f": process {holder} on " in capsys.readouterr().err
    assert (folder / "config.yaml").read_bytes() == config
    assert (tmp_path / "link" / LOCK_FILE).exists()


def test_a_second_study_is_refused(holder, tmp_path):
    play = study._play
    with pytest.raises(InputError, match=f"process {holder} on "):
        play(None, tmp_path, 1, None, tmp_path)


def test_the_lock_of_a_killed_process_is_free_at_once_although_its_children_live(holder, tmp_path):
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    assert (tmp_path / LOCK_FILE).exists()
    with only_writer(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK_FILE).read_text()
    assert list(tmp_path.iterdir()) == []


def test_blocks_of_one_process_may_be_nested(tmp_path):
    with only_writer(tmp_path):
        with only_writer(tmp_path / "." / ".." / tmp_path.name):
            pass
        pid = os.fork()
        if pid == 0:
            try:
                with only_writer(tmp_path):
                    os._exit(1)
            except InputError:
                os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0


def test_a_folder_that_vanishes_ends_quietly(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with only_writer(folder):
        (folder / LOCK_FILE).unlink()
        folder.rmdir()
    with pytest.raises(InputError, match="No such file or directory"), only_writer(folder):
        pass


def test_of_many_processes_at_once_one_writes_at_a_time(tmp_path):
    """Each takes the lock fifty times and notes its name twice: no other name comes between."""
    (tmp_path / "notes").touch()
    children = []
    for name in "abcd":
        child = os.fork()
        if child == 0:
            made = 0
            while made < 50:
                try:
                    with only_writer(tmp_path), (tmp_path / "notes").open("a", buffering=1) as notes:
                        notes.write(name)
                        notes.flush()
                        notes.write(name)
                        made += 1
                except InputError:
                    time.sleep(0.0005)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    notes = (tmp_path / "notes").read_text()
    assert len(notes) == 400
    assert notes[::2] == notes[1::2]


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, capsys):
    def refusing(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refusing)
    with only_writer(tmp_path):
        pass
    assert capsys.readouterr().err.endswith("has no locks; let no other process continue this run\n")


@pytest.mark.parametrize(
    "name", [LOCK_FILE, "summary.json", "checkpoints/last.ckpt", "panels/1.png", "tensorboard/hparams.yaml"]
)
def test_no_run_writes_through_a_link_that_leaves_its_folder(tmp_path, name):
    run, precious = tmp_path / "run", tmp_path / "precious"
    (run / name).parent.mkdir(parents=True)
    precious.write_text("mine")
    (run / name).symlink_to(precious)
    with (
        pytest.raises(InputError, match=f"{name}: a link to .*precious, outside of this folder"),
        only_writer(run),
    ):
        pass
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("name", ["checkpoints", "panels", "tensorboard", "wandb/latest-run"])
def test_no_run_writes_into_a_folder_of_others_through_a_link(tmp_path, name):
    run = tmp_path / "run"
    (run / name).parent.mkdir(parents=True)
    (run / name).symlink_to(tmp_path)
    with pytest.raises(InputError, match=f"{name}: a link to .*, outside of this folder"), only_writer(run):
        pass


def test_links_inside_a_run_folder_are_no_objection(tmp_path):
    run = tmp_path / "run"
    (run / "wandb" / "run-1").mkdir(parents=True)
    (run / "summary.json").touch()
    (run / "latest.json").symlink_to("summary.json")
    (run / "wandb" / "latest-run").symlink_to("run-1")
    with only_writer(run):
        pass


def test_a_system_without_posix_locks_says_so_and_goes_on(tmp_path, monkeypatch, capsys):
    """As on Windows, where an open file cannot be removed either."""
    from gcn.files import lock

    monkeypatch.setattr(lock, "_fcntl", None)
    with only_writer(tmp_path):
        assert (tmp_path / LOCK_FILE).exists()
    assert not (tmp_path / LOCK_FILE).exists()
    assert capsys.readouterr().err.endswith("has no locks; let no other process continue this run\n")
