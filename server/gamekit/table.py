"""The table that every game sits at: seats, presence, misplays and command numbers.

These facts are the same in all games, so the server logs them itself, around the
ruleset's own events:

    game_created             first event: ruleset, players, config, hash of the seed, and
                             whether players who left are ranked last
    player_joined            somebody who had left took the seat again
    player_left              gave the seat up; the rules decide what becomes of it
    player_disconnected      the last socket of a player went away; the seat is kept
    player_reconnected
    player_became_spectator  somebody who had left looks on
    tick                     a tick of a real-time game, with the inputs that it took
    invalid_action           a refused move: kept for statistics, no rule sees it; while the
                             game runs, why it was refused is for the mover alone
    game_completed           last event: standings, and the seed itself
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b, sha256
from typing import Any, Final, NamedTuple

from protocol.ids import PlayerId
from server.gamekit.contract import Event, Outcome, Payload, Ruleset, Viewer

INVALID_ACTION: Final = "invalid_action"
GAME_CREATED: Final = "game_created"
GAME_COMPLETED: Final = "game_completed"
TICK: Final = "tick"

# Events that leave a game where it was: a player may miss them and still know what to play.
PASSING: Final = frozenset(
    {INVALID_ACTION, "player_disconnected", "player_reconnected", "player_became_spectator"}
)

# How many command numbers a seat can be asked for again, and how many of a seat's
# refused moves are kept in the log.
REMEMBERED_COMMANDS: Final = 256
MISPLAYS_LOGGED_MAX: Final = 100

# The event's key for the command that caused it: [seat, cmd_no].
CMD: Final = "_cmd"
# The event's key for its time, in games whose rules read it.
AT: Final = "_at"
# The event's key for the tick that it is, or that it came after, in real-time games.
AFTER_TICK: Final = "_tick"
# The event's key for the timer that caused it: [name, at_ms].
TIMER: Final = "_timer"


class CommandReply(NamedTuple):
    """The reply that a command got: an event index, or a refusal's code and message."""

    event_index: int
    code: str | None = None
    message: str = ""


class SeatedPlayer(NamedTuple):
    """Who takes a seat when a game is made; `bot` names the ruleset's bot, if it is one."""

    player_id: PlayerId
    bot: str | None = None


@dataclass(slots=True)
class TableSeat:
    """One seat, as the log has it."""

    player_id: PlayerId
    bot: str | None
    present: bool = True
    connected: bool = True
    misplays: int = 0
    cmd_no: int = 0
    answers: dict[int, CommandReply] = field(default_factory=dict)
    _order: deque[int] = field(default_factory=deque)

    def remember_reply(self, cmd_no: int, answer: CommandReply) -> None:
        """Keep a command's answer; the oldest goes when there are too many."""
        self.cmd_no = cmd_no
        self.answers[cmd_no] = answer
        self._order.append(cmd_no)
        if len(self._order) > REMEMBERED_COMMANDS:
            del self.answers[self._order.popleft()]


class SeatTable:
    """The seats of one game, folded from its events."""

    __slots__ = ("completed", "leavers_rank_last", "seat_by_player", "seats")

    def __init__(self, players: Sequence[SeatedPlayer]) -> None:
        self.seats = [TableSeat(player.player_id, player.bot) for player in players]
        self.seat_by_player: dict[PlayerId, int] = {p.player_id: i for i, p in enumerate(players)}
        self.completed = False
        # As event 0 says; None in logs from before there was such a rule.
        self.leavers_rank_last: bool | None = None

    def evolve(self, index: int, event: Event) -> None:
        """Fold one event; types that are not the table's change nothing but `cmd_no`s."""
        payload = event.payload
        if CMD in payload:
            self._remember(index, event)
        elif event.type == TICK:
            self._ticked(index, payload)
            return
        if (evolver := _EVOLVERS.get(event.type)) is not None:
            evolver(self, payload)

    def _remember(self, index: int, event: Event) -> None:
        seat, cmd_no = event.payload[CMD]
        self.seats[seat].remember_reply(cmd_no, parse_command_reply(index, event))

    def _created(self, payload: Payload) -> None:
        self.leavers_rank_last = payload.get("leavers_rank_last")

    def _left(self, payload: Payload) -> None:
        if self.completed:
            return  # the result stands: nobody leaves a game that is over
        occupant = self.seats[payload["seat"]]
        occupant.present = occupant.connected = False

    def _joined(self, payload: Payload) -> None:
        occupant = self.seats[payload["seat"]]
        occupant.present = occupant.connected = True

    def _disconnected(self, payload: Payload) -> None:
        self.seats[payload["seat"]].connected = False

    def _reconnected(self, payload: Payload) -> None:
        self.seats[payload["seat"]].connected = True

    def _misplayed(self, payload: Payload) -> None:
        self.seats[payload["seat"]].misplays += 1

    def _completed(self, _: Payload) -> None:
        self.completed = True

    def _ticked(self, index: int, payload: Payload) -> None:
        for seat, cmd_no, _ in payload["inputs"]:
            if cmd_no is not None:  # else it is a bot's
                self.seats[seat].remember_reply(cmd_no, CommandReply(index))


_EVOLVERS: Final[Mapping[str, Callable[[SeatTable, Payload], None]]] = {
    GAME_CREATED: SeatTable._created,
    "player_left": SeatTable._left,
    "player_joined": SeatTable._joined,
    "player_disconnected": SeatTable._disconnected,
    "player_reconnected": SeatTable._reconnected,
    INVALID_ACTION: SeatTable._misplayed,
    GAME_COMPLETED: SeatTable._completed,
}


