"""Benchmark of one update: gcn against a plain loop, and against the arithmetic that the machine can do at best.

Each contender is a process of its own, so that its memory is its own; they take turns, and wait while another computes.
"""

import multiprocessing
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import product
from typing import Any, NamedTuple, Self

from gcn.bench.step_contenders import CONTENDERS, device, precision, serve
from gcn.config.parse import parse
from gcn.errors import InputError

OWN = ("data.crop", "data.batch", "steps")  # set by words of the benchmark, or without a meaning here


class Measured(NamedTuple):
    """What was measured of a contender: seconds of an update in each round, and the largest memory in bytes."""

    seconds: list[float]
    memory: int


class Contender:
    """A process that makes updates when it is told to; ends with the block."""

    def __init__(self, *task: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, *task), daemon=True)
        self.process.start()
        other.close()
        self.operations = int(self.ask())

    def ask(self, updates: int | None = None) -> float:
        """The answer to a number of updates; see :func:`gcn.bench.step_contenders.serve`."""
        if updates is not None:
            self.pipe.send(updates)
        try:
            answer = self.pipe.recv()
        except EOFError:
            raise InputError(
                "a contender's process ended early: out of memory? give a smaller crop or batch"
            ) from None
        if isinstance(answer, InputError):
            raise answer
        return float(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.process.terminate()
        self.process.join()


def bench(
    words: list[str],
    crop: list[int],
    batch: list[int],
    against: list[str],
    updates: int,
    repeats: int,
    threads: int,
) -> None:
    """Time an update of the game that ``words`` describe, for each crop and batch.

    Args:
        words: of scripts/train.py.
        crop: sides of the images, in pixels.
        batch: images of an update, for each of D's turns.
        against: further contenders.
        updates: of each contender in each round.
        repeats: rounds that are counted, after one that is not.
        threads: of torch, on the CPU.
    """
    if unknown := [name for name in against if name not in CONTENDERS or name == "gcn"]:
        raise InputError(
            f"against={unknown[0]}: choose of {', '.join(name for name in CONTENDERS if name != 'gcn')}"
        )
    if taken := [word for word in words if word.lstrip("+").partition("=")[0] in OWN]:
        raise InputError(
            f"words={taken[0]}: give crop= and batch= of the benchmark; an update has no number of steps"
        )
    for side, count in product(crop, batch):
        game = [*words, f"data.crop={side}", f"data.batch={count}"]
        parse(game)  # refused here, in a line
        operations, measured, peak = _measure(game, side, count, ["gcn", *against], updates, repeats, threads)
        print(f"{' '.join(words)}, crops of {side} pixels, batch {count}")
        _show(operations, measured, peak)


def _measure(
    words: Sequence[str],
    crop: int,
    batch: int,
    names: Sequence[str],
    updates: int,
    repeats: int,
    threads: int,
) -> tuple[int, dict[str, Measured], float]:
    """Operations of gcn's update, what was measured of each contender, and the machine's best operations a second."""
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(Contender(name, words, crop, batch, threads))
            for name in (*names, "floor")
        }
        seconds: dict[str, list[float]] = {name: [] for name in running}
        for turn in range(repeats + 1):
            for name, contender in running.items():
                taken = contender.ask(updates)
                if turn:
                    seconds[name].append(taken)
        measured = {name: Measured(seconds[name], int(running[name].ask(0))) for name in names}
        return running["gcn"].operations, measured, running["floor"].operations / min(seconds["floor"])


def _show(operations: int, measured: dict[str, Measured], peak: float) -> None:
    kind = "seconds" if device() == "cuda" else "CPU seconds"
    print(f"{'':<14}{kind:>14}{'fastest, slowest':>20}{'of gcn, median':>18}{'memory':>12}")
    first = measured["gcn"].seconds
    for name, (seconds, memory) in measured.items():
        ratio = statistics.median(own / base for own, base in zip(seconds, first, strict=True))
        spread = f"{min(seconds):.4g}, {max(seconds):.4g}"
        print(
            f"{name:<14}{statistics.median(seconds):>14.4g}{spread:>20}{ratio:>18.2f}{memory / 2**30:>8.2f} GiB"
        )
    floor = operations / peak
    print(
        f"{'floor':<14}{floor:>14.4g}{'':>20}{floor / statistics.median(first):>18.2f}"
        f"    {operations / 1e12:.3g} TFLOP an update, {peak / 1e9:.4g} GFLOP/s in matrix products ({precision()})\n"
    )
