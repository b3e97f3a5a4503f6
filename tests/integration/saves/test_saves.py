"""Saves over HTTP, on a real database: slots, writing, merging, conflicts, revisions, files."""

import asyncio
import gzip
from hashlib import sha256

import orjson
import pytest
from backports import zstd

from protocol.ids import UserId, new_id
from protocol.saves import Save
from server.domains.progression.saves.compatibility import SaveCompatibilityChecker
from server.domains.progression.saves.service import CONFLICTS_MAX
from tests.integration.saves.conftest import Saves

PATCH = {"Content-Type": "application/json-patch+json"}
RULES = {"merge": {"/gold": "sum", "/lore": "union", "/best": "max", "/paid": "server"}}


def checksum(state: object) -> str:
    canonical = orjson.dumps(state, option=orjson.OPT_SORT_KEYS)
    return f"sha256:{sha256(canonical).hexdigest()}"


# ------------------------------------------------------------------ slots


async def test_slot_is_made_read_named_listed_and_deleted(saves: Saves, ada: UserId) -> None:
    slot = await saves.make(ada, {"chapter": 1}, name="First", device="phone", play_time_s=7)
    made = await saves.ask(ada, "GET", f"/{slot}")
    assert made.headers["etag"] == '"1"'
    assert (made["name"], made["revision"], made["play_time_s"]) == ("First", 1, 7)
    assert made["state"] == {"chapter": 1}
    Save.model_validate(made.body)
    assert made["checksum"] == checksum({"chapter": 1})
    known = {"If-None-Match": '"1"'}
    assert (await saves.ask(ada, "GET", f"/{slot}", headers=known)).status == 304

    renamed = await saves.ask(ada, "PATCH", f"/{slot}/name", {"name": "Second"})
    assert (renamed["name"], renamed["state"]) == ("Second", {"chapter": 1})

    others = [await saves.make(ada, name=str(n)) for n in range(2)]
    page = await saves.ask(ada, "GET", "", limit=2)
    rest = await saves.ask(ada, "GET", "", limit=2, cursor=page["next"])
    assert [each["slot_id"] for each in page["saves"] + rest["saves"]] == [slot, *others]
    assert (await saves.ask(ada, "GET", "", title="else"))["saves"] == []

    full = await saves.ask(ada, "POST", "", {"title": "demo"})
    assert full.said == (409, "too_many_saves")
    assert (await saves.ask(ada, "DELETE", f"/{slot}")).body == {"slot_id": slot}
    assert (await saves.ask(ada, "GET", f"/{slot}")).said == (404, "save_slot_not_found")
    assert await saves.run("SELECT FROM save_revisions WHERE slot_id = $1", slot) == []


async def test_making_a_slot_twice_with_one_mutation_makes_one(saves: Saves, ada: UserId) -> None:
    body = {"title": "demo", "state": {"a": 1}, "mutation_id": new_id()}
    first, again = [await saves.ask(ada, "POST", "", body) for _ in range(2)]
    assert first.body == again.body
    other = await saves.ask(ada, "POST", "", {**body, "state": {"a": 2}})
    assert other.said == (409, "mutation_reused")


ADDRESSES = [
    ("GET", ""),
    ("DELETE", ""),
    ("PATCH", "/name"),
    ("PUT", ""),
    ("GET", "/export"),
    ("GET", "/revisions"),
    ("GET", "/revisions/1"),
    ("PATCH", "/revisions/1"),
    ("POST", "/revisions/1/restore"),
    ("GET", "/conflicts"),
    ("POST", "/resolve"),
    ("POST", "/undo"),
]


async def test_slot_of_somebody_else_is_not_there(saves: Saves, ada: UserId) -> None:
    slot = await saves.make(ada, {"a": 1})
    eve = await saves.person()
    bodies = {
        "/name": {"name": "x"},
        "/revisions/1": {"is_pinned": True},
        "/revisions/1/restore": {"mutation_id": new_id()},
        "/resolve": {"mutation_id": new_id(), "conflict_id": new_id(), "choose": "branch"},
        "/undo": {"mutation_id": new_id(), "conflict_id": new_id()},
        "": {"state": {}, "mutation_id": new_id()},
    }
    for method, path in ADDRESSES:
        body = None if method in ("GET", "DELETE") else bodies[path]
        answer = await saves.ask(eve, method, f"/{slot}{path}", body, match="*")
        assert answer.status == 404, (method, path, answer)
        nobody = await saves.ask(None, method, f"/{slot}{path}", body, match="*")
        assert nobody.said == (401, "bad_token"), (method, path)
    assert await saves.state(ada, slot) == {"a": 1}
    assert (await saves.ask(ada, "GET", f"/{slot}"))["name"] == ""
    assert not (await saves.ask(ada, "GET", f"/{slot}/revisions/1"))["is_pinned"]


