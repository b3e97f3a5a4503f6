"""Broadcasts over HTTP: of many messages, and of one whose topic and event are in the address."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

import orjson
from aiohttp import web

from protocol.errors import PlayhallError
from server.core.rate_limits import RateLimiter, client_network
from server.domains.integrations.realtime.channels import (
    BROADCAST_BYTES_MAX,
    EVENT_CHARS_MAX,
    PREFIX,
    TOPIC_CHARS_MAX,
    JoinRefused,
    RealtimeHub,
    channel_key,
)
from server.domains.integrations.realtime.frames import MalformedMessage, parse_json
from server.gateway.http.bodies import read_body
from server.gateway.http.endpoints import Authenticate
from server.gateway.supabase_keys import ApiClient

PATH: Final = "/realtime/v1/api/broadcast"
BODY_BYTES_MAX: Final = 256 * 1024
MESSAGES_MAX: Final = 100
_NOBODY: Final = "0" * 16


class _Invalid(Exception):
    """A message cannot be broadcast; the message says why."""


class BroadcastServing:
    """Serves the addresses. `broadcasts` counts those of an account or network."""

    def __init__(
        self,
        *,
        hub: RealtimeHub,
        authenticate: Authenticate,
        broadcasts: RateLimiter,
        now: Callable[[], float],
        is_private_only: bool,
    ) -> None:
        self._hub = hub
        self._authenticate = authenticate
        self._broadcasts = broadcasts
        self._now = now
        self._is_private_only = is_private_only

    def mount(self, app: web.Application) -> None:
        """Serve the addresses from an application."""
        app.router.add_post(PATH, self._many)
        app.router.add_post(f"{PATH}/{{topic}}/events/{{event}}", self._one)

    async def _many(self, request: web.Request) -> web.Response:
        return await self._answer(request, _read_messages)

    async def _one(self, request: web.Request) -> web.Response:
        return await self._answer(request, _read_one)

    async def _answer(
        self,
        request: web.Request,
        read: Callable[[web.Request, bytes], list[dict[str, Any]]],
    ) -> web.Response:
        try:
            client = await self._hub.keys.identify(
                request.headers, request.query, self._authenticate
            )
            self._count(client, request, 1)
            messages = read(request, await read_body(request, BODY_BYTES_MAX))
            self._count(client, request, len(messages) - 1)
            for topic, is_private in {(each["topic"], each["private"]) for each in messages}:
                await self._require_allowed(client, topic, is_private=is_private)
        except (_Invalid, MalformedMessage) as invalid:
            return _error(422, str(invalid))
        except JoinRefused as refused:
            return _error(403, str(refused))
        except PlayhallError as error:
            return _error(error.status, error.message)
        for message in messages:
            self._broadcast(message)
        return web.Response(status=202)

    def _count(self, client: ApiClient, request: web.Request, broadcasts: int) -> None:
        if broadcasts and client.role != "service_role":
            who = client.identity
            subject = client_network(request.remote or "") if who is None else who.user_id
            self._broadcasts.require_allowed(subject, self._now(), cost=broadcasts)

    async def _require_allowed(self, client: ApiClient, topic: str, *, is_private: bool) -> None:
        if is_private:
            rights = await self._hub.find_rights(client, topic)
            if not rights.sends_broadcast:
                raise JoinRefused("You do not have permissions to send to this Channel topic")
        elif self._is_private_only:
            raise JoinRefused("This project only allows private channels")

    def _broadcast(self, message: dict[str, Any]) -> None:
        event, payload = message["event"], message["payload"]
        is_bytes = isinstance(payload, bytes)
        written = {"type": "broadcast", "event": event, "payload": payload}
        self._hub.broadcast(
            channel_key(message["topic"], is_private=message["private"]),
            event,
            payload if is_bytes else orjson.dumps(written),
            sender=_NOBODY,
            is_bytes=is_bytes,
        )


def _read_messages(_: web.Request, body: bytes) -> list[dict[str, Any]]:
    try:
        listed = parse_json(body)["messages"]
        if not isinstance(listed, list) or not 1 <= len(listed) <= MESSAGES_MAX:
            raise _Invalid(f"messages must be a list of 1 to {MESSAGES_MAX}")
        return [
            _checked(each["topic"], each["event"], each["payload"], each.get("private", False))
            for each in listed
        ]
    except (KeyError, TypeError, AttributeError):
        raise _Invalid("send {messages: [{topic, event, payload}]}") from None


def _read_one(request: web.Request, body: bytes) -> list[dict[str, Any]]:
    payload: Any = body
    if request.content_type != "application/octet-stream":
        payload = parse_json(body)
    found = request.match_info
    is_private = request.query.get("private") == "true"
    return [_checked(unquote(found["topic"]), unquote(found["event"]), payload, is_private)]


def _checked(topic: object, event: object, payload: object, is_private: object) -> dict[str, Any]:
    if not isinstance(topic, str) or not 1 <= len(topic) <= TOPIC_CHARS_MAX - len(PREFIX):
        raise _Invalid(f"topic must have 1 to {TOPIC_CHARS_MAX - len(PREFIX)} characters")
    if "\0" in topic:
        raise _Invalid("topic must not have NUL characters (U+0000)")
    if not isinstance(event, str) or not 1 <= len(event) <= EVENT_CHARS_MAX:
        raise _Invalid(f"event must have 1 to {EVENT_CHARS_MAX} characters")
    size = len(payload) if isinstance(payload, bytes) else len(orjson.dumps(payload))
    if size > BROADCAST_BYTES_MAX:
        raise _Invalid(f"payload can have at most {BROADCAST_BYTES_MAX} bytes")
    return {"topic": topic, "event": event, "payload": payload, "private": is_private is True}


def _error(status: int, message: str) -> web.Response:
    return web.Response(
        body=orjson.dumps({"error": message, "message": message}),
        status=status,
        content_type="application/json",
    )
