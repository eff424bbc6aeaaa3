"""The cross-entropy of labels: value and gradients by the formula, and whom it and an embedding of labels move."""

import sys
from pathlib import Path

import pytest
import torch
from turns import open_turn

sys.path.append(str(Path(__file__).parents[1] / "training"))
from small import Small, differing

from gcn.errors import InputError
from gcn.game.labelled import Labelled
from gcn.game.protocols import DiscriminatorOutput
from gcn.losses.class_entropy import ClassEntropy

pytestmark = pytest.mark.usefixtures("native_convolutions")

LABELS = torch.tensor([1, 0, 3, 3, 2])
GENERATOR = torch.Generator().manual_seed(0)
REAL, FAKE = (3 * torch.randn(5, 4, generator=GENERATOR).double() for _ in range(2))


def judged(player):
    """A turn in which D has said these logits of labels."""
    turn = open_turn(torch.zeros(5, 3, 8, 8).double(), torch.zeros(5, 3, 8, 8).double(), player=player)
    turn._label = lambda: LABELS
    leaves = [logits.clone().requires_grad_() for logits in (REAL, FAKE)]
    turn.__dict__["real"], turn.fakes_of_g.output = (
        DiscriminatorOutput((logits[:, :1, None, None],), label_logits=(logits,)) for logits in leaves
    )
    return turn, leaves


def entropy(logits):
    """-mean log p(label), p the softmax, one image after the other."""
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    return -sum(float(p[i, label].log()) for i, label in enumerate(LABELS.tolist())) / len(LABELS)


def slope(logits):
    """Its derivative for the logits, (p - 1[label]) / B."""
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    return (p - torch.eye(4).double()[LABELS]) / len(LABELS)


@pytest.mark.parametrize(("fakes", "share"), [(True, 1.0), (False, 0.25)])
def test_values_and_gradients_by_the_formula(fakes, share):
    term = ClassEntropy(generator=share, fakes=fakes)
    turn, (real, fake) = judged("d")
    value = term(turn)
    assert value.item() == pytest.approx(entropy(REAL) + fakes * entropy(FAKE), rel=1e-12)
    found = torch.autograd.grad(value, (real, fake), allow_unused=True, materialize_grads=True)
    assert torch.allclose(found[0], slope(REAL), atol=1e-14)
    assert torch.allclose(found[1], fakes * slope(FAKE), atol=1e-14)
    turn, (real, fake) = judged("g")
    value = term(turn)
    assert value.item() == pytest.approx(share * entropy(FAKE), rel=1e-12)
    found = torch.autograd.grad(value, (real, fake), allow_unused=True, materialize_grads=True)
    assert not found[0].any()
    assert torch.allclose(found[1], share * slope(FAKE), atol=1e-14)


def test_equal_logits_cost_the_logarithm_of_the_number_of_labels():
    turn, _ = judged("g")
    turn.fakes_of_g.output = DiscriminatorOutput(
        (FAKE[:, :1, None, None],), label_logits=(torch.zeros(5, 4),)
    )
    assert ClassEntropy()(turn).item() == pytest.approx(torch.tensor(4.0).log().item())


def test_a_discriminator_without_logits_of_labels_is_refused():
    with pytest.raises(
        InputError, match=r"class_entropy: Linear has no logits of labels; choose discriminator=aux"
    ):
        ClassEntropy().check(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1))


PROJECTION = "data=digits discriminator=projection loss=hinge mse=1"


def test_the_embedding_is_moved_in_ds_turn_alone_and_only_where_a_label_occurs():
    small = Small(PROJECTION)
    batch = Labelled(small.batches(0)[0].x, torch.tensor([7, 2]))
    before = small.weights()
    turn = small.game.turn("d", batch, 0)
    gradients = dict(
        zip(
            [name for name, _ in small.game.discriminator.named_parameters()],
            small.game.gradient("d", turn),
            strict=True,
        )
    )
    rows = gradients["embedding.weight"].abs().sum(1)
    assert rows.nonzero().flatten().tolist() == [2, 7]
    small.players.g.step(small.game.gradient("g", turn.next("g")))
    changed = differing(before, small.weights())
    assert changed
    assert all(name.startswith("generator.") for name in changed)


def test_other_labels_are_another_game_for_both_players():
    """Real images, reconstructions and the images of penalties are all judged with the label of their original."""
    games = [Small(f"{PROJECTION} gp=10 r1=1") for _ in range(2)]
    x = games[0].batches(0)[0].x
    for player in "gd":
        found = [
            small.game.gradient(player, small.game.turn(player, Labelled(x, torch.tensor(labels)), 0))
            for small, labels in zip(games, ([1, 2], [1, 3]), strict=True)
        ]
        assert any(not torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_labels_that_are_missing_are_one_line():
    small = Small(PROJECTION)
    turn = small.game.turn("d", small.batches(0)[0].x, 0)
    with pytest.raises(InputError, match="needs the label of each image, and these batches have none"):
        small.game.gradient("d", turn)


def test_images_with_labels_need_no_discriminator_that_is_given_them():
    """The same weights, bit for bit, as without labels."""
    small, plain = (Small("data=digits loss=ns mse=1") for _ in range(2))
    plain.batches = lambda step: [batch.x for batch in small.batches(step)]
    assert differing(small.play(2).weights(), plain.play(2).weights()) == []


@pytest.mark.parametrize("said", ["loss=ns", "loss=hinge relativistic=pair_shuffled", "loss=wgan gp=10"])
def test_an_auxiliary_classifier_beside_any_loss_adds_its_cross_entropy(said):
    small = Small(f"{said} mse=1 class_entropy=0.5 d_steps=2").play(2)
    values = small.game.values
    assert values["d/total"] == pytest.approx(
        float(values["d/adv"] + 0.5 * values["d/class_entropy"] + 10 * values.get("d/gp", 0.0)), rel=1e-4
    )
