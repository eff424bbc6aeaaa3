"""Adversarial losses side by side, one class for each.

Each is three scalar functions of a logit t = D(x): D's loss on a real image, D's loss on a reconstruction, G's loss on
a reconstruction. Everything is minimised, and **a high logit means real**.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, Self

from torch import Tensor
from torch.nn.functional import relu, softplus

from gcn.errors import InputError
from gcn.game.slots import AdversarialLoss, LossWrapper
from gcn.game.turn import Turn


class Adversarial(AdversarialLoss):
    """D's loss is E f1(D(x)) + E f2(D(x_hat)), G's loss is E g(D(x_hat)).

    Attributes:
        pairs: the loss has a relativistic form.
        pairing_weight: the factor before f1(a) + f2(b) in that form.
        has_labels: f1 and f2 compare a logit with the labels real and fake, so that a label between them has a meaning.
    """

    pairs = True
    pairing_weight = 0.5
    has_labels = False

    def real(self, t: Tensor) -> Tensor:
        """f1, D's loss on a real image, elementwise."""
        raise NotImplementedError

    def fake(self, t: Tensor) -> Tensor:
        """f2, D's loss on a reconstruction, elementwise."""
        raise NotImplementedError

    def generator(self, t: Tensor) -> Tensor:
        """g, G's loss on a reconstruction, elementwise."""
        raise NotImplementedError

    def generator_pair(self, a: Tensor, b: Tensor) -> Tensor:
        """G's loss on relativistic logits a (real) and b (fake), elementwise: D's loss with the roles exchanged."""
        return self.fake(a) + self.real(b)

    def d_loss(self, turn: Turn) -> Tensor:
        return turn.logit_mean(self.real, turn.real.logits) + turn.logit_mean(self.fake, turn.fake.logits)

    def g_loss(self, turn: Turn) -> Tensor:
        return turn.logit_mean(self.generator, turn.fake.logits)


class NonSaturating(Adversarial):
    """D: sp(-t), sp(t); G: sp(-t), with sp = softplus (Goodfellow et al. 2014, section 3)."""

    has_labels = True

    def real(self, t: Tensor) -> Tensor:
        return softplus(-t)

    def fake(self, t: Tensor) -> Tensor:
        return softplus(t)

    def generator(self, t: Tensor) -> Tensor:
        return softplus(-t)


class Vanilla(NonSaturating):
    """The saturating minimax game. D: sp(-t), sp(t); G: -sp(t) (Goodfellow et al. 2014, equation 1)."""

    def generator(self, t: Tensor) -> Tensor:
        return -softplus(t)

    def generator_pair(self, a: Tensor, b: Tensor) -> Tensor:
        return -self.real(a) - self.fake(b)


class MaximumLikelihood(NonSaturating):
    """D: sp(-t), sp(t); G: -exp(t), the likelihood ratio of an optimal D (Goodfellow 2014). Not relativistic."""

    pairs = False

    def generator(self, t: Tensor) -> Tensor:
        return -t.exp()


class LSGAN(Adversarial):
    """D: ½(t-1)², ½(t-b)²; G: ½(t-1)², the label b of fake is -1 or 0 (Mao et al. 2017).

    Squares of the distance to a label: b = -1 for labels ``pm1``, b = 0 for ``01``. G's target is D's label of real.
    Its relativistic form has labels ±1 and squares without a further ½ (Jolicoeur-Martineau 2019).
    """

    pairing_weight = 1.0
    has_labels = True

    def __init__(self, labels: str = "pm1") -> None:
        super().__init__()
        self.fake_label = {"pm1": -1.0, "01": 0.0}[labels]
        self.pairs = labels == "pm1"

    def real(self, t: Tensor) -> Tensor:
        return 0.5 * (t - 1).square()

    def fake(self, t: Tensor) -> Tensor:
        return 0.5 * (t - self.fake_label).square()

    def generator(self, t: Tensor) -> Tensor:
        return 0.5 * (t - 1).square()


class Hinge(Adversarial):
    """D: relu(1-t), relu(1+t); G: -t, without relu (Lim and Ye 2017). Paired, G keeps the relus."""

    def real(self, t: Tensor) -> Tensor:
        return relu(1 - t)

    def fake(self, t: Tensor) -> Tensor:
        return relu(1 + t)

    def generator(self, t: Tensor) -> Tensor:
        return -t


class Wasserstein(Adversarial):
    """D: -t, t; G: -t (Arjovsky et al. 2017). The constraint on D is a knob of its own: gp, weight_clip, …"""

    def real(self, t: Tensor) -> Tensor:
        return -t

    def fake(self, t: Tensor) -> Tensor:
        return t

    def generator(self, t: Tensor) -> Tensor:
        return -t


class EBGAN(Adversarial):
    """D: E on real, relu(margin - E) on fake; G: E, energies E = -t (Zhao et al. 2016). Not relativistic.

    Energies must not be negative, as those of an auto-encoder (:class:`gcn.models.autoencoder.AutoEncoder`).

    Args:
        margin: energy beyond which D has no interest in a fake image.
    """

    pairs = False

    def __init__(self, margin: float = 10.0) -> None:
        super().__init__()
        self.margin = margin

    def real(self, t: Tensor) -> Tensor:
        return -t

    def fake(self, t: Tensor) -> Tensor:
        return relu(self.margin + t)

    def generator(self, t: Tensor) -> Tensor:
        return -t


