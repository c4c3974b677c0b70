"""Which jobs somebody may look at. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a user sees who is no admin: the own jobs, those of the own teams, and where `shared` all that have no team.

    The same holds for whatever belongs to a job, and for models. Instead of a sight, None means everything.
    """

    user: str
    teams: frozenset[str] = frozenset()
    shared: bool = True
    own: bool = True  # False: not even the own ones, unless they are of these teams

    def sees(self, *, owner: str, team: str | None) -> bool:
        """True where they may look at what belongs to `owner` and `team`."""
        if self.own and owner == self.user:
            return True
        return self.shared if team is None else team in self.teams
