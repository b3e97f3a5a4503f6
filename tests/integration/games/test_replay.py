"""Replays: what is drawn after each event is what could be seen then."""

from dataclasses import replace
from typing import Any

import pytest

from persistence.games.model import StoredGame
from protocol.errors import GameNotFound
from protocol.history import DrawnEvent
from server.domains.play.games import replay
from server.domains.play.games.recovery import decode_row, read_origin, recover_game
from server.domains.play.games.replay import ReplayReader
from server.domains.play.games.views import build_snapshot
from server.gamekit.fold import GameFold
from server.rulesets import find_rulesets
from tests.integration.games.conftest import Room

RULESETS = find_rulesets()


@pytest.fixture(params=[("el_dorado", 3), ("four_in_a_row", 2)], ids=lambda each: str(each[0]))
async def finished(room: Room, request: pytest.FixtureRequest) -> StoredGame:
    name, seats = request.param
    game = await room.game(name, ["random"] * seats)
    await room.completed(game.game_id)
    stored = await room.store.find(game.game_id)
    assert stored is not None
    return stored


def merged(drawn: list[DrawnEvent]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Put together what a client knows after each event: a snapshot, and each seat's view."""
    table: dict[str, Any] = {}
    view: dict[str, Any] = {}
    found = []
    for each in drawn:
        table, view = {**table, **each.table}, {**view, **each.view}
        seats = [{**view, **own} for own in each.seats]
        found.append(({**table, "head": each.event_index, "view": view}, seats))
    return found


async def expected(
    room: Room, game: StoredGame
) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Fold the log, and look after each event."""
    rows = await room.store.read_log(game.id)
    rules = RULESETS[game.ruleset]
    fold = GameFold(recover_game(game, rows, rules).fold.origin)
    found = []
    for row in rows:
        fold.apply(decode_row(row).event)
        seats = range(len(fold.table.seats))
        looks = [replay._copied(fold.ruleset.view(fold.state, seat)) for seat in seats]
        found.append((replay._copied(build_snapshot(fold, None)), looks))
    return found


async def test_every_page_shows_what_could_be_seen(
    room: Room, finished: StoredGame, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = ReplayReader(room.store, RULESETS)
    look = await expected(room, finished)
    whole: list[DrawnEvent] = []
    while page := await reader.read_views(finished, after=len(whole) - 1, until=len(whole) + 6):
        assert merged(page) == look[len(whole) : len(whole) + len(page)]
        whole += page
    assert len(whole) == len(look) == finished.next_event_index

    folded: list[object] = []
    monkeypatch.setattr(
        replay, "read_origin", lambda *game: folded.append(game) or read_origin(*game)
    )
    for after in (len(look) - 4, 2, 9, 9, -1):  # back, on, again, and from the start
        page = await reader.read_views(finished, after=after, until=after + 3)
        assert merged(page) == look[after + 1 : after + 4]
    assert len(folded) == 4  # going on from 6 to 10 needed no new start


async def test_one_event_is_drawn_once_and_seats_only_when_the_game_is_over(
    room: Room, finished: StoredGame, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = ReplayReader(room.store, RULESETS)
    running = replace(finished, status="in_progress")
    look = await expected(room, finished)
    [open_to_all] = await reader.read_views(running, after=4, until=5)
    [revealed] = await reader.read_views(finished, after=4, until=5)
    assert open_to_all.seats == []
    assert merged([open_to_all]) == [(look[5][0], [])]
    assert merged([revealed]) == [look[5]]
    monkeypatch.setattr(replay, "read_origin", lambda *_: pytest.fail("drawn again"))
    assert await reader.read_views(running, after=4, until=5) == [open_to_all]
    assert await reader.read_views(running, after=5, until=4) == []


async def test_longer_games_are_refused_with_the_way_to_their_log(
    room: Room, finished: StoredGame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "REPLAY_EVENTS_MAX", 5)
    with pytest.raises(GameNotFound, match=f"/v1/games/{finished.id}/events"):
        await ReplayReader(room.store, RULESETS).read_views(finished, after=-1, until=4)


async def test_game_without_its_rules_is_refused(room: Room, finished: StoredGame) -> None:
    with pytest.raises(GameNotFound, match="cannot draw"):
        await ReplayReader(room.store, {}).read_views(finished, after=-1, until=4)
