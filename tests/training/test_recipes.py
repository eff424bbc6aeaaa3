"""An update of a recipe, on slim networks, is that of its paper's formulas, in the paper's own units."""

import copy
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy, softplus

from gcn.config.assemble import game as assemble
from gcn.config.assemble import optim
from gcn.config.build import build
from gcn.config.offered import groups
from gcn.config.parse import parse
from gcn.game.protocols import Players
from gcn.game.rules import update
from gcn.models.vq_labeller import CODEBOOK, Projected
from gcn.training.schedule import Schedule

pytestmark = pytest.mark.filterwarnings("ignore:lpips. the .* backbone has random weights")

SLIM = ["generator.width=4", "generator.M=8", "generator.hyper=8", "generator.blocks=1", "discriminator.width=8",
        "terms.lpips.net=squeeze", "terms.lpips.backbone=random", "data.crop=64", "data.batch=3"]  # fmt: skip


class Slim:
    """A recipe on slim networks in float64, its players as in training, and copies of all that is before an update."""

    def __init__(self, *words, freeze=False, spread=1.0):
        self.cfg = parse([*SLIM, *words])
        torch.manual_seed(0)
        generator = build(self.cfg, "generator")
        generator.parts()  # all of its networks
        with torch.no_grad():  # latents of several steps of rounding
            list(generator.g_a.parameters())[-2].mul_(spread)
        for parameter in generator.parts()["aux"]:
            parameter.requires_grad_(False)
        if freeze:
            generator.freeze("encoder")
        self.game, constraints = assemble(self.cfg, generator)
        self.game.double()
        self.gradients = {}  # that the players were given, not clipped yet
        self.players = Players(*(self._player(name, constraints) for name in ("g", "d")))
        contrast = torch.tensor([0.02, 0.3, 1.0], dtype=torch.float64).view(3, 1, 1, 1)
        noise = torch.rand(3, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        self.x = 0.5 + contrast * (noise - 0.5)

    def _player(self, name, constraints):
        plan = optim(self.cfg, name)
        discriminator = self.game.discriminator
        after = {"after": lambda: [c.after_step(discriminator) for c in constraints]} if name == "d" else {}
        player = plan.player(plan.build(self.game.parameters_of(name)), **after)
        step = player.step

        def noted(gradients):
            self.gradients[name] = [g.clone() for g in gradients]
            step(gradients)

        player.step = noted
        return player

    def before(self, step):
        """Copies of D and G, and G's output in the update; D's parameters and G's that are trained."""
        g, d = copy.deepcopy(self.game.generator), copy.deepcopy(self.game.discriminator)
        out = g(self.x, self.game.streams.at("update", step, 0).child("quantisation"))
        return d, out, *([p for p in n.parameters() if p.requires_grad] for n in (d, g))

    def play(self, step):
        """Both players' parameters after one update; what was measured is in ``game.values``."""
        factor = Schedule(**self.cfg.optim.schedule).factor(step, self.cfg.steps)
        rule = build(self.cfg, "dynamics")
        update(self.game, rule, [self.x], step, self.players, learning_rate=factor, observe=True)
        return [[p.detach() for p in self.game.parameters_of(name)] for name in ("g", "d")]

    def lpips(self, x_hat):
        """LPIPS by the lpips package, of the mean over images."""
        (network,) = self.game.objective.terms["lpips"]._hidden
        return network(x_hat, self.x, normalize=True).mean()


def adam(parameters, gradients, lr):
    """The first step of Adam: m / (1 - β₁) = g and v / (1 - β₂) = g²."""
    return [p.detach() - lr * g / (g.abs() + 1e-8) for p, g in zip(parameters, gradients, strict=True)]


def assert_follows(found, gradients, scale):
    """Gradients are ``scale`` times the formula's, to what the rounded weights of a recipe are worth."""
    largest = max(float(g.abs().max()) for g in gradients)
    for a, b in zip(found, gradients, strict=True):
        torch.testing.assert_close(a, scale * b, rtol=1e-4, atol=1e-5 * scale * largest)


def assert_moved(found, start, gradients, lr):
    """Each parameter is where Adam's first step puts it, but for those whose gradient is near its ε."""
    for a, b, g in zip(found, adam(start, gradients, lr), gradients, strict=True):
        felt = g.abs() > 1e-4
        torch.testing.assert_close(a[felt], b[felt], rtol=0, atol=1e-2 * lr)


@pytest.mark.parametrize(
    ("step", "target", "weight", "spread"), [(0, 0.14 * 1.4286, 1.0, 1.92), (50_000, 0.14, 2.0, 1.45)]
)
def test_an_update_of_hific_lo(step, target, weight, spread):
    """λ·bpp + 0.075·2⁻⁵·MSE₂₅₅ + LPIPS + 0.15·NS, λ = 2 above .14 bpp and 2⁻⁶ below; at first 1, 2⁻⁷ and .2 bpp."""
    slim = Slim("experiment=hific_lo", spread=spread)
    d, out, of_d, of_g = slim.before(step)
    start_d, start_g = ([p.detach().clone() for p in part] for part in (of_d, of_g))
    bits = -sum(p.flatten(1).log2().sum(1) for p in out.likelihoods.values()) / 64**2
    above = bits > target
    assert above.any()
    assert not above.all()

    real, fake = d(slim.x, out.y_hat.detach()).logits[0], d(out.x_hat.detach(), out.y_hat.detach()).logits[0]
    d_loss = softplus(-real).mean() + softplus(fake).mean()
    d_gradients = torch.autograd.grad(d_loss, of_d)
    moved = adam(of_d, d_gradients, 1e-4)
    with torch.no_grad():
        for p, new in zip(of_d, moved, strict=True):
            p.copy_(new)
    adversarial = softplus(-d(out.x_hat, out.y_hat.detach()).logits[0]).mean()
    mse = (255 * (out.x_hat - slim.x)).square().mean()
    rate = torch.where(above, weight, weight * 2.0**-6 / 2).mul(bits).mean()
    perceptual = slim.lpips(out.x_hat)
    g_loss = rate + 0.075 * 2**-5 * mse + perceptual + 0.15 * adversarial
    g_gradients = torch.autograd.grad(g_loss, of_g)

    g_found, d_found = slim.play(step)
    values = {name: float(value) for name, value in slim.game.values.items()}
    assert values["d/total"] == pytest.approx(d_loss.item(), rel=1e-6)
    assert 0.15 * values["g/total"] == pytest.approx(g_loss.item(), rel=1e-5)
    assert values["g/lpips"] == pytest.approx(perceptual.item(), rel=1e-5)
    assert_follows(slim.gradients["d"], d_gradients, 1.0)
    assert_follows(slim.gradients["g"], g_gradients, 1 / 0.15)
    assert_moved(d_found, start_d, d_gradients, 1e-4)
    assert_moved(g_found, start_g, g_gradients, 1e-4)
    assert slim.cfg.optim.g.clip is slim.cfg.optim.d.clip is None


def labeller_file(path):
    torch.manual_seed(3)
    tensors = {name: torch.randn_like(t) * 0.3 for name, t in Projected(4).state_dict().items()}
    save_file(tensors | {CODEBOOK: torch.randn(16, 8)}, path)
    return str(path)


def test_an_update_of_msillm_q3(tmp_path):
    """G: 150·MSE + LPIPS + 0.008·CE(label); D: ½CE(label) + ½CE(fake); both clipped at 1; the decoder alone moves."""
    file = labeller_file(tmp_path / "labels.safetensors")
    slim = Slim("experiment=msillm_q3", "init_from=codec", f"labeller.weights={file}", "labeller.classes=16",
                "labeller.width=4", freeze=True, spread=3.0)  # fmt: skip
    d, out, of_d, of_g = slim.before(0)
    start_d, start_g = ([p.detach().clone() for p in part] for part in (of_d, of_g))
    assert {id(p) for p in of_g} != {id(p) for p in slim.game.generator.parameters()}
    labels = slim.game.labeller(slim.x)
    assert labels.shape == (3, 8, 8)
    assert len(labels.unique()) > 1

    real, fake = d(slim.x, out.y_hat).classes[0], d(out.x_hat.detach(), out.y_hat).classes[0]
    assert real.shape == (3, 17, 8, 8)
    nobody = torch.full_like(labels, 16)
    d_loss = 0.5 * (cross_entropy(real, labels) + cross_entropy(fake, nobody))
    d_gradients = torch.autograd.grad(d_loss, of_d)
    moved = adam(of_d, d_gradients, 4e-4)
    with torch.no_grad():
        for p, new in zip(of_d, moved, strict=True):
            p.copy_(new)
    g_loss = (
        150 * (out.x_hat - slim.x).square().mean()
        + slim.lpips(out.x_hat)
        + 0.008 * cross_entropy(d(out.x_hat, out.y_hat).classes[0], labels)
    )
    g_gradients = torch.autograd.grad(g_loss, of_g)

    frozen = [p.clone() for p in slim.game.generator.parameters() if not p.requires_grad]
    g_found, d_found = slim.play(0)
    values = {name: float(value) for name, value in slim.game.values.items()}
    assert 0.5 * values["d/total"] == pytest.approx(d_loss.item(), rel=1e-6)
    assert 0.008 * values["g/total"] == pytest.approx(g_loss.item(), rel=1e-5)
    assert_follows(slim.gradients["d"], d_gradients, 2.0)
    assert_follows(slim.gradients["g"], g_gradients, 125.0)
    assert (slim.cfg.optim.g.clip, slim.cfg.optim.d.clip) == (125.0, 2.0), "1 in the paper's units"
    assert_moved(d_found, start_d, d_gradients, 4e-4)
    assert_moved(g_found, start_g, g_gradients, 1e-4)
    after = [p for p in slim.game.generator.parameters() if not p.requires_grad]
    assert frozen
    assert all(torch.equal(a, b) for a, b in zip(frozen, after, strict=True))


PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8").replace("\\\n", "")


def commands_of_the_page():
    return re.findall(r"^ +python scripts/train\.py (.*)", PAGE, flags=re.MULTILINE)


@cache
def composed(words):
    return parse([word for word in words.split() if not word.startswith("out=")])


@pytest.mark.parametrize("words", commands_of_the_page())
def test_the_commands_of_the_page_compose(words):
    cfg = composed(words)
    assert cfg.choices.experiment in words


def convolutions(*channels, kernel=4):
    """Weights and biases of convolutions one behind the other."""
    return sum(kernel**2 * a * b + b for a, b in pairwise(channels))


HIFIC = 181_481_103  # of NeuralCompression's state dict, 960 quantiles included
UNET = 17_877_073
PATCHES = (64, 128, 256, 512, 1)
HIFICS_OWN = convolutions(220, 12, kernel=3) + convolutions(3 + 12, *PATCHES)
# Of VQGAN's PatchGAN (n_layers=3) by its layers: no bias before a batch norm, which has two numbers a channel.
PUBLISHED_VQGAN = 3136 + 131_072 + 2 * 128 + 524_288 + 2 * 256 + 2_097_152 + 2 * 512 + 8193
SIZES = {
    **dict.fromkeys(("hific_lo_rd", "hific_mi_rd", "hific_hi_rd"), (HIFIC, None)),
    **dict.fromkeys(("hific_lo", "hific_mi", "hific_hi"), (HIFIC, HIFICS_OWN)),
    **{f"msillm_q{i}": (HIFIC, UNET) for i in range(1, 7)},
    "dcvic_balance": (None, convolutions(3, *PATCHES)),
    "vqgan_balance": (None, PUBLISHED_VQGAN + 128 + 256 + 512),  # and the biases, which have no effect
}


@pytest.mark.parametrize("name", SIZES)
def test_networks_have_the_sizes_of_the_page(name):
    """Numbers of parameters, exactly, where the recipe decides them; nothing is allocated."""
    words = "init_from=codec labeller.weights=labels" if name.startswith("msillm") else ""
    commands = [said for said in commands_of_the_page() if f"experiment={name}" in said.split()]
    cfg = composed(commands[0] if commands else f"experiment={name} {words}")
    system = name.partition("_")[0]
    row = next(row for row in PAGE.splitlines() if row.startswith(f"| `{system}_") and " M" in row)
    for kind, wanted in zip(("generator", "discriminator"), SIZES[name], strict=True):
        if wanted is not None:
            with torch.device("meta"):
                network = build(cfg, kind)
            assert sum(p.numel() for p in network.parameters()) == wanted
            assert f"{wanted / 1e6:.2f} M" in row


def test_vqgans_patchgan_is_published_with_2_77_million_parameters():
    assert PUBLISHED_VQGAN == 2_765_633


def test_every_recipe_has_a_size_or_takes_any_networks():
    free = {"frozen", "rd", "hific_balance", "r3gan"}
    assert set(SIZES) | free == {name for name in groups()["experiment"] if not name.startswith("_")}


def test_each_recipe_is_on_the_page():
    page = " ".join(commands_of_the_page())
    systems = {name.partition("_")[0] for name in groups()["experiment"]} - {"frozen", "rd", "r3gan"}
    assert {f"experiment={system}_" in page for system in systems} == {True}
