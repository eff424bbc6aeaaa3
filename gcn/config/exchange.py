"""Other choices of groups in a composition, without Hydra, where each choice is about its own group alone.

Hydra takes a tenth of a second for a composition, which a study or a sweep with hundreds of arms pays for each. Most
files of ``conf/`` set nothing but the node that is named after their group. With one of them in place of another, the
composition differs in that node and nowhere else.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from gcn.config.several import is_list, names
from gcn.config.sources import load

_NAME = re.compile(r"[a-z]\w*", re.ASCII)
_ITSELF = "_self_"  # in a defaults list: the file's own content, which is last unless the list says otherwise


def apart(defaults: Mapping[str, str | None], folders: Sequence[Path]) -> bool:
    """Whether the files of these choices, by group, set nothing but their own nodes."""
    return all(c is None or node(group, c, folders) is not None for group, c in defaults.items())


def node(group: str, choice: str, folders: Sequence[Path]) -> DictConfig | None:
    """What the file of a choice and the files that it builds on make of their group's node.

    Args:
        group: its name.
        choice: its name, or a list of several, whose nodes are merged in their order.
        folders: where the groups are; of two files of one name, that in the earlier folder counts.

    Returns:
        None if there is no such file, or if it may set anything outside of the node.
    """
    if is_list(group, choice):
        return _merged([node(group, one, folders) for one in names(choice)])
    paths = (folder / group / f"{choice}.yaml" for folder in folders)
    path = next((path for path in paths if path.is_file()), None)
    if path is None or not _NAME.fullmatch(choice):
        return None
    content, header = load(path)
    if not isinstance(content, DictConfig) or header["package"] is not None:
        return None
    bases = list(content.pop("defaults", []))
    if bases[-1:] == [_ITSELF]:
        bases.pop()
    below = [node(group, base, folders) if isinstance(base, str) else None for base in bases]
    return _merged([*below, content])


def _merged(nodes: Sequence[DictConfig | None]) -> DictConfig | None:
    merged = OmegaConf.create()
    for one in nodes:
        if one is None:
            return None
        merged.merge_with(one)
    return merged
