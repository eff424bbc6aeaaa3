"""The help of train and lab, read from the files in ``conf/``."""

import yaml

from gcn.cli.arguments import columns, layout, rule
from gcn.config import objective
from gcn.config.knobs import HEADINGS, Knob
from gcn.config.offered import LAB, TRAIN, Root, groups, knobs
from gcn.config.parse import parse
from gcn.schema.fields import Field, at, declarations, show
from gcn.schema.plugins import NONE, Extension, installed

FOLDER = Field.parse("path ; folder of the run; with -m, of its runs")
ENDING = """
-o FOLDER and hydra.run.dir=FOLDER are out=FOLDER.
--cfg job prints the configuration with all settings, --hydra-help the other flags.
"""
TRAINING = """\
python scripts/train.py loss=ns mse=1
python scripts/train.py loss=hinge mse=1 lpips=6.67 r1=10 terms.r1.every=16 relativistic=pair
python scripts/train.py -m loss=ns,hinge mse=null,0,1 seed=0,1      one run for each combination
python scripts/train.py data=folder data.root=DIR trainer=ddp devices=2 out=runs/first
python scripts/train.py resume=outputs/DATE/RUN steps=20000
"""
WEIGHTS = """\
  A knob that is a weight is null (absent), 0 (measured, not optimised) or a number (optimised).
  Options of a knob, in brackets: terms.KNOB.OPTION=VALUE.
  Lightning callbacks: callbacks=[early_stopping,checkpoint], callbacks.early_stopping.patience=9; any other:
  callbacks.NAME={_target_: lightning.pytorch.callbacks.CLASS, ARGUMENT: VALUE}.
"""
LABORATORY = """\
python scripts/lab.py loss=ns                                    circles
python scripts/lab.py loss=ns mse=1                              no rotation: a slow approach
python scripts/lab.py game=lossy loss=vanilla mse=0.6            the distortion's optimum is not the data
python scripts/lab.py loss=ns mse=1 phase=mse locus=mse          a phase diagram and the eigenvalues' path
python scripts/lab.py dynamics=simultaneous optimizer=adam optimizer.betas=[0.9,0.999]
python scripts/lab.py game=ring loss=hinge r1=1 optimizer=adam optimizer.lr=1e-3 steps=4000 seeds=4
"""
SMALL_WEIGHTS = """\
  A knob that is a weight is null (absent) or a number. In the lab the unit of an error is 1, not 8 grey
  levels: mse=1 adds θ² to the generator's loss.
  Options of a game: game.OPTION=VALUE. The run folder holds lab.json (eigenvalues, closed form, outcome,
  trajectory's end) and the figure lab.png.
"""
TEXTS = {
    TRAIN: ("Train a generative compression network, and switch every ingredient of its objective.", TRAINING, WEIGHTS),
    LAB: (
        "Train a small game of the theory with the losses, terms and update rules that train a codec.",
        LABORATORY, SMALL_WEIGHTS,
    ),
}  # fmt: skip


def help_text(root: Root = TRAIN, own: Extension = NONE) -> str:
    """The text of ``--help``: examples, knobs by the part that they change, groups and settings.

    Args:
        root: of which command.
        own: what the user adds, which is shown among the rest.
    """
    start = parse(own._replace(config_dir=None).words, own.config_dir, root)
    about, examples, weights = TEXTS[root]
    lacks = set(yaml.safe_load(root.file.read_text(encoding="utf-8")).get("_lacks_", {}))
    sections = {"Words": weights}
    for part, heading in HEADINGS.items():
        sections[heading] = columns(
            (f"{name}={show(start[name])}", _knob(knob))
            for name, knob in knobs(own).items()
            if knob.changes == part and not lacks & set(knob.needed)
        )
    sections["Groups"] = columns(
        (f"{group}={show(start.choices[group])}", ", ".join(names))
        for group, names in groups(root, own).items()
    )
    rows = [("out=PATH", f"{FOLDER.help} ({rule(FOLDER)})")]
    if root is TRAIN:
        rows.append((f"{objective.WORD}=null", f"{objective.FIELD.help} ({rule(objective.FIELD)})"))
    for name, field in declarations(root.file).items():
        default = at(start, name)
        rows.append((f"{name}={show(default)}", f"{field.help} ({rule(field.beside(default))})"))
    sections["Settings"] = columns(rows)
    if installed():
        sections["Installed plugins"] = columns(
            (f"plugins=[{name}]", f"classes of the package {package}")
            for name, package in installed().items()
        )
    return layout(about, examples, sections) + ENDING


def _knob(knob: Knob) -> str:
    options = f" [{', '.join(knob.options)}]" if knob.options else ""
    return f"{knob.help} ({rule(knob.field)}){options}"
