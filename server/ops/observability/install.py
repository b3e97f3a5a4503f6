"""Install what the configuration asks for."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias

from aiohttp import web

from persistence.errors import StartRefused
from server.config import Config
from server.core.extras import OTEL
from server.core.json_logs import find_json_formatter

ObserveHttp: TypeAlias = Callable[[web.Application], None]


@asynccontextmanager
async def observing(config: Config, node: str) -> AsyncIterator[ObserveHttp]:
    """Observe commands from here on; gives what observes the requests of an application.

    Enter it before anything is built, once in a process. Raise `StartRefused`.
    """
    observers: list[ObserveHttp] = []
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

    if not config.otlp_url:
        yield observe_http
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
        yield observe_http
    finally:
        await tracing.shut_down(provider)
