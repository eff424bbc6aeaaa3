"""scripts/bench.py: benchmarks, each with arguments of its own."""

import importlib
from collections.abc import Sequence

from gcn.cli.arguments import Arguments, Command
from gcn.schema.plugins import WORDS

MODULES = {  # in gcn.bench, which is imported when the words are checked
    "lab": "lab_speed", "coder": "coder_speed", "codec": "coding_speed", "exact": "exact_speed", "study": "study_speed",
    "step": "step_speed",
}  # fmt: skip
BENCHMARKS = {
    "lab": Command(
        name="bench lab",
        about="Dirac games: the production losses and rule against bare formulas",
        examples="python scripts/bench.py lab games=10000",
        words="""\
games: 100000           #: int >= 1 ; games that are trained at once
steps: 500              #: int >= 1 ; updates of each
repeats: 3              #: int >= 1 ; turns of each contender
threads: 2              #: int >= 1 ; of torch
""",
    ),
    "coder": Command(
        name="bench coder",
        about="the entropy coder against CompressAI's",
        examples="python scripts/bench.py coder height=256 width=256",
        words="""\
height: 512             #: int >= 1 ; of the image whose latents are coded, in pixels
width: 768              #: int >= 1 ; of the same image, in pixels
channels: 192           #: int >= 1 ; of the latents
repeats: 5              #: int >= 1 ; turns of each contender
threads: 1              #: int >= 1 ; of torch
""",
    ),
    "codec": Command(
        name="bench codec",
        about="where the time of a file goes: network or coder",
        examples="python scripts/bench.py codec run=outputs/DATE/RUN",
        words="""\
model: mid              #: path ; a model that ships, or a model file
run: null               #: path ; run folder whose codec is measured instead
height: 1024            #: int >= 1 ; of the image, in pixels
width: 1536             #: int >= 1 ; of the same image, in pixels
repeats: 3              #: int >= 1 ; turns of each contender
threads: 1              #: int >= 1 ; of torch
"""
        + WORDS,
        spellings={"model_name": "model"},
    ),
    "exact": Command(
        name="bench exact",
        about="files of a hyperprior in floating point and in integers, read in other settings",
        examples="python scripts/bench.py exact run=outputs/DATE/RUN images=FOLDER",
        words="""\
run: ???                #: path ; run folder of a generator=hyperprior
images: ???             #: path ; folder of PNG images
threads: 2              #: int >= 1 ; of the setting with more threads
"""
        + WORDS,
    ),
    "study": Command(
        name="bench study",
        about="runs an hour of the study: its arms side by side against the trainer, one after another",
        examples="python scripts/bench.py study updates=500 repeats=1",
        words="""\
updates: 200            #: int >= 1 ; of each arm
arms: 4                 #: int >= 1 ; of the grid core
repeats: 2              #: int >= 1 ; turns of each contender
workers: 2              #: int >= 1 ; arms that are trained at once
""",
    ),
    "step": Command(
        name="bench step",
        about="one update of a training against a plain loop, and against the machine's best",
        examples="python scripts/bench.py step words=loss=ns,mse=1,r1=10 crop=64,128 batch=1,8",
        words="""\
words: [loss=ns, mse=1]  #: list of str ; of scripts/train.py, separated by commas
crop: [64]              #: list of int >= 1 ; sides of the images, in pixels
batch: [8]              #: list of int >= 1 ; images of an update
against: [plain]        #: list of str ; plain: a loop; compressai: it on CompressAI's codec; alternating: this rule
updates: 5              #: int >= 1 ; of each contender in each round
repeats: 5              #: int >= 1 ; rounds
threads: 1              #: int >= 1 ; of torch, on the CPU
""",
    ),
}
COMMAND = Command(
    name="bench",
    about="Measure the speed of code; what is compared takes turns in one process.",
    examples="\n".join(one.examples for one in BENCHMARKS.values()),
    words=f"name: ???  #: one of {', '.join(BENCHMARKS)} ; the benchmark",
    bare=("name",),
    more="".join(f"\n{name}: {one.about}\n{one.columns()}" for name, one in BENCHMARKS.items()),
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    name = next((word for word in words if word.removeprefix("name=") in BENCHMARKS), None)
    if name is None:
        return COMMAND.run(words, lambda _: 0)
    rest = [word for word in words if word != name]
    name = name.removeprefix("name=")

    def bench(said: Arguments) -> int:
        importlib.import_module(f"gcn.bench.{MODULES[name]}").bench(**said)
        return 0

    return BENCHMARKS[name].run(rest, bench)
