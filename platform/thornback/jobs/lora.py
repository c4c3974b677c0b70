"""What a LoRA training at a hosted trainer needs to know: its fields, ranges and defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Captioning = Literal["automatic", "manual", "disabled"]


class RemoteLoraConfig(BaseModel):
    """Configuration of one training at a provider. What the trainer calls these fields stands in the catalogue.

    Left out, a field takes the trainer's own default. The ranges here are the widest of any trainer;
    the catalogue's are checked as well.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    trainer: Annotated[
        str | None, Field(max_length=100, description="A name from the catalogue; left out: the provider's default.")
    ] = None
    dataset: Annotated[
        str,
        Field(
            min_length=1,
            max_length=4096,
            description="Images, with same-name .txt captions or without: the https:// address of a ZIP, a ZIP or a "
            "folder (local path or s3://), `upload:<id>` of one that was sent, or `job:<id>` of a finished image set.",
        ),
    ]
    trigger_word: Annotated[
        str | None, Field(min_length=1, max_length=100, description="The word that will call the subject.")
    ] = None
    captioning: Annotated[
        Captioning | None,
        Field(description="automatic: the trainer describes the images; manual: captions are in the dataset."),
    ] = None
    steps: Annotated[int | None, Field(ge=1, le=100_000)] = None
    learning_rate: Annotated[float | None, Field(gt=0.0, le=1.0)] = None
    rank: Annotated[int | None, Field(ge=1, le=1024, description="LoRA rank.")] = None
    resolution: Annotated[str | None, Field(max_length=100, description='e.g. "512,768,1024".')] = None
    seed: Annotated[int | None, Field(ge=0, le=2**32 - 1)] = None
    destination: Annotated[
        str | None,
        Field(
            pattern=r"^[\w.-]+/[\w.-]+$",
            description="Replicate: the model (owner/name) that receives the version; made where it does not exist.",
        ),
    ] = None
    inputs: Annotated[
        dict[str, Any],
        Field(max_length=64, description="Further inputs under the trainer's own names."),
    ] = {}
