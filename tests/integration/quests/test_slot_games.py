"""Slots that are attached to games: a result is applied once, whatever happens meanwhile."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from protocol.domain_events import GameCompleted, SeatOutcome
from protocol.ids import GameId, LobbyId, PlayerId, UserId, new_id
from server.core.event_delivery import EventDelivery
from tests.integration.quests.conftest import Json, Quests

REWARDS = [
    {"result": "win", "bundle": {"currencies": {"gold": 5}, "items": {"iron.sword": 1}}},
    {"result": "draw", "bundle": {"currencies": {"gold": 4}}},
    {"placement": 2, "bundle": {"currencies": {"gold": 3}}},
    {"result": "any", "bundle": {"currencies": {"gold": 1}}},
]
PATH = "/v1/admin/game-rewards/demo/relay"


async def player_of(quests: Quests, who: UserId) -> PlayerId:
    player = new_id()
    await quests.run(
        "INSERT INTO players (id, user_id, display_name, avatar_seed, color)"
        " VALUES ($1, $2, 'Ada', 'a', 'red')",
        player,
        who,
    )
    return PlayerId(player)


async def prepare(quests: Quests, rewards: list[Any] = REWARDS) -> None:
    status, answer = await quests.ask("editor", "PUT", PATH, {"rewards": rewards})
    assert status == 200, answer


async def attach(quests: Quests, who: UserId, slot: str, **target: str) -> Json:
    status, answer = await quests.ask(who, "PUT", f"/v1/saves/{slot}/game", target)
    assert status == 200, answer
    return answer


def ended(
    game: str,
    *scores: tuple[PlayerId, int, bool],
    lobby: str | None = None,
    forfeited: bool = False,
    uncounted: Any = None,
    later_s: float = 1,
) -> EventDelivery:
    """Deliver a game: each seat's player, score, and whether it won."""
    seats = [
        SeatOutcome(player_id=player, seat=place, score=score, is_winner=won, forfeited=forfeited)
        for place, (player, score, won) in enumerate(scores)
    ]
    event = GameCompleted(
        game_id=GameId(game),
        lobby_id=None if lobby is None else LobbyId(lobby),
        ruleset="relay",
        started_at=None,
        completed_at="2026-10-01T12:00:00.000Z",
        winner_id=None,
        uncounted=uncounted,
        players=seats,
    )
    return EventDelivery(new_id(), datetime.now(UTC) + timedelta(seconds=later_s), event)


async def held(quests: Quests, who: UserId, slot: str) -> tuple[Json, Json]:
    _, read = await quests.ask(who, "GET", f"/v1/saves/{slot}/inventory")
    return {each["item_id"]: each["quantity"] for each in read["items"]}, read["currencies"]


async def results(quests: Quests, who: UserId) -> list[Json]:
    rows = await quests.run(
        "SELECT data ->> 'result' AS result, data ->> 'refused' AS refused,"
        " data -> 'granted' -> 'currencies' ->> 'gold' AS gold FROM progress_changes"
        " WHERE account_id = $1 AND kind = 'game.result' ORDER BY number",
        who,
    )
    return [dict(row) for row in rows]


async def test_result_is_applied_once_however_often_it_is_delivered(
    quests: Quests, ada: UserId
) -> None:
    await prepare(quests)
    me, slot, other = await player_of(quests, ada), *[await quests.slot(ada) for _ in range(2)]
    game, lobby = new_id(), new_id()
    first = await attach(quests, ada, slot, lobby_id=lobby)
    assert await attach(quests, ada, slot, lobby_id=lobby) == first
    await attach(quests, ada, other, game_id=game)  # the same game, with another slot
    assert (await quests.ask(ada, "GET", f"/v1/saves/{slot}/game"))[1] == first

    delivery = ended(game, (me, 9, True), (PlayerId(new_id()), 3, False), lobby=lobby)
    await asyncio.gather(*(quests.slot_games.apply_result(delivery) for _ in range(8)))
    await quests.slot_games.apply_result(delivery)
    assert await held(quests, ada, slot) == ({"iron.sword": 1}, {"gold": 5})
    assert await held(quests, ada, other) == ({}, {"gold": 5})  # of the account
    assert [each["gold"] for each in await results(quests, ada)] == ["5", None]
    assert (await quests.ask(ada, "GET", f"/v1/saves/{slot}/game"))[1]["code"] == "no_slot_game"
    assert len(await quests.run("SELECT FROM ledger_transactions")) == 1


