from __future__ import annotations

from typing import Any

import pytest

from thornback.errors import InvalidInput
from thornback.jobs.image_set import ImageSetConfig
from thornback.jobs.prompts import expand


def _expand(**fields: Any) -> list[str]:
    return expand(ImageSetConfig(character="Ada", **fields))


def test_prompts_are_taken_as_they_are_and_in_turn() -> None:
    assert _expand(prompts=["a {b}", "c"]) == ["a {b}", "c"]
    assert _expand(prompts=["a", "b"], count=3) == ["a", "b", "a"]


def test_a_template_with_its_own_names() -> None:
    prompts = _expand(prompt_template="{character}, portrait {number} {{really}}", count=2)
    assert prompts == ["Ada, portrait 1 {really}", "Ada, portrait 2 {really}"]


def test_each_image_takes_the_next_combination() -> None:
    variables = {"place": ["sea", "hill"], "light": ["dawn", "noon", "dusk"]}
    prompts = _expand(prompt_template="{place} {light}", variables=variables, count=7)
    assert prompts == ["sea dawn", "sea noon", "sea dusk", "hill dawn", "hill noon", "hill dusk", "sea dawn"]


def test_a_million_combinations_are_not_written_out() -> None:
    variables = {f"v{n}": [str(value) for value in range(1000)] for n in range(16)}
    assert _expand(prompt_template="{v0}{v15}", variables=variables, count=2) == ["00", "01"]


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{hat}", "{hat} has no value; there are {character}, {number}, {place}"),
        ("{character.__class__}", "has no value"),
        ("{place[0]}", "has no value"),
        ("{number:>1000000}", "has no value"),
        ("{character!r}", "has no value"),
        ("{}", "has no value"),
        ("{character", "write {{ or }} for a brace"),
    ],
)
def test_a_template_that_cannot_be_filled(template: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        _expand(prompt_template=template, variables={"place": ["sea"]}, count=1)
    assert told in caught.value.message
    assert caught.value.details["errors"][0]["field"] == "config.prompt_template"


@pytest.mark.parametrize(("variables", "field"), [({"number": ["1"]}, "number"), ({"place": []}, "place")])
def test_variables_that_cannot_be_used(variables: dict[str, list[str]], field: str) -> None:
    with pytest.raises(InvalidInput, match=rf"config\.variables\.{field}"):
        _expand(prompt_template="a", variables=variables, count=1)


def test_a_prompt_that_grows_too_long() -> None:
    with pytest.raises(InvalidInput, match="more than 5000 characters"):
        _expand(prompt_template="{long}" * 3, variables={"long": ["x" * 2000]}, count=1)
