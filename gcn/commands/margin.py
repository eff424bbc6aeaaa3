"""scripts/margin.py: its own arguments and the words of training; torch is imported after both are checked."""

from collections.abc import Sequence
from pathlib import Path

from gcn.cli.arguments import Command, read, spelled
from gcn.cli.invocation import called
from gcn.cli.quoting import word
from gcn.cli.terminal import guarded
from gcn.config.flags import read_flags
from gcn.config.offered import groups, knobs
from gcn.config.override_words import hydra_key, normal, refuse_doubled
from gcn.config.parse import Config, parse
from gcn.config.preflight import check_run
from gcn.errors import InputError
from gcn.files.atomic import check_folder
from gcn.files.names import printable
from gcn.schema.fields import nearest, suggestion
from gcn.schema.plugins import Extension, extension, named
from gcn.study.arms import METHODS, TWINS, refuse_ramp

COMMAND = Command(
    name="margin",
    about="Find the largest learning rate at which a game still works, and that of the same training without the game.",
    examples="""
python scripts/margin.py loss=ns +mse=1                     h* of the game and of its twin without feedback
python scripts/margin.py loss=hinge +mse=1 +r1=10 optim=gan data=folder data.root=FOLDER
python scripts/margin.py loss=ns +mse=1 axis=adv            a*: the largest weight of the adversary instead
python scripts/margin.py loss=mine plugins=[mypackage]      a loss of your own, in a package
""",
    words=f"""\
out: null               #: path ; folder of runs, margin.json and figure, by default outputs/margin/NAME; run again to resume
axis: lr                #: one of lr, adv ; what is raised: both learning rates, or the weight of the adversary
method: bisection       #: one of {", ".join(METHODS)} ; which values are tried: 81, 41, about 6, or one run with rising rates
twin: rescaled          #: one of {", ".join(TWINS)} or null ; the training without the game; null: none
updates: 200            #: int in [6, 1e6] ; of each run
init_from: null         #: path ; first decoder: low, mid or high, which ship, a model file, or a run of experiment=rd
""",  # noqa: E501
    more="""
All other words are those of scripts/train.py, whose --help lists them. Only the decoder is trained, from that
of a codec that was trained for rate and distortion; encoder and entropy model are frozen. Learning rates are
constant, and D's keeps its ratio to G's.

A run holds if photographs and reconstructions are as hard to tell apart as without an adversary. Three times
(updates 100, 150 and 200) fresh classifiers are trained to tell them apart. Their log-loss may be at most .3
octaves (a factor of .81) below what it is for the same decoder trained by the distortion alone, at a learning
rate of 1e-5. h* is the largest learning rate, and a* the largest weight, up to which all tried values hold.

The discriminator of the rescaled twin repeats the updates of another seed's discriminator: it has the
gradients of a game and does not react to this generator. The other game is recorded where it holds, an octave
below the margins of both seeds; its updates are enlarged in proportion to the learning rate. h* of the twin
divided by h* is what the game costs. twin=recorded does not enlarge them. twin=yoked repeats the other game
at the same learning rate, with some seven runs less; beyond its margin that game has failed, and the twin may
fail for this reason alone.
""",
)
PLACE = Path("outputs/margin")
OWN = ("out", "axis", "method", "twin", "updates", "init_from")
FIXED = {
    "freeze": "encoder and entropy model are frozen here",
    "steps": "give updates=",
    "resume": "give out= of the margin",
    "warmup.steps": "there is no warm-up here",
    "optim.schedule.name": "learning rates are constant here",
    "experiment": "give its words one by one",
    "rate": "the encoder is frozen, so the rate is constant",
    "ema": "no averaged weights are judged here",
}  # words of training that have no meaning for a margin


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return guarded(lambda: _main(words), command=(*called("margin"), *words))


def _main(words: Sequence[str]) -> int:
    if {"-h", "--help"} & set(words):
        print(COMMAND.help(), end="")
        return 0
    said = list(spelled(words, OWN.__contains__))
    own = [text for text in said if hydra_key(text) in OWN]
    arguments = read(COMMAND, own)
    flags = read_flags([text for text in said if hydra_key(text) not in OWN])
    unused = [flag for flag in flags.flags() if flag.startswith("-") and flag != "--config-dir"]
    if unused:
        raise InputError(f"{unused[0]}: not a flag of this command, which has --config-dir; drop it")
    given = normal(flags.overrides)
    refuse_doubled(given)
    _refuse_unknown(given, extension(named(given)[0], flags.config_dir))
    for text in given:
        if hydra_key(text) in FIXED:
            raise InputError(f"{text}: not a word of a margin: {FIXED[hydra_key(text)]}; drop it")
    trained = [*given, "freeze=encoder", "rate=null"]
    cfg = parse([*trained, "init_from=codec"], flags.config_dir)
    check_run(Config({**cfg, "init_from": None}), trained)
    if arguments["method"] == "ramp":
        refuse_ramp(arguments["axis"], arguments["twin"])
    import torch

    from gcn.study.margin.own_margin import Asked, measure

    torch.set_num_threads(
        1
    )  # layers are small: beside another process two threads take ten times as long as one
    asked = Asked(
        given, flags.config_dir, arguments["axis"], arguments["method"], arguments["twin"], arguments["updates"],
        arguments["init_from"],
    )  # fmt: skip
    folder = check_folder("out", arguments["out"] or PLACE / asked.name)
    resume = " ".join([*called("margin"), *map(_shown, words)])
    try:
        record = measure(asked, folder, lambda text: print(text, flush=True))
    except KeyboardInterrupt as signalled:
        raise type(signalled)(f"interrupted; run the command again to resume: {resume}") from None
    for line in record["says"]:
        print(line)
    print(printable(f"written: {folder}/margin.json, margin.png"))
    return 0


def _refuse_unknown(given: Sequence[str], own: Extension) -> None:
    """Refuse a word that is nearly one of this command's own, which training would answer with its words."""
    known = [*parse([]), *groups(), *knobs(own)]
    for text in given:
        name = hydra_key(text)
        if name.partition(".")[0] not in known and nearest(name, OWN):
            raise InputError(f"{name}: unknown; {suggestion(name, OWN)}")


def _shown(text: str) -> str:
    name, sign, value = text.partition("=")
    return word(name, value) if sign and not name.startswith("-") else text
