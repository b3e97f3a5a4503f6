"""Peer lobbies: who reaches whom, sessions and their results, and hosts that go away."""

import asyncio

import pytest

from persistence.database import Database
from persistence.history.store import HistoryStore
from protocol.ids import MatchId, PlayerId, new_id
from tests.integration.lobbies.hall import Hall, Json, Person, Refused, open_hall

DUEL = {"ruleset": "sky_duel", "mode": "peer", "region": "eu-west", "seats": 3}
AT_ONCE = 8


async def meet(*people: Person, **fields: object) -> Json:
    """Let the first open a peer lobby that is ready to start with all of them."""
    host, *guests = people
    lobby = await host.lobby("create", **DUEL | fields)
    at = {"lobby_id": lobby["lobby_id"]}
    for guest in guests:
        await guest.lobby("join", **at)
        await guest.lobby("ready", **at)
    await host.lobby("register_peer", **at, peer_id=f"peer-{host.name[-1]}")
    return at


async def session(*people: Person, **fields: object) -> tuple[Json, str]:
    """Let them play; give where, and the session's id."""
    at = await meet(*people, **fields)
    lobby = await people[0].lobby("start", **at)
    assert (lobby["status"], lobby["game_id"]) == ("PLAYING", None)
    return at, lobby["match_id"]


async def reason(person: Person, command: str, **fields: object) -> tuple[str, str | None]:
    """Send a command that must be refused; give the sentence and the field."""
    with pytest.raises(Refused) as refused:
        await person.ask(command, **fields)
    return refused.value.message, refused.value.field


# ------------------------------------------------------------------ opening


async def test_any_game_can_be_played_between_peers(hall: Hall) -> None:
    ann = await hall.person()
    config = {"map": {"name": "reef", "waves": [1, 2]}}
    lobby = await ann.lobby("create", **DUEL, config=config)
    assert (lobby["mode"], lobby["ruleset"], lobby["region"]) == ("peer", "sky_duel", "eu-west")
    assert (lobby["config"], lobby["name"], lobby["heartbeat_s"]) == (config, "sky_duel", 15)
    assert (lobby["needs_peer"], lobby["host_peer_id"]) == (True, None)
    at = {"lobby_id": lobby["lobby_id"]}
    changed = await ann.lobby("configure", **at, config={"map": "sea"}, seats=5)
    assert (changed["config"], changed["seats"]) == ({"map": "sea"}, 5)
    problem, _ = await reason(ann, "lobby.add_bot", **at, bot="random")
    assert "Bots can only play on the server" in problem


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"config": {"a": "x" * 4096}}, "config"),
        ({"config": {"a": [[[[[[[[]]]]]]]]}}, "config"),
        ({"config": {"a": "\0"}}, "config"),
        ({"region": "Europe!"}, "region"),
        ({"ruleset": "Sky Duel"}, "ruleset"),
    ],
)
async def test_what_is_out_of_bounds_is_refused_in_words(
    hall: Hall, fields: Json, field: str
) -> None:
    problem, named = await reason(await hall.person(), "lobby.create", **DUEL | fields)
    assert named == field
    assert problem.startswith(f"{field}: ")
    assert "[" not in problem


