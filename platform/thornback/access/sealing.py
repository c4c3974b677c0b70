"""Secrets that we have to use ourselves, encrypted where they are kept: those that webhooks out are signed with."""

from __future__ import annotations

from functools import cached_property
from typing import overload

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from thornback.errors import SettingsError
from thornback.secret_settings import kept_secret
from thornback.settings import ENV_PREFIX, Settings

KEY_FILE = "encryption.key"
_VARIABLE = f"{ENV_PREFIX}ENCRYPTION_KEYS"
_SEALED = "sealed:"  # what releases before this one have written has none


class Sealer:
    """Encrypts with the first key, and opens what any of them has encrypted."""

    def __init__(self, settings: Settings) -> None:
        """No key is read or made before the first is needed."""
        self._settings = settings

    def seal(self, text: str) -> str:
        """What is kept of a secret. Raises SettingsError for keys that are none."""
        return _SEALED + self._keys.encrypt(text.encode()).decode()

    @overload
    def open(self, kept: str) -> str: ...
    @overload
    def open(self, kept: None) -> None: ...
    @overload
    def open(self, kept: str | None) -> str | None: ...
    def open(self, kept: str | None) -> str | None:
        """The secret; also what was kept in plain. Raises SettingsError where it was encrypted with another key."""
        if kept is None or not kept.startswith(_SEALED):
            return kept
        try:
            return self._keys.decrypt(kept.removeprefix(_SEALED)).decode()
        except InvalidToken:
            raise SettingsError.field(
                _VARIABLE, "a secret was encrypted with a key that is not there any more; add it, or replace the secret"
            ) from None

    @cached_property
    def _keys(self) -> MultiFernet:
        given = [key.strip() for key in self._settings.encryption_keys.split(",") if key.strip()]
        if not given:
            given = [kept_secret(self._settings.home / KEY_FILE, make=Fernet.generate_key).decode().strip()]
        try:
            return MultiFernet([Fernet(key) for key in given])
        except ValueError:
            raise SettingsError.field(
                _VARIABLE,
                "each key has to be 32 bytes in URL-safe base64, as `openssl rand -base64 32 | tr +/ -_` makes",
            ) from None
