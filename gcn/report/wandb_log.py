"""The W&B log of a run, which never prompts, waits a bounded time and never stops a training.

Whether to log online is decided once, at the start: by the ``mode`` that the user gave, else by ``WANDB_MODE`` and
``WANDB_DISABLED``, else by whether a key is configured and the server answers. Otherwise the run is logged offline into
its own folder, also where a variable of the environment is unusable, and one line says why and how to upload it. Any
later failure becomes one warning; ``metrics.csv`` has the numbers in any case.
"""

import contextlib
import os
import re
import secrets
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from gcn.cli.quoting import command
from gcn.errors import InputError
from gcn.files.atomic import make_folder, write_text
from gcn.files.names import printable
from gcn.files.reading import read_text
from gcn.report.environment import environment
from gcn.report.wandb_content import add_codec, add_table, shortened, sweep_of
from gcn.report.wandb_environment import clear, mode_of_the_environment, reason_of, say, take_out_unusable
from gcn.report.wandb_file import steps_in_folder, steps_on_server

REACH_TIMEOUT = 5.0  # seconds for the server to say anything at all
INIT_TIMEOUT = 30.0  # seconds for it to accept the run
ID_FILE = "wandb_id.txt"
LARGEST_ID = 100  # bytes
BEST = {
    "val/psnr": "max",
    "val/ms_ssim": "max",
    "val/swd": "min",
}  # in the run's overview
os.environ.setdefault(
    "WANDB_ERROR_REPORTING", "false"
)  # else wandb looks for a server on import, offline as well


def _reachable(url: str) -> bool:
    """Whether the server answers in time; asked in a thread, since a name look-up has no timeout of its own."""
    answered = threading.Event()

    def ask() -> None:
        try:
            urllib.request.urlopen(url, timeout=REACH_TIMEOUT).close()
        except urllib.error.HTTPError:
            pass  # an error page is an answer
        except (OSError, ValueError):
            return
        answered.set()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACH_TIMEOUT)
    return answered.is_set()


def why_offline(asked: str) -> str | None:
    """Reason why a run cannot be logged online, or None; never prompts.

    Args:
        asked: ``auto``, ``online`` or ``offline``.
    """
    import wandb

    if asked == "offline":
        return "as asked"
    if not wandb.login(prompt=False, verify=False):
        return "no key; `wandb login` stores one"
    url = wandb.setup().settings.base_url
    return None if _reachable(url) else f"{url} does not answer"


def _leave_out_launch() -> None:
    """Spare W&B the import of W&B Launch, which takes a second, where nothing of Launch is imported.

    It would only look there for inputs that the program itself has staged.
    """
    run = getattr(sys.modules["wandb"], "Run", None)
    if run is not None and "wandb.sdk.launch" not in sys.modules:
        run._detect_and_apply_job_inputs = lambda self: None


