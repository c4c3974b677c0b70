"""The list of trainers and image models: `catalogue.toml` beside this file, and what a user adds to it.

A row is data. `[replicate.trainers.<name>]` or `[fal.image_models.<name>]` in the file that THORNBACK_CATALOGUE
names adds a row or replaces the whole built-in one of that name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from thornback.errors import InvalidInput, SettingsError
from thornback.jobs.spec import Provider, invalid_input
from thornback.providers.entry import ImageModel, Trainer
from thornback.settings import Settings

BUILT_IN = "catalogue.toml"

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,99}$")]
Row = TypeVar("Row", Trainer, ImageModel)


class _Shelf(BaseModel):
    """The rows of one provider."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trainers: dict[Name, Trainer] = {}
    image_models: dict[Name, ImageModel] = {}


class _File(BaseModel):
    """A catalogue file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    replicate: _Shelf = _Shelf()
    fal: _Shelf = _Shelf()


class Catalogue:
    """All rows, by provider and name."""

    def __init__(self, trainers: Iterable[Trainer], image_models: Iterable[ImageModel]) -> None:
        self._trainers = list(trainers)
        self._image_models = list(image_models)

    def list(self) -> list[Trainer | ImageModel]:
        """Every row: trainers, then image models."""
        return [*self._trainers, *self._image_models]

    def trainer(self, provider: str, name: str | None = None) -> Trainer:
        """A trainer by our name or the provider's; without a name, the provider's default.

        Raises:
            InvalidInput: there is none; the message lists those there are.
        """
        return _pick(self._trainers, provider, name, "config.trainer")

    def image_model(self, provider: str, name: str | None = None) -> ImageModel:
        """An image model by our name or the provider's; without a name, the provider's default.

        Raises:
            InvalidInput: there is none; the message lists those there are.
        """
        return _pick(self._image_models, provider, name, "config.model")

    def by_endpoint(self, provider: str, endpoint: str) -> Trainer | ImageModel | None:
        """The row of a provider's model, whatever its version; None for one that we do not know."""
        application = endpoint.partition(":")[0]
        return next((row for row in self.list() if (row.provider, row.application) == (provider, application)), None)


def load_catalogue(settings: Settings) -> Catalogue:
    """The built-in rows with the user's.

    Raises:
        SettingsError: the user's file cannot be read, or a row in it is wrong; names the row and the field.
    """
    shelves = [_built_in()]
    if settings.catalogue is not None:
        shelves.append(_read(settings.catalogue.name, _text_of(settings.catalogue)))
    return Catalogue(
        _merge([_rows(file, "trainers") for file in shelves]), _merge([_rows(file, "image_models") for file in shelves])
    )


@cache
def _built_in() -> _File:
    return _read(BUILT_IN, files("thornback.providers").joinpath(BUILT_IN).read_text(encoding="utf-8"))


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError.field("THORNBACK_CATALOGUE", f"{path} cannot be read: {error}") from None


def _read(name: str, text: str) -> _File:
    try:
        return _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError.field(name, f"it is no TOML: {error}") from None
    except ValidationError as error:
        told = invalid_input(error)
        raise SettingsError(f"{name}: {told.message}", **told.details) from None


def _rows(file: _File, kind: str) -> list[Any]:
    shelves: Mapping[Provider, _Shelf] = {"replicate": file.replicate, "fal": file.fal}
    return [
        row.named(provider, name) for provider, shelf in shelves.items() for name, row in getattr(shelf, kind).items()
    ]


def _merge(layers: list[list[Row]]) -> list[Row]:
    """Later layers replace rows of the same name and bring their own defaults."""
    merged: dict[tuple[str, str], Row] = {}
    for layer in layers:
        taken = {row.provider for row in layer if row.default}
        merged = {key: _without_default(row) if row.provider in taken else row for key, row in merged.items()}
        merged |= {(row.provider, row.name): row for row in layer}
    return list(merged.values())


def _without_default(row: Row) -> Row:
    return row.model_copy(update={"default": False}).named(row.provider, row.name)


def _pick(rows: list[Row], provider: str, name: str | None, field: str) -> Row:
    own = [row for row in rows if row.provider == provider]
    if name is None:
        found = [row for row in own if row.default] or own
    else:
        found = [row for row in own if name in (row.name, row.endpoint, row.application)]
    if not found:
        known = ", ".join(row.name for row in own) or "none"
        raise InvalidInput.field(field, f"{provider} has no {name!r}; there are: {known}")
    return found[0]
