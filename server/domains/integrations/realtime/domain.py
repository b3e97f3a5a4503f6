"""Realtime channels for the Supabase clients: everything that the domain offers.

Without `PLAYHALL_SUPABASE_API_SECRET` there is none of it, and no change of a table is noted.
"""

import logging
from functools import partial
from typing import Final

from persistence.realtime.store import RealtimeStore
from server.core.rate_limits import Rate, RateLimiter
from server.core.retention import RetentionSweep
from server.core.settings import split_names
from server.domains.contract import Domain, Job
from server.domains.integrations.realtime.changes import ChangeFeed
from server.domains.integrations.realtime.channels import ChannelLimits, RealtimeHub
from server.domains.integrations.realtime.http import BroadcastServing
from server.domains.integrations.realtime.presence import PresenceTopics
from server.domains.integrations.realtime.settings import RealtimeSettings
from server.domains.interfaces import Authenticator
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource
from server.gateway.supabase_keys import ApiKeys
from server.gateway.transport.listener import WebSocketRoute

log = logging.getLogger(__name__)

SOCKET_PATH: Final = "/realtime/v1/websocket"
BROADCASTS_BURST: Final = 100


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings, config = services.settings(RealtimeSettings), services.config
    store = RealtimeStore(services.database, services.rls)
    retention = [
        RetentionSweep(
            "playhall_realtime.changes",
            partial(store.clear_changes, settings.realtime_changes_kept_s),
        )
    ]
    if config.supabase_api_secret is None:
        return Domain(
            name="realtime",
            settings=RealtimeSettings,
            start=[partial(_publish, store, "")],
            retention=retention,
        )
    authenticate = services.interfaces.get(Authenticator).authenticate
    feed = ChangeFeed(
        store,
        subscriptions_max=settings.realtime_subscriptions_max,
        kept_s=settings.realtime_changes_kept_s,
        now=services.clock.monotonic,
    )
    presence = PresenceTopics(services.subscriptions, now=services.clock.monotonic)
    hub = RealtimeHub(
        keys=ApiKeys(config.supabase_api_secret.get_secret_value()),
        authenticate=authenticate,
        store=store,
        feed=feed,
        subscriptions=services.subscriptions,
        presence=presence,
        limits=ChannelLimits(
            channels_max=settings.realtime_channels_max,
            bindings_max=settings.realtime_bindings_max,
            messages_per_s=settings.realtime_messages_per_s,
            is_private_only=settings.realtime_private_only,
        ),
        tasks=services.tasks,
        clock=services.clock,
    )
    broadcasts = BroadcastServing(
        hub=hub,
        authenticate=authenticate,
        broadcasts=RateLimiter(
            "realtime-broadcast",
            Rate(settings.realtime_broadcasts_per_minute, BROADCASTS_BURST),
            "Too many broadcasts",
        ),
        now=services.clock.monotonic,
        is_private_only=settings.realtime_private_only,
    )
    return Domain(
        name="realtime",
        settings=RealtimeSettings,
        mounts=[broadcasts.mount],
        websockets={SOCKET_PATH: WebSocketRoute(hub.accept)},
        listens=hub.listens(),
        metrics=[_numbers(hub)],
        start=[partial(_publish, store, settings.realtime_tables), feed.reload],
        jobs=[
            Job("changes of tables", feed.run),
            Job("published tables", feed.run_reloading),
            Job("presence on channels", presence.run),
            Job("silent channels", hub.run),
        ],
        retention=retention,
    )


async def _publish(store: RealtimeStore, listed: str) -> None:
    tables = [name if "." in name else f"public.{name}" for name in split_names(listed)]
    for refused in await store.publish(tables):
        log.warning(
            "PLAYHALL_REALTIME_TABLES: changes of %s are not published: it must exist and have a "
            "primary key, an owner that migrates this database, and a right of anon or "
            "authenticated to read it",
            refused,
        )


def _numbers(hub: RealtimeHub) -> MetricsCollector:
    feed = hub.feed
    return MetricsCollector(
        gauges=[
            MetricSource(
                "realtime_connections", "Connections of the Supabase clients.", lambda: len(hub)
            ),
            MetricSource("realtime_channels", "Channels that are joined.", lambda: hub.channels),
            MetricSource(
                "realtime_subscriptions",
                "Subscriptions of channels to changes of tables.",
                lambda: len(feed),
            ),
        ],
        counters=[
            MetricSource(
                "realtime_changes",
                "Changes of published tables that were read.",
                lambda: feed.changes_total,
            ),
            MetricSource(
                "realtime_changes_delivered",
                "Changes that were sent to a channel.",
                lambda: feed.delivered_total,
            ),
            MetricSource(
                "realtime_broadcasts",
                "Broadcasts that were sent from here.",
                lambda: hub.broadcasts_total,
            ),
        ],
    )
