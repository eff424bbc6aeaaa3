"""Several choices of one group: ``logger=[csv,tensorboard]``, ``callbacks=[early_stopping,checkpoint]``.

Their choices are merged into one node, in alphabetical order; in ``choices`` of a configuration they are the text
``[csv,tensorboard]``.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

GROUPS = ("logger", "callbacks")
_NAMES = re.compile(r"\w+(\s*,\s*\w+)*", re.ASCII)
_LIST = re.compile(r"\[\s*(\w+(?:\s*,\s*\w+)*)\s*\]", re.ASCII)


def names(choice: Any) -> list[str]:
    """The single choices in the text of one: two in ``[csv,wandb]``, one in ``csv``."""
    found = _LIST.fullmatch(str(choice))
    return [str(choice)] if found is None else sorted({name.strip() for name in found[1].split(",")})


def text(choice: Any) -> str:
    """The choice in its one spelling, sorted and without spaces: ``csv`` or ``[csv,wandb]``."""
    chosen = names(choice)
    return chosen[0] if len(chosen) == 1 else f"[{','.join(chosen)}]"


def spelled(word: str) -> str:
    """An override in which a list of choices has its one spelling; any other override as it is.

    ``callbacks=null`` is ``callbacks=none``, since a choice of a group is the name of a file.
    """
    key, _, choice = word.partition("=")
    if key.lstrip("+") == "callbacks" and _NAMES.fullmatch(choice):  # one, or those of a sweep
        return f"{key}={','.join('none' if name.strip() == 'null' else name for name in choice.split(','))}"
    return f"{key}={text(choice)}" if key.lstrip("+") in GROUPS and _LIST.fullmatch(choice) else word


def is_list(group: str, choice: Any) -> bool:
    """Whether this is a list of choices, of a group that allows one."""
    return group in GROUPS and isinstance(choice, str) and choice == text(choice) and choice.startswith("[")


def chosen_lists(words: Sequence[str]) -> Mapping[str, str]:
    """The lists of choices among overrides, by group, of which the last one counts; Hydra does not keep them."""
    last = dict(word.partition("=")[::2] for word in words)
    return {key: choice for key, choice in last.items() if is_list(key, choice)}
