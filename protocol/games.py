"""Commands and frames of games on the server."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from protocol.envelope import Command, Ok, Update, WireModel
from protocol.ids import WireGameId
from protocol.limits import CMD_NO_MAX, EVENT_INDEX_MAX

# A move or a payload belongs to the ruleset: JSON that the server bounds and passes on.
Json = dict[str, Any]

# Ticks are of real-time games; other games have None there.
Tick = Annotated[int | None, Field(description="How many ticks had passed, in a real-time game.")]
EventIndex = Annotated[int, Field(ge=0)]
# Bounds are checked against the game's own head, so that the error can name it.
After = Annotated[int, Field(description="The last index you have; -1 for none.")]
Commitment = Annotated[
    str | None,
    Field(description="What the log up to `head` commits to; see docs/explanation/fairness.md."),
]


class Acted(Ok):
    """The reply to `game.act`: the index of the first event that the move caused."""

    event_index: EventIndex


class Act(Command):
    """Make a move. Safe to repeat: the same `cmd_no` acts once."""

    reply: ClassVar[type[WireModel]] = Acted
    type: Literal["game.act"]
    game_id: WireGameId
    cmd_no: Annotated[int, Field(ge=1, le=CMD_NO_MAX, description="Your 1st, 2nd, … in this game.")]
    move: Json
    expected_head: Annotated[int, Field(ge=0, le=EVENT_INDEX_MAX)] | None = Field(
        default=None,
        description="The last event that you have seen. If the game has moved on, the move is "
        "refused as `game_moved_on` and its number stays unused.",
    )


class SendEphemeral(Command):
    """Show those who follow the game something that nobody keeps: a cursor, an emote.

    It is not in the log, is never repeated, and is dropped for followers whose connection is
    behind. The ruleset says how large it may be, and whether there is such a thing.
    """

    type: Literal["game.send_ephemeral"]
    game_id: WireGameId
    data: Json


class StreamHeadReply(Ok):
    """The reply to `game.resume`, `game.watch` and `game.leave`."""

    head: Annotated[int, Field(description="Index of the last event sent; -1 for none.")]
    seat: int | None = None
    cmd_no: Annotated[int, Field(description="Your last command number in the log; 0 for none.")]
    status: Literal["created", "in_progress", "completed"]
    commitment: Commitment


class Resume(Command):
    """Follow a game from your seat: every event after an index, then live ones.

    If you are too far behind (the ruleset sets the limit), one `game.state` replaces the events.
    In a real-time game you always get `game.state` first, and then `game.patch`.
    """

    reply: ClassVar[type[WireModel]] = StreamHeadReply
    type: Literal["game.resume"]
    game_id: WireGameId
    after: After = -1


class Watch(Command):
    """Follow a game as a spectator, starting after an index, live or with a constant delay."""

    reply: ClassVar[type[WireModel]] = StreamHeadReply
    type: Literal["game.watch"]
    game_id: WireGameId
    after: After = -1
    delay_s: Annotated[float, Field(ge=0, le=3600)] = 0.0


class Unwatch(Command):
    """Stop following a game."""

    type: Literal["game.unwatch"]
    game_id: WireGameId


class Leave(Command):
    """Give up your seat; the game continues without you."""

    reply: ClassVar[type[WireModel]] = StreamHeadReply
    type: Literal["game.leave"]
    game_id: WireGameId


class SnapshotReply(Ok):
    """The reply to `game.snapshot`."""

    head: int
    seat: int | None
    status: str
    players: list[Json]
    turn: Json | None
    view: Json
    commitment: Commitment
    tick: Tick = None
    tick_hz: int | None = None
    patch_hz: int | None = None


class Snapshot(Command):
    """Get a snapshot of the game as you may see it, with your legal moves."""

    reply: ClassVar[type[WireModel]] = SnapshotReply
    type: Literal["game.snapshot"]
    game_id: WireGameId


class GameEvent(Update):
    """A committed fact of a game, redacted for you; indexes run 0, 1, 2, … without a gap.

    While a real-time game runs, its `tick` events are not sent, as `game.patch` has their effect.

    The payload is `null` if you may know of the event but not see it.
    """

    type: Literal["game.event"] = "game.event"
    game_id: WireGameId
    event_index: EventIndex
    event: str
    payload: Json | None
    at: str


class StateUpdate(Update):
    """A snapshot at index `head`, sent in place of the events up to it."""

    type: Literal["game.state"] = "game.state"
    game_id: WireGameId
    head: int
    seat: int | None
    status: str
    players: list[Json]
    turn: Json | None
    view: Json
    commitment: Commitment
    tick: Tick = None
    tick_hz: int | None = None
    patch_hz: int | None = None


class GamePatch(Update):
    """What has changed of your view of a real-time game, as a JSON merge patch (RFC 7396).

    Apply it if your view is of a tick from `since` on, and older than `tick`; drop it if your
    view is of `tick` or newer. If your view is older than `since`, send `game.resume`.
    """

    type: Literal["game.patch"] = "game.patch"
    game_id: WireGameId
    tick: int
    since: int
    head: Annotated[int, Field(description="Index of the last event that is in the view.")]
    changes: Json
    ack: Annotated[
        int, Field(description="The last of your commands whose effect is in the view; 0 for none.")
    ]


class Ephemeral(Update):
    """What a player shows you with `game.send_ephemeral`."""

    type: Literal["game.ephemeral"] = "game.ephemeral"
    game_id: WireGameId
    seat: int
    data: Json


class GameStopped(Update):
    """The game has been stopped. No more events are sent, and commands get the same `code`.

    `quarantined`: its rules failed, and the log is kept as it is until an operator investigates; or
    an operator ended it, for the reason in the `message`.
    """

    type: Literal["game.stopped"] = "game.stopped"
    game_id: WireGameId
    code: Literal["quarantined"]
    message: str
    retry: bool


COMMANDS: tuple[type[Command], ...] = (Act, SendEphemeral, Resume, Watch, Unwatch, Leave, Snapshot)
UPDATES: tuple[type[Update], ...] = (GameEvent, GamePatch, Ephemeral, StateUpdate, GameStopped)