# ------------------------------------------------------------------ writing


async def test_write_follows_the_revision_that_it_names(saves: Saves, ada: UserId) -> None:
    slot = await saves.make(ada, {"a": 1})
    done = await saves.write(ada, slot, 1, {"a": 2}, device="phone", play_time_s=60)
    assert done.status == 200
    assert done.headers["etag"] == '"2"'
    assert (done["outcome"], done["revision"], done["current"]) == ("written", 2, 2)
    assert done["checksum"] == checksum({"a": 2})
    card = await saves.ask(ada, "GET", f"/{slot}")
    assert (card["revision"], card["device"], card["play_time_s"]) == (2, "phone", 60)
    forced = await saves.write(ada, slot, "*", {"a": 9})
    assert (forced["outcome"], forced["revision"]) == ("written", 3)


async def test_wrong_or_missing_revision_writes_nothing(saves: Saves, ada: UserId) -> None:
    slot = await saves.make(ada, {"a": 1})
    required, bad = (428, "revision_required"), (412, "bad_revision")
    for match, said in (
        (None, required),
        ("", required),
        ("1", required),
        ('W/"1"', required),
        ('"0"', required),
        ('"1", "2"', required),
        ('"99"', bad),
        ('"9999999999999999"', bad),
    ):
        answer = await saves.write(ada, slot, match, {"a": 2})
        assert (answer.said, answer["field"]) == (said, "If-Match"), match
    assert await saves.state(ada, slot) == {"a": 1}


async def test_repeated_write_gets_the_same_answer_and_no_second_effect(
    saves: Saves, ada: UserId
) -> None:
    await saves.publish(**RULES)
    slot = await saves.make(ada, {"gold": 10})
    await saves.write(ada, slot, 1, {"gold": 15})
    body = {"state": {"gold": 12}, "mutation_id": new_id()}
    merged = await saves.ask(ada, "PUT", f"/{slot}", body, match=1)
    assert (merged["outcome"], merged["state"]) == ("merged", {"gold": 17})
    await saves.write(ada, slot, merged["current"], {"gold": 20})
    again = await saves.ask(ada, "PUT", f"/{slot}", body, match=1)
    assert again.body == {**merged.body, "repeated": True}
    assert await saves.state(ada, slot) == {"gold": 20}

    other = {**body, "state": {"gold": 13}}
    reused = await saves.ask(ada, "PUT", f"/{slot}", other, match=1)
    assert reused.said == (409, "mutation_reused")
    assert reused["field"] == "mutation_id"


async def test_writes_at_once_are_merged_and_repeats_at_once_act_once(
    saves: Saves, ada: UserId
) -> None:
    await saves.publish(**RULES)
    slot = await saves.make(ada, {"gold": 0})
    bodies = [{"state": {"gold": n + 1}, "mutation_id": new_id()} for n in range(4)] * 3
    answers = await asyncio.gather(
        *(saves.ask(ada, "PUT", f"/{slot}", body, match=1) for body in bodies)
    )
    assert {answer.status for answer in answers} == {200}
    for n in range(4):
        same = {(each["revision"], each["current"]) for each in answers[n::4]}
        assert len(same) == 1
    assert await saves.state(ada, slot) == {"gold": 1 + 2 + 3 + 4}
    restore = {"mutation_id": new_id()}
    path = f"/{slot}/revisions/1/restore"
    again = await asyncio.gather(
        *(saves.ask(ada, "POST", path, restore, match="*") for _ in range(4))
    )
    assert len({each["revision"] for each in again}) == 1

    news = [saves.ask(ada, "POST", "", {"title": "demo", "name": str(n)}) for n in range(6)]
    made = [answer.status for answer in await asyncio.gather(*news)]
    assert sorted(made) == [200, 200, 409, 409, 409, 409], "three slots, whatever the race"


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_compressed_write_is_read_and_a_bomb_is_refused(
    saves: Saves, ada: UserId, coding: str
) -> None:
    compress = {"gzip": gzip.compress, "zstd": zstd.compress}[coding]
    headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
    slot = await saves.make(ada)
    state = {"text": "x" * 600_000}

    async def put(body: object) -> tuple[int, str]:
        answer = await saves.ask(
            ada, "PUT", f"/{slot}", data=compress(orjson.dumps(body)), headers=headers, match=1
        )
        return answer.status, answer.body.get("code", "")

    assert await put({"state": state, "mutation_id": new_id()}) == (200, "")
    assert await saves.state(ada, slot) == state
    assert await put({"state": {"x": "y" * (8 << 20)}}) == (413, "too_large")
    headers["Content-Encoding"] = "br"
    assert await put({}) == (415, "unsupported_encoding")


