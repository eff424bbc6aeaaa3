"""Arms of a study from its file in ``conf/study``: which combinations of factors are trained, in which order."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gcn.errors import InputError
from gcn.files.names import printable
from gcn.files.reading import read_yaml
from gcn.schema.conf_folder import CONF
from gcn.schema.fields import suggestion
from gcn.schema.plugins import NONE, Extension
from gcn.study.arms import EXPONENT, HELD, LEAST, NEAR, OWN, Arm, MarginPlan, Protocol, RampPlan
from gcn.study.margin import starts

STANDARD = "gan=standard"  # of withdrawn levels alone: their runs are in a stored table, and none is trained
BEST = "best"  # stands in a grid for the level that a preliminary scan decides
NUMBERS = ("updates", "log_every", "val_every", "pool", "val_crops")
COMMANDS = {
    "train": NUMBERS,
    "lab": NUMBERS[:1],
    "margin": ("updates", "pool", "val_crops"),
    "methods": ("updates", "pool", "val_crops"),
}  # what arms are: scripts whose words they have, or searches for a margin; and what their protocols say


@dataclass(frozen=True)
class Study:
    """A protocol and its arms; ``diagnostics`` names those whose eigenvalues and reconstructions are kept.

    Attributes:
        labels: level to the name under which reports show it; tables and arms keep the level's own name.
        withdrawn: (factor, level) to the reason why reports leave the runs of this level out.
        cannot_say: sentences about what the runs do not support.
        choices: factor to what decides its level ``best``, as in the file.
        scans: factor to the names of the runs that decide it.
        text: folder of the questions and sentences of the report.
    """

    name: str
    title: str
    protocol: Protocol
    factors: Mapping[str, Sequence[str]]
    arms: Sequence[Arm]
    diagnostics: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    withdrawn: Mapping[tuple[str, str], str] = field(default_factory=dict)
    cannot_say: Sequence[str] = ()
    choices: Mapping[str, Any] = field(default_factory=dict)
    scans: Mapping[str, frozenset[str]] = field(default_factory=dict)
    text: Path = Path()

    @property
    def scan(self) -> frozenset[str]:
        """Names of the runs that only decide levels of others."""
        return frozenset().union(*self.scans.values())

    def planned(self) -> list[Arm]:
        """The arms that a report is about."""
        own = [arm for arm in self.arms if not self.withdrawn.keys() & arm.levels.items()]
        return [arm for arm in own if arm.name not in self.scan]


@dataclass(frozen=True)
class Choice:
    """A part of a study: these grids, levels of factors and the first so many seeds; empty: all."""

    grids: Sequence[str] = ()
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seeds: int | None = None

    def check(self, content: Mapping[str, Any]) -> None:
        """Raise InputError for grids, factors or levels that the study does not have."""
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

    def holds(self, levels: Mapping[str, str]) -> bool:
        """Whether an arm of these levels is in this part."""
        return all(levels[factor] in chosen for factor, chosen in self.only.items())


def files(own: Extension = NONE) -> dict[str, Path]:
    """The file of each study by name; raises InputError where a folder of the user's has one of the same name."""
    found: dict[str, Path] = {}
    for folder in (CONF, *own.folders):
        for path in sorted((folder / "study").glob("*.yaml")):
            if path.stem in found:
                raise InputError(f"{printable(path)}: there is a study {path.stem} already; rename the file")
            found[path.stem] = path
    return found


