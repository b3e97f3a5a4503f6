"""Rematches and series on the wire."""

from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field

from protocol.envelope import Command, Ok, Update, WireModel
from protocol.errors import PlayhallError
from protocol.ids import WireGameId, WirePlayerId

BEST_OF_MAX: Final = 15
PROPOSED_KEPT_S: Final = 300.0  # how long a proposal waits for the others

BestOf = Annotated[int, Field(ge=1, le=BEST_OF_MAX)]
SeriesState: TypeAlias = Literal["proposed", "playing", "finished"]


class NoRematch(PlayhallError):
    """You cannot have a rematch of this game: it is not over, or you did not play to its end."""

    code, status = "no_rematch", 409


class OtherRematch(PlayhallError):
    """Somebody proposed a series of another length; agree to it, or let it expire."""

    code, status = "other_rematch", 409


class Series(WireModel):
    """A rematch (`best_of` 1) or a series, and its score."""

    series_id: str
    after_game: WireGameId = Field(description="The game after which it was proposed.")
    ruleset: str
    best_of: int
    state: SeriesState
    version: int
    players: list[WirePlayerId]
    agreed: list[WirePlayerId]
    number: int = Field(description="The game that is played, from 1.")
    game_id: WireGameId | None = Field(description="Send `game.resume` with it.")
    wins: dict[WirePlayerId, int]
    winner_id: WirePlayerId | None = Field(description="Of the series; null for a draw, too.")


class SeriesReply(Ok):
    """The series after the command."""

    series: Series


class Rematch(Command):
    """Ask for a rematch, or agree to it; it starts when everybody who played has.

    With `best_of`, a series follows: its games start one after the other, and seats rotate. Without
    it, you agree to whatever was proposed, or propose one game.
    """

    reply: ClassVar[type[WireModel]] = SeriesReply
    type: Literal["lobby.rematch"]
    game_id: WireGameId
    best_of: BestOf | None = None


class DeclineRematch(Command):
    """Decline a rematch that is proposed, or take back that you agreed."""

    type: Literal["lobby.decline_rematch"]
    game_id: WireGameId


class SeriesUpdate(Update):
    """A rematch or series of yours was proposed, began, went on, or is over.

    A series that was declined is over without a game.
    """

    type: Literal["series.update"] = "series.update"
    series: Series


COMMANDS: tuple[type[Command], ...] = (Rematch, DeclineRematch)
UPDATES: tuple[type[Update], ...] = (SeriesUpdate,)
