"""Gradients go where, and only where, they belong: for every loss, pairing, knob and rule."""

import pytest
import torch
from small import CLASSES, LABELS, LARGE, LARGER, ON, Small, differing, on

from gcn.config.offered import knobs
from gcn.errors import InputError
from gcn.game.protocols import Players
from gcn.training.player import OptimizerPlayer
from gcn.training.ranks import check_ranks

pytestmark = [
    pytest.mark.filterwarnings("ignore:lpips. the .* backbone has random weights"),
    pytest.mark.usefixtures("native_convolutions"),
]

LOSSES = ("ns", "vanilla", "lsgan", "hinge", "wgan", "fgan", "ml")
RELATIVE = LOSSES[:5]
PAIRINGS = ("pair", "pair_shuffled", "average")
ALONG_ONE_AXIS = dict.fromkeys(  # every loss in one pairing, and one loss in every pairing
    [*((loss, "pair") for loss in RELATIVE), *((RELATIVE[0], pairing) for pairing in PAIRINGS)]
)
RULES = {
    "alternating": "",
    "simultaneous": "dynamics=simultaneous",
    **{
        f"extragradient {m}": f"dynamics=extragradient dynamics.moments={m}"
        for m in ("both", "update", "lookahead")
    },
    "optimistic": "dynamics=optimistic",
    "lookahead": "dynamics=lookahead dynamics.k=2",
    "sga": "dynamics=sga dynamics.strength=0.1",
    "sga aligned": "dynamics=sga dynamics.strength=0.1 dynamics.align=true",
    "unrolled": "dynamics=unrolled dynamics.k=2",
}
ON_GRADIENTS = "consensus=0.1 jare=0.1 grad_norm=1 r1=1"


ROUNDING = (
    1e-7  # D's last bias under relativistic losses has no gradient but this, and it may round to no move
)


class Watched(OptimizerPlayer):
    """A player that looks at everybody's weights and gradients before and after it moves."""

    everybody: dict[str, "Watched"] = {}

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.moves = 0
        self.seen = self.copy()

    def copy(self):
        return [p.detach().clone() for p in self.parameters]

    def unchanged(self) -> bool:
        return all(torch.equal(a, b) for a, b in zip(self.parameters, self.seen, strict=True))

    def watch(self, move, gradients) -> None:
        everybody = self.everybody.values()
        assert all(p.grad is None for player in everybody for p in player.parameters)
        assert all(player.unchanged() for player in everybody if player is not self)
        assert len(gradients) == len(self.parameters)
        assert all(g.isfinite().all() for g in gradients)
        before = self.copy()
        move(gradients)
        assert all(p.grad is None for player in everybody for p in player.parameters)
        assert all(player.unchanged() for player in everybody if player is not self)
        moved = [not torch.equal(p, b) for p, b in zip(self.parameters, before, strict=True)]
        felt = [float(g.abs().max()) > ROUNDING for g in gradients]
        assert all(m >= f for m, f in zip(moved, felt, strict=True))
        touched = [
            bool(g.any()) for g in gradients
        ]  # from the second move on Adam's memory moves the rest too
        assert self.moves > 0 or all(m <= t for m, t in zip(moved, touched, strict=True))
        assert any(moved)
        self.seen = self.copy()

    def step(self, gradients) -> None:
        self.watch(super().step, gradients)
        self.moves += 1

    def extrapolate(self, gradients) -> None:
        self.watch(super().extrapolate, gradients)

    def shift(self, moves) -> None:
        super().shift(moves)
        self.seen = self.copy()


def put_back(small: Small) -> None:
    """Extragradient returns to the old point behind its players' backs."""
    for player in small.players:
        player.seen = player.copy()


def routed(said: str, updates: int) -> Small:
    small = Small(said, Watched)
    Watched.everybody = dict(small.players._asdict())
    if said.find("extragradient") >= 0:
        _looks_back(small)
    small.play(updates, observe_every=3)
    assert small.players.g.moves == updates
    assert small.players.d.moves == updates * small.cfg.d_steps
    parameters = [p for player in small.players for p in player.parameters]
    assert len({id(p) for p in parameters}) == len(parameters)
    return small


def _looks_back(small: Small) -> None:
    for player in small.players:
        step = player.step

        def stepping(gradients, step=step):
            put_back(small)
            step(gradients)

        player.step = stepping


