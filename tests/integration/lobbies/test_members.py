"""Opening, joining and leaving lobbies, and what their host may do."""

import asyncio

import pytest

from persistence.database import Database
from server.domains.play.lobbies import changes
from tests.integration.lobbies.hall import Hall, Json, Refused, open_hall, without_code

PUBLIC = {"ruleset": "el_dorado", "seats": 4}


async def test_creator_sits_first_and_is_host(hall: Hall) -> None:
    ann = await hall.person()
    lobby = await ann.lobby("create", ruleset="el_dorado")
    assert lobby["host_player_id"] == ann.player_id
    assert [(m["player_id"], m["seat"], m["ready"]) for m in lobby["members"]] == [
        (ann.player_id, 0, False)
    ]
    assert (lobby["name"], lobby["seats"], lobby["version"]) == ("El Dorado", 10, 1)
    assert lobby["status"] == "OPEN"
    assert len(lobby["join_code"]) == 6


async def test_lobby_is_joined_by_id_and_by_code(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    lobby = await ann.lobby("create", **PUBLIC)
    await bob.lobby("join", lobby_id=lobby["lobby_id"])
    seen = await cem.lobby("join", code=lobby["join_code"])
    assert [m["seat"] for m in seen["members"]] == [0, 1, 2]
    assert seen["version"] == 3


async def test_joining_again_changes_nothing(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", **PUBLIC)
    first = await bob.lobby("join", lobby_id=lobby["lobby_id"])
    again = await bob.lobby("join", lobby_id=lobby["lobby_id"])
    assert again == first
    assert ann.changes() == ["joined"]


async def test_new_name_of_a_member_is_seen_though_the_lobby_changes_all_the_time(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "KNOWN_S", 0.2)
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", **PUBLIC)
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("join", **at)
    await hall.run("UPDATE players SET display_name = 'Bea' WHERE id = $1", bob.player_id)
    for turn in range(20):
        lobby = await ann.lobby("ready", **at, ready=turn % 2 == 0)
        await asyncio.sleep(0.02)
    assert lobby["members"][1]["display_name"] == "Bea"


async def test_private_lobby_is_there_only_for_its_members_and_its_code(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", **PUBLIC, is_public=False)
    at = {"lobby_id": lobby["lobby_id"]}
    for command in ("watch", "join", "ready", "leave", "start", "close"):
        assert await bob.refusal(f"lobby.{command}", **at) == "lobby_not_found"
    assert (await bob.ask("lobby.list"))["lobbies"] == []
    await bob.lobby("join", code=lobby["join_code"])
    assert (await bob.lobby("watch", **at))["join_code"] == lobby["join_code"]


async def test_join_code_is_shown_to_members_only(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", **PUBLIC)
    watched = await bob.lobby("watch", lobby_id=lobby["lobby_id"])
    assert watched == without_code(lobby)
    joined = await bob.lobby("join", lobby_id=lobby["lobby_id"])
    assert joined["join_code"] == lobby["join_code"]
    assert ann.heard()[0]["lobby"] == without_code(joined)


async def test_full_lobby_refuses_players_but_takes_spectators(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    lobby = await ann.lobby("create", ruleset="el_dorado", seats=2)
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("join", **at)
    assert await cem.refusal("lobby.join", **at) == "lobby_full"
    seen = await cem.lobby("join", **at, role="spectator")
    assert (seen["members"][2]["role"], seen["members"][2]["seat"]) == ("spectator", None)
    assert await cem.refusal("lobby.ready", **at) == "not_seated"
    await bob.ask("lobby.leave", **at)
    seen = await cem.lobby("join", **at)
    assert (seen["members"][1]["role"], seen["members"][1]["seat"]) == ("player", 1)


async def test_spectators_are_bounded(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    lobby = await ann.lobby("create", **PUBLIC)
    await hall.run("UPDATE lobbies SET spectators_max = 1, version = version + 1")
    at = {"lobby_id": lobby["lobby_id"], "role": "spectator"}
    await bob.lobby("join", **at)
    assert await cem.refusal("lobby.join", **at) == "lobby_full"


async def test_password_is_required_once(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", **PUBLIC, password="open sesame")
    assert lobby["has_password"]
    at = {"lobby_id": lobby["lobby_id"]}
    assert await bob.refusal("lobby.join", **at) == "wrong_password"
    assert await bob.refusal("lobby.join", **at, password="sesame") == "wrong_password"
    await bob.lobby("join", **at, password="open sesame")
    await bob.lobby("join", **at)
    (stored,) = await hall.run("SELECT password_hash FROM lobbies")
    assert stored["password_hash"].startswith("$argon2id$")


async def test_kicked_player_cannot_come_back_nor_hear_more(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    lobby = await ann.lobby("create", **PUBLIC)
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("join", **at)
    seen = await ann.lobby("kick", **at, player_id=bob.player_id)
    assert [m["player_id"] for m in seen["members"]] == [ann.player_id]
    assert bob.changes() == ["kicked"]
    for fields in (at, {"code": lobby["join_code"]}):
        assert await bob.refusal("lobby.join", **fields) == "kicked"
    assert await bob.refusal("lobby.watch", **at) == "kicked"
    await cem.lobby("join", **at)
    assert bob.changes() == ["kicked"]
    assert not await hall.room.may_watch(lobby["lobby_id"], bob.player_id)


async def test_host_role_passes_to_longest_standing_person(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    lobby = await ann.lobby("create", **PUBLIC)
    at = {"lobby_id": lobby["lobby_id"]}
    await ann.lobby("add_bot", **at, bot="random")
    await bob.lobby("join", **at)
    await cem.lobby("join", **at)
    await ann.ask("lobby.leave", **at)
    seen = await bob.lobby("watch", **at)
    assert seen["host_player_id"] == bob.player_id
    assert ann.changes() == ["bot_added", "joined", "joined", "left"]
    (stored,) = await hall.run("SELECT host_player_id, jsonb_array_length(players) FROM lobbies")
    assert tuple(stored) == (bob.player_id, 3)


async def test_last_person_closes_the_lobby(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", **PUBLIC)
    at = {"lobby_id": lobby["lobby_id"]}
    await ann.lobby("add_bot", **at, bot="random")
    await bob.lobby("join", **at, role="spectator")
    await ann.ask("lobby.leave", **at)
    assert bob.changes() == ["closed"]
    assert await bob.refusal("lobby.join", **at) == "lobby_closed"
    (stored,) = await hall.run("SELECT status::text, closed_at IS NOT NULL FROM lobbies")
    assert tuple(stored) == ("CLOSED", True)


async def test_only_the_host_rules(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    lobby = await ann.lobby("create", **PUBLIC)
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("join", **at)
    wishes: tuple[tuple[str, Json], ...] = (
        ("lobby.kick", {"player_id": ann.player_id}),
        ("lobby.add_bot", {"bot": "random"}),
        ("lobby.remove_bot", {"player_id": ann.player_id}),
        ("lobby.configure", {"seats": 2}),
        ("lobby.start", {}),
        ("lobby.close", {}),
    )
    for command, fields in wishes:
        assert await bob.refusal(command, **at, **fields) == "not_the_host"
        assert await cem.refusal(command, **at, **fields) == "not_a_member"
    assert (await ann.lobby("watch", **at))["version"] == 2


async def test_kick_refuses_whom_it_is_not_for(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", **PUBLIC)
    at = {"lobby_id": lobby["lobby_id"]}
    seen = await ann.lobby("add_bot", **at, bot="random")
    bot = seen["members"][1]["player_id"]
    assert await ann.refusal("lobby.kick", **at, player_id=bob.player_id) == "not_a_member"
    assert await ann.refusal("lobby.kick", **at, player_id=ann.player_id) == "invalid_field"
    assert await ann.refusal("lobby.kick", **at, player_id=bot) == "invalid_field"


async def test_bots_are_the_same_players_in_every_lobby(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    bots = []
    for host in (ann, bob):
        lobby = await host.lobby("create", **PUBLIC)
        at = {"lobby_id": lobby["lobby_id"]}
        await host.lobby("add_bot", **at, bot="bid_and_duck")
        seen = await host.lobby("add_bot", **at, bot="bid_and_duck")
        bots.append(seen["members"][1:])
    assert bots[0] == bots[1]
    assert [(b["display_name"], b["ready"]) for b in bots[0]] == [
        ("Bid And Duck 1", True),
        ("Bid And Duck 2", True),
    ]
    (count,) = await hall.run("SELECT count(*) FROM players WHERE is_bot")
    assert count[0] == 2


async def test_bots_are_removed_and_refused(hall: Hall) -> None:
    ann = await hall.person()
    lobby = await ann.lobby("create", ruleset="el_dorado", seats=2)
    at = {"lobby_id": lobby["lobby_id"]}
    assert await ann.refusal("lobby.add_bot", **at, bot="nobody") == "unknown_bot"
    seen = await ann.lobby("add_bot", **at, bot="random")
    assert await ann.refusal("lobby.add_bot", **at, bot="random") == "lobby_full"
    assert await ann.refusal("lobby.remove_bot", **at, player_id=ann.player_id) == "unknown_bot"
    bot = seen["members"][1]["player_id"]
    seen = await ann.lobby("remove_bot", **at, player_id=bot)
    assert [m["player_id"] for m in seen["members"]] == [ann.player_id]


async def test_configuring_takes_back_ready_and_moves_players_up(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    lobby = await ann.lobby("create", **PUBLIC)
    at = {"lobby_id": lobby["lobby_id"]}
    for guest in (bob, cem):
        await guest.lobby("join", **at)
    await cem.lobby("ready", **at)
    await bob.ask("lobby.leave", **at)
    seen = await ann.lobby("configure", **at, name="Ours", seats=2, config={"turn_timeout_s": 5})
    assert [(m["seat"], m["ready"]) for m in seen["members"]] == [(0, False), (1, False)]
    assert (seen["name"], seen["seats"], seen["config"]["turn_timeout_s"]) == ("Ours", 2, 5)
    assert await ann.refusal("lobby.configure", **at, seats=11) == "invalid_field"


async def test_seats_are_not_taken_away_from_under_players(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    lobby = await ann.lobby("create", **PUBLIC)
    at = {"lobby_id": lobby["lobby_id"]}
    for guest in (bob, cem):
        await guest.lobby("join", **at)
    assert await ann.refusal("lobby.configure", **at, seats=2) == "invalid_field"


async def test_lobby_that_turns_private_is_lost_to_those_who_only_watch(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    lobby = await ann.lobby("create", **PUBLIC)
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("watch", **at)
    await cem.lobby("join", **at)
    await ann.lobby("configure", **at, is_public=False)
    await ann.lobby("add_bot", **at, bot="random")
    assert bob.changes() == ["joined", "configured"]
    assert cem.changes() == ["configured", "bot_added"]


async def test_lobby_that_is_changed_and_hidden_in_one_step_shows_outsiders_nothing_new(
    hall: Hall, database: Database
) -> None:
    """By those who watch it, here and on another node, and by those who watch the list."""
    ann, bob, cem, dan = await hall.people(4)
    lobby = await ann.lobby("create", **PUBLIC, name="Old name")
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("join", **at)
    await cem.lobby("watch", **at)
    await dan.ask("lobby.watch")
    async with open_hall(database, hall.rls) as other:
        eve = await other.person("Eve")
        await eve.lobby("watch", **at)
        await ann.lobby("configure", **at, name="New name", seats=7, is_public=False)
        await other.catch_up()
        updates = [cem.memory.updates[-1], dan.memory.updates[-1], eve.memory.updates[-1]]
    assert "New name" in str(bob.memory.updates[-1])
    for update in updates:
        assert "New name" not in str(update)
        assert "7" not in str(update["lobby"] and update["lobby"]["seats"])
        assert ann.player_id not in str(update["lobby"])
    assert updates[1]["lobby"] is None
    assert not updates[0]["lobby"]["is_public"]
    assert not cem.hears_of(lobby["lobby_id"])
    assert not eve.hears_of(lobby["lobby_id"])


async def test_player_is_in_few_open_lobbies_at_a_time(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobbies = [await ann.lobby("create", **PUBLIC) for _ in range(3)]
    other = await bob.lobby("create", **PUBLIC)
    assert await ann.refusal("lobby.create", **PUBLIC) == "too_many_lobbies"
    assert await ann.refusal("lobby.quick_play", ruleset="el_dorado") == "too_many_lobbies"
    at = {"lobby_id": other["lobby_id"]}
    assert await ann.refusal("lobby.join", **at) == "too_many_lobbies"
    await ann.ask("lobby.close", lobby_id=lobbies[0]["lobby_id"])
    await ann.lobby("join", **at)


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"ruleset": "no_such_game"}, "unknown_ruleset", None),
        ({"ruleset": "el_dorado", "seats": 11}, "invalid_field", "seats"),
        ({"ruleset": "el_dorado", "mode": "cloud"}, "invalid_field", "mode"),
        ({"ruleset": "el_dorado", "config": {"x": 1}}, "invalid_field", "config.x"),
        ({"ruleset": "el_dorado", "name": "a\u0000b"}, "invalid_field", "name"),
        ({"ruleset": "el_dorado", "name": "a\u202eb"}, "invalid_field", "name"),
        ({"ruleset": "el_dorado", "name": "a\u200fb"}, "invalid_field", "name"),
        ({"ruleset": "el_dorado", "password": ""}, "invalid_field", "password"),
    ],
)
async def test_bad_wishes_are_refused_by_name(
    hall: Hall, fields: dict[str, object], code: str, field: str | None
) -> None:
    ann = await hall.person()
    with pytest.raises(Refused) as refused:
        await ann.ask("lobby.create", **fields)
    assert (refused.value.code, refused.value.field) == (code, field)


async def test_join_needs_exactly_one_address(hall: Hall) -> None:
    ann = await hall.person()
    lobby = await ann.lobby("create", **PUBLIC)
    both = {"lobby_id": lobby["lobby_id"], "code": lobby["join_code"]}
    assert await ann.refusal("lobby.join") == "invalid_field"
    assert await ann.refusal("lobby.join", **both) == "invalid_field"
    assert await ann.refusal("lobby.join", code="222222") == "lobby_not_found"


async def test_closed_lobby_refuses_everything(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", **PUBLIC)
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("join", **at)
    await ann.ask("lobby.close", **at)
    assert bob.changes() == ["closed"]
    assert await ann.refusal("lobby.close", **at) == "lobby_closed"
    assert await ann.refusal("lobby.start", **at) == "lobby_closed"
    assert await bob.refusal("lobby.ready", **at) == "lobby_closed"
    assert await bob.refusal("lobby.join", code=lobby["join_code"]) == "lobby_not_found"
    await bob.ask("lobby.leave", **at)
    assert (await bob.lobby("watch", **at))["status"] == "CLOSED"


async def test_join_code_is_taken_as_people_type_it(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", **PUBLIC)
    code = lobby["join_code"]
    typed = f" {code[:3].lower()}-{code[3:].lower()} "
    assert (await bob.lobby("join", code=typed))["lobby_id"] == lobby["lobby_id"]
    for wrong in ("ABC10O", "ABC23", "", "ABC2345"):
        with pytest.raises(Refused) as refused:
            await bob.ask("lobby.join", code=wrong)
        assert refused.value.field == "code"
        assert "6 letters and digits" in refused.value.message


async def test_spectator_takes_a_seat_and_gives_it_up_again(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    lobby = await ann.lobby("create", ruleset="el_dorado", seats=2)
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("join", **at, role="spectator")
    assert (await bob.lobby("join", **at))["members"][1]["seat"] == 1
    await bob.lobby("ready", **at)
    member = (await bob.lobby("join", **at, role="spectator"))["members"][1]
    assert (member["role"], member["seat"], member["ready"]) == ("spectator", None, False)
    await cem.lobby("join", **at)
    assert await bob.refusal("lobby.join", **at) == "lobby_full"
    with pytest.raises(Refused) as refused:
        await ann.ask("lobby.join", **at, role="spectator")
    assert refused.value.field == "role"


async def test_game_for_two_says_that_it_takes_two(hall: Hall) -> None:
    ann = await hall.person()
    with pytest.raises(Refused) as refused:
        await ann.ask("lobby.create", ruleset="four_in_a_row", seats=3)
    assert "takes 2 players" in refused.value.message
    lobby = await ann.lobby("create", ruleset="four_in_a_row")
    with pytest.raises(Refused) as refused:
        await ann.ask("lobby.start", lobby_id=lobby["lobby_id"])
    assert "needs 2 players" in refused.value.message


async def test_database_refuses_to_close_anothers_lobby_whatever_the_rules_say(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="relay", seats=2)
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("join", **at)
    monkeypatch.setattr("server.domains.play.lobbies.rules.close_lobby", lambda lobby, host: lobby)
    assert await bob.refusal("lobby.close", **at) == "not_the_host"
    assert await hall.run("SELECT FROM lobbies WHERE status = 'OPEN'")
    await ann.ask("lobby.close", **at)
    assert bob.changes()[-1] == "closed"
