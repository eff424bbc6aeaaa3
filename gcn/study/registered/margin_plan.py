"""The registered plan of the margin study: thresholds, settings, weights and the values that its pilot provides.

The file is ``docs/study/margin/plan.yaml``, and ``plan.md`` beside it explains it. Everything that a decision depends
on is in this file or in the table of margins.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from gcn.errors import InputError
from gcn.files.names import printable
from gcn.files.reading import read_yaml
from gcn.schema.fields import suggestion

PLAN = Path("docs/study/margin/plan.yaml")
CONTROLS = ("prox", "wrong")
ENDPOINTS = ("h", "a", "either")
# Assumed for simulated margins where stage 1 has not given a value yet.
SPREAD, COMMON, MSE_STAR = 0.35, 0.5, 1.0


@dataclass(frozen=True)
class Assay:
    """How a trick's benefit beside the smallest weight of the distortion is tested.

    Attributes:
        level: of the factor ``trick`` in the table of margins.
        endpoint: ``h``, ``a`` or ``either``.
        settings: where the trick is compared, in both of its steps.
    """

    level: str
    endpoint: str
    settings: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The registered plan.

    Attributes:
        alpha: largest probability of any wrong registered claim.
        equivalence: octaves below which a difference is called none.
        ceiling: octaves; a game closer to its twin has no room for a gain.
        censored: largest share of a contrast's margins that may lie at an end of their grid.
        seeds, least_seeds: planned number, and the smallest that decides.
        settings: names of the settings, each a loss with an optimizer.
        candidates: the settings that were asked for room, in the order in which they were; among them ``settings``.
        weights: of ``mse``, from small to large, for H1; tricks are first tried beside the smallest.
        spread: octaves, deviation over seeds of a paired difference in one setting.
        common: correlation of such differences between the settings of a seed.
        exponent_predicts: whether the exponent's contrast is registered.
        mse_star: setting to the weight μ*.
        controls: ``prox`` and ``wrong`` to their level in the table, for each setting.
        assay: trick to how it is tested.
        seeds_used: seeds of the stages before, which are refused.
        open: values of stage 1 that are still missing.
    """

    alpha: float
    equivalence: float
    ceiling: float
    censored: float
    seeds: int
    least_seeds: int
    settings: tuple[str, ...]
    candidates: tuple[str, ...]
    weights: tuple[float, ...]
    spread: float
    common: float
    exponent_predicts: bool
    mse_star: Mapping[str, float]
    controls: Mapping[str, Mapping[str, str]]
    assay: Mapping[str, Assay]
    seeds_used: frozenset[int]
    open: tuple[str, ...] = ()


def chains_of(plan: Plan) -> int:
    """Number of chains of contrasts, which share the error rate.

    In each setting H1, confinement, the exponent and each control; each trick in the settings where it is compared.
    """
    tricks = sum(len(assay.settings) for assay in plan.assay.values())
    return len(plan.settings) * (2 + plan.exponent_predicts + len(plan.controls)) + tricks


def load(path: Path = PLAN) -> Plan:
    """The plan in a file.

    Raises:
        InputError: a value is missing, unknown or out of its range.
    """
    content = read_yaml(path)
    try:
        return plan(content)
    except InputError as problem:
        raise InputError(f"{printable(path)}: {problem}") from None


def plan(content: Mapping[str, Any]) -> Plan:
    """The plan that the content of a ``plan.yaml`` describes.

    Raises:
        InputError: a value is missing, unknown or out of its range.
    """
    top = _Values("", content)
    pilot = _Values("stage_1.", top.mapping("stage_1"))
    settings, tricks = top.names("settings"), top.names("tricks", least=0)
    known = dict(
        alpha=top.number("alpha", 0, 0.5),
        equivalence=top.number("equivalence", 0, 10),
        ceiling=top.number("ceiling", 0, 10),
        censored=top.number("censored", 0, 0.5),
        seeds=top.count("seeds"),
        least_seeds=top.count("least_seeds"),
        settings=settings,
        candidates=top.names("candidates"),
        weights=_weights(top.get("weights")),
        seeds_used=frozenset(pilot.later("seeds_used", [], _seeds)),
        spread=pilot.later("spread", SPREAD, lambda key, v: _number(key, v, 0, 10)),
        common=pilot.later("common", COMMON, lambda key, v: _number(key, v, 0, 1)),
        exponent_predicts=pilot.later("exponent_predicts", True, _truth),
        mse_star=pilot.later("mse_star", MSE_STAR, lambda _, v: v),
        controls=_controls(pilot, settings),
        assay={trick: _assay(pilot, trick, settings) for trick in tricks},
    )
    pilot.mapping("assay")  # without tricks too
    per = _per_setting("stage_1.mse_star", known["mse_star"], settings)
    known["mse_star"] = {s: _number(f"stage_1.mse_star.{s}", per[s], 0, 1e6) for s in settings}
    if (weakest := known["weights"][0]) >= min(known["mse_star"].values()):
        raise InputError(f"stage_1.mse_star: must be above the smallest of the weights, {weakest:g}")
    if foreign := [name for name in settings if name not in known["candidates"]]:
        raise InputError(f"settings: {foreign[0]} is none of the candidates")
    if known["least_seeds"] > known["seeds"]:
        raise InputError(f"least_seeds={known['least_seeds']} is larger than seeds={known['seeds']}")
    top.finish()
    pilot.finish()
    return Plan(**known, open=tuple(pilot.open))


