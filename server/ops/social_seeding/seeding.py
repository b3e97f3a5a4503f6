"""One run of `playhall seed social`."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

import typer

from persistence.social.seeding import NotTheOwner, SocialBatch, SocialSeedStore
from server.ops.social_seeding.graph import USERNAME, SocialGraph, SocialPlan

SHOWN_EVERY_S: Final = 5.0
Progress = Callable[[str], None]


class SocialSeeding:
    """Adds a graph; `on_progress` is called with a sentence now and then."""

    def __init__(self, store: SocialSeedStore, *, on_progress: Progress) -> None:
        self._store = store
        self._on_progress = on_progress
        self._shown_s = time.monotonic()

    async def run(self, plan: SocialPlan) -> None:
        """Have what the plan says; refuse a database that has another plan's people."""
        graph = await asyncio.to_thread(SocialGraph, plan)
        found = await self._store.find_person(USERNAME.format(0))
        if found not in (None, str(graph.person_id(0))):
            raise typer.BadParameter(
                "these people are here already, made with other numbers or another --random-seed; "
                "use the same ones to finish that run, or another database."
            )
        await self._add("people", plan.people, graph.people())
        await self._add("ties", 0, graph.ties())
        await self._add("creations", plan.creations, graph.creations())
        self._on_progress("Vacuum and analyse.")
        await self._store.tidy()

    async def _add(self, what: str, whole: int, batches: Iterator[SocialBatch]) -> None:
        """Store a batch while the next one is made up."""
        done = 0
        batch = await asyncio.to_thread(next, batches, None)
        while batch is not None:
            try:
                async with asyncio.TaskGroup() as tasks:
                    coming = tasks.create_task(asyncio.to_thread(next, batches, None))
                    await self._store.add(batch)
            except* NotTheOwner as refused:
                raise refused.exceptions[0] from None
            done += len(batch.people) + len(batch.creations) + len(batch.follows)
            if time.monotonic() - self._shown_s >= SHOWN_EVERY_S:
                self._shown_s = time.monotonic()
                self._on_progress(f"{what}: {done:,}" + (f" of {whole:,}" if whole else ""))
            batch = coming.result()
