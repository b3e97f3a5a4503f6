"""Saves that are logs: everything that the domain offers."""

from functools import partial
from secrets import token_hex

from persistence.command_saves.store import SaveLogStore
from persistence.saves.schemas import SaveSchemaStore
from server.domains.contract import Domain
from server.domains.interfaces import ProgressStream, SaveSlots
from server.domains.progression.command_saves.http import CommandSaveRoutes
from server.domains.progression.command_saves.service import CommandSaveService
from server.domains.progression.command_saves.settings import CommandSavesSettings
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings, interfaces = services.settings(CommandSavesSettings), services.interfaces
    service = CommandSaveService(
        database=services.database,
        store=SaveLogStore(),
        schemas=SaveSchemaStore(services.database),
        slots=interfaces.get(SaveSlots),
        stream=interfaces.get(ProgressStream),
        rulesets=services.rulesets,
        clock=services.clock,
        new_seed=partial(token_hex, 32),
    )
    return Domain(
        name="command_saves",
        settings=CommandSavesSettings,
        endpoints=CommandSaveRoutes(service, settings, services.clock).endpoints(),
        metrics=[
            MetricsCollector(
                counters=[
                    MetricSource(
                        "save_moves", "Moves of saves carried out.", lambda: service.carried_out
                    ),
                    MetricSource(
                        "save_moves_refused",
                        "Moves of saves that the rules refused.",
                        lambda: service.refused,
                    ),
                ],
            )
        ],
    )