async def test_state_out_of_bounds_is_refused_with_the_field(saves: Saves, ada: UserId) -> None:
    slot = await saves.make(ada, {"a": 1})
    deep: object = 1
    for _ in range(32):
        deep = [deep]
    for state, said in (
        ({"text": "x" * (1 << 20)}, (413, "too_large")),
        ({"deep": deep}, (422, "invalid_field")),
        ({"text": "a\0b"}, (422, "invalid_field")),
        ({"mods": {"Big Mod": 1}}, (422, "invalid_field")),
        ({"mods": {"big": "x" * 2000}}, (422, "invalid_field")),
        ({"mods": [1]}, (422, "invalid_field")),
    ):
        answer = await saves.write(ada, slot, 1, state)
        assert answer.said == said, answer
        assert answer["field"].startswith("state")
    assert await saves.state(ada, slot) == {"a": 1}


async def test_numbers_are_stored_as_every_language_writes_them(saves: Saves, ada: UserId) -> None:
    slot = await saves.make(ada)
    sent = {"whole": 2.0, "large": 1e17, "minus": -0.0, "half": 1.5, "tiny": 1e-320}
    done = await saves.write(ada, slot, 1, sent)
    stored = await saves.state(ada, slot)
    assert stored == {"whole": 2, "large": 10**17, "minus": 0, "half": 1.5, "tiny": 1e-320}
    assert done["checksum"] == checksum(stored)


# ------------------------------------------------------------------ merging


async def test_changes_of_two_devices_are_merged_by_the_rules(saves: Saves, ada: UserId) -> None:
    await saves.publish(**RULES)
    slot = await saves.make(ada, {"gold": 10, "lore": ["a", "b"], "best": 3, "here": 1, "there": 1})
    await saves.write(
        ada, slot, 1, {"gold": 15, "lore": ["a", "c"], "best": 9, "here": 2, "there": 1}
    )
    merged = await saves.write(
        ada, slot, 1, {"gold": 7, "lore": ["b", "a", "d"], "best": 5, "here": 1, "there": 2}
    )
    assert (merged["outcome"], merged["revision"], merged["current"]) == ("merged", 3, 4)
    expected = {"gold": 12, "lore": ["a", "c", "d"], "best": 9, "here": 2, "there": 2}
    assert merged["state"] == await saves.state(ada, slot) == expected

    listed = (await saves.ask(ada, "GET", f"/{slot}/revisions"))["revisions"]
    assert [(each["revision"], each["parents"], each["reason"]) for each in listed] == [
        (4, [2, 3], "merge"),
        (3, [1], "write"),
        (2, [1], "write"),
        (1, [], "create"),
    ]
    own = await saves.ask(ada, "GET", f"/{slot}/revisions/3")
    assert own["state"]["gold"] == 7, "what was acknowledged stays reachable"

    # The device goes on from its own revision, without having read the merged one.
    later = await saves.write(
        ada, slot, 3, {"gold": 8, "lore": ["b", "a", "d"], "best": 5, "here": 1, "there": 3}
    )
    assert later["state"] == {**expected, "gold": 13, "there": 3}


async def test_refusing_a_stale_write_proposes_a_merge_and_writes_nothing(
    saves: Saves, ada: UserId
) -> None:
    await saves.publish(**RULES)
    slot = await saves.make(ada, {"gold": 10, "name": "x"})
    await saves.write(ada, slot, 1, {"gold": 15, "name": "y"})
    answer = await saves.write(ada, slot, 1, {"gold": 11, "name": "z"}, on_stale="refuse")
    assert answer.said == (409, "save_moved_on")
    assert answer["details"] == {
        "slot_id": slot,
        "conflict_id": None,
        "revision": None,
        "current": {"revision": 2, "state": {"gold": 15, "name": "y"}},
        "base": {"revision": 1, "state": {"gold": 10, "name": "x"}},
        "proposal": {"gold": 16, "name": "y"},
        "paths": ["/name"],
    }
    assert len((await saves.ask(ada, "GET", f"/{slot}/revisions"))["revisions"]) == 2


