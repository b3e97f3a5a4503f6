"""The public list: pages, filters, and the list live."""

import asyncpg
import pytest

from persistence.lobbies.store import SQL
from tests.integration.lobbies.hall import Hall, Json, Person, Refused

# Open ones, playing ones, and those of weeks past; of several regions.
MANY_LOBBIES = """
    INSERT INTO lobbies (id, name, mode, ruleset, config, seats, spectators_max, is_public,
                         created_at, status, region, closed_at)
    SELECT gen_random_uuid(), 'Amber table ' || n, 'peer', 'sky_duel', '{}', 4, 10, true,
           now() - n * interval '1 minute', status::lobby_status, 'eu-' || n % 40,
           CASE WHEN status = 'CLOSED' THEN now() END
    FROM generate_series(1, 8000) n,
         LATERAL (SELECT ('{OPEN,PLAYING,CLOSED,CLOSED}'::text[])[1 + n / 40 % 4]) AS s(status)
"""


async def names(person: Person, **filters: object) -> list[str]:
    return [card["name"] for card in (await person.ask("lobby.list", **filters))["lobbies"]]


async def test_pages_repeat_nothing_while_lobbies_come_and_go(hall: Hall) -> None:
    people = await hall.people(12)
    opened = [await p.lobby("create", ruleset="relay", name=p.name) for p in people[:9]]
    seen: list[Json] = []
    cursor: str | None = None
    for page in range(4):
        fields: Json = {} if cursor is None else {"cursor": cursor}
        reply = await people[11].ask("lobby.list", limit=3, **fields)
        seen += reply["lobbies"]
        cursor = reply["next"]
        if page == 0:
            await people[10].lobby("create", ruleset="relay", name="new")
            await people[8].ask("lobby.close", lobby_id=opened[8]["lobby_id"])
            await people[3].ask("lobby.close", lobby_id=opened[3]["lobby_id"])
        if cursor is None:
            break
    assert [card["name"] for card in seen] == [f"Person {n}" for n in (8, 7, 6, 5, 4, 2, 1, 0)]


async def test_lobbies_of_one_moment_are_paged_by_id(hall: Hall) -> None:
    people = await hall.people(6)
    for person in people:
        await person.lobby("create", ruleset="relay", name=person.name)
    await hall.run("UPDATE lobbies SET created_at = '2026-01-02T03:04:05.678901Z'")
    seen: set[str] = set()
    cursor: str | None = None
    for _ in range(3):
        fields: Json = {} if cursor is None else {"cursor": cursor}
        reply = await people[0].ask("lobby.list", limit=2, **fields)
        seen |= {card["name"] for card in reply["lobbies"]}
        cursor = reply["next"]
    assert seen == {person.name for person in people}


@pytest.mark.parametrize("cursor", ["x", "AAAA", "ü", "f" + "_" * 31, "f" * 31])
async def test_cursor_that_is_not_ours_is_refused(hall: Hall, cursor: str) -> None:
    ann = await hall.person()
    with pytest.raises(Refused) as refused:
        await ann.ask("lobby.list", cursor=cursor)
    assert (refused.value.code, refused.value.field) == ("invalid_field", "cursor")


async def test_list_is_filtered(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    await ann.lobby("create", ruleset="el_dorado", name="100% cards", seats=4)
    await bob.lobby("create", ruleset="relay", name="Wires", seats=1)
    await cem.lobby("create", ruleset="el_dorado", name="hidden", is_public=False)
    started = await cem.lobby("create", ruleset="relay", name="Begun")
    await cem.lobby("start", lobby_id=started["lobby_id"])
    assert await names(ann) == ["Wires", "100% cards"]
    assert await names(ann, ruleset="relay") == ["Wires"]
    assert await names(ann, mode="peer") == []
    assert await names(ann, status="PLAYING") == ["Begun"]
    assert await names(ann, free_seats=1) == ["100% cards"]
    assert await names(ann, free_seats=4) == []
    assert await names(ann, text="0% CARDS") == ["100% cards"]
    assert await names(ann, text="_") == []


async def test_card_counts_players_only(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="el_dorado", password="x")
    at = {"lobby_id": lobby["lobby_id"]}
    await ann.lobby("add_bot", **at, bot="random")
    await bob.lobby("join", **at, password="x", role="spectator")
    (card,) = (await bob.ask("lobby.list"))["lobbies"]
    assert (card["taken"], card["seats"], card["has_password"]) == (2, 10, True)
    assert card["version"] == 3


async def test_list_is_followed_live(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    first = await ann.lobby("create", ruleset="relay", name="First")
    watched = await bob.ask("lobby.watch")
    assert [card["name"] for card in watched["lobbies"]] == ["First"]
    await bob.ask("lobby.watch")
    second = await ann.lobby("create", ruleset="relay", name="Second")
    await ann.lobby("create", ruleset="relay", is_public=False)
    await ann.lobby("configure", lobby_id=second["lobby_id"], is_public=False)
    await ann.ask("lobby.close", lobby_id=first["lobby_id"])
    heard = [
        (update["lobby_id"], update["version"], update["lobby"] and update["lobby"]["name"])
        for update in bob.heard("lobby.listed")
    ]
    assert heard == [
        (second["lobby_id"], 1, "Second"),
        (second["lobby_id"], 2, None),
        (first["lobby_id"], 2, None),
    ]
    await bob.ask("lobby.unwatch")
    await ann.lobby("create", ruleset="relay")
    assert len(bob.heard("lobby.listed")) == 3


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ("'OPEN', NULL, NULL, 0, '', NULL, NULL, NULL, 20", "lobbies_open_public_idx"),
        ("'OPEN', NULL, NULL, 0, 'amber', NULL, NULL, NULL, 20", "lobbies_open_public_idx"),
        ("'OPEN', NULL, NULL, 0, '', NULL, NULL, 'eu-7', 20", "lobbies_region_idx"),
        ("'PLAYING', NULL, NULL, 0, '', NULL, NULL, NULL, 20", "lobbies_playing_idx"),
    ],
)
async def test_list_is_read_from_an_index_however_often(
    hall: Hall, fresh_dsn: str, filters: str, index: str
) -> None:
    """Also when the database has the choice of a plan that does not know the values."""
    owner = await asyncpg.connect(fresh_dsn)
    await owner.execute(f"{MANY_LOBBIES}; ANALYZE lobbies")
    await owner.close()
    async with hall.database.acquire() as connection:
        await connection.execute(f"PREPARE listed AS {SQL['list_lobbies']}")
        for _ in range(8):
            await connection.fetch(f"EXECUTE listed ({filters})")
        rows = await connection.fetch(f"EXPLAIN EXECUTE listed ({filters})")
        await connection.execute("DEALLOCATE listed")
    assert index in "\n".join(row[0] for row in rows)


async def test_versions_of_the_list_are_read_from_indexes(hall: Hall, fresh_dsn: str) -> None:
    """However many closed lobbies there are, nodes compare them every few seconds."""
    owner = await asyncpg.connect(fresh_dsn)
    await owner.execute(f"{MANY_LOBBIES}; ANALYZE lobbies")
    await owner.close()
    rows = await hall.run(f"EXPLAIN {SQL['listed_versions']}", 1000)
    plan = "\n".join(row[0] for row in rows)
    assert "lobbies_open_public_idx" in plan
    assert "lobbies_playing_idx" in plan
    versions = await hall.store.read_listed_versions(3000)
    assert len(versions) == 3000
    assert set(versions.values()) == {1}
