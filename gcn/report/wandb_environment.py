"""W&B's environment variables: the mode that they set, and those that W&B could not use, with the reason.

W&B refuses a whole run for one bad variable, offline as well. Here such a variable is taken out, named, and the run is
logged offline, for nobody knows which server or account it was meant for.
"""

import os
import re
import sys
from pathlib import Path

from gcn.errors import InputError
from gcn.files.atomic import check_folder, make_folder

MODES = {
    "online": "online",
    "run": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "disabled",
}
LONGEST = {"WANDB_NAME": 128, "WANDB_RUN_GROUP": 128}  # characters, which the server refuses later
ON = ("1", "on", "yes", "true")


def say(line: str) -> None:
    """Print a line for the user."""
    print(line, file=sys.stderr, flush=True)


def reason_of(error: Exception) -> str:
    """The reason of an error in one line; pydantic's errors have it in their details."""
    details = getattr(error, "errors", None)
    text = details()[0]["msg"] if callable(details) else next(iter(str(error).splitlines()), "")
    return text.removeprefix("Value error, ").rstrip(".")[:160] or type(error).__name__


def mode_of_the_environment() -> str:
    """The mode that the variables set, ``auto`` if they set none."""
    disabled, mode = (os.environ.get(name, "").strip().lower() for name in ("WANDB_DISABLED", "WANDB_MODE"))
    if disabled in ON or mode == "disabled":
        name = "WANDB_DISABLED" if disabled in ON else "WANDB_MODE"
        say(f"W&B: off ({name}={os.environ[name]}); metrics.csv has the numbers")
        return "disabled"
    return MODES.get(mode, "auto")


def take_out_unusable(folder: Path) -> list[str]:
    """Remove variables that W&B could not use from the environment; returns the problem of each.

    Args:
        folder: of the run; W&B's cache goes there where the user's own folder cannot be written.
    """
    found = []
    for name in sorted(name for name in os.environ if name.startswith("WANDB_")):
        problem = _problem(name, os.environ[name])
        if problem is not None:
            found.append(f"{name} is unusable: {problem}")
        if problem is not None or not os.environ[name]:
            del os.environ[name]
    return found + _place(folder)


def clear(folder: Path) -> None:
    """Remove all of W&B's variables and keys; W&B then writes into the run folder alone."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        del os.environ[name]
    os.environ |= {"NETRC": os.devnull} | dict.fromkeys(_places(), str(folder / "wandb"))


def _problem(name: str, value: str) -> str | None:
    """Reason why W&B could not use a variable; None if it can."""
    import wandb

    try:
        if value:
            wandb.Settings().update_from_env_vars({name: value})
    except Exception as error:  # W&B raises all sorts
        return reason_of(error)
    if name.endswith("_FILE") and value and not Path(value).is_file():
        return "no such file"
    if name == "WANDB_ENTITY" and not re.fullmatch(r"[\w.-]*", value):
        return "a user or team has letters, digits, - and _ only"
    if len(value) > LONGEST.get(name, len(value)):
        return f"longer than {LONGEST[name]} characters"
    return _of_the_key(value) if name == "WANDB_API_KEY" else None


def _of_the_key(key: str) -> str | None:
    try:
        from wandb.sdk.lib.wbauth.validation import check_api_key
    except ImportError:  # another version, which says so itself, and the run is logged offline
        return None
    problem = check_api_key(key) if key else None
    return problem.rstrip(".") if problem else None


def _places() -> dict[str, str]:
    """W&B's variables that name folders, with their defaults."""
    import platformdirs

    return {
        "WANDB_CACHE_DIR": platformdirs.user_cache_dir("wandb"),
        "WANDB_CONFIG_DIR": platformdirs.user_config_dir("wandb"),
        "WANDB_DATA_DIR": platformdirs.user_data_dir("wandb"),
    }


def _place(folder: Path) -> list[str]:
    """Move W&B's folders that cannot be written into the run folder; returns those that the user had named."""
    found = []
    for name, default in _places().items():
        try:
            check_folder(name, make_folder(os.environ.get(name, default)))
        except InputError as problem:
            if name in os.environ:
                found.append(f"{name} is unusable: {problem}")
            os.environ[name] = str(folder / "wandb")
    return found
