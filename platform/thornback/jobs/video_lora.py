"""What it takes to make a LoRA from a video: fields, ranges and defaults, and what the training itself is given."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from thornback.jobs.flag import Flag
from thornback.jobs.versions import MODEL_NAME, fit_model_name
from thornback.jobs.video_stages import VideoStage

DEFAULT_STEPS = 1000
MOST_FRAMES = 2000

# Of the training's own fields, those that the pipeline fills in.
_FILLED_IN = frozenset({"trigger_word", "steps", "learning_rate", "rank", "seed", "base_model"})
_REMOTE_ONLY = ("trainer", "destination", "inputs")
_OWN_ONLY = ("base_model", "training")

_NAMESPACE = uuid.UUID("5d0d1a5c-3c0e-5b0e-9d5a-2f1f6d0c7a11")


class FrameOptions(BaseModel):
    """Which frames are taken out of the video."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: Annotated[Literal["jpeg", "png"], Field(description="PNG takes twenty times as long to write.")] = "jpeg"
    quality: Annotated[int, Field(ge=50, le=100, description="Of a JPEG.")] = 95
    least: Annotated[int, Field(ge=1, le=MOST_FRAMES, description="Fewer that are good enough fail the job.")] = 5
    most: Annotated[int, Field(ge=1, le=MOST_FRAMES, description="The best are kept, spread over the whole video.")] = (
        300
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least ({self.least}) is more than most ({self.most})")
        return self


class QualityOptions(BaseModel):
    """Which of the frames are dropped. Thresholds are relative to the video; these switch the checks."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    blur: Annotated[Flag, Field(description="Drop what is far less sharp than the rest.")] = True
    exposure: Annotated[Flag, Field(description="Drop what is nearly black or nearly white.")] = True
    detail: Annotated[Flag, Field(description="Drop what shows next to nothing.")] = True
    duplicate_distance: Annotated[
        int, Field(ge=-1, le=32, description="Bits of 64 in which near-duplicates may differ; -1 keeps them all.")
    ] = 8
    crop_letterbox: Annotated[Flag, Field(description="Cut off bars that are burnt into the picture.")] = False
    faces: Annotated[
        Flag, Field(description="Keep only frames with a face; needs a detector, see THORNBACK_FACE_MODEL.")
    ] = False


class CaptionOptions(BaseModel):
    """What is written beside each frame; [trigger] stands for the trigger word."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    method: Annotated[
        Literal["template", "http", "florence2", "blip"],
        Field(description="template needs no model; http asks an endpoint; the others run on this cluster."),
    ] = "template"
    template: Annotated[
        str, Field(min_length=1, max_length=1000, description="Also put before what a model says, as far as [caption].")
    ] = "a photo of [trigger]"
    facts: Annotated[Flag, Field(description="Add what was measured: bright or dark, the main colours.")] = False
    model: Annotated[
        str | None, Field(max_length=4096, description="Folder or hub id (florence2, blip), or a model's name (http).")
    ] = None
    url: Annotated[str | None, Field(max_length=4096, description="http: an OpenAI-style chat endpoint.")] = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.method == "http" and self.url is None:
            raise ValueError("http needs a url")
        if self.method in ("florence2", "blip") and self.model is None:
            raise ValueError(f"{self.method} needs a model: a folder, or an id on the hub")
        return self


class VideoLoraConfig(BaseModel):
    """From a video to a version of a LoRA."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    video_url: Annotated[
        str,
        Field(
            min_length=1,
            max_length=4096,
            description="https:// or http://, s3://, `upload:<id>` of one that was sent, or a path where allowed.",
        ),
    ]
    trigger_word: Annotated[
        str, Field(min_length=1, max_length=100, description="The word that will call the subject.")
    ]
    model: Annotated[
        str | None,
        Field(
            pattern=MODEL_NAME,
            description="The model that this becomes the next version of; left out: made of the job's name.",
        ),
    ] = None
    review: Annotated[Flag, Field(description="Wait for approval before training; frames can be dropped then.")] = False

    frames: FrameOptions = FrameOptions()
    quality: QualityOptions = QualityOptions()
    captions: CaptionOptions = CaptionOptions()

    steps: Annotated[int | None, Field(ge=1, le=100_000, description="Left out: 1000, or the trainer's own.")] = None
    learning_rate: Annotated[float | None, Field(gt=0.0, le=10.0)] = None
    rank: Annotated[int | None, Field(ge=1, le=1024, description="LoRA rank.")] = None
    seed: Annotated[int | None, Field(ge=0, lt=2**31)] = None

    # At a provider
    trainer: Annotated[
        str | None, Field(max_length=100, description="A name from the catalogue; left out: the provider's default.")
    ] = None
    destination: Annotated[
        str | None, Field(pattern=r"^[\w.-]+/[\w.-]+$", description="Replicate: owner/name that gets the version.")
    ] = None
    inputs: Annotated[
        dict[str, Any], Field(max_length=64, description="Further inputs under the trainer's own names.")
    ] = {}

    # On this cluster
    base_model: Annotated[
        str | None, Field(min_length=1, max_length=4096, description="Folder of a diffusers model, or its hub id.")
    ] = None
    training: Annotated[
        dict[str, Any], Field(max_length=64, description="Further fields of a LoRA training on this cluster.")
    ] = {}

    @field_validator("trigger_word")
    @classmethod
    def _is_a_word(cls, word: str) -> str:
        if not word.strip():
            raise ValueError("is blank; give the word that will call the subject, e.g. TOK")
        return word.strip()

    def check_backend(self, backend: str) -> None:
        """Refuse what the backend has no use for. Raises ValueError."""
        others = _REMOTE_ONLY if backend == "ray" else _OWN_ONLY
        given = [name for name in others if getattr(self, name)]
        if given:
            raise ValueError(f"config.{given[0]}: does not go together with backend {backend}")
        if backend == "ray" and self.base_model is None:
            raise ValueError("config.base_model: backend ray needs one, a folder of a diffusers model or its hub id")
        if "dataset" in self.training:
            raise ValueError("config.training.dataset: is made from the video")
        twice = sorted(_FILLED_IN & self.training.keys())
        if twice:
            raise ValueError(f"config.training.{twice[0]}: give it as config.{twice[0]}")

    def training_config(self, backend: str, dataset: str) -> dict[str, Any]:
        """The configuration of the training itself, of kind `lora` on the same backend."""
        common = {
            "dataset": dataset,
            "trigger_word": self.trigger_word,
            "steps": self.steps,
            "learning_rate": self.learning_rate,
            "rank": self.rank,
            "seed": self.seed,
        }
        given = {name: value for name, value in common.items() if value is not None}
        if backend == "ray":
            steps = {} if "epochs" in self.training else {"steps": DEFAULT_STEPS}
            return {**steps, **self.training, **given, "base_model": self.base_model}
        remote = {"trainer": self.trainer, "destination": self.destination}
        chosen = {name: value for name, value in remote.items() if value is not None}
        return {**given, **chosen, "inputs": self.inputs, "captioning": "manual"}

    def model_name(self, job_name: str) -> str:
        """The model that gets the version."""
        return self.model or fit_model_name(job_name)


def training_id(job_id: str) -> str:
    """The id of a pipeline's training: always the same, so that it is never made, nor paid, twice."""
    return str(uuid.uuid5(_NAMESPACE, job_id))


def is_in_review(kind: str, stage: str | None) -> bool:
    """True for a pipeline that waits for approval of its dataset."""
    return kind == "video_lora" and stage == VideoStage.REVIEW
