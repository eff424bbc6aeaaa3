"""Discriminators of labelled images: their formulas, the optimum of a projection, and what cannot have labels."""

import pytest
import torch

from gcn.config.parse import parse
from gcn.config.preflight import note
from gcn.errors import InputError
from gcn.losses.adversarial import Vanilla
from gcn.losses.constraints import SpectralNorm
from gcn.models.labelled_discriminators import Auxiliary, Projection

SMALL = {
    "width": 4, "depth": 2, "condition": True, "condition_gradient": False, "latent_channels": 5, "norm": "none",
}  # fmt: skip
X, Y_HAT = torch.rand(3, 3, 16, 32), torch.randn(3, 5, 1, 2)
LABELS = torch.tensor([2, 0, 2])


def made(kind, **options):
    torch.manual_seed(0)
    return kind(classes=4, **SMALL | options)


def test_the_logit_of_a_projection_by_its_formula():
    d = made(Projection).requires_grad_(False)
    out = d(X, Y_HAT, LABELS)
    phi = out.features[-1].sum((2, 3))
    assert out.features[-1].shape == (3, 8, 4, 8)
    expected = [
        float(phi[i] @ d.head.weight[0] + d.head.bias[0] + phi[i] @ d.embedding.weight[LABELS[i]])
        for i in range(3)
    ]
    assert out.logits[0].shape == (3, 1, 1, 1)
    assert out.logits[0].flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_without_labels_the_logit_is_the_mean_over_all_labels():
    d = made(Projection)
    each = torch.stack([d(X, Y_HAT, torch.full((3,), label)).logits[0] for label in range(4)])
    assert torch.allclose(d(X, Y_HAT).logits[0], each.mean(0), atol=1e-5)
    assert each.std(0).min() > 1e-3


def test_the_logits_of_an_auxiliary_classifier_by_their_formula():
    d = made(Auxiliary)
    out = d(X, Y_HAT)
    phi = out.features[-1].sum((2, 3))
    assert torch.allclose(out.logits[0].flatten(), d.head(phi).flatten())
    assert torch.allclose(out.label_logits[0], phi @ d.classifier.weight.T + d.classifier.bias)
    assert out.label_logits[0].shape == (3, 4)
    assert out.classes == ()


@pytest.mark.parametrize("kind", [Projection, Auxiliary])
def test_each_image_is_judged_alone_and_the_condition_counts(kind):
    d = made(kind)
    labels = (LABELS,) if kind is Projection else ()
    alone = [
        d(X[i : i + 1], Y_HAT[i : i + 1], *(part[i : i + 1] for part in labels)).logits[0] for i in range(3)
    ]
    joint = d(X, Y_HAT, *labels).logits[0]
    assert torch.allclose(joint, torch.cat(alone), atol=1e-5)
    assert not torch.allclose(joint, d(X, Y_HAT + 1, *labels).logits[0])
    with pytest.raises(ValueError, match="give it y_hat"):
        d(X, None, *labels)


def test_every_layer_has_a_spectral_norm_of_one():
    d = made(Projection)
    SpectralNorm().prepare(d)
    d.train()
    for _ in range(50):
        d(X, Y_HAT, LABELS)
    d.eval()
    for weight in (d.embedding.weight, d.head.weight, d.hidden[0][0].weight):
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-3)


MEANS, OTHERS, PRIOR = (
    (-1.0, 1.5),
    (-0.5, 0.75),
    (0.3, 0.7),
)  # of the classes in the data and in the reconstructions
GRID = torch.linspace(-8, 8, 801, dtype=torch.float64)


def joints(means):
    """p(x, label) on the grid for two Gaussians of deviation 1, (2, n)."""
    means, prior = (torch.tensor(v, dtype=torch.float64)[:, None] for v in (means, PRIOR))
    return prior * torch.exp(-((GRID - means) ** 2) / 2)


def test_the_optimum_of_a_projection_on_two_gaussian_classes():
    """With φ = (x, 1) it is e(label) = (m - m', (m'² - m²)/2), ψ = 0, and splits as Miyato & Koyama say:
    log p(x, label)/q(x, label) = log p(label|x)/q(label|x) + log p(x)/q(x)."""
    d = Projection(classes=2, **SMALL | {"width": 2, "depth": 1}).double()
    phi = torch.stack((GRID, torch.ones_like(GRID)), 1)
    d.pooled = lambda x, cond: (phi, [])
    with torch.no_grad():
        d.head.weight.zero_(), d.head.bias.zero_()
        for i, (m, n) in enumerate(zip(MEANS, OTHERS, strict=True)):
            d.embedding.weight[i] = torch.tensor([m - n, (n**2 - m**2) / 2])
    labels = [torch.full((len(GRID),), i) for i in range(2)]

    def logits():
        return torch.stack([d(GRID, None, label).logits[0].flatten() for label in labels])

    p, q = joints(MEANS), joints(OTHERS)
    split = (p / p.sum(0)).log() - (q / q.sum(0)).log() + p.sum(0).log() - q.sum(0).log()
    assert torch.allclose(logits(), split, atol=1e-10)

    def gradient():
        t = logits()
        loss = (p * Vanilla().real(t)).sum() + (q * Vanilla().fake(t)).sum()
        return torch.cat(
            [g.flatten() for g in torch.autograd.grad(loss, (d.embedding.weight, d.head.weight))]
        )

    assert gradient().abs().max() < 1e-10
    with torch.no_grad():
        d.embedding.weight[0] += 0.1
    assert gradient().abs().max() > 1e-2


@pytest.mark.parametrize("said", ["data=photos", "data=folder data.root=."])
@pytest.mark.parametrize("name", ["projection", "auxiliary"])
def test_data_without_labels_are_refused(name, said):
    with pytest.raises(InputError, match=rf"discriminator={name}.*these data have none; choose data=digits"):
        parse([f"discriminator={name}", "mse=1", *said.split()])


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("discriminator=projection generator=dcgan", "a generator from noise is not told"),
        ("discriminator=auxiliary discriminator.classes=3", "its labels are those of the data"),
        ("discriminator=projection discriminator.classes=30", "its labels are those of the data"),
        ("discriminator=projection loss=oasis labeller=patches", "choose discriminator=unet"),
        ("discriminator=auxiliary loss=ebgan", "choose discriminator=autoencoder"),
        ("discriminator=projection class_entropy=1", "no logits of labels; choose discriminator=auxiliary"),
        ("class_entropy=0", "no logits of labels; choose discriminator=auxiliary"),
    ],
)
def test_words_that_do_not_fit_are_refused(said, reason):
    with pytest.raises(InputError, match=reason) as refusal:
        parse(["data=digits", "mse=1", *said.split()])
    assert "\n" not in str(refusal.value)


def test_an_untrained_classifier_is_said():
    words = ["data=digits", "discriminator=auxiliary", "mse=1"]
    assert note(parse(words)).startswith("note: discriminator=auxiliary without class_entropy")
    assert note(parse([*words, "class_entropy=1"])) is None


def test_the_number_of_labels_follows_the_data():
    assert (
        parse(["data=digits", "discriminator=projection", "data.classes=3", "mse=1"]).discriminator.classes
        == 3
    )
