"""What the players of one game saw together, and the comparison with its log over HTTP.

The first player to get an event adds it; the others' must be the same. Equal frames are known to
be the same without being parsed, which is what makes thousands of players cheap. `audit` reads a
finished game again over HTTP and compares it with the digest of what its players saw.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b, sha256
from random import Random
from typing import Any, Final

import orjson

from loadtest.measure import Checks
from loadtest.players.kind import RulesetPlayer, ScoreKeeper
from playhall import Json
from playhall.errors import ClientError, EventOutOfOrder
from playhall.game import CAUSE, GAME_COMPLETED, INVALID_ACTION
from playhall.http import HttpClient
from protocol.limits import EVENTS_PAGE_MAX

# Once every player has this many events behind it, they are dropped.
TRIM_EVENTS: Final = 512

ORDER: Final = "every client got every event, in order"
AGREE: Final = "all clients of a game got the same"
HIDDEN: Final = "nobody got to see another's hand"
LEGAL: Final = "legal moves were accepted, others refused"
SCORE: Final = "the result is the score that clients counted"
LOG: Final = "the log over HTTP is what clients got"
SUMMARY: Final = "the summary is the score that clients counted"


@dataclass(slots=True)
class SeenEvent:
    """An event as it was seen; not frozen, as that would triple the time to make one."""

    event: str
    payload: Json
    at: str
    # The seat of the only player who has to take notice of it; None if everybody has to.
    concerns: int | None = None

    def public(self, hides: dict[str, str] | None) -> Json:
        """Give the payload without what is hidden from others: all of it, if that is not known."""
        if hides is None:
            return {}
        if self.event == INVALID_ACTION:  # why a move was refused is for the mover alone
            return {"player_id": self.payload["player_id"]}
        key = hides.get(self.event)
        if key is None:
            return self.payload
        return {name: value for name, value in self.payload.items() if name != key}


@dataclass(frozen=True, slots=True)
class FinishedGame:
    """A game that is over, as its players saw it; what an audit compares with the server's.

    `hidden` has what was seen of hidden parts: index, key, and the entries. There is a digest
    only if the game was to be audited.
    """

    game_id: str
    head: int
    digest: bytes | None
    totals: dict[str, int]
    misplays: dict[str, int]
    hidden: tuple[tuple[int, str, Json], ...]
    hides: dict[str, str] | None
    token: str


def digest_event(
    digest: "blake2b", index: int, seen: SeenEvent, hides: dict[str, str] | None
) -> None:
    """Add one event's public part to a digest of a log."""
    public = [index, seen.event, seen.public(hides), seen.at]
    digest.update(orjson.dumps(public, option=orjson.OPT_SORT_KEYS))


class GameTrace:
    """One game under way. `done` is set once all players saw its end, or it went wrong.

    `frames` and `events` are parallel: the events, from index `base` on, that some player may
    still be sent, and the frame in which each came first.
    """

    def __init__(
        self,
        kind: RulesetPlayer,
        game_id: str,
        players: list[str],
        checks: Checks,
        *,
        is_audited: bool = True,
    ) -> None:
        self.game_id = game_id
        self.checks = checks
        self.done = asyncio.Event()
        self.went_wrong = False
        self.head = -1
        self.frames: list[bytes] = []
        self.events: list[SeenEvent] = []
        self.base = 0  # the index of the first event that is still here
        self._ignored = kind.ignored
        self._hides = None if kind.hidden is None else dict(kind.hidden)
        self._hidden: list[tuple[int, str, Json]] = []
        self._score: ScoreKeeper = kind.score(players)
        self._misplays: Counter[str] = Counter()
        # A digest costs as much as all else that is done with an event.
        self._digest = blake2b(digest_size=16) if is_audited else None
        self._next_of = dict.fromkeys(players, 0)
        self._first: Json = {}

    def take_event(self, player: str, message: Json, frame: bytes) -> SeenEvent:
        """Take an event that a player got: the first time it is added, later compared."""
        index = message["event_index"]
        seen = SeenEvent(message["event"], message["payload"] or {}, message["at"])
        self._look_for_hidden(player, index, seen)
        place = index - self.base
        if place == len(self.events):
            self._add(index, seen, frame)
        else:
            self._compare(index, seen, self.events[place])
        return seen

    def note_progress(self, player: str, index: int) -> None:
        """Take note how far a player has come: at the game's end, and now and then before."""
        self._next_of[player] = index + 1
        if index - self.base >= 2 * TRIM_EVENTS:
            self._trim()
        if index == self.head and self.events[-1].event == GAME_COMPLETED:
            self.checks.note_check(ORDER, None)
            if min(self._next_of.values()) > self.head:
                self.done.set()

    def note_failure(self, player: str, error: ClientError) -> None:
        """Take note that a player cannot go on."""
        name = ORDER if isinstance(error, EventOutOfOrder) else LEGAL
        self.note_fault(name, f"game {self.game_id}, player {player}: {error}")

    def note_fault(self, name: str, fault: str) -> None:
        """Take note of a broken promise; the game is not waited for any longer."""
        self.checks.note_check(name, fault)
        self.went_wrong = True
        self.done.set()

    def finish(self, token: str) -> FinishedGame:
        """Check the result against the count, and give what an audit needs."""
        last, totals = self.events[-1].payload, self._score.totals
        self.checks.note_check(AGREE, None)
        self.checks.note_check(SCORE, self.fault_of_result(last, totals))
        return FinishedGame(
            game_id=self.game_id,
            head=self.head,
            digest=None if self._digest is None else self._digest.digest(),
            totals=dict(totals),
            misplays=dict(self._misplays),
            hidden=tuple(self._hidden),
            hides=self._hides,
            token=token,
        )

    def _add(self, index: int, seen: SeenEvent, frame: bytes) -> None:
        if seen.event in self._ignored and (cause := seen.payload.get(CAUSE)) is not None:
            seen.concerns = cause[0]
        self.head = index
        self.frames.append(frame)
        self.events.append(seen)
        if self._digest is not None:
            digest_event(self._digest, index, seen, self._hides)
        self._score.on_event(seen.event, seen.payload)
        if index == 0:
            self._first = seen.payload
        elif seen.event == INVALID_ACTION:
            self._misplays[seen.payload["player_id"]] += 1

    def _compare(self, index: int, seen: SeenEvent, first: SeenEvent) -> None:
        hides = self._hides
        if (seen.event, seen.at) != (first.event, first.at) or (
            seen.public(hides) != first.public(hides)
        ):
            self.note_fault(AGREE, f"game {self.game_id}: event {index} is {seen} or {first}")

    def _look_for_hidden(self, player: str, index: int, seen: SeenEvent) -> None:
        key = None if self._hides is None else self._hides.get(seen.event)
        if key is None:
            return
        entries: Json = seen.payload[key]
        self._hidden.append((index, key, entries))
        # Whoever takes up a game that is over gets its log, with nothing hidden any more.
        if set(entries) - {player} and not self._is_over:
            self.note_fault(
                HIDDEN, f"game {self.game_id}: {player} saw {sorted(entries)} at {index}"
            )
        else:
            self.checks.note_check(HIDDEN, None)

    @property
    def _is_over(self) -> bool:
        return bool(self.events) and self.events[-1].event == GAME_COMPLETED

    def _trim(self) -> None:
        behind = min(self._next_of.values()) - self.base
        if behind >= TRIM_EVENTS:
            del self.frames[:behind], self.events[:behind]
            self.base += behind

    def fault_of_result(self, last: dict[str, Any], totals: dict[str, int]) -> str | None:
        """Say what is wrong with the result that the last event states; None if it is right."""
        if last["final_scores"] != totals:
            return f"game {self.game_id}: counted {totals}, the result is {last['final_scores']}"
        seed_hash = sha256(last["session_seed"].encode()).hexdigest()
        if seed_hash != self._first.get("seed_hash"):
            return f"game {self.game_id}: the seed is not the one that was committed to"
        return None