def load(
    name: str,
    words: Sequence[str] = (),
    choice: Choice = Choice(),
    rows: Iterable[Mapping[str, Any]] = (),
    own: Extension = NONE,
) -> Study:
    """The study of ``conf/study/NAME.yaml``, or of a folder ``study`` of the user's, or a part of it.

    Args:
        name: of the file.
        words: further words of the study's command for codecs and arms alike: ``data=folder data.root=…``.
        choice: the part.
        rows: of the table so far; arms whose level a scan decides are there as soon as the scan's runs are, and so are
            searches that begin at the margin of their grid's first seed.
        own: what the user adds; codecs and arms are trained with it.

    Raises:
        InputError: no such study, grid, factor or level, nothing is left of it, or the rows are of another study.
    """
    known = files(own)
    if name not in known:
        raise InputError(f"study={name}: unknown; choose {', '.join(known)}")
    file, words = known[name], [*words, *own._replace(config_dir=None).words]
    content, rows = read_yaml(file), list(rows)
    choice.check(content)
    for factor in content["factors"] if rows else ():
        if factor not in rows[0]:
            raise InputError(
                f"study={name}: the table has no column {factor}, so it is of another study; give its own"
            )
    grids = _Grids(content, _protocol(content, words, file, own.config_dir), file, choice, rows)
    arms: dict[str, Arm] = {}
    for key, grid in content["grids"].items():
        if not choice.grids or key in choice.grids:
            arms |= {a.name: a for a in grids.arms(grid)}
    if not arms:
        raise InputError(f"study={name}: no arm is left; drop some of grids=, only. and seeds=")
    diagnosed = {a.name for grid in content.get("diagnostics", []) for a in grids.arms(grid)}
    scans = {
        factor: frozenset(
            run for key in rule["among"] for arm in grids.arms(content["grids"][key]) for run in arm.runs
        )
        for factor, rule in content.get("choose", {}).items()
    }
    return Study(
        name,
        content["title"],
        grids.protocol,
        grids.levels,
        list(arms.values()),
        frozenset(diagnosed & arms.keys()),
        labels={level: text for (_, level), text in _texts(content, "display", file).items()},
        withdrawn=_texts(content, "withdrawn", file),
        cannot_say=content.get("cannot_say", ()),
        choices=content.get("choose", {}),
        scans=scans,
        text=file.parent / content.get("text", name),
    )


def _protocol(
    content: Mapping[str, Any], words: Sequence[str], file: Path, config_dir: str | None
) -> Protocol:
    plan = content["protocol"]
    command = plan.get("command", "train")
    if command not in COMMANDS:
        raise InputError(f"{file}: protocol: command={command}; choose {', '.join(COMMANDS)}")
    words = (*plan.get("both", []), *words)
    codec = plan.get("codec", [])
    if not any(word.startswith("data=") for word in words):
        codec = [*codec, *plan.get("codec_of_photos", [])]
    numbers = {key: plan[key] for key in COMMANDS[command]}
    margin = None
    if command == "margin":
        said = plan["margin"]
        lists = {name: tuple(said[name]) for name in ("reference", "settling")}
        margin = MarginPlan(**{**said, **lists})
    return Protocol(
        (*codec, *words) if codec else (),
        (*plan["arm"], *words),
        command=command,
        margin=margin,
        ramp=RampPlan(**plan["ramp"]) if command == "methods" else None,
        extra=config_dir,
        **numbers,
    )


def _texts(content: Mapping[str, Any], section: str, file: Path) -> dict[tuple[str, str], str]:
    """A section of texts about levels, as a mapping from (factor, level) to the text."""
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


