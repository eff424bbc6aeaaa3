"""The Dirac-GAN written out by hand: NumPy, formulas, no automatic differentiation, nothing of the package.

Data δ_0, generator δ_θ, D(x) = ψx + b. Every logit that a loss looks at is u = ψ(c + sθ) + e·b, where c is what the
instance noise adds (σ·±1, the four combinations of real and fake), s says whether θ enters and e whether b does. A
player pays Σ weight·E h(u); from h' and h'' its gradient and the derivative of that gradient follow:

    u_θ = sψ,  u_ψ = c + sθ,  u_b = e,   ∂(h)_i = h' u_i,   ∂(h)_ij = h'' u_i u_j + h' u_ij,  u_θψ = s, all others 0
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

REAL, FAKE = (
    np.array([1, -1, 1, -1]),
    np.array([1, 1, -1, -1]),
)  # quadrature of two independent normal numbers
ZERO = np.zeros(4)


def sigmoid(t):
    return 1 / (1 + np.exp(-t))


def bump(t):
    return sigmoid(t) * sigmoid(-t)


def flat(t):
    return 0 * t


def constant(value):
    return lambda t: value + 0 * t


class Scalar(NamedTuple):
    """A function of a logit: its first and its second derivative."""

    first: Callable
    second: Callable


class Loss(NamedTuple):
    """What D pays on a real and on a fake logit, and what G pays on a fake one.

    ``half`` is the weight of each half of the relativistic loss, which G pays with the roles exchanged, or with
    ``zero_sum`` as minus what D pays.
    """

    real: Scalar
    fake: Scalar
    generator: Scalar
    half: float = 0.5
    zero_sum: bool = False


SOFTPLUS = Scalar(sigmoid, bump)  # log(1 + e^t)
MIRRORED = Scalar(lambda t: -sigmoid(-t), bump)  # log(1 + e^-t)
LINE, FALLING = Scalar(constant(1), flat), Scalar(constant(-1), flat)
TO_ONE = Scalar(lambda t: t - 1, constant(1))  # ½(t - 1)²
RELU_REAL = Scalar(lambda t: -1.0 * (t.real < 1), flat)  # relu(1 - t)
RELU_FAKE = Scalar(lambda t: 1.0 * (t.real > -1), flat)  # relu(1 + t)

LOSSES = {
    "ns": Loss(MIRRORED, SOFTPLUS, MIRRORED),
    "vanilla": Loss(MIRRORED, SOFTPLUS, Scalar(lambda t: -sigmoid(t), lambda t: -bump(t)), zero_sum=True),
    "hinge": Loss(RELU_REAL, RELU_FAKE, FALLING),
    "wgan": Loss(FALLING, LINE, FALLING),
    "lsgan": Loss(TO_ONE, Scalar(lambda t: t + 1, constant(1)), TO_ONE, half=1),
    "lsgan 01": Loss(TO_ONE, Scalar(lambda t: t, constant(1)), TO_ONE),
    "fgan": Loss(
        FALLING,
        Scalar(lambda t: t / 2 + 1, constant(0.5)),
        Scalar(lambda t: -t / 2 - 1, constant(-0.5)),
    ),
    "ml": Loss(MIRRORED, SOFTPLUS, Scalar(lambda t: -np.exp(t), lambda t: -np.exp(t))),
}


class Paid(NamedTuple):
    """weight · E h(ψ(c + sθ) + e·b)."""

    weight: float
    h: Scalar
    c: np.ndarray
    s: int
    e: int


class Hand:
    """The field of a Dirac-GAN and its Jacobian, at points (θ, ψ) or (θ, ψ, b).

    Args:
        loss: a name of ``LOSSES``, alone or followed by ``pair`` or ``average``.
        bias: D has one.
        weights: of mse, charbonnier, r1, r2, consensus, jare, grad_norm.
        sigma: of the instance noise.
        epsilon: of the Charbonnier distortion.
    """

    def __init__(self, loss, bias=False, sigma=0.0, epsilon=1.0, **weights):
        self.bias, self.epsilon, self.weights = bias, epsilon, weights
        name, _, pairing = loss.rpartition(" ") if loss.endswith(("pair", "average")) else (loss, "", "")
        self.g, self.d = _payments(LOSSES[name], pairing, sigma * REAL, sigma * FAKE)

    def weight(self, name):
        return self.weights.get(name, 0.0)

    def _of(self, paid, w):
        """A loss's gradient (N,) and its derivative (N, N)."""
        theta, psi, b = w if self.bias else (*w, 0.0)
        gradient, hessian = np.zeros(len(w), dtype=complex), np.zeros((len(w), len(w)), dtype=complex)
        for weight, h, c, s, e in paid:
            u = psi * (c + s * theta) + e * b
            slopes = np.stack([s * psi + ZERO, c + s * theta, e + ZERO][: len(w)])  # (N, 4), of u
            first, second = h.first(u), h.second(u)
            gradient += weight * (slopes @ first) / len(u)
            hessian += weight * ((slopes * second) @ slopes.T) / len(u)
            hessian[0, 1] += weight * s * first.sum() / len(u)  # u_θψ = s
            hessian[1, 0] += weight * s * first.sum() / len(u)
        return gradient, hessian

    def adversarial_d(self, w):
        """∂_ψ, ∂_b of D's adversarial loss, and the derivative of these by θ, ψ, b."""
        gradient, hessian = self._of(self.d, w)
        return gradient[1:], hessian[1:]

    def smooth(self, w):
        """(∂_θ L_G, ∂_ψ L_D, ∂_b L_D) without the terms that are norms of it, and its derivative J."""
        (g, g_rows), (d, d_rows) = self._of(self.g, w), self._of(self.d, w)
        field, j = np.concatenate([g[:1], d[1:]]), np.concatenate([g_rows[:1], d_rows[1:]])
        theta, psi = w[0], w[1]
        field[0] += 2 * self.weight("mse") * theta
        j[0, 0] += 2 * self.weight("mse")
        length = np.sqrt(theta**2 + self.epsilon**2)
        field[0] += self.weight("charbonnier") * theta / length
        j[0, 0] += self.weight("charbonnier") * self.epsilon**2 / length**3
        gamma = self.weight("r1") + self.weight("r2")  # ½γψ², wherever the gradient is taken
        field[1] += gamma * psi
        j[1, 1] += gamma
        return field, j

    def velocity(self, w):
        """(-∂_θ L_G, -∂_ψ L_D, -∂_b L_D)."""
        w = np.asarray(w, dtype=complex)
        field, j = self.smooth(w)
        total = field + self.weight("consensus") * j.T @ field  # ½‖v‖² has the gradient Jᵀv
        total[0] += self.weight("jare") * field[1:] @ j[1:, 0]
        total[1:] += self.weight("jare") * field[0] * j[0, 1:]
        slope, rows = self.adversarial_d(w)
        total[0] += 2 * self.weight("grad_norm") * slope @ rows[:, 0]
        return -total

    def jacobian(self, w):
        """By complex step: the field is analytic, and no digit cancels."""
        w, tiny = np.asarray(w, dtype=complex), 1e-30
        steps = 1j * tiny * np.eye(len(w))
        return np.stack([self.velocity(w + step).imag / tiny for step in steps], axis=1)

    def rest(self):
        """The equilibrium: D says the same of all, and what it says makes its two losses balance."""
        return [0.0, 0.0, 0.5] if self.bias else [0.0, 0.0]


def _payments(loss, pairing, real, fake):
    """What G and what D pay, adversarially."""
    real_loss, fake_loss, generator, half, zero_sum = loss
    if pairing == "pair":  # a = D(x) - D(x_hat), b = -a; G's loss is D's with the roles exchanged
        a, b = (real - fake, -1, 0), (fake - real, 1, 0)
    elif pairing == "average":  # a = D(x) - mean D(x_hat), b = D(x_hat) - mean D(x); noise has mean 0
        a, b = (real, -1, 0), (fake, 1, 0)
    else:
        d = [Paid(1.0, real_loss, real, 0, 1), Paid(1.0, fake_loss, fake, 1, 1)]
        return [Paid(1.0, generator, fake, 1, 1)], d
    d = [Paid(half, real_loss, *a), Paid(half, fake_loss, *b)]
    if zero_sum:
        return [Paid(-half, real_loss, *a), Paid(-half, fake_loss, *b)], d
    return [Paid(half, fake_loss, *a), Paid(half, real_loss, *b)], d
