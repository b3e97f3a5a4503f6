"""Feed: everything that the domain offers."""

from persistence.feed.store import FeedStore
from server.core.events import CreationListed, PlayerErased, UserBanned, UserDeactivated
from server.domains.contract import Domain, Job
from server.domains.services import Services
from server.domains.social.feed.cache import PageCache
from server.domains.social.feed.http import FeedRoutes
from server.domains.social.feed.live import LiveFeeds
from server.domains.social.feed.service import FeedService
from server.domains.social.feed.settings import FeedSettings
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings, clock = services.settings(FeedSettings), services.clock
    store = FeedStore(services.database, services.rls)
    cache = PageCache(kept_s=settings.cached_s, bytes_max=settings.cache_bytes)
    service = FeedService(store, cache, clock.monotonic)
    live = LiveFeeds(services.subscriptions, store, cache.clear)
    return Domain(
        name="feed",
        settings=FeedSettings,
        endpoints=FeedRoutes(service, settings, clock).endpoints(),
        commands=live.routes(),
        listens={
            CreationListed: live.note_change,
            PlayerErased: live.forget_pages,
            UserBanned: live.forget_pages,
            UserDeactivated: live.forget_pages,
        },
        jobs=[Job("new creations", live.run)],
        metrics=[
            MetricsCollector(
                gauges=[
                    MetricSource(
                        "feed_watchers", "Connections that watch a feed.", lambda: len(live)
                    ),
                ],
                counters=[
                    MetricSource(
                        "feed_cache_hits", "Pages of the feed from the cache.", lambda: cache.hits
                    ),
                    MetricSource(
                        "feed_cache_misses", "Pages that were read.", lambda: cache.misses
                    ),
                    MetricSource(
                        "feed_announcements",
                        "New creations that connections were told of.",
                        lambda: live.announced_total,
                    ),
                ],
            )
        ],
    )
