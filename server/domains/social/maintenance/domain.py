"""Maintenance: everything that the domain offers."""

from persistence.maintenance.store import MaintenanceStore
from persistence.notifications.store import NotificationStore
from server.domains.contract import Domain, Job
from server.domains.services import Services
from server.domains.social.maintenance.figures import DatabaseFigures
from server.domains.social.maintenance.jobs import MaintenanceJobs
from server.domains.social.maintenance.replication import ReplicationFigures
from server.domains.social.maintenance.settings import MaintenanceSettings
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings, pool = services.settings(MaintenanceSettings), services.database.pool_use
    store = MaintenanceStore(services.database)
    jobs = MaintenanceJobs(
        store,
        NotificationStore(services.database, services.rls),
        archive_after_days=settings.archive_after_days,
    )
    figures = DatabaseFigures(store)
    replication = ReplicationFigures(store)
    return Domain(
        name="maintenance",
        settings=MaintenanceSettings,
        metrics=[
            jobs,
            figures,
            replication,
            MetricsCollector(
                gauges=[
                    MetricSource(
                        "maintenance_late_rows",
                        "Rows that wait for the partition of their month.",
                        lambda: jobs.late_rows,
                    ),
                    MetricSource(
                        "maintenance_not_vacuumed",
                        "Tables that the last run here was not allowed to vacuum.",
                        lambda: jobs.not_vacuumed,
                    ),
                    MetricSource(
                        "database_pool_size", "Connections that are open.", lambda: pool().size
                    ),
                    MetricSource(
                        "database_pool_used", "Connections that are lent.", lambda: pool().used
                    ),
                    MetricSource(
                        "database_pool_max", "Connections at most.", lambda: pool().size_max
                    ),
                ],
                counters=[
                    MetricSource("database_pool_loans", "Connections lent.", lambda: pool().loans),
                    MetricSource(
                        "database_pool_wait_seconds",
                        "How long these were waited for, in all.",
                        lambda: pool().wait_s,
                    ),
                    MetricSource(
                        "database_pool_timeouts",
                        "Times that none was free in time.",
                        lambda: pool().timeouts,
                    ),
                ],
            ),
        ],
        start=[jobs.prepare],
        jobs=[
            Job("maintenance", jobs.run),
            Job("figures of the database", figures.run),
            Job("figures of replication", replication.run),
        ],
    )
