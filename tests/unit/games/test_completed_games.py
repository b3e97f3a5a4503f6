"""Games that have just ended are known without their logs, as far as nobody needs their events."""

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from persistence.games.store import GameStore
from protocol.ids import GameId
from server.domains.play.games.completed_games import JUST_ENDED_MAX, CompletedGameReader
from server.domains.progression.achievements.rules import list_gains, need_events
from server.gamekit.contract import CompletedGame
from server.rulesets import find_rulesets
from tests.unit.loadtest.games import Hall

RULESETS = find_rulesets()


class UnreadStore:
    """A store that nobody may ask."""

    async def find(self, game_id: GameId) -> None:
        raise LookupError(game_id)


def reader() -> CompletedGameReader:
    return CompletedGameReader(cast("GameStore", UnreadStore()), RULESETS)


def read(games: CompletedGameReader, game_id: str, *, with_events: bool) -> CompletedGame | None:
    return asyncio.run(games.read_completed(GameId(game_id), with_events=with_events))


def test_outcome_brings_the_same_as_the_whole_game() -> None:
    games, hall = reader(), Hall("el_dorado", rounds=3)
    played = hall.play_out()
    games.note_completed(GameId("g"), hall.fold)
    known = read(games, "g", with_events=False)
    assert known is not None
    assert known.events == ()
    achievements = RULESETS["el_dorado"].achievements
    assert not need_events(achievements)
    gains = list_gains(known, achievements)
    assert gains == list_gains(replace(known, events=played.events), achievements)
    assert {gain.key for gain in gains} >= {"first_win"}


def test_game_is_read_from_its_log_where_its_events_are_needed() -> None:
    games, hall = reader(), Hall("four_in_a_row")
    hall.play_out()
    games.note_completed(GameId("g"), hall.fold)
    for with_events in (True, False):
        with pytest.raises(LookupError):
            read(games, "g", with_events=with_events)


def test_games_that_ended_long_ago_are_forgotten() -> None:
    games, hall = reader(), Hall("el_dorado", rounds=1)
    hall.play_out()
    for number in range(JUST_ENDED_MAX + 1):
        games.note_completed(GameId(str(number)), hall.fold)
    assert read(games, "1", with_events=False) is not None
    with pytest.raises(LookupError):
        read(games, "0", with_events=False)
