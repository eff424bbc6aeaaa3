"""train.log in the run folder: what the terminal said, what libraries warned of, with times, over every resume."""

import logging
import re
import sys
import warnings

import pytest
from runs import images, run, words

from gcn.errors import InputError
from gcn.training.log import run_log
from gcn.training.module import GameModule

pytestmark = pytest.mark.usefixtures("quick")
TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING|ERROR) ")


@pytest.fixture
def before():
    """The streams and handlers of this process are as they were."""
    loggers = [
        logging.getLogger(name)
        for name in (None, "lightning.pytorch", "lightning.fabric", "gcn.cli.terminal")
    ]

    def state():
        of_loggers = [(list(logger.handlers), logger.propagate) for logger in loggers]
        return sys.stdout, sys.stderr, warnings.showwarning, of_loggers

    now = state()
    yield
    assert state() == now


@pytest.mark.usefixtures("before")
def test_a_run_and_its_resume_are_in_one_log(tmp_path, monkeypatch, capsys):
    data = images(tmp_path / "data")
    folder, step = tmp_path / "run", GameModule.training_step

    def noisy(self, batch, index):
        if index == 1:
            (data / "train" / "3.png").unlink(missing_ok=True)
            warnings.warn("a library's doubt", RuntimeWarning, stacklevel=1)
            logging.getLogger("some.library").warning("a library's word")
            logging.getLogger("lightning.pytorch").info("Lightning's advice")
        step(self, batch, index)

    monkeypatch.setattr(GameModule, "training_step", noisy)
    run(folder, *words(data, "steps=9 data.cache_bytes=0 checkpoint_every=9"))
    first = (folder / "train.log").read_text()
    seen = capsys.readouterr()
    for line in (
        "images 7",
        "a library's doubt",
        "a library's word",
        "Lightning's advice",
        "3.png went bad",
        "verdict ",
    ):
        assert first.count(line) == 1, line
    for line in seen.out.splitlines():
        assert line in first
    assert "Lightning's advice" not in seen.err
    assert all(TIME.match(line) for line in first.splitlines())
    assert first.count("training: ") == 1  # the last state of the bar
    run(folder, steps=10)
    both = (folder / "train.log").read_text()
    assert both.startswith(first)
    assert both.count("the run has ended") == 2


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize(("error", "lines"), [(InputError, 1), (KeyError, 5)])
def test_how_a_run_ended_is_its_last_entry(error, lines, tmp_path):
    def end():
        with run_log(tmp_path):
            raise error("why it ended")

    with pytest.raises(error):
        end()
    said = (tmp_path / "train.log").read_text()
    assert "ERROR" in said
    assert "why it ended" in said
    assert ("Traceback" in said) == (lines > 1)


def test_a_name_that_cannot_be_printed_is_logged(tmp_path, monkeypatch):
    monkeypatch.setattr(
        logging.getLogger(), "handlers", []
    )  # pytest-xdist cannot send what pytest's would keep
    with run_log(tmp_path):
        logging.getLogger("some.library").warning("caf\udce9.png")
    assert "caf\\udce9.png" in (tmp_path / "train.log").read_text()


def test_a_log_that_cannot_be_written_is_refused_in_one_line(tmp_path):
    (tmp_path / "train.log").mkdir()
    with pytest.raises(InputError, match=r"train\.log") as refusal, run_log(tmp_path):
        pass
    assert "\n" not in str(refusal.value)