async def test_fields_of_the_server_are_written_by_no_client(saves: Saves, ada: UserId) -> None:
    await saves.publish(**RULES)
    slot = await saves.make(ada, {"gold": 1})
    for base in (1, "*"):
        answer = await saves.write(ada, slot, base, {"gold": 2, "paid": 5})
        expected = (422, "server_field") if base == 1 else None
        assert (answer.said if base == 1 else None) == expected
    assert await saves.state(ada, slot) == {"gold": 2}

    async with saves.database.transaction() as connection:
        locked = await saves.access.lock(connection, ada, slot)
        await saves.access.write(connection, locked, {**locked.state, "paid": 7})
    current = await saves.ask(ada, "GET", f"/{slot}")
    assert current["state"] == {"gold": 2, "paid": 7}
    done = await saves.write(ada, slot, current["revision"], {"gold": 3, "paid": 7})
    assert done.status == 200
    left_out = await saves.write(ada, slot, done["current"], {"gold": 4})
    assert left_out.status == 200
    assert await saves.state(ada, slot) == {"gold": 4, "paid": 7}
    refused = await saves.write(ada, slot, left_out["current"], {"gold": 4, "paid": 8})
    assert (refused.said, refused["field"]) == ((422, "server_field"), "state/paid")

    # An old state, a copy or a file brings nothing back that the server gave or took.
    restored = await saves.ask(
        ada, "POST", f"/{slot}/revisions/1/restore", {"mutation_id": new_id()}, match="*"
    )
    assert restored["state"] == {"gold": 1, "paid": 7}
    file = (await saves.ask(ada, "GET", f"/{slot}/export")).body
    copy = await saves.ask(ada, "POST", "/import", file)
    assert copy["state"] == {"gold": 1}
    assert (await saves.ask(ada, "POST", "", {"title": "demo", "state": {"paid": 1}})).said == (
        422,
        "server_field",
    )


async def test_client_without_mods_deletes_no_data_of_mods(saves: Saves, ada: UserId) -> None:
    slot = await saves.make(ada, {"a": 1})
    assert not (await saves.ask(ada, "GET", f"/{slot}"))["is_modded"]
    mods = {"map.pack": {"x": 1}, "hats": [1]}
    await saves.write(ada, slot, 1, {"a": 2, "mods": mods}, is_modded=True)
    await saves.write(ada, slot, 2, {"a": 3})
    assert await saves.state(ada, slot) == {"a": 3, "mods": mods}
    stale = await saves.write(ada, slot, 1, {"a": 1, "b": 1})
    assert stale["state"] == {"a": 3, "b": 1, "mods": mods}
    await saves.write(ada, slot, "*", {"a": 4, "mods": {"hats": [2]}}, is_modded=True)
    slot_now = await saves.ask(ada, "GET", f"/{slot}")
    assert (slot_now["state"]["mods"], slot_now["is_modded"]) == ({"hats": [2]}, True)


# ------------------------------------------------------------------ conflicts


