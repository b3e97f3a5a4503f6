"""What an audit says: one finding a check, with where and what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from protocol.ids import GameId


class CheckFailed(Exception):
    """Something is not as it must be; the sentence says where and what."""


class CheckNotPossible(Exception):
    """The check cannot be made; the sentence says why."""


class Finding(NamedTuple):
    """A check's result: `holds` is None where it could not be made."""

    check: str
    holds: bool | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Report:
    """All findings about one game. It holds if no check failed."""

    game_id: GameId
    title: str
    events: int
    findings: Sequence[Finding]

    @property
    def holds(self) -> bool:
        """Whether no check failed."""
        return all(finding.holds is not False for finding in self.findings)
