"""Saves that are the log of a ruleset, on the wire: commands instead of states."""

from typing import Annotated, Final

from pydantic import Field

from protocol.envelope import WireModel
from protocol.errors import PlayhallError
from protocol.limits import INT_MAX
from protocol.saves import Uuid
from protocol.schemas import JsonObject

MOVES_MAX: Final = 100  # of one request
EVENTS_MAX: Final = 10_000  # of a log
PAGE_EVENTS: Final = 500

EventIndex = Annotated[int, Field(ge=0, le=INT_MAX)]


class NoSaveLog(PlayhallError):
    """This slot is not the log of a ruleset; POST to its /log to begin one."""

    code, status = "no_save_log", 404


class NotSimulated(PlayhallError):
    """The slot cannot be the log of a ruleset."""

    code, status = "not_simulated", 409


class SaveLogMovedOn(PlayhallError):
    """The log has other events by now; GET it, then decide again."""

    code, status = "save_log_moved_on", 409


class SaveLogFull(PlayhallError):
    """The log has the maximum number of events; begin another slot."""

    code, status = "save_log_full", 409


class RulesFailed(PlayhallError):
    """The rules failed; nothing was changed, and the failure was logged."""

    code, status = "rules_failed", 500


class BeginLog(WireModel):
    """How a log begins; the ruleset is the one that is named as the slot's title."""

    config: JsonObject = Field(default_factory=dict)


class LogEvent(WireModel):
    """An event as its player may see it."""

    event_index: int
    type: str
    payload: JsonObject
    at: str


class LogCommands(WireModel):
    """Moves, one after the other: all of them are carried out, or none."""

    moves: Annotated[list[JsonObject], Field(min_length=1, max_length=MOVES_MAX)]
    at_index: EventIndex = Field(description="`next_index` of the log that they were chosen in.")
    mutation_id: Uuid = Field(
        description="New for each request; a repeat with the same one gets the same answer."
    )


class SaveLog(WireModel):
    """A log as it is now: `view` is what its player sees, and lists the legal moves."""

    slot_id: str
    ruleset: str
    ruleset_version: int
    next_index: int
    is_over: bool
    events: list[LogEvent] = Field(description="Those that were asked for, or have just happened.")
    view: JsonObject
    is_repeated: bool = False


class LogQuery(WireModel):
    """From which event on."""

    after: Annotated[int, Field(ge=-1, le=INT_MAX)] = Field(
        default=-1, description="The index of the last event that you have; -1 for none."
    )
