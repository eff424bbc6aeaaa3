"""From a file of ``conf/study`` to arms: which combinations of factors are trained, in which order."""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gcn.config.compose import CONF
from gcn.errors import InputError
from gcn.schema.fields import suggestion

STANDARD = "gan=standard"  # of the study alone: latents are noise


@dataclass(frozen=True)
class Arm:
    """One run: a value of each factor, and the seed.

    Attributes:
        levels: factor to the name of its value.
        seed: of weights, crops and noise.
        words: of ``scripts/train.py``.
        standard: noise takes the place of latents.
    """

    levels: Mapping[str, str]
    seed: int
    words: tuple[str, ...]
    standard: bool

    @property
    def name(self) -> str:
        """Of the arm's file: its levels and a hash of its words, so that a changed protocol is another arm."""
        levels = "_".join(self.levels.values())
        digest = hashlib.blake2b(repr((self.words, self.standard)).encode(), digest_size=4).hexdigest()
        return f"{levels}_{self.seed}_{digest}"


@dataclass(frozen=True)
class Protocol:
    """How arms are trained; see the remarks in ``conf/study``.

    Attributes:
        codec: words of the codec that the arms of a seed share; empty: each arm trains its own, jointly from scratch.
        arm: words of every arm.
        updates: of the generator. log_every, val_every: between rows and between validations.
        pool: training crops. val_crops: of 128 pixels.
    """

    codec: tuple[str, ...]
    arm: tuple[str, ...]
    updates: int
    log_every: int
    val_every: int
    pool: int
    val_crops: int

    @property
    def joint(self) -> bool:
        """Whether the whole codec is trained, not the decoder alone."""
        return not self.codec


@dataclass(frozen=True)
class Study:
    """A protocol and its arms; of those named in ``closer`` eigenvalues and reconstructions are kept.

    Attributes:
        labels: level to the name under which reports show it; tables and arms keep the level's own name.
        withdrawn: (factor, level) to the reason why reports leave the runs of this level out.
        cannot_say: sentences about what the runs do not support.
    """

    name: str
    title: str
    protocol: Protocol
    factors: Mapping[str, Sequence[str]]
    arms: Sequence[Arm]
    closer: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    withdrawn: Mapping[tuple[str, str], str] = field(default_factory=dict)
    cannot_say: Sequence[str] = ()


@dataclass(frozen=True)
class Choice:
    """A part of a study: these grids, levels of factors and the first so many seeds; empty: all."""

    grids: Sequence[str] = ()
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seeds: int | None = None

    def check(self, content: Mapping[str, Any]) -> None:
        """Refuse what the study does not have."""
        for grid in self.grids:
            if grid not in content["grids"]:
                raise InputError(f"grids={grid}: unknown; {suggestion(grid, content['grids'])}")
        for factor, levels in self.only.items():
            if factor not in content["factors"]:
                raise InputError(f"only.{factor}: unknown; {suggestion(factor, content['factors'])}")
            for level in levels:
                if level not in content["factors"][factor]:
                    near = suggestion(level, content["factors"][factor])
                    raise InputError(f"only.{factor}={level}: unknown; {near}")

    def holds(self, arm: Arm) -> bool:
        """Whether an arm is in this part."""
        within = all(arm.levels[factor] in levels for factor, levels in self.only.items())
        return within and (self.seeds is None or arm.seed < self.seeds)


def load(name: str, words: Sequence[str] = (), choice: Choice = Choice()) -> Study:
    """The study of ``conf/study/NAME.yaml``, or a part of it.

    Args:
        name: of the file.
        words: further words of ``scripts/train.py`` for codecs and arms alike: ``data=folder data.root=…``.
        choice: the part.

    Raises:
        InputError: no such study, grid, factor or level, or nothing is left of it.
    """
    known = sorted(path.stem for path in (CONF / "study").glob("*.yaml"))
    if name not in known:
        raise InputError(f"study={name}: unknown; choose {', '.join(known)}")
    file = CONF / "study" / f"{name}.yaml"
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    choice.check(content)
    plan, factors = content["protocol"], content["factors"]
    numbers = {key: plan[key] for key in ("updates", "log_every", "val_every", "pool", "val_crops")}
    codec = plan.get("codec", [])
    if not any(word.startswith("data=") for word in words):
        codec = [*codec, *plan.get("codec_of_photos", [])]
    protocol = Protocol((*codec, *words) if codec else (), (*plan["arm"], *words), **numbers)
    arms: dict[str, Arm] = {}
    for key, grid in content["grids"].items():
        if not choice.grids or key in choice.grids:
            arms |= {a.name: a for a in _grid(grid, factors, protocol, file) if choice.holds(a)}
    if not arms:
        raise InputError(f"study={name}: no arm is left; drop some of grids=, only. and seeds=")
    closer = (
        frozenset(a.name for a in _grid(content.get("closer", {"seeds": 0}), factors, protocol, file))
        & arms.keys()
    )
    levels = {factor: list(values) for factor, values in factors.items()}
    return Study(
        name,
        content["title"],
        protocol,
        levels,
        list(arms.values()),
        closer,
        labels={level: text for (_, level), text in _texts(content, "display", file).items()},
        withdrawn=_texts(content, "withdrawn", file),
        cannot_say=content.get("cannot_say", ()),
    )


def _texts(content: Mapping[str, Any], section: str, file: Path) -> dict[tuple[str, str], str]:
    """A section of texts about levels: (factor, level) to the text."""
    found = {}
    for factor, texts in content.get(section, {}).items():
        for level, text in texts.items():
            _check_level(content["factors"], factor, level, f"{file}: {section}:")
            found[factor, level] = str(text)
    return found


def _check_level(factors: Mapping[str, Any], factor: str, level: str, where: str) -> None:
    if factor not in factors:
        raise InputError(f"{where} {factor} is no factor; {suggestion(factor, factors)}")
    if level not in factors[factor]:
        raise InputError(f"{where} {factor} has no level {level}; {suggestion(level, factors[factor])}")


def _grid(grid: Mapping[str, Any], factors: Mapping[str, Any], protocol: Protocol, file: Path) -> list[Arm]:
    varied = {factor: [str(v) for v in levels] for factor, levels in grid.items() if factor != "seeds"}
    for factor, levels in varied.items():
        for level in levels:
            _check_level(factors, factor, level, f"{file}:")
    first = {factor: [next(iter(levels))] for factor, levels in factors.items()}
    chosen = first | varied
    arms = []  # the seed varies slowest: cut short, all cells have as many
    for seed, *levels in itertools.product(range(grid["seeds"]), *(chosen[factor] for factor in factors)):
        named = dict(zip(factors, levels, strict=True))
        said = [word for factor, level in named.items() for word in factors[factor][level].split()]
        words = tuple(word for word in said if word != STANDARD)
        arms.append(Arm(named, seed, (*protocol.arm, *words, f"seed={seed}"), STANDARD in said))
    return arms