@pytest.mark.parametrize(
    ("mine", "theirs", "options", "gold"),
    [
        ((3, True), (3, True), {}, 4),
        ((3, False), (9, True), {}, 3),
        ((3, False), (3, False), {}, 1),
        ((9, True), (3, False), {"forfeited": True}, 0),
        ((9, True), (3, False), {"uncounted": "declared"}, 0),
    ],
)
async def test_first_reward_that_fits_is_given(
    quests: Quests,
    ada: UserId,
    mine: tuple[int, bool],
    theirs: tuple[int, bool],
    options: dict[str, Any],
    gold: int,
) -> None:
    await prepare(quests)
    me, slot, game = await player_of(quests, ada), await quests.slot(ada), new_id()
    await attach(quests, ada, slot, game_id=game)
    await quests.slot_games.apply_result(
        ended(game, (me, *mine), (PlayerId(new_id()), *theirs), **options)
    )
    assert (await held(quests, ada, slot))[1].get("gold", 0) == gold
    assert len(await results(quests, ada)) == 1


async def test_slot_that_is_gone_or_was_attached_too_late_gets_nothing(
    quests: Quests, ada: UserId
) -> None:
    await prepare(quests)
    me, game = await player_of(quests, ada), new_id()
    slot, detached, late, foreign = [await quests.slot(ada) for _ in range(4)]
    await attach(quests, ada, slot, game_id=game)
    deleted = ended(game, (me, 9, True))
    assert (await quests.ask(ada, "DELETE", f"/v1/saves/{slot}"))[0] == 200
    await quests.slot_games.apply_result(deleted)

    await attach(quests, ada, detached, game_id=game)
    assert (await quests.ask(ada, "DELETE", f"/v1/saves/{detached}/game"))[0] == 200
    await quests.slot_games.apply_result(ended(game, (me, 9, True)))
    await attach(quests, ada, late, game_id=game)
    await quests.slot_games.apply_result(ended(game, (me, 9, True), later_s=-60))
    await attach(quests, ada, foreign, game_id=game)
    await quests.slot_games.apply_result(ended(game, (PlayerId(new_id()), 9, True)))
    assert await results(quests, ada) == []
    assert await quests.run("SELECT FROM ledger_transactions") == []

    # Who detaches a slot after the game was completed gets what it gives.
    before = ended(game, (me, 9, True), later_s=0)
    await quests.ask(ada, "DELETE", f"/v1/saves/{late}/game")
    await quests.slot_games.apply_result(before)
    assert [each["gold"] for each in await results(quests, ada)] == ["5", None]


async def test_reward_that_cannot_be_given_does_not_hold_the_event_up(
    quests: Quests, ada: UserId
) -> None:
    await prepare(quests)
    assert await quests.define("currencies", "gold", holding_max=4) == (200, "")
    me, slot, game = await player_of(quests, ada), await quests.slot(ada), new_id()
    await attach(quests, ada, slot, game_id=game)
    await quests.slot_games.apply_result(ended(game, (me, 9, True)))
    assert await results(quests, ada) == [
        {"result": "win", "refused": "holding_full", "gold": None}
    ]
    assert await held(quests, ada, slot) == ({}, {})


async def test_modded_slot_gets_of_a_game_what_stays_in_it(quests: Quests, ada: UserId) -> None:
    await prepare(quests)
    me, slot, game = await player_of(quests, ada), await quests.slot(ada), new_id()
    await quests.write(ada, slot, {"mods": {"m": 1}}, is_modded=True)
    await attach(quests, ada, slot, game_id=game)
    await quests.slot_games.apply_result(ended(game, (me, 9, True)))
    assert await held(quests, ada, slot) == ({"iron.sword": 1}, {})


async def test_what_cannot_be_is_refused(quests: Quests, ada: UserId) -> None:
    slot, eve = await quests.slot(ada), await quests.person()
    path = f"/v1/saves/{slot}/game"
    for body in ({}, {"lobby_id": new_id(), "game_id": new_id()}):
        assert (await quests.ask(ada, "PUT", path, body))[1]["code"] == "invalid_field"
    for method, body in (("PUT", {"game_id": new_id()}), ("GET", None), ("DELETE", None)):
        _, refused = await quests.ask(eve, method, path, body)
        assert refused["code"] == "save_slot_not_found"
    rewards = [*REWARDS, {"bundle": {"items": {"gone": 1}}}]
    _, refused = await quests.ask("editor", "PUT", PATH, {"rewards": rewards})
    assert refused["field"] == "rewards.4.bundle.items.gone"
    assert (await quests.ask(ada, "PUT", PATH, {"rewards": []}))[0] == 403
    await prepare(quests)
    assert await quests.undefine("currencies", "gold") == (409, "definition_in_use")
    await prepare(quests, [])
    assert await quests.undefine("currencies", "gold") == (200, "")
    _, listed = await quests.ask("editor", "GET", "/v1/admin/game-rewards/demo")
    assert [(each["ruleset"], each["version"]) for each in listed["rewards"]] == [("relay", 2)]
