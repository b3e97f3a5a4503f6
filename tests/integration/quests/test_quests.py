"""Quests over HTTP, on a real database: conditions, steps, rewards that are given once, events."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import product

import asyncpg
import pytest

from persistence.database import Database
from protocol.domain_events import GameCompleted, SeatOutcome
from protocol.ids import GameId, PlayerId, UserId, new_id
from protocol.inventory import Bundle
from server.core.event_delivery import EventDelivery
from server.core.events import ProgressFollowed
from server.domains.progression.quests.machine import TRANSITIONS, QuestStatus
from tests.integration.inventory.test_verification import verify
from tests.integration.quests.conftest import Quests

REWARD = {"currencies": {"gold": 5}, "lore": ["wolf"], "flags": {"rewarded": True}}
CLAIMS = 1000
AT_ONCE = 50


async def gold(quests: Quests, who: UserId) -> int:
    statement = (
        "SELECT coalesce(sum(balance), 0) AS gold FROM currency_balances WHERE account_id = $1"
    )
    return int((await quests.run(statement, who))[0]["gold"])


async def test_quest_goes_from_locked_to_claimed(quests: Quests, ada: UserId) -> None:
    await quests.put(
        "wolf",
        required_flags='flags.met && counters.courage >= 2 && !("wolf" in lore)',
        steps=[
            {"kind": "report", "name": "talk"},
            {"kind": "condition", "name": "find", "when": 'choices.path == "north"'},
        ],
        reward_bundle=REWARD,
    )
    slot = await quests.slot(ada, {"flags": {"met": True}, "counters": {"courage": 1}})
    quest = (await quests.quests(ada, slot))["wolf"]
    assert (quest["status"], quest["unmet"]) == ("locked", ["counters.courage >= 2"])
    status, refused = await quests.act(ada, slot, "wolf", "accept")
    assert (status, refused["code"]) == (409, "quest_not_possible")

    state = {"flags": {"met": True}, "counters": {"courage": 2}}
    body = {"state": state, "mutation_id": new_id()}
    async with quests.http.put(
        f"/v1/saves/{slot}", json=body, headers={"If-Match": "*", "Authorization": f"Bearer {ada}"}
    ) as answer:
        assert answer.status == 200
    assert (await quests.quests(ada, slot))["wolf"]["status"] == "available"
    assert (await quests.do(ada, slot, "wolf", "accept"))["quest"]["status"] == "active"
    assert (await quests.do(ada, slot, "wolf", "accept"))["is_repeated"]

    for step, said in (("find", "quest_step_not_done"), ("none", "invalid_field")):
        _, refused = await quests.act(ada, slot, "wolf", "advance", step=step)
        assert (refused["code"], refused["field"]) == (said, "step")
    status, advanced = await quests.act(ada, slot, "wolf", "advance", step="talk")
    assert [step["is_done"] for step in advanced["quest"]["steps"]] == [True, False]
    _, again = await quests.act(ada, slot, "wolf", "advance", step="talk")
    assert again["is_repeated"]
    _, refused = await quests.act(ada, slot, "wolf", "complete")
    assert refused["code"] == "quest_step_not_done"

    state["choices"] = {"path": "north"}  # type: ignore[assignment]
    body = {"state": state, "mutation_id": new_id()}
    async with quests.http.put(
        f"/v1/saves/{slot}", json=body, headers={"If-Match": "*", "Authorization": f"Bearer {ada}"}
    ) as answer:
        assert answer.status == 200
    done = await quests.do(ada, slot, "wolf", "complete", "claim")
    assert done["quest"]["status"] == "claimed"
    assert done["granted"]["currencies"] == {"gold": 5}
    assert await gold(quests, ada) == 5
    _, story = await quests.ask(ada, "GET", f"/v1/saves/{slot}/narrative")
    assert (story["lore"], story["flags"]) == (["wolf"], {"met": True, "rewarded": True})
    assert story["choices"] == {"path": "north"}
    kinds = await quests.run("SELECT kind FROM progress_changes ORDER BY number")
    quest_kinds = [row["kind"] for row in kinds if row["kind"].startswith("quest.")]
    assert quest_kinds == ["quest.active"] * 2 + ["quest.completed", "quest.claimed"]


async def test_thousand_claims_at_once_grant_once(quests: Quests, ada: UserId) -> None:
    await quests.put("wolf", reward_bundle=REWARD)
    slots = [await quests.slot(ada) for _ in range(2)]
    for slot in slots:
        await quests.do(ada, slot, "wolf", "accept", "complete")
    turn = asyncio.Semaphore(AT_ONCE)

    async def claim(number: int) -> tuple[int, dict[str, object]]:
        async with turn:
            return await quests.act(ada, slots[number % 2], "wolf", "claim")

    answers = await asyncio.gather(*(claim(number) for number in range(CLAIMS)))
    assert {status for status, _ in answers} == {200}
    granted = [answer["granted"] for _, answer in answers if not answer["is_repeated"]]
    assert len(granted) == 2  # each slot has the lore, and one of them brought the gold
    assert sorted(each["currencies"].get("gold", 0) for each in granted) == [0, 5]  # type: ignore[index]
    assert await gold(quests, ada) == 5
    assert len(await quests.run("SELECT FROM reward_claims")) == 1


async def test_restored_exported_and_deleted_slots_bring_no_second_reward(
    quests: Quests, ada: UserId
) -> None:
    await quests.put("wolf", reward_bundle=REWARD)
    slot = await quests.slot(ada)
    await quests.do(ada, slot, "wolf", "accept", "complete", "claim")
    headers = {"If-Match": "*", "Authorization": f"Bearer {ada}"}
    restore = f"/v1/saves/{slot}/revisions/1/restore"
    async with quests.http.post(restore, json={"mutation_id": new_id()}, headers=headers) as answer:
        assert answer.status == 200
    assert (await quests.do(ada, slot, "wolf", "claim"))["is_repeated"]

    _, file = await quests.ask(ada, "GET", f"/v1/saves/{slot}/export")
    _, copy = await quests.ask(ada, "POST", "/v1/saves/import", file)
    await quests.ask(ada, "DELETE", f"/v1/saves/{slot}")
    assert (await quests.quests(ada, copy["slot_id"]))["wolf"]["is_rewarded"]
    again = await quests.do(ada, copy["slot_id"], "wolf", "accept", "complete", "claim")
    assert again["granted"]["currencies"] == {}
    assert await gold(quests, ada) == 5


async def test_slot_that_holds_something_is_deleted_only_if_its_owner_accepts_that(
    quests: Quests, ada: UserId, serving_dsn: str
) -> None:
    assert await quests.define("currencies", "shells") == (200, "")
    reward = {"items": {"iron.sword": 2}, "currencies": {"gold": 5, "shells": 3}}
    await quests.put("wolf", reward_bundle=reward)
    slot, empty = await quests.slot(ada), await quests.slot(ada)
    await quests.do(ada, slot, "wolf", "accept", "complete", "claim")
    status, refused = await quests.ask(ada, "DELETE", f"/v1/saves/{slot}")
    assert (status, refused["code"]) == (409, "slot_holds_something")
    assert "2 iron.sword, 3 shells, which" in refused["message"]
    assert (await quests.ask(ada, "DELETE", f"/v1/saves/{empty}"))[0] == 200

    path = f"/v1/saves/{slot}"
    deleting = (quests.ask(ada, "DELETE", path, discard="true") for _ in range(8))
    assert sorted([status for status, _ in await asyncio.gather(*deleting)]) == [200, *[404] * 7]
    _, ledger = await quests.ask(ada, "GET", "/v1/ledger", slot_id=slot)
    discarded = ledger["transactions"][0]
    assert (discarded["kind"], discarded["slot_id"]) == ("discard", slot)
    amounts = {each["item_id"] or each["currency_id"]: each for each in discarded["changes"]}
    assert {name: (each["amount"], each["balance"]) for name, each in amounts.items()} == {
        "iron.sword": (-2, 0),
        "shells": (-3, 0),
    }
    assert await gold(quests, ada) == 5  # the account's own stays
    verified = verify(serving_dsn)
    assert (verified.status, verified.said) == (
        0,
        "1 accounts with 2 transactions checked, 0 differences from the ledger.",
    )


async def test_modded_slot_gets_nothing_that_is_of_the_account(quests: Quests, ada: UserId) -> None:
    assert await quests.define("currencies", "shells") == (200, "")
    assert await quests.define("items", "stone", is_server_owned=False) == (200, "")
    shop = {"name": "Sell", "kind": "trade", "takes": {"items": {"stone": 1}}}
    for recipe, gives in (("sell", {"gold": 1}), ("swap", {"shells": 1})):
        headers = {"If-Match": "*", "Authorization": "Bearer editor"}
        body = {**shop, "gives": {"currencies": gives}}
        path = f"/v1/admin/recipes/{recipe}"
        async with quests.http.put(path, json=body, headers=headers) as answer:
            assert answer.status == 200
    reward = {
        "items": {"iron.sword": 2},
        "currencies": {"gold": 5, "shells": 3},
        "lore": ["wolf"],
        "flags": {"rewarded": True},
    }
    await quests.put("wolf", reward_bundle=reward)
    slot, copy, clean = [await quests.slot(ada) for _ in range(3)]
    for each in (slot, copy):
        await quests.write(ada, each, {"mods": {"cheat": {"gold": 10**9}}}, is_modded=True)

    done = await quests.do(ada, slot, "wolf", "accept", "complete", "claim")
    assert done["granted"]["items"] == {"iron.sword": 2}
    assert done["granted"]["currencies"] == {"shells": 3}
    assert not done["quest"]["is_rewarded"]
    _, held = await quests.ask(ada, "GET", f"/v1/saves/{slot}/inventory")
    assert held["currencies"] == {"shells": 3}
    assert (await quests.ask(ada, "GET", "/v1/unlocks", kind="lore"))[1]["unlocks"] == []
    _, story = await quests.ask(ada, "GET", f"/v1/saves/{slot}/narrative")
    assert (story["lore"], story["flags"]) == (["wolf"], {"rewarded": True})
    again = await quests.do(ada, copy, "wolf", "accept", "complete", "claim")
    assert (again["granted"]["items"], again["granted"]["currencies"]) == ({}, {})

    inventory = f"/v1/saves/{slot}/inventory"
    body = {"key": "found", "bundle": {"items": {"stone": 2}}}
    assert (await quests.ask(ada, "POST", f"{inventory}/collect", body))[0] == 200
    for key, recipe, code in (("a", "sell", "modded_slot"), ("b", "swap", None)):
        body = {"key": key, "recipe_id": recipe}
        _, answer = await quests.ask(ada, "POST", f"{inventory}/craft", body)
        assert answer.get("code") == code

    # The account's reward is still there for a slot that is not modded, and then for no other.
    done = await quests.do(ada, clean, "wolf", "accept", "complete", "claim")
    assert done["granted"]["currencies"] == {"gold": 5, "shells": 3}
    assert await gold(quests, ada) == 5 + 3 + 4  # of all currencies: the account's, the slots'
    late = await quests.slot(ada)
    await quests.write(ada, late, {}, is_modded=True)
    done = await quests.do(ada, late, "wolf", "accept", "complete", "claim")
    assert (done["granted"]["items"], done["granted"]["currencies"]) == ({}, {})


async def flags(quests: Quests) -> list[tuple[str, str, str, bool, int]]:
    _, queue = await quests.ask("moderator", "GET", "/v1/admin/economy/flags")
    return sorted(
        (each["rule"], each["asset"], each["reason"], each["was_refused"], each["times"])
        for each in queue["flags"]
    )


async def test_implausible_progress_is_flagged_and_refused_where_enforced(
    quests: Quests, ada: UserId
) -> None:
    await quests.put("first", required_flags="flags.met")
    await quests.put("last", required_flags="flags.end", follows=["first"], min_play_time_s=600)
    body = {"title": "X", "follows": ["first", "none"]}
    _, refused = await quests.ask("editor", "PUT", "/v1/admin/quests/demo/x", body)
    assert (refused["code"], refused["field"]) == ("invalid_field", "follows.1")

    # A client that says that the end was reached, at once.
    slot = await quests.slot(ada, {"flags": {"end": True}})
    assert (await quests.do(ada, slot, "last", "accept", "complete"))["quest"]["status"] == (
        "completed"
    )
    order = ("quest_order", "quest:last", "completed, and never available was: first", False, 1)
    early = ("play_time", "quest:last", "completed after 0 s of play, of at least 600", False, 1)
    assert await flags(quests) == [early, order]
    await quests.do(ada, slot, "last", "complete", "claim")
    assert await flags(quests) == [early, order]

    checks = {"play_time": "enforce", "quest_order": "off"}
    path = "/v1/admin/quest-checks/demo"
    assert (await quests.ask(ada, "PUT", path, checks))[0] == 403
    assert await quests.ask("editor", "PUT", path, checks) == (200, checks)
    assert await quests.ask("editor", "GET", path) == (200, checks)
    other = await quests.slot(ada, {"flags": {"end": True}})
    await quests.do(ada, other, "last", "accept")
    status, refused = await quests.act(ada, other, "last", "complete")
    assert (status, refused["code"]) == (409, "gain_refused")
    assert (await quests.quests(ada, other))["last"]["status"] == "active"
    await quests.write(ada, other, {"flags": {"end": True}}, play_time_s=600)
    assert (await quests.act(ada, other, "last", "complete"))[0] == 200


async def test_quest_that_was_available_once_was_not_skipped(quests: Quests, ada: UserId) -> None:
    await quests.put("first", required_flags="flags.met", reward_bundle=REWARD)
    await quests.put("last", required_flags="flags.end", follows=["first"])
    passed, begun, there = [await quests.slot(ada) for _ in range(3)]
    await quests.write(ada, passed, {"flags": {"met": True}})
    await quests.availability.check_waiting()
    await quests.write(ada, passed, {"flags": {"end": True}})
    await quests.write(ada, begun, {"flags": {"met": True}})
    await quests.do(ada, begun, "first", "accept")
    await quests.write(ada, begun, {"flags": {"end": True}})
    await quests.write(ada, there, {"flags": {"end": True, "met": True}})
    for slot in (passed, begun, there):
        await quests.do(ada, slot, "last", "accept", "complete")
    assert await flags(quests) == []
    # In an imported slot the progress begins again; the account's reward speaks for it.
    await quests.do(ada, there, "first", "accept", "complete", "claim")
    imported = await quests.slot(ada, {"flags": {"end": True}})
    await quests.do(ada, imported, "last", "accept", "complete")
    assert await flags(quests) == []


async def test_hidden_quest_is_not_told_of_before_it_is_available(
    quests: Quests, ada: UserId
) -> None:
    await quests.put("secret", hidden=True, required_flags="flags.found", reward_bundle=REWARD)
    slot = await quests.slot(ada)
    assert await quests.quests(ada, slot) == {}
    for verb in ("accept", "complete", "abandon", "claim"):
        status, refused = await quests.act(ada, slot, "secret", verb)
        _, absent = await quests.act(ada, slot, "nothing", verb)
        assert (status, refused) == (404, absent)
    assert await gold(quests, ada) == 0
    found = await quests.slot(ada, {"flags": {"found": True}})
    assert (await quests.quests(ada, found))["secret"]["status"] == "available"
    await quests.do(ada, found, "secret", "accept", "complete", "claim")
    assert await gold(quests, ada) == 5


async def test_quest_of_somebody_elses_slot_is_not_there(quests: Quests, ada: UserId) -> None:
    await quests.put("wolf", reward_bundle=REWARD)
    slot, eve = await quests.slot(ada), await quests.person()
    await quests.do(ada, slot, "wolf", "accept", "complete")
    for path in (f"/v1/saves/{slot}/quests", f"/v1/saves/{slot}/narrative"):
        assert (await quests.ask(eve, "GET", path))[1]["code"] == "save_slot_not_found"
    for verb in ("accept", "complete", "abandon", "claim"):
        assert (await quests.act(eve, slot, "wolf", verb))[1]["code"] == "save_slot_not_found"
    assert await gold(quests, eve) == 0


async def test_conditions_ask_for_items_quests_and_events(quests: Quests, ada: UserId) -> None:
    await quests.put("first")
    await quests.put(
        "second", required_flags='quests.first == "claimed" && items["iron.sword"] > 0'
    )
    slot = await quests.slot(ada)
    quest = (await quests.quests(ada, slot))["second"]
    assert quest["unmet"] == ['quests.first == "claimed"', 'items["iron.sword"] > 0']
    await quests.do(ada, slot, "first", "accept", "complete", "claim")
    async with quests.database.transaction() as connection:
        bundle = Bundle(items={"iron.sword": 1})
        await quests.economy.grant(connection, ada, slot, bundle, key="test", reason="A test")
    assert (await quests.quests(ada, slot))["second"]["status"] == "available"


async def test_games_that_are_played_count_once_each(quests: Quests, ada: UserId) -> None:
    step = {"kind": "games", "name": "win", "ruleset": "four_in_a_row", "games": 2, "wins": True}
    await quests.put("champion", steps=[step])
    slot = await quests.slot(ada)
    await quests.do(ada, slot, "champion", "accept")
    player = new_id()
    await quests.run(
        "INSERT INTO players (id, user_id, display_name, avatar_seed, color)"
        " VALUES ($1, $2, 'Ada', 'a', 'red')",
        player,
        ada,
    )

    async def count() -> int:
        return int((await quests.quests(ada, slot))["champion"]["steps"][0]["count"])

    won, lost = completed(player, is_winner=True), completed(player, is_winner=False)
    for delivery in (won, won, lost, completed(player, is_winner=True, ruleset="relay")):
        await quests.service.count_game(delivery)
    assert await count() == 1
    assert (await quests.act(ada, slot, "champion", "complete"))[1]["code"] == "quest_step_not_done"
    for _ in range(3):
        await quests.service.count_game(completed(player, is_winner=True))
    assert await count() == 2
    await quests.do(ada, slot, "champion", "complete")
    kinds = await quests.run("SELECT kind FROM progress_changes WHERE kind = 'quest.progress'")
    assert len(kinds) == 2


async def test_game_of_an_account_that_was_merged_counts_for_the_other_one(
    quests: Quests, ada: UserId
) -> None:
    step = {"kind": "games", "name": "win", "ruleset": "four_in_a_row", "games": 2, "wins": True}
    await quests.put("champion", steps=[step])
    slot = await quests.slot(ada)
    await quests.do(ada, slot, "champion", "accept")
    player, merged = new_id(), await quests.person()
    await quests.run(
        "INSERT INTO players (id, user_id, display_name, avatar_seed, color)"
        " VALUES ($1, $2, 'Ada', 'a', 'red')",
        player,
        merged,
    )
    await quests.run("UPDATE profiles SET merged_into = $2 WHERE id = $1", merged, ada)
    await quests.service.count_game(completed(player, is_winner=True))
    assert (await quests.quests(ada, slot))["champion"]["steps"][0]["count"] == 1


def completed(player: str, *, is_winner: bool, ruleset: str = "four_in_a_row") -> EventDelivery:
    seat = SeatOutcome(
        player_id=PlayerId(player), seat=0, score=1, is_winner=is_winner, forfeited=False
    )
    event = GameCompleted(
        game_id=GameId(new_id()),
        lobby_id=None,
        ruleset=ruleset,
        started_at=None,
        completed_at="2026-10-01T12:00:00.000Z",
        winner_id=None,
        uncounted=None,
        players=[seat],
    )
    return EventDelivery(new_id(), datetime(2026, 10, 1, tzinfo=UTC), event)


async def test_devices_are_told_of_quests_that_become_available(
    quests: Quests, ada: UserId
) -> None:
    await quests.put("first", reward_bundle={"flags": {"ready": True}})
    await quests.put("second", hidden=True, required_flags="flags.ready")
    slot = await quests.slot(ada)
    await quests.do(ada, slot, "first", "accept", "complete", "claim")
    told = await quests.run(
        "SELECT data ->> 'name' AS name FROM progress_changes WHERE kind = 'quest.available'"
    )
    assert told == [{"name": "second"}]


async def test_devices_are_told_whatever_unlocks_a_quest(quests: Quests, ada: UserId) -> None:
    await quests.put("open_from_the_start")
    await quests.put("flagged", required_flags="flags.met")
    await quests.put("armed", required_flags='items["iron.sword"] > 0')
    await quests.put("rich", required_flags="currencies.gold >= 5")
    slot, other = await quests.slot(ada), await quests.slot(ada)
    assert await quests.announced(ada) == []

    await quests.write(ada, slot, {"flags": {"met": True}})
    assert await quests.announced(ada) == ["flagged"]
    await quests.write(ada, slot, {"flags": {"met": True}, "step": 2})
    assert await quests.announced(ada) == ["flagged"]
    await quests.write(ada, slot, {})  # locked again, which needs no message
    assert await quests.announced(ada) == ["flagged"]
    await quests.write(ada, slot, {"flags": {"met": True}})
    assert await quests.announced(ada) == ["flagged"] * 2

    given = {"kind": "give", "reason": "A test", "account_id": ada, "slot_id": slot}
    for key, bundle in (("a", {"items": {"iron.sword": 1}}), ("b", {"currencies": {"gold": 5}})):
        body = {**given, "key": key, "bundle": bundle}
        status, _ = await quests.ask("support", "POST", "/v1/admin/economy/adjustments", body)
        assert status == 200
    # Gold is the account's, so the other slot is told as well.
    assert sorted((await quests.announced(ada))[2:]) == ["armed", "rich", "rich"]
    await quests.do(ada, other, "rich", "accept")
    await quests.do(ada, other, "rich", "abandon")
    assert (await quests.announced(ada))[5:] == [
        "rich"
    ]  # by the action itself, and by nothing else


async def test_devices_are_told_when_an_event_opens(quests: Quests, ada: UserId) -> None:
    schedule = {"starts_at": "2026-10-02T18:00", "zone": "UTC", "duration_s": 7200}
    await quests.put("harvest", kind="events", **schedule)
    await quests.put("bring_in", event="harvest")
    await quests.slot(ada)
    eve = await quests.person()
    await quests.slot(eve)
    quests.streams._accounts.subscribe(ada, object(), lambda _: None)  # type: ignore[arg-type]
    assert await quests.announced(ada) == []
    await quests.availability.find_openings()
    assert await quests.announced(ada) == []

    quests.clock.at = datetime(2026, 10, 2, 18, tzinfo=UTC)
    await quests.availability.find_openings()
    assert await quests.announced(ada) == ["bring_in"]
    await quests.availability.find_openings()
    assert await quests.announced(ada) == ["bring_in"]
    # Of an account that nobody follows here, it is found when a device follows again.
    assert await quests.announced(eve) == []
    quests.availability.note_follower(ProgressFollowed(eve))
    assert await quests.announced(eve) == ["bring_in"]


async def test_many_looks_at_once_tell_of_a_quest_once(quests: Quests, ada: UserId) -> None:
    await quests.put("flagged", required_flags="flags.met")
    slot = await quests.slot(ada)
    await quests.write(ada, slot, {"flags": {"met": True}})
    await asyncio.gather(*(quests.service.announce_available(ada, slot) for _ in range(AT_ONCE)))
    assert await quests.announced(ada) == ["flagged"]


async def test_quest_fails_and_is_not_had_again(quests: Quests, ada: UserId) -> None:
    await quests.put("guard", fails_when="flags.dead", reward_bundle=REWARD)
    slot = await quests.slot(ada)
    await quests.do(ada, slot, "guard", "accept")
    body = {"state": {"flags": {"dead": True}}, "mutation_id": new_id()}
    headers = {"If-Match": "*", "Authorization": f"Bearer {ada}"}
    async with quests.http.put(f"/v1/saves/{slot}", json=body, headers=headers) as answer:
        assert answer.status == 200
    assert (await quests.quests(ada, slot))["guard"]["status"] == "failed"
    for verb in ("accept", "complete", "claim"):
        assert (await quests.act(ada, slot, "guard", verb))[0] == 409


async def test_quest_of_an_event_opens_expires_and_opens_again(quests: Quests, ada: UserId) -> None:
    await quests.put(
        "harvest",
        kind="events",
        starts_at="2026-10-02T18:00",
        zone="Europe/Berlin",
        duration_s=7200,
        recurrence="FREQ=WEEKLY;UNTIL=20261010T000000",
    )
    await quests.put("bring_in", event="harvest", reward_bundle=REWARD)
    slot = await quests.slot(ada)

    async def status_at(*at: int) -> str:
        quests.clock.at = datetime(*at, tzinfo=UTC)  # type: ignore[arg-type, misc]
        return str((await quests.quests(ada, slot))["bring_in"]["status"])

    assert await status_at(2026, 10, 2, 15, 59) == "locked"
    _, shown = await quests.ask(None, "GET", "/v1/events", title="demo")
    assert shown["events"][0]["is_open"] is False
    assert shown["events"][0]["next_opens_at"] == "2026-10-02T16:00:00.000Z"
    assert await status_at(2026, 10, 2, 16, 0) == "available"
    _, shown = await quests.ask(None, "GET", "/v1/events", title="demo")
    assert shown["events"][0]["closes_at"] == "2026-10-02T18:00:00.000Z"
    assert shown["events"][0]["next_opens_at"] == "2026-10-09T16:00:00.000Z"
    await quests.do(ada, slot, "bring_in", "accept")
    assert await status_at(2026, 10, 2, 17, 59) == "active"
    assert await status_at(2026, 10, 2, 18, 0) == "locked"  # expired, and it opens once more
    assert (await quests.act(ada, slot, "bring_in", "complete"))[0] == 409
    assert await status_at(2026, 10, 9, 16, 0) == "available"
    await quests.do(ada, slot, "bring_in", "accept", "complete")
    assert await status_at(2026, 12, 1) == "completed"  # what was earned can be claimed later
    await quests.do(ada, slot, "bring_in", "claim")
    other = await quests.slot(ada)
    assert (await quests.quests(ada, other))["bring_in"]["status"] == "expired"


async def test_event_is_open_only_within_its_season(quests: Quests) -> None:
    when = {"zone": "Europe/Berlin", "starts_at": "2026-10-03T00:00"}
    await quests.put("autumn", kind="seasons", duration_s=86_400, **when)
    await quests.put(
        "daily",
        kind="events",
        season="autumn",
        zone="Europe/Berlin",
        starts_at="2026-10-01T22:00",
        duration_s=4 * 3600,
        recurrence="FREQ=DAILY",
    )

    async def event() -> dict[str, object]:
        _, shown = await quests.ask(None, "GET", "/v1/events", title="demo")
        return dict(next(each for each in shown["events"] if each["kind"] == "event"))

    assert (await event())["next_opens_at"] == "2026-10-02T22:00:00.000Z"  # midnight in Berlin
    quests.clock.at = datetime(2026, 10, 3, 20, 30, tzinfo=UTC)
    assert (await event())["closes_at"] == "2026-10-03T22:00:00.000Z"
    quests.clock.at += timedelta(days=2)
    assert (await event())["next_opens_at"] is None


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"required_flags": "flags."}, "condition_refused", "required_flags"),
        ({"required_flags": "nope == 1"}, "condition_refused", "required_flags"),
        ({"required_flags": "counters.gold"}, "condition_refused", "required_flags"),
        ({"required_flags": "[1, 2].exists(x, x > 1)"}, "condition_refused", "required_flags"),
        ({"required_flags": "(" * 40 + "true" + ")" * 40}, "condition_refused", "required_flags"),
        ({"required_flags": "x" * 1001}, "invalid_field", "required_flags"),
        ({"fails_when": '"a".matches("(a+)+$")'}, "condition_refused", "fails_when"),
        (
            {"steps": [{"kind": "condition", "name": "a", "when": "1 +"}]},
            "condition_refused",
            "steps.0.when",
        ),
        ({"steps": [{"kind": "dance", "name": "a"}]}, "invalid_field", "steps.0"),
        ({"reward_bundle": {"items": {"sword": -1}}}, "invalid_field", "reward_bundle.items.sword"),
        ({"event": "none"}, "invalid_field", "event"),
    ],
)
async def test_quest_that_cannot_be_used_is_refused_by_field(
    quests: Quests, fields: dict[str, object], code: str, field: str
) -> None:
    path, body = "/v1/admin/quests/demo/wolf", {"title": "Wolf", **fields}
    status, refused = await quests.ask("editor", "PUT", path, body)
    assert (status, refused["code"], refused["field"]) == (422, code, field)
    assert await quests.run("SELECT FROM quests") == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"zone": "../../etc/passwd"}, "zone"),
        ({"starts_at": "2026-02-30T10:00"}, "starts_at"),
        ({"starts_at": "2099-01-01T10:00"}, "starts_at"),
        ({"recurrence": "FREQ=SECONDLY"}, "recurrence"),
        ({"recurrence": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "recurrence"),
        ({"recurrence": "FREQ=DAILY;UNTIL=20200101T000000"}, "recurrence"),
    ],
)
async def test_schedule_that_cannot_be_used_is_refused_by_field(
    quests: Quests, fields: dict[str, object], field: str
) -> None:
    body = {"title": "E", "starts_at": "2026-10-01T00:00", "zone": "UTC", "duration_s": 60}
    path = "/v1/admin/events/demo/e"
    status, refused = await quests.ask("editor", "PUT", path, {**body, **fields})
    assert (status, refused["code"], refused["field"]) == (422, "schedule_refused", field)


@pytest.mark.parametrize(("plural", "name"), [("items", "iron.sword"), ("currencies", "gold")])
async def test_what_a_reward_has_is_defined_and_stays(
    quests: Quests, ada: UserId, plural: str, name: str
) -> None:
    field = f"reward_bundle.{plural}.gone"
    path = "/v1/admin/quests/demo/wolf"
    body = {"title": "Wolf", "reward_bundle": {plural: {"gone": 1}}}
    status, refused = await quests.ask("editor", "PUT", path, body)
    assert (status, refused["code"], refused["field"]) == (404, "asset_not_found", field)
    assert await quests.run("SELECT FROM quests") == []

    await quests.put("wolf", reward_bundle={plural: {name: 1}})
    assert await quests.define(plural, name, is_retired=True) == (409, "definition_in_use")
    assert await quests.undefine(plural, name) == (409, "definition_in_use")
    slot = await quests.slot(ada)
    await quests.do(ada, slot, "wolf", "accept", "complete", "claim")

    await quests.put("wolf")
    assert await quests.define(plural, name, is_retired=True) == (200, "")
    body["reward_bundle"] = {plural: {name: 1}}
    status, refused = await quests.ask("editor", "PUT", path, body)
    assert (status, refused["code"]) == (409, "asset_retired")
    assert refused["field"] == f"reward_bundle.{plural}.{name}"


async def test_reward_that_is_defined_while_its_item_is_deleted_is_whole(quests: Quests) -> None:
    async def put(number: int) -> int:
        body = {"title": "Wolf", "reward_bundle": {"items": {"iron.sword": 1}}}
        path = f"/v1/admin/quests/demo/wolf{number}"
        return (await quests.ask("editor", "PUT", path, body))[0]

    *puts, (deleted, _) = await asyncio.gather(
        *(put(number) for number in range(8)), quests.undefine("items", "iron.sword")
    )
    assert set(puts) == ({404} if deleted == 200 else {200})
    left = await quests.run("SELECT FROM item_definitions WHERE item_id = 'iron.sword'")
    assert bool(left) == bool(await quests.run("SELECT FROM quests"))


async def test_only_editors_write_and_it_is_on_record(quests: Quests, ada: UserId) -> None:
    for kind in ("quests", "events", "seasons"):
        status, _ = await quests.ask(ada, "PUT", f"/v1/admin/{kind}/demo/x", {"title": "X"})
        assert status == 403
    await quests.put("wolf", description="one")
    changed = await quests.put("wolf", description="two")
    assert changed["version"] == 2
    statement = "SELECT action, target FROM audit_log WHERE action = 'put_quest'"
    acts = await quests.run(statement)
    assert acts == [{"action": "put_quest", "target": "demo wolf"}] * 2
    status, listed = await quests.ask("editor", "GET", "/v1/admin/quests/demo")
    assert [quest["description"] for quest in listed["quests"]] == ["two"]
    await quests.put("wolf", is_withdrawn=True)
    slot = await quests.slot(ada)
    assert (await quests.act(ada, slot, "wolf", "accept"))[0] == 409


async def test_database_has_the_same_table_of_transitions(
    quests: Quests, database: Database, ada: UserId, fresh_dsn: str
) -> None:
    quest = await quests.put("wolf")
    slot = await quests.slot(ada)
    add = "INSERT INTO quest_progress (slot_id, account_id, quest_id) VALUES ($1, $2, $3)"
    await quests.run(add, slot, ada, quest["quest_id"])
    owner = await asyncpg.connect(fresh_dsn)
    for one, two in product(QuestStatus, QuestStatus):
        await owner.execute("SET session_replication_role = replica")  # no trigger
        await owner.execute("UPDATE quest_progress SET status = $1", one.value)
        await owner.execute("SET session_replication_role = origin")
        is_listed = one is two or two in TRANSITIONS[one].values()
        try:
            await quests.run("UPDATE quest_progress SET status = $1", two.value)
        except asyncpg.CheckViolationError:
            assert not is_listed, (one, two)
        else:
            assert is_listed, (one, two)
    await owner.close()
    for status in set(QuestStatus) - {QuestStatus.LOCKED}:
        begin = add.replace("quest_id)", "quest_id, status)").replace("$3)", "$3, $4)")
        with pytest.raises(asyncpg.CheckViolationError):
            await quests.run(begin, slot, ada, quest["quest_id"], status.value)