class _Grids:
    """The arms of a file's grids. The words of a level may contain levels of other factors, ``r1={weight}``."""

    def __init__(
        self, content: Mapping[str, Any], protocol: Protocol, file: Path, part: Choice, rows: Iterable[Any]
    ) -> None:
        self.content, self.protocol, self.file, self.part = content, protocol, file, part
        self.rows = {row["name"]: row for row in rows}
        # levels without words of their own are a list
        self.factors: dict[str, dict[str, str]] = {
            factor: levels if isinstance(levels, dict) else dict.fromkeys(levels, "")
            for factor, levels in content["factors"].items()
        }
        self.levels = {factor: list(levels) for factor, levels in self.factors.items()}
        self.scans: dict[str, list[Arm]] = {}

    def arms(self, grid: Mapping[str, Any], whole: bool = False) -> list[Arm]:
        """The arms of a grid that are in the part, or all; without those whose best level is not known yet."""
        first = {factor: [next(iter(levels))] for factor, levels in self.factors.items()}
        varied = {
            f: [str(v) for v in levels] for f, levels in grid.items() if f not in ("seeds", "first_seed")
        }
        decided = self.content.get("choose", {})
        for factor, levels in varied.items():
            for level in [] if levels == [BEST] and factor in decided else levels:
                _check_level(self.factors, factor, level, f"{self.file}:")
        begins, number = grid.get("first_seed", 0), grid["seeds"]
        if self.part.seeds is not None and not whole:
            number = min(number, self.part.seeds)
        together = number if self.protocol.command == "lab" else 1
        found = []  # the seed varies slowest: cut short, all cells have as many
        for seed in range(begins, begins + number, max(together, 1)):
            for chosen in itertools.product(*(first | varied).values()):
                named = self._decided(dict(zip(self.factors, chosen, strict=True)))
                if named is None or not (whole or self.part.holds(named)):
                    continue
                arm: Arm | None = self._arm(named, seed, together)
                if arm is not None and arm.own.get("method") == NEAR and seed != begins:
                    arm = starts.started(arm, begins, self.rows.values())
                found += [] if arm is None else [arm]
        return found

    def _arm(self, named: Mapping[str, str], seed: int, seeds: int) -> Arm:
        said = [
            word.format_map(named) for f, level in named.items() for word in self.factors[f][level].split()
        ]
        withdrawn = self.content.get("withdrawn", {})
        if STANDARD in said and not any(level in withdrawn.get(f, {}) for f, level in named.items()):
            raise InputError(
                f"{self.file}: {STANDARD} is withdrawn; write generator=dcgan, in a protocol without a codec"
            )
        own = self._own(said)
        trained = (word for word in said if word != STANDARD and word.partition("=")[0] not in own)
        words = [*self.protocol.arm, *trained, f"seed={seed}"]
        if self.protocol.command == "lab":
            words += [f"steps={self.protocol.updates}", f"seeds={seeds}"]
        ramp = self.protocol.ramp
        if ramp is not None:  # another plan is another arm
            decides = ramp.deciding(own.get("method") == EXPONENT)
            own["plan"] = repr((self.protocol.updates, self.protocol.pool, self.protocol.val_crops, *decides))
        return Arm(named, seed, tuple(words), STANDARD in said, seeds, own)

    def _own(self, said: Iterable[str]) -> dict[str, str]:
        """Values of the words that only a study has; of the search for a margin only where arms are such searches."""
        command = self.protocol.command
        known = {"margin": list(OWN), "train": ["twin"], "methods": ["method"]}.get(command, [])
        own = {}
        for word in said:
            name, _, value = word.partition("=")
            if name in known:
                if OWN[name] and value not in OWN[name]:
                    raise InputError(f"{self.file}: {word}: unknown; {suggestion(value, OWN[name])}")
                if value in HELD and command != "margin":
                    raise InputError(
                        f"{self.file}: {word}: repeats a game below its margin, which only a study with"
                        " command: margin searches; choose twin=yoked"
                    )
                if name in LEAST and not (value.isdecimal() and int(value) >= LEAST[name]):
                    raise InputError(f"{self.file}: {word}: give a whole number, {LEAST[name]} or more")
                if not OWN[name] and name not in LEAST and not _is_weight(value):
                    raise InputError(f"{self.file}: {word}: give a number above 0")
                own[name] = value
        return own

    def _decided(self, named: dict[str, str]) -> dict[str, str] | None:
        """Levels with what the scans decide in place of ``best``; None as long as runs of a scan are missing."""
        for factor in [factor for factor, level in named.items() if level == BEST]:
            rule = self.content["choose"][factor]
            if factor not in self.scans:
                self.scans[factor] = [
                    a for key in rule["among"] for a in self.arms(self.content["grids"][key], whole=True)
                ]
            own = [
                a for a in self.scans[factor] if all(a.levels[name] == named[name] for name in rule["same"])
            ]
            runs = [run for arm in own for run in arm.runs]
            if not runs or not all(run in self.rows for run in runs):
                return None
            scores = scan_scores(rule, factor, [self.rows[run] for run in runs])
            named = {**named, factor: max(scores, key=scores.__getitem__)}
        return named


def scan_scores(rule: Mapping[str, Any], factor: str, rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """For each level of a factor the mean score of these runs: the product of the responses in ``score``.

    A run without a finite response, such as a diverged one, scores 0.
    """
    found: dict[str, list[float]] = {}
    for row in rows:
        values = [row[response] for response in rule["score"]]
        known = all(value is not None and math.isfinite(value) for value in values)
        found.setdefault(row[factor], []).append(math.prod(values) if known else 0.0)
    return {level: sum(values) / len(values) for level, values in found.items()}


def _is_weight(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False
