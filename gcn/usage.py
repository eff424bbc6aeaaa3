"""What ``--help`` prints, read from the files in ``conf/``."""

from collections.abc import Iterable

from gcn.compose import CONF, ROOT, groups, knobs
from gcn.config import parse
from gcn.knobs import PAYERS, Knob
from gcn.schema import Field, at, declarations, show

USAGE = """\
Train a generative compression network, and switch every ingredient of its objective.

usage: python scripts/train.py [-m] [GROUP=CHOICE] [KNOB=VALUE] [SETTING=VALUE] ...

A knob that is a weight is null (absent), 0 (measured, not optimised) or a number (optimised). The others say
what they take. Options of a knob, in brackets: terms.KNOB.OPTION=VALUE.
"""
EXAMPLES = """\
Examples
  python scripts/train.py loss=ns mse=1
  python scripts/train.py loss=hinge mse=1 lpips=6.67 r1=10 terms.r1.every=16 relativistic=pair
  python scripts/train.py -m loss=ns,hinge mse=null,0,1 seed=0,1      one run for each combination
  python scripts/train.py data=folder data.root=DIR trainer=ddp devices=2
  python scripts/train.py resume=outputs/DATE/RUN steps=20000

--cfg job prints the configuration with all settings, --hydra-help the other flags.
"""


def help_text() -> str:
    """Usage, knobs by who pays, groups, settings, examples."""
    start = parse([])
    sections = [USAGE]
    for payer in PAYERS:
        rows = [
            (f"{name}={show(knob.start)}", _knob(knob)) for name, knob in knobs().items() if knob.who == payer
        ]
        sections.append(f"{payer}\n{_columns(rows)}")
    rows = [(f"{group}={show(start.choices[group])}", ", ".join(names)) for group, names in groups().items()]
    sections.append(f"Groups\n{_columns(rows)}")
    rows = []
    for name, field in declarations(CONF / f"{ROOT}.yaml").items():
        default = at(start, name)
        rows.append((f"{name}={show(default)}", f"{field.help} ({_rule(field.beside(default))})"))
    sections.append(f"Settings\n{_columns(rows)}")
    return "\n".join([*sections, EXAMPLES])


def _knob(knob: Knob) -> str:
    values = "" if knob.kind == "weight" else f" ({_rule(knob.field)})"
    options = f" [{', '.join(knob.options)}]" if knob.options else ""
    return f"{knob.help}{values}{options}"


def _columns(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(f"  {left:<24}{right}\n" for left, right in rows)


def _rule(field: Field) -> str:
    """Null is seen from the default that stands beside it."""
    return str(field).removesuffix(" or null")
