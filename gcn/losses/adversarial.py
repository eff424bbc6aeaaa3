"""Adversarial losses, side by side.

Each is three scalar functions of a logit t = D(x): what D pays on a real image, what D pays on a reconstruction, what G
pays on a reconstruction. Everything is minimised, and **a high logit means real**.
"""

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn.functional import relu, softplus

from gcn.errors import InputError

if TYPE_CHECKING:
    from gcn.game.game import Turn


class Adversarial(nn.Module):
    """D pays E f1(D(x)) + E f2(D(x_hat)), G pays E g(D(x_hat)).

    Attributes:
        pairs: the loss has a relativistic form.
        pairing_weight: the factor before f1(a) + f2(b) in that form.
    """

    pairs = True
    pairing_weight = 0.5

    def real(self, t: Tensor) -> Tensor:
        """f1, what D pays on a real image."""
        raise NotImplementedError

    def fake(self, t: Tensor) -> Tensor:
        """f2, what D pays on a reconstruction."""
        raise NotImplementedError

    def generator(self, t: Tensor) -> Tensor:
        """g, what G pays on a reconstruction."""
        raise NotImplementedError

    def generator_pair(self, a: Tensor, b: Tensor) -> Tensor:
        """What G pays on relativistic logits a (real) and b (fake): D's loss with the roles exchanged."""
        return self.fake(a) + self.real(b)

    def d_loss(self, turn: "Turn") -> Tensor:
        """What D pays in this turn."""
        return turn.mean(self.real(turn.real.logits)) + turn.mean(self.fake(turn.fake.logits))

    def g_loss(self, turn: "Turn") -> Tensor:
        """What G pays in this turn."""
        return turn.mean(self.generator(turn.fake.logits))


class NonSaturating(Adversarial):
    """D: sp(-t), sp(t); G: sp(-t), with sp = softplus (Goodfellow et al. 2014, section 3)."""

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
    """Squares of the distance to a label (Mao et al. 2017); G's target is D's label of real.

    labels ``pm1``: D ½(t-1)², ½(t+1)²; G ½(t-1)². labels ``01``: D ½(t-1)², ½t²; G ½(t-1)².
    Its relativistic form has labels ±1 and squares without a further ½ (Jolicoeur-Martineau 2019).
    """

    pairing_weight = 1.0

    def __init__(self, labels: str = "pm1") -> None:
        super().__init__()
        if labels not in {"pm1", "01"}:
            raise InputError(f"loss.labels={labels}: LSGAN knows the labels pm1 (-1 and 1) and 01")
        self.fake_label = -1.0 if labels == "pm1" else 0.0
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


class Relativised(Adversarial):
    """A loss of differences of logits (Jolicoeur-Martineau 2019).

    D pays w·E[f1(a) + f2(b)], G pays w·E[g1(a) + g2(b)], where w = ½ (LSGAN: 1, its squares carry the ½) and

    =================  =======================================  ==================================
    pair               a = D(x_i) - D(x_hat_i), same patch      b = -a
    pair_shuffled      a = D(x_i) - D(x_hat_j), j permuted      b = -a
    average            a = D(x) - mean D(x_hat)                 b = D(x_hat) - mean D(x)
    =================  =======================================  ==================================

    Means are over the joint batch of all processes and all patches, and gradients flow through them. The same
    rules without the ½ (the sums of the paper) are twice these.
    """

    def __init__(self, loss: Adversarial, pairing: str) -> None:
        super().__init__()
        if not loss.pairs:
            raise InputError(
                f"relativistic={pairing}: {type(loss).__name__} with these options has no relativistic form; "
                "use ns, vanilla, hinge, wgan or lsgan with labels=pm1"
            )
        self.loss, self.pairing = loss, pairing

    def differences(self, turn: "Turn") -> tuple[Tensor, Tensor]:
        """Relativistic logits (a, b) of real and fake."""
        real, fake = turn.real.logits, turn.fake.logits
        if self.pairing == "average":
            return real - turn.reduce.keep_mean(fake), fake - turn.reduce.keep_mean(real)
        if self.pairing == "pair_shuffled":
            joint, samples = turn.reduce.gather(fake), turn.reduce.sample_dim
            order = turn.stream("pair_shuffled").permutation(joint.shape[samples], joint.device)
            fake = turn.reduce.local(joint.index_select(samples, order))
        return real - fake, fake - real

    def d_loss(self, turn: "Turn") -> Tensor:
        a, b = self.differences(turn)
        return self.loss.pairing_weight * (turn.mean(self.loss.real(a)) + turn.mean(self.loss.fake(b)))

    def g_loss(self, turn: "Turn") -> Tensor:
        a, b = self.differences(turn)
        return self.loss.pairing_weight * turn.mean(self.loss.generator_pair(a, b))
