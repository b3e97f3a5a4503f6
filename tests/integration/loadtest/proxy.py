"""A man in the middle: passes everything on, but not always as it was."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import aiohttp
import orjson
from aiohttp import web

# What becomes of one client's frame: number of the client, and the frame; gives what to send.
Spoil = Callable[[int, dict], list[dict]]


@asynccontextmanager
async def proxied(
    url: str, spoil: Spoil, *, spoil_http: Callable[[str, bytes], bytes] | None = None
) -> AsyncIterator[str]:
    """Stand before a server; gives the address to use instead."""
    clients = 0

    async def websocket(request: web.Request) -> web.WebSocketResponse:
        nonlocal clients
        number, clients = clients, clients + 1
        here = web.WebSocketResponse(protocols=("playhall.v1",))
        await here.prepare(request)
        there = await sockets.ws_connect(f"{url}/ws", protocols=("playhall.v1",))
        async with asyncio.TaskGroup() as tasks:
            back = tasks.create_task(_pass(there, here, lambda message: spoil(number, message)))
            await _pass(here, there, lambda message: [message])
            await there.close()
            back.cancel()
        return here

    async def http(request: web.Request) -> web.Response:
        headers = {
            name: value for name, value in request.headers.items() if name in _PASSED_HEADERS
        }
        body = await request.read()
        target = f"{url}{request.path_qs}"
        async with session.request(request.method, target, data=body, headers=headers) as answer:
            content = await answer.read()
            if spoil_http is not None:
                content = spoil_http(request.path, content)
            return web.Response(
                body=content, status=answer.status, content_type=answer.content_type
            )

    app = web.Application()
    app.router.add_get("/ws", websocket)
    app.router.add_route("*", "/{rest:.*}", http)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    async with aiohttp.ClientSession() as session, aiohttp.ClientSession() as sockets:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()


_PASSED_HEADERS = ("Authorization", "Content-Type")


async def _pass(source, target, change) -> None:
    async for message in source:
        if message.type is not aiohttp.WSMsgType.TEXT:
            return
        with suppress(ConnectionResetError):
            for changed in change(orjson.loads(message.data)):
                await target.send_str(orjson.dumps(changed).decode())