# Each knob where D has two turns, of which G follows the last.
KNOBS = {name: on(name) if name == "d_steps" else f"{on(name)} d_steps=2" for name in ON}
CASES = {
    **{f"loss {loss}": f"loss={loss}" for loss in LOSSES},
    "loss ebgan": "loss=ebgan discriminator=autoencoder discriminator.depth=3 mse=1 pulling_away=1 r1=1",
    "loss began": "loss=began loss.k=0.5 discriminator=autoencoder discriminator.depth=3 mse=1 r1=1",
    "loss oasis": f"{CLASSES} mse=1",
    "loss oasis, penalty and noise": f"{CLASSES} r1=1 instance_noise=0.1 consensus=0.1",
    "classes with a loss of one logit": "loss=hinge discriminator=unet data.crop=64 relativistic=pair",
    "loss lsgan 01": "loss=lsgan loss.labels=01",
    **{f"loss {loss} {pairing}": f"loss={loss} relativistic={pairing}" for loss, pairing in ALONG_ONE_AXIS},
    **{f"knob {name}": KNOBS[name] for name in ON},
    "every": "r1=10 r2=10 gp=10 terms.r1.every=2 terms.r2.every=3 terms.gp.every=4",
    "zero-centred": "gp=10 terms.gp.target=0",
    "a level of noise for each image": "instance_noise=0.5 terms.instance_noise.per_image=true",
    "annealed": "instance_noise=0.5 terms.instance_noise.anneal=2",
    **{f"{norm} norm": f"discriminator.norm={norm} mse=1" for norm in ("instance", "batch")},
    "deviation of the batch": "discriminator.minibatch_std=true r1=10 consensus=0.1",
    "virtual norm": "discriminator.norm=virtual discriminator.condition=false mse=1 r1=10 consensus=0.1",
    "distances in the batch": "discriminator.minibatch_discrimination=3 r1=10 consensus=0.1",
    "colours, and a noise of their own": "diffaugment=color instance_noise=0.1 r1=10 feature_matching=1",
    "both players at once, and a history": f"{on('history')} dynamics=simultaneous consensus=0.1 r2=1",
    "adaptive weight": "adv=adaptive mse=1",
    "unconditional": "discriminator.condition=false",
    "two scales": "discriminator=multiscale discriminator.depth=1 r1=10 feature_matching=1",
    "labels given to D": "data=digits discriminator=projection loss=hinge r1=10 consensus=0.1 relativistic=pair",
    "labels predicted by D": "class_entropy=1 terms.class_entropy.generator=0.5 terms.class_entropy.fakes=false gp=10",
    "gradient through the condition": "discriminator.condition_gradient=true consensus=0.1",
}


def test_every_knob_and_rule_is_among_the_cases():
    from gcn.config.offered import groups

    assert set(ON) == set(knobs())
    assert {words.removeprefix("dynamics=").split()[0] for words in RULES.values() if words} | {
        "alternating"
    } == set(groups()["dynamics"])
    assert {*LOSSES, "oasis", "ebgan", "began", "none"} == set(groups()["loss"])


LATER = [  # words of what is remembered beside Adam's moments
    "every=",
    "anneal=",
    "lookahead",
    "weight_clip",
    "lecam",
    "historical_averaging",
    "history",
    "prox",
    "extragradient",
    "optimistic",
    "batch",
]


def remembers(said: str) -> bool:
    return any(word in said for word in LATER)


@pytest.mark.parametrize("said", CASES.values(), ids=list(CASES))
def test_some_updates(said):
    """Two, of which the second has Adam's memory, or three where more is remembered.

    Of three a lazy penalty is paid in two, and the noise is annealed.
    """
    routed(said, updates=3 if remembers(said) else 2)


@pytest.mark.parametrize("said", ["consensus=1", "jare=1", "r1=10 gp=10 instance_noise=0.1"])
def test_every_turn_of_the_discriminator_pays_alike(said):
    """A turn that G does not follow may do without the generator's graph, but not where D's gradient needs it."""
    small = Small(said)
    (x,) = small.batches(0)
    followed, alone = (
        small.game.gradient("d", small.game.turn("d", x, 0, attached=attached)) for attached in (True, False)
    )
    assert all(torch.equal(a, b) for a, b in zip(followed, alone, strict=True))


every_rule = pytest.mark.parametrize("words", RULES.values(), ids=list(RULES))


@every_rule
def test_every_rule_with_terms_on_gradients(words):
    own = "grad_norm=1 r1=1" if "unrolled" in words else ON_GRADIENTS  # the others are refused there
    routed(f"{words} {own}", updates=2 if remembers(words) else 1)


@every_rule
def test_every_rule_and_a_bound_on_weights_which_holds_after_every_update(words):
    """Of three updates two are a round of look-ahead."""
    small = routed(f"weight_clip=0.02 {words}", updates=3 if remembers(words) else 2)
    assert max(p.abs().max() for p in small.game.parameters_of("d")) <= 0.02


