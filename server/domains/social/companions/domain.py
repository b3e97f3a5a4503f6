"""Companions: everything that the domain offers."""

from contextlib import AsyncExitStack

from persistence.companions.store import CompanionStore
from persistence.errors import StartRefused
from server.core.events import ProfileChanged
from server.core.extras import EMBEDDINGS
from server.domains.contract import Domain, Hook, Job
from server.domains.services import Services
from server.domains.social.companions.caches import CompanionCaches
from server.domains.social.companions.commands import CompanionCommands
from server.domains.social.companions.embeddings import (
    ApiEmbedder,
    E5Embedder,
    Embedder,
    HashingEmbedder,
)
from server.domains.social.companions.http import CompanionRoutes
from server.domains.social.companions.providers import (
    CompanionProvider,
    OfflineProvider,
    OpenAiProvider,
)
from server.domains.social.companions.recall import MemoryRecall
from server.domains.social.companions.service import CompanionService, Moderation
from server.domains.social.companions.settings import CompanionsSettings
from server.domains.social.companions.writing import AnswerWriter
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(CompanionsSettings)
    store = CompanionStore(services.database, services.rls)
    moderation = Moderation(services.interfaces, settings)
    provider, start, close = provider_of(settings)
    embedder, start_embedder, close_embedder = embedder_of(settings)
    recall = MemoryRecall(store, embedder)
    caches = CompanionCaches(store, services.subscriptions, services.clock.monotonic)
    writer = AnswerWriter(store, provider, settings, tasks=services.tasks, moderation=moderation)
    service = CompanionService(store, writer, settings, services.clock, moderation, recall, caches)
    return Domain(
        name="companions",
        settings=CompanionsSettings,
        listens={ProfileChanged: lambda event: caches.speakers.invalidate(event.user_id)},
        commands=CompanionCommands(service, services.tasks).routes(),
        endpoints=CompanionRoutes(service, services.clock).endpoints(),
        metrics=[
            MetricsCollector(
                gauges=[
                    MetricSource(
                        "companion_streams",
                        "Answers of companions being written here.",
                        lambda: len(writer),
                    )
                ],
                counters=[
                    MetricSource(
                        "companion_answers",
                        "Answers of companions completed here.",
                        lambda: writer.completed,
                    ),
                    MetricSource(
                        "companion_failures",
                        "Answers of companions that failed here.",
                        lambda: writer.failed,
                    ),
                    MetricSource(
                        "companion_tokens",
                        "Tokens of prompts and answers here.",
                        lambda: writer.tokens,
                    ),
                    MetricSource(
                        "companion_cache_hits",
                        "Personas and names that were not read from the database here.",
                        lambda: caches.hits,
                    ),
                    MetricSource(
                        "companion_cache_misses",
                        "Personas and names that were read from the database here.",
                        lambda: caches.misses,
                    ),
                    MetricSource(
                        "companion_embeddings",
                        "Memories of companions embedded here.",
                        lambda: recall.embedded,
                    ),
                    MetricSource(
                        "companion_embedding_failures",
                        "Times that memories could not be embedded here.",
                        lambda: recall.failures,
                    ),
                ],
            )
        ],
        start=[*start, *start_embedder],
        jobs=[
            Job("answers of companions", writer.run),
            Job("abandoned answers", writer.end_abandoned),
            Job("embeddings of memories", recall.run),
        ],
        stop=[writer.finish, *close, *close_embedder],
    )


def provider_of(
    settings: CompanionsSettings,
) -> tuple[CompanionProvider, list[Hook], list[Hook]]:
    """Choose what writes answers, and how it is opened and closed."""
    if settings.ai_url is None:
        return OfflineProvider(), [], []
    provider, stack = OpenAiProvider(settings), AsyncExitStack()

    async def start() -> None:
        await stack.enter_async_context(provider.opened())

    return provider, [start], [stack.aclose]


def embedder_of(settings: CompanionsSettings) -> tuple[Embedder, list[Hook], list[Hook]]:
    """Choose what embeds memories, and how it is opened and closed; raise `StartRefused`."""
    if settings.ai_url is not None and settings.ai_embedding_model is not None:
        return _opened(ApiEmbedder(settings))
    if settings.companions_embeddings == "e5":
        if not EMBEDDINGS.is_installed:
            raise StartRefused(
                f"PLAYHALL_COMPANIONS_EMBEDDINGS=e5 needs {EMBEDDINGS.requirement}; install it, or "
                "leave the setting out."
            )
        return _opened(E5Embedder())
    return HashingEmbedder(), [], []


def _opened(embedder: ApiEmbedder | E5Embedder) -> tuple[Embedder, list[Hook], list[Hook]]:
    stack = AsyncExitStack()

    async def start() -> None:
        await stack.enter_async_context(embedder.opened())

    return embedder, [start], [stack.aclose]
