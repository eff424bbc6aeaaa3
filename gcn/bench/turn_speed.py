"""Timing of contenders that take turns."""

import statistics
import time
from collections.abc import Callable, Mapping


def seconds(contenders: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each contender in each of ``repeats`` rounds, after one round that is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repeats + 1):
        for name, run in contenders.items():
            begun = time.perf_counter()
            run()
            if turn:
                taken[name].append(time.perf_counter() - begun)
    return taken


def compare(
    contenders: Mapping[str, Callable[[], object]], repeats: int, work: float = 0, unit: str = ""
) -> None:
    """Print median seconds, the median of the ratios to the first contender, and ``work`` units a second."""
    taken = seconds(contenders, repeats)
    first = next(iter(contenders))
    for name, own in taken.items():
        ratio = statistics.median(a / b for a, b in zip(own, taken[first], strict=True))
        rate = f"   {work / statistics.median(own):9.3g} {unit}/s" if work else ""
        print(f"{name:<28}{statistics.median(own):9.3f} s   {ratio:6.2f} of {first}{rate}")
