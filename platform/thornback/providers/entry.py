"""One row of the catalogue: a trainer or an image model, what its inputs are called and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from thornback.jobs.image_set import ImageSetConfig
from thornback.jobs.lora import Captioning, RemoteLoraConfig
from thornback.providers import cost, inputs
from thornback.providers.cost import Cost, Price
from thornback.providers.inputs import FieldMap, InputSpec
from thornback.providers.port import Sighting


class _Entry(BaseModel):
    """What both kinds have."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    OUR_FIELDS: ClassVar[frozenset[str]]
    NEEDED_FIELD: ClassVar[str]

    endpoint: Annotated[
        str, Field(pattern=r"^[\w.-]+(/[\w.-]+)+(:[0-9a-f]{64})?$", description="The provider's id, version included.")
    ]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    call: Literal["training", "prediction"] = "prediction"
    default: Annotated[bool, Field(description="Taken where a job names none.")] = False
    typical_s: Annotated[float, Field(gt=0, description="Seconds of one run with the default inputs.")]
    price: Price
    inputs: Annotated[dict[str, InputSpec], Field(min_length=1, description="By the provider's names.")]
    fields: Annotated[dict[str, str | FieldMap], Field(description="Our field -> the provider's input.")]
    fixed: Annotated[dict[str, Any], Field(description="Sent with every order.")] = {}
    source: Annotated[str, Field(description="Where this was read.")] = ""
    note: Annotated[str, Field(description="What nobody could confirm, and what to know.")] = ""

    _name: str = PrivateAttr(default="")
    _provider: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """Our name for it."""
        return self._name

    @property
    def provider(self) -> str:
        """Who runs it."""
        return self._provider

    @property
    def application(self) -> str:
        """The endpoint without a version."""
        return self.endpoint.partition(":")[0]

    def named(self, provider: str, name: str) -> Self:
        """The same row under its place in the catalogue."""
        row = self.model_copy()
        row._provider, row._name = provider, name
        return row

    def fields_of(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        """Read our fields out of what was sent: the way back, for orders that we did not place."""
        return {name: inputs.target_of(target).read(sent) for name, target in self.fields.items()}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.NEEDED_FIELD not in self.fields:
            raise ValueError(f"fields.{self.NEEDED_FIELD}: say what the provider calls it")
        for name, target in self.fields.items():
            if name not in self.OUR_FIELDS:
                raise ValueError(f"fields.{name}: there are only {', '.join(sorted(self.OUR_FIELDS))}")
            self._must_have_input(f"fields.{name}", inputs.target_of(target).root)
        for name in self.fixed:
            self._must_have_input("fixed", name)
        return self

    def _must_have_input(self, where: str, name: str) -> None:
        if name not in self.inputs:
            raise ValueError(f"{where}: {name!r} does not stand in inputs")


class Trainer(_Entry):
    """A hosted LoRA trainer."""

    OUR_FIELDS = frozenset({"dataset", "trigger_word", "steps", "learning_rate", "rank", "resolution", "seed"})
    NEEDED_FIELD = "dataset"

    captioning: Annotated[
        dict[Captioning, dict[str, Any]],
        Field(description="The modes that it has, each with the inputs that choose it."),
    ] = {}
    weights: Annotated[
        list[str],
        Field(
            min_length=1, description='Paths of the weights in the output, e.g. "lora.url"; "." is the output itself.'
        ),
    ]
    archive: Annotated[
        str | None, Field(description="The weights are a tar: the pattern of the member that is wanted.")
    ] = None
    extras: Annotated[list[str], Field(description="Paths of further files in the output.")] = []
    destination: Annotated[bool, Field(description="Replicate: a model receives the version.")] = False

    @model_validator(mode="after")
    def _captioning_fits(self) -> Self:
        for mode, chosen in self.captioning.items():
            for name in chosen:
                self._must_have_input(f"captioning.{mode}", name)
        if self.call == "training" and ":" not in self.endpoint:
            raise ValueError("endpoint: a training needs owner/name:version")
        if self.price.per == "step" and "steps" not in self.fields:
            raise ValueError("price.per: without a field for steps there is no price per step")
        return self

    def inputs_for(self, config: RemoteLoraConfig, dataset_url: str) -> dict[str, Any]:
        """What to send, checked against what this trainer takes.

        Raises:
            InvalidInput: names the field of the config and what it may be.
        """
        values = config.model_dump(include=set(self.OUR_FIELDS) - {"dataset"}, exclude_none=True)
        form = inputs.Form(self.inputs, self.fields, what=f"the trainer {self.name}")
        form.put_fixed(self.fixed)
        form.put("dataset", dataset_url)
        for name, value in ({"steps": self.steps(config)} | values).items():
            if value is not None:
                form.put(name, value)
        if config.captioning is not None:
            form.choose("captioning", config.captioning, self.captioning)
        form.put_own(config.inputs)
        return form.finish()

    def steps(self, config: RemoteLoraConfig) -> int | None:
        """How many steps it will run: the config's, or its own default; None where it does not say."""
        if config.steps is not None:
            return config.steps
        target = self.fields.get("steps")
        if target is None:
            return None
        name = inputs.target_of(target).root
        steps = config.inputs.get(name, self.inputs[name].default)
        return steps if isinstance(steps, int) else None

    def fields_of(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        """Read our fields, captioning too, out of what was sent; None where it does not tell."""
        told = super().fields_of(sent)
        modes = [mode for mode, chosen in self.captioning.items() if chosen and inputs.covers(sent, chosen)]
        return told | {"captioning": modes[0] if modes else None}

    def weights_of(self, output: Any) -> tuple[str, ...]:
        """The addresses of the weights in an output; empty where there are none."""
        return tuple(_addresses_at(output, self.weights))

    def extras_of(self, output: Any) -> tuple[str, ...]:
        """The addresses of further files in an output."""
        return tuple(_addresses_at(output, self.extras))

    def estimate(self, config: RemoteLoraConfig) -> Cost:
        """What a training will cost, before it starts."""
        return cost.estimate_training(self, config)

    def actual(self, sighting: Sighting, config: RemoteLoraConfig) -> Cost | None:
        """What a training has cost; None where the provider has not said enough."""
        return cost.actual_training(self, sighting, config)


class ImageModel(_Entry):
    """A hosted image model."""

    OUR_FIELDS = frozenset({"prompt", "seed", "width", "height", "aspect_ratio"})
    NEEDED_FIELD = "prompt"

    @model_validator(mode="after")
    def _is_priced_by_images(self) -> Self:
        if self.price.per == "step":
            raise ValueError("price.per: an image model has no price per step")
        return self

    def inputs_for(self, config: ImageSetConfig, prompt: str, seed: int | None) -> dict[str, Any]:
        """What to send for one image, checked against what this model takes.

        Raises:
            InvalidInput: names the field of the config and what it may be.
        """
        form = inputs.Form(self.inputs, self.fields, what=f"the model {self.name}")
        form.put_fixed(self.fixed)
        form.put("prompt", prompt)
        values = config.model_dump(include={"width", "height", "aspect_ratio"}, exclude_none=True)
        for name, value in values.items():
            form.put(name, value)
        if seed is not None:
            form.put("seed", seed)
        form.put_own(config.inputs)
        return form.finish()

    def estimate(self, config: ImageSetConfig) -> Cost:
        """What a whole set will cost, before it starts and without second tries."""
        return cost.estimate_images(self, config)

    def actual(self, sighting: Sighting, config: ImageSetConfig) -> Cost | None:
        """What one order has cost; None where the provider has not said enough."""
        return cost.actual_image(self, sighting, config)


def _addresses_at(output: Any, paths: list[str]) -> Iterator[str]:
    for path in paths:
        value = inputs.Target(path).read(output) if path != "." else output
        if isinstance(value, str):
            yield value