class WandbRun:
    """Rows and images of one run in W&B, with the generator's update as the axis of every plot.

    Args:
        folder: the run folder. Everything W&B writes goes into its ``wandb/``; the run's id goes into
            ``wandb_id.txt``, so that a resumed run continues the same log.
        project: W&B project. mode: ``auto`` (as described above), ``online``, ``offline`` or ``disabled``.
        ``online`` without a key or
            without an answer is ``offline`` too: a prompt or an error would cost the run.
        name: display name; None for the folder's name.
        group: runs that belong together; None for the sweep that the folder is part of, if there is one.
        entity: user or team; None for the key's default.
        tags: labels; longer ones than W&B takes are cut, and end in an ellipsis.
        config: the resolved configuration; versions and git commit are added as ``environment``.

    After construction ``mode`` is what it came to: ``online``, ``offline`` or ``disabled`` (also after a
    failure).
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        project: str = "gcn",
        mode: str = "auto",
        name: str | None = None,
        group: str | None = None,
        entity: str | None = None,
        tags: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self.mode = Path(folder), "disabled"
        self._run: Any = None
        self._held: set[int] = set()
        if mode == "auto":
            mode = mode_of_the_environment()
        if mode == "disabled":
            return  # not even the import
        options = {
            "project": project, "name": name or printable(self.folder.resolve().name)[:128],
            "group": group or sweep_of(self.folder), "entity": entity, "tags": shortened(tags),
            "config": {**(config or {}), "environment": environment()}, "resume": "allow",
        }  # fmt: skip
        self._guarded("could not start", lambda: self._start(mode, options))

    def log(self, step: int, row: Mapping[str, Any], images: Mapping[str, Path] | None = None) -> None:
        """Log a row of numbers, with image files, unless W&B has it already; None is left out."""
        if self._run is None or step in self._held:
            return

        def send() -> None:
            content = {key: value for key, value in row.items() if value is not None}
            for name, path in (images or {}).items():
                import wandb

                content[name] = wandb.Image(os.fspath(path))
            self._run.log({**content, "step": step})

        self._guarded("stopped logging", send)

    def go_on(
        self, rows: Iterable[Mapping[str, Any]], seen: int, images: Callable[[int], Mapping[str, Path]]
    ) -> None:
        """Continue the log of a run that was stopped: send what W&B lacks, and nothing twice.

        A row that was logged before a kill may not have reached W&B's file or server; what counts is what is there.

        Args:
            rows: of ``metrics.csv``, with their ``step``.
            seen: the last update that ever had a row, which may be beyond the checkpoint.
            images: the image files of an update.
        """
        if self._run is None:
            return
        try:
            self._look()
        except Exception as error:  # of W&B, or of a file of another version
            say(
                f"W&B: what was logged before is unknown ({reason_of(error)}); rows before the stop may be missing"
            )
            self._held = set(range(seen + 1))
        for row in rows:
            self.log(row["step"], row, images(row["step"]))

    def _look(self) -> None:
        online = self.mode == "online"
        self._held = steps_in_folder(self.folder, self._run.id, online)
        if online:
            self._held |= steps_on_server(self._run, int(INIT_TIMEOUT))

    def finish(self, summary: Mapping[str, Any] | None = None) -> None:
        """Add the summary and close the log; online this waits for what is still to be uploaded."""

        def close() -> None:
            add_table(self._run, self.folder)
            add_codec(self._run, self.folder)
            self._run.summary.update(
                {key: value for key, value in (summary or {}).items() if value is not None}
            )
            self._run.finish()

        if self._run is not None:
            self._guarded("could not finish", close)
            self._run = None

    def _guarded(self, what: str, action: Callable[[], Any]) -> None:
        """Call a W&B function that may raise any exception; after the first failure nothing more is logged."""
        try:
            action()
        except Exception as error:
            self._run, self.mode = None, "disabled"
            say(f"W&B: {what} ({reason_of(error)}); metrics.csv has the numbers")

    def _start(self, asked: str, options: dict[str, Any]) -> None:
        foreign = self.folder / "wandb" / "settings"
        if os.path.lexists(foreign):  # W&B reads it where the run folder is the working directory
            raise InputError(f"{printable(foreign)} is no file of a run and may name a server; remove it")
        import wandb

        why_not = "; ".join(take_out_unusable(self.folder)) or None
        options = {**options, "dir": self.folder, "id": self._id()}
        if why_not is None:
            try:
                wandb.setup(wandb.Settings(silent=True))
                why_not = why_offline(asked)
                if why_not is None:
                    self._run, self.mode = self._init("online", options), "online"
            except Exception as error:
                why_not = reason_of(error)
        if why_not is not None:
            try:
                self._run = self._offline(options)
            except Exception as error:  # of W&B's variables together
                why_not += "; its variables in the environment cannot be used"
                if (reason := reason_of(error)) not in why_not:
                    why_not += f": {reason}"
                clear(self.folder)
                self._run = self._offline(options)
            self.mode = "offline"
            where = Path(self._run.settings.sync_dir)
            say(f"W&B: offline ({why_not}); to upload the run later: {command('wandb', 'sync', str(where))}")
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")
        for column, best in BEST.items():
            self._run.define_metric(column, step_metric="step", summary=best)

    def _offline(self, options: dict[str, Any]) -> Any:
        import wandb

        with contextlib.suppress(Exception):  # its process may have died
            wandb.teardown()  # else a failed attempt holds the run's id
        return self._init("offline", options)

    def _init(self, mode: Literal["online", "offline"], options: dict[str, Any]) -> Any:
        import wandb

        _leave_out_launch()
        wandb.setup(wandb.Settings(silent=True))
        settings = wandb.Settings(
            init_timeout=INIT_TIMEOUT, silent=True, console="off", disable_git=True, save_code=False
        )
        return wandb.init(mode=mode, settings=settings, **options)

    def _id(self) -> str:
        """W&B's id of the run, the same after a resume."""
        path = self.folder / ID_FILE
        if not path.exists():
            make_folder(self.folder)
            write_text(path, secrets.token_hex(4) + "\n")
        found = read_text(path, LARGEST_ID).strip()
        if not re.fullmatch(r"[\w-]{1,64}", found, re.ASCII):
            raise InputError(f"{printable(path)}: no id of W&B; remove the file")
        return found
