"""From the configuration of an image set to one prompt for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter

from thornback.errors import InvalidInput
from thornback.jobs.image_set import ImageSetConfig

MAX_PROMPT = 5000
OWN_NAMES = ("character", "number")


def expand(config: ImageSetConfig) -> list[str]:
    """The prompt of image 1, 2, …, `config.total` of them.

    A list of prompts is taken in turn. A template is filled with {character}, {number} (from 1) and the
    combination of `variables` whose turn it is: the last variable changes fastest, and after the last
    combination the first comes again. `{{` and `}}` stand for braces.

    Raises:
        InvalidInput: the template uses a name that has no value, or a variable has none.
    """
    if config.prompt_template is None:
        return [config.prompts[number % len(config.prompts)] for number in range(config.total)]
    _check_variables(config.variables)
    parts = _parse(config.prompt_template, {*OWN_NAMES, *config.variables})
    return [_fill(parts, _values(config, number)) for number in range(config.total)]


def _check_variables(variables: Mapping[str, Sequence[str]]) -> None:
    for name, values in variables.items():
        if name in OWN_NAMES:
            raise InvalidInput.field(f"config.variables.{name}", "this name is taken; choose another")
        if not values:
            raise InvalidInput.field(f"config.variables.{name}", "give it at least one value")


def _parse(template: str, names: set[str]) -> list[tuple[str, str | None]]:
    """Pairs of text and the name that follows it, None at the end."""
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        raise InvalidInput.field("config.prompt_template", f"{error}; write {{{{ or }}}} for a brace") from None
    for _text, name, form, conversion in pieces:
        if name is None:
            continue
        if form or conversion or name not in names:  # no formats, attributes or indexes: names alone
            known = ", ".join(f"{{{known}}}" for known in [*OWN_NAMES, *sorted(names - {*OWN_NAMES})])
            raise InvalidInput.field("config.prompt_template", f"{{{name}}} has no value; there are {known}")
    return [(text, name) for text, name, _form, _conversion in pieces]


def _values(config: ImageSetConfig, number: int) -> dict[str, str]:
    values = {"character": config.character, "number": str(number + 1)}
    turn = number
    for name, choices in reversed(config.variables.items()):
        turn, place = divmod(turn, len(choices))
        values[name] = choices[place]
    return values


def _fill(parts: list[tuple[str, str | None]], values: Mapping[str, str]) -> str:
    prompt = "".join(text + (values[name] if name is not None else "") for text, name in parts)
    if len(prompt) > MAX_PROMPT:
        raise InvalidInput.field("config.prompt_template", f"a filled prompt has more than {MAX_PROMPT} characters")
    return prompt
