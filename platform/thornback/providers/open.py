"""Open a provider by its name: the only place that knows which there are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from thornback.errors import InvalidInput, SettingsError
from thornback.providers.port import Provider
from thornback.settings import Settings

NAMES = ("replicate", "fal")
KEYS = {"replicate": "THORNBACK_REPLICATE_API_TOKEN", "fal": "THORNBACK_FAL_KEY"}


def configured(settings: Settings) -> tuple[str, ...]:
    """The providers that we have a key for."""
    keys = {"replicate": settings.replicate_api_token, "fal": settings.fal_key}
    return tuple(name for name in NAMES if keys[name])


def open_provider(name: str, settings: Settings, now: Callable[[], datetime]) -> Provider:
    """Make the provider; it connects with its first call, inside the running loop.

    Args:
        name: `replicate` or `fal`.
        settings: keys and addresses.
        now: the time in UTC.

    Raises:
        InvalidInput: there is no such provider.
        SettingsError: its key is not set.
    """
    if name not in NAMES:
        raise InvalidInput.field("backend", f"{name!r} is none of {', '.join(NAMES)}")
    if name not in configured(settings):
        raise SettingsError.field(KEYS[name], f"set it to use {name}")
    # the official clients take half a second to import, and most processes need none or one of them
    if name == "replicate":
        from thornback.providers.replicate import ReplicateProvider

        return ReplicateProvider(settings, now)
    from thornback.providers.fal import FalProvider

    return FalProvider(settings, now)
