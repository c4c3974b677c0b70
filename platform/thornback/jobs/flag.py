"""A switch in a configuration."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Strict

Flag: TypeAlias = Annotated[bool, Strict()]
"""true or false, as JSON and TOML have them; not 0, "yes" or "false", which might be meant for another field."""
