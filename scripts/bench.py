"""Measure what code costs: ``python scripts/bench.py NAME [games=100000] [steps=500] [repeats=3] [threads=2]``.

NAME is

  lab      Dirac games with weights and step sizes of their own: the production losses and rule, against the bare
           formulas differentiated by hand-vectorised autograd

The contenders take turns in one process, since the speed of a shared machine changes from minute to minute; what
counts is the ratio.
"""

import statistics
import sys
import time
from collections.abc import Callable

from gcn.errors import InputError


def lab(games: int, steps: int, repeats: int, threads: int) -> None:
    import torch
    from torch.nn.functional import softplus

    from gcn.lab.arena import Arena, play
    from gcn.lab.games import Dirac
    from gcn.lab.players import SGD
    from gcn.losses.adversarial import NonSaturating
    from gcn.losses.distortion import MSE
    from gcn.losses.objective import Objective
    from gcn.losses.penalties import R1

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    mu, gamma, h = torch.rand(3, games, dtype=torch.float64)
    start = torch.ones(games, 2, dtype=torch.float64)

    def production() -> torch.Tensor:
        objective = Objective(NonSaturating(), 1.0, {"mse": (mu, MSE(unit=255.0)), "r1": (gamma, R1())})
        return play(Arena(Dirac(), objective, optimizer=lambda p: SGD(p, h)), start, steps, every=steps)[-1]

    def bare() -> torch.Tensor:
        theta, psi = (column.clone().requires_grad_() for column in start.T)
        for _ in range(steps):
            d = softplus(0 * psi) + softplus(psi * theta.detach()) + gamma / 2 * psi**2
            (slope,) = torch.autograd.grad(d.sum(), psi)
            psi = (psi - h * slope).detach().requires_grad_()
            g = softplus(-psi.detach() * theta) + mu * theta**2
            (slope,) = torch.autograd.grad(g.sum(), theta)
            theta = (theta - h * slope).detach().requires_grad_()
        return torch.stack([theta, psi], dim=1).detach()

    assert torch.allclose(production(), bare(), atol=1e-9)
    print(f"{games} games, {steps} updates, {threads} threads")
    compare({"production": production, "bare losses": bare}, repeats)


def compare(contenders: dict[str, Callable[[], object]], repeats: int) -> None:
    """Let the contenders take turns; print median seconds and the median of their ratios in each turn."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            begun = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begun)
    first = next(iter(contenders))
    for name, taken in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(taken, seconds[first], strict=True))
        print(f"{name:<14}{statistics.median(taken):8.2f} s   {ratio:5.2f} of {first}")


BENCHMARKS = {"lab": lab}


def main(words: list[str]) -> int:
    if not words or {"-h", "--help"} & set(words):
        print(__doc__)
        return 0
    name, *options = words
    numbers = {"games": 100_000, "steps": 500, "repeats": 3, "threads": 2}
    try:
        if name not in BENCHMARKS:
            raise InputError(f"{name}: no such benchmark; choose {', '.join(BENCHMARKS)}")
        for option in options:
            key, _, value = option.partition("=")
            if key not in numbers or not value.isdigit() or int(value) < 1:
                raise InputError(
                    f"{option}: give {', '.join(f'{key}=N' for key in numbers)} with N of 1 or more"
                )
            numbers[key] = int(value)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    BENCHMARKS[name](**numbers)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
