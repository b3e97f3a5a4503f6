"""Install what the configuration asks for."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

from aiohttp import web
from prometheus_client.registry import Collector

from persistence.errors import StartRefused
from server.config import Config
from server.core.extras import OTEL
from server.core.json_logs import find_json_formatter


class Observation(NamedTuple):
    """What observes the requests of an application, and the metrics of what is observed."""

    observe_http: Callable[[web.Application], None]
    collectors: list[Collector]


@asynccontextmanager
async def observing(config: Config, node: str) -> AsyncIterator[Observation]:
    """Observe commands and replies from here on.

    Enter it before anything is built, once in a process. Raise `StartRefused`.
    """
    observers: list[Callable[[web.Application], None]] = []
    collectors: list[Collector] = []
    if config.slow_reply_s:
        from server.ops.observability.reply_times import ReplyTimes

        collectors.append(ReplyTimes(slow_s=config.slow_reply_s).observe())
    formatter = find_json_formatter()
    if formatter is not None:
        from server.ops.observability import request_ids

        formatter.node = node
        ids = request_ids.RequestIds()
        request_ids.name_commands(ids)
        observers.append(partial(request_ids.name_requests, ids=ids))

    def observe_http(app: web.Application) -> None:
        for observe in observers:
            observe(app)

    observation = Observation(observe_http, collectors)
    if not config.otlp_url:
        yield observation
        return
    if not OTEL.is_installed:
        raise StartRefused(
            f"PLAYHALL_OTLP_URL: traces need more packages; run: pip install '{OTEL.requirement}', "
            "or unset it."
        )
    from server.ops.observability import tracing

    ratio = config.traces_sampled
    provider = tracing.build_provider(config.otlp_url, node=node)
    tracing.observe(provider, ratio=ratio)
    observers.append(partial(tracing.observe_requests, provider=provider, ratio=ratio))
    if formatter is not None:
        formatter.sources.append(tracing.current_ids)
    try:
        yield observation
    finally:
        await tracing.shut_down(provider)