async def test_conflict_keeps_both_branches_until_it_is_resolved_and_undone(
    saves: Saves, ada: UserId
) -> None:
    slot = await saves.make(ada, {"name": "x", "here": 1, "there": 1})
    await saves.write(ada, slot, 1, {"name": "y", "here": 2, "there": 1})
    answer = await saves.write(ada, slot, 1, {"name": "z", "here": 1, "there": 2}, device="tablet")
    assert answer.said == (409, "save_conflict")
    details = answer["details"]
    assert details["proposal"] == {"name": "y", "here": 2, "there": 2}
    assert (details["paths"], details["base"]["revision"]) == (["/name"], 1)
    assert (details["current"]["revision"], details["revision"]) == (2, 3)
    assert await saves.state(ada, slot) == {"name": "y", "here": 2, "there": 1}
    kept = await saves.ask(ada, "GET", f"/{slot}/revisions/3")
    assert kept["state"] == {"name": "z", "here": 1, "there": 2}
    assert (await saves.ask(ada, "GET", f"/{slot}"))["conflicts"] == 1

    # The branch goes on, and so does the slot.
    branch = await saves.write(ada, slot, 3, {"name": "zz", "here": 1, "there": 3})
    assert branch["details"]["conflict_id"] == details["conflict_id"]
    await saves.write(ada, slot, 2, {"name": "y", "here": 5, "there": 1})
    (conflict,) = (await saves.ask(ada, "GET", f"/{slot}/conflicts"))["conflicts"]
    assert (conflict["branch"], conflict["base"], conflict["status"]) == (4, 1, "open")

    body = {"conflict_id": conflict["conflict_id"], "mutation_id": new_id(), "choose": "branch"}
    stale = await saves.ask(ada, "POST", f"/{slot}/resolve", body, match=2)
    assert stale.said == (409, "save_moved_on")
    resolved = await saves.ask(ada, "POST", f"/{slot}/resolve", body, match=5)
    assert resolved["state"] == {"name": "zz", "here": 5, "there": 3}
    again = await saves.ask(ada, "POST", f"/{slot}/resolve", body, match=5)
    assert (again["revision"], again["repeated"]) == (resolved["revision"], True)
    settled = await saves.ask(
        ada, "POST", f"/{slot}/resolve", {**body, "mutation_id": new_id()}, match="*"
    )
    assert settled.said == (409, "save_conflict_settled")

    undo = {"conflict_id": conflict["conflict_id"], "mutation_id": new_id()}
    undone = await saves.ask(ada, "POST", f"/{slot}/undo", undo, match=resolved["current"])
    assert undone["state"] == {"name": "y", "here": 5, "there": 1}
    (reopened,) = (await saves.ask(ada, "GET", f"/{slot}/conflicts"))["conflicts"]
    assert (reopened["status"], reopened["resolution"]) == ("open", None)

    fields = {"conflict_id": conflict["conflict_id"], "mutation_id": new_id()}
    chosen = await saves.ask(
        ada,
        "POST",
        f"/{slot}/resolve",
        {**fields, "fields": {"/name": "branch", "/there": "current"}},
        match=undone["current"],
    )
    assert chosen["state"] == {"name": "zz", "here": 5, "there": 1}
    late = await saves.write(ada, slot, chosen["current"], {"name": "zz", "here": 6, "there": 1})
    assert late.status == 200
    too_late = {**undo, "mutation_id": new_id()}
    refused = await saves.ask(ada, "POST", f"/{slot}/undo", too_late, match="*")
    assert refused.said == (409, "save_conflict_settled")


async def test_combined_state_resolves_a_conflict(saves: Saves, ada: UserId) -> None:
    slot = await saves.make(ada, {"name": "x"})
    await saves.write(ada, slot, 1, {"name": "y"})
    body = {"state": {"name": "z"}, "mutation_id": new_id()}
    first = await saves.ask(ada, "PUT", f"/{slot}", body, match=1)
    again = await saves.ask(ada, "PUT", f"/{slot}", body, match=1)
    assert first.body == again.body
    conflict_id = first["details"]["conflict_id"]
    asked = {"conflict_id": conflict_id, "mutation_id": new_id(), "state": {"name": "y & z"}}
    done = await saves.ask(ada, "POST", f"/{slot}/resolve", asked, match=2)
    assert done["state"] == {"name": "y & z"}
    deep: object = 1
    for _ in range(60):
        deep = {"a": deep}
    nested = {"conflict_id": conflict_id, "mutation_id": new_id(), "state": {"deep": deep}}
    refused = await saves.ask(ada, "POST", f"/{slot}/resolve", nested, match="*")
    assert refused.said == (422, "invalid_field")
    empty = {"conflict_id": conflict_id, "mutation_id": new_id()}
    refused = await saves.ask(ada, "POST", f"/{slot}/resolve", empty, match="*")
    assert refused.said == (422, "invalid_field")
    # Who had gone on with the branch meanwhile meets the resolution.
    later = await saves.write(ada, slot, first["details"]["revision"], {"name": "z", "new": 1})
    assert later["state"] == {"name": "y & z", "new": 1}


