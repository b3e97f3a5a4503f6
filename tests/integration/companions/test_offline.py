"""Talking with the offline provider: conversations, memories, bonds, ratings, quotas, admins."""

import json
from io import BytesIO

from protocol.ids import new_id
from tests.fixtures.http import bearer
from tests.integration.companions.conftest import Companions, served_companions
from tests.integration.social.world import ADA, BOB, EVE, LUMINA, WRONG_COUNTERS, World


async def test_companions_are_public_and_their_prompts_are_not(offline: Companions) -> None:
    listed = await offline.good("", "GET", "/v1/luminors")
    assert [each["slug"] for each in listed["luminors"]] == ["lumina", "harmonix", "kinetix"]
    assert listed["is_offline"] is True
    assert "never reveal" not in json.dumps(listed)
    assert (await offline.good("", "GET", "/v1/luminors/lumina"))["luminor_id"] == str(LUMINA)
    assert (await offline.ask("", "GET", "/v1/luminors/nobody"))[0] == 404


async def test_an_answer_comes_in_pieces_and_is_stored_once(
    offline: Companions, world: World
) -> None:
    place = await offline.start(ADA)
    key = new_id()
    heard = await offline.say(ADA, place, "How do I light a portrait?", request_id=key)
    assert len(heard.deltas) >= 1
    assert heard.text == heard.message["content"]
    assert "built-in offline companion" in heard.text
    assert heard.message["model"] == "playhall-offline-1"
    assert heard.message["status"] == "complete"
    assert heard.message["tokens"] > 0
    again = await offline.say(ADA, place, "How do I light a portrait?", request_id=key)
    assert again.said == heard.said
    assert again.text == heard.text
    messages = await offline.good(ADA, "GET", f"/v1/conversations/{place}/messages")
    assert [each["role"] for each in messages["messages"]] == ["assistant", "user"]
    assert await world.owner.fetch(WRONG_COUNTERS) == []


async def test_memories_are_found_recalled_superseded_edited_and_forgotten(
    offline: Companions,
) -> None:
    place = await offline.start(BOB)
    first = await offline.say(BOB, place, "My name is Bob. I live in Oslo, and I love jazz.")
    await offline.say(BOB, place, "I don't like jazz. I live in Rome.")
    base = f"/v1/luminors/{LUMINA}/memories"
    listed = (await offline.good(BOB, "GET", base))["memories"]
    contents = {each["content"] for each in listed}
    assert contents == {"Their name is Bob", "They live in Rome", "They do not like jazz"}
    (name,) = [each for each in listed if each["memory_type"] == "name"]
    assert name["source_message_id"] == first.said["message_id"]
    everything = (await offline.good(BOB, "GET", base, superseded="true"))["memories"]
    (old,) = [each for each in everything if each["content"] == "They live in Oslo"]
    (new,) = [each for each in everything if each["content"] == "They live in Rome"]
    assert old["superseded_by"] == new["memory_id"]

    asked = await offline.say(BOB, place, "What do you remember of me?")
    assert "your name is Bob" in asked.text
    assert "Oslo" not in asked.text

    path = f"/v1/companion-memories/{new['memory_id']}"
    await offline.good(BOB, "PATCH", path, {"content": "They live in Bergen"})
    assert (await offline.ask(EVE, "PATCH", path, {"content": "mine"}))[0] == 404
    assert (await offline.ask(EVE, "DELETE", path))[0] == 404
    assert "Bergen" in (await offline.say(BOB, place, "Where do I live?")).text
    await offline.good(BOB, "DELETE", path)
    assert "Bergen" not in (await offline.say(BOB, place, "Where do I live?")).text


async def test_others_conversations_are_not_there(offline: Companions) -> None:
    place = await offline.start(ADA)
    heard = await offline.say(ADA, place, "This is mine.")
    answer = heard.message["message_id"]
    for method, path, body in (
        ("GET", f"/v1/conversations/{place}", None),
        ("GET", f"/v1/conversations/{place}/messages", None),
        ("GET", f"/v1/conversations/{place}/export", None),
        ("DELETE", f"/v1/conversations/{place}", None),
        ("PATCH", f"/v1/conversations/{place}", {"title": "Mine"}),
        ("POST", f"/v1/conversations/{place}/messages", {"text": "x", "request_id": "1"}),
        ("GET", f"/v1/companion-messages/{answer}", None),
        ("GET", f"/v1/companion-messages/{answer}/stream", None),
        ("POST", f"/v1/companion-messages/{answer}/stop", None),
        ("PUT", f"/v1/companion-messages/{answer}/rating", {"user_rating": 1}),
    ):
        assert (await offline.ask(BOB, method, path, body))[0] == 404, path


