"""Sentences of reports: Jinja templates beside a study's file, in which numbers are calls of what is handed in."""

from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError

from gcn.errors import InputError

_ENVIRONMENT = Environment(
    undefined=StrictUndefined, autoescape=False
)  # Markdown; pages escape what they show


def filled(text: str, **names: Any) -> str:
    """A template with its numbers put in, one blank between words.

    Raises:
        InputError: the template names what there is not.
    """
    try:
        return " ".join(_ENVIRONMENT.from_string(text).render(**names).split())
    except TemplateError as problem:
        raise InputError(f"a sentence of a report cannot be made ({problem}): {text[:80]}") from None
