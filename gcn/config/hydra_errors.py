"""Errors of Hydra and OmegaConf as one line each."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from gcn.cli.extras import install
from gcn.cli.quoting import command
from gcn.cli.quoting import word as word_of
from gcn.errors import InputError
from gcn.files.atomic import cannot_write
from gcn.schema.fields import suggestion

EXTRA = "sweeps"  # of gcn, with the packages of some choices
PLUGINS = {  # choices of Hydra's that come with packages: of the extra, or others
    "hydra/launcher": {
        "joblib": EXTRA, "submitit_local": EXTRA, "submitit_slurm": EXTRA,
        "ray": "hydra-ray-launcher", "ray_aws": "hydra-ray-launcher", "rq": "hydra-rq-launcher",
    },
    "hydra/sweeper": {"optuna": EXTRA, "ax": "hydra-ax-sweeper", "nevergrad": "hydra-nevergrad-sweeper"},
}  # fmt: skip


@contextmanager
def one_line_errors(place: str | Path = "the run folder") -> Iterator[None]:
    """Turn the exceptions of Hydra and OmegaConf in the block into :class:`InputError` of one line.

    Args:
        place: where Hydra writes, for errors of the file system.
    """
    try:
        yield
    except MissingConfigException as error:
        group, _, choice = (error.missing_cfg_file or "").rpartition("/")
        if not group or not error.options:
            raise InputError(_line(error)) from None
        package = PLUGINS.get(group, {}).get(choice)
        if package is not None:
            remedy = install(EXTRA) if package == EXTRA else f"pip install {package}"
            raise InputError(f"{group}={choice}: needs a package that is not installed; {remedy}") from None
        choices = [option for option in error.options if not option.startswith("_")]
        options = ", ".join(sorted(choices))
        near = suggestion(choice, choices, otherwise="no similar name")
        raise InputError(f"{group}={choice}: no such choice; {near} (of {options})") from None
    except OverrideParseException as error:
        raise InputError(f"{error.override}: {_remedy(error)}") from None
    except OmegaConfBaseException as error:
        name = f"{error.full_key}: " if error.full_key else ""
        raise InputError(name + str(error).split("\n", 1)[0]) from None
    except InputError:
        raise
    except OSError as error:
        raise cannot_write(error.filename or place, error) from None
    except UserWarning as error:  # of Hydra, which would go on
        raise InputError(_line(error)) from None
    except (HydraException, yaml.YAMLError, ValueError, TypeError) as error:
        raise InputError(_line(error)) from None
    except Exception as error:  # Hydra's assertions, and plugins
        raise InputError(f"{type(error).__name__}: {_line(error)}") from None


def _remedy(error: OverrideParseException) -> str:
    """Advice for an override that Hydra cannot parse: most often its value needs quotes."""
    key, sign, text = str(error.override).partition("=")
    if not key.lstrip("+~") or not sign:
        return "no value; settings are written name=value, for instance mse=1"
    return f"not readable; write key=value, and special characters in quotes: {command(word_of(key, text))}"


def _line(error: BaseException) -> str:
    cause = f" {error.__cause__}" if error.__cause__ is not None else ""
    return " ".join(f"{error}{cause}".split())