class FGAN(Adversarial):
    """Variational bound of an f-divergence (Nowozin et al. 2016). D: -g(t), f*(g(t)); G: -f*(g(t)). Not relativistic.

    f* is the convex conjugate of the divergence's f and g maps a logit into its domain. G minimises the bound that D
    maximises. D's optimum is t with g(t) = f'(p/q), p the density of the images, q that of the reconstructions.

    ==========  ============================  ==================  ==================
    name        E_q f(p/q), f(u)              g(t)                f*(g(t))
    ==========  ============================  ==================  ==================
    kl          u log u                       t                   exp(t - 1)
    reverse_kl  -log u                        -exp(-t)            t - 1
    pearson     (u - 1)²                      t                   t²/4 + t
    hellinger   (√u - 1)²                     1 - exp(-t)         exp(t) - 1
    js          u log u - (u + 1) log(u/2+½)  log 2 - sp(-t)      sp(t) - log 2
    tv          ½|u - 1|                      ½ tanh t            ½ tanh t
    ==========  ============================  ==================  ==================

    sp is softplus. ``js`` is twice the Jensen-Shannon divergence, and its game is that of ``vanilla``. At p = q the
    best logit is 1 for ``kl`` and 0 for the others.

    Args:
        divergence: a row of the table.
    """

    pairs = False

    def __init__(self, divergence: str = "pearson") -> None:
        super().__init__()
        self.divergence = divergence
        self.activation, self.conjugate = DIVERGENCES[divergence]

    def real(self, t: Tensor) -> Tensor:
        return -self.activation(t)

    def fake(self, t: Tensor) -> Tensor:
        return self.conjugate(t)

    def generator(self, t: Tensor) -> Tensor:
        return -self.conjugate(t)


class Divergence(NamedTuple):
    """The functions of a row of :class:`FGAN`'s table, elementwise: g(t) and f*(g(t))."""

    activation: Callable[[Tensor], Tensor]
    conjugate: Callable[[Tensor], Tensor]


DIVERGENCES = {
    "kl": Divergence(lambda t: t, lambda t: (t - 1).exp()),
    "reverse_kl": Divergence(lambda t: -(-t).exp(), lambda t: t - 1),
    "pearson": Divergence(lambda t: t, lambda t: t.square() / 4 + t),
    "hellinger": Divergence(lambda t: 1 - (-t).exp(), lambda t: t.exp() - 1),
    "js": Divergence(lambda t: math.log(2) - softplus(-t), lambda t: softplus(t) - math.log(2)),
    "tv": Divergence(lambda t: t.tanh() / 2, lambda t: t.tanh() / 2),
}


class Relativistic(LossWrapper):
    """An adversarial loss of differences between real and fake logits (Jolicoeur-Martineau 2019).

    D's loss is w·E[f1(a) + f2(b)], G's is w·E[g1(a) + g2(b)], where w = ½ (LSGAN: 1, its squares carry the ½) and

    =================  =======================================  ==================================
    pair               a = D(x_i) - D(x_hat_i), same patch      b = -a
    pair_shuffled      a = D(x_i) - D(x_hat_j), j permuted      b = -a
    average            a = D(x) - mean D(x_hat)                 b = D(x_hat) - mean D(x)
    =================  =======================================  ==================================

    Means are over the joint batch of all processes and all patches, and gradients flow through them. The same
    rules without the ½ (the sums of the paper) are twice these.

    Args:
        pairing: a row of the table.
    """

    loss: Adversarial

    def __init__(self, pairing: str) -> None:
        super().__init__()
        self.pairing = pairing

    def wrap(self, loss: AdversarialLoss) -> Self:
        if not (isinstance(loss, Adversarial) and loss.pairs):
            raise InputError(
                f"relativistic={self.pairing}: {type(loss).__name__} with these options has no relativistic form; "
                "use ns, vanilla, hinge, wgan or lsgan with labels=pm1"
            )
        self.loss = loss
        return self

    def differences(self, turn: Turn) -> tuple[list[Tensor], list[Tensor]]:
        """Relativistic logits (a, b) of real and fake, one tensor a scale."""
        pairs = [
            self._difference(turn, *scale) for scale in zip(turn.real.logits, turn.fake.logits, strict=True)
        ]
        return [a for a, _ in pairs], [b for _, b in pairs]

    def _difference(self, turn: Turn, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        if self.pairing == "average":
            return real - turn.reduce.keep_mean(fake), fake - turn.reduce.keep_mean(real)
        if self.pairing == "pair_shuffled":
            joint, samples = turn.reduce.gather(fake), turn.reduce.sample_dim
            order = turn.stream("pair_shuffled").permutation(joint.shape[samples], joint.device)
            fake = turn.reduce.local(joint.index_select(samples, order))
        return real - fake, fake - real

    def d_loss(self, turn: Turn) -> Tensor:
        a, b = self.differences(turn)
        return self.loss.pairing_weight * (
            turn.logit_mean(self.loss.real, a) + turn.logit_mean(self.loss.fake, b)
        )

    def g_loss(self, turn: Turn) -> Tensor:
        a, b = self.differences(turn)
        return self.loss.pairing_weight * turn.logit_mean(self.loss.generator_pair, a, b)