# The server's own events, which no ruleset may decide.
TABLE_EVENTS: Final = frozenset({*_EVOLVERS, *PASSING, TICK})


def require_rules_events(events: list[Event]) -> list[Event]:
    """Give a ruleset's events back; raise if one is the table's, which would be believed."""
    for event in events:
        if event.type in TABLE_EVENTS:
            raise ValueError(f"{event.type} is the server's own event; rename yours")
    return events


def parse_command_reply(index: int, event: Event) -> CommandReply:
    """Read from a command's first event what it was answered."""
    if event.type == INVALID_ACTION:
        return CommandReply(index, event.payload["code"], event.payload["message"])
    return CommandReply(index)


def seed_hash(seed: str) -> str:
    """Commit to a seed: the hex SHA-256 of its text (see docs/explanation/fairness.md)."""
    return sha256(seed.encode()).hexdigest()


def compute_log_commitment(seed: str, chain_hash: bytes) -> str:
    """Commit to a log without showing it: 32 hex digits, checked once the seed is revealed.

    A hash of the chain itself would show what is hidden: whoever knows the hash before, and
    that the event is a hand of one card, or one of three refusals, tries them all. Keyed with
    a secret that the first event commits to, it says nothing until the game is over.
    """
    key = sha256(f"{seed}:chain".encode()).digest()
    return blake2b(chain_hash, digest_size=len(chain_hash), key=key).hexdigest()


def game_created_event(
    ruleset: str,
    version: int,
    players: Sequence[SeatedPlayer],
    config: Payload,
    seed: str,
    *,
    leavers_rank_last: bool | None,
) -> Event:
    """Make a game's first event.

    `leavers_rank_last` is the ruleset's; None leaves it out, as logs did before there was
    such a rule.
    """
    seats = [
        {"seat": seat, "player_id": p.player_id, "is_bot": p.bot is not None, "bot": p.bot}
        for seat, p in enumerate(players)
    ]
    payload: Payload = {
        "ruleset": ruleset,
        "ruleset_version": version,
        "players": seats,
        "config": config,
        "seed_hash": seed_hash(seed),
        "_v": 1,
    }
    if leavers_rank_last is not None:
        payload["leavers_rank_last"] = leavers_rank_last
    return Event(GAME_CREATED, payload)


def parse_players(created: Payload) -> tuple[SeatedPlayer, ...]:
    """Read who sits where from a `game_created` payload."""
    return tuple(SeatedPlayer(seat["player_id"], seat["bot"]) for seat in created["players"])


def rank_absent_last(table: SeatTable, outcome: Outcome) -> Outcome:
    """Rank players who are absent at the end behind those who stayed, where event 0 says so.

    Of those who stayed, the winners stay winners. If every winner has left, the highest
    score among those who stayed wins; if everybody has left, nobody wins. A game that
    nobody won is still won by nobody.
    """
    gone = {seat for seat, occupant in enumerate(table.seats) if not occupant.present}
    if not table.leavers_rank_last or not gone:
        return outcome
    stayed = [standing for standing in outcome.standings if standing.seat not in gone]
    winners = {standing.seat for standing in stayed if standing.is_winner}
    if stayed and not winners and any(standing.is_winner for standing in outcome.standings):
        best = max(standing.score for standing in stayed)
        winners = {standing.seat for standing in stayed if standing.score == best}
    standings = [
        replace(standing, is_winner=standing.seat in winners, forfeited=standing.seat in gone)
        for standing in outcome.standings
    ]
    return replace(outcome, standings=tuple(standings))


def presence_event(kind: str, table: SeatTable, seat: int) -> Event:
    """Make a presence event, for example `player_left`."""
    return Event(kind, {"seat": seat, "player_id": table.seats[seat].player_id, "_v": 1})


def invalid_action_event(table: SeatTable, seat: int, code: str, message: str) -> Event:
    """Make the event that records a refused move."""
    occupant = table.seats[seat]
    return Event(
        INVALID_ACTION,
        {"seat": seat, "player_id": occupant.player_id, "code": code, "message": message, "_v": 1},
    )


def visible_refused_move(event: Event, viewer: Viewer) -> Payload:
    """Give what a viewer may see of a refused move while the game runs.

    The code and the message reveal something of a hand (`must_follow_suit`), so they are for the
    mover alone; everybody else sees who made a move that was refused. The command number goes too.
    """
    payload = event.payload
    if viewer is not None and payload["seat"] == viewer:
        return payload
    return {key: payload[key] for key in ("seat", "player_id", "_v")}


def visible_payload(ruleset: Ruleset[Any, Any], event: Event, viewer: Viewer) -> Payload | None:
    """Give what a viewer may see of any event while the game runs."""
    if event.type == INVALID_ACTION:
        return visible_refused_move(event, viewer)
    return ruleset.redact(event, viewer)


def game_completed_event(table: SeatTable, outcome: Outcome, seed: str) -> Event:
    """Make a game's last event: everybody's result, and the seed that was committed to."""
    scores = {
        table.seats[standing.seat].player_id: standing.score for standing in outcome.standings
    }
    winners = [
        table.seats[standing.seat].player_id for standing in outcome.standings if standing.is_winner
    ]
    return Event(
        GAME_COMPLETED,
        {"final_scores": scores, "winners": winners, "session_seed": seed, "_v": 1},
    )
