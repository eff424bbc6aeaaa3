"""A Markdown table of many runs."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gcn.errors import InputError
from gcn.files.names import printable
from gcn.files.reading import read_json
from gcn.schema.fields import at, paths, suggestion

NUMBERS = {"psnr": ".2f", "bpp_actual": ".3f", "swd": ".3f"}
INDICATORS = {"logit_gap": ".2f", "last_to_best": ".2f", "jitter": ".2f", "gradient_norm_ratio": ".2g"}


def read_summary(path: Path) -> dict[str, Any] | None:
    """Content of a ``summary.json``; None if it does not exist or is incomplete."""
    try:
        return read_json(path)
    except InputError:
        return None


def table(runs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any] | None]], settings: Sequence[str]) -> str:
    """A Markdown table with a row for each run, sorted by the settings.

    Args:
        runs: configuration and summary of each; None: the run is not finished.
        settings: dotted names in the configuration; a group (``loss``) is its choice.

    Raises:
        InputError: no run has such a setting.
    """
    for name in settings:
        if not any(_has(config, name) for config, _ in runs):
            known = {known for config, _ in runs for known in (*paths(config), *config["choices"])}
            raise InputError(
                f"{name}: no setting of these runs; {suggestion(name, known, 'see config.yaml')}"
            )
    head = [*settings, "verdict", "step", *NUMBERS, *INDICATORS]
    rows = []
    for config, summary in runs:
        values = [_setting(config, name) for name in settings]
        found = summary or {"verdict": "not finished"}
        indicators = found.get("indicators")
        if not isinstance(indicators, Mapping):
            indicators = {}
        row = [_text(value) for value in values]
        row += [_text(found.get(name), "") for name in ("verdict", "verdict_step")]
        row += [_number(found.get(name), form) for name, form in NUMBERS.items()]
        row += [_number(indicators.get(name), form) for name, form in INDICATORS.items()]
        rows.append(([_order(value) for value in values], row))
    lines = [head, ["---"] * len(head), *(row for _, row in sorted(rows))]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _has(config: Mapping[str, Any], name: str) -> bool:
    parent, _, leaf = name.rpartition(".")
    inside = at(config, parent) if parent else config
    return name in config["choices"] or (isinstance(inside, Mapping) and leaf in inside)


def _setting(config: Mapping[str, Any], name: str) -> Any:
    return config["choices"][name] if name in config["choices"] else at(config, name)


def _order(value: Any) -> tuple[int, float, str]:
    """Sort key: absent values first, then numbers by size, then text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 1, float(value), ""
    return (0, 0.0, "") if value is None else (2, 0.0, str(value))


def _text(value: Any, absent: str = "null") -> str:
    return absent if value is None else printable(str(value)).replace("|", "\\|")


def _number(value: Any, form: str) -> str:
    known = isinstance(value, int | float) and abs(value) <= sys.float_info.max
    return format(value, form) if known else _text(value, "")
