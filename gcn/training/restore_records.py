"""Checks of the callbacks' states in a checkpoint: types and ranges of what a run has recorded."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gcn.training.restore_tensors import check_tensor

LARGEST_STEP = 10**12
NUMBERS = 10**5  # plain values in a history, at most


def check_records(states: Mapping[Any, Any]) -> None:
    """Raise ValueError if the state of a callback that a run restores is not as it was written.

    These are the project's own, and Lightning's Timer, which keeps the time of ``trainer.max_time``.
    """
    for name, check in (
        ("Record", _check_record),
        ("Verdict", _check_verdict),
        ("BadImages", _check_bad_images),
        ("SameData", _check_same_data),
        ("Timer", _check_timer),
    ):
        if name in states:
            check(states[name])


def _texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _check_bad_images(found: Any) -> None:
    """Check the state of :class:`gcn.training.bad_images.BadImages`."""
    if not isinstance(found, dict) or not _texts(found.get("names")):
        raise ValueError("the list of bad images is damaged")


def _check_timer(found: Any) -> None:
    """Check the state of Lightning's Timer: seconds in each kind of loop."""
    elapsed = found.get("time_elapsed", {}) if isinstance(found, dict) else None
    if not isinstance(elapsed, dict) or not all(
        type(seconds) in (int, float) and 0 <= seconds < math.inf for seconds in elapsed.values()
    ):
        raise ValueError("the time that the run has taken is damaged")


def _check_same_data(found: Any) -> None:
    """Check the state of :class:`gcn.training.same_data.SameData`: digests of images, and what has changed."""
    digests = found.get("validation") if isinstance(found, dict) else None
    if not isinstance(digests, dict) or not _texts([*digests, *digests.values()]):
        raise ValueError("the digests of the validation images are damaged")
    if not isinstance(found.get("training"), str | None) or type(found.get("training_images")) is not int:
        raise ValueError("the digest of the training images is damaged")
    if not _texts(found.get("changes")):
        raise ValueError("the list of changed images is damaged")


def _check_record(found: Any) -> None:
    """Check the state of :class:`gcn.training.record.Record`: best value, some crops, the watchdog's history."""
    if not isinstance(found, dict) or not {"best", "before", "watchdog"} <= set(found):
        raise ValueError("the record of the run is damaged")
    best, before = found["best"], found["before"]
    if type(best) is not float or math.isnan(best):
        raise ValueError("the best validation so far is no number")
    check_crops(before)
    _check_watchdog(found["watchdog"])


def check_crops(before: Any) -> None:
    """Raise ValueError unless these are crops (3, h, w) by image, as :class:`gcn.training.jitter.Jitter` keeps them."""
    named = isinstance(before, dict) and all(isinstance(name, str) for name in before)
    if not (named or isinstance(before, list)) or len(before) > 64:  # a list in older checkpoints
        raise ValueError("the last validation's crops are damaged")
    for crop in before.values() if isinstance(before, dict) else before:
        sides = tuple(crop.shape[1:]) if isinstance(crop, Tensor) and crop.dim() == 3 else (0, 0)
        if max(sides) > 4096:
            raise ValueError("the last validation's crops are damaged")
        check_tensor("a crop of the last validation", crop, (3, *sides), torch.float32)


def _check_verdict(found: Any) -> None:
    """Check the state of :class:`gcn.training.verdict.Verdict`: the watchdog's history and the rows so far."""
    if not isinstance(found, dict) or not {"watchdog", "names", "numbers", "there"} <= set(found):
        raise ValueError("the rows of the verdict are damaged")
    names, numbers, there = found["names"], found["numbers"], found["there"]
    if not _texts(names) or len(set(names)) < len(names):
        raise ValueError("the names of the verdict's rows are damaged")
    rows = numbers.shape[0] if isinstance(numbers, Tensor) and numbers.dim() == 2 else 0
    for name, part, dtype in (("numbers", numbers, torch.float64), ("there", there, torch.bool)):
        if not isinstance(part, Tensor) or part.dtype != dtype or part.shape != (rows, len(names)):
            raise ValueError(f"the {name} of the verdict's rows are damaged")
    if rows:
        steps = numbers[:, names.index("step")] if "step" in names else torch.full((1,), math.nan)
        known = there[:, names.index("step")].all() if "step" in names else torch.tensor(False)
        if not (bool(known) and bool((steps >= 0).all()) and bool((steps <= LARGEST_STEP).all())):
            raise ValueError("the verdict's rows are of no updates")
    _check_watchdog(found["watchdog"])


def _check_watchdog(found: Any) -> None:
    history, beyond = (found.get(name) if isinstance(found, dict) else None for name in ("history", "beyond"))
    if not isinstance(history, dict) or not isinstance(beyond, dict):
        raise ValueError("the watchdog's history is damaged")
    lists = list(history.values())
    if not all(isinstance(v, list) for v in lists) or sum(map(len, lists)) > NUMBERS:
        raise ValueError("the watchdog's history is damaged")
    if not all(isinstance(name, str) for name in [*history, *beyond]):
        raise ValueError("the watchdog's history is damaged")
    if not all(type(v) is float and 0 <= v < math.inf for values in lists for v in values):
        raise ValueError("the watchdog's history has values that are no magnitudes")
    if not all(type(v) is int and 0 <= v <= LARGEST_STEP for v in beyond.values()):
        raise ValueError("the watchdog's counts are damaged")
