"""OASIS: values and gradients by the formula, one class is the non-saturating loss, and what it cannot work with."""

import pytest
import torch
from torch.nn.functional import softplus
from turns import open_turn

from gcn.config.offered import LAB
from gcn.config.parse import parse
from gcn.errors import InputError
from gcn.game.protocols import of_classes
from gcn.losses.adversarial import Relativistic
from gcn.losses.oasis import OASIS

IMAGES, PLACES = 3, (2, 4)


def classes_turn(real, fake, labels):
    """A turn in which D has said these class logits (B, K+1, h, w), and the labeller these labels."""
    turn = open_turn(torch.zeros(len(real), 3, 8, 8).double(), torch.zeros(len(real), 3, 8, 8).double())
    turn.__dict__["real"], turn.fakes_of_g.output = of_classes(real), of_classes(fake)
    turn.game.labeller = lambda x: labels
    return turn


def said(classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (IMAGES, classes + 1, *PLACES)
    real, fake = (3 * torch.randn(shape, generator=generator).double() for _ in range(2))
    labels = torch.randint(classes, (IMAGES, *PLACES), generator=generator)
    return real.requires_grad_(), fake.requires_grad_(), labels


@pytest.mark.parametrize("classes", [2, 5])
def test_values_and_gradients_by_the_formula(classes):
    """L_D = -E log p(label|x) - E log p(fake|x_hat), L_G = -E log p(label|x_hat); dL/dlogit = (p - 1)/n."""
    real, fake, labels = said(classes)
    turn = classes_turn(real, fake, labels)
    n = labels.numel()
    p_real, p_fake = (t.detach().exp() / t.detach().exp().sum(1, keepdim=True) for t in (real, fake))
    of_label = torch.zeros_like(p_real).scatter_(1, labels[:, None], 1.0)
    of_nobody = torch.zeros_like(p_real)
    of_nobody[:, -1] = 1.0
    d = -(of_label * p_real.log()).sum() / n - (of_nobody * p_fake.log()).sum() / n
    g = -(of_label * p_fake.log()).sum() / n
    loss = OASIS()
    torch.testing.assert_close(loss.d_loss(turn), d)
    torch.testing.assert_close(loss.g_loss(turn), g)
    gradients = torch.autograd.grad(loss.d_loss(turn), (real, fake))
    torch.testing.assert_close(gradients[0], (p_real - of_label) / n)
    torch.testing.assert_close(gradients[1], (p_fake - of_nobody) / n)
    (gradient,) = torch.autograd.grad(loss.g_loss(turn), fake)
    torch.testing.assert_close(gradient, (p_fake - of_label) / n)


def test_one_class_is_the_non_saturating_loss_of_the_difference_of_two_logits():
    real, fake, labels = said(1)
    turn = classes_turn(real, fake, labels)
    t_real, t_fake = (t[:, :1] - t[:, 1:] for t in (real, fake))
    torch.testing.assert_close(turn.real.logits[0], t_real)
    torch.testing.assert_close(OASIS().d_loss(turn), softplus(-t_real).mean() + softplus(t_fake).mean())
    torch.testing.assert_close(OASIS().g_loss(turn), softplus(-t_fake).mean())


def test_the_scalar_logit_is_the_log_odds_of_real():
    real, fake, labels = said(4)
    p = real.softmax(1)[:, -1:]
    torch.testing.assert_close(classes_turn(real, fake, labels).real.logits[0], torch.log((1 - p) / p))


def test_labels_of_another_grid_are_those_of_the_nearest_place():
    real, fake, _ = said(5)
    fine = torch.arange(5).repeat(IMAGES, 4, 8)[
        :, :, :16
    ]  # two rows and four columns of labels for each place
    coarse = fine[:, 1::2, 2::4]
    near, exact = (OASIS().g_loss(classes_turn(real, fake, labels)) for labels in (fine, coarse))
    assert near == exact
    assert near != OASIS().g_loss(classes_turn(real, fake, coarse.flip(2)))


def test_labels_are_computed_once_for_both_turns_and_only_if_asked_for():
    real, fake, labels = said(3)
    turn, calls = classes_turn(real, fake, labels), []
    turn.game.labeller = lambda x: (calls.append(x), labels)[1]
    following = turn.next("g")
    assert not calls
    assert following.labels is turn.labels is turn.aside().labels
    assert len(calls) == 1
    assert calls[0] is turn.x


def test_there_is_no_relativistic_form():
    with pytest.raises(InputError, match="no relativistic form"):
        Relativistic("pair").wrap(OASIS())


class Classes(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.classes = classes


@pytest.mark.parametrize(
    ("discriminator", "labeller", "says"),
    [
        (Classes(4), None, "labeller=patches"),
        (torch.nn.Identity(), Classes(4), "discriminator=unet"),
        (Classes(5), Classes(4), "drop discriminator.classes"),
    ],
)
def test_what_it_cannot_work_with(discriminator, labeller, says):
    with pytest.raises(InputError, match=says):
        OASIS().check(discriminator, labeller)
    OASIS().check(Classes(4), Classes(4))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("labeller=patches discriminator=unet relativistic=pair", "relativistic losses need differences"),
        ("discriminator=unet", "needs a class for each place"),
        ("labeller=patches", "choose discriminator=unet"),
        ("labeller=patches discriminator=unet generator=dcgan mse=null", "generator from noise"),
        ("labeller=patches discriminator=unet data.crop=32", "data.crop=64"),
        ("labeller=patches discriminator=unet discriminator.classes=3", "those of the labeller"),
    ],
)
def test_the_command_line_refuses(words, says):
    with pytest.raises(InputError, match=says):
        parse(["loss=oasis", "mse=1", *words.split()])


def test_labels_without_a_loss_that_looks_at_them_are_refused():
    with pytest.raises(InputError, match="looks at no labels"):
        parse(["loss=ns", "mse=1", "labeller=patches"])


def test_the_lab_refuses_it_in_a_line():
    with pytest.raises(InputError, match=r"^loss=oasis: .*loss=ns"):
        parse(["loss=oasis"], root=LAB)
