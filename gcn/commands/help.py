"""What ``--help`` prints, read from the files in ``conf/``."""

import textwrap
from collections.abc import Iterable
from functools import partial

import yaml

from gcn.config.compose import LAB, TRAIN, Root, groups, knobs
from gcn.config.knobs import HEADINGS, Knob
from gcn.config.parse import parse
from gcn.schema.fields import Field, at, declarations, show

WIDTH = 110
TRAINING = """\
Train a generative compression network, and switch every ingredient of its objective.

usage: python scripts/train.py [-m] [GROUP=CHOICE] [KNOB=VALUE] [SETTING=VALUE] ...

A knob that is a weight is null (absent), 0 (measured, not optimised) or a number (optimised). The others say
what they take. Options of a knob, in brackets: terms.KNOB.OPTION=VALUE.
"""
TRAINING_EXAMPLES = """\
Examples
  python scripts/train.py loss=ns mse=1
  python scripts/train.py loss=hinge mse=1 lpips=6.67 r1=10 terms.r1.every=16 relativistic=pair
  python scripts/train.py -m loss=ns,hinge mse=null,0,1 seed=0,1      one run for each combination
  python scripts/train.py data=folder data.root=DIR trainer=ddp devices=2
  python scripts/train.py resume=outputs/DATE/RUN steps=20000

--cfg job prints the configuration with all settings, --hydra-help the other flags.
"""
LABORATORY = """\
Play a small game of the theory with the losses, terms and update rules that train a codec.

usage: python scripts/lab.py [-m] [GROUP=CHOICE] [KNOB=VALUE] [SETTING=VALUE] ...

The run folder holds lab.json (eigenvalues, closed form, outcome, trajectory's end) and the figure lab.png.
A knob that is a weight is null (absent) or a number; the unit of error is 1, mse=1 charges G with θ².
Options of a game: game.OPTION=VALUE.
"""
LABORATORY_EXAMPLES = """\
Examples
  python scripts/lab.py loss=ns                                    circles
  python scripts/lab.py loss=ns mse=1                              a slow slide
  python scripts/lab.py game=lossy loss=vanilla mse=0.6            the distortion's optimum is not the data
  python scripts/lab.py loss=ns mse=1 phase=mse locus=mse          a phase diagram and the eigenvalues' path
  python scripts/lab.py dynamics=simultaneous optimizer=adam optimizer.betas=[0.9,0.999]
  python scripts/lab.py game=ring loss=hinge r1=1 optimizer=adam optimizer.lr=1e-3 steps=4000 seeds=4

--cfg job prints the configuration with all settings, --hydra-help the other flags.
"""
TEXTS = {TRAIN: (TRAINING, TRAINING_EXAMPLES), LAB: (LABORATORY, LABORATORY_EXAMPLES)}


def help_text(root: Root = TRAIN) -> str:
    """The text of ``--help``: usage, knobs by the part that they change, groups, settings, examples."""
    start = parse([], root=root)
    usage, examples = TEXTS[root]
    lacks = set(yaml.safe_load(root.file.read_text(encoding="utf-8")).get("_lacks_", {}))
    sections = [usage]
    for part, heading in HEADINGS.items():
        rows = [
            (f"{name}={show(start[name])}", _knob(knob))
            for name, knob in knobs().items()
            if knob.changes == part and not lacks & set(knob.needed)
        ]
        sections.append(f"{heading}\n{_columns(rows)}")
    rows = [
        (f"{group}={show(start.choices[group])}", ", ".join(names)) for group, names in groups(root).items()
    ]
    sections.append(f"Groups\n{_columns(rows)}")
    rows = []
    for name, field in declarations(root.file).items():
        default = at(start, name)
        rows.append((f"{name}={show(default)}", f"{field.help} ({_rule(field.beside(default))})"))
    sections.append(f"Settings\n{_columns(rows)}")
    return "\n".join([*sections, examples])


def _knob(knob: Knob) -> str:
    values = "" if knob.kind == "weight" else f" ({_rule(knob.field)})"
    options = f" [{', '.join(knob.options)}]" if knob.options else ""
    return f"{knob.help}{values}{options}"


def _columns(rows: Iterable[tuple[str, str]]) -> str:
    wrap = partial(textwrap.fill, width=WIDTH, subsequent_indent=26 * " ", break_long_words=False)
    return "".join(f"{wrap(f'  {left:<24}{right}')}\n" for left, right in rows)


def _rule(field: Field) -> str:
    """Null is seen from the default that stands beside it."""
    return str(field).removesuffix(" or null")
