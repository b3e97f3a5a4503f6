"""How long recall and what each message reads take, in ms: the median and the 95th percentile.

    python tools/time_companions.py [TIMES]

Makes a database of its own in a temporary folder and calls the stores that the server calls, one
call at a time, without HTTP. Recall is of a person with 50 and with 1000 memories, the most there
can be.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from uuid import uuid4

import asyncpg

from migrations import runner
from persistence.broker.memory import MemoryBroker
from persistence.companions.store import CompanionStore, EmbeddedQuestion
from persistence.database import Database
from persistence.embedded import EmbeddedPostgres
from persistence.rls import ANONYMOUS_ROLE, Requester, RlsDatabase
from protocol.ids import SessionId, UserId
from server.core.extras import EMBEDDINGS
from server.core.subscriptions import Subscriptions
from server.domains.social.companions.caches import CompanionCaches
from server.domains.social.companions.embeddings import (
    E5Embedder,
    HashingEmbedder,
    Vector,
    normalise,
)

LUMINA = "00000000-0000-4000-8000-0000000000c1"
DIMENSIONS = 384
QUESTION = "Which town is my home, and what was I working on the last time?"


@contextmanager
def migrated_database() -> Iterator[str]:
    """Make a database for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="playhall-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres()
        try:
            dsn = server.start(Path(folder) / "postgres")
            runner.upgrade(dsn)
            yield dsn
        finally:
            server.stop()


async def add_person(owner: asyncpg.Connection, memories: int) -> Requester:
    """Add somebody whom a companion remembers."""
    person = uuid4()
    await owner.execute("INSERT INTO auth.users (id) VALUES ($1)", person)
    await owner.execute(
        "INSERT INTO profiles (id, username, display_name) VALUES ($1, $2, 'Ada')",
        person,
        f"p{person.hex[:12]}",
    )
    chance = Random(memories)  # noqa: S311 - a measurement
    rows = [
        (person, LUMINA, f"They like the thing {number}", random_vector(chance))
        for number in range(memories)
    ]
    await owner.executemany(
        "INSERT INTO luminor_memories (user_id, luminor_id, memory_type, content, embedding,"
        " embedding_model) VALUES ($1, $2, 'preference', $3, $4, 'test@1')",
        rows,
    )
    return Requester(UserId(str(person)), SessionId(str(uuid4())))


def random_vector(chance: Random) -> Vector:
    """Make a vector of length 1."""
    return normalise([chance.gauss(0, 1) for _ in range(DIMENSIONS)])


async def report(name: str, times: int, call: Callable[[], Awaitable[object]]) -> None:
    """Print how long calls take."""
    await call()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        await call()
        taken.append((time.perf_counter() - began) * 1000)
    taken.sort()
    median, high = taken[len(taken) // 2], taken[int(len(taken) * 0.95)]
    print(f"{name:<58} {median:8.3f} {high:8.3f}")  # noqa: T201 - what it is for


async def measure(dsn: str, times: int) -> None:
    """Print all figures."""
    owner = await asyncpg.connect(dsn)
    async with (
        await Database.open(dsn, embedded=True) as database,
        await Database.open(dsn, embedded=True, role=ANONYMOUS_ROLE) as anonymous,
    ):
        store = CompanionStore(database, RlsDatabase(anonymous))
        caches = CompanionCaches(store, Subscriptions(MemoryBroker()), time.monotonic)
        question = EmbeddedQuestion(random_vector(Random(1)), "test@1", -1.0)  # noqa: S311
        few = await add_person(owner, 50)

        async def read_both() -> None:
            await store.read_persona(LUMINA)
            await store.read_speaker(few.user_id)

        async def read_cached() -> None:
            await caches.personas.get(LUMINA)
            await caches.speakers.get(few.user_id)

        await report("persona and speaker, from the database", times, read_both)
        await report("persona and speaker, from the caches", times, read_cached)
        for who, count in ((few, 50), (await add_person(owner, 1000), 1000)):
            for uses_it, name in ((True, "pgvector"), (False, "arrays")):
                await owner.execute("SELECT playhall_auth.choose_memory_search($1)", uses_it)

                async def recall(who: Requester = who) -> None:
                    await store.recall(who, LUMINA, QUESTION, 20, question=question)

                await report(f"recall of {count} memories, {name}", times, recall)
        words = HashingEmbedder()
        await report("embedding a question, words", times, lambda: words.embed_question(QUESTION))
        if EMBEDDINGS.is_installed:
            e5 = E5Embedder()
            async with e5.opened():
                await report("embedding a question, e5", times, lambda: e5.embed_question(QUESTION))
    await owner.close()


if __name__ == "__main__":
    with migrated_database() as made:
        asyncio.run(measure(made, int(sys.argv[1]) if len(sys.argv) > 1 else 200))
