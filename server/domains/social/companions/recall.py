"""Recall: which memories have to do with what a person says, and the embeddings that it takes.

Memories are embedded when they are needed, and in the background: after an edit, while the API was
away, or when the model has changed. Until then they are found by their words.
"""

import logging
from collections.abc import Sequence
from typing import Final

from persistence.companions.store import (
    CompanionStore,
    EmbeddedQuestion,
    MemoryText,
    RecalledMemory,
)
from persistence.rls import Requester
from server.core.periodic import repeat_every
from server.domains.social.companions.embeddings import Embedder, EmbeddingFailed

log = logging.getLogger(__name__)

RECALLED_MAX: Final = 20
EMBEDDED_FOR_ANSWER_MAX: Final = 16  # before an answer; the rest follows in the background
EMBEDDED_AT_ONCE: Final = 32
SWEEP_S: Final = 10.0
BATCHES_MAX: Final = 20  # of a sweep: no more than 640 memories in ten seconds


class MemoryRecall:
    """Recalls memories, and keeps their embeddings up to date."""

    def __init__(self, store: CompanionStore, embedder: Embedder) -> None:
        self.embedder = embedder
        self.embedded = 0
        self.failures = 0
        self._store = store

    async def recall(self, who: Requester, luminor_id: str, text: str) -> list[RecalledMemory]:
        """Give the memories that have most to do with a text, best first."""
        question = None
        try:
            waiting = await self._store.list_unembedded(
                self.embedder.model, EMBEDDED_FOR_ANSWER_MAX, whose=(who.user_id, luminor_id)
            )
            await self._embed(waiting)
            question = EmbeddedQuestion(
                await self.embedder.embed_question(text),
                self.embedder.model,
                self.embedder.similarity_min,
            )
        except EmbeddingFailed as error:
            self._note_failure(error)
        return await self._store.recall(who, luminor_id, text, RECALLED_MAX, question=question)

    async def run(self) -> None:
        """Embed what the present model has not embedded, until cancelled."""
        await repeat_every(SWEEP_S, self.embed_waiting, "embedding memories", at_once=True)

    async def embed_waiting(self) -> int:
        """Embed some of what waits; gives how many."""
        done = 0
        try:
            for _ in range(BATCHES_MAX):
                waiting = await self._store.list_unembedded(self.embedder.model, EMBEDDED_AT_ONCE)
                done += await self._embed(waiting)
                if len(waiting) < EMBEDDED_AT_ONCE:
                    break
        except EmbeddingFailed as error:
            self._note_failure(error)
        return done

    async def _embed(self, waiting: Sequence[MemoryText]) -> int:
        if not waiting:
            return 0
        vectors = await self.embedder.embed_memories([each.content for each in waiting])
        embedded = list(zip(waiting, vectors, strict=True))
        stored = await self._store.put_embeddings(self.embedder.model, embedded)
        self.embedded += stored
        return stored

    def _note_failure(self, error: EmbeddingFailed) -> None:
        self.failures += 1
        log.warning("memories could not be embedded and are recalled by their words: %s", error)
