"""A finished game once more, over HTTP: is it what its players saw?"""

from hashlib import blake2b
from random import Random
from typing import Final

from loadtest.crowd.record import LOG, SUMMARY, Finished, digest_event, seen_of
from loadtest.line.errors import ClientError
from loadtest.line.web import Web
from loadtest.measure.checks import Checks
from protocol.game import Json
from protocol.limits import EVENTS_PAGE_MAX

EVENTS_MAX: Final = 10_000_000


class Reservoir:
    """A fair sample of what is offered, however much that is (reservoir sampling)."""

    def __init__(self, size: int, chance: Random) -> None:
        self.kept: list[Finished] = []
        self._size = size
        self._offered = 0
        self._chance = chance

    def offer(self, game: Finished) -> None:
        """Keep a game, or not."""
        self._offered += 1
        if len(self.kept) < self._size:
            self.kept.append(game)
            return
        place = self._chance.randrange(self._offered)
        if place < self._size:
            self.kept[place] = game


async def audit(web: Web, game: Finished, checks: Checks) -> None:
    """Compare the log and the summary over HTTP with what was seen."""
    try:
        checks.note(LOG, await _fault_of_log(web, game))
        checks.note(SUMMARY, await _fault_of_summary(web, game))
    except ClientError as error:
        checks.note(LOG, f"game {game.game_id}: {error}")


async def _fault_of_log(web: Web, game: Finished) -> str | None:
    digest = blake2b(digest_size=16)
    hidden = _Hidden(game)
    after = -1
    while after < min(game.head, EVENTS_MAX):
        path = f"/v1/games/{game.game_id}/events?after={after}&limit={EVENTS_PAGE_MAX}"
        page = await web.get(path, token=game.token)
        if page["head"] != game.head:
            return f"game {game.game_id}: {game.head} was the last event, now it is {page['head']}"
        if not page["events"]:
            return f"game {game.game_id}: event {after + 1} is missing in the log"
        for event in page["events"]:
            after += 1
            if event["event_index"] != after:
                return f"game {game.game_id}: {event['event_index']} comes where {after} is due"
            seen = seen_of(event["event"], event["payload"], event["at"], game.hides)
            digest_event(digest, after, seen)
            if (fault := hidden.fault(after, event["payload"])) is not None:
                return fault
    if digest.digest() != game.digest:
        return f"game {game.game_id}: the log is not what its clients got"
    return None


class _Hidden:
    """What players saw of hidden parts, by index."""

    def __init__(self, game: Finished) -> None:
        self._game_id = game.game_id
        self._at: dict[int, list[tuple[str, Json]]] = {}
        for index, key, entries in game.hidden:
            self._at.setdefault(index, []).append((key, entries))

    def fault(self, index: int, payload: Json) -> str | None:
        for key, entries in self._at.get(index, ()):
            if not entries.items() <= payload[key].items():
                return f"game {self._game_id}: {key} of event {index} is not what was seen"
        return None


async def _fault_of_summary(web: Web, game: Finished) -> str | None:
    summary = await web.get(f"/v1/games/{game.game_id}/summary", token=game.token)
    if summary["final_scores"] != game.totals:
        return f"game {game.game_id}: counted {game.totals}, summary {summary['final_scores']}"
    for player in summary["players"]:
        misplays = game.misplays.get(player["player_id"], 0)
        if (player["misplays"], player["score"]) != (misplays, game.totals[player["player_id"]]):
            return f"game {game.game_id}: the summary says {player} of one with {misplays} misplays"
    return None