class _Values:
    """Values of a mapping by name; remembers which were asked for and which are not known yet."""

    def __init__(self, where: str, content: Mapping[str, Any]) -> None:
        self.where, self.content = where, content
        self.asked: list[str] = []
        self.open: list[str] = []

    def get(self, key: str) -> Any:
        self.asked.append(key)
        if key not in self.content:
            raise InputError(f"{self.where}{key} is missing")
        return self.content[key]

    def later(self, key: str, assumed: Any, check: Callable[[str, Any], Any]) -> Any:
        """A value that may still be null, and then has an assumed one."""
        value = self.get(key)
        if value is None:
            self.open.append(self.where + key)
            return assumed
        return check(self.where + key, value)

    def number(self, key: str, low: float, high: float) -> float:
        return _number(self.where + key, self.get(key), low, high)

    def count(self, key: str) -> int:
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 2 <= value <= 20:
            raise InputError(f"{self.where}{key}={value}: an integer from 2 to 20 is expected")
        return value

    def names(self, key: str, least: int = 1) -> tuple[str, ...]:
        return _names(self.where + key, self.get(key), least)

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self.get(key)
        if not isinstance(value, dict):
            raise InputError(f"{self.where}{key}: names with values are expected")
        return value

    def finish(self) -> None:
        """Refuse a name that nobody asked for."""
        for key in self.content:
            if key not in self.asked:
                raise InputError(f"{self.where}{key}: unknown; {suggestion(key, self.asked)}")


def _controls(pilot: _Values, settings: tuple[str, ...]) -> dict[str, dict[str, str]]:
    given = _Values("stage_1.controls.", pilot.mapping("controls"))
    found = {}
    for name in CONTROLS:
        per = _per_setting(f"stage_1.controls.{name}", given.later(name, name, lambda _, v: v), settings)
        found[name] = {setting: str(per[setting]) for setting in settings}
    given.finish()
    pilot.open += given.open
    return found


def _assay(pilot: _Values, trick: str, settings: tuple[str, ...]) -> Assay:
    tricks = pilot.mapping("assay")
    if not isinstance(tricks.get(trick), dict):
        raise InputError(f"stage_1.assay.{trick} is missing")
    given = _Values(f"stage_1.assay.{trick}.", tricks[trick])
    level = given.later("level", trick, lambda _, v: str(v))
    endpoint = given.later("endpoint", "either", _endpoint)
    own = given.later("settings", settings, _names)
    given.finish()
    for name in own:
        if name not in settings:
            raise InputError(
                f"stage_1.assay.{trick}.settings: {name} is none of the settings ({', '.join(settings)})"
            )
    pilot.open += given.open
    return Assay(level, endpoint, own)


def _endpoint(key: str, value: Any) -> str:
    if value not in ENDPOINTS:
        raise InputError(f"{key}={value}: one of {', '.join(ENDPOINTS)} is expected")
    return str(value)


def _names(key: str, value: Any, least: int = 1) -> tuple[str, ...]:
    if not isinstance(value, list) or not len(value) >= least or len({str(v) for v in value}) < len(value):
        raise InputError(f"{key}: a list of different names is expected")
    return tuple(str(v) for v in value)


def _number(key: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InputError(f"{key}={value}: a number from {low:g} to {high:g} is expected")
    return float(value)


def _weights(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) < 3:
        raise InputError("weights: at least three are needed for a trend")
    found = tuple(_number("weights", v, 0, 1e6) for v in value)
    if not all(0 < a < b for a, b in pairwise(found)):
        raise InputError("weights: positive numbers from small to large are expected")
    return found


def _seeds(key: str, value: Any) -> Sequence[int]:
    if not isinstance(value, list) or not all(isinstance(v, int) and not isinstance(v, bool) for v in value):
        raise InputError(f"{key}: a list of integers is expected")
    return value


def _truth(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{key}={value}: true or false is expected")
    return value


def _per_setting(key: str, value: Any, settings: Sequence[str]) -> Mapping[str, Any]:
    """A value for each setting: of a mapping, or one that all of them have."""
    per = value if isinstance(value, dict) else dict.fromkeys(settings, value)
    _same(key, per, settings)
    return per


def _same(key: str, given: Mapping[str, Any], settings: Sequence[str]) -> None:
    for name in settings:
        if name not in given:
            raise InputError(f"{key}: the setting {name} is missing")
    for name in given:
        if name not in settings:
            raise InputError(f"{key}: {name} is none of the settings ({', '.join(settings)})")
