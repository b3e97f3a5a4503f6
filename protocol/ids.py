"""Identifiers: lowercase UUID text on the wire and inside, distinct for the type checker."""

from typing import Annotated, NewType
from uuid import uuid4

from pydantic import StringConstraints

UserId = NewType("UserId", str)
PlayerId = NewType("PlayerId", str)
LobbyId = NewType("LobbyId", str)
GameId = NewType("GameId", str)
MatchId = NewType("MatchId", str)
SessionId = NewType("SessionId", str)
BlueprintId = NewType("BlueprintId", str)
FileId = NewType("FileId", str)
CreationId = NewType("CreationId", str)
CommentId = NewType("CommentId", str)
ReportId = NewType("ReportId", str)
BotId = NewType("BotId", str)
EpochId = NewType("EpochId", str)

UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_Uuid = StringConstraints(pattern=UUID_PATTERN)

# The same identifiers as they are validated at the edge.
WirePlayerId = Annotated[PlayerId, _Uuid]
WireLobbyId = Annotated[LobbyId, _Uuid]
WireGameId = Annotated[GameId, _Uuid]
WireMatchId = Annotated[MatchId, _Uuid]


def new_id() -> str:
    """Make a random (version 4) UUID as lowercase text."""
    return str(uuid4())
