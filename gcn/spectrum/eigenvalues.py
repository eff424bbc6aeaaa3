"""Eigenvalues of operators too large for a matrix, and the share of rotation in them.

Two ways to the eigenvalues at the rim of the spectrum. :func:`leading` asks ARPACK for a few of one kind until they
are exact. :class:`Krylov` spends a fixed number of products and reads all kinds from the same space, each with its
residual: on a network the largest real parts sit in a cluster a hundred times smaller than the stiffest direction,
where ARPACK's restarts spend many more products and may end with nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs
from torch import Tensor

from gcn.spectrum.linearised import Linearised

Apply = Callable[[Tensor], Tensor]
Found = list[tuple[complex, float]]  # eigenvalues with their residuals
TINY = 1e-300
# Relative residuals up to which eigenvalues count as converged; those of an update are all near 1.
TOLERANCE = {"eigenvalues": 1e-2, "largest": 1e-2, "rotating": 1e-2, "discrete_eigenvalues": 1e-3}

ORDERS: dict[str, Callable[[complex], float]] = {
    "LM": abs,
    "LR": lambda z: z.real,
    "LI": lambda z: abs(z.imag),
}


class Leading(NamedTuple):
    """Leading eigenvalues, each with |Az - λz|/|λ||z|; ``converged`` of the ``asked`` ones are accurate."""

    values: list[complex]
    residuals: list[float]
    converged: int
    asked: int


def _leading(found: Found, k: int, which: str) -> Found:
    """The first k eigenvalues, and one more where that completes a conjugate pair."""
    ordered = sorted(found, key=lambda pair: (-ORDERS[which](pair[0]), -pair[0].imag))
    completes = len(ordered) > k and np.isclose(ordered[k][0], ordered[k - 1][0].conjugate())
    return ordered[: k + 1 if completes and ordered[k][0].imag else k]


def operator(apply: Apply, like: Tensor) -> LinearOperator:
    """A square real operator on flat tensors as a SciPy LinearOperator."""

    def matvec(u: NDArray[np.floating]) -> NDArray[np.floating]:
        return apply(torch.from_numpy(np.array(u).reshape(-1)).to(like)).cpu().numpy()

    return LinearOperator((len(like),) * 2, matvec=matvec, dtype=str(like.dtype).removeprefix("torch."))


def leading(
    linear: LinearOperator,
    k: int,
    which: str = "LM",
    seed: int = 0,
    tolerance: float = 0.0,
    iterations: int | None = None,
    basis: int | None = None,
) -> Leading:
    """The k eigenvalues of largest modulus (LM), real (LR) or imaginary part (LI), by ARPACK; conjugates included.

    Where the rotation is weak those of the LI kind may all be real, though others further in are not: see
    :func:`skew_norm`.

    Args:
        linear: of :func:`operator`; it is written down where ARPACK cannot take it, for k ≥ n - 1.
        k, which: what is asked for.
        seed: of the start vector.
        tolerance: relative accuracy, 0 for that of the type.
        iterations: restarts after which ARPACK gives up; what has converged until then is returned.
        basis: vectors of the Krylov space.
    """
    n = linear.shape[0]
    start = np.random.default_rng(seed).standard_normal(n).astype(linear.dtype)
    if k >= n - 1:
        values, vectors = np.linalg.eig(linear @ np.eye(n, dtype=linear.dtype))
    elif not (linear @ start).any():
        values, vectors = np.zeros(k), np.eye(n, k)
    else:
        options = {"tol": tolerance, "maxiter": iterations, "ncv": None if basis is None else min(basis, n)}
        try:
            values, vectors = eigs(linear, k, which=which, v0=start, **options)
        except ArpackNoConvergence as stop:
            values, vectors = stop.eigenvalues, stop.eigenvectors
    found = [(complex(z), _residual(linear, z, vector)) for z, vector in zip(values, vectors.T, strict=True)]
    alone = [(z, r) for z, r in found if not np.isclose(z.conjugate(), [other for other, _ in found]).any()]
    kept = _leading([*found, *((z.conjugate(), r) for z, r in alone)], k, which)
    return Leading([z for z, _ in kept], [r for _, r in kept], min(len(found), k), min(k, n))


def _residual(linear: LinearOperator, value: complex, vector: NDArray[np.inexact]) -> float:
    image = linear @ np.ascontiguousarray(vector.real) + 1j * (linear @ np.ascontiguousarray(vector.imag))
    size = abs(value) * float(np.linalg.norm(vector))
    return float(np.linalg.norm(image - value * vector)) / max(size, TINY)


class Krylov:
    """Eigenvalues from the Krylov space of u, Au, …, A^(m-1)u (Arnoldi 1951); outer ones converge first.

    Args:
        apply: a real linear operator A on flat tensors (n,).
        like: a tensor of its shape, type and device.
        basis: m, the number of products; the space takes m + 1 vectors of memory.
        seed: of the start vector u.

    Attributes:
        found: eigenvalues with their relative residuals |Az - λz|/|λ||z|, each residual a by-product.
    """

    def __init__(self, apply: Apply, like: Tensor, basis: int, seed: int = 0) -> None:
        n, size = len(like), min(basis, len(like))
        start = torch.from_numpy(np.random.default_rng(seed).standard_normal(n)).to(like)
        vectors = like.new_empty(size + 1, n)
        small = np.zeros((size + 1, size))
        vectors[0] = start / start.norm()
        for j in range(size):
            image = apply(vectors[j])
            length = float(image.norm())
            for _ in range(2):  # once is not orthogonal enough in floating point
                shares = vectors[: j + 1] @ image
                image = image - shares @ vectors[: j + 1]
                small[: j + 1, j] += shares.cpu().numpy()
            small[j + 1, j] = rest = float(image.norm())
            if (
                rest <= n * torch.finfo(like.dtype).eps * length
            ):  # the space is closed: its eigenvalues are exact
                small[j + 1, j], size = 0.0, j + 1
                break
            vectors[j + 1] = image / rest
        values, combinations = np.linalg.eig(small[:size, :size])
        rests = small[size, size - 1] * np.abs(combinations[-1])
        floor = torch.finfo(like.dtype).eps
        self.found: Found = [
            (complex(z), max(float(r) / max(abs(z), TINY), floor)) for z, r in zip(values, rests, strict=True)
        ]

    def leading(self, k: int, which: str = "LM", tolerance: float = 1e-2) -> Leading:
        """The k of largest modulus (LM) or real part (LR), or of those that rotate of largest imaginary part (LI).

        Residuals up to the tolerance count as converged.
        """
        kept = _leading([pair for pair in self.found if which != "LI" or pair[0].imag], k, which)
        converged = sum(residual <= tolerance for _, residual in kept)
        return Leading([z for z, _ in kept], [r for _, r in kept], min(converged, k), k)


def read(flow: Krylov, update: Krylov, k: int) -> dict[str, Leading]:
    """The reported eigenvalues of a field and of an update, by their names in a record."""
    kinds = {"eigenvalues": (flow, "LR"), "largest": (flow, "LM"), "rotating": (flow, "LI"),
             "discrete_eigenvalues": (update, "LM")}  # fmt: skip
    return {name: space.leading(k, which, TOLERANCE[name]) for name, (space, which) in kinds.items()}


def as_record(found: Mapping[str, Leading]) -> dict[str, Any]:
    """The result of :func:`read` in JSON's types: [re, im], residuals, and the update's spectral radius."""
    record: dict[str, Any] = {name: [[z.real, z.imag] for z in kind.values] for name, kind in found.items()}
    record["residuals"] = {name: kind.residuals for name, kind in found.items()}
    return record | {"spectral_radius": abs(found["discrete_eigenvalues"].values[0])}


class Rotation(NamedTuple):
    """The rotation index with its standard error over the probes."""

    value: float
    standard_error: float
    probes: int


def rotation_index(linear: Linearised, probes: int, seed: int = 0) -> Rotation:
    """‖A‖²/(‖A‖² + ‖S‖²) in Frobenius norms, A and S the skew and symmetric parts of J: 0 for a potential, 1 if J = A.

    Hutchinson's estimate: E|Au|² = ‖A‖² for vectors u of independent random signs. The error is that of a ratio of
    means, to first order.
    """
    random = np.random.default_rng(seed)
    squares = []
    for _ in range(probes):
        u = torch.from_numpy(random.choice([-1.0, 1.0], len(linear.field))).to(linear.field)
        forward, backward = linear.jvp(u), linear.vjp(u)
        squares.append(
            [float((part / 2).square().sum()) for part in (forward - backward, forward + backward)]
        )
    skew, symmetric = np.array(squares).T
    whole = skew + symmetric
    if not whole.any():
        return Rotation(0.0, 0.0, probes)
    value = skew.sum() / whole.sum()
    spread = np.std(skew - value * whole, ddof=1) / whole.mean() if probes > 1 else np.nan
    return Rotation(float(value), float(spread / np.sqrt(probes)), probes)


def skew_norm(linear: Linearised, basis: int = 16, seed: int = 0) -> float:
    """‖A‖₂, A = (J - Jᵀ)/2, from below. No eigenvalue of J has a larger imaginary part (Bendixson 1902)."""
    rotating = Krylov(linear.skew, linear.field, basis, seed).leading(1, "LI").values
    return abs(rotating[0].imag) if rotating else 0.0
