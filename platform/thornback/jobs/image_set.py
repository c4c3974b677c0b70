"""What a set of generated images needs to know: its fields, ranges and defaults."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_IMAGES = 1000

Prompt = Annotated[str, Field(min_length=1, max_length=5000)]


class ImageSetConfig(BaseModel):
    """Configuration of one set: N predictions, all submitted at once."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    character: Annotated[
        str, Field(min_length=1, max_length=100, description="Who or what is on the images; names the files.")
    ]
    prompts: Annotated[
        list[Prompt],
        Field(
            max_length=MAX_IMAGES, description="One image each; with `count`, taken in turn until there are so many."
        ),
    ] = []
    prompt_template: Annotated[
        Prompt | None,
        Field(description="Instead of prompts: a sentence with {character}, {number} and the names of `variables`."),
    ] = None
    variables: Annotated[
        dict[str, list[str]],
        Field(max_length=16, description="Values for the template's own names; each image takes the next combination."),
    ] = {}
    count: Annotated[int | None, Field(ge=1, le=MAX_IMAGES, description="Images; left out: one for each prompt.")] = (
        None
    )
    model: Annotated[
        str | None, Field(max_length=200, description="A name from the catalogue; left out: the provider's default.")
    ] = None
    seed: Annotated[int | None, Field(ge=0, le=2**31, description="Image n takes seed + n - 1.")] = None
    width: Annotated[int | None, Field(ge=64, le=4096)] = None
    height: Annotated[int | None, Field(ge=64, le=4096)] = None
    aspect_ratio: Annotated[str | None, Field(pattern=r"^\d{1,2}:\d{1,2}$")] = None
    max_tries: Annotated[int, Field(ge=1, le=10, description="Orders for one image before it is given up.")] = 3
    inputs: Annotated[
        dict[str, Any], Field(max_length=64, description="Further inputs under the model's own names.")
    ] = {}

    @model_validator(mode="after")
    def _has_prompts(self) -> Self:
        if bool(self.prompts) == bool(self.prompt_template):
            raise ValueError("give either prompts or prompt_template")
        if self.prompt_template is not None and self.count is None:
            raise ValueError("count: say how many images the template is to make")
        return self

    @property
    def total(self) -> int:
        """How many images the set has."""
        return self.count or len(self.prompts)
