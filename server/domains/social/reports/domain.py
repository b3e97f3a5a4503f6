"""Reports: everything that the domain offers."""

from persistence.reports.store import ReportStore
from server.domains.contract import Domain
from server.domains.services import Services
from server.domains.social.reports.http import ReportRoutes
from server.domains.social.reports.settings import ReportsSettings
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(ReportsSettings)
    store = ReportStore(services.database, services.rls)
    routes = ReportRoutes(store, settings, services.clock, services.events.publish)
    return Domain(
        name="reports",
        settings=ReportsSettings,
        endpoints=routes.endpoints(),
        metrics=[
            MetricsCollector(
                counters=[
                    MetricSource(
                        "reports_filed", "Reports filed here.", lambda: routes.filed_total
                    ),
                    MetricSource(
                        "reports_decided", "Decisions of moderators.", lambda: routes.decided_total
                    ),
                ]
            )
        ],
    )
