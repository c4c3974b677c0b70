"""Keeps keys out of what people read: logs, errors, specifications, pages. Pure.

Two ways to know one: its value, where it is a setting of ours, and its shape, where it is somebody else's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

MASK = "***"
MIN_CHARS = 8  # a shorter value would be found in words

_SHAPES = re.compile(
    r"""
    (?P<key>
        \btbk_[A-Za-z0-9_-]{16,}                        # ours
      | \btbs_[A-Za-z0-9_-]{16,}
      | \br8_[A-Za-z0-9]{16,}                           # Replicate
      | \bwhsec_[A-Za-z0-9+/=_-]{16,}                   # Standard Webhooks
      | \b(?:AKIA|ASIA|AROA)[A-Z0-9]{16}\b(?::[^\s@'"]+(?=@))?  # AWS, with its secret in an address
      | \bhf_[A-Za-z0-9]{24,}                           # Hugging Face
      | \bgh[pousr]_[A-Za-z0-9]{30,}                    # GitHub
      | \bxox[abprs]-[A-Za-z0-9-]{10,}                  # Slack
      | \bsk-[A-Za-z0-9_-]{20,}                         # OpenAI and those who follow it
      | \b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]{32}\b  # fal: id:secret
      | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    )
  | (?P<before>
        (?i:\bauthorization['"]?\s*[:=]\s*['"]?(?:bearer|basic|key|token)\s+)
      | (?i:\b(?:aws_)?secret_access_key['"]?\s*[:=]\s*['"]?)
      | (?i:\b[a-z0-9_]*(?:api_?key|api_?token|secret|password|passwd)['"]?\s*[:=]\s*['"]?)
      | (?i:[?&](?:x-amz-signature|x-amz-credential|x-amz-security-token|signature|ticket|token)=)
      | (?<=://)(?=[^\s/@'"]*:[^\s/@'"]*@)
    )
    (?P<value> (?!tbk_…)[^\s'"&,;@)\]}]{4,} )  # but not how we write where a key goes
    """,
    re.VERBOSE | re.DOTALL,
)

# What every one of these shapes holds, found in a twentieth of the time.
_HINT = re.compile(
    r"tb[ks]_|r8_|whsec_|AKIA|ASIA|AROA|hf_|gh[pousr]_|xox|sk-|:[0-9a-f]{32}|PRIVATE|://[^/\s]*@"
    r"|uthorization|ccess|api|secret|passw|token|ticket|signature|credential",
    re.IGNORECASE,
)


class Masker:
    """Replaces the values of secrets, and what looks like one, by asterisks."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        """`values`: of secrets; those that are too short to be one are left out."""
        known = sorted({value for value in values if len(value) >= MIN_CHARS}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        return mask_shapes(text)

    def deep(self, value: Any) -> Any:
        """The same for all that stands in lists and mappings; names stay."""
        return _deep(value, self)


def mask_shapes(text: str) -> str:
    """The text without what looks like a key."""
    return _SHAPES.sub(_masked, text) if _HINT.search(text) else text


def mask_deep(value: Any) -> Any:
    """`mask_shapes` for all that stands in lists and mappings; names stay."""
    return _deep(value, mask_shapes)


def _deep(value: Any, mask: Callable[[str], str]) -> Any:
    match value:
        case str():
            return mask(value)
        case Mapping():
            return {name: _deep(item, mask) for name, item in value.items()}
        case list() | tuple():
            return [_deep(item, mask) for item in value]
        case _:
            return value


def _masked(found: re.Match[str]) -> str:
    return MASK if found["key"] else f"{found['before']}{MASK}"