def test_rate_distortion_training_has_one_player():
    small = Small("loss=none mse=1", Watched)
    Watched.everybody = {"g": small.players.g}
    before = small.weights()
    from gcn.game.rules import Descend

    small.rule = Descend()
    small.play(5)
    changed = differing(before, small.weights())
    assert changed
    assert all(name.startswith("generator.") for name in changed)
    assert small.game.discriminator is None


PAST = (("historical_averaging", "g_0"), ("historical_averaging", "d_0"))


def moved_once(said: str) -> tuple[dict, dict]:
    small = Small(f"dynamics=simultaneous {said}")
    with torch.no_grad():  # three terms are at rest where the run starts: move their other end
        for name, target in (("anchor", "start.0.weight"), ("prox", "average_0"), *PAST):
            if name in small.game.objective.terms:
                small.game.objective.terms[name].state_dict()[target].mul_(1.5)
    weights = small.play(1).weights()
    return tuple(
        {k: v for k, v in weights.items() if k.startswith(p)} for p in ("generator.", "discriminator.")
    )


@pytest.fixture(scope="module")
def plain():
    return moved_once("")


@pytest.mark.parametrize("name", [name for name, knob in knobs().items() if knob.kind == "weight"])
def test_a_term_moves_the_player_whose_loss_it_is_part_of_and_no_other(name, plain):
    """From the same point the other player makes bit for bit the move that it makes without the term."""
    changes = knobs()[name].changes
    beside = {"class_entropy": LABELS} | dict.fromkeys(LARGER, LARGE)  # what the term needs
    without = moved_once(beside[name]) if name in beside else plain
    g, d = (bool(differing(a, b)) for a, b in zip(without, moved_once(f"{name}={ON[name]}"), strict=True))
    moved = {
        "generator loss": (True, False),
        "discriminator loss": (False, True),
        "both losses": (True, True),
    }
    assert (g, d) == moved[changes]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("adv=0 rate=null r1=1", "nothing to learn from"),
        ("loss=none rate=null mse=0", "nothing to learn from"),
        ("rate=null warmup.steps=5", "warmup.steps=5"),
        ("adv=adaptive rate=1", "adv=adaptive: the weight is a ratio"),
        ("adv=adaptive feature_matching=1 anchor=1 mse=0", "adv=adaptive: the weight is a ratio"),
        ("rate=null grad_norm=1 warmup.steps=5", "warmup.steps=5"),
    ],
)
def test_a_generator_with_nothing_to_learn_from_is_refused(said, reason):
    with pytest.raises(InputError, match=reason):
        Small(said)


@pytest.mark.parametrize("passes", [False, True])
def test_the_turn_cuts_the_condition_unless_told_otherwise(passes):
    small = Small(f"discriminator.condition_gradient={str(passes).lower()}")
    turn = small.game.turn("g", small.batches(0)[0], 0)
    assert torch.equal(turn.condition, turn.out.y_hat)
    score = turn.discriminate(turn.x).logits[0].sum()
    (felt,) = torch.autograd.grad(score, turn.out.y_hat, allow_unused=True, retain_graph=True)
    assert (felt is not None and bool(felt.any())) is passes


def test_norms_of_gradients_alone_are_nothing_to_learn_from():
    with pytest.raises(InputError, match="consensus, grad_norm, jare alone make no image"):
        Small("adv=0 rate=null consensus=1 jare=1 grad_norm=1")


def test_the_sum_of_all_parts_is_all_parameters():
    small = Small("mse=1")
    aux = {id(p) for p in small.game.generator.parts()["aux"]}
    players = [id(p) for name in ("g", "d") for p in small.game.parameters_of(name)]
    assert len(players) == len(set(players))
    assert set(players) | aux == {id(p) for p in small.game.parameters()}
    assert not set(players) & aux


def test_warm_up_moves_the_generator_alone():
    from gcn.game.rules import Descend

    small = Small("mse=1 feature_matching=1 consensus=1 grad_norm=1 r1=1")
    small.rule = Descend()
    alone = Small("loss=none mse=1")
    alone.rule = Descend()
    a, b = small.play(5).weights(), alone.play(5).weights()
    assert not differing({k: a[k] for k in b}, b)
    assert isinstance(small.players, Players)


@pytest.mark.parametrize("word", ["minibatch_std=true", "minibatch_discrimination=2"])
def test_what_compares_the_images_of_a_batch_takes_one_process(word):
    game = Small(f"discriminator.{word}").game
    check_ranks(game, 1)
    with pytest.raises(InputError, match=f"{word} with 2 processes"):
        check_ranks(game, 2)
