"""Many runs in one table."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

NUMBERS = {"psnr": ".2f", "bpp_actual": ".3f", "swd": ".3f"}
INDICATORS = {"logit_gap": ".2f", "last_to_best": ".2f", "jitter": ".2f", "gradient_norm_ratio": ".2g"}


def table(runs: Sequence[tuple[str, Mapping[str, Any]]], settings: Sequence[str]) -> str:
    """A Markdown table: a row a run, sorted by the settings.

    Args:
        runs: the text of ``config.yaml`` and the content of ``summary.json`` of each.
        settings: dotted names in the configuration; a group (``loss``) is its choice.
    """
    head = [*settings, "verdict", "step", *NUMBERS, *INDICATORS]
    rows = []
    for text, summary in runs:
        config = yaml.safe_load(text)
        row = [_setting(config, name) for name in settings]
        row += [str(summary["verdict"]), str(summary["verdict_step"])]
        row += [_number(summary.get(name), form) for name, form in NUMBERS.items()]
        row += [_number(summary["indicators"].get(name), form) for name, form in INDICATORS.items()]
        rows.append(row)
    lines = [head, ["---"] * len(head), *sorted(rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _setting(config: Any, name: str) -> str:
    if name in config["choices"]:
        return str(config["choices"][name])
    for part in name.split("."):
        config = config.get(part) if isinstance(config, Mapping) else None
    return "null" if config is None else str(config)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