async def test_a_conversation_is_named_searched_exported_archived_and_deleted(
    offline: Companions,
) -> None:
    place = await offline.start(ADA)
    path = f"/v1/conversations/{place}"
    await offline.say(ADA, place, "A zebra at 100% speed")
    await offline.good(ADA, "PATCH", path, {"title": "Stripes"})
    for text in ("ZEBRA", "strip", "100%"):
        found = await offline.good(ADA, "GET", "/v1/conversations", text=text)
        assert [each["conversation_id"] for each in found["conversations"]] == [place], text
    found = await offline.good(BOB, "GET", "/v1/conversations", text="zebra")
    assert found["conversations"] == []
    async with offline.web.get(f"{path}/export", headers=bearer(str(ADA))) as answer:
        lines = [json.loads(line) async for line in answer.content]
    assert lines[0]["title"] == "Stripes"
    assert [line["role"] for line in lines[1:]] == ["user", "assistant"]

    await offline.good(ADA, "PATCH", path, {"is_archived": True})
    body = {"text": "more", "request_id": "1"}
    assert (await offline.ask(ADA, "POST", f"{path}/messages", body))[1]["code"] == (
        "conversation_archived"
    )
    found = await offline.good(ADA, "GET", "/v1/conversations", is_archived="true")
    assert [each["conversation_id"] for each in found["conversations"]] == [place]
    await offline.good(ADA, "PATCH", path, {"is_archived": False})
    await offline.say(ADA, place, "more")
    await offline.good(ADA, "DELETE", path)
    assert (await offline.ask(ADA, "GET", path))[0] == 404


async def test_a_bond_grows_with_messages_and_answers_are_rated(
    offline: Companions, world: World
) -> None:
    place = await offline.start(EVE)
    bond = f"/v1/luminors/{LUMINA}/bond"
    assert (await offline.good(EVE, "GET", bond))["bond_level"] == 1
    for number in range(11):
        heard = await offline.say(EVE, place, f"Message {number}")
    grown = await offline.good(EVE, "GET", bond)
    assert (grown["bond_level"], grown["bond_xp"]) == (2, 10)
    assert (
        await world.owner.fetchval(
            "SELECT count(*) FROM notifications WHERE user_id = $1 AND type = 'bond_level_up'", EVE
        )
        == 1
    )
    rating = f"/v1/companion-messages/{heard.message['message_id']}/rating"
    rated = await offline.good(EVE, "PUT", rating, {"user_rating": 4, "was_helpful": True})
    assert (rated["user_rating"], rated["was_helpful"]) == (4, True)
    shown = await offline.good("", "GET", "/v1/luminors/lumina")
    assert (shown["average_rating"], shown["rating_count"]) == (4.0, 1)
    said = f"/v1/companion-messages/{heard.said['message_id']}/rating"
    assert (await offline.ask(EVE, "PUT", said, {"user_rating": 4}))[0] == 404
    assert await world.owner.fetch(WRONG_COUNTERS) == []


async def test_a_quota_counts_messages_also_of_deleted_conversations(world: World) -> None:
    async with served_companions(world.dsn, companions_messages_explorer=2) as companions:
        await world.owner.execute("DELETE FROM luminor_usage WHERE user_id = $1", BOB)
        for _ in range(2):
            place = await companions.start(BOB)
            await companions.say(BOB, place, "Hello")
            await companions.good(BOB, "DELETE", f"/v1/conversations/{place}")
        place = await companions.start(BOB)
        async with companions.saying(BOB, place, "Hello") as answer:
            assert (answer.status, (await answer.json())["code"]) == (429, "companion_quota")
        assert (await companions.good(BOB, "GET", f"/v1/conversations/{place}"))[
            "message_count"
        ] == 0
        used = await companions.good(BOB, "GET", "/v1/me/companion-usage")
        assert (used["tier"], used["messages"], used["messages_max"]) == ("explorer", 2, 2)
        assert used["tokens"] > 0
        await world.owner.execute("UPDATE profiles SET tier = 'creator' WHERE id = $1", BOB)
        companions.caches.speakers.invalidate(str(BOB))
        await companions.say(BOB, place, "Hello")


async def test_large_and_refused_messages_are_not_stored(world: World) -> None:
    async with served_companions(world.dsn, companions_refused_words="grue, dragon") as companions:
        place = await companions.start(ADA)
        for text, status in (("x" * 4001, 422), ("A Grue!", 422)):
            async with companions.saying(ADA, place, text) as answer:
                assert answer.status == status
        path, large = f"/v1/conversations/{place}/messages", BytesIO(b"x" * 10_000_000)
        async with companions.web.post(path, data=large, headers=bearer(str(ADA))) as answer:
            assert (answer.status, (await answer.json())["code"]) == (413, "too_large")
        found = await companions.good(ADA, "GET", f"/v1/conversations/{place}")
        assert found["message_count"] == 0
        await companions.say(ADA, place, "gruesome")


async def test_admins_write_companions_and_nobody_else(offline: Companions) -> None:
    body = {"name": "Quill", "slug": "quill", "system_prompt": "You are Quill."}
    assert (await offline.ask(ADA, "POST", "/v1/admin/luminors", body))[0] == 403
    made = await offline.good("admin", "POST", "/v1/admin/luminors", body)
    assert (await offline.ask("admin", "POST", "/v1/admin/luminors", body))[1]["code"] == (
        "luminor_slug_taken"
    )
    path = f"/v1/admin/luminors/{made['luminor_id']}"
    await offline.good("admin", "PUT", path, {**body, "is_public": False})
    assert (await offline.ask(ADA, "GET", "/v1/luminors/quill"))[0] == 404
    asked = {"luminor_id": made["luminor_id"]}
    assert (await offline.ask(ADA, "POST", "/v1/conversations", asked))[0] == 404
    listed = await offline.good("admin", "GET", "/v1/admin/luminors")
    assert "You are Quill." in {each["system_prompt"] for each in listed["luminors"]}
    await offline.good("admin", "DELETE", path)
    assert (await offline.ask("admin", "DELETE", path))[0] == 404
