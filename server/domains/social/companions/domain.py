"""Companions: everything that the domain offers."""

from contextlib import AsyncExitStack

from persistence.companions.store import CompanionStore
from server.domains.contract import Domain, Hook, Job
from server.domains.services import Services
from server.domains.social.companions.commands import CompanionCommands
from server.domains.social.companions.http import CompanionRoutes
from server.domains.social.companions.providers import (
    CompanionProvider,
    OfflineProvider,
    OpenAiProvider,
)
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
    writer = AnswerWriter(store, provider, settings, tasks=services.tasks, moderation=moderation)
    service = CompanionService(store, writer, settings, services.clock, moderation)
    return Domain(
        name="companions",
        settings=CompanionsSettings,
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
                ],
            )
        ],
        start=start,
        jobs=[
            Job("answers of companions", writer.run),
            Job("abandoned answers", writer.end_abandoned),
        ],
        stop=[writer.finish, *close],
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
