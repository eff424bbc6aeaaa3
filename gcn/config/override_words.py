"""Overrides as words: their keys, their normal form, and those that no job may say."""

from collections.abc import Sequence

from hydra.core.override_parser.types import Override

from gcn.cli.invocation import as_called
from gcn.config.offered import Root, defaults_of, is_group
from gcn.config.several import GROUPS, spelled
from gcn.errors import InputError
from gcn.schema.fields import suggestion


def key_of(word: str) -> str:
    """Key of an override: ``optim.g.lr`` of ``optim.g.lr=1e-4``."""
    return word.partition("=")[0]


def hydra_key(word: str) -> str:
    """Key of an override without leading signs: ``hydra.mode`` of ``++hydra.mode=RUN``."""
    return key_of(word).lstrip("+~")


def is_hydras(word: str) -> bool:
    """Whether an override sets Hydra itself: ``hydra.run.dir=DIR``, ``hydra/launcher=joblib``."""
    return word.lstrip("+~").startswith(("hydra.", "hydra/"))


def normal(words: Sequence[str]) -> list[str]:
    """The override without ``+`` or ``++`` before its key.

    Every key is declared, so there is nothing to append to: ``+mse=1``, ``++mse=1`` and ``mse=1`` mean the
    same. Hydra itself refuses ``+mse=1`` where mse has a value already.
    """
    return [word if is_hydras(word) else spelled(word.lstrip("+")) for word in words]


def refuse_doubled(words: Sequence[str]) -> None:
    """Raise InputError if a word of a command line is given twice, of which the last would count without a remark.

    Hydra's own words are left out: a process that repeats the words of another adds some of them.
    """
    said: dict[str, str] = {}
    for word in words:
        key = hydra_key(word)
        if not is_hydras(word) and key in said:
            raise InputError(f"{said[key]} and {word}: {key} is given twice; drop one of them")
        said[key] = word


def refuse_what_no_job_may_say(override: Override, offered: dict[str, list[str]], root: Root) -> None:
    """Raise InputError for an override that means nothing in a single job."""
    word, name = str(override.input_line), override.key_or_group
    if is_hydras(word):
        return
    if not name:
        raise InputError(f"{word}: no key; write key=value")
    if override.is_delete():
        raise InputError(f"{word}: nothing can be deleted; a weight is switched off by null")
    if override.is_sweep_override():
        raise InputError(f"{word}: several values need -m; a list is written [a,b]")
    if override.package is not None or "/" in name:
        raise InputError(f"{word}: no such group; {suggestion(name, offered)}")
    if name not in offered and is_group(root, name):
        command = as_called(f"scripts/{root.name}.py")
        raise InputError(f"{word}: no group of {command}, which has {', '.join(offered)}")
    if name in offered:
        _refuse_no_choice(override, offered[name], {name: None} in defaults_of(root))


def _refuse_no_choice(override: Override, offered: Sequence[str], optional: bool) -> None:
    word, name, choice = str(override.input_line), override.key_or_group, override.value()
    if choice is None and optional:
        raise InputError(f"{word}: is so without the word; drop it")
    if name in GROUPS and isinstance(choice, list) and choice:
        unknown = [one for one in choice if one not in offered]
        if unknown:
            raise InputError(f"{word}: no {name} {unknown[0]}; choose from {', '.join(offered)}")
        return
    if not isinstance(choice, str):
        said, own = word.partition("=")[2], ""
        if name in GROUPS:
            own = f", or several, {name}=[a,b]; for a class write {name}.NAME={{_target_: CLASS, ARGUMENT: VALUE}}"
        raise InputError(f"{name}={said}: takes exactly one of {', '.join(offered)}{own}")
    if choice.startswith("_"):
        raise InputError(f"{word}: no such choice; {name} is one of {', '.join(offered)}")
