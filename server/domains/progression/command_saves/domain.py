"""Saves that are logs: everything that the domain offers."""

from functools import partial
from secrets import token_hex

from server.domains.contract import Domain
from server.domains.progression.command_saves.http import CommandSaveRoutes
from server.domains.progression.command_saves.service import make_service
from server.domains.progression.command_saves.settings import CommandSavesSettings
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(CommandSavesSettings)
    service = make_service(services, new_seed=partial(token_hex, 32))
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