async def test_open_conflicts_are_bounded(saves: Saves, ada: UserId) -> None:
    slot = await saves.make(ada, {"name": "x"})
    await saves.write(ada, slot, 1, {"name": "y"})
    for n in range(CONFLICTS_MAX):
        assert (await saves.write(ada, slot, 1, {"name": str(n)})).said == (409, "save_conflict")
    refused = await saves.write(ada, slot, 1, {"name": "more"})
    assert refused.said == (409, "too_many_save_conflicts")
    extended = await saves.write(ada, slot, 3, {"name": "longer"})
    assert extended.said == (409, "save_conflict")
    first = await saves.ask(ada, "GET", f"/{slot}/conflicts?limit={CONFLICTS_MAX - 1}")
    rest = await saves.ask(ada, "GET", f"/{slot}/conflicts?cursor={first['next']}")
    listed = [each["conflict_id"] for page in (first, rest) for each in page["conflicts"]]
    assert (len(set(listed)), len(listed), rest["next"]) == (CONFLICTS_MAX, CONFLICTS_MAX, None)


# ------------------------------------------------------------------ revisions


async def test_revision_is_listed_restored_pinned_and_pruned(saves: Saves, ada: UserId) -> None:
    slot = await saves.make(ada, {"n": 1})
    for n in range(2, 4):
        await saves.write(ada, slot, n - 1, {"n": n})
    pinned = await saves.ask(ada, "PATCH", f"/{slot}/revisions/2", {"is_pinned": True})
    assert pinned["is_pinned"]
    restored = await saves.ask(
        ada, "POST", f"/{slot}/revisions/1/restore", {"mutation_id": new_id()}, match=3
    )
    assert (restored["state"], restored["revision"]) == ({"n": 1}, 4)
    moved = await saves.ask(
        ada, "POST", f"/{slot}/revisions/1/restore", {"mutation_id": new_id()}, match=3
    )
    assert moved.said == (409, "save_moved_on")
    body = {"state": {"n": 5}, "mutation_id": new_id()}
    await saves.ask(ada, "PUT", f"/{slot}", body, match=4)
    for n in range(6, 17):  # the sixteenth prunes
        await saves.write(ada, slot, n - 1, {"n": n})

    page = await saves.ask(ada, "GET", f"/{slot}/revisions", limit=10)
    rest = await saves.ask(ada, "GET", f"/{slot}/revisions", limit=10, cursor=page["next"])
    listed = page["revisions"] + rest["revisions"]
    assert [each["revision"] for each in listed] == list(range(16, 0, -1))
    kept = [each["revision"] for each in listed if not each["is_pruned"]]
    assert kept == [16, 15, 14, 13, 12, 11, 2]
    assert listed[12]["reason"], listed[12]["source"] == ("restore", 1)

    gone = await saves.ask(ada, "GET", f"/{slot}/revisions/3")
    assert gone.said == (404, "revision_not_found")
    again = await saves.ask(ada, "PUT", f"/{slot}", body, match=4)
    assert (again.status, again["revision"], again["repeated"]) == (200, 5, True)
    # What was pruned is no base any more: nothing is guessed, both branches stay.
    stale = await saves.write(ada, slot, 3, {"n": 3, "new": 1})
    assert stale.said == (409, "save_conflict")
    assert stale["details"]["base"] == {"revision": 3, "state": None}

    for revision, said in ((99, 404), (3, 404), (16, 200), (15, 409)):
        answer = await saves.ask(ada, "PATCH", f"/{slot}/revisions/{revision}", {"is_pinned": True})
        assert answer.status == said, (revision, answer)


# ------------------------------------------------------------------ deltas


async def test_delta_is_applied_to_its_revision_and_checked(saves: Saves, ada: UserId) -> None:
    slot = await saves.make(ada, {"a": 1, "list": [1]})
    patch = [
        {"op": "replace", "path": "/a", "value": 2},
        {"op": "add", "path": "/list/-", "value": 2},
    ]
    after = {"a": 2, "list": [1, 2]}

    async def send(body: object, match: int | str = 1, **query: object) -> tuple[int, str]:
        fields = {"mutation_id": new_id(), "checksum": checksum(after), **query}
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        answer = await saves.ask(
            ada, "PATCH", f"/{slot}", data=data, headers=PATCH, match=match, **fields
        )
        return answer.status, answer.body.get("code", "")

    assert await send(patch, checksum=checksum({})) == (422, "checksum_mismatch")
    for malformed in (
        b"[",
        b'{"op": "add"}',
        [{"op": "frob", "path": "/a"}],
        [{"op": "add"}],
        [{"op": "remove", "path": "/missing"}],
        [{"op": "test", "path": "/a", "value": 9}],
        [{"op": "replace", "path": "a", "value": 9}],
        [{"op": "add", "path": "/list/7", "value": 9}],
        [{"op": "add", "path": "/list/x", "value": 9}],
        [{"op": "move", "from": "/list", "path": "/list/0"}],
        [{"op": "add", "path": "/a"}],
        [{"op": "replace", "path": "", "value": []}],
        [{"op": "test", "path": "/a", "value": 1}] * 1001,
    ):
        assert await send(malformed) == (422, "patch_refused"), malformed
    doubling = [{"op": "copy", "from": "", "path": f"/{n}"} for n in range(40)]
    assert await send(doubling) == (413, "too_large")
    assert await saves.state(ada, slot) == {"a": 1, "list": [1]}

    assert await send(patch) == (200, "")
    assert await saves.state(ada, slot) == after
    assert (await saves.ask(ada, "PATCH", f"/{slot}", patch, match=1)).status == 422
    away = await saves.ask(
        ada, "PATCH", f"/{slot}", data=orjson.dumps(patch), match=1,
        headers={"Content-Type": "application/json"}, mutation_id=new_id(),
        checksum=checksum(after),
    )  # fmt: skip
    assert (away.said, away["field"]) == ((422, "invalid_field"), "Content-Type")


