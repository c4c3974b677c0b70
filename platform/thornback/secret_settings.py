"""Settings that nobody may read: which ones they are, and their values from files."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from thornback.errors import SettingsError

SUFFIX = "_FILE"
_WITH_PASSWORD = frozenset({"database_url"})  # secret in a part, so that its variable may name a file as well


def secret_fields(settings: type[BaseSettings]) -> list[str]:
    """The settings that are not shown by `repr`."""
    return [name for name, field in settings.model_fields.items() if not field.repr]


def private_variables(settings: type[BaseSettings]) -> frozenset[str]:
    """The variables of the environment that hold a secret, or say where one lies."""
    names = [*secret_fields(settings), *(_WITH_PASSWORD & settings.model_fields.keys())]
    own = [_variable(settings, name) for name in names]
    choices = (settings.model_fields[name].validation_alias for name in names)
    others = [str(name) for choice in choices if isinstance(choice, AliasChoices) for name in choice.choices]
    return frozenset([*own, *others, *(name + SUFFIX for name in own)])


def without_private(settings: type[BaseSettings]) -> dict[str, str]:
    """This process's environment, for one that has no business with our secrets."""
    private = private_variables(settings)
    return {name: value for name, value in os.environ.items() if name not in private}


class SecretFiles(PydanticBaseSettingsSource):
    """`THORNBACK_FAL_KEY_FILE=/run/secrets/fal`, for every setting that holds a secret."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """See pydantic-settings. Raises SettingsError."""
        variable = _variable(self.settings_cls, field_name) + SUFFIX
        path = os.environ.get(variable)
        if not path or (field.repr and field_name not in _WITH_PASSWORD):
            return None, field_name, False
        try:
            return Path(path).expanduser().read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError.field(variable, f"{path} cannot be read: {error}") from None

    def __call__(self) -> dict[str, Any]:
        """See pydantic-settings."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


def kept_secret(path: Path, *, make: Callable[[], bytes]) -> bytes:
    """Read a secret of our own (mode 0600), or make it; of several who make it at once, one wins and all get its."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(make())
        with contextlib.suppress(FileExistsError):
            os.link(made, path)
        return path.read_bytes()
    finally:
        Path(made).unlink(missing_ok=True)


def _variable(settings: type[BaseSettings], name: str) -> str:
    return f"{settings.model_config.get('env_prefix', '')}{name.upper()}"
