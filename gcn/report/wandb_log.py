"""The W&B log of a run, which never asks, never waits long and never stops a training.

Whether to log online is decided once, at the start: by the ``mode`` that the user gave, else by
``WANDB_MODE``, else by whether a key is configured and the server answers. Otherwise the run is logged
offline into its own folder, and one line says how to upload it. Any later failure becomes one warning;
``metrics.csv`` has the numbers in any case.
"""

import os
import secrets
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gcn.files.atomic import make_folder, write_text

REACH_TIMEOUT = 5.0  # seconds for the server to say anything at all
INIT_TIMEOUT = 30.0  # seconds for it to accept the run
ID_FILE = "wandb_id.txt"
os.environ.setdefault(
    "WANDB_ERROR_REPORTING", "false"
)  # else wandb looks for a server on import, offline as well


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")[:120] or type(error).__name__


def _reachable(url: str) -> bool:
    """Whether the server answers in time. In a thread: looking up a name has no timeout of its own."""
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
    """What keeps a run from being logged online, or None; nothing is asked on the terminal.

    Args:
        asked: ``auto``, ``online`` or ``offline``.
    """
    import wandb

    if asked in ("offline", "dryrun"):
        return "as asked"
    if not wandb.login(prompt=False, verify=False):
        return "no key; `wandb login` stores one"
    url = wandb.setup().settings.base_url
    return None if _reachable(url) else f"{url} does not answer"


class WandbRun:
    """Rows and images of one run in W&B, with the generator's update as the axis of every plot.

    Args:
        folder: the run folder. Everything W&B writes goes into its ``wandb/``; the run's id goes into
            ``wandb_id.txt``, so that a resumed run continues the same log.
        project: W&B project. mode: ``auto`` (as described above), ``online``, ``offline`` or ``disabled``.
        ``online`` without a key or
            without an answer is ``offline`` too: a prompt or an error would cost the run.
        name: display name; None for the folder's name.
        group: runs that belong together, for instance a sweep.
        entity: user or team; None for the key's default.
        tags: labels.
        config: the resolved configuration.

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
        self._skip = -1
        if mode == "auto":
            mode = os.environ.get("WANDB_MODE", "auto")
        if mode == "disabled":
            return  # not even the import
        options = {
            "project": project, "name": name or self.folder.resolve().name, "group": group, "entity": entity,
            "tags": list(tags), "config": dict(config or {}), "resume": "allow",
        }  # fmt: skip
        self._guarded("could not start", lambda: self._start(mode, options))

    def log(self, step: int, row: Mapping[str, Any]) -> None:
        """Log a row of numbers; None is left out."""
        if self._run is not None and step > self._skip:
            content = {key: value for key, value in row.items() if value is not None}
            self._guarded("stopped logging", lambda: self._run.log({**content, "step": step}))

    def image(self, step: int, name: str, path: str | os.PathLike[str]) -> None:
        """Log an image file, for instance a panel."""
        if self._run is not None and step > self._skip:
            import wandb

            self._guarded(
                "stopped logging", lambda: self._run.log({name: wandb.Image(os.fspath(path)), "step": step})
            )

    def skip_until(self, step: int) -> None:
        """Send nothing up to and including ``step``: that was sent before the run was resumed."""
        self._skip = step

    def finish(self, summary: Mapping[str, Any] | None = None) -> None:
        """Add the summary and close the log; online this waits for what is still to be uploaded."""

        def close() -> None:
            self._run.summary.update(
                {key: value for key, value in (summary or {}).items() if value is not None}
            )
            self._run.finish()

        if self._run is not None:
            self._guarded("could not finish", close)
            self._run = None

    def _guarded(self, what: str, action: Callable[[], Any]) -> None:
        """Run what may fail in W&B's hands, which raise all sorts; the first failure is the last."""
        try:
            action()
        except Exception as error:
            self._run, self.mode = None, "disabled"
            _say(f"W&B: {what} ({_first_line(error)}); metrics.csv has the numbers")

    def _start(self, asked: str, options: dict[str, Any]) -> None:
        import wandb

        wandb.setup(wandb.Settings(silent=True))
        settings = wandb.Settings(
            init_timeout=INIT_TIMEOUT, silent=True, console="off", disable_git=True, save_code=False
        )
        options = {**options, "dir": self.folder, "id": self._id(), "settings": settings}
        why_not = why_offline(asked)
        if why_not is None:
            try:
                self._run, self.mode = wandb.init(mode="online", **options), "online"
            except Exception as error:
                why_not = _first_line(error)
                wandb.teardown()  # else the failed attempt holds the run's id
                wandb.setup(wandb.Settings(silent=True))
        if why_not is not None:
            self._run, self.mode = wandb.init(mode="offline", **options), "offline"
            where = Path(self._run.settings.sync_dir)
            _say(f"W&B: offline ({why_not}); to upload the run later: wandb sync {where}")
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def _id(self) -> str:
        path = self.folder / ID_FILE
        if not path.exists():
            make_folder(self.folder)
            write_text(path, secrets.token_hex(4) + "\n")
        return path.read_text().strip()
