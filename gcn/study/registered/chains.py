"""Holm's method over chains: one error rate for hypotheses of which some are asked only after others.

Each chain has an equal share of the error rate. Within a chain the steps are tested in order, each with the chain's
share, and a step is tested only if the step before it was rejected. A chain whose last step was rejected hands its
share to the chains that are left, in equal parts. With chains of one step this is Holm's method.

This is the graphical procedure of Bretz, Maurer, Brannath and Posch (2009, "A graphical approach to sequentially
rejective multiple test procedures") whose edges lead from a step to the next one of its chain, and from a last step in
equal parts to the other chains. So the probability of any wrong rejection is at most the error rate, whichever
hypotheses are true.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def adjusted(chains: Mapping[Name, Sequence[float]]) -> dict[Name, list[float]]:
    """Adjusted p of each step of each chain: it is rejected at an error rate exactly if this is not larger.

    Args:
        chains: name to the p of its steps, in order; none of them NaN.
    """
    found: dict[Name, list[float]] = {name: [] for name in chains}
    active = [name for name, steps in chains.items() if steps]
    largest = 0.0
    while active:
        name = min(active, key=lambda one: chains[one][len(found[one])])
        largest = max(largest, min(1.0, chains[name][len(found[name])] * len(active)))
        found[name].append(largest)
        if len(found[name]) == len(chains[name]):
            active.remove(name)
    return found
