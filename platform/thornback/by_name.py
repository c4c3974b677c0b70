"""Values that go between processes: pickled by the names of their fields.

A driver may run for days beside a platform that was upgraded meanwhile, or the other way round. A dataclass with
slots is pickled by the order of its fields, so that a new field in the middle would shift all after it, unseen.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any


class ByName:
    """For dataclasses with slots.

    What the other side does not know is dropped there, and what it does not send has its default here; so a new
    field needs a default. Sub-classes without one raise TypeError, as their constructor does.
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        cls: Any = type(self)
        return _rebuilt, (cls, {name: getattr(self, name) for name in _names(cls)})


def _rebuilt(cls: Any, values: Mapping[str, Any]) -> Any:
    known = _names(cls)
    if not values.keys() <= known.keys():
        values = {name: value for name, value in values.items() if name in known}
    return cls(**values)


@cache
def _names(cls: Any) -> dict[str, None]:
    """Of the fields, in their order."""
    return dict.fromkeys(cls.__dataclass_fields__)
