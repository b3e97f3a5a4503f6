"""`session.*`: who is on this connection."""

import asyncio
from collections.abc import Callable

from protocol import session as wire
from protocol.errors import (
    AccountDeactivated,
    BadToken,
    Banned,
    CloseReason,
    Forbidden,
    PlayhallError,
)
from protocol.limits import FRAME_BYTES_MAX, HEARTBEAT_MS
from server.core.clock import Clock, wire_time
from server.domains.interfaces import AccountAuthenticator
from server.gateway.session.sessions import CommandRoute, Routes, Session


class SessionCommands:
    """The commands of a connection itself; `limits` and `node` are sent in the welcome.

    `accounts` gives who says whose a token is, which is settled once all domains are built.
    """

    def __init__(
        self,
        *,
        accounts: Callable[[], AccountAuthenticator],
        clock: Clock,
        node: str,
        limits: wire.Limits,
    ) -> None:
        self._accounts = accounts
        self._clock = clock
        self._node = node
        self._limits = limits

    def routes(self) -> Routes:
        """Say how each command is carried out."""
        return {
            wire.Hello: CommandRoute(awaited=self._hello, greeted=False),
            wire.Ping: CommandRoute(immediate=self._ping, scope="bot", for_companions=True),
            wire.Refresh: CommandRoute(awaited=self._refresh, scope="bot", for_companions=True),
            wire.Logout: CommandRoute(awaited=self._logout, scope="bot", for_companions=True),
        }

    async def _hello(self, session: "Session", command: wire.Hello) -> wire.Welcome:
        try:
            identity = await self._accounts().authenticate(command.token)
        except (BadToken, Banned, AccountDeactivated) as error:
            # After the refusal, which goes out first: with this token there is no point in staying.
            asyncio.get_running_loop().call_soon(session.socket.close, _close_reason(error))
            raise
        session.sessions.greet(session, identity, is_companion=command.companion)
        return wire.Welcome(
            re=command.id,
            session_id=identity.session_id,
            player_id=identity.player_id,
            user_id=identity.user_id,
            display_name=identity.display_name,
            heartbeat_ms=HEARTBEAT_MS,
            server_time=wire_time(self._clock.now()),
            node=self._node,
            limits=self._limits,
        )

    def _ping(self, session: "Session", command: wire.Ping) -> None:
        session.reply(command.id, {"server_time": wire_time(self._clock.now())})

    async def _refresh(self, session: "Session", command: wire.Refresh) -> None:
        identity = await self._accounts().authenticate(command.token)
        if identity.user_id != session.who.user_id:
            raise Forbidden(
                "The token belongs to another account; open a new connection for that account."
            )
        session.sessions.renew(session, identity)

    async def _logout(self, session: "Session", command: wire.Logout) -> None:
        await self._accounts().end_session(session.who.session_id)


def _close_reason(error: PlayhallError) -> CloseReason:
    if isinstance(error, Banned):
        return CloseReason.BANNED
    return (
        CloseReason.DEACTIVATED if isinstance(error, AccountDeactivated) else CloseReason.BAD_TOKEN
    )


def limits_in_force(*, commands_per_s: float, outbox_bytes_max: int) -> wire.Limits:
    """Write the limits of a connection for the welcome."""
    return wire.Limits(
        frame_bytes_max=FRAME_BYTES_MAX,
        commands_per_s=commands_per_s,
        outbox_bytes_max=outbox_bytes_max,
    )
