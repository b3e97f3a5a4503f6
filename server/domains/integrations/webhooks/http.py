"""`/v1/admin/webhooks`: what admins do with webhooks, each act on record."""

from functools import partial
from typing import Final

from persistence.webhooks.store import ListedDelivery, StoredWebhook
from protocol import webhooks as wire
from protocol.errors import Forbidden, NotFound
from server.core.clock import wire_time, wire_time_or_none
from server.core.cursors import CursorCodec
from server.domains.integrations.webhooks.rules import ID_PREFIX
from server.domains.integrations.webhooks.service import WebhookService
from server.gateway.http.endpoints import Endpoint, HttpRequest

TAG: Final = "webhooks"
ALL: Final = "/v1/admin/webhooks"
ONE: Final = f"{ALL}/{{endpoint_id}}"
DELIVERIES: Final = f"{ONE}/deliveries"

_SEQ_MAX: Final = 2**63 - 1
_CURSOR: Final = CursorCodec("deliveries", int, int)


class WebhookRoutes:
    """The addresses of admins who connect other systems."""

    def __init__(self, service: WebhookService) -> None:
        self._service = service

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        make = partial(
            Endpoint, auth="required", scope="admin", tag=TAG, errors=(Forbidden, NotFound)
        )
        again = f"{DELIVERIES}/{{delivery_id}}/redeliver"
        return [
            make("GET", ALL, "List the webhooks.", self._list, answer=wire.Webhooks),
            make(
                "POST",
                ALL,
                "Send events to a URL.",
                self._add,
                body=wire.WebhookRequest,
                answer=wire.WebhookMade,
            ),
            make(
                "PATCH",
                ONE,
                "Change a webhook.",
                self._change,
                body=wire.WebhookChange,
                answer=wire.Webhook,
            ),
            make("DELETE", ONE, "Delete a webhook.", self._delete, answer=wire.WebhookDeleted),
            make(
                "POST",
                f"{ONE}/secret",
                "Give a webhook a new secret; the one before is good for another day.",
                self._rotate,
                answer=wire.WebhookSecret,
            ),
            make(
                "POST",
                f"{ONE}/test",
                "Send a test event.",
                self._test,
                answer=wire.WebhookDelivery,
            ),
            make(
                "GET",
                DELIVERIES,
                "List the deliveries of a webhook.",
                self._deliveries,
                query=wire.WebhookDeliveriesQuery,
                answer=wire.WebhookDeliveries,
            ),
            make("POST", again, "Send it again.", self._redeliver, answer=wire.WebhookDelivery),
        ]

    async def _list(self, request: HttpRequest) -> wire.Webhooks:
        return wire.Webhooks(webhooks=[_webhook(each) for each in await self._service.list_all()])

    async def _add(self, request: HttpRequest) -> wire.WebhookMade:
        actor = request.who.user_id
        made, secret = await self._service.add(request.body, actor=actor)
        return wire.WebhookMade(webhook=_webhook(made), secret=secret)

    async def _change(self, request: HttpRequest) -> wire.Webhook:
        actor = request.who.user_id
        changed = await self._service.change(_endpoint_id(request), request.body, actor=actor)
        return _webhook(changed)

    async def _delete(self, request: HttpRequest) -> wire.WebhookDeleted:
        actor, endpoint_id = request.who.user_id, _endpoint_id(request)
        await self._service.delete(endpoint_id, actor=actor)
        return wire.WebhookDeleted(endpoint_id=endpoint_id)

    async def _rotate(self, request: HttpRequest) -> wire.WebhookSecret:
        actor = request.who.user_id
        secret, until = await self._service.rotate_secret(_endpoint_id(request), actor=actor)
        return wire.WebhookSecret(secret=secret, previous_until=wire_time(until))

    async def _test(self, request: HttpRequest) -> wire.WebhookDelivery:
        actor = request.who.user_id
        return _delivery(await self._service.test(_endpoint_id(request), actor=actor))

    async def _deliveries(self, request: HttpRequest) -> wire.WebhookDeliveries:
        query: wire.WebhookDeliveriesQuery = request.query
        found = await self._service.deliveries(
            _endpoint_id(request),
            below=_SEQ_MAX if query.cursor is None else _CURSOR.read(query.cursor),
            state=query.state,
            limit=query.limit,
        )
        older = _CURSOR.after_page(found, query.limit, lambda last: last.seq)
        return wire.WebhookDeliveries(deliveries=[_delivery(each) for each in found], next=older)

    async def _redeliver(self, request: HttpRequest) -> wire.WebhookDelivery:
        actor = request.who.user_id
        path = request.parse_path(wire.WebhookDeliveryPath)
        again = await self._service.redeliver(path.endpoint_id, path.delivery_id, actor=actor)
        return _delivery(again)


def _endpoint_id(request: HttpRequest) -> str:
    return request.parse_path(wire.WebhookPath).endpoint_id


def _webhook(stored: StoredWebhook) -> wire.Webhook:
    return wire.Webhook(
        endpoint_id=stored.endpoint_id,
        url=stored.url,
        description=stored.description,
        events=stored.events,
        enabled=stored.disabled_at is None,
        disabled_reason=stored.disabled_reason,
        failing_since=wire_time_or_none(stored.failing_since),
        previous_secret_until=wire_time_or_none(stored.previous_until),
        created_at=wire_time(stored.created_at),
    )


def _delivery(listed: ListedDelivery) -> wire.WebhookDelivery:
    is_pending = listed.state == "pending"
    return wire.WebhookDelivery(
        delivery_id=listed.delivery_id,
        event_id=f"{ID_PREFIX}{listed.event_id}",
        event=listed.name,
        state=listed.state,
        attempts=listed.attempts,
        created_at=wire_time(listed.created_at),
        next_attempt_at=wire_time(listed.next_attempt_at) if is_pending else None,
        last_attempt_at=wire_time_or_none(listed.last_attempt_at),
        last_status=listed.last_status,
        last_error=listed.last_error,
        delivered_at=wire_time_or_none(listed.delivered_at),
    )
