"""Notifications: everything that the domain offers."""

from persistence.notifications.digests import DigestStore
from persistence.notifications.fanout import FanoutStore
from persistence.notifications.store import NotificationStore
from persistence.sealing import Seal
from protocol.domain_events import CreationPublished
from server.core.event_delivery import DurableListener
from server.core.retention import RetentionSweep
from server.domains.contract import Domain, Job
from server.domains.interfaces import AccountMail
from server.domains.services import Services
from server.domains.social.notifications.digests import DigestMailer
from server.domains.social.notifications.fanout import NotificationFanout
from server.domains.social.notifications.http import NotificationRoutes
from server.domains.social.notifications.settings import NotificationsSettings
from server.domains.social.notifications.streams import NotificationStreams
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings, interfaces = services.settings(NotificationsSettings), services.interfaces
    store = NotificationStore(services.database, services.rls)
    fanouts = FanoutStore(services.database)
    streams = NotificationStreams(services.subscriptions, store)
    fanout = NotificationFanout(fanouts, batch_people=settings.batch_people)
    digests = DigestMailer(
        digests=DigestStore(services.database),
        notifications=store,
        mail=interfaces.get(AccountMail),
        seal=interfaces.get(Seal),
        server=services.address,
    )
    routes = NotificationRoutes(
        store=store,
        fanouts=fanouts,
        streams=streams,
        digests=digests,
        settings=settings,
        clock=services.clock,
    )
    return Domain(
        name="notifications",
        settings=NotificationsSettings,
        commands=streams.routes(),
        endpoints=routes.endpoints(),
        durable=[DurableListener("notifications", {CreationPublished: fanout.begin_creation})],
        metrics=[
            MetricsCollector(
                gauges=[
                    MetricSource(
                        "notifications_watched",
                        "People whose notifications are watched here.",
                        lambda: len(streams),
                    ),
                    MetricSource(
                        "notifications_fanouts_open",
                        "Creations and announcements that people are still to be notified of.",
                        lambda: fanout.counted.open,
                    ),
                    MetricSource(
                        "notifications_fanouts_failing",
                        "Of these, those whose last batch failed, and that rest.",
                        lambda: fanout.counted.failing,
                    ),
                    MetricSource(
                        "notifications_fanouts_parked",
                        "Those that were given up, until an operator has them tried again.",
                        lambda: fanout.counted.parked,
                    ),
                ],
                counters=[
                    MetricSource(
                        "notifications_numbered",
                        "Notifications that this node numbered.",
                        lambda: streams.numbered_total,
                    ),
                    MetricSource(
                        "notifications_delivered",
                        "Notifications sent to connections.",
                        lambda: streams.delivered_total,
                    ),
                    MetricSource(
                        "notifications_fanned_out",
                        "Notifications of creations and announcements written here.",
                        lambda: fanout.notified_total,
                    ),
                    MetricSource(
                        "notifications_fanout_failures",
                        "Batches of creations and announcements that failed here.",
                        lambda: fanout.failed_total,
                    ),
                    MetricSource(
                        "notifications_digests",
                        "Digests mailed here.",
                        lambda: digests.sent_total,
                    ),
                ],
            )
        ],
        jobs=[
            Job("notification numbers", streams.run),
            Job("notification fan-out", fanout.run),
            Job("notification digests", digests.run),
        ],
        retention=[RetentionSweep("notifications", store.delete_expired)],
    )