# ---------------------------------------------------------------------- the same game over HTTP


EVENTS_MAX: Final = 10_000_000


class GameSample:
    """A fair sample of what is offered, however much that is (reservoir sampling)."""

    def __init__(self, size: int, chance: Random) -> None:
        self.kept: list[FinishedGame] = []
        self._size = size
        self._offered = 0
        self._chance = chance

    def offer_game(self, game: FinishedGame) -> None:
        """Keep a game, or not."""
        self._offered += 1
        if len(self.kept) < self._size:
            self.kept.append(game)
            return
        place = self._chance.randrange(self._offered)
        if place < self._size:
            self.kept[place] = game


async def audit_games(http: HttpClient, game: FinishedGame, checks: Checks) -> None:
    """Compare the log and the summary over HTTP with what was seen."""
    try:
        checks.note_check(LOG, await _fault_of_log(http, game))
        checks.note_check(SUMMARY, await _fault_of_summary(http, game))
    except ClientError as error:
        checks.note_check(LOG, f"game {game.game_id}: {error}")


async def _fault_of_log(http: HttpClient, game: FinishedGame) -> str | None:
    digest = blake2b(digest_size=16)
    hidden = _Hidden(game)
    after = -1
    while after < min(game.head, EVENTS_MAX):
        path = f"/v1/games/{game.game_id}/events?after={after}&limit={EVENTS_PAGE_MAX}"
        page = await http.get(path, token=game.token)
        if page["head"] != game.head:
            return f"game {game.game_id}: {game.head} was the last event, now it is {page['head']}"
        if not page["events"]:
            return f"game {game.game_id}: event {after + 1} is missing in the log"
        for event in page["events"]:
            after += 1
            if event["event_index"] != after:
                return f"game {game.game_id}: {event['event_index']} comes where {after} is due"
            seen = SeenEvent(event["event"], event["payload"] or {}, event["at"])
            digest_event(digest, after, seen, game.hides)
            if (fault := hidden.fault(after, event["payload"])) is not None:
                return fault
    if digest.digest() != game.digest:
        return f"game {game.game_id}: the log is not what its clients got"
    return None


class _Hidden:
    """What players saw of hidden parts, by index."""

    def __init__(self, game: FinishedGame) -> None:
        self._game_id = game.game_id
        self._at: dict[int, list[tuple[str, Json]]] = {}
        for index, key, entries in game.hidden:
            self._at.setdefault(index, []).append((key, entries))

    def fault(self, index: int, payload: Json) -> str | None:
        for key, entries in self._at.get(index, ()):
            if not entries.items() <= payload[key].items():
                return f"game {self._game_id}: {key} of event {index} is not what was seen"
        return None


async def _fault_of_summary(http: HttpClient, game: FinishedGame) -> str | None:
    summary = await http.get(f"/v1/games/{game.game_id}/summary", token=game.token)
    if summary["final_scores"] != game.totals:
        return f"game {game.game_id}: counted {game.totals}, summary {summary['final_scores']}"
    for player in summary["players"]:
        misplays = game.misplays.get(player["player_id"], 0)
        if (player["misplays"], player["score"]) != (misplays, game.totals[player["player_id"]]):
            return f"game {game.game_id}: the summary says {player} of one with {misplays} misplays"
    return None
