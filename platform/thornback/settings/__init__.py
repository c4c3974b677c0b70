"""All settings; the only reader of the environment. One file a group, `all.py` has them together."""

from thornback.settings.all import DEFAULT_HOME, ENV_PREFIX, Settings, load_settings
from thornback.settings.files import DEFAULT_FETCH_PORTS
from thornback.settings.values import AlertRule, Quota, is_loopback

__all__ = [
    "DEFAULT_FETCH_PORTS",
    "DEFAULT_HOME",
    "ENV_PREFIX",
    "AlertRule",
    "Quota",
    "Settings",
    "is_loopback",
    "load_settings",
]
