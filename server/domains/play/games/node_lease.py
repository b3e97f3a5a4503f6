"""This node's lease: while it holds, other nodes leave its games alone.

Safety does not rest on it: every write is fenced by the owner epoch. The lease is for
progress, so that a dead node's games are taken over soon, and a live one's are not.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from persistence.games.store import GameStore, NodeLoad
from protocol.errors import PlayhallError
from server.core.clock import Clock
from server.core.containment import log_failure

log = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 4
SERVE_SHARE = 2 / 3


class NodeLease:
    """A lease kept by renewing it; `is_good` by this node's own monotonic clock.

    `address` is where other nodes send clients; `load` is renewed with the lease.

    `returned` is called before the lease is good again after it was not.
    """

    def __init__(
        self,
        store: GameStore,
        *,
        clock: Clock,
        lease_s: float,
        address: Callable[[], str],
        returned: Callable[[], Awaitable[None]],
        load: Callable[[], NodeLoad] = NodeLoad,
    ) -> None:
        self._store = store
        self._clock = clock
        self._address = address
        self._load = load
        self._good_until = 0.0
        self._given_back = False
        self._renewed_at = clock.monotonic()
        self.losses = 0  # times that it ran out before it was renewed
        self.lease_s = lease_s
        self._returned = returned

    def is_good(self) -> bool:
        """Say whether this node may serve: two thirds of the lease are not over."""
        return self._clock.monotonic() < self._good_until

    @property
    def age_s(self) -> float:
        """How long ago it was renewed; grows while the database does not answer."""
        return self._clock.monotonic() - self._renewed_at

    async def renew(self) -> None:
        """Renew now; the time counts from before the database was asked.

        Whoever comes back after a pause first lets go of what was taken meanwhile.
        """
        asked_at = self._clock.monotonic()
        await self._store.renew_lease(self._address(), self.lease_s, self._load())
        if not self.is_good():  # looked at now: it may have run out while the database was asked
            self.losses += self._good_until > 0
            await self._returned()
        self._renewed_at = asked_at
        self._good_until = asked_at + self.lease_s * SERVE_SHARE

    async def keep_renewing(self) -> None:
        """Renew until it is given back; a database that cannot be reached is asked again."""
        while not self._given_back:
            try:
                await self.renew()
            except PlayhallError as error:
                log.warning("the lease could not be renewed: %s", error)
            except Exception:  # it runs out then, and with it what this node serves
                log_failure("renewing the lease")
            await asyncio.sleep(self.lease_s / RENEWALS_PER_LEASE)

    async def release(self) -> None:
        """Give the lease back, so that others need not wait for it to run out."""
        self._given_back, self._good_until = True, 0.0
        try:
            await self._store.release_lease()
        except PlayhallError as error:
            log.warning("the lease could not be released: %s", error)