# ------------------------------------------------------------------ files


async def test_slot_is_exported_and_imported_with_its_checksum(saves: Saves, ada: UserId) -> None:
    slot = await saves.make(ada, {"a": 1, "mods": {"m": 1}}, name="First", play_time_s=5)
    exported = await saves.ask(ada, "GET", f"/{slot}/export")
    assert "attachment" in exported.headers["content-disposition"]
    file = exported.body
    asked = {"mutation_id": new_id(), "device": "phone"}
    copy, again = [await saves.ask(ada, "POST", "/import", file, **asked) for _ in range(2)]
    assert copy.body == again.body
    assert copy["slot_id"] != slot
    for name in ("title", "name", "state", "checksum", "play_time_s", "is_modded"):
        assert copy[name] == (file | {"is_modded": True})[name]
    (first,) = (await saves.ask(ada, "GET", f"/{copy['slot_id']}/revisions"))["revisions"]
    assert (first["reason"], first["device"]) == ("import", "phone")
    damaged = {**file, "state": {**file["state"], "a": 2}}
    assert (await saves.ask(ada, "POST", "/import", damaged)).said == (422, "save_file_refused")
    assert (await saves.ask(ada, "POST", "/import", {"format": "zip"})).said == (
        422,
        "invalid_field",
    )


# ------------------------------------------------------------------ schemas


async def test_state_must_fit_the_schema_of_its_title(saves: Saves, ada: UserId) -> None:
    schema = {
        "type": "object",
        "properties": {"hp": {"type": "integer", "maximum": 10}, "name": {"type": "string"}},
        "additionalProperties": False,
    }
    assert (await saves.publish(json_schema=schema, merge={"/hp": "sum"})).status == 200
    slot = await saves.make(ada, {"hp": 4})
    wrong = await saves.write(ada, slot, 1, {"hp": "many"})
    assert (wrong.said, wrong["field"]) == ((422, "state_refused"), "state/hp")
    assert "many" not in wrong["message"]
    unknown = await saves.write(ada, slot, 1, {"hp": 4}, schema_version=2)
    assert (unknown.said, unknown["field"]) == ((404, "save_schema_not_found"), "schema_version")
    modded = await saves.write(ada, slot, 1, {"hp": 4, "mods": {"m": 1}}, is_modded=True)
    assert modded.status == 200, "data of mods is not interpreted"
    # Two changes that fit, and do not together, are a conflict.
    await saves.write(ada, slot, 2, {"hp": 9}, is_modded=True)
    both = await saves.write(ada, slot, 2, {"hp": 10, "mods": {"m": 1}}, is_modded=True)
    assert (both.said, both["details"]["paths"]) == ((409, "save_conflict"), [""])


