"""What people may do, from least to most."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Each may do what those before it may."""

    VIEWER = "viewer"  # look at everything, change nothing
    TRAINER = "trainer"  # start jobs, and change what is one's own
    ADMIN = "admin"  # change everything, users and keys included

    def covers(self, other: Role) -> bool:
        """True where this role may do all that `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)

    def at_most(self, other: Role | None) -> Role:
        """The lesser of two; None bounds nothing."""
        return other if other is not None and self.covers(other) else self
