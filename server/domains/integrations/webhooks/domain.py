"""The domain, put together."""

from persistence.database import Database
from persistence.sealing import Seal
from persistence.webhooks.store import WebhookStore
from protocol.domain_events import DURABLE_EVENTS
from server.core.clock import Clock
from server.core.event_delivery import DurableListener
from server.core.tasks import Tasks
from server.domains.integrations.webhooks.http import WebhookRoutes
from server.domains.integrations.webhooks.jobs import WebhookDeliverer
from server.domains.integrations.webhooks.metrics import WebhookCollector
from server.domains.integrations.webhooks.service import WebhookService
from server.gateway.http.endpoints import Endpoint


class WebhookDomain:
    """Webhooks: a listener of durable events, a loop that sends, and the addresses of admins."""

    def __init__(
        self,
        *,
        database: Database,
        seal: Seal,
        clock: Clock,
        tasks: Tasks,
        may_be_private: bool,
        kept_s: float,
    ) -> None:
        store = WebhookStore(database)
        self.deliverer = WebhookDeliverer(
            store=store,
            seal=seal,
            clock=clock,
            tasks=tasks,
            may_be_private=may_be_private,
            kept_s=kept_s,
        )
        self.listener = DurableListener(
            "webhooks", dict.fromkeys(DURABLE_EVENTS.values(), self.deliverer.queue)
        )
        self.collector = WebhookCollector(self.deliverer)
        self._routes = WebhookRoutes(
            WebhookService(store=store, seal=seal, may_be_private=may_be_private)
        )

    def endpoints(self) -> list[Endpoint]:
        """List the addresses."""
        return self._routes.endpoints()