async def test_schema_is_published_by_editors_once_and_in_order(saves: Saves, ada: UserId) -> None:
    path = "/v1/admin/save-schemas/demo/1"
    assert (await saves.ask(ada, "PUT", path, {"json_schema": {}})).said == (403, "forbidden")
    for schema in (
        {"type": "objekt"},
        {"$ref": "#/nowhere"},
        {"$ref": "https://elsewhere.example/schema"},
        {"properties": {"a": {"pattern": "(a"}}},
        {"description": "x" * (128 << 10)},
    ):
        refused = await saves.publish(json_schema=schema)
        assert (refused.said, refused["field"]) == ((422, "save_schema_refused"), "json_schema")
    refused = await saves.publish(upgrade=[{"op": "frob", "path": "/a"}])
    assert (refused.said, refused["field"]) == ((422, "save_schema_refused"), "upgrade")
    assert (await saves.publish(merge={"gold": "sum"})).said == (422, "invalid_field")
    assert (await saves.publish(merge={"/gold": "average"})).said == (422, "invalid_field")
    assert (await saves.publish(2)).said == (422, "save_schema_refused")

    first, again = [await saves.publish(**RULES) for _ in range(2)]
    assert first.status == 200
    assert {**again.body, "created_at": ""} == {**first.body, "created_at": ""}
    assert (await saves.publish(merge={})).said == (409, "save_schema_taken")
    await saves.publish(2, otherwise="newest")
    listed = await saves.ask(None, "GET", "/v1/save-schemas/demo")
    assert [each["version"] for each in listed["schemas"]] == [2, 1]
    assert listed["schemas"][1]["merge"] == RULES["merge"]
    page = await saves.ask(None, "GET", "/v1/save-schemas/demo?limit=1")
    rest = await saves.ask(None, "GET", f"/v1/save-schemas/demo?limit=1&cursor={page['next']}")
    assert [*page["schemas"], *rest["schemas"]] == listed["schemas"]
    (act, _) = await saves.run("SELECT * FROM audit_log ORDER BY id")
    assert (act["action"], act["target"]) == ("save_schema", "demo 1")


async def test_states_are_brought_to_newer_schema_versions(saves: Saves, ada: UserId) -> None:
    await saves.publish(1, merge={"/money": "sum"})
    slot = await saves.make(ada, {"money": 5})
    await saves.publish(
        2, merge={"/gold": "sum"}, upgrade=[{"op": "move", "from": "/money", "path": "/gold"}]
    )
    saves.schemas.add_upgrade("demo", 2, lambda state: {**state, "seen": True})
    read = await saves.ask(ada, "GET", f"/{slot}", schema_version=2)
    assert (read["state"], read["schema_version"]) == ({"gold": 5, "seen": True}, 2)
    assert await saves.state(ada, slot) == {"money": 5}

    newer = await saves.write(ada, slot, 1, {"gold": 8, "seen": True}, schema_version=2)
    assert newer["schema_version"] == 2
    older = await saves.write(ada, slot, 1, {"money": 6}, schema_version=1)  # an old client
    assert (older["outcome"], older["state"]) == ("merged", {"gold": 9, "seen": True})
    back = await saves.ask(ada, "GET", f"/{slot}", schema_version=1)
    assert back.said == (409, "save_not_upgradable")
    odd = await saves.write(ada, slot, 1, {"cash": 6}, schema_version=1)
    assert odd.said == (409, "save_not_upgradable")
    saves.schemas.add_upgrade("demo", 2, lambda state: {**state["missing"]})
    broken = await saves.write(ada, slot, 1, {"money": 6}, schema_version=1)
    assert broken.said == (409, "save_not_upgradable")
    saves.schemas.add_upgrade("demo", 2, lambda state: {**state, "seen": True})
    restored = await saves.ask(
        ada, "POST", f"/{slot}/revisions/1/restore", {"mutation_id": new_id()}, match="*"
    )
    assert restored["state"] == {"gold": 5, "seen": True}


async def test_it_is_found_which_saves_would_not_load(saves: Saves, ada: UserId) -> None:
    moved = [{"op": "move", "from": "/money", "path": "/gold"}]
    for version in (1, 2, 3):
        await saves.publish(version, upgrade=moved if version == 2 else [])
    await saves.make(ada, {"money": 5})
    await saves.make(ada, {"cash": 5})
    await saves.make(ada, {"gold": 5}, schema_version=3)
    found = SaveCompatibilityChecker(saves.store, saves.schemas)

    async def broken(title: str, oldest: int, newest: int) -> list[tuple[int, int]]:
        classes = await found.find_unloadable(title, oldest=oldest, newest=newest)
        assert all(each.reason for each in classes)
        return [(each.schema_version, each.saves) for each in classes]

    assert await broken("demo", 1, 3) == []
    assert await broken("demo", 2, 3) == [(1, 1)]
    assert await broken("demo", 1, 2) == [(3, 1)]
    assert await broken("demo", 4, 4) == [(1, 1), (3, 1)]
    assert await broken("else", 1, 1) == []
