"""Knobs: the top-level scalars that switch the ingredients of the objective, one file in ``conf/knob`` each.

    help: zero-centred gradient penalty on real images      # a line for --help
    changes: discriminator loss         # what the knob changes, one of the keys of HEADINGS
    kind: weight                        # null: absent, 0: measured and not optimised, a number: optimised
    target: gcn.losses.penalties.R1     # the class; none for a setting that something else reads
    options:                            # arguments of the class, terms.r1.every=16 on the command line
      every: 1                          #: int >= 1 ; apply at every n-th update, n times as strong
    needs: discriminator                # or a list; refused where a chosen option says that it lacks one
    alone: false                        # a weight from which G learns nothing by itself; true, if it says nothing
    conflicts:                          # refused if all of `with` holds
      - with: {discriminator.norm: batch}
        because: ...

A ``setting`` is no weight. It has a ``type`` (or ``choices``), a range (``min``, ``above``, ``max``), states
its own ``absent`` value or values (null, if it says nothing), and names the ``argument`` of the class that
takes it.

The folder is scanned, so a new knob is a new file and nothing else.
"""

from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gcn.config.sources import load
from gcn.errors import InputError
from gcn.schema.fields import Field, declarations

HEADINGS = {  # what a knob may change, and the heading of such knobs in --help
    "generator loss": "Generator loss terms",
    "discriminator loss": "Discriminator loss terms",
    "both losses": "Terms of both losses",
    "discriminator input": "Discriminator input",
    "discriminator weights": "Discriminator weights",
    "discriminator updates": "Discriminator updates",
}
ABSENT, PRESENT = "absent", "present"


@dataclass(frozen=True)
class Knob:
    """A knob: its help, type, range, class and conflicts, as its file declares them."""

    name: str
    help: str
    changes: str
    kind: str
    type: str = "float"
    choices: list[Any] = field(default_factory=list)
    min: float | None = None
    above: float | None = None
    max: float | None = None
    absent: Any = None
    default: Any = None
    target: str | None = None
    argument: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    needs: str | list[str] | None = None
    alone: bool = True
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    declared: dict[str, Field] = field(default_factory=dict)  # of the options

    @cached_property
    def absences(self) -> list[Any]:
        """The values that mean *not there*; the first is the canonical one."""
        return self.absent if isinstance(self.absent, list) else [self.absent]

    @property
    def needed(self) -> list[str]:
        """Capabilities that the chosen options must have, such as ``discriminator``."""
        return [self.needs] if isinstance(self.needs, str) else self.needs or []

    @property
    def needs_discriminator(self) -> bool:
        """Whether the knob needs a discriminator."""
        return "discriminator" in self.needed

    @property
    def trains_g(self) -> bool:
        """Whether a positive value adds a term to the generator's loss."""
        return self.kind == "weight" and self.changes in ("generator loss", "both losses")

    @property
    def start(self) -> Any:
        """The default value."""
        return self.absences[0] if self.default is None else self.default

    @cached_property
    def field(self) -> Field:
        """Type and range of the knob's value."""
        low = 0.0 if self.kind == "weight" and self.min is None and self.above is None else self.min
        bounds = [(">=", low), (">", self.above), ("<=", self.max)]
        return Field(
            type=None if self.choices else self.type,
            choices=tuple(self.choices),
            bounds=tuple((sign, float(bound)) for sign, bound in bounds if bound is not None),
            nullable=None in self.absences,
        )

    def check(self, value: Any) -> Any:
        """``value`` converted to the knob's type; raises InputError if it is out of range."""
        if any(value == none and isinstance(value, bool) == isinstance(none, bool) for none in self.absences):
            return value
        return self.field.check(self.name, value)

    def present(self, value: Any) -> bool:
        """Whether ``value`` builds the ingredient, be it optimised or only measured."""
        return value not in self.absences

    @property
    def node(self) -> dict[str, Any] | None:
        """Configuration node ``terms.<knob>``: class and options; None for a knob without a class."""
        return None if self.target is None else {"_target_": self.target, **self.options}


def read(path: Path) -> Knob:
    """The knob that a file of ``conf/knob`` declares; raises InputError for unknown keys and values."""
    content: Any = OmegaConf.to_container(load(path)[0])
    known = {f.name for f in fields(Knob)} - {"name", "declared"}
    if not isinstance(content, dict) or (strange := set(content) - known):
        raise InputError(
            f"{path}: {', '.join(map(str, strange))}: a knob has the keys {', '.join(sorted(known))}"
        )
    for key, allowed in {"changes": tuple(HEADINGS), "kind": ("weight", "setting")}.items():
        if content.get(key) not in allowed:
            raise InputError(f"{path}: {key} must be one of {', '.join(allowed)}")
    return Knob(path.stem, **{"help": "", **content}, declared=declarations(path, "options"))


def scan(folder: Path) -> dict[str, Knob]:
    """All knobs of a folder such as ``conf/knob`` by name, in alphabetical order."""
    knobs = {path.stem: read(path) for path in sorted(folder.glob("*.yaml"))}
    for name in knobs:
        if (folder.parent / name).is_dir():
            raise InputError(
                f"{folder.parent / name}: Hydra would take the knob {name} for this group; rename one"
            )
    return knobs