async def test_peer_lobbies_are_found_by_what_one_looks_for(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    await ann.lobby("create", **DUEL, name="Duel at dawn")
    await bob.lobby("create", ruleset="relay", region="us")

    async def found(**fields: object) -> list[str]:
        return [card["ruleset"] for card in (await cem.ask("lobby.list", **fields))["lobbies"]]

    assert await found(mode="peer") == ["sky_duel"]
    assert await found(region="eu-west", text="DAWN", free_seats=2) == ["sky_duel"]
    assert await found(region="us") == ["relay"]
    assert await found(region="eu-west", free_seats=3) == []


async def test_watched_list_shows_only_what_one_looks_for(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    first = await ann.lobby("create", **DUEL)
    await bob.lobby("create", ruleset="relay", region="eu-west")
    seen = await cem.ask("lobby.watch", mode="peer", region="eu-west", free_seats=2)
    assert [card["lobby_id"] for card in seen["lobbies"]] == [first["lobby_id"]]
    await bob.lobby("create", ruleset="relay", region="eu-west")
    await bob.lobby("join", lobby_id=first["lobby_id"], role="spectator")
    await bob.lobby("join", lobby_id=first["lobby_id"])  # one seat is left
    await ann.lobby("configure", lobby_id=first["lobby_id"], name="Unseen")
    heard = [(u["version"], u["lobby"] is None) for u in cem.heard("lobby.listed")]
    assert heard == [(2, False), (3, True)]


# ------------------------------------------------------------------ the host's address


async def test_members_alone_learn_where_the_host_is(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    lobby = await ann.lobby("create", **DUEL)
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("join", **at)
    await cem.lobby("watch", **at)
    await cem.ask("lobby.watch")
    await ann.lobby("register_peer", **at, peer_id="ann-1")
    assert bob.heard()[-1]["lobby"]["host_peer_id"] == "ann-1"
    assert (await bob.lobby("watch", **at))["host_peer_id"] == "ann-1"
    last = cem.heard()[-1]
    assert (last["change"]["kind"], last["lobby"]["needs_peer"]) == ("peer_registered", False)
    assert last["lobby"]["host_peer_id"] is None
    await cem.lobby("watch", **at)
    await cem.ask("lobby.list")
    said = [*cem.memory.updates, *cem.memory.replies.values()]
    assert "ann-1" not in str(said)
    joined = await cem.lobby("join", **at)
    assert joined["host_peer_id"] == "ann-1"


async def test_only_the_host_says_where_they_are(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    at = await meet(ann, bob)
    assert await bob.refusal("lobby.register_peer", **at, peer_id="bob") == "not_the_host"
    assert await cem.refusal("lobby.register_peer", **at, peer_id="cem") == "not_a_member"
    assert await bob.refusal("lobby.heartbeat", **at) == "not_the_host"
    server = await cem.lobby("create", ruleset="relay")
    _, field = await reason(cem, "lobby.register_peer", lobby_id=server["lobby_id"], peer_id="cem")
    assert field == "lobby_id"
    problem, field = await reason(ann, "lobby.register_peer", **at, peer_id="-ann")
    assert (field, "letters and digits" in problem) == ("peer_id", True)


async def test_registering_the_same_address_again_notifies_nobody(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    at = await meet(ann, bob)
    before = len(bob.heard())
    await ann.lobby("register_peer", **at, peer_id="peer-0")
    assert len(bob.heard()) == before


# ------------------------------------------------------------------ hosts that go away


@pytest.mark.parametrize("playing", [False, True])
async def test_host_role_goes_to_whoever_stands_longest(hall: Hall, playing: bool) -> None:
    ann, bob, cem, dan = await hall.people(4)
    at = await meet(ann, dan, bob)
    await cem.lobby("join", **at, role="spectator")
    if playing:
        await ann.lobby("start", **at)
    await ann.ask("lobby.leave", **at)
    after = bob.heard()[-1]["lobby"]
    assert (after["host_player_id"], after["needs_peer"]) == (dan.player_id, True)
    assert after["host_peer_id"] is None
    assert after["status"] == ("PLAYING" if playing else "OPEN")
    await dan.lobby("register_peer", **at, peer_id="dan-1")
    assert bob.heard()[-1]["lobby"]["host_peer_id"] == "dan-1"


async def test_lost_host_of_a_session_is_replaced_after_the_grace(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    at, match_id = await session(ann, bob)
    ann.disconnect()
    hall.clock.ahead_s = 31
    await hall.room.maintenance.remove_absent()
    update = bob.heard()[-1]
    assert update["change"] == {
        "kind": "left",
        "player_id": ann.player_id,
        "reason": "connection_lost",
    }
    assert update["lobby"]["host_player_id"] == bob.player_id
    reply = await bob.ask("lobby.report", **at, match_id=match_id, winner_id=ann.player_id)
    assert reply["lobby"]["status"] == "OPEN"


async def test_silent_host_is_replaced_once_by_whichever_node_looks(
    hall: Hall, database: Database
) -> None:
    ann, bob = await hall.people(2)
    await meet(ann, bob)
    await hall.run("UPDATE lobbies SET host_seen_at = now() - interval '61 s'")
    before = len(bob.heard())
    async with open_hall(database, hall.rls) as other:
        sweeps = (hall.room.maintenance, other.room.maintenance)
        await asyncio.gather(*(sweep.replace_silent_hosts() for sweep in sweeps * AT_ONCE))
        await hall.catch_up()
    lobbies = await hall.run("SELECT host_player_id, host_peer_id, version FROM lobbies")
    assert [tuple(lobby) for lobby in lobbies] == [(bob.player_id, None, 5)]
    assert len(bob.heard()) == before + 1
    assert bob.heard()[-1]["lobby"]["host_player_id"] == bob.player_id


async def test_heartbeat_keeps_the_host(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    at = await meet(ann, bob)
    before = len(bob.heard())
    await hall.run("UPDATE lobbies SET host_seen_at = now() - interval '61 s'")
    await ann.ask("lobby.heartbeat", **at)
    await hall.room.maintenance.replace_silent_hosts()
    assert len(bob.heard()) == before


async def test_lobby_whose_last_host_fell_silent_is_closed_and_says_why(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    at = await meet(ann)
    await bob.lobby("watch", **at)
    await hall.run("UPDATE lobbies SET host_seen_at = now() - interval '61 s'")
    await hall.room.maintenance.replace_silent_hosts()
    change = bob.heard()[-1]["change"]
    assert (change["kind"], change["reason"]) == ("closed", "host_silent")


async def test_session_that_nobody_shows_life_for_is_closed_and_leaves_no_match(
    hall: Hall,
) -> None:
    ann, bob = await hall.people(2)
    await session(ann, bob)
    await hall.run("UPDATE lobbies SET last_heartbeat = now() - interval '121 s'")
    await hall.room.maintenance.close_silent()
    assert bob.heard()[-1]["change"]["reason"] == "nobody_there"
    assert await hall.run("SELECT FROM matches") == []


# ------------------------------------------------------------------ sessions and results


async def test_session_starts_once_members_can_reach_their_host(hall: Hall) -> None:
    ann = await hall.person()
    lobby = await ann.lobby("create", **DUEL)
    at = {"lobby_id": lobby["lobby_id"]}
    assert await ann.refusal("lobby.start", **at) == "not_ready"
    await ann.lobby("register_peer", **at, peer_id="ann")
    assert (await ann.lobby("start", **at))["started_at"] is not None
    assert hall.games == []


async def test_result_is_on_record_with_all_who_played(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    at, match_id = await session(ann, bob, cem)
    await cem.ask("lobby.leave", **at)  # who left in between has played all the same
    scores = {ann.player_id: 7, bob.player_id: 9}
    result = {"match_id": match_id, "winner_id": bob.player_id, "scores": scores}
    reply = await ann.ask("lobby.report", **at, **result)
    assert (reply["match_id"], reply["lobby"]["status"]) == (match_id, "OPEN")
    assert [m["ready"] for m in reply["lobby"]["members"]] == [False, False]
    assert bob.changes()[-1] == "reported"
    stored = await HistoryStore(hall.database).read_match(MatchId(match_id), viewer=None)
    assert stored is not None
    assert (stored.mode, stored.ruleset, stored.winner_id) == ("peer", "sky_duel", bob.player_id)
    rows = [(p["player_id"], p["seat"], p["score"], p["is_winner"]) for p in stored.players]
    assert rows == [
        (ann.player_id, 0, 7, False),
        (bob.player_id, 1, 9, True),
        (cem.player_id, 2, None, False),
    ]
    assert stored.uncounted == "declared"
    assert await hall.run("SELECT FROM player_lifetime_stats") == []


async def test_result_said_by_many_at_once_is_on_record_once(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    at, match_id = await session(ann, bob)
    result = {"match_id": match_id, "winner_id": None}
    replies = await asyncio.gather(
        *(ann.ask("lobby.report", **at, **result) for _ in range(AT_ONCE))
    )
    assert {reply["match_id"] for reply in replies} == {match_id}
    again = await ann.ask("lobby.report", **at, match_id=match_id, winner_id=ann.player_id)
    assert again["match_id"] == match_id
    rows = await hall.run("SELECT id, winner_id, reported_by FROM matches")
    assert [tuple(row) for row in rows] == [(match_id, None, ann.player_id)]


async def test_lobby_plays_session_after_session(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    at, first = await session(ann, bob)
    await ann.ask("lobby.report", **at, match_id=first, winner_id=None)
    await bob.lobby("ready", **at)
    second = (await ann.lobby("start", **at))["match_id"]
    assert second != first
    await ann.ask("lobby.report", **at, match_id=first, winner_id=None)  # repeated late
    assert (await ann.lobby("watch", **at))["status"] == "PLAYING"
    await ann.ask("lobby.report", **at, match_id=second, winner_id=None)
    assert len(await hall.run("SELECT FROM matches")) == 2


async def test_result_that_cannot_be_is_refused(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    at, match_id = await session(ann, bob)
    await cem.lobby("join", **at, role="spectator")
    played = {**at, "match_id": match_id}
    for fields, field in (
        ({**played, "winner_id": cem.player_id}, "winner_id"),
        ({**played, "winner_id": None, "scores": {cem.player_id: 1}}, "scores"),
        ({**at, "match_id": new_id(), "winner_id": None}, "match_id"),
    ):
        assert (await reason(ann, "lobby.report", **fields))[1] == field
    for person in (bob, cem):
        assert await person.refusal("lobby.report", **played, winner_id=None) == "not_the_host"
    assert await hall.run("SELECT FROM matches") == []


async def test_replay_of_a_match_is_for_its_reporter_to_upload(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    at, match = await session(ann, bob)
    may = hall.room.peers.may_upload_replay
    assert not await may(MatchId(match), ann.player_id)
    await ann.ask("lobby.report", **at, match_id=match, winner_id=None)
    assert await may(MatchId(match), ann.player_id)
    assert not await may(MatchId(match), bob.player_id)


async def test_match_of_a_private_lobby_is_shown_to_its_players_alone(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", **DUEL, is_public=False)
    at = {"lobby_id": lobby["lobby_id"]}
    await ann.lobby("register_peer", **at, peer_id="ann")
    match_id = MatchId((await ann.lobby("start", **at))["match_id"])
    await ann.ask("lobby.report", **at, match_id=match_id, winner_id=ann.player_id)
    records = HistoryStore(hall.database)
    assert await records.read_match(match_id, viewer=PlayerId(bob.player_id)) is None
    assert await records.read_match(match_id, viewer=ann.player_id) is not None


# ------------------------------------------------------------------ back to the server


@pytest.mark.parametrize("playing", [False, True])
async def test_peers_that_cannot_connect_play_on_the_server(hall: Hall, playing: bool) -> None:
    ann, bob = await hall.people(2)
    at = await meet(ann, bob)
    if playing:
        await ann.lobby("start", **at)
    assert await bob.refusal("lobby.fallback", **at) == "not_the_host"
    lobby = await ann.lobby("fallback", **at)
    assert (lobby["mode"], lobby["ruleset"], lobby["status"]) == ("server", "relay", "PLAYING")
    assert (lobby["lobby_id"], lobby["host_peer_id"]) == (at["lobby_id"], None)
    assert bob.changes()[-2:] == ["fell_back", "started"]
    (game,) = hall.games
    assert [player.player_id for player in game.players] == [ann.player_id, bob.player_id]
    assert lobby["game_id"] == bob.heard()[-1]["lobby"]["game_id"]
    assert await ann.lobby("fallback", **at) == lobby
    assert len(hall.games) == 1


# ------------------------------------------------------------------ several nodes


async def test_change_on_another_node_is_sent_once_by_the_next_look(
    hall: Hall, database: Database
) -> None:
    ann, bob = await hall.people(2)
    at = await meet(ann, bob)
    before = len(bob.heard())
    async with open_hall(database, hall.rls) as other:
        host = Person(other, ann.player_id, ann.name)
        await host.lobby("kick", **at, player_id=bob.player_id)
        await host.ask("lobby.close", **at)
    assert len(bob.heard()) == before
    await hall.catch_up()
    await hall.catch_up()
    assert [u["change"]["kind"] for u in bob.heard()[before:]] == ["closed"]
    assert not bob.hears_of(at["lobby_id"])


# ------------------------------------------------------------------ clearing up


async def test_old_closed_lobbies_go_unless_a_match_came_of_them(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    at, match_id = await session(ann)
    await ann.ask("lobby.report", **at, match_id=match_id, winner_id=None)
    await ann.ask("lobby.close", **at)
    started = await ann.lobby("create", ruleset="relay")
    await ann.lobby("start", lobby_id=started["lobby_id"])
    for _ in range(2):
        lobby = await bob.lobby("create", ruleset="relay")
        await bob.ask("lobby.close", lobby_id=lobby["lobby_id"])
    await hall.run("UPDATE lobbies SET status = 'CLOSED', closed_at = now() - interval '8 days'")
    await hall.run("UPDATE lobbies SET closed_at = now() WHERE id = $1::uuid", lobby["lobby_id"])
    assert await hall.store.delete_closed(604_800, limit=9) == 1
    left = {row[0] for row in await hall.run("SELECT id FROM lobbies")}
    assert left == {at["lobby_id"], started["lobby_id"], lobby["lobby_id"]}
